"""Greedy decoding of many sources at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.train.batches import collate, mask


def greedy(
    network: Any,
    head: Callable[[Tensor], Tensor],
    sources: Sequence[Sequence[float]],
    start: int,
    stop: int,
    *,
    batch: int = 128,
) -> list[list[int]]:
    """The likeliest token again and again, up to `stop`, which is left out; for each of `sources` (token ids)."""
    order = sorted(range(len(sources)), key=lambda at: len(sources[at]))
    said: dict[int, list[int]] = {}
    device = next(network.parameters()).device
    for first in range(0, len(order), batch):
        part = order[first : first + batch]
        ids = collate([{"source": sources[at]} for at in part], device)["source"]
        with torch.inference_mode():
            for at, row in zip(part, together(network, head, ids, start, stop).tolist(), strict=True):
                said[at] = row[: row.index(stop)] if stop in row else row
    return [said[at] for at in range(len(sources))]


def together(network: Any, head: Callable[[Tensor], Tensor], ids: Tensor, start: int, stop: int) -> Tensor:
    """One batch, (batch, position), without the start token."""
    seen = mask(ids)
    memory = network.encode(ids, seen)
    said = ids.new_full((len(ids), 1), start)
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    while said.shape[1] <= 2 * ids.shape[1] + 10 and not bool(ended.all()):
        best = head(network.decode(said, memory, seen)[:, -1]).argmax(-1)
        ended |= best == stop
        said = torch.cat([said, best[:, None]], 1)
    return said[:, 1:]
