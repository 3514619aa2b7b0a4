"""Interventions: each operation does what its name says, and only where it was asked to."""

from __future__ import annotations

import pytest
import torch

import engine
from engine import Copy, Knockout, Mean, Scale, Zero
from engine.errors import BadIndex, BadPatch

TEXT = "the animal did not cross the street because it was too tired"


def test_a_knockout_removes_one_edge_and_the_row_still_sums_to_one(tiny: engine.Model) -> None:
    plain = engine.trace(tiny, TEXT)
    cut = engine.trace(tiny, TEXT, patches=[Knockout("encoder.1.self.scores", head=2, query=9, key=2)])
    before, after = plain["encoder.1.self.pattern"], cut["encoder.1.self.pattern"]
    assert before[2, 9, 2] > 0
    assert after[2, 9, 2] == 0
    expected = before[2, 9].clone()
    expected[2] = 0
    torch.testing.assert_close(after[2, 9], expected / expected.sum())
    others = torch.ones_like(before, dtype=torch.bool)
    others[2, 9] = False
    torch.testing.assert_close(after[others], before[others])
    torch.testing.assert_close(cut["encoder.1.self.z"], after @ plain["encoder.1.self.v"])
    assert not torch.equal(cut["encoder.2.resid.post"], plain["encoder.2.resid.post"])


def test_a_row_that_may_look_nowhere_takes_nothing(tiny: engine.Model) -> None:
    blind = engine.trace(tiny, TEXT, patches=[Knockout("encoder.1.self.scores", head=2, query=9)])
    assert (blind["encoder.1.self.pattern"][2, 9] == 0).all()
    assert (blind["encoder.1.self.z"][2, 9] == 0).all()
    assert blind["encoder.2.resid.post"].isfinite().all()


def test_places_are_a_set(tiny: engine.Model) -> None:
    one, same = (Zero("encoder.1.self.z", head=heads, query=3) for heads in ([1, 2], [2, 1, 1]))
    assert engine.digest(tiny, tiny.inputs(TEXT), patches=[one]) == engine.digest(
        tiny, tiny.inputs(TEXT), patches=[same]
    )


def test_zero_at_the_pattern_cuts_without_renormalising(tiny: engine.Model) -> None:
    plain = engine.trace(tiny, TEXT)["encoder.1.self.pattern"]
    cut = engine.trace(tiny, TEXT, patches=[Zero("encoder.1.self.pattern", head=2, query=9, key=2)])
    expected = plain.clone()
    expected[2, 9, 2] = 0
    torch.testing.assert_close(cut["encoder.1.self.pattern"], expected)


def test_zero_scale_and_mean_change_only_what_was_chosen(tiny: engine.Model) -> None:
    plain = engine.trace(tiny, TEXT)["encoder.0.self.z"]
    zero = engine.trace(tiny, TEXT, patches=[Zero("encoder.0.self.z", head=1)])["encoder.0.self.z"]
    assert (zero[1] == 0).all()
    assert torch.equal(zero[[0, 2, 3]], plain[[0, 2, 3]])
    scaled = engine.trace(tiny, TEXT, patches=[Scale("encoder.0.self.z", 0.5, query=[0, 3])])["encoder.0.self.z"]
    assert torch.equal(scaled[:, [0, 3]], plain[:, [0, 3]] * 0.5)
    assert torch.equal(scaled[:, 4:], plain[:, 4:])
    mean = engine.trace(tiny, TEXT, patches=[Mean("encoder.0.resid.mid")])
    torch.testing.assert_close(
        mean["encoder.0.resid.mid"],
        engine.trace(tiny, TEXT)["encoder.0.resid.mid"].mean(0, keepdim=True).expand_as(mean["encoder.0.resid.mid"]),
    )


def test_patching_the_statistics_of_a_norm_takes_effect(tiny: engine.Model) -> None:
    plain = engine.trace(tiny, TEXT)
    same = engine.trace(tiny, TEXT, patches=[Scale("encoder.1.self.norm.scale", 1.0)])
    torch.testing.assert_close(same["encoder.2.resid.post"], plain["encoder.2.resid.post"])
    patched = engine.trace(tiny, TEXT, patches=[Scale("encoder.1.self.norm.scale", 2.0)])
    bias = tiny.network.get_parameter("layers.1.attention_norm.bias")
    torch.testing.assert_close(patched["encoder.1.resid.mid"] - bias, 2 * (plain["encoder.1.resid.mid"] - bias))


def test_only_patched_layers_leave_the_fused_kernel(tiny: engine.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.nn.functional as F

    calls, fused = [], F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or fused(*a, **k))
    engine.trace(tiny, TEXT)
    assert len(calls) == tiny.config.layers
    calls.clear()
    engine.trace(tiny, TEXT, patches=[Knockout("encoder.1.self.scores", head=0, query=1, key=2)])
    assert len(calls) == tiny.config.layers - 1


def test_a_patched_trace_has_its_own_digest_and_survives_saving(tiny: engine.Model) -> None:
    patches = [Knockout("encoder.1.self.scores", head=2, query=9, key=2)]
    plain, cut = engine.trace(tiny, TEXT), engine.trace(tiny, TEXT, patches=patches)
    assert plain.digest != cut.digest
    assert engine.digest(tiny, tiny.inputs(TEXT), patches=patches) == cut.digest
    again = engine.Trace.from_bytes(cut.to_bytes(), tiny)
    assert again.patches == (
        {"operation": "knockout", "address": "encoder.1.self.scores", "where": {"head": [2], "query": [9], "key": [2]}},
    )
    assert torch.equal(again["encoder.1.self.pattern"], cut["encoder.1.self.pattern"])


@pytest.mark.parametrize(
    ("patch", "error", "says"),
    [
        (lambda: Zero("encoder.1.self.zz"), BadPatch, "encoder.1.self.z"),
        (lambda: Zero("encoder.1.self.by_head"), BadPatch, "only derived afterwards"),
        (lambda: Knockout("encoder.1.self.pattern", query=1), BadPatch, "Zero on the pattern"),
        (lambda: Zero("encoder.1.self.z", key=1), BadPatch, "no axis 'key'"),
        (lambda: Zero("encoder.1.self.z", head=4), BadIndex, "head goes from 0 to 3"),
        (lambda: Mean("encoder.1.self.norm.mean", model=1), BadPatch, "no axis 'model'"),
    ],
)
def test_a_patch_that_does_not_fit_says_so(tiny: engine.Model, patch: object, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        engine.trace(tiny, TEXT, patches=[patch()])  # type: ignore[operator]


OTHER = "the animal did not cross the street because it was too wide"


def test_a_copy_puts_in_what_the_other_trace_has(tiny: engine.Model) -> None:
    plain, other = engine.trace(tiny, TEXT), engine.trace(tiny, OTHER)
    patched = engine.trace(tiny, TEXT, patches=[Copy("encoder.1.resid.post", other)])
    torch.testing.assert_close(patched["encoder.2.resid.post"], other["encoder.2.resid.post"])
    one = engine.trace(tiny, TEXT, patches=[Copy("encoder.1.resid.post", other, {3: 5, 4: 0})])["encoder.1.resid.post"]
    expected = plain["encoder.1.resid.post"].clone()
    expected[3], expected[4] = other["encoder.1.resid.post"][5], other["encoder.1.resid.post"][0]
    torch.testing.assert_close(one, expected)
    head = engine.trace(tiny, TEXT, patches=[Copy("encoder.1.self.z", other, head=2)])["encoder.1.self.z"]
    assert torch.equal(head[2], other["encoder.1.self.z"][2])
    assert torch.equal(head[1], plain["encoder.1.self.z"][1])


def test_a_copy_from_a_text_of_another_length_needs_positions(tiny: engine.Model) -> None:
    short = engine.trace(tiny, "the cat")
    with pytest.raises(BadPatch, match="Name the positions"):
        engine.trace(tiny, TEXT, patches=[Copy("encoder.1.resid.post", short)])
    patched = engine.trace(tiny, TEXT, patches=[Copy("encoder.1.resid.post", short, {9: 2})])["encoder.1.resid.post"]
    assert torch.equal(patched[9], short["encoder.1.resid.post"][2])
    with pytest.raises(BadIndex):
        Copy("encoder.1.resid.post", short, {9: 99})
    with pytest.raises(BadIndex):
        engine.trace(tiny, TEXT, patches=[Copy("encoder.1.resid.post", short, {99: 1})])
    with pytest.raises(BadPatch, match="no single axis"):
        Copy("encoder.1.self.pattern", short, {9: 2})


def test_a_patched_trace_remembers_its_parent(tiny: engine.Model) -> None:
    patched = engine.trace(tiny, TEXT, patches=[Zero("encoder.1.self.z", head=1)])
    assert patched.parent == engine.trace(tiny, TEXT).digest
    assert engine.trace(tiny, TEXT).parent is None
    assert engine.Trace.from_bytes(patched.to_bytes()).parent == patched.parent
