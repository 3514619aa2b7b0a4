"""What is kept of a text that is too long for everything to be kept: what maps are derived from goes last."""

from __future__ import annotations

from collections.abc import Mapping

from engine.sites import Site
from engine.tap import Capture

AFFORDABLE = 2 << 30
"""Most bytes that a trace keeps, unless told otherwise."""

DISPENSABLE = (
    ("pre", "gate"),  # hidden units of the feed-forward: the widest there is
    ("norm.mean", "norm.scale", "embed.token", "embed.position", "embed.segment", "q.raw", "k.raw"),
    ("resid.mid", "resid.cross"),
    ("resid.pre", "resid.post"),
    ("v", "z"),
)
"""Names of sites, in the order in which they are left out."""


def affordable(sites: Mapping[str, Site], weights: Mapping[str, int], budget: int) -> Capture:
    """Everything, or as much as fits into `budget` bytes; `weights` are the bytes of each address that is recorded."""
    kept = dict(weights)
    dropped: set[str] = set()
    for names in DISPENSABLE:
        if sum(kept.values()) <= budget:
            break
        dropped.update(names)
        kept = {address: weight for address, weight in kept.items() if sites[address].name not in dropped}
    if len(kept) == len(weights):
        return Capture()
    return Capture(tuple(sorted({f"*.{sites[address].name}" for address in kept})))
