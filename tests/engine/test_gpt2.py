"""GPT-2's other spellings: the state dicts of minGPT and nanoGPT, whose matrices lie the other way round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import engine
from engine.errors import MissingKeys
from tests.engine import parity

TURNED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
IDS = [3, 1, 4, 1, 5, 9, 2, 6]


def rewritten(kind: str, folder: Path, activation: str, *, tied: bool) -> Any:
    """A tiny GPT-2 of the reference, saved in the other project's names and layout."""
    changes = {"activation_function": activation, "tie_word_embeddings": tied}
    theirs = parity.random_model("GPT2", "GPT2LMHeadModel", folder, changes)
    tensors = load_file(folder / "model.safetensors")
    tensors = {k: v.T.contiguous() if k.endswith(TURNED) else v for k, v in tensors.items()}
    for layer in range(3):  # both keep their causal mask as a buffer
        tensors[f"transformer.h.{layer}.attn.bias"] = torch.ones(1, 1, 48, 48).tril()
    if tied:  # nanoGPT's own files repeat the tied head
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, folder / "model.safetensors")
    sizes = {"n_layer": 3, "n_head": 4, "n_embd": 24, "block_size": 48, "vocab_size": parity.VOCABULARY}
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **sizes}))
    return theirs


@pytest.mark.parametrize(("kind", "activation", "tied"), [("nanogpt", "gelu", True), ("mingpt", "gelu_new", False)])
def test_other_layouts_give_the_same_network(kind: str, activation: str, tied: bool, tmp_path: Path) -> None:
    theirs = rewritten(kind, tmp_path, activation, tied=tied)
    trace = engine.trace(engine.load(tmp_path, dtype=torch.float64), ids={"decoder": IDS})
    with torch.inference_mode():
        logits = theirs(torch.tensor([IDS])).logits[0]
    assert (trace["decoder.logits"] - logits).abs().max() < 1e-10


def test_mingpt_needs_its_own_head(tmp_path: Path) -> None:
    rewritten("mingpt", tmp_path, "gelu_new", tied=False)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(MissingKeys, match=r"lm_head\.weight"):
        engine.load(tmp_path)


def test_nanogpt_without_biases(tmp_path: Path) -> None:
    rewritten("nanogpt", tmp_path, "gelu", tied=True)
    tensors = load_file(tmp_path / "model.safetensors")
    zeroed = {
        k: torch.zeros_like(v) if k.endswith(".bias") and ".attn.bias" not in k else v for k, v in tensors.items()
    }
    save_file(zeroed, tmp_path / "model.safetensors")
    expected = engine.trace(engine.load(tmp_path), ids={"decoder": IDS})["decoder.logits"]
    bare = {k: v for k, v in tensors.items() if not k.endswith(".bias") or ".attn.bias" in k}
    save_file(bare, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "bias": False}))
    found = engine.trace(engine.load(tmp_path), ids={"decoder": IDS})["decoder.logits"]
    torch.testing.assert_close(found, expected)
