"""Attention of a recurrent decoder to the states of its encoder, one step at a time.

Additive: score = v · tanh(W s + U h) (Bahdanau et al. 2015, section 3.1). Multiplicative: score = s · h (`dot`) or
s · W h (`general`), and `concat` as above (Luong et al. 2015, section 3.1). All are one head, so that they look like
any other attention: q is W s or s, k is U h, W h or h, and v is h.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.learned import Letters
from engine.nn.attention import mask_scores, softmax
from engine.tap import Tap

KINDS = ("additive", "concat", "dot", "general")


def energies(q: Tensor, k: Tensor) -> Tensor:
    """tanh(q + k) for every pair: (..., query, d) and (..., key, d) to (..., query, key, d)."""
    return (q[..., :, None, :] + k[..., None, :, :]).tanh()


class Alignment(nn.Module):
    """Which source positions a decoder state looks back to."""

    def __init__(self, kind: str, state: int, memory: int, width: int) -> None:
        super().__init__()
        self.sums = kind in ("additive", "concat")
        self.q = nn.Linear(state, width, bias=False) if self.sums else None
        self.k = nn.Linear(memory, width if self.sums else state, bias=self.sums) if kind != "dot" else None
        self.weight = nn.Parameter(torch.empty(width).uniform_(-0.1, 0.1)) if self.sums else None

    def letters(self) -> Letters:
        """W, U and v of the additive score; W of the multiplicative one, where it has one."""
        found: dict[str, tuple[str, dict[str, int]]] = {}
        if self.k is not None:
            made = {"attn_dim" if self.sums else "state": self.k.out_features}
            found["k.weight"] = ("U" if self.sums else "W", {**made, "memory": self.k.in_features})
            found["k.bias"] = ("b", made)
        if self.q is not None and self.weight is not None:
            width = {"attn_dim": len(self.weight)}
            found["q.weight"] = ("W", {**width, "state": self.q.in_features})
            found["weight"] = ("v", width)
        return found

    def keys(self, memory: Tensor, *, tap: Tap) -> tuple[Tensor, Tensor]:
        """Keys and values (batch, 1, key, d) of the source, the same for every step."""
        k = memory if self.k is None else self.k(memory)
        if self.weight is not None:
            tap("score.weight", self.weight.expand(len(memory), -1))
        return tap("k", k[:, None]), tap("v", memory[:, None])

    def forward(self, state: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, tap: Tap) -> Tensor:
        """The context (batch, memory) for one decoder `state` (batch, hidden); `mask` is False for source padding."""
        q = tap("q", (state if self.q is None else self.q(state))[:, None])  # (batch, 1, d)
        weight = self.weight
        scores = (
            (k @ q[..., None])[..., 0] if weight is None else (k + q[:, :, None]).tanh() @ weight
        )  # (batch, 1, key)
        scores = tap("scores", mask_scores(scores, None if mask is None else mask[:, None]))
        pattern = tap("pattern", softmax(scores))
        z: Tensor = tap("z", (pattern[:, :, None] @ v)[:, :, 0])  # (batch, 1, memory)
        return z[:, 0]
