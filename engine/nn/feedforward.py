"""The position-wise feed-forward network (Vaswani et al. 2017, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from engine.learned import Letters
from engine.tap import SILENT, Tap

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


class FeedForward(nn.Module):
    """down(activation(up(x)))."""

    def __init__(self, width: int, hidden: int, activation: str = "gelu", *, bias: bool = True) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def letters(self) -> Letters:
        """W_1 up to the hidden units and W_2 down from them, and their biases."""
        model, hidden = {"model": self.up.in_features}, {"hidden": self.up.out_features}
        up, down = {**hidden, **model}, {**model, **hidden}
        return {
            **{"up.weight": ("W_1", up), "up.bias": ("b_1", hidden)},
            **{"down.weight": ("W_2", down), "down.bias": ("b_2", model)},
        }

    def forward(self, x: Tensor, *, tap: Tap = SILENT) -> Tensor:
        """(batch, position, model) in and out; shows `pre` and `post`, (batch, position, hidden), and `out`."""
        pre = tap("pre", self.up(x))
        post = tap("post", self.activated(pre))
        return tap("out", self.written(post))

    def activated(self, pre: Tensor, gate: Tensor | None = None) -> Tensor:
        """Hidden units after the activation."""
        assert gate is None
        return self.activation(pre)

    def written(self, post: Tensor) -> Tensor:
        """What goes into the residual stream, (..., model), of hidden units (..., hidden)."""
        added: Tensor = self.down(post)
        return added


class GatedFeedForward(FeedForward):
    """down(activation(gate(x)) · up(x)): SwiGLU and its kin (Shazeer 2020)."""

    def __init__(self, width: int, hidden: int, activation: str = "silu", *, bias: bool = False) -> None:
        super().__init__(width, hidden, activation, bias=bias)
        self.gate = nn.Linear(width, hidden, bias=bias)

    def letters(self) -> Letters:
        model, hidden = {"model": self.gate.in_features}, {"hidden": self.gate.out_features}
        return {**super().letters(), "gate.weight": ("W_g", {**hidden, **model}), "gate.bias": ("b_g", hidden)}

    def forward(self, x: Tensor, *, tap: Tap = SILENT) -> Tensor:
        """(batch, position, model) in and out; shows `gate`, `pre`, `post`, (batch, position, hidden), and `out`."""
        gate = tap("gate", self.gate(x))
        pre = tap("pre", self.up(x))
        post = tap("post", self.activated(pre, gate))
        return tap("out", self.written(post))

    def activated(self, pre: Tensor, gate: Tensor | None = None) -> Tensor:
        assert gate is not None
        return self.activation(gate) * pre
