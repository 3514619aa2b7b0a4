"""Greedy decoding of many sources at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.models.family import Family
from engine.nn.cache import Cache
from engine.tap import SILENT


def greedy(
    family: Family,
    network: nn.Module,
    sources: Sequence[Sequence[float]],
    start: int,
    stop: int,
    *,
    batch: int = 128,
) -> list[list[int]]:
    """The likeliest token again and again, up to `stop`, which is left out; for each of `sources` (token ids)."""
    alike = defaultdict(list)  # sources of the same length need no padding
    for at, source in enumerate(sources):
        alike[len(source)].append(at)
    said: dict[int, list[int]] = {}
    device = next(network.parameters()).device
    with torch.inference_mode():
        for those in alike.values():
            for first in range(0, len(those), batch):
                part = those[first : first + batch]
                ids = torch.tensor([list(sources[at]) for at in part], device=device)
                rows = together(family, network, ids, start, stop).tolist()
                said |= {at: row[: row.index(stop)] if stop in row else row for at, row in zip(part, rows, strict=True)}
    return [said[at] for at in range(len(sources))]


def together(family: Family, network: nn.Module, ids: Tensor, start: int, stop: int) -> Tensor:
    """One batch of sources (batch, position), without the start token."""
    assert family.encode is not None
    assert family.resume is not None
    assert family.head is not None
    longest = 2 * ids.shape[1] + 10
    cache = Cache(longest)
    family.encode(network, ids, cache, SILENT)
    said = [ids.new_full((len(ids), 1), start)]
    ended = torch.zeros(len(ids), 1, dtype=torch.bool, device=ids.device)
    while len(said) <= longest and not bool(ended.all()):
        hidden = family.resume(network, said[-1], cache, SILENT)
        cache.advance(1)
        said.append(family.head(network, hidden).argmax(-1))
        ended |= said[-1] == stop
    return torch.cat(said[1:], 1)
