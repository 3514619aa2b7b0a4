"""Dropout (Srivastava et al. 2014) as a tap: the models have none, so nothing of it is left once they are trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor


class Dropout:
    """Zeroes a share of what passes the sites that match; `rates` gives that share by pattern of addresses."""

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._rates = rates
        self._found: dict[str, float] = {}
        self._prefix = ""

    def __call__(self, name: str, value: Tensor) -> Tensor:
        rate = self._rate(self._prefix + name)
        return drop(value, rate) if rate else value

    def _rate(self, address: str) -> float:
        if address not in self._found:
            matching = (rate for pattern, rate in self._rates.items() if fnmatchcase(address, pattern))
            self._found[address] = next(matching, 0.0)
        return self._found[address]

    def at(self, *parts: str | int) -> Self:
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__)
        child._prefix = self._prefix + "".join(f"{part}." for part in parts)
        return child

    def during(self, step: int) -> Self:  # noqa: ARG002
        return self

    def wants(self, *names: str) -> bool:
        # A recurrent state is dropped on its way out and not on its way to the next step: that stays on the kernel.
        return "pattern" in names and self._rate(self._prefix + "pattern") > 0


def drop(value: Tensor, rate: float) -> Tensor:
    """Zero each number with probability `rate`, to the nearest 1/256 on a CPU, and scale up the rest."""
    if value.is_cuda:
        return F.dropout(value, rate)
    # torch draws one random number after the other for each element; eight elements can share a long one.
    size, threshold = value.numel(), round(rate * 256)
    drawn = torch.empty(math.ceil(size / 8), dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
    kept = (drawn[:size] >= threshold).view(value.shape)
    return value * (kept.to(value.dtype) * (256 / (256 - threshold)))
