"""How a network learns where a token stands: sinusoids, rotations, relative buckets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import CheckpointError
from engine.tap import SILENT, Tap


def sinusoids(length: int, width: int, *, interleaved: bool = True, base: float = 10_000) -> Tensor:
    """Sines and cosines of wavelengths from 2π to `base`·2π, (position, model); Vaswani et al. 2017, section 3.5.

    The paper interleaves them, sine in the even places and cosine in the odd ones; Marian puts all sines first.
    """
    angles = torch.arange(length)[:, None] / base ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    pairs = torch.stack([angles.sin(), angles.cos()], -1 if interleaved else -2)
    return pairs.flatten(1)


@dataclass(frozen=True)
class Rope:
    """How fast each pair of dimensions turns: `theta` is the base, and the rest stretches it for longer texts.

    `kind` is `default`, `linear` (every frequency divided by `factor`) or `llama3` (only the slow ones).
    """

    theta: float = 10_000.0
    kind: str = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original: int = 8192

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> Rope:
        """From config.json: `rope_parameters`, or `rope_theta` and `rope_scaling` as older files have them."""
        given = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
        theta = given.get("rope_theta", config.get("rope_theta", 10_000.0))
        kind = given.get("rope_type", given.get("type", "default"))
        if kind not in ("default", "linear", "llama3"):
            raise CheckpointError(f"rope_type {kind!r} is not one of default, linear, llama3.")
        return cls(
            theta=float(theta),
            kind=kind,
            factor=float(given.get("factor", 1.0)),
            low=float(given.get("low_freq_factor", 1.0)),
            high=float(given.get("high_freq_factor", 4.0)),
            original=int(given.get("original_max_position_embeddings", 8192)),
        )

    def frequencies(self, head_dim: int) -> Tensor:
        """Radians per position for each of the head_dim / 2 pairs, in float32 and in the order that files expect."""
        frequencies: Tensor = 1.0 / self.theta ** (torch.arange(0, head_dim, 2).float() / head_dim)
        if self.kind == "default":
            return frequencies
        if self.kind == "linear":
            return frequencies / self.factor
        # Llama 3.1: waves longer than the original text are slowed, short ones kept, and those between are blended.
        turns = self.original / (2 * math.pi / frequencies)
        kept = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return (1 - kept) * frequencies / self.factor + kept * frequencies


class Rotary:
    """Rotary position embedding (Su et al. 2021): turn each pair of dimensions by an angle that grows with position.

    The pairs are (i, i + head_dim/2), as in Hugging Face's files.
    """

    def __init__(self, head_dim: int, rope: Rope) -> None:
        self.head_dim = head_dim
        self.rope = rope

    def __call__(self, x: Tensor, start: int = 0) -> Tensor:
        """Turn x (..., position, head_dim), whose first position is `start`."""
        cos, sin = _turns(self.rope, self.head_dim, start, x.shape[-2], x.dtype, x.device)
        left, right = x.chunk(2, -1)
        return x * cos + torch.cat([-right, left], -1) * sin


@lru_cache(maxsize=16)
def _turns(  # noqa: PLR0917 (a cache key)
    rope: Rope, head_dim: int, start: int, length: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (position, head_dim); the same for every layer, for queries and for keys."""
    with torch.inference_mode(mode=False):
        angles = torch.arange(start, start + length).float()[:, None] * rope.frequencies(head_dim)
        cos, sin = (t.repeat(1, 2).to(device, dtype) for t in (angles.cos(), angles.sin()))
    return cos, sin


def relative_buckets(distance: Tensor, *, buckets: int, furthest: int, both_ways: bool) -> Tensor:
    """T5's bucket for each `distance` = key - query (Raffel et al. 2020, section 2.1).

    Near distances have a bucket each, farther ones share them, ever wider up to `furthest`; beyond it there is one.
    Where attention runs both ways, keys after the query have the second half of the buckets.
    """
    offset: Tensor | int = 0
    if both_ways:
        buckets //= 2
        offset = (distance > 0) * buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = buckets // 2
    # In float32 and in this order, as the checkpoints were trained: rounding decides a bucket's edge.
    ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(furthest / exact)
    far = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
    return torch.where(distance < exact, distance, far) + offset


class RelativeBias(nn.Module):
    """A learned number per head and bucket of distance, added to the scores instead of any position embedding."""

    def __init__(self, heads: int, buckets: int, furthest: int, *, both_ways: bool) -> None:
        super().__init__()
        self.buckets, self.furthest, self.both_ways = buckets, furthest, both_ways
        self.bias = nn.Embedding(buckets, heads)

    def forward(self, length: int, queries: int | None = None, *, tap: Tap = SILENT) -> Tensor:
        """(1, head, query, key) for a text of that length, or for its last `queries` only.

        Shows `bias.by_distance`, (1, head, distance).
        """
        distances = torch.arange(1 - length, length, device=self.bias.weight.device)
        buckets = relative_buckets(distances, buckets=self.buckets, furthest=self.furthest, both_ways=self.both_ways)
        table = tap("bias.by_distance", self.bias(buckets).T[None])
        return by_distance(table, length, queries)


def by_distance(table: Tensor, length: int, queries: int | None = None) -> Tensor:
    """Spread (..., distance), from 1 - length to length - 1, over (..., query, key), or over the last `queries`."""
    places = torch.arange(length)
    asking = places if queries is None else places[length - queries :]
    return table[..., places[None, :] - asking[:, None] + length - 1]
