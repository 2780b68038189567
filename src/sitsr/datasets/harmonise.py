"""What lies between the radiometry of a reference and that of its series: fitted, told, applied.

    none        nothing
    gain        y = a x + b in every band, by robust regression
    contrast    the same with the gain that keeps the contrast of the series
    field       y = g (a x + b) with a gain g that varies slowly over the ground
    histogram   y of the same rank as x in every band; for comparison only

with x the reference *as the sensor would see it* and y what the sensor saw, both at low resolution,
where both are clear. Detail of the reference that the sensor cannot see has no say in any fit, and
no system has either. ``fit_over`` fits one relation to many pairs of training data, so that it can
be applied to others that were not looked at. Register first: a shift passes for lost contrast.

Histogram matching bends the scale of values, and with it the detail that is to be learnt or scored
(docs/decisions/real-pairs.md). The others multiply detail by a number that is the same for all of
it, or as good as the same within a width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import ceil
from typing import Any

import numpy as np
from scipy import interpolate

from sitsr.baselines import nearest
from sitsr.datasets.pairs import Pair
from sitsr.radiometry import FEWEST, Doubles, degrade, match, match_contrast
from sitsr.series import Booleans, Floats, InputError

WIDTH = 64.0
"""Low-resolution pixels below which a gain field says nothing; 640 m of Sentinel-2."""

BLUR = 0.6
"""Gaussian of the local means over the width: waves of one width pass at exp(-2 π² 0.6²) = 0.0008,
those of four at 0.64."""

FLOOR = 0.01
"""Reflectance that is added to both local means, so that dark water does not set a gain."""

MOST = 2.0
"""A gain field lies between this and one over it; pixels beyond have changed."""

LEVELS = np.linspace(0.005, 0.995, 100)
"""Ranks that histogram matching looks at."""

SAMPLE = 1024
"""Pixels of one pair at most that have a say in a fit over many, so that each counts as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """One gain and offset a band."""

    method: str
    """"none", "gain" or "contrast"."""
    bands: tuple[str, ...]
    gain: Floats
    """[C]"""
    offset: Floats
    """[C] in the values of the series."""

    def __post_init__(self) -> None:
        _check(self, gain=(len(self.bands),), offset=(len(self.bands),))

    def __call__(self, image: Floats) -> Floats:
        """[C, H, W] of any size, in the values of the series."""
        return self.gain[:, None, None] * image + self.offset[:, None, None]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A gain and an offset a band, and a gain that varies slowly over the ground."""

    method: str
    """"field"."""
    bands: tuple[str, ...]
    gain: Floats
    """[C]"""
    offset: Floats
    """[C] in the values of the series."""
    width: float
    """Low-resolution pixels below which the field says nothing."""
    shape: tuple[int, int]
    """H, W of the series."""
    nodes: Floats
    """[C, N, M] the field at N × M places spread evenly from the first pixel to the last."""

    def __post_init__(self) -> None:
        count = len(self.bands)
        places = (_count(side, self.width) for side in self.shape)
        _check(self, gain=(count,), offset=(count,), nodes=(count, *places))

    def __call__(self, image: Floats) -> Floats:
        """[C, H, W] over the same ground, in the values of the series."""
        flat = self.gain[:, None, None] * image + self.offset[:, None, None]
        return flat * self.over((image.shape[1], image.shape[2]))

    def over(self, shape: tuple[int, int]) -> Floats:
        """[C, H, W] the field on a grid of this shape over the same ground."""
        down, across = (_nodes(side, self.width) for side in self.shape)
        # Pixel centres of the new grid in low-resolution pixels; the field ends flat.
        rows, cols = (
            np.clip((np.arange(new) + 0.5) / new * old - 0.5, 0, old - 1)
            for new, old in zip(shape, self.shape, strict=True)
        )
        splines = (interpolate.RectBivariateSpline(down, across, band) for band in self.nodes)
        return np.stack([spline(rows, cols) for spline in splines]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """The values of both images at the same ranks."""

    method: str
    """"histogram"."""
    bands: tuple[str, ...]
    given: Floats
    """[C, 100] of the reference, never falling."""
    wanted: Floats
    """[C, 100] of the series, never falling."""

    def __post_init__(self) -> None:
        ranked = (len(self.bands), len(LEVELS))
        _check(self, given=ranked, wanted=ranked)
        falls = (np.diff(self.given) < 0).any() or (np.diff(self.wanted) < 0).any()
        if falls or (np.ptp(self.given, axis=1) <= 0).any():
            raise InputError(
                "the values of a histogram must rise with their rank, but a band of it falls or is "
                "the same everywhere; leave the band out"
            )

    def __call__(self, image: Floats) -> Floats:
        """[C, H, W] of any size, in the values of the series; a straight line beyond the ends."""
        return np.stack(
            [_by_rank(*each) for each in zip(image, self.given, self.wanted, strict=True)]
        ).astype(np.float32)


Fitted = Linear | Field | Quantiles


def both_at_low_resolution(pair: Pair) -> tuple[Floats, Floats, Booleans]:
    """[C, H, W] the reference as the sensor would see it, [C, H, W] what it saw, [H, W] where both.

    What it saw is that of the nearest clear date, pixel by pixel. InputError where the reference is
    on the grid of the series, or nothing is clear in it.
    """
    if pair.at_sensor:
        raise InputError(
            f"the reference of {pair.patch} lies on the grid of its series; give one that is finer"
        )
    share = pair.clear[None].astype(np.float32)
    whole = degrade(share, pair.scale, (max(pair.sensor_sigma),))[0] > 0.999
    reference = degrade(pair.reference, pair.scale, pair.sensor_sigma, pair.clear)
    ever = np.asarray(pair.series.clear.any(axis=0), bool)
    return reference, nearest(pair.series, pair.target), whole & ever


def none(pair: Pair) -> Linear:
    """Nothing: the reference stays as it is."""
    count = len(pair.series.bands)
    return Linear(
        "none", pair.series.bands, np.ones(count, np.float32), np.zeros(count, np.float32)
    )


def gain(pair: Pair) -> Linear:
    """Robust regression of the series on the reference (``sitsr.radiometry.match``)."""
    return Linear("gain", pair.series.bands, *match(*both_at_low_resolution(pair)))


def contrast(pair: Pair) -> Linear:
    """The reduced major axis (``sitsr.radiometry.match_contrast``)."""
    return Linear("contrast", pair.series.bands, *match_contrast(*both_at_low_resolution(pair)))


def field(pair: Pair, width: float = WIDTH) -> Field:
    """Gain and offset as in ``gain``, then the ratio of the local means that remain.

        g = (Σ k w y + floor) / (Σ k w (a x + b) + floor)

    with k a Gaussian of 0.6 width around the place, and w 1 on clear pixels, but falling to 0 where
    y is twice a x + b or half of it: that is change, not gain. Haze, relief and the angle of view
    vary so. A ratio of means, not a local regression, for products of x and y would bring their
    detail down to the field; and w by a fixed bound, not by the spread of the residuals, for that
    would let detail in. Whatever differs over more than the width is taken for gain, were it a
    forest that was felled: choose it wider than what may have changed.
    """
    x, y, clear = both_at_low_resolution(pair)
    bands, shape = pair.series.bands, (clear.shape[0], clear.shape[1])
    slope, offset = match(x, y, clear)
    known = np.where(clear, slope[:, None, None] * x + offset[:, None, None], 0)
    ratio = np.maximum(y + FLOOR, 1e-9) / np.maximum(known + FLOOR, 1e-9)
    far = np.abs(np.log(ratio)) / np.log(MOST)
    nodes = _ratio(known, y, clear * np.clip(2 - 2 * far, 0, 1), width)
    return Field("field", bands, slope, offset, width, shape, nodes)


def histogram(pair: Pair) -> Quantiles:
    """Matching of the ranks of all clear pixels, band by band; for comparison only."""
    return Quantiles("histogram", pair.series.bands, *ranks(*both_at_low_resolution(pair)))


HARMONISERS: dict[str, Callable[[Pair], Fitted]] = {
    "none": none,
    "gain": gain,
    "contrast": contrast,
    "field": field,
    "histogram": histogram,
}
"""What can be fitted to one pair, by name."""


def harmonised(pair: Pair, fitted: Fitted) -> Pair:
    """The pair with its reference in the values of its series. InputError on other bands."""
    if fitted.bands != pair.series.bands:
        raise InputError(
            f"the fit is of bands {', '.join(fitted.bands)}, {pair.patch} has "
            f"{', '.join(pair.series.bands)}; select the same first"
        )
    return replace(pair, reference=fitted(pair.reference))


def ranks(reference_lr: Floats, lr: Floats, clear: Booleans) -> tuple[Floats, Floats]:
    """[C, 100] values of both images, each [C, H, W], at the ranks of LEVELS over clear [H, W]."""
    few = int(clear.sum())
    if few < FEWEST:
        raise InputError(
            f"only {few} pixels are clear in both images, {FEWEST} are needed to rank them; "
            "give clearer ones"
        )
    given, wanted = (np.quantile(image[:, clear], LEVELS, axis=1).T for image in (reference_lr, lr))
    return given.astype(np.float32), wanted.astype(np.float32)


POOLED = {"gain": match, "contrast": match_contrast, "histogram": ranks}
"""What can be fitted over many pairs, by name: functions of reference_lr, lr and clear."""


def fit_over(pairs: Iterable[Pair], method: str = "gain") -> Fitted:
    """One "gain", "contrast" or "histogram" a band for a whole data set, from pairs to train on.

    Every pair has as much say: 1024 of its clear pixels at most, spread evenly. Pairs are asked for
    one after the other and not kept. InputError where there are none, their bands differ, too few
    pixels are clear, or there is no such method; a field belongs to one pair.
    """
    if method not in POOLED:
        raise InputError(
            f"{method} cannot be fitted over many pairs; choose from {', '.join(POOLED)}"
        )
    bands: tuple[str, ...] = ()
    xs, ys = [], []
    for pair in pairs:
        if bands and pair.series.bands != bands:
            raise InputError(
                f"{pair.patch} has bands {', '.join(pair.series.bands)}, those before it "
                f"{', '.join(bands)}; select the same first"
            )
        bands = pair.series.bands
        x, y, clear = both_at_low_resolution(pair)
        places = np.flatnonzero(clear)
        places = places[:: -(-len(places) // SAMPLE) or 1]
        xs.append(x.reshape(len(bands), -1)[:, places])
        ys.append(y.reshape(len(bands), -1)[:, places])
    if not bands:
        raise InputError("there are no pairs to fit over; give some to train on")
    x, y = (np.concatenate(each, axis=1)[:, None] for each in (xs, ys))
    numbers = POOLED[method](x, y, np.ones(x.shape[1:], bool))
    made = Quantiles if method == "histogram" else Linear
    return made(method, bands, *numbers)


def as_json(fitted: Fitted) -> dict[str, Any]:
    """Names, numbers and lists of numbers, from which ``from_json`` makes the same fit again."""
    told = {each.name: getattr(fitted, each.name) for each in fields(fitted)}
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in told.items()
    }


def from_json(told: Mapping[str, Any]) -> Fitted:
    """The fit that ``as_json`` told of. InputError on an unknown method or a missing part."""
    method = str(told.get("method"))
    kind = KINDS.get(method)
    if kind is None:
        raise InputError(f"{method} is no method of a fit; choose from {', '.join(KINDS)}")
    try:
        given = {each.name: _read(each.name, told[each.name]) for each in fields(kind)}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the {method} fit is not whole ({error}); fit it again") from error
    return kind(**given)


KINDS: dict[str, type[Linear] | type[Field] | type[Quantiles]] = {
    "none": Linear,
    "gain": Linear,
    "contrast": Linear,
    "field": Field,
    "histogram": Quantiles,
}
"""The records of each method."""


def _read(name: str, value: Any) -> Any:
    """A field of a record from what JSON makes of it."""
    if name == "method":
        return str(value)
    if name == "bands":
        return tuple(str(band) for band in value)
    if name == "width":
        return float(value)
    if name == "shape":
        rows, cols = (int(side) for side in value)
        return rows, cols
    return np.array(value, np.float32)


def _check(fitted: Fitted, **shapes: tuple[int, ...]) -> None:
    for name, shape in shapes.items():
        values = getattr(fitted, name)
        if values.shape != shape or not np.isfinite(values).all():
            raise InputError(
                f"{name} of a {fitted.method} fit is {list(values.shape)}; its bands and width ask "
                f"for {list(shape)} finite numbers: fit it again"
            )


def _by_rank(band: Floats, given: Floats, wanted: Floats) -> Doubles:
    """A band [H, W] through the points (given, wanted), and on at their mean slope beyond."""
    slope = (wanted[-1] - wanted[0]) / (given[-1] - given[0])
    beyond = band - np.clip(band, given[0], given[-1])
    return np.asarray(np.interp(band, given, wanted) + slope * beyond)


def _ratio(x: Doubles, y: Floats, weight: Doubles, width: float) -> Floats:
    """[C, N, M] ratio of the local means of y to those of x, images [C, H, W], at the nodes."""
    places = [_nodes(side, width) for side in x.shape[1:]]
    above, below, much = (_around(weight * each, places, width) for each in (y, x, 1))
    # As if one pixel of FLOOR lay at the node itself: no division by 0 far from what is clear.
    floor = FLOOR * (much + 1)
    ratio = (above + floor) / np.maximum(below + floor, 1e-9)
    return np.asarray(np.clip(ratio, 1 / MOST, MOST), np.float32)


def _around(image: Doubles, places: Sequence[Doubles], width: float) -> Doubles:
    """[..., N, M] sums of an image [..., H, W], weighted by a Gaussian around N × M places."""
    down, across = (
        np.exp(-0.5 * ((at[:, None] - np.arange(side)) / (BLUR * width)) ** 2)
        for at, side in zip(places, image.shape[-2:], strict=True)
    )
    return np.asarray(down @ image @ across.T)


def _nodes(side: int, width: float) -> Doubles:
    """[N] places along a line of this many pixels, a quarter of the width apart or less."""
    return np.linspace(0, max(side - 1, 1), _count(side, width))


def _count(side: int, width: float) -> int:
    """How many nodes lie along a line; a cubic spline through them wants four."""
    if not width >= 1 or side < 1:
        raise InputError(
            f"width must be at least 1 low-resolution pixel of 1 or more, got {width} of {side}; "
            f"give {WIDTH:g}"
        )
    return max(4, ceil(4 * (side - 1) / width) + 1)
