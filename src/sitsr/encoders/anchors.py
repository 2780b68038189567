"""What a series says before any network: its anchor at the target date, contrast, enlargement."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, pad

UNIT = 0.1
"""Reflectance that networks see as 1, where they see reflectance and not contrast."""

CONTRAST_REACH = 2
"""Half-width of the window that local level and contrast are taken over, pixels."""

LEAST_CONTRAST = 0.003
"""Contrast of ground where there is none, reflectance: about the sensor's noise."""


YEAR = 365.25
"""Days."""

A_YEAR_AWAY = 18.0
"""Days away that an image of the same day in another year is taken for, for each year."""

UPSAMPLE_REACH = 4
"""How far ``upsample`` looks, pixels: two to fill holes, two for the cubic kernel."""


class Encoding(NamedTuple):
    """What is known of the ground at the target date, on the low-resolution grid."""

    features: Tensor
    """[B, F, H, W] zero where seen is False."""
    anchor: Tensor
    """[B, C, H, W] reflectance, the clear images averaged with weights for nearness in time."""
    contrast: Tensor
    """[B, C, H, W] reflectance, the anchor's local standard deviation; what networks give is in
    units of it."""
    seen: Tensor
    """[B, 1, H, W] 1 where any image is clear, else 0."""


def anchor_at_target(
    images: Tensor, clear: Tensor, days: Tensor, a_year: float = A_YEAR_AWAY
) -> tuple[Tensor, Tensor]:
    """The clear images averaged with weights for nearness, and where there is any.

    The target's own day outweighs one five days off 36 to 1, so the anchor is all but the image of
    that day where it is clear, and slides smoothly to the nearest others where it is not. No more
    and no less comes out than was seen.
    [B, T, C, H, W], [B, T, H, W], [B, T] -> [B, C, H, W], [B, 1, H, W].
    """
    weight = clear * nearness(days, a_year)[..., None, None]  # [B, T, H, W]
    total = weight.sum(1)[:, None]  # [B, 1, H, W]
    seen = clear.any(1)[:, None].to(images.dtype)
    images = images.where(clear.unsqueeze(2), 0.0)
    summed = torch.einsum("bthw,btchw->bchw", weight, images)
    return torch.where(seen > 0, summed / total.clamp_min(1e-12), 0.0), seen


def nearness(days: Tensor, a_year: float = A_YEAR_AWAY) -> Tensor:
    """[...] signed days -> [...] the weight of an image so far from the target date.

    Inverse squares of two distances (Shepard 1968, doi:10.1145/800186.810616), added: the days,
    and the days to the same day of the year with a_year more for each year between. For ground of
    this season a year ago is more like ground today than ground of another season is
    (docs/decisions/nearness.md).
    """
    away = days.abs()
    season = ((away + YEAR / 2) % YEAR - YEAR / 2).abs()
    return (1 + away) ** -2.0 + (1 + season + a_year * away / YEAR) ** -2.0


def local_contrast(anchor: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [B, C, H, W] of the anchor around each pixel, over what is seen.

    Local contrast normalisation (Jarrett et al. 2009, doi:10.1109/ICCV.2009.5459469): a network
    that sees and gives multiples of the local contrast learns one edge, not one for every field
    and season. Reaches 2 · CONTRAST_REACH pixels.
    """
    side = 2 * CONTRAST_REACH + 1

    def average(image: Tensor) -> Tensor:
        near = nn.functional.avg_pool2d(seen, side, stride=1, padding=CONTRAST_REACH)
        total = nn.functional.avg_pool2d(image * seen, side, stride=1, padding=CONTRAST_REACH)
        return total / near.clamp_min(1e-6) * seen

    level = average(anchor)
    return level, (average((anchor - level).square()) + LEAST_CONTRAST**2).sqrt()


def upsample(image: Tensor, seen: Tensor, scale: int) -> Tensor:
    """Bicubic interpolation [B, C, H, W] -> [B, C, scale·H, scale·W] that knows of holes.

    The kernel reaches two pixels; so far, ground not seen (the outside of the picture as well) is
    filled with the mean of its seen neighbours, that no zero bleeds into what was seen.
    """
    reach = 2
    image, seen = (pad(each, [reach] * 4) for each in (image * seen, seen))
    for _ in range(reach):
        near = nn.functional.avg_pool2d(seen, 3, stride=1, padding=1)
        blurred = nn.functional.avg_pool2d(image, 3, stride=1, padding=1) / near.clamp_min(1e-6)
        image = torch.where(seen > 0, image, blurred * (near > 0))
        seen = max_pool2d(seen, 3, stride=1, padding=1)
    fine = interpolate(image, scale_factor=scale, mode="bicubic", align_corners=False)
    return fine[..., reach * scale : -reach * scale, reach * scale : -reach * scale]


def enlarged(seen: Tensor, scale: int) -> Tensor:
    """Each pixel [B, 1, H, W] repeated scale × scale times: [B, 1, scale·H, scale·W]."""
    fine: Tensor = seen.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    return fine
