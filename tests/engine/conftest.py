"""Models that the engine's tests look into: the real one, and tiny random ones saved by `transformers` itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
import torch
from hypothesis import settings
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

import engine

settings.register_profile("same every time", derandomize=True)
settings.load_profile("same every time")

FLAGSHIP = "The animal didn't cross the street because it was too tired"

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    "the",
    "a",
    "animal",
    "street",
    "it",
    "was",
    "too",
    "tired",
    "wide",
    "because",
    "cross",
    "did",
    "not",
    "dog",
    "cat",
    "sat",
    "on",
    "mat",
    ".",
    ",",
    "'",
]
PIECES = ["##ing", "##ed", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
VOCABULARY = list(dict.fromkeys([*SPECIAL, *WORDS, *PIECES, *"abcdefghijklmnopqrstuvwxyz"]))


@pytest.fixture(scope="session")
def minilm() -> engine.Model:
    return engine.load("minilm")


@pytest.fixture(scope="session")
def flagship(minilm: engine.Model) -> engine.Trace:
    return engine.trace(minilm, FLAGSHIP)


def wordpiece_tokenizer() -> tokenizers.Tokenizer:
    """A small uncased WordPiece tokenizer, of the same make as BERT's."""
    ids = {piece: id for id, piece in enumerate(VOCABULARY)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(name, ids[name]) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Save a tiny random BERT as `transformers` would, with a tokenizer, and hand out the folder."""

    def make(seed: int = 0, *, tokenizer: bool = True, **changes: object) -> Path:
        torch.manual_seed(seed)
        sizes: dict[str, object] = {
            "vocab_size": len(VOCABULARY),
            "hidden_size": 24,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 40,
            "max_position_embeddings": 48,
            # Larger than the default, so that attention is far from even and a wrong scale or axis shows.
            "initializer_range": 0.4,
        }
        folder = tmp_path_factory.mktemp("bert")
        model = BertModel(BertConfig(**(sizes | changes)))
        for parameter in model.parameters():  # biases and norms too: transformers starts them at 0 and 1
            parameter.data += 0.1 * torch.randn_like(parameter)
        model.save_pretrained(folder)
        if tokenizer:
            wordpiece_tokenizer().save(str(folder / "tokenizer.json"))
        return folder

    return make


@pytest.fixture(scope="session")
def tiny(tiny_bert: Callable[..., Path]) -> engine.Model:
    """One tiny BERT in float64."""
    return engine.load(tiny_bert(), dtype=torch.float64)


def edit_config(folder: Path, **changes: object) -> None:
    """Change a saved config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
