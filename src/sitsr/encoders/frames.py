"""What encoders that look at each image alone have in common: the images as networks take them,
and the embedding of one image that HighRes-net brought.

The reference frame of these methods is the anchor at the target date, which every image is shown
beside. A pixel that is not clear is zero after every layer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from sitsr.encoders.anchors import UNIT, anchor_at_target, local_contrast
from sitsr.encoders.layers import he


class Framed(NamedTuple):
    """The images of a series one by one, N = B·T, and what is known before any network."""

    x: Tensor
    """[N, 2C+1, H, W] image and anchor in units of UNIT minus 1, and the mask; zero where the
    image is not clear."""
    mask: Tensor
    """[N, 1, H, W] 1 where the image is clear, else 0."""
    anchor: Tensor
    """[B, C, H, W] reflectance, as in Encoding."""
    contrast: Tensor
    """[B, C, H, W] reflectance, as in Encoding."""
    seen: Tensor
    """[B, 1, H, W] as in Encoding."""
    times: int
    """T: rearrange(x, "(b t) f h w -> b t f h w", t=times) puts the series together again."""


def framed(images: Tensor, clear: Tensor, days: Tensor) -> Framed:
    """images [B, T, C, H, W], clear [B, T, H, W], days [B, T] as networks take them.

    What lies where clear is False is replaced before anything is computed from it, NaN as well.
    """
    anchor, seen = anchor_at_target(images, clear, days)
    _, contrast = local_contrast(anchor, seen)
    times = images.shape[1]
    mask = rearrange(clear, "b t h w -> (b t) 1 h w").to(images.dtype)
    own = rearrange(images, "b t c h w -> (b t) c h w")
    beside = anchor.repeat_interleave(times, 0)
    x = torch.cat([own / UNIT - 1, beside / UNIT - 1, mask], 1).where(mask > 0, 0.0)
    return Framed(x, mask, anchor, contrast, seen, times)


def mean_over_time(frames: Tensor, mask: Tensor, times: int) -> Tensor:
    """The mean [B, F, H, W] of features [B·T, F, H, W] where the mask [B·T, 1, H, W] is 1."""
    frames, mask = (
        rearrange(each, "(b t) f h w -> b t f h w", t=times) for each in (frames * mask, mask)
    )
    return frames.sum(1) / mask.sum(1).clamp_min(1)


class PixelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel of [N, F, H, W], gain and offset learned.

    It stands where published networks have group or batch normalisation: those look at a whole
    tile, or at images that are not clear, and this at nothing but the pixel itself.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        even: Tensor = self.norm(x.movedim(1, -1)).movedim(-1, 1)
        return even


class FrameBlock(nn.Module):
    """x + prelu(conv(prelu(conv(x)))), zero where the mask is zero. Reaches two pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = he(nn.Conv2d(width, width, 3, padding=1))
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.bend, self.bend_again = nn.PReLU(), nn.PReLU()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner = self.bend(self.first(x)) * mask
        added: Tensor = self.bend_again(self.second(inner)) * mask
        return x + added


class FrameEncoder(nn.Module):
    """The embedding of one image: conv, PReLU, residual blocks, conv (Deudon et al. 2020,
    HighRes-net, arXiv:2002.06460, section 3.2); weights are the same for all images.

    Here the mask is one input more, and zero is put back wherever it is zero after every layer.
    bands: C. width: F. Reaches 2 + 2·blocks pixels.
    """

    def __init__(self, bands: int, width: int, blocks: int) -> None:
        super().__init__()
        self.reach = 2 + 2 * blocks
        self.stem = he(nn.Conv2d(2 * bands + 1, width, 3, padding=1))
        self.bend = nn.PReLU()
        self.blocks = nn.ModuleList(FrameBlock(width) for _ in range(blocks))
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [N, 2C+1, H, W] and mask [N, 1, H, W] of ``framed`` -> [N, F, H, W]."""
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.bend(self.stem(x)) * mask
        for block in self.blocks:
            x = block(x, mask)
        features: Tensor = self.last(x) * mask
        return features
