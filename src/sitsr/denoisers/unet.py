"""The U-Net of SRDiff on the high-resolution grid: the network that few steps are measured against.

As Li et al. 2022 (SRDiff, arXiv:2104.14951) and its multi-image form of Okabayashi et
al. 2024 (arXiv:2404.16409) have it: levels of width · multipliers features, residual blocks of two
3 × 3 convolutions with Mish and the time added between them, no normalisation, no attention,
strided convolutions down, transposed ones up; features of the series are enlarged by a transposed
convolution and added after the first level. The first level has no connection across to the last
one: all that reaches the output has been at half resolution, as published.

With ``features`` 0, the enlarged image handed in as ``concat`` and multipliers (1, 2, 4, 8, 8) it
stands in for the network of SR3 (Saharia et al. 2021, arXiv:2104.07636), less its attention at the
lowest resolution and its group normalisation: no layer may look at a whole tile.

What differs from the papers: *a pixel that is not seen is zero in every layer*, and so is the
outside of the picture, where the papers reflect the picture at its edge. A pixel of a lower level
is seen if any of the four under it is. That is what lets a scene be cut anywhere: a tile with a
halo of ``reach`` and an origin on a multiple of ``stride``, both in low-resolution pixels, gives
the pixels of the whole. Sides that do not divide are padded inside, after the last row and column,
with ground never seen.
"""

from __future__ import annotations

from itertools import pairwise
from math import gcd, log

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, mish, pad

MIDDLE = 2
"""Residual blocks at the lowest resolution, between the way down and the way up."""


class TimedBlock(nn.Module):
    """shortcut(x) + f(f(x) + time), f = mish(conv3×3); zero where not seen. Reaches two pixels."""

    def __init__(self, channels_in: int, channels_out: int, described: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.outer = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.time = nn.Linear(described, channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, time: Tensor, seen: Tensor) -> Tensor:
        """x [B, D, H, W], time [B, described], seen [B, 1, H, W] -> [B, channels_out, H, W]."""
        y = (mish(self.inner(x)) + self.time(mish(time))[:, :, None, None]) * seen
        added: Tensor = (mish(self.outer(y)) + self.shortcut(x)) * seen
        return added


class TimedBlocks(nn.Module):
    """Residual blocks one after another at one resolution. Reaches two pixels a block."""

    def __init__(self, channels_in: int, channels_out: int, described: int, blocks: int) -> None:
        super().__init__()
        first = TimedBlock(channels_in, channels_out, described)
        rest = (TimedBlock(channels_out, channels_out, described) for _ in range(blocks - 1))
        self.blocks = nn.ModuleList([first, *rest])

    def forward(self, x: Tensor, time: Tensor, seen: Tensor) -> Tensor:
        """x [B, D, H, W], time [B, described], seen [B, 1, H, W] -> [B, channels_out, H, W]."""
        for block in self.blocks:
            x = block(x, time, seen)
        return x


class UNet(nn.Module):
    """Noise, velocity or clean image from an image in noise, on the high-resolution grid.

    channels_in: of x and concat together. features: F of the encoder, 0 for none. blocks: on each
    level, each way. The published network of four levels halves the resolution three times.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        features: int,
        scale: int,
        width: int = 64,
        multipliers: tuple[int, ...] = (1, 2, 3, 4),
        blocks: int = 2,
    ) -> None:
        super().__init__()
        widths = [width * multiple for multiple in multipliers]
        levels = list(pairwise(widths))
        self.scale, self.width = scale, width
        self.reach = _reach(len(widths), blocks, scale)
        self.coarsest = 2 ** len(levels)
        self.stride = self.coarsest // gcd(self.coarsest, scale)
        self.time = nn.Sequential(
            nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width)
        )
        self.given = _enlarging(features, widths[0], scale) if features else None
        self.down = nn.ModuleList(
            TimedBlocks(above, here, width, blocks)
            for above, here in pairwise([channels_in, *widths])
        )
        self.shrink = nn.ModuleList(nn.Conv2d(here, here, 3, 2, 1) for here, _ in levels)
        self.middle = TimedBlocks(widths[-1], widths[-1], width, MIDDLE)
        self.up = nn.ModuleList(
            TimedBlocks(2 * here, above, width, blocks) for above, here in levels[::-1]
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(above, above, 4, 2, 1) for above, _ in levels[::-1]
        )
        self.last = nn.Conv2d(widths[0], widths[0], 3, padding=1)
        self.out = nn.Conv2d(widths[0], channels_out, 1)
        nn.init.zeros_(self.out.weight)  # silent at first, which is right for white residuals
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(
        self,
        x: Tensor,
        level: Tensor,
        features: Tensor,
        seen: Tensor,
        concat: Tensor | None = None,
    ) -> Tensor:
        """Image [B, channels_out, sH, sW] on the grid of x, zero where the ground is not seen.

        x [B, C, sH, sW] and concat [B, K, sH, sW] at high resolution; level [B], a share of the
        chain, a time from 0 to 1 or log(sigma) / 4; features [B, F, H, W] and seen [B, 1, H, W],
        1 or 0, at low resolution.
        """
        rows, cols = x.shape[-2:]
        margin = [0, -cols % self.coarsest, 0, -rows % self.coarsest]  # left, right, top, bottom
        near = seen.repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1)
        masks = [pad(near, margin)]
        for _ in self.shrink:
            masks.append(max_pool2d(masks[-1], 2))
        time: Tensor = self.time(describe_level(level, self.width).to(x.dtype))
        y = x if concat is None else torch.cat([x, concat], 1)
        y = self.down[0](pad(y, margin) * masks[0], time, masks[0])
        if self.given is not None:
            y = (y + pad(self.given(features * seen), margin)) * masks[0]
        y = self._down_and_up(y, time, masks)
        image: Tensor = self.out(mish(self.last(y))) * masks[0]
        return image[..., :rows, :cols]

    def _down_and_up(self, y: Tensor, time: Tensor, masks: list[Tensor]) -> Tensor:
        """From the first level [B, D, ...] through the lower ones and back to it."""
        across = []
        for shrink, blocks, seen in zip(self.shrink, self.down[1:], masks[1:], strict=True):
            y = blocks(shrink(y) * seen, time, seen)
            across.append(y)
        y = self.middle(y, time, masks[-1])
        above = pairwise(masks[::-1])
        for blocks, enlarge, (seen, finer) in zip(self.up, self.enlarge, above, strict=True):
            y = blocks(torch.cat([y, across.pop()], 1), time, seen)
            y = enlarge(y) * finer
        return y


def describe_level(level: Tensor, width: int) -> Tensor:
    """[B] -> [B, width]: sines and cosines, 1000 to 0.1 radians for a level of 1.

    The embedding of a step t of 1000 by Vaswani et al. 2017, section 3.5, with level = t / 1000;
    its slow waves also tell apart the logarithms of sigma.
    """
    count = width // 2
    numbers = torch.arange(count, device=level.device, dtype=level.dtype)
    pace = (-log(10_000) / max(count - 1, 1) * numbers).exp()
    phase = 1000 * level[:, None] * pace
    return torch.cat([phase.sin(), phase.cos()], 1)


def _enlarging(channels_in: int, channels_out: int, scale: int) -> nn.ConvTranspose2d:
    """Low resolution to high: each pixel reaches half a pixel into its neighbours."""
    side = 2 * scale - scale % 2
    return nn.ConvTranspose2d(channels_in, channels_out, side, scale, (side - scale) // 2)


def _reach(levels: int, blocks: int, scale: int) -> int:
    """How far, in low-resolution pixels, an input can be from an output it has a say in.

    It is not the same for every pixel, since levels halve the grid: the pixels that the output at
    each place of a period depends on are followed backwards through the deepest path.
    """
    side = 2 * scale - scale % 2
    before = (side - scale) // 2
    farthest = 0
    for pixel in range(2 ** (levels - 1) * scale):
        first, last = pixel - 1, pixel + 1
        for _ in range(levels - 1):  # a transposed convolution of 4, stride 2, and blocks above it
            first, last = (first - 1) // 2 - 2 * blocks, (last + 1) // 2 + 2 * blocks
        first, last = first - 2 * MIDDLE, last + 2 * MIDDLE
        for _ in range(levels - 1):  # blocks, and the strided convolution of 3 that leads to them
            first, last = 2 * (first - 2 * blocks) - 1, 2 * (last + 2 * blocks) + 1
        given = -((side - 1 - before - first) // scale), (last + before) // scale
        noisy = (first - 2 * blocks) // scale, (last + 2 * blocks) // scale
        here = pixel // scale
        farthest = max(farthest, here - min(given[0], noisy[0]), max(given[1], noisy[1]) - here)
    return farthest
