"""Law 1 for every family: tiny random models saved by `transformers`, loaded by our rules, compared in every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import engine
from engine.tap import Capture
from tests.engine import parity
from tests.engine.parity import CASES, saved


@pytest.mark.parametrize("name", CASES)
def test_every_layer_agrees_with_the_reference_to_1e_10(name: str, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path)
    ours = engine.load(tmp_path, dtype=torch.float64)
    errors = parity.differences(theirs, ours)
    for block in ours.blocks:
        for layer in range(block.layers):
            sites = {address.rpartition(f"{block.stack}.{layer}.{block.name}.")[2] for address in errors}
            assert {"v", "z", "pattern", "out"} <= sites
            assert {"q", "k"} <= sites or {"q.raw", "k.raw"} <= sites
            assert f"{block.stack}.{layer}.resid.pre" in errors
    assert ("logits" in errors) == ours.predicts
    assert max(errors.values()) < 1e-10, errors


def test_the_readme_holds_the_differences_that_are_measured_now() -> None:
    """When this fails, `python -m tests.engine.parity` writes the table anew."""
    assert parity.written().splitlines()[:2] == parity.table().splitlines()[:2]
    now, then = parity.table().splitlines()[2:], parity.written().splitlines()[2:]
    assert [line.split("|")[1] for line in now] == [line.split("|")[1] for line in then]
    for measured, claimed in zip(now, then, strict=True):
        for a, b in zip(powers(measured), powers(claimed), strict=True):
            assert a <= max(b + 1, -12), (measured, claimed)  # another processor rounds differently


def powers(line: str) -> list[int]:
    """The exponents of one row; what is exactly the same counts as the least."""
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    return [-15 if cell in ("", "0") else int(cell.removeprefix("10^")) for cell in cells]


@pytest.mark.parametrize("name", CASES)
def test_derived_maps_equal_those_of_the_explicit_path(name: str, tmp_path: Path) -> None:
    """Law 2, in every family, with its mask and its bias."""
    saved(name, tmp_path)
    model = engine.load(tmp_path, dtype=torch.float64)
    ids = {stack: [3 + (7 * i + n) % 60 for i in range(13 - 4 * n)] for n, stack in enumerate(model.family.stacks)}
    fused, explicit = engine.trace(model, ids=ids), engine.trace(model, ids=ids, capture=Capture(derived=("*",)))
    for block in model.blocks:
        for layer in range(block.layers):
            for site in ("scores", "pattern"):
                address = f"{block.stack}.{layer}.{block.name}.{site}"
                assert address not in fused.tensors
                torch.testing.assert_close(fused[address], explicit.tensors[address], rtol=1e-10, atol=1e-12)
            at = f"{block.stack}.{layer}.{block.name}"
            pattern = fused[f"{at}.pattern"]
            torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern[..., 0]))
            rows = fused.slice(f"{at}.pattern", head=[block.heads - 1], query=[2, 5], key=[0, 3])
            torch.testing.assert_close(rows, pattern[[-1]][:, [2, 5]][:, :, [0, 3]])
            values = engine.nn.attention.spread(fused[f"{at}.v"], block.heads)
            torch.testing.assert_close(pattern @ values, fused[f"{at}.z"])
            if block.causal:
                assert (pattern.triu(1) == 0).all()
    assert explicit.tensors.keys() == {address for address, site in model.sites.items() if site.observable}
    for address in fused.addresses():
        assert fused[address].shape == tuple(fused.sizes(address).values()), address


@pytest.mark.parametrize("name", CASES)
def test_the_way_back_gives_the_same_file(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from engine import checkpoint

    saved(name, tmp_path)
    model = engine.load(tmp_path, dtype=torch.float64)
    rules = model.family.rules(model.config)
    used = {rule.theirs for rule in rules.rules}
    file = load_file(tmp_path / "model.safetensors")
    before = {k: v for k, v in file.items() if rules.plain(k) in used or not rules.ignores(rules.plain(k))}
    after = checkpoint.export(model.network, rules)
    assert {rules.plain(key) for key in before} == after.keys()
    assert all(torch.equal(value, after[rules.plain(key)]) for key, value in before.items())


@pytest.mark.parametrize("name", [name for name, (kind, _) in CASES.items() if "ert" not in kind])
def test_predictions_and_the_logit_lens_come_from_the_head(name: str, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path)
    model = engine.load(tmp_path, dtype=torch.float64)
    ids = {stack: [3, 1, 4, 1, 5, 9, 2, 6] for stack in model.family.stacks}
    trace = engine.trace(model, ids=ids)
    given: dict[str, Any] = {"input_ids": torch.tensor([ids[model.family.stacks[0]]])}
    if len(ids) == 2:
        given["decoder_input_ids"] = torch.tensor([ids["decoder"]])
    with torch.inference_mode(), parity.double_precision():
        logits = theirs(**given).logits[0]
    torch.testing.assert_close(trace["decoder.logits"], logits)
    assert trace.prediction is not None
    (answer,) = trace.prediction["positions"]
    assert answer["position"] == 7
    best = logits[-1].softmax(-1).topk(3)
    assert [entry["id"] for entry in answer["top"][:3]] == best.indices.tolist()
    assert [entry["probability"] for entry in answer["top"][:3]] == pytest.approx(best.values.tolist(), rel=1e-5)
    last = max(block.layers for block in model.blocks if block.stack == "decoder") - 1
    torch.testing.assert_close(trace.lens(trace[f"decoder.{last}.resid.post"]), logits)


def test_tied_heads_that_differ_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    saved("gpt2", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"] + 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(engine.errors.CheckpointError, match="in the file they differ"):
        engine.load(tmp_path)


def classes(kind: str, architecture: str, folder: Path, **changes: Any) -> tuple[Any, engine.Trace]:
    """What the reference says of some ids, and the engine's trace of the same."""
    theirs = parity.random_model(kind, architecture, folder, {"architectures": [architecture], **changes})
    ids = [5, 9, 17, 33, 4]
    with torch.inference_mode(), parity.double_precision():
        answer = theirs(torch.tensor([ids]))
    return answer, engine.trace(engine.load(folder, dtype=torch.float64), ids={"encoder": ids})


LABELS = {"id2label": {0: "sad", 1: "so-so", 2: "glad"}, "label2id": {"sad": 0, "so-so": 1, "glad": 2}}


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "DistilBert"])
def test_a_classified_text_has_the_classes_of_the_reference(kind: str, tmp_path: Path) -> None:
    answer, trace = classes(kind, f"{kind}ForSequenceClassification", tmp_path, **LABELS)
    assert trace.prediction is not None
    labels = trace.prediction["labels"]
    assert [label["label"] for label in labels] == ["sad", "so-so", "glad"]
    expected = answer.logits[0].softmax(-1).tolist()
    assert [label["probability"] for label in labels] == pytest.approx(expected, abs=1e-6)
    assert "encoder.logits" not in trace.addresses()


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "DistilBert"])
def test_classified_tokens_have_the_classes_of_the_reference(kind: str, tmp_path: Path) -> None:
    answer, trace = classes(kind, f"{kind}ForTokenClassification", tmp_path, **LABELS)
    assert trace.prediction is not None
    best = answer.logits[0].softmax(-1).max(-1)
    assert [t["label"] for t in trace.prediction["token_labels"]] == [
        LABELS["id2label"][i] for i in best.indices.tolist()
    ]
    assert [t["probability"] for t in trace.prediction["token_labels"]] == pytest.approx(best.values.tolist(), abs=1e-6)


def test_a_pretraining_head_says_whether_the_second_text_follows(tmp_path: Path) -> None:
    answer, trace = classes("Bert", "BertForPreTraining", tmp_path)
    assert trace.prediction is not None
    assert trace.prediction["labels"][0]["label"] == "follows"
    shares = [label["probability"] for label in trace.prediction["labels"]]
    assert shares == pytest.approx(answer.seq_relationship_logits[0].softmax(-1).tolist(), abs=1e-6)
    torch.testing.assert_close(trace["encoder.logits"], answer.prediction_logits[0])
    assert trace.prediction["positions"] == []  # there was no mask to fill


def test_of_one_text_alone_nothing_is_said_to_follow() -> None:
    model = engine.load("bert-captions")
    alone, both = (engine.trace(model, "A dog runs.", pair=pair).prediction for pair in (None, "It is [MASK]."))
    assert alone is not None
    assert "labels" not in alone
    assert both is not None
    assert [one["label"] for one in both["labels"]] == ["follows", "does not follow"]
    assert len(both["positions"]) == 1
