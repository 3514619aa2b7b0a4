"""Many maps at once, what heads are like, and the arithmetic of one weight."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine import derive, maps
from engine.errors import BadIndex, BadInput, UnknownSite


def test_maps_are_the_patterns_of_the_chosen_layers_and_heads(flagship: engine.Trace) -> None:
    found = engine.attention(flagship, layers=[5, 0], heads=[11, 2, 3], queries=[10], keys=[2, 8])
    assert (found.layers, found.heads, found.queries, found.keys) == ((5, 0), (11, 2, 3), (10,), (2, 8))
    for (i, layer), (j, head) in itertools.product(enumerate([5, 0]), enumerate([11, 2, 3])):
        torch.testing.assert_close(found.values[i, j], flagship[f"encoder.{layer}.self.pattern"][head, [10]][:, [2, 8]])


@pytest.mark.parametrize("stage", derive.STAGES)
def test_every_stage_can_be_asked_for(flagship: engine.Trace, stage: str) -> None:
    found = engine.attention(flagship, stage=stage)
    assert found.values.shape == (6, 12, 15, 15)
    torch.testing.assert_close(found.values[4], flagship[f"encoder.4.self.{stage}"])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 50),
    st.sampled_from([1, 7, 100, 1 << 24]),
    st.sampled_from([None, "mean", "max"]),
)
def test_an_overview_holds_the_maximum_of_every_bin(
    tiny: engine.Model, length: int, size: int, chunk: int, reduce: maps.Reduce | None
) -> None:
    """Whatever the size of the strips that it was derived in."""
    trace = engine.trace(tiny, ids={"encoder": [5 + i % 60 for i in range(length)]})
    whole = engine.attention(trace, reduce=reduce)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "CHUNK", chunk)
        pooled = engine.attention(trace, size=size, reduce=reduce)
    side = min(size, length)
    assert pooled.values.shape[-2:] == (side, side)
    edges = pooled.query_edges or tuple(range(length + 1))
    assert edges[0] == 0
    assert edges[-1] == length
    assert len(edges) == side + 1
    for i, j in itertools.product(range(side), range(side)):
        part = whole.values[..., edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
        torch.testing.assert_close(pooled.values[..., i, j], part.amax((-2, -1)))


def test_mean_and_max_run_over_heads_or_over_everything(flagship: engine.Trace) -> None:
    whole = engine.attention(flagship).values
    for reduce, over in itertools.product(("mean", "max"), ("heads", "all")):
        dims = (1,) if over == "heads" else (0, 1)
        expected = whole.mean(dims, keepdim=True) if reduce == "mean" else whole.amax(dims, keepdim=True)
        found = engine.attention(flagship, reduce=reduce, over=over).values  # type: ignore[arg-type]
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"layers": [6]}, BadIndex, "layer 6: layer goes from 0 to 5"),
        ({"heads": [-1]}, BadIndex, "head goes from 0 to 11"),
        ({"queries": [15]}, BadIndex, "query goes from 0 to 14"),
        ({"keys": []}, BadInput, "at least one"),
        ({"stage": "softmax"}, BadInput, "scores.raw"),
        ({"size": 0}, BadInput, "at least 1"),
        ({"stack": "decoder"}, UnknownSite, r"encoder\.self"),
        ({"block": "cross"}, UnknownSite, r"encoder\.self"),
    ],
)
def test_what_does_not_exist_is_named(flagship: engine.Trace, options: dict, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        engine.attention(flagship, **options)


def test_slices_that_make_no_sense_are_named(flagship: engine.Trace) -> None:
    with pytest.raises(UnknownSite, match=r"Did you mean .*encoder\.5\.self\.pattern"):
        flagship["encoder.5.self.patern"]
    with pytest.raises(BadInput, match="its axes are head, query, key"):
        flagship.slice("encoder.5.self.pattern", model=[1])
    with pytest.raises(BadIndex):
        flagship.slice("encoder.5.self.q", head=[12])


def test_heads_are_described_by_what_they_do(flagship: engine.Trace) -> None:
    heads = engine.heads(flagship)
    pattern = flagship["encoder.3.self.pattern"][1]
    assert heads.entropy[3, 1].item() == pytest.approx(-(pattern * pattern.log2()).sum(-1).mean().item(), rel=1e-5)
    assert heads.peak[3, 1] == pattern.max()
    assert heads.first[3, 1].item() == pytest.approx(pattern[:, 0].mean().item(), rel=1e-6)
    assert heads.own is not None
    assert heads.own[3, 1].item() == pytest.approx(pattern.trace().item() / 15, rel=1e-6)
    assert heads.previous is not None
    previous = sum(pattern[i, i - 1].item() for i in range(1, 15)) / 14
    assert heads.previous[3, 1].item() == pytest.approx(previous, rel=1e-5)


def test_sharpness_runs_from_even_to_a_single_key() -> None:
    even, single = torch.full((4, 4), 0.25), torch.eye(4)
    causal = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert derive.sharpness(even).item() == pytest.approx(0, abs=1e-6)
    assert derive.sharpness(single).item() == 1
    assert derive.sharpness(causal).item() == pytest.approx(0, abs=1e-6)
    half = torch.tensor([[0.5, 0.5, 1e-30, 1e-30]])
    assert derive.sharpness(half).item() == pytest.approx(0.5, abs=1e-5)
    assert derive.entropy(half).item() == pytest.approx(1, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_arithmetic_of_a_weight_adds_up(flagship: engine.Trace, data: st.DataObject) -> None:
    layer, head = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 11))
    query, key = data.draw(st.integers(0, 14)), data.draw(st.integers(0, 14))
    a = engine.arithmetic(flagship, layer=layer, head=head, query=query, key=key)
    at = f"encoder.{layer}.self"
    close = {"rel": 1e-4, "abs": 1e-5}
    assert a.products.sum().item() == pytest.approx(a.raw, **close)
    assert a.raw * a.scale == pytest.approx(a.scaled, **close)
    assert a.scaled + a.bias == pytest.approx(a.score, **close)
    assert a.numerator / a.denominator == pytest.approx(a.weight, **close)
    assert a.weight == pytest.approx(flagship[f"{at}.pattern"][head, query, key].item(), **close)
    torch.testing.assert_close(a.weighted_v, a.weight * flagship[f"{at}.v"][head, key])
    torch.testing.assert_close(a.z, flagship[f"{at}.z"][head, query])
    written = flagship[f"{at}.by_head"][head, query]
    assert a.head_written_norm == pytest.approx(written.norm().item(), **close)
    assert not a.masked


def test_the_arithmetic_of_a_forbidden_edge_says_masked(tiny: engine.Model) -> None:
    patch = engine.Knockout("encoder.1.self.scores", head=2, query=3, key=1)
    a = engine.arithmetic(engine.trace(tiny, "the cat sat", patches=[patch]), layer=1, head=2, query=3, key=1)
    assert a.masked
    assert a.score == float("-inf")
    assert a.weight == a.numerator == a.written_norm == 0
    assert a.patched


def test_the_arithmetic_takes_no_index_from_behind(flagship: engine.Trace) -> None:
    where = {"layer": 5, "head": 11, "query": 10, "key": 2}
    assert not engine.arithmetic(flagship, **where).patched
    for axis in where:
        with pytest.raises(BadIndex, match=axis):
            engine.arithmetic(flagship, **(where | {axis: -1}))


def test_a_slice_can_run_backwards(flagship: engine.Trace) -> None:
    backwards = flagship.slice("encoder.5.self.q", query=slice(None, None, -1))
    assert torch.equal(backwards, flagship["encoder.5.self.q"].flip(1))


def test_what_a_head_writes_needs_the_model(flagship: engine.Trace, minilm: engine.Model, tiny: engine.Model) -> None:
    data = flagship.to_bytes()
    with pytest.raises(UnknownSite, match="from_bytes"):
        engine.Trace.from_bytes(data)["encoder.0.self.by_head"]
    again = engine.Trace.from_bytes(data, minilm)
    assert torch.equal(again["encoder.0.self.by_head"], flagship["encoder.0.self.by_head"])
    with pytest.raises(BadInput, match="not of these weights"):
        engine.Trace.from_bytes(data, tiny)


FORGED = [safetensors.torch.save({}, {"headlight": text}) for text in ("{}", "[]", "7", "{")]


@pytest.mark.parametrize("data", [b"", b"hello", b"\x02\0\0\0\0\0\0\0{}", bytes(64), *FORGED])
def test_bytes_that_are_no_trace_say_so(data: bytes) -> None:
    with pytest.raises(BadInput, match="not a Headlight trace"):
        engine.Trace.from_bytes(data)


def test_what_was_not_captured_is_named(tiny: engine.Model) -> None:
    trace = engine.trace(tiny, "the cat", capture=engine.Capture(sites=("*.resid.*",)))
    assert "encoder.0.resid.pre" in trace.tensors
    with pytest.raises(UnknownSite, match=r"derived from encoder\.0\.self\.[qkz], which was not captured"):
        trace["encoder.0.self.pattern"]


def test_the_digest_changes_with_everything_that_determines_the_result(
    minilm: engine.Model, tiny: engine.Model
) -> None:
    others: list[dict[str, Any]] = [
        {"sha256": "0" * 64},
        {"config": replace(minilm.config, activation="relu")},
        {"network": copy.deepcopy(minilm.network).double()},
        {"card": replace(minilm.card, id="another")},
    ]
    digests = {
        engine.digest(minilm, minilm.inputs("a cat")),
        engine.digest(minilm, minilm.inputs("a  cat")),  # the same ids at other places
        engine.digest(minilm, minilm.inputs("a cat ")),  # the same tokens of another text
        engine.digest(minilm, minilm.inputs("a cat", pair="a cat")),
        engine.digest(minilm, minilm.inputs("a cat"), seed=1),
        engine.digest(minilm, minilm.inputs("a cat"), capture=engine.Capture(sites=("*.q",))),
        engine.digest(minilm, minilm.inputs("a cat"), patches=[engine.Zero("encoder.0.self.z")]),
        engine.digest(tiny, tiny.inputs("a cat")),
        *(engine.digest(replace(minilm, **other), minilm.inputs("a cat")) for other in others),
    }
    assert len(digests) == 8 + len(others)
    assert engine.trace(minilm, "a cat").digest == engine.digest(minilm, minilm.inputs("a cat")) in digests
