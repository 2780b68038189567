"""Every date of a series teaches what the ground was on it, with no image of high resolution.

One image is taken out, its date made the target, and the mean must then look, to the sensor, as
the image that was taken out:

    A(mean of the others at day k) = image k,     where it was clear.

So a model learns to answer for any date, though hr is known at one. In testing the same number is a
measure on real series.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from sitsr.consistency import BLUR_REACH, observe
from sitsr.series import InputError

MeanOf = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images [B, T, C, H, W], clear [B, T, H, W], days [B, T]) -> mean [B, C, scale·H, scale·W]."""


class HeldOut(NamedTuple):
    """A series without one of its days, which is now the target."""

    images: Tensor
    """[B, T, C, H, W] reflectance; 0 on the day held out."""
    clear: Tensor
    """[B, T, H, W] False on the day held out."""
    days: Tensor
    """[B, T] acquisition minus the day held out."""
    frame: Tensor
    """[B, C, H, W] reflectance, the image held out."""
    weight: Tensor
    """[B, 1, H, W] 1 where it was clear, and others see all ground that a pixel sees; else 0."""


def held_out(
    model_forward: MeanOf,
    images: Tensor,
    clear: Tensor,
    days: Tensor,
    sigma: tuple[float, ...],
    chance: torch.Generator,
) -> Tensor:
    """Mean absolute error, in reflectance, of the mean at a day held out, as the sensor sees it.

    images [B, T, C, H, W], clear [B, T, H, W], days [B, T]; sigma: the point-spread function of
    each band, in low-resolution pixels. Counted where the image held out is clear and the others
    see all the ground that its pixel gathers light from. An example with fewer than two days
    counts for nothing; the loss of nothing is 0, with a gradient of 0.
    """
    if len(sigma) != images.shape[2]:
        raise InputError(
            f"sigma holds {len(sigma)} numbers for {images.shape[2]} bands; give one a band"
        )
    rest = without_one(images, clear, days, chance)
    mean = model_forward(rest.images, rest.clear, rest.days)
    missed = observe(mean, sigma, mean.shape[-1] // images.shape[-1]) - rest.frame
    missed = missed.where(rest.weight > 0, 0.0)
    return missed.abs().sum() / (rest.weight.sum() * len(sigma)).clamp_min(1)


def without_one(images: Tensor, clear: Tensor, days: Tensor, chance: torch.Generator) -> HeldOut:
    """The series without one of its days, drawn for each example by the generator.

    All images of that day go, since a series may hold one twice. Drawn among the days that have an
    image which shows ground that another day shows too.
    """
    same = days[:, :, None] == days[:, None, :]  # [B, T, T]
    others = torch.einsum("bkt,bthw->bkhw", (~same).to(images), clear.to(images)) > 0
    compared = clear & _all_around(others)  # [B, T, H, W]
    ticket = torch.rand(days.shape, generator=chance).to(days.device)
    chosen = (ticket + compared.any(-1).any(-1).to(ticket)).argmax(1)
    row = torch.arange(len(days), device=days.device)
    gone = same[row, chosen][..., None, None]  # [B, T, 1, 1]
    kept = clear & ~gone
    return HeldOut(
        images.masked_fill(gone[:, :, None], 0.0),
        kept,
        days - days[row, chosen][:, None],
        images[row, chosen],
        compared[row, chosen][:, None].to(images.dtype),
    )


def _all_around(seen: Tensor) -> Tensor:
    """[B, T, H, W] True where all pixels of the picture under the point-spread function are."""
    side = 2 * BLUR_REACH + 1
    hole = max_pool2d((~seen).to(torch.float32), side, stride=1, padding=BLUR_REACH)
    return hole == 0
