"""What brings the reference of a pair onto its series, found from the pair alone.

No system has a say in it, and every system is scored against the same aligned reference. A
reference of another sensor needs a shift, and a gain and an offset in every band, fitted at low
resolution where no system can profit from it. One of the same sensor is left as it is, but the
registered measures are given one shift, found between it and bicubic interpolation.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np

from sitsr.baselines import bicubic, nearest
from sitsr.datasets import OTHER_SENSOR, Pair
from sitsr.datasets.harmonise import Linear, contrast, gain, harmonised
from sitsr.datasets.registration import Shift, registered, shift_of_reference
from sitsr.metrics import best_shift
from sitsr.radiometry import degrade
from sitsr.series import Booleans, Floats, InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """What brings the reference of a real pair onto its series: first the shift, then the rest."""

    shift: Shift
    fitted: Linear

    @property
    def dy(self) -> float:
        """High-resolution pixels down."""
        return self.shift.rows

    @property
    def dx(self) -> float:
        """High-resolution pixels to the right."""
        return self.shift.cols

    @property
    def gain(self) -> Floats:
        """[C]"""
        return self.fitted.gain

    @property
    def offset(self) -> Floats:
        """[C] reflectance."""
        return self.fitted.offset

    def figures(self, bands: tuple[str, ...]) -> dict[str, float]:
        """The same as named numbers, to stand beside the scores."""
        gain = {f"gain_{band}": float(g) for band, g in zip(bands, self.gain, strict=True)}
        offset = {f"offset_{band}": float(o) for band, o in zip(bands, self.offset, strict=True)}
        return {"shift_rows": self.dy, "shift_cols": self.dx, **gain, **offset}


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A pair that is ready to be scored; the same for every system."""

    pair: Pair
    """With its reference aligned, if that is of another sensor."""
    contrasted: Pair | None
    """The same at equal contrast; None unless the reference is of another sensor."""
    shift: tuple[float, float]
    """By which the registered measures move the reference, high-resolution pixels."""
    figures: dict[str, float]
    """What was done to the reference, as named numbers."""


def prepare(pair: Pair) -> Prepared:
    """The pair with everything that is found from it once, before any system is scored."""
    if pair.at_sensor:
        return Prepared(pair, None, (0.0, 0.0), {})
    if pair.kind in OTHER_SENSOR:
        alignment = align(pair)
        contrasted = aligned(pair, at_equal_contrast(pair, alignment))
        figures = alignment.figures(pair.series.bands)
        return Prepared(aligned(pair, alignment), contrasted, (0.0, 0.0), figures)
    lr = nearest(pair.series, pair.target)
    shift = best_shift(bicubic(lr, pair.scale), pair.reference, pair.clear, float(pair.scale))
    return Prepared(pair, None, shift, {"shift_rows": shift[0], "shift_cols": shift[1]})


def align(pair: Pair) -> Alignment:
    """One shift, and one gain and offset a band, from the pair alone.

    The reference is laid on the bicubic image of the nearest clear dates; gain and offset are
    fitted at low resolution, between it as the sensor would see it and what the sensor saw.
    """
    shift = shift_of_reference(pair)
    if shift.at_limit:
        told = (pair.patch, shift.rows, shift.cols)
        log.warning("%s: the shift %.1f, %.1f is the most that was searched", *told)
    fitted = gain(registered(pair, shift))
    if min(fitted.gain) <= 0:
        log.warning("%s: a gain of %.2f; the two images do not match", pair.patch, min(fitted.gain))
    return Alignment(shift, fitted)


def at_equal_contrast(pair: Pair, alignment: Alignment) -> Alignment:
    """The same shift, with gains that give the reference the contrast of the series at 10 m."""
    return Alignment(alignment.shift, contrast(registered(pair, alignment.shift)))


def aligned(pair: Pair, alignment: Alignment) -> Pair:
    """The pair with its reference shifted and brought to the radiometry of the series."""
    return harmonised(registered(pair, alignment.shift), alignment.fitted)


def observation(pair: Pair) -> tuple[Floats, Booleans] | None:
    """[C, H, W] what the sensor saw on the target date and [H, W] where; None if it saw nothing."""
    if pair.target not in pair.series.dates:
        return None
    when = pair.series.dates.index(pair.target)
    return pair.series.images[when], pair.series.clear[when]


def at_low_resolution(pair: Pair, image: Floats) -> Floats:
    """[C, H, W] an image [C, scale·H, scale·W] as the sensor would see it; NaN where it is not."""
    known = np.asarray(np.isfinite(image).all(axis=0), bool)
    if not known.any():
        raise InputError("the estimate is NaN everywhere; give one that says something")
    return degrade(image, pair.scale, pair.sensor_sigma, known)


def days_away(pair: Pair) -> float:
    """Days from the target to the nearest clear date, the mean over pixels."""
    away = np.abs(pair.series.days_from(pair.target))[:, None, None]
    nearest_day = np.where(pair.series.clear, away, np.inf).min(axis=0)
    seen = np.isfinite(nearest_day)
    return float(nearest_day[seen].mean()) if seen.any() else math.nan
