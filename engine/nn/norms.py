"""Normalisation whose statistics can be seen and changed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.learned import Letters
from engine.tap import SILENT, Tap


class RMSNorm(nn.Module):
    """Root-mean-square normalisation (Zhang & Sennrich 2019): no mean is subtracted and no bias added."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def letters(self) -> Letters:
        """The gain."""
        return {"weight": ("gain", {"model": len(self.weight)})}

    def forward(self, x: Tensor, *, tap: Tap = SILENT) -> Tensor:
        """Normalise `x` (batch, position, model) in at least float32; shows `norm.scale`, (batch, position)."""
        precise = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = tap("norm.scale", (precise.square().mean(-1) + self.eps).rsqrt())
        return self.weight * (precise * scale[..., None]).to(x.dtype)


class LayerNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al. 2016) over the last axis."""

    def letters(self) -> Letters:
        """Gain and bias."""
        return {name: (letter, {"model": len(self.weight)}) for name, letter in (("weight", "gain"), ("bias", "bias"))}

    def forward(self, x: Tensor, *, tap: Tap = SILENT) -> Tensor:
        """Normalise `x` (batch, position, model); shows `norm.mean` and `norm.scale`, each (batch, position)."""
        normal, mean, scale = torch.native_layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        seen_mean, seen_scale = tap("norm.mean", mean.squeeze(-1)), tap("norm.scale", scale.squeeze(-1))
        if not tap.wants("norm.mean", "norm.scale"):
            return normal
        # Somebody changed the statistics: the kernel's answer no longer holds, so write it out.
        normal = (x - seen_mean[..., None]) * seen_scale[..., None] * self.weight
        return normal if self.bias is None else normal + self.bias
