"""Scaled dot-product attention, written once: the models run it and `derive` looks into it with the same functions.

Vaswani et al. 2017, section 3.2: Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.tap import SILENT, Tap


def spread(x: Tensor, heads: int) -> Tensor:
    """Repeat each key/value head for the query heads that share it: (..., kv_head, key, d) to (..., head, key, d)."""
    kv_heads = x.shape[-3]
    return x if kv_heads == heads else x.repeat_interleave(heads // kv_heads, dim=-3)


def raw_scores(q: Tensor, k: Tensor) -> Tensor:
    """q·k for every pair: (..., head, query, d) and (..., kv_head, key, d) to (..., head, query, key)."""
    return q @ spread(k, q.shape[-3]).transpose(-2, -1)


def mask_scores(scaled: Tensor, mask: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Add the bias, then shut out every pair whose `mask` is False."""
    scores = scaled if bias is None else scaled + bias
    return scores if mask is None else scores.masked_fill(~mask, float("-inf"))


def softmax(scores: Tensor) -> Tensor:
    """Softmax over keys, never in less than float32."""
    return torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype)


def causal_mask(queries: Tensor, keys: Tensor) -> Tensor:
    """Which of these positions may look at which: a query sees its own position and those before it."""
    return keys <= queries[:, None]


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, scale: float, mask: Tensor | None = None, bias: Tensor | None = None, tap: Tap
) -> Tensor:
    """Weighted sums of values, (batch, head, query, d).

    `mask` is True where a query may attend to a key, and broadcasts to (batch, head, query, key).
    """
    q, k, v = tap("q", q), tap("k", k), tap("v", v)
    if not tap.wants("scores", "pattern"):  # nobody edits them, and they can be derived: run the fused kernel
        allowed = mask if bias is None else mask_scores(bias, mask)
        z = F.scaled_dot_product_attention(q, k, v, allowed, scale=scale, enable_gqa=k.shape[1] != q.shape[1])
        return tap("z", z)
    scores = tap("scores", mask_scores(raw_scores(q, k) * scale, mask, bias))
    pattern = tap("pattern", softmax(scores))
    return tap("z", pattern @ spread(v, q.shape[1]))


class Attention(nn.Module):
    """Multi-head attention with its four projections (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, width: int, heads: int, *, head_dim: int | None = None, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = head_dim or width // heads
        self.scale = self.head_dim**-0.5
        inner = self.heads * self.head_dim
        self.q = nn.Linear(width, inner, bias=bias)
        self.k = nn.Linear(width, inner, bias=bias)
        self.v = nn.Linear(width, inner, bias=bias)
        self.out = nn.Linear(inner, width, bias=bias)

    def forward(
        self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, *, tap: Tap = SILENT
    ) -> Tensor:
        """Queries from `x` (batch, query, model); keys and values from `memory`, or from `x` itself."""
        memory = x if memory is None else memory
        q, k, v = (self.split(part) for part in (self.q(x), self.k(memory), self.v(memory)))
        z = attend(q, k, v, scale=self.scale, mask=mask, tap=tap)  # (batch, head, query, head_dim)
        return tap("out", self.out(z.transpose(1, 2).flatten(2)))

    def split(self, x: Tensor) -> Tensor:
        """(batch, position, head · head_dim) to (batch, head, position, head_dim), as a view."""
        return x.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)

    def output_by_head(self) -> Tensor:
        """W_O cut by head: (head, head_dim, model)."""
        return self.out.weight.T.reshape(self.heads, self.head_dim, -1)
