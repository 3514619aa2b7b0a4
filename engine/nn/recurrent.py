"""Recurrent cells, written out; torch's fused kernels run instead while nobody changes what happens inside a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.tap import SILENT, Tap

State = tuple[Tensor, ...]
"""What a cell carries from step to step, each (batch, hidden): (hidden,), or (hidden, cell) for an LSTM."""

FUSED: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
GATES: dict[str, tuple[str, ...]] = {
    "rnn": (),
    "lstm": ("gate.input", "gate.forget", "gate.candidate", "gate.output"),
    "gru": ("gate.reset", "gate.update", "gate.candidate"),
}


class Recurrent(nn.Module):
    """One layer, one direction, of a simple RNN (Elman 1990), an LSTM (Hochreiter & Schmidhuber 1997) or a GRU (Cho 2014).

    With `reverse`, the text is read from its end; what is shown still stands in the text's own order.
    """

    def __init__(self, kind: str, inputs: int, hidden: int, *, reverse: bool = False) -> None:
        super().__init__()
        self.kind, self.hidden, self.reverse = kind, hidden, reverse
        self.cell = FUSED[kind](inputs, hidden, batch_first=True)

    def start(self, x: Tensor) -> State:
        """The state before anything was read."""
        nothing = x.new_zeros(x.shape[0], self.hidden)
        return (nothing, nothing) if self.kind == "lstm" else (nothing,)

    def forward(self, x: Tensor, state: State | None = None, *, tap: Tap = SILENT) -> tuple[Tensor, State]:
        """States after each position, (batch, position, hidden), and the last one.

        Shows `input` and `hidden`, and where a step is changed from outside, every gate of every step as well.
        """
        state = self.start(x) if state is None else state
        x = tap("input", x)
        tap("start.hidden", state[0])
        if self.kind == "lstm":
            tap("start.cell", state[1])
        order = range(x.shape[1] - 1, -1, -1) if self.reverse else range(x.shape[1])
        if tap.wants(*GATES[self.kind], "cell", "hidden"):
            states = {}
            for step in order:
                state = self.step(x[:, step], state, tap=tap.during(step))
                states[step] = state[0]
            return torch.stack([states[step] for step in range(x.shape[1])], 1), state
        carried = tuple(part[None].contiguous() for part in state)
        text = x.flip(1) if self.reverse else x
        hidden, last = self.cell(text, carried if self.kind == "lstm" else carried[0])
        last = last if self.kind == "lstm" else (last,)
        return tap("hidden", hidden.flip(1) if self.reverse else hidden), tuple(part[0] for part in last)

    def step(self, x: Tensor, state: State, *, tap: Tap = SILENT) -> State:
        """One time step, from `x` (batch, inputs) and the state before it."""
        inputs, carried = self.sums(x, state[0])
        gates, cell = self.inside(inputs, carried, state[-1], tap)
        if self.kind == "lstm":
            cell = tap("cell", cell)
            return tap("hidden", gates["gate.output"] * torch.tanh(cell)), cell
        return (tap("hidden", cell),)

    def sums(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """W x + b and U h + c for all gates at once: (..., gates · hidden) each."""
        cell = self.cell
        weights = cell.weight_ih_l0, cell.bias_ih_l0, cell.weight_hh_l0, cell.bias_hh_l0
        w, b, u, c = weights
        return nn.functional.linear(x, w, b), nn.functional.linear(hidden, u, c)

    def inside(self, inputs: Tensor, carried: Tensor, before: Tensor, tap: Tap) -> tuple[dict[str, Tensor], Tensor]:
        """The gates, and what they make of the state before: the LSTM's cell, or else the new hidden state."""
        if self.kind == "rnn":
            return {}, torch.tanh(inputs + carried)
        gates = {name: tap(name, gate) for name, gate in self.gates(inputs, carried).items()}
        if self.kind == "lstm":
            return gates, gates["gate.forget"] * before + gates["gate.input"] * gates["gate.candidate"]
        return gates, (1 - gates["gate.update"]) * gates["gate.candidate"] + gates["gate.update"] * before

    def gates(self, inputs: Tensor, carried: Tensor) -> dict[str, Tensor]:
        """Every gate by name, of the two sums; in torch's order, which is that of checkpoints."""
        if self.kind == "lstm":
            i, f, g, o = (inputs + carried).chunk(4, -1)
            parts: Sequence[Tensor] = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid())
        else:
            (ri, zi, ni), (rc, zc, nc) = inputs.chunk(3, -1), carried.chunk(3, -1)
            reset = (ri + rc).sigmoid()
            parts = (reset, (zi + zc).sigmoid(), (ni + reset * nc).tanh())
        return dict(zip(GATES[self.kind], parts, strict=True))

    def look_inside(self, x: Tensor, hidden: Tensor, start: Tensor, start_cell: Tensor | None) -> dict[str, Tensor]:
        """Gates and cell of every step, (position, hidden), from what the fused kernel was given and gave.

        `x` is (position, inputs) and `hidden` (position, hidden), in the text's order; `start` is (hidden,). All gates
        are one matrix product, since every state is known by now; only the LSTM's cell is added up step by step.
        """
        order = slice(None) if not self.reverse else torch.arange(len(x) - 1, -1, -1, device=x.device)
        x, hidden = x[order], hidden[order]
        before = torch.cat([start[None], hidden[:-1]])
        if self.kind == "rnn":
            return {}
        found = self.gates(*self.sums(x, before))
        if self.kind == "lstm":
            assert start_cell is not None
            cell, cells = start_cell, []
            kept, added = found["gate.forget"], found["gate.input"] * found["gate.candidate"]
            for step in range(len(x)):
                cell = kept[step] * cell + added[step]
                cells.append(cell)
            found["cell"] = torch.stack(cells)
        return {name: value[order] for name, value in found.items()}
