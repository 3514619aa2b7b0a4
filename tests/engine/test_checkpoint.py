"""Loading: strict both ways, one clear error each, no more memory than the file is long."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import engine
from engine import checkpoint
from engine.errors import (
    BadInput,
    CheckpointError,
    MissingKeys,
    TokenizerMissing,
    UnexpectedKeys,
    UnknownModel,
    WeightsMissing,
    WrongHash,
    WrongShape,
)
from engine.models import bert
from engine.registry import Folder, ModelCard


@pytest.fixture
def folder(tiny_bert: Callable[..., Path]) -> Path:
    return tiny_bert()


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of a checkpoint."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_the_way_back_gives_the_same_file_key_for_key(folder: Path, tmp_path: Path) -> None:
    model = engine.load(folder)
    rules = bert.rules(model.config)
    checkpoint.save(model.network, rules, tmp_path / "again.safetensors")
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "again.safetensors")
    before = {key: value for key, value in before.items() if not rules.ignores(key)}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_every_parameter_has_a_rule_and_every_rule_a_parameter(folder: Path) -> None:
    model = engine.load(folder)
    ours = [rule.ours for rule in bert.rules(model.config).rules]
    assert sorted(ours) == sorted(name for name, _ in model.network.named_parameters())


def test_old_spellings_and_prefixes_are_read(folder: Path) -> None:
    expected = engine.trace(engine.load(folder), "the cat")["encoder.2.resid.post"]

    def make_old(tensors: dict[str, torch.Tensor]) -> None:
        for key in list(tensors):
            old = key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[f"bert.{old}"] = tensors.pop(key)
        tensors["cls.predictions.bias"] = torch.zeros(3)

    rewrite(folder, make_old)
    assert torch.equal(engine.trace(engine.load(folder), "the cat")["encoder.2.resid.post"], expected)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    rewrite(folder, lambda t: t.pop("encoder.layer.1.attention.self.key.bias"))
    with pytest.raises(MissingKeys, match=r"encoder\.layer\.1\.attention\.self\.key\.bias"):
        engine.load(folder)


def test_an_unknown_tensor_is_named(folder: Path) -> None:
    rewrite(folder, lambda t: t.update({"encoder.layer.0.surprise.weight": torch.zeros(1)}))
    with pytest.raises(UnexpectedKeys, match=r"encoder\.layer\.0\.surprise\.weight"):
        engine.load(folder)


def test_one_tensor_under_two_names_is_refused(folder: Path) -> None:
    twice = "encoder.layer.0.attention.self.query.weight"
    rewrite(folder, lambda t: t.update({f"bert.{twice}": torch.zeros_like(t[twice])}))
    with pytest.raises(UnexpectedKeys, match=r"layer\.0\.attention\.self\.query\.weight"):
        engine.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_attention_heads": 0},
        {"hidden_size": "24"},
        {"num_hidden_layers": "3"},
        {"layer_norm_eps": None},
        {"intermediate_size": -1},
        {"hidden_act": ["gelu"]},
    ],
)
def test_a_configuration_of_the_wrong_kind_says_so(folder: Path, changes: dict[str, object]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError, match="does not describe a bert"):
        engine.load(folder)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_says_so(folder: Path, device: str) -> None:
    with pytest.raises(BadInput, match="can't be used here"):
        engine.load(folder, device=device)


def test_loading_tells_how_far_it_is(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    engine.load(folder, progress=lambda done, size: told.append((done, size)))
    size = (folder / "model.safetensors").stat().st_size
    assert told[-1] == (size, size)


def test_a_folder_is_called_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert engine.load(".").id == folder.name


def test_a_wrong_shape_is_named_with_what_was_found_and_expected(folder: Path) -> None:
    rewrite(folder, lambda t: t.update({"embeddings.LayerNorm.weight": torch.zeros(23)}))
    with pytest.raises(WrongShape, match=r"embeddings\.LayerNorm\.weight has shape \(23,\).* \(24,\)") as caught:
        engine.load(folder)
    assert (caught.value.found, caught.value.expected) == ((23,), (24,))


@pytest.mark.parametrize("keep", [0, 5, 400, 0.5, 0.999])
def test_a_truncated_file_says_so(folder: Path, keep: float) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        engine.load(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WeightsMissing, match="convert them to safetensors"):
        engine.load(folder)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("{", CheckpointError, "not valid JSON"),
        ("[]", CheckpointError, "no JSON object"),
        ('{"model_type": "mamba"}', CheckpointError, "'mamba'; known are: bert"),
        ('{"model_type": "bert"}', CheckpointError, "lacks"),
        (None, WeightsMissing, "has no config"),
    ],
)
def test_a_damaged_configuration_says_so(folder: Path, text: str | None, error: type, says: str) -> None:
    if text is None:
        (folder / "config.json").unlink()
    else:
        (folder / "config.json").write_text(text)
    with pytest.raises(error, match=says):
        engine.load(folder)


@pytest.mark.parametrize(
    "changes", [{"hidden_act": "swish9"}, {"position_embedding_type": "relative_key"}, {"is_decoder": True}]
)
def test_a_configuration_that_is_not_bert_is_refused(folder: Path, changes: dict[str, object]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError):
        engine.load(folder)


def carded(folder: Path, sha256: str | None) -> ModelCard:
    return ModelCard("pinned", "Pinned", "bert", "", 0, 3, 4, 24, 48, sources=(Folder(folder),), sha256=sha256)


def test_a_wrong_hash_says_what_was_found_and_pinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.registry.CARDS", (carded(folder, "0" * 64),))
    with pytest.raises(WrongHash, match="0" * 64) as caught:
        engine.load("pinned")
    assert caught.value.found == checkpoint.sha256(folder / "model.safetensors")


def test_a_known_model_needs_its_tokenizer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.registry.CARDS", (carded(folder, None),))
    assert engine.load("pinned").id == "pinned"
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TokenizerMissing, match=r"has no tokenizer\.json"):
        engine.load("pinned")


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match="Did you mean minilm"):
        engine.load("minlm")


def test_half_precision_files_are_read_in_the_precision_asked_for(folder: Path) -> None:
    rewrite(folder, lambda t: t.update({key: value.half() for key, value in t.items()}))
    assert {p.dtype for p in engine.load(folder).network.parameters()} == {torch.float32}
    assert {p.dtype for p in engine.load(folder, dtype=torch.float64).network.parameters()} == {torch.float64}


def test_loading_takes_no_more_memory_than_the_file() -> None:
    """In a process of its own, since the peak of this one has been higher before."""
    script = """
import resource, engine
from engine.registry import card
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
import torch, tokenizers, safetensors.torch
from engine.tokens import FileTokenizer
FileTokenizer(card("minilm").folder() / "tokenizer.json")
before = peak()
model = engine.load("minilm")
size = sum(p.nbytes for p in model.network.parameters())
print((peak() - before) / size)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 1.25


def test_a_fine_tuned_file_holds_what_changed_and_the_base_the_rest(
    tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_bert()
    card = ModelCard("under", "Under", "bert", "", 0, 0, 0, 0, 0, (Folder(base),))
    monkeypatch.setattr("engine.registry.CARDS", (card,))
    tensors = load_file(base / "model.safetensors")
    changed = {name: torch.full_like(value, 0.5) for name, value in tensors.items() if "layer.0.output.dense" in name}
    assert 0 < len(changed) < len(tensors)
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    save_file({name: value.half() for name, value in changed.items()}, tuned / "model.safetensors")
    config = json.loads((base / "config.json").read_text())
    (tuned / "config.json").write_text(json.dumps({**config, "base": "under"}))

    model, under = engine.load(tuned), engine.load(base)
    state, before = model.network.state_dict(), under.network.state_dict()
    for name, value in state.items():
        expected = torch.full_like(value, 0.5) if name.startswith("layers.0.mlp.down") else before[name]
        assert torch.equal(value, expected), name
    assert model.revision != under.revision

    (tuned / "config.json").write_text(json.dumps(config))
    with pytest.raises(MissingKeys):
        engine.load(tuned)


def test_another_base_is_another_model(
    tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_bert()
    card = ModelCard("under", "Under", "bert", "", 0, 0, 0, 0, 0, (Folder(base),))
    monkeypatch.setattr("engine.registry.CARDS", (card,))
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    tensors = load_file(base / "model.safetensors")
    save_file({name: value for name, value in tensors.items() if "layer.0" in name}, tuned / "model.safetensors")
    config = json.loads((base / "config.json").read_text())
    (tuned / "config.json").write_text(json.dumps({**config, "base": "under"}))
    first = engine.load(tuned).revision
    rewrite(base, lambda tensors: tensors["embeddings.word_embeddings.weight"].add_(1))
    assert engine.load(tuned).revision != first
