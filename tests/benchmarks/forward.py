"""A forward pass with every site recorded, beside the plain fused pass of `transformers` over the same files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import engine
from engine.tap import SILENT
from tests.benchmarks.networks import LENGTHS, TITLES, agree, folder, ids, plain, said
from tests.benchmarks.timing import ROUNDS, Row, at_lengths, medians, row


def measure() -> list[Row]:
    """Rows of (what, ours, peer, ratio)."""
    rows = [one for kind, title in TITLES.items() for one in beside(kind, title, folder(kind))]
    return rows + beside("bert", "MiniLM", engine.card("minilm").folder())


def beside(kind: str, title: str, place: Path, lengths: tuple[int, ...] = LENGTHS, rounds: int = ROUNDS) -> list[Row]:
    """Three rows of one network: nobody watching, everything recorded, and `transformers` recording what it can."""
    model = engine.load(place)
    fused = plain(kind, place, "sdpa")
    eager = plain(kind, place, "eager", output_attentions=True, output_hidden_states=True)
    times = []
    for length in lengths:
        tokens = ids(length)
        batch = torch.tensor([tokens])
        inputs = model.inputs(ids={model.family.stacks[0]: tokens})
        expected = said(fused(batch))
        agree(silent(model, inputs), expected)
        agree(recorded(model, inputs), expected)
        agree(said(eager(batch)), expected)
        works = (
            partial(fused, batch),
            partial(silent, model, inputs),
            partial(engine.trace, model, inputs),
            partial(eager, batch),
        )
        times.append([1e3 * seconds for seconds in medians(*works, rounds=rounds)])
    peer, alone, traced, kept = map(list, zip(*times, strict=True))
    where = at_lengths(lengths)
    return [
        row(f"{title}, nobody watching, {where}", alone, peer, "ms"),
        row(f"{title}, every site recorded, {where}", traced, peer, "ms"),
        row(f"({title}, `transformers` eager with attentions and hidden states, {where})", kept, peer, "ms"),
    ]


def silent(model: engine.Model, inputs: engine.Inputs) -> Tensor:
    """What the network says where nobody watches, at the positions that a trace holds a prediction for."""
    with torch.inference_mode():
        hidden = model.family.run(model.network, inputs.tokens, SILENT)
        asked = questions(model, inputs)
        return model.head(hidden[:, asked]) if asked else hidden


def recorded(model: engine.Model, inputs: engine.Inputs) -> Tensor:
    """The same, of the residual stream that a trace holds."""
    trace = engine.trace(model, inputs)
    last = trace[[address for address in trace.addresses() if address.endswith(".resid.post")][-1]][None]
    asked = questions(model, inputs)
    if not asked:
        return last
    logits = model.unembed(last[:, asked])
    assert logits is not None
    return logits


def questions(model: engine.Model, inputs: engine.Inputs) -> list[int]:
    """The positions whose prediction a trace holds."""
    return model.family.asks(inputs.tokens[model.family.stacks[-1]]) if model.predicts else []
