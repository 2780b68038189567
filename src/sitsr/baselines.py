"""The simplest images that a series gives, which every other system has to beat.

    nearest_bicubic   every pixel as seen on the nearest clear date, enlarged
    median_bicubic    the median over all clear dates, enlarged
    mean_bicubic      the mean over all clear dates, enlarged
    linear_bicubic    a straight line in time between the clear dates about the target, enlarged
    weighted_bicubic  the clear dates weighted by how near they are in time and season, enlarged

None learns anything. Enlarging is cubic convolution (Keys 1981) with a = -0.75 and clamped
borders, the same as torch.nn.functional.interpolate(mode="bicubic", align_corners=False), so
that it is also the image to which networks add their detail.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from sitsr.radiometry import filled
from sitsr.series import Floats, InputError, Series


def nearest_bicubic(series: Series, target: date, scale: int) -> Floats:
    """[C, scale·H, scale·W] reflectance on the clear date nearest to the target, pixel by pixel."""
    return bicubic(nearest(series, target), scale)


def median_bicubic(series: Series, target: date, scale: int) -> Floats:
    """[C, scale·H, scale·W] median reflectance of the clear dates; the target plays no part."""
    return bicubic(median(series), scale)


def mean_bicubic(series: Series, target: date, scale: int) -> Floats:
    """[C, scale·H, scale·W] mean reflectance of the clear dates; the target plays no part."""
    ever = _ever_clear(series)
    weight = series.clear[:, None].astype(np.float64)
    total = (weight * series.images).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
    return bicubic(filled(total.astype(np.float32), ever), scale)


def linear_bicubic(series: Series, target: date, scale: int) -> Floats:
    """[C, scale·H, scale·W] reflectance on a straight line between two clear dates.

    They are the last clear date up to the target and the first from it on, pixel by pixel; where
    there is only one of the two, its value.
    """
    ever = _ever_clear(series)
    days = series.days_from(target).astype(np.float64)[:, None, None]
    before = np.where(series.clear & (days <= 0), days, -np.inf)
    after = np.where(series.clear & (days >= 0), days, np.inf)
    earlier, later = before.argmax(axis=0), after.argmin(axis=0)
    from_day, to_day = -before.max(axis=0), after.min(axis=0)
    earlier = np.where(np.isfinite(from_day), earlier, later)
    later = np.where(np.isfinite(to_day), later, earlier)
    both = np.isfinite(from_day) & np.isfinite(to_day) & (from_day + to_day > 0)
    share = np.divide(from_day, from_day + to_day, out=np.zeros(ever.shape), where=both)
    first, last = (
        np.take_along_axis(series.images, chosen[None, None], axis=0)[0]
        for chosen in (earlier, later)
    )
    line = (1 - share) * first + share * last
    return bicubic(filled(line.astype(np.float32), ever), scale)


def weighted_bicubic(series: Series, target: date, scale: int) -> Floats:
    """[C, scale·H, scale·W] the anchor that networks begin from, enlarged."""
    return bicubic(weighted(series, target), scale)


def nearest(series: Series, target: date) -> Floats:
    """[C, H, W] reflectance on the clear date nearest to the target, pixel by pixel.

    Of two dates as near, the earlier one; a pixel that is never clear takes the nearest one
    that is.
    """
    ever = _ever_clear(series)
    distance = np.abs(series.days_from(target))[:, None, None]
    chosen = np.where(series.clear, distance, np.inf).argmin(axis=0)
    image = np.take_along_axis(series.images, chosen[None, None], axis=0)[0]
    return filled(image, ever)


def median(series: Series) -> Floats:
    """[C, H, W] median reflectance over the clear dates, pixel by pixel, filled as in nearest."""
    ever = _ever_clear(series)
    seen = series.clear | ~ever  # a median of nothing would warn; filled() writes over it
    values = np.where(seen[:, None], series.images, np.nan)
    return filled(np.nanmedian(values, axis=0).astype(np.float32), ever)


def weighted(series: Series, target: date, a_year: float | None = None) -> Floats:
    """[C, H, W] the anchor that networks begin from (``anchor_at_target``), filled as in nearest.

    a_year: the days that a year between counts as, if not what networks were trained with.
    """
    import torch

    from sitsr.encoders import A_YEAR_AWAY, anchor_at_target

    ever = _ever_clear(series)
    days = torch.from_numpy(series.days_from(target).astype(np.float32))
    images, clear = torch.from_numpy(series.images), torch.from_numpy(series.clear)
    away = A_YEAR_AWAY if a_year is None else a_year
    anchor, _ = anchor_at_target(images[None], clear[None], days[None], away)
    return filled(anchor[0].numpy(), ever)


def bicubic(image: Floats, scale: int) -> Floats:
    """An image [..., H, W] enlarged to [..., scale·H, scale·W] by cubic convolution."""
    wide = _enlarged(image.astype(np.float64), scale)
    both = _enlarged(wide.swapaxes(-1, -2), scale).swapaxes(-1, -2)
    return np.ascontiguousarray(both, np.float32)


def _ever_clear(series: Series) -> npt.NDArray[np.bool_]:
    ever = np.asarray(series.clear.any(axis=0), bool)
    if not ever.any():
        raise InputError(
            f"no pixel is clear on any of {len(series.dates)} dates; give a series with a clear one"
        )
    return ever


def _enlarged(image: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.float64]:
    """Cubic convolution along the last axis."""
    length = image.shape[-1]
    position = (np.arange(scale * length) + 0.5) / scale - 0.5
    first = np.floor(position).astype(np.intp)
    total = np.zeros((*image.shape[:-1], scale * length))
    for tap in range(-1, 3):
        column = np.clip(first + tap, 0, length - 1)
        total += _cubic(position - first - tap) * image[..., column]
    return total


def _cubic(distance: npt.NDArray[Any], a: float = -0.75) -> npt.NDArray[np.float64]:
    """Weight of a pixel this many pixels away, at most 2 (Keys 1981, eq. 8)."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d**2 + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    weight: npt.NDArray[np.float64] = np.where(d <= 1, near, far)
    return weight
