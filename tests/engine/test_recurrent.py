"""Recurrent networks: cells against torch's own, the decoder against one written here from torch's parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import engine
from engine import checkpoint
from engine.errors import BadInput, CheckpointError, EmptyText, TooLong, UnknownSite
from engine.models import recurrent, seq2seq
from engine.nn.recurrent import GATES, Recurrent
from engine.sites import sites_of
from engine.tap import Capture, Recorder

KINDS = ("rnn", "gru", "lstm")
TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def watched(cell: Recurrent, *, explicit: bool) -> Recorder:
    from engine.nn.recurrent import recurrent_sites

    sites = {s.address: s for s in sites_of(recurrent_sites(cell.kind), "encoder", 0, "cell")}
    return Recorder(sites, Capture(derived=("*",) if explicit else ()))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_written_out_cell_agrees_with_torch_to_1e_10(kind: str, reverse: bool) -> None:
    torch.manual_seed(0)
    cell = Recurrent(kind, 5, 7, reverse=reverse).double()
    theirs = TORCH[kind](5, 7, batch_first=True).double()
    theirs.load_state_dict(cell.cell.state_dict())
    x = torch.randn(3, 11, 5, dtype=torch.float64)
    expected, _ = theirs(x.flip(1) if reverse else x)
    expected = expected.flip(1) if reverse else expected
    recorder = watched(cell, explicit=True)
    explicit, _ = cell(x, tap=recorder.at("encoder", 0, "cell"))
    fused, _ = cell(x)
    assert (explicit - expected).abs().max() < 1e-10
    assert (fused - expected).abs().max() < 1e-10
    tensors = recorder.finish()
    assert {f"encoder.0.cell.{gate}" for gate in GATES[kind]} <= tensors.keys()
    assert torch.equal(tensors["encoder.0.cell.hidden"], explicit)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_leaves_the_state_as_it_was(kind: str, reverse: bool) -> None:
    torch.manual_seed(1)
    cell = Recurrent(kind, 5, 7, reverse=reverse).double()
    lengths = torch.tensor([9, 4, 6])
    mask = torch.arange(9) < lengths[:, None]
    x = torch.randn(3, 9, 5, dtype=torch.float64)
    fused, last = cell(x, None, mask)
    stepped, last_stepped = cell(x, None, mask, tap=watched(cell, explicit=True).at("encoder", 0, "cell"))
    for row, length in enumerate(lengths):
        alone, end = cell(x[[row], :length])
        torch.testing.assert_close(fused[[row], :length], alone)
        torch.testing.assert_close(stepped[[row], :length], alone)
        for part, whole, other in zip(end, last, last_stepped, strict=True):
            torch.testing.assert_close(whole[[row]], part)
            torch.testing.assert_close(other[[row]], part)


CASES = [
    {"kind": kind, "attention": attention, "bidirectional": both, "layers": layers}
    for kind, attention, both, layers in [
        ("gru", "additive", True, 1),
        ("lstm", "additive", True, 2),
        ("rnn", "additive", False, 1),
        ("lstm", "dot", False, 1),
        ("gru", "general", True, 2),
        ("lstm", "concat", True, 1),
        ("gru", None, True, 1),
        ("lstm", None, False, 2),
    ]
]


def name(case: dict[str, Any]) -> str:
    return "-".join(str(value) for value in case.values())


@pytest.fixture(params=CASES, ids=name)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> engine.Model:
    """A tiny random network, saved and loaded as any other checkpoint."""
    sizes = {"vocabulary": 31, "target_vocabulary": 29, "embedding": 6, "hidden": 8, "attention_width": 5}
    torch.manual_seed(2)
    config = seq2seq.Config(**sizes, **request.param)
    network = seq2seq.Seq2Seq(config).double()
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter) * 0.5
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "seq2seq", **vars(config)}))
    checkpoint.save(network, seq2seq.rules(config), tmp_path / "model.safetensors")
    return engine.load(tmp_path, dtype=torch.float64)


SOURCE, TARGET = [3, 14, 15, 9, 2, 6, 5], [0, 3, 5, 8, 9]


def reference(model: engine.Model, source: list[int], target: list[int]) -> tuple[Tensor, Tensor | None]:
    """Logits and alignment by torch's own modules and plain arithmetic, one input at a time."""
    c, net = model.config, model.network
    layers = c.layers
    theirs = TORCH[c.kind](c.embedding, c.hidden, layers, batch_first=True, bidirectional=c.bidirectional).double()
    state = {}
    for layer in range(layers):
        for suffix, cells in (("", net.encoder.forwards), ("_reverse", net.encoder.backwards)):
            if len(cells):
                state |= {f"{key[:-1]}{layer}{suffix}": v for key, v in cells[layer].cell.state_dict().items()}
    theirs.load_state_dict(state)
    memory, last = theirs(net.encoder.token.weight[source][None])
    lasts = last if c.kind == "lstm" else (last,)
    both = 1 + c.bidirectional
    bridges = iter(net.decoder.bridges)
    states = []
    for layer in range(layers):
        finals = [part[layer * both : (layer + 1) * both].transpose(0, 1).flatten(1) for part in lasts]
        states.append([next(bridges)(final).tanh()[None] for final in finals])
    steps = [TORCH[c.kind](cell.cell.input_size, c.hidden, batch_first=True).double() for cell in net.decoder.cells]
    for step, cell in zip(steps, net.decoder.cells, strict=True):
        step.load_state_dict(cell.cell.state_dict())
    align, h = net.decoder.alignment, memory[0]

    def look(s: Tensor) -> tuple[Tensor, Tensor]:
        if c.attention in ("additive", "concat"):
            e = torch.stack(
                [align.weight @ torch.tanh(align.q.weight @ s + align.k.weight @ x + align.k.bias) for x in h]
            )
        else:
            e = torch.stack([s @ (x if c.attention == "dot" else align.k.weight @ x) for x in h])
        a = torch.exp(e) / torch.exp(e).sum()
        return a, sum(w * x for w, x in zip(a, h, strict=True))

    logits, alphas = [], []
    for id in target:
        y = net.decoder.token.weight[id]
        x, context = y, None
        if c.attention == "additive":
            alpha, context = look(states[-1][0][0, 0])
            alphas.append(alpha)
            x = torch.cat([y, context])
        for layer, step in enumerate(steps):
            given = tuple(states[layer]) if c.kind == "lstm" else states[layer][0]
            out, after = step(x[None, None], given)
            states[layer] = list(after) if c.kind == "lstm" else [after]
            x = out[0, 0]
        parts = [x]
        if c.attention == "additive":
            parts += [context, y]
        elif c.attention:
            alpha, context = look(x)
            alphas.append(alpha)
            parts.append(context)
        logits.append(net.output(torch.tanh(net.decoder.readout(torch.cat(parts)))))
    return torch.stack(logits), torch.stack(alphas) if alphas else None


def test_a_decoder_agrees_with_one_of_torchs_parts(model: engine.Model) -> None:
    if model.config.attention == "dot":
        assert model.config.memory == model.config.hidden  # s · h needs equal widths
    trace = engine.trace(model, ids={"encoder": SOURCE, "decoder": TARGET})
    with torch.inference_mode():
        logits, alignment = reference(model, SOURCE, TARGET)
    assert (trace["decoder.logits"] - logits).abs().max() < 1e-10
    if alignment is None:
        assert trace.blocks == ()
        with pytest.raises(UnknownSite, match="no attention at all"):
            engine.attention(trace)
    else:
        assert (trace["decoder.0.cross.pattern"][0] - alignment).abs().max() < 1e-10


def test_derived_gates_and_maps_equal_those_of_the_explicit_path(model: engine.Model) -> None:
    ids = {"encoder": SOURCE, "decoder": TARGET}
    fused, explicit = engine.trace(model, ids=ids), engine.trace(model, ids=ids, capture=Capture(derived=("*",)))
    derived = [a for a, site in model.sites.items() if site.derived and site.observable]
    assert any(".cell" in address for address in derived) or model.config.kind == "rnn"
    for address in derived:
        assert address not in fused.tensors
        torch.testing.assert_close(fused[address], explicit.tensors[address], rtol=1e-10, atol=1e-12)
    assert explicit.tensors.keys() == {a for a, site in model.sites.items() if site.observable}
    for address in fused.addresses():
        assert fused[address].shape == tuple(fused.sizes(address).values()), address
    if model.blocks:
        pattern = fused["decoder.0.cross.pattern"]
        torch.testing.assert_close(pattern.sum(-1), torch.ones(1, len(TARGET), dtype=torch.float64))
        torch.testing.assert_close(pattern @ fused["decoder.0.cross.v"], fused["decoder.0.cross.z"])
        part = fused.slice("decoder.0.cross.pattern", query=[4, 1], key=[2, 6])
        torch.testing.assert_close(part, pattern[:, [4, 1]][:, :, [2, 6]])


def test_padding_of_the_source_changes_nothing(model: engine.Model) -> None:
    source, target = torch.tensor([SOURCE + [0] * 4]), torch.tensor([TARGET])
    mask = torch.arange(source.shape[1])[None] < len(SOURCE)
    with torch.inference_mode():
        padded = model.network(source, target, mask)
        alone = model.network(torch.tensor([SOURCE]), target)
    torch.testing.assert_close(padded, alone)


def test_states_and_alignment_can_be_patched(model: engine.Model) -> None:
    ids = {"encoder": SOURCE, "decoder": TARGET}
    plain = engine.trace(model, ids=ids)
    hidden = engine.trace(model, ids=ids, patches=[engine.Zero("encoder.0.cell.hidden", position=3)])
    assert (hidden["encoder.0.cell.hidden"][3] == 0).all()
    torch.testing.assert_close(hidden["encoder.0.cell.hidden"][:3], plain["encoder.0.cell.hidden"][:3])
    assert not torch.equal(hidden["encoder.0.cell.hidden"][4], plain["encoder.0.cell.hidden"][4])
    if model.blocks:
        cut = engine.Knockout("decoder.0.cross.scores", query=2, key=5)
        patched = engine.trace(model, ids=ids, patches=[cut])["decoder.0.cross.pattern"]
        before = plain["decoder.0.cross.pattern"]
        torch.testing.assert_close(patched[:, :2], before[:, :2])
        expected = before[0, 2].clone()
        expected[5] = 0
        torch.testing.assert_close(patched[0, 2], expected / expected.sum())
    if model.config.kind == "lstm":
        forget = engine.Zero("decoder.0.cell.gate.forget", position=1)
        trace = engine.trace(model, ids=ids, patches=[forget])
        assert (trace["decoder.0.cell.gate.forget"][1] == 0).all()
        assert not torch.equal(trace["decoder.0.cell.hidden"][1], plain["decoder.0.cell.hidden"][1])


def test_a_trace_survives_saving(model: engine.Model) -> None:
    trace = engine.trace(model, ids={"encoder": SOURCE, "decoder": TARGET})
    again = engine.Trace.from_bytes(trace.to_bytes(), model)
    assert again.to_bytes() == trace.to_bytes()
    for address in trace.addresses():
        torch.testing.assert_close(again[address], trace[address])


def network(folder: Path, **sizes: Any) -> engine.Model:
    """A tiny random network over one sequence, saved and loaded as any other checkpoint."""
    torch.manual_seed(6)
    config = recurrent.Config(**{"embedding": 5, "hidden": 6, **sizes})
    built = recurrent.Network(config).double()
    for parameter in built.parameters():
        parameter.data = torch.randn_like(parameter) * 0.5
    (folder / "config.json").write_text(json.dumps({"model_type": "recurrent", **vars(config)}))
    checkpoint.save(built, recurrent.rules(config), folder / "model.safetensors")
    return engine.load(folder, dtype=torch.float64)


def states(model: engine.Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """What torch's own stack of layers gives: states (position, width) and the last of each direction, (width,)."""
    c = model.config
    theirs = TORCH[c.kind](x.shape[-1], c.hidden, c.layers, batch_first=True, bidirectional=c.bidirectional).double()
    state = {}
    for suffix, cells in (("", model.network.forwards), ("_reverse", model.network.backwards)):
        for layer, cell in enumerate(cells):
            state |= {f"{key[:-1]}{layer}{suffix}": v for key, v in cell.cell.state_dict().items()}
    theirs.load_state_dict(state)
    hidden, last = theirs(x[None])
    last = last[0] if c.kind == "lstm" else last
    return hidden[0], last[-(1 + c.bidirectional) :, 0].flatten()


IDS = [3, 1, 4, 1, 5, 9, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_next_token_network_agrees_with_torch(kind: str, tmp_path: Path) -> None:
    model = network(tmp_path, kind=kind, vocabulary=11, layers=2)
    trace = engine.trace(model, ids={"sequence": IDS})
    with torch.inference_mode():
        hidden, _ = states(model, model.network.token.weight[IDS])
        logits = model.network.output(hidden)
    assert (trace["sequence.1.cell.hidden"] - hidden).abs().max() < 1e-10
    assert trace.prediction is not None
    (answer,) = trace.prediction["positions"]
    assert [entry["id"] for entry in answer["top"][:3]] == logits[-1].topk(3).indices.tolist()


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("pool", [None, 4])
def test_a_class_of_the_whole_agrees_with_torch(both: bool, pool: int | None, tmp_path: Path) -> None:
    labels = ("negative", "positive")
    sizes = {"kind": "lstm", "task": "class", "vocabulary": 11, "layers": 2, "bidirectional": both, "pool": pool}
    model = network(tmp_path, labels=labels, **sizes)
    trace = engine.trace(model, ids={"sequence": IDS})
    with torch.inference_mode():
        hidden, last = states(model, model.network.token.weight[IDS])
        if pool is not None:
            net = model.network.pool
            alpha = torch.softmax(torch.stack([net.weight @ torch.tanh(net.k(h)) for h in hidden]), 0)
            last = alpha @ hidden
            assert (trace["sequence.0.pool.pattern"][0, 0] - alpha).abs().max() < 1e-10
        shares = model.network.output(last).softmax(-1)
    assert trace.prediction is not None
    assert [label["label"] for label in trace.prediction["labels"]] == list(labels)
    assert [label["probability"] for label in trace.prediction["labels"]] == pytest.approx(shares.tolist(), abs=1e-6)


def test_a_class_for_every_token_agrees_with_torch(tmp_path: Path) -> None:
    model = network(tmp_path, kind="gru", task="token-class", vocabulary=11, bidirectional=True, labels=("a", "b", "c"))
    trace = engine.trace(model, ids={"sequence": IDS})
    with torch.inference_mode():
        best = model.network.output(states(model, model.network.token.weight[IDS])[0]).argmax(-1)
    assert trace.prediction is not None
    assert [t["label"] for t in trace.prediction["token_labels"]] == ["abc"[i] for i in best]


@pytest.mark.parametrize(("pool", "parameters"), [(None, 11), (1, 33)])
def test_the_fibonacci_networks_read_numbers_and_have_the_textbooks_parameters(
    pool: int | None, parameters: int, tmp_path: Path
) -> None:
    model = network(tmp_path, kind="rnn", task="number", hidden=2, pool=pool, steps=20)
    second_bias = 2  # Keras has one bias per unit where torch has two
    assert sum(p.numel() for p in model.network.parameters()) - second_bias == parameters
    series = [0.0, 0.1, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3]
    trace = engine.trace(model, " ".join(map(str, series)))
    with torch.inference_mode():
        hidden, last = states(model, torch.tensor(series, dtype=torch.float64)[:, None])
        if pool:
            net = model.network.pool
            alpha = torch.softmax(torch.tanh(hidden @ net.k.weight.T + net.by_step[: len(series)])[:, 0], 0)
            last = alpha @ hidden
            assert (trace["sequence.0.pool.pattern"].flatten() - alpha).abs().max() < 1e-10
        said = model.network.output(last).item()
    assert trace.prediction is not None
    assert trace.prediction["number"] == pytest.approx(said, abs=1e-10)
    assert [t.value for t in trace.tokens["sequence"]] == series
    for address in trace.addresses():
        assert trace[address].shape == tuple(trace.sizes(address).values()), address
    assert engine.Trace.from_bytes(trace.to_bytes(), model).to_bytes() == trace.to_bytes()


@pytest.mark.parametrize(
    ("text", "error"), [("1 2 x", BadInput), ("", EmptyText), ("1 inf", BadInput), ("1 " * 21, TooLong)]
)
def test_what_is_no_list_of_numbers_says_so(text: str, error: type, tmp_path: Path) -> None:
    model = network(tmp_path, kind="rnn", task="number", hidden=2, pool=1, steps=20)
    with pytest.raises(error):
        engine.trace(model, text)


@pytest.mark.parametrize("changes", [{"kind": "qrnn"}, {"task": "poetry"}, {"vocabulary": None, "task": "next-token"}])
def test_a_network_that_makes_no_sense_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    network(tmp_path, vocabulary=11)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError):
        engine.load(tmp_path)


def test_the_parameter_counts_of_textbook_recurrent_layers() -> None:
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    bias = 4 * 256  # Keras has one bias per gate where torch has two
    assert count(Recurrent("lstm", 74, 256)) - bias == 338_944
    assert count(Recurrent("lstm", 78, 256)) - bias == 343_040
    assert count(Recurrent("lstm", 64, 128)) - 4 * 128 == 98_816
    assert count(Recurrent("rnn", 1, 2)) - 2 + count(nn.Linear(2, 1)) == 11
