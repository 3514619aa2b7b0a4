"""Interventions as data: which site is changed, where, and into what.

A patch names an address and, by axis, the part of it that it changes; an axis that is not named is changed whole:
`Zero("encoder.5.self.z", head=11)` silences one head. Nothing is changed in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from engine.errors import BadIndex, BadPatch
from engine.tap import TIME, Step

if TYPE_CHECKING:
    from engine.trace import Trace

Indices = int | tuple[int, ...] | list[int]


class Edit(ABC):
    """One change at one address."""

    operation: ClassVar[str]

    def __init__(self, address: str, **where: Indices) -> None:
        self.address = address
        self.where = {axis: [at] if isinstance(at, int) else sorted(set(at)) for axis, at in sorted(where.items())}

    def __repr__(self) -> str:
        where = "".join(f", {axis}={at}" for axis, at in self.where.items())
        return f"{type(self).__name__}({self.address!r}{where})"

    def to_json(self) -> dict[str, Any]:
        """The patch as plain data; part of the digest of a trace that it changed."""
        return {"operation": self.operation, "address": self.address, "where": self.where}

    def apply(self, value: Tensor, axes: tuple[str, ...], step: Step | None = None, *, growing: bool = False) -> Tensor:
        """`value` with the chosen part changed; `axes` names its axes. Raises `BadPatch` and `BadIndex`.

        Inside a `step`, the axis of time has length 1 and stands for that step. Of a text that is still `growing`,
        positions that are not there yet are left for later.
        """
        if growing and "distance" in self.where:
            raise BadPatch(f"The distances of {self.address} move while a text grows. Patch the scores instead.")
        chosen = torch.ones(value.shape, dtype=torch.bool, device=value.device)
        for axis, indices in self.where.items():
            if axis not in axes:
                raise BadPatch(f"{self.address} has no axis {axis!r}: its axes are {', '.join(axes[1:])}.")
            if step is not None and axis == step[0]:
                chosen &= step[1] in indices
                continue
            dim = axes.index(axis)
            line = torch.zeros(value.shape[dim], dtype=torch.bool, device=value.device)
            for index in indices:
                if growing and axis in TIME and index >= len(line):
                    continue
                if not 0 <= index < len(line):
                    raise BadIndex(axis, index, len(line))
                line[index] = True
            chosen &= line.view([-1 if d == dim else 1 for d in range(value.dim())])
        return torch.where(chosen, self.changed(value, axes, step, growing=growing), value)

    @abstractmethod
    def changed(self, value: Tensor, axes: tuple[str, ...], step: Step | None, *, growing: bool) -> Tensor:
        """What the value would be if it were changed everywhere; broadcasts to its shape."""


class Zero(Edit):
    """Set to zero. At a `pattern`, this cuts an edge without renormalising the row."""

    operation = "zero"

    def changed(self, value: Tensor, axes: tuple[str, ...], step: Step | None, *, growing: bool) -> Tensor:  # noqa: ARG002
        return torch.zeros_like(value)


class Mean(Edit):
    """Replace by the mean over positions: keeps what is common to all of them and removes what tells them apart."""

    operation = "mean"

    def changed(self, value: Tensor, axes: tuple[str, ...], step: Step | None, *, growing: bool) -> Tensor:
        if step is not None or growing:
            raise BadPatch(f"{self.address} is computed step by step: the mean over its positions is not known yet.")
        over = next((axis for axis in TIME if axis in axes), None)
        if over is None:
            raise BadPatch(f"{self.address} has no axis of positions to take a mean over.")
        return value.mean(axes.index(over), keepdim=True)


class Scale(Edit):
    """Multiply by a factor."""

    operation = "scale"

    def __init__(self, address: str, factor: float, **where: Indices) -> None:
        super().__init__(address, **where)
        self.factor = factor

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"factor": self.factor}

    def changed(self, value: Tensor, axes: tuple[str, ...], step: Step | None, *, growing: bool) -> Tensor:  # noqa: ARG002
        return value * self.factor


class Knockout(Edit):
    """Forbid queries to attend to keys, at the `scores`: the other weights of the row grow to fill the gap."""

    operation = "knockout"

    def __init__(self, address: str, **where: Indices) -> None:
        super().__init__(address, **where)
        if not address.endswith(".scores"):
            raise BadPatch(
                f"A knockout works on scores, not on {address!r}. To cut weights without renormalising, use "
                "Zero on the pattern."
            )

    def changed(self, value: Tensor, axes: tuple[str, ...], step: Step | None, *, growing: bool) -> Tensor:  # noqa: ARG002
        return torch.full_like(value, float("-inf"))


class Copy(Edit):
    """Put in what another trace has at the same address, to see whether the network goes on as it did there.

    `positions` says which position takes its value from which of the other trace; without it the two are matched one to
    one, and must be of the same length.
    """

    operation = "copy"

    def __init__(
        self, address: str, source: Trace, positions: Mapping[int, int] | None = None, **where: Indices
    ) -> None:
        self.value = source[address]
        self.source, self.axes = source.digest, source.axes[address]
        self.positions = None if positions is None else dict(positions)
        if positions is not None:
            time = [axis for axis in TIME if axis in self.axes]
            if len(time) != 1:
                raise BadPatch(f"{address} has no single axis of positions: copy it without naming positions.")
            where[time[0]] = list(positions)
            for at in positions.values():
                if not 0 <= at < self.value.shape[self.axes.index(time[0])]:
                    raise BadIndex(f"{time[0]} of the other trace", at, self.value.shape[self.axes.index(time[0])])
        super().__init__(address, **where)

    def to_json(self) -> dict[str, Any]:
        positions = None if self.positions is None else [[to, at] for to, at in self.positions.items()]
        return super().to_json() | {"source": self.source, "positions": positions}

    def changed(self, value: Tensor, axes: tuple[str, ...], step: Step | None, *, growing: bool) -> Tensor:
        other = self.value.to(value)[None]
        time = next((axes.index(axis) for axis in TIME if axis in axes), None)
        if self.positions is None:
            if step is not None and time is not None and step[1] < other.shape[time]:
                other = other.narrow(time, step[1], 1)
            for dim, axis in enumerate(axes):
                later = axis in TIME and not (step is not None and dim == time)
                if growing and later and other.shape[dim] > value.shape[dim]:
                    other = other.narrow(dim, 0, value.shape[dim])
            if other.shape[1:] != value.shape[1:]:
                there, here = tuple(self.value.shape), tuple(value.shape[1:])
                raise BadPatch(f"{self.address} is {there} in the other trace and {here} here. Name the positions.")
            return other
        assert time is not None
        if step is not None:
            return other.narrow(time, self.positions.get(step[1], 0), 1)
        order = torch.zeros(value.shape[time], dtype=torch.long, device=value.device)
        for to, at in self.positions.items():
            if to < len(order):  # the others are refused by `apply`
                order[to] = at
        return other.index_select(time, order)
