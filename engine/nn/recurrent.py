"""Recurrent cells, written out; torch's fused kernels run instead while nobody changes what happens inside a step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from engine.learned import Letters
from engine.nn.cache import Cache, read_before
from engine.tap import SILENT, Tap

State = tuple[Tensor, ...]
"""What a cell carries from step to step, each (batch, hidden): (hidden,), or (hidden, cell) for an LSTM."""

GATES: dict[str, tuple[str, ...]] = {
    "rnn": (),
    "gru": ("gate.reset", "gate.update", "gate.candidate"),
    "lstm": ("gate.input", "gate.forget", "gate.candidate", "gate.output"),
}
"""The gates of each kind of cell, in the order in which torch and its checkpoints stack them."""


def recurrent_sites(kind: str) -> tuple[str, ...]:
    """The sites of a cell of that kind."""
    memory = ("start.cell", "cell") if kind == "lstm" else ()
    return ("input", "start.hidden", *memory, *GATES[kind], "hidden")


class Recurrent(nn.Module):
    """One layer, in one direction: an RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014).

    With `reverse`, the text is read from its end; what is shown still stands in the text's own order.
    """

    def __init__(self, kind: str, inputs: int, hidden: int, *, reverse: bool = False) -> None:
        super().__init__()
        self.kind, self.hidden, self.reverse = kind, hidden, reverse
        fused = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[kind]
        self.cell: nn.RNN | nn.GRU | nn.LSTM = fused(inputs, hidden, batch_first=True)

    def letters(self) -> Letters:
        """W and b of what is read, U and c of the state before; those of all gates are one parameter."""
        gates = {"gate": len(GATES[self.kind])} if GATES[self.kind] else {}
        made = {**gates, "hidden": self.hidden}
        return {
            "cell.weight_ih_l0": ("W", {**made, "input": self.cell.input_size}),
            "cell.weight_hh_l0": ("U", {**made, "state": self.hidden}),
            "cell.bias_ih_l0": ("b", made),
            "cell.bias_hh_l0": ("c", made),
        }

    def start(self, x: Tensor) -> State:
        """The state before anything was read: zeros."""
        nothing = x.new_zeros(x.shape[0], self.hidden)
        return (nothing, nothing) if self.kind == "lstm" else (nothing,)

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        mask: Tensor | None = None,
        *,
        cache: Cache | None = None,
        tap: Tap = SILENT,
    ) -> tuple[Tensor, State]:
        """States after each position, (batch, position, hidden), and the last one.

        `mask` (batch, position) is False for padding at the end of a text, where the state stays as it was. With a
        `cache`, reading goes on from the state that it ended in before.
        """
        x = tap("input", x)
        before = None if cache is None else cache.kept("state")
        state = before or self.begin(self.start(x) if state is None else state, tap)
        hidden, state = self.run(x, state, mask, read_before(cache), tap)
        if cache is not None:
            cache.keep("state", state)
        return hidden, state

    def run(self, x: Tensor, state: State, mask: Tensor | None, first: int, tap: Tap) -> tuple[Tensor, State]:
        """As `forward`, from that state on, the first position being the text's `first`."""
        if not tap.wants(*GATES[self.kind], "cell", "hidden"):
            hidden, state = self.fused(x, state, mask)
            return tap("hidden", hidden), state
        states: dict[int, Tensor] = {}
        for at in reversed(range(x.shape[1])) if self.reverse else range(x.shape[1]):
            after = self.step(x[:, at], state, tap=tap.during(first + at))
            if mask is not None:
                after = tuple(torch.where(mask[:, at, None], new, old) for new, old in zip(after, state, strict=True))
            state = after
            states[at] = state[0]
        return torch.stack([states[at] for at in range(x.shape[1])], 1), state

    def begin(self, state: State, tap: Tap) -> State:
        """Show the state that the first step starts from."""
        return tuple(tap(name, part) for name, part in zip(("start.hidden", "start.cell"), state, strict=False))

    def fused(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """The same as step after step, on torch's kernel."""
        lengths = torch.full((len(x),), x.shape[1]) if mask is None else mask.sum(1).cpu()
        if self.reverse:
            x = backwards(x, lengths)
        carried = tuple(part[None].contiguous() for part in state)
        packed = x if mask is None else pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        hidden, last = self.cell(packed, carried if self.kind == "lstm" else carried[0])
        if mask is not None:
            hidden, _ = pad_packed_sequence(hidden, batch_first=True, total_length=x.shape[1])
        if self.reverse:
            hidden = backwards(hidden, lengths)
        return hidden, tuple(part[0] for part in (last if self.kind == "lstm" else (last,)))

    def step(self, x: Tensor, state: State, *, tap: Tap = SILENT) -> State:
        """One time step, from `x` (batch, inputs) and the state before it."""
        gates = {name: tap(name, gate) for name, gate in self.gates(*self.sums(x, state[0])).items()}
        if self.kind == "lstm":
            cell = tap("cell", gates["gate.forget"] * state[1] + gates["gate.input"] * gates["gate.candidate"])
            return tap("hidden", gates["gate.output"] * cell.tanh()), cell
        if self.kind == "gru":
            update = gates["gate.update"]
            return (tap("hidden", (1 - update) * gates["gate.candidate"] + update * state[0]),)
        inputs, carried = self.sums(x, state[0])
        return (tap("hidden", (inputs + carried).tanh()),)

    def sums(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """W x + b and U h + c, for all gates at once: (..., gates · hidden) each."""
        weight = self.cell.get_parameter
        return (
            F.linear(x, weight("weight_ih_l0"), weight("bias_ih_l0")),
            F.linear(hidden, weight("weight_hh_l0"), weight("bias_hh_l0")),
        )

    def gates(self, inputs: Tensor, carried: Tensor) -> dict[str, Tensor]:
        """Every gate by name, of the two sums."""
        if self.kind == "rnn":
            return {}
        x, h = inputs.chunk(len(GATES[self.kind]), -1), carried.chunk(len(GATES[self.kind]), -1)
        parts: list[Tensor]
        if self.kind == "lstm":
            i, f, g, o = (a + b for a, b in zip(x, h, strict=True))
            parts = [i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()]
        else:
            reset = (x[0] + h[0]).sigmoid()
            parts = [reset, (x[1] + h[1]).sigmoid(), (x[2] + reset * h[2]).tanh()]
        return dict(zip(GATES[self.kind], parts, strict=True))

    def look_inside(self, x: Tensor, hidden: Tensor, start: Tensor, start_cell: Tensor | None) -> dict[str, Tensor]:
        """Gates and cell of every step, (position, hidden), from what the kernel was given and what it gave.

        `x` is (position, inputs) and `hidden` (position, hidden), in the text's order; the start is (hidden,). Every
        state is known by now, so all gates are one matrix product; only the LSTM's cell is added up step by step.
        """
        order = torch.arange(len(x), device=x.device)
        order = order.flip(0) if self.reverse else order
        x, hidden = x[order], hidden[order]
        found = self.gates(*self.sums(x, torch.cat([start[None], hidden[:-1]])))
        if start_cell is not None:
            kept, added = found["gate.forget"], found["gate.input"] * found["gate.candidate"]
            cells = [start_cell]
            for step in range(len(x)):
                cells.append(kept[step] * cells[-1] + added[step])
            found["cell"] = torch.stack(cells[1:])
        return {name: value[order] for name, value in found.items()}


def backwards(x: Tensor, lengths: Tensor) -> Tensor:
    """Each text (batch, position, ...) from its last real position to its first; padding stays where it is."""
    places = torch.arange(x.shape[1])[None]
    order = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places).to(x.device)
    return x.gather(1, order[..., None].expand_as(x))
