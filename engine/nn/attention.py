"""Scaled dot-product attention, written once: the models run it and `derive` looks into it with the same functions.

Vaswani et al. 2017, section 3.2: Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.learned import Letters
from engine.nn.cache import Cache, read_before
from engine.nn.positions import Rotary
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
    """Softmax over keys, never in less than float32; a row that may look nowhere gets zeros, as in the fused kernel."""
    weights = torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype)
    return weights.masked_fill(scores.amax(-1, keepdim=True) == float("-inf"), 0.0)


def causal_mask(queries: Tensor, keys: Tensor) -> Tensor:
    """Which of these positions may look at which: a query sees its own position and those before it."""
    return keys <= queries[:, None]


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    causal: bool = False,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    tap: Tap,
) -> Tensor:
    """Weighted sums of values, (batch, head, query, d), of queries, keys and values that were shown already.

    `mask` is True where a query may attend to a key, and broadcasts to (batch, head, query, key) as `bias` does;
    `causal` shuts out keys that come after the query, the last query being at the last key.
    """
    explicit = tap.wants("scores", "pattern")
    triangle = causal and q.shape[2] == k.shape[2] and mask is None and bias is None and not explicit
    if causal and not triangle and q.shape[2] > 1:  # the kernel knows a plain triangle; one query, the last, sees all
        places = torch.arange(k.shape[2], device=q.device)
        seen = causal_mask(places[k.shape[2] - q.shape[2] :], places)
        mask = seen if mask is None else mask & seen
    if not explicit:  # nobody edits scores or weights, and they can be derived
        allowed = mask if bias is None else mask_scores(bias, mask)
        grouped = k.shape[1] != q.shape[1]
        z = F.scaled_dot_product_attention(q, k, v, allowed, is_causal=triangle, scale=scale, enable_gqa=grouped)
        return tap("z", z)
    scores = tap("scores", mask_scores(raw_scores(q, k) * scale, mask, bias))
    pattern = tap("pattern", softmax(scores))
    return tap("z", pattern @ spread(v, q.shape[1]))


class Attention(nn.Module):
    """Multi-head attention with its four projections (Vaswani et al. 2017, section 3.2.2).

    With fewer `kv_heads` than `heads`, several query heads share a key and a value (Ainslie et al. 2023). `scale` is
    1/√d_k unless told otherwise; `rotary` turns queries and keys by their position.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        scale: float | None = None,
        causal: bool = False,
        bias: bool = True,
        out_bias: bool | None = None,
        rotary: Rotary | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = head_dim or width // heads
        self.scale = self.head_dim**-0.5 if scale is None else scale
        self.causal = causal
        self.rotary = rotary
        inner, kv_inner = self.heads * self.head_dim, (kv_heads or heads) * self.head_dim
        self.q = nn.Linear(width, inner, bias=bias)
        self.k = nn.Linear(width, kv_inner, bias=bias)
        self.v = nn.Linear(width, kv_inner, bias=bias)
        self.out = nn.Linear(inner, width, bias=bias if out_bias is None else out_bias)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        *,
        cache: Cache | None = None,
        tap: Tap = SILENT,
    ) -> Tensor:
        """Queries from `x` (batch, query, model); keys and values from `memory`, or from `x` itself.

        With a `cache`, `x` is what comes after the positions read before, and its queries see those as well.
        """
        q = self.split(self.q(x))
        if self.rotary is not None:
            q = self.rotary(tap("q.raw", q), read_before(cache))
        q = tap("q", q)
        k, v = self.keys_and_values(x, memory, cache, tap)
        z = attend(q, k, v, scale=self.scale, causal=self.causal, mask=mask, bias=bias, tap=tap)
        return tap("out", self.written(z))

    def keys_and_values(self, x: Tensor, memory: Tensor | None, cache: Cache | None, tap: Tap) -> tuple[Tensor, Tensor]:
        """Both (batch, kv_head, key, d): of `memory`, or of everything up to the end of `x`."""
        if cache is not None and memory is not None and (kept := cache.kept("source")):
            return kept[0], kept[1]
        seen = x if memory is None else memory
        k, v = self.split(self.k(seen)), self.split(self.v(seen))
        if self.rotary is not None:
            k = self.rotary(tap("k.raw", k), read_before(cache))
        k, v = tap("k", k), tap("v", v)
        if cache is None:
            return k, v
        if memory is not None:
            cache.keep("source", (k, v))
            return k, v
        return cache.extend("k", k), cache.extend("v", v)

    def written(self, z: Tensor) -> Tensor:
        """What goes into the residual stream, (..., query, model), of weighted sums (..., head, query, head_dim)."""
        added: Tensor = self.out(z.transpose(-3, -2).flatten(-2))
        return added

    def split(self, x: Tensor) -> Tensor:
        """(batch, position, head · head_dim) to (batch, head, position, head_dim), as a view."""
        return x.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)

    def by_head(self, which: str) -> tuple[Tensor, Tensor | None]:
        """One of the projections `q`, `k`, `v` cut by head, (head, model, head_dim), with its bias (head, head_dim).

        Or W_O, `out`, (head, head_dim, model), and its bias (model), which belongs to no head.
        """
        linear = {"q": self.q, "k": self.k, "v": self.v, "out": self.out}[which]
        if which == "out":
            return linear.weight.T.reshape(self.heads, self.head_dim, -1), linear.bias
        bias = None if linear.bias is None else linear.bias.view(-1, self.head_dim)
        return linear.weight.view(-1, self.head_dim, linear.in_features).mT, bias

    def letters(self) -> Letters:
        """W_Q, W_K, W_V and W_O, and their biases."""
        heads = {"head": self.heads, "head_dim": self.head_dim}
        shared = {"kv_head": self.k.out_features // self.head_dim, "head_dim": self.head_dim}
        reads, writes = {"model": self.q.in_features}, {"model": self.out.out_features}
        made = {"q": ("Q", heads), "k": ("K", shared), "v": ("V", shared)}
        weights = {f"{name}.weight": (f"W_{letter}", {**by, **reads}) for name, (letter, by) in made.items()}
        biases = {f"{name}.bias": (f"b_{letter}", by) for name, (letter, by) in made.items()}
        return {**weights, **biases, "out.weight": ("W_O", {**writes, **heads}), "out.bias": ("b_O", writes)}
