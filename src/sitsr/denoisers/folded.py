"""Residual networks: noise and features in, a velocity out, all on the low-resolution grid.

The residual [B, C, scale·H, scale·W] is folded by pixel-unshuffle into D = C·scale² channels
[B, D, H, W], so that one call costs about a sixteenth of one at full resolution. There is no
normalisation over space and no attention: an output pixel depends on inputs no further than
``reach`` pixels away, which is what lets a scene be cut anywhere.
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class ModulatedBlock(nn.Module):
    """x + conv1×1(silu(conv3×3(x) · (1 + scale) + shift)); scale and shift are made from θ."""

    def __init__(self, width: int, described: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.modulate = nn.Linear(described, 2 * width)
        self.outer = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, angle: Tensor, mask: Tensor) -> Tensor:
        gain, shift = self.modulate(angle)[:, :, None, None].chunk(2, 1)
        added: Tensor = self.outer(silu(self.inner(x) * (1 + gain) + shift)) * mask
        return x + added


class ResidualVelocity(nn.Module):
    """The velocity v(x, θ) of standardised residuals, given the features of a series.

    channels: D = C·scale². features: F of the encoder. Reaches one pixel a block.
    """

    def __init__(self, channels: int, features: int, width: int, blocks: int) -> None:
        super().__init__()
        self.reach = blocks
        self.noisy = nn.Conv2d(channels, width, 1)
        self.given = nn.Conv2d(features, width, 1)
        self.angle = nn.Sequential(nn.Linear(5, width), nn.SiLU())
        self.blocks = nn.ModuleList(ModulatedBlock(width, width) for _ in range(blocks))
        self.out = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.out.weight)  # v = 0 at first: right already for a white residual
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, angle: Tensor, features: Tensor, seen: Tensor) -> Tensor:
        """x [B, D, H, W], angle [B], features [B, F, H, W], seen [B, 1, H, W] -> [B, D, H, W]."""
        multiples = angle[:, None] * torch.arange(1, 3, device=x.device)
        described = torch.cat(
            [angle[:, None] / (pi / 2), multiples.sin(), multiples.cos()], dim=1
        ).to(x.dtype)
        θ = self.angle(described)
        y = (self.noisy(x) + self.given(features)) * seen
        for block in self.blocks:
            y = block(y, θ, seen)
        velocity: Tensor = self.out(silu(y)) * seen
        return velocity
