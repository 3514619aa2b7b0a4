"""Gradients: against finite differences, and against torch's own way back through time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import engine
from engine import Logit, Loss, Number, Scale, Zero
from engine.errors import BadIndex, BadInput
from tests.engine.parity import saved
from tests.engine.test_recurrent import IDS, KINDS, TORCH, network


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> engine.Model:
    folder = tmp_path_factory.mktemp("gpt2")
    saved("gpt2", folder)
    return engine.load(folder, dtype=torch.float64)


def logit(trace: engine.Trace, of: Logit) -> float:
    assert of.position is not None
    return float(trace["decoder.logits"][of.position, of.token])


@pytest.mark.parametrize(
    "address",
    ["decoder.0.resid.pre", "decoder.1.self.q", "decoder.1.self.pattern", "decoder.2.mlp.post", "decoder.1.self.z"],
)
def test_a_gradient_is_what_a_small_change_does(gpt2: engine.Model, address: str) -> None:
    inputs, of = gpt2.inputs(ids={"decoder": IDS}), Logit(token=8, position=6)
    gradient = engine.gradients(gpt2, inputs, of=of, sites=[address])[address]
    value = engine.trace(gpt2, inputs)[address]
    step = 1e-6
    up, down = (logit(engine.trace(gpt2, inputs, patches=[Scale(address, 1 + sign * step)]), of) for sign in (1, -1))
    # Scaling by 1 ± ε moves the value along itself, so the logit moves by ε times gradient · value.
    assert (gradient * value).sum().item() == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-8)
    assert gradient.shape == value.shape


@pytest.mark.parametrize("position", [None, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_way_back_through_time_agrees_with_torch(kind: str, position: int | None, tmp_path: Path) -> None:
    model = network(tmp_path, kind=kind, vocabulary=11)
    found = engine.gradients(
        model, model.inputs(ids={"sequence": IDS}), of=Loss(position), sites=["*.hidden", "*.cell"]
    )
    cell = {"rnn": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}[kind](5, 6).double()
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in model.network.forwards[0].cell.state_dict().items()})
    state = torch.zeros(1, 6, dtype=torch.float64)
    carried = (state, state) if kind == "lstm" else state
    hidden, kept = [], []
    for id in IDS:
        carried = cell(model.network.token.weight[[id]], carried)
        state, *memory = carried if kind == "lstm" else (carried,)
        hidden.append(state)
        kept += memory
        for one in (state, *memory):
            one.retain_grad()
    logits = model.network.output(torch.cat(hidden))
    asked = slice(0, len(IDS) - 1) if position is None else slice(position, position + 1)
    F.cross_entropy(logits[asked], torch.tensor(IDS[1:])[asked]).backward()
    for part, states in ({"hidden": hidden} | ({"cell": kept} if kept else {})).items():
        expected = torch.cat([h.grad if h.grad is not None else torch.zeros_like(h) for h in states])
        torch.testing.assert_close(found[f"sequence.0.cell.{part}"], expected, rtol=1e-9, atol=1e-12)
    assert kind in TORCH


def fused(model: engine.Model, kind: str, inputs: Tensor) -> Tensor:
    """The states of torch's own layer with the model's weights, kept for their gradients."""
    layer = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind]
    cell = layer(inputs.shape[-1], model.config.hidden, batch_first=True).double()
    cell.load_state_dict(model.network.forwards[0].cell.state_dict())
    states: Tensor = cell(inputs)[0]
    return states


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_is_blamed_on_every_state(kind: str, tmp_path: Path) -> None:
    model = network(tmp_path, kind=kind, task="number", vocabulary=None)
    inputs = model.inputs("1 1 2 3 5 8")
    found = engine.gradients(model, inputs, of=Number(), sites=["*.input"])["sequence.0.cell.input"]
    x = torch.tensor([[[1.0], [1], [2], [3], [5], [8]]], dtype=torch.float64, requires_grad=True)
    model.network.output(fused(model, kind, x)[0, -1]).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(found, x.grad[0], rtol=1e-9, atol=1e-12)
    hidden = engine.gradients(model, inputs, of=Number(), sites=["*.hidden"])["sequence.0.cell.hidden"]
    assert (hidden.norm(dim=1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokens_class_is_blamed_on_the_states_before_it(kind: str, tmp_path: Path) -> None:
    model = network(tmp_path, kind=kind, task="token-class", vocabulary=11, labels=("O", "B", "I"))
    inputs = model.inputs(ids={"sequence": IDS})
    found = engine.gradients(model, inputs, of=Logit(2, 3), sites=["*.input"])["sequence.0.cell.input"]
    x = model.network.token.weight[IDS][None].detach().requires_grad_()
    model.network.output(fused(model, kind, x)[0, 3])[2].backward()
    assert x.grad is not None
    torch.testing.assert_close(found, x.grad[0], rtol=1e-9, atol=1e-12)
    assert found[4:].abs().max() == 0
    with pytest.raises(BadIndex, match="class"):
        engine.gradients(model, inputs, of=Logit(3, 3))
    with pytest.raises(BadInput, match="name the position"):
        engine.gradients(model, inputs, of=Logit(2))
    with pytest.raises(BadInput, match="no number"):
        engine.gradients(model, inputs, of=Number())


def test_under_patches_it_is_the_gradient_of_what_was_changed(gpt2: engine.Model) -> None:
    inputs, of = gpt2.inputs(ids={"decoder": IDS}), Logit(token=8, position=6)
    cut = [Zero("decoder.2.self.z"), Scale("decoder.1.self.z", 0.3)]
    found = engine.gradients(gpt2, inputs, of=of, sites=["decoder.1.self.z", "decoder.2.self.q"], patches=cut)
    assert found["decoder.2.self.q"].abs().max() == 0  # nothing of it gets through
    value, step = engine.trace(gpt2, inputs, patches=cut)["decoder.1.self.z"], 1e-6
    up, down = (
        logit(engine.trace(gpt2, inputs, patches=[*cut, Scale("decoder.1.self.z", 1 + sign * step)]), of)
        for sign in (1, -1)
    )
    expected = (up - down) / (2 * step)
    assert (found["decoder.1.self.z"] * value).sum().item() == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_nothing_of_the_model_is_changed(gpt2: engine.Model) -> None:
    inputs = gpt2.inputs(ids={"decoder": IDS})
    before = engine.trace(gpt2, inputs).to_bytes()
    engine.gradients(gpt2, inputs, of=Loss())
    assert engine.trace(gpt2, inputs).to_bytes() == before
    assert all(p.grad is None and not p.requires_grad for p in gpt2.network.parameters())


def test_what_has_no_gradient_says_so(gpt2: engine.Model, tiny: engine.Model) -> None:
    inputs = gpt2.inputs(ids={"decoder": IDS})
    with pytest.raises(BadIndex, match="position"):
        engine.gradients(gpt2, inputs, of=Logit(0, 7))
    with pytest.raises(BadIndex, match="position"):
        engine.gradients(gpt2, inputs, of=Loss(len(IDS) - 1))  # nothing comes after the last one
    with pytest.raises(BadIndex, match="token"):
        engine.gradients(gpt2, inputs, of=Logit(67, 0))
    with pytest.raises(BadInput, match="no class"):
        engine.gradients(gpt2, inputs, of=Logit(0))
    with pytest.raises(BadInput, match="two tokens"):
        engine.gradients(gpt2, gpt2.inputs(ids={"decoder": [3]}), of=Loss())
    with pytest.raises(BadInput, match="no head"):
        engine.gradients(tiny, "the cat", of=Loss())
