"""Images in a fixed number of places, the nearest first: for networks that need an order.

A whole image cannot hold a place. Were it held by an image that is cloudy here, that image would
say something; were such images passed over by how much of the tile they show, the answer would
depend on the tile. So places are filled pixel by pixel: the first holds the nearest image that is
clear there, the second the next one, and so on; of two as near, the earlier comes first. What is
clear in one place is then clear in all before it. Places that no image is left for are zero, and
images that no place is left for are not used.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import pad

from sitsr.encoders.anchors import CONTRAST_REACH, Encoding
from sitsr.encoders.frames import framed
from sitsr.encoders.single import DenseTrunk

EARLIER_FIRST = 1e-3
"""Days that an image after the target date counts as further off than one as long before it."""


def one_a_day(images: Tensor, clear: Tensor, days: Tensor) -> tuple[Tensor, Tensor]:
    """The images of one day made one, averaged where clear, at the place of the first of them.

    The others of that day are clear nowhere. Without it the order of such images would matter.
    [B, T, C, H, W], [B, T, H, W], [B, T] -> [B, T, C, H, W], zero where not clear, [B, T, H, W].
    """
    first = (days[:, :, None] == days[:, None]).int().argmax(2)  # [B, T] of those of its day
    index = first[:, :, None, None].expand_as(clear)
    known = clear.to(images.dtype)
    images = images.where(clear.unsqueeze(2), 0.0)
    count = torch.zeros_like(known).scatter_add(1, index, known)
    summed = torch.zeros_like(images).scatter_add(1, index.unsqueeze(2).expand_as(images), images)
    return summed / count.clamp_min(1).unsqueeze(2), count > 0


def nearest_first(frames: Tensor, mask: Tensor, days: Tensor, places: int) -> tuple[Tensor, Tensor]:
    """At every pixel the ``places`` nearest frames that are clear there, or all T where T is less.

    frames [B, T, F, H, W], mask [B, T, 1, H, W], days [B, T] -> frames [B, K, F, H, W], zero where
    not clear, and mask [B, K, 1, H, W], with K the lesser of places and T.
    """
    distance = (days.abs() + EARLIER_FIRST * (days > 0))[..., None, None, None]
    order = torch.where(mask > 0, distance, torch.inf).argsort(stable=True, dim=1)[:, :places]
    mask = mask.take_along_dim(order, 1)
    return frames.take_along_dim(order, 1) * mask, mask


class Places(NamedTuple):
    """K places filled from a series, and what is known before any network."""

    x: Tensor
    """[B, K, 2C+1, H, W] as ``framed`` gives each image: image, anchor, mask."""
    mask: Tensor
    """[B, K, 1, H, W] 1 where the place is filled, else 0."""
    anchor: Tensor
    """[B, C, H, W] as in Encoding."""
    contrast: Tensor
    """[B, C, H, W] as in Encoding."""
    seen: Tensor
    """[B, 1, H, W] as in Encoding."""


def placed(images: Tensor, clear: Tensor, days: Tensor, places: int) -> Places:
    """images [B, T, C, H, W], clear [B, T, H, W], days [B, T] in exactly so many places."""
    images, clear = one_a_day(images, clear, days)
    x, mask, anchor, contrast, seen, times = framed(images, clear, days)
    x, mask = (rearrange(each, "(b t) f h w -> b t f h w", t=times) for each in (x, mask))
    x, mask = nearest_first(x, mask, days, places)
    missing = [0] * 7 + [places - x.shape[1]]
    return Places(pad(x, missing), pad(mask, missing), anchor, contrast, seen)


class Stacked(nn.Module):
    """The images as bands of one, through the trunk of ESRGAN: the generator of Wolters et al. 2023
    (arXiv:2311.18082), which stacks 1 to 16 images.

    There any order is taken, whole images hold the places and clouds are left to the network; here
    the nearest comes first, pixel by pixel, and masks are stacked beside the images.
    bands: C. width: F. frames: places. The paper's size is width 64, blocks 23, growth 32,
    frames 8. Reaches 2 + 15·blocks pixels.
    """

    uses = frozenset({"images", "masks", "order"})
    breaks = ""

    def __init__(
        self, bands: int, width: int, frames: int = 8, blocks: int = 23, growth: int = 32
    ) -> None:
        super().__init__()
        self.bands, self.frames = bands, frames
        self.trunk = DenseTrunk(frames * (bands + 1), width, blocks, growth)
        self.features = width
        self.reach = max(self.trunk.reach, 2 * CONTRAST_REACH)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        x, mask, anchor, contrast, seen = placed(images, clear, days, self.frames)
        stack = torch.cat([x[:, :, : self.bands], mask], 2).flatten(1, 2)
        stack = stack.contiguous(memory_format=torch.channels_last)
        return Encoding(self.trunk(stack, seen), anchor, contrast, seen)
