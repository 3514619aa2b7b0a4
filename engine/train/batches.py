"""Examples of like length together, so that a batch holds little padding."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Example = Mapping[str, Sequence[float]]
"""One example: fields of numbers, such as token ids; fields that stand side by side have the same length."""

IGNORED = -100
"""What stands where there is nothing to predict; torch's cross entropy leaves it out."""


def bucketed(examples: Sequence[Example], tokens: int, seed: str) -> list[list[int]]:
    """Batches of example numbers in random order, each of at most `tokens` positions when padded (or one example)."""
    draw = random.Random(seed)
    lengths = [tuple(len(field) for field in example.values()) for example in examples]
    order = sorted(range(len(examples)), key=lambda at: (lengths[at], draw.random()))
    batches: list[list[int]] = []
    widest: tuple[int, ...] = ()
    for at in order:
        wider = tuple(map(max, widest, lengths[at])) if widest else lengths[at]
        if not batches or not widest or (len(batches[-1]) + 1) * positions(examples[at], wider) > tokens:
            batches.append([])
            wider = lengths[at]
        batches[-1].append(at)
        widest = wider
    draw.shuffle(batches)
    return batches


def positions(example: Example, lengths: Sequence[int]) -> int:
    """How many positions the network computes, once where fields stand side by side."""
    return sum(length for name, length in zip(example, lengths, strict=True) if name not in BESIDE)


WANTED = ("said", "label", "follows", "number")
"""The fields that hold what should come out."""

BESIDE = (*WANTED, "segments", "weight")
"""The fields that no position of the network is for."""


def collate(examples: Sequence[Example], device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Each field as one tensor (batch, position), padded: with 0, or with `IGNORED` where it should come out."""
    batch: dict[str, Tensor] = {}
    for name in examples[0]:
        rows = [example[name] for example in examples]
        length = max(map(len, rows))
        fill = IGNORED if name in WANTED else 0
        batch[name] = torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows], device=device)
    return batch


def mask(ids: Tensor, pad: int = 0) -> Tensor | None:
    """False where `ids` (batch, position) is padding; None where there is none."""
    real = ids != pad
    return None if bool(real.all()) else real
