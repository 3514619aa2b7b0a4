"""The only observer code in the project: a model passes every site through a tap and never knows who watches.

`SILENT` hands back what it is given. A `Recorder` first applies the patches for that address, then keeps what was asked
for. A tap belongs to one forward pass, so any number of them can run on one model at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from engine.errors import BadPatch, nearest
from engine.sites import Site

Step = tuple[str, int]
"""The axis of time that a step is taken along, and which one it is."""

TIME = ("position", "query", "key")
"""Axes along which a text grows; the first that a site has is its axis of time."""


class Tap(Protocol):
    """What a model is given to show its tensors to."""

    def __call__(self, name: str, value: Tensor) -> Tensor:
        """Show `value` at the site `name`; go on with what comes back."""
        ...

    def at(self, *parts: str | int) -> Tap:
        """The same observer, one or more address parts further in."""
        ...

    def during(self, step: int) -> Tap:
        """The same observer inside one step: values have no axis of time there, or one of length 1."""
        ...

    def wants(self, *names: str) -> bool:
        """Whether one of these sites must really be computed, so that the fused kernel won't do."""
        ...


class Silent:
    """Nobody watches."""

    def __call__(self, name: str, value: Tensor) -> Tensor:  # noqa: ARG002
        return value

    def at(self, *parts: str | int) -> Silent:  # noqa: ARG002
        return self

    def during(self, step: int) -> Silent:  # noqa: ARG002
        return self

    def wants(self, *names: str) -> bool:  # noqa: ARG002
        return False


SILENT = Silent()


class Patch(Protocol):
    """An intervention at one address: see engine/patches.py."""

    @property
    def address(self) -> str:
        """The site that is changed."""
        ...

    def apply(self, value: Tensor, axes: tuple[str, ...], step: Step | None = None, *, growing: bool = False) -> Tensor:
        """The changed value; `value` itself stays as it was. In a `step`, its axis of time holds that step only.

        Where the text is still `growing`, a patch may name positions that are not there yet.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """The patch as plain data."""
        ...


@dataclass(frozen=True)
class Capture:
    """Which sites to keep, as shell-style patterns of addresses.

    `sites` chooses among those that the forward pass computes anyway (all of them unless told otherwise). `derived`
    names sites that could be derived later but shall be computed explicitly and kept: this costs memory that grows
    with T².
    """

    sites: tuple[str, ...] = ("*",)
    derived: tuple[str, ...] = ()

    def keeps(self, site: Site) -> bool:
        """Whether this site is to be kept."""
        patterns = self.derived if site.derived else self.sites
        if not site.observable:
            return False
        return "*" in patterns or any(fnmatchcase(site.address, pattern) for pattern in patterns)


class Recorder:
    """Applies patches and keeps tensors, with their batch axis, in `tensors` by address.

    Of a text that is still `growing` nothing is kept: only the patches are applied.
    """

    def __init__(
        self,
        sites: Mapping[str, Site],
        capture: Capture | None = None,
        patches: Sequence[Patch] = (),
        *,
        growing: bool = False,
    ) -> None:
        self._growing = growing
        capture = capture or Capture()
        self.tensors: dict[str, Tensor] = {}
        self._sites = sites
        self._kept = {address for address, site in sites.items() if capture.keeps(site)}
        self._patches: dict[str, list[Patch]] = {}
        for patch in patches:
            if patch.address not in sites:
                raise BadPatch(f"There is no site {patch.address!r} to patch.{nearest(patch.address, sites)}")
            if not sites[patch.address].observable:
                raise BadPatch(f"{patch.address} is only derived afterwards. Patch the scores or the pattern instead.")
            self._patches.setdefault(patch.address, []).append(patch)
        # What is patched is kept as well: nobody could derive it from the tensors before it.
        self._kept |= self._patches.keys()
        self._explicit = {a for a in self._kept if sites[a].derived} | self._patches.keys()
        self._prefix = ""
        self._step: int | None = None
        self._steps: dict[str, dict[int, Tensor]] = {}

    def __call__(self, name: str, value: Tensor) -> Tensor:
        address = self._prefix + name
        if self._step is not None:
            return self._in_step(address, self._step, value)
        for patch in self._patches.get(address, ()):
            value = patch.apply(value, self._sites[address].axes, growing=self._growing)
        value = self._shown(value)
        if address in self._kept and not self._growing:
            self.tensors[address] = value
        return value

    def _in_step(self, address: str, step: int, value: Tensor) -> Tensor:
        axes = self._sites[address].axes
        time = next((axis for axis in TIME if axis in axes), None)
        now = None if time is None else (time, step)
        for patch in self._patches.get(address, ()):
            if time is not None and value.dim() < len(axes):  # a recurrent cell has no axis of time
                at = axes.index(time)
                value = patch.apply(value.unsqueeze(at), axes, now, growing=self._growing).squeeze(at)
            else:
                value = patch.apply(value, axes, now, growing=self._growing)
        value = self._shown(value)
        if address in self._kept and not self._growing:
            self._steps.setdefault(address, {})[step] = value
        return value

    def _shown(self, value: Tensor) -> Tensor:
        """The value with which the network goes on, after patches and before it is kept."""
        return value

    def finish(self) -> dict[str, Tensor]:
        """Everything that was kept, the steps of recurrent networks put together along their axis of time."""
        for address, steps in self._steps.items():
            axes = self._sites[address].axes
            at = next(axes.index(axis) for axis in TIME if axis in axes)
            self.tensors[address] = torch.stack([steps[step] for step in sorted(steps)], at)
        self._steps.clear()
        return self.tensors

    def at(self, *parts: str | int) -> Self:
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__)
        child._prefix = self._prefix + "".join(f"{part}." for part in parts)
        return child

    def during(self, step: int) -> Self:
        child = self.at()
        child._step = step
        return child

    def wants(self, *names: str) -> bool:
        return any(self._prefix + name in self._explicit for name in names)
