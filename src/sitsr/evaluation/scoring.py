"""One system on one pair: a real pair is brought together first, then every metric at once."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sitsr import metrics
from sitsr.baselines import bicubic, median_bicubic, nearest, nearest_bicubic
from sitsr.evaluation.rows import Row
from sitsr.radiometry import (
    degrade,
    filled,
    match,
    match_contrast,
    register,
    shifted,
    shifted_clear,
)
from sitsr.series import Booleans, Floats, InputError, Series

if TYPE_CHECKING:
    from sitsr.datasets import Pair

log = logging.getLogger(__name__)

REAL = "real pair"
"""The kind of pair whose reference comes from another sensor."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What a system says the ground looked like."""

    mean: Floats
    """[C, scale·H, scale·W] reflectance, its best single estimate."""
    samples: Floats
    """[M, C, scale·H, scale·W] reflectance; M is 0 for a system that does not sample."""

    def __post_init__(self) -> None:
        if self.samples.shape[1:] != self.mean.shape:
            raise InputError(
                f"samples {list(self.samples.shape)} must be [M, *{list(self.mean.shape)}], "
                "the shape of the mean with one axis in front"
            )
        if len(self.samples) == 1:
            raise InputError("one sample tells nothing of spread; draw two or more, or none")


Fit = Callable[[Floats, Floats, Booleans], tuple[Floats, Floats]]

System = Callable[[Series, date], Estimate]
"""(series, target date) -> estimate. What else it needs is bound to it beforehand."""


def deterministic(image: Callable[[Series, date], Floats]) -> System:
    """A system without samples, from a function that gives one image [C, scale·H, scale·W]."""

    def system(series: Series, target: date) -> Estimate:
        mean = image(series, target)
        return Estimate(mean, np.empty((0, *mean.shape), np.float32))

    return system


def baselines(scale: int) -> dict[str, System]:
    """The systems that learn nothing, by name."""
    return {
        "bicubic": deterministic(partial(nearest_bicubic, scale=scale)),
        "median bicubic": deterministic(partial(median_bicubic, scale=scale)),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """What brings the reference of a real pair onto its series: first the shift, then the rest."""

    dy: float
    """High-resolution pixels down."""
    dx: float
    """High-resolution pixels to the right."""
    gain: Floats
    """[C]"""
    offset: Floats
    """[C] reflectance."""

    def figures(self, bands: tuple[str, ...]) -> dict[str, float]:
        """The same as named numbers, to stand beside the scores."""
        gain = {f"gain_{band}": float(g) for band, g in zip(bands, self.gain, strict=True)}
        offset = {f"offset_{band}": float(o) for band, o in zip(bands, self.offset, strict=True)}
        return {"shift_rows": self.dy, "shift_cols": self.dx, **gain, **offset}


def align(pair: Pair) -> Alignment:
    """One shift, and one gain and offset a band, from the pair alone: no system has a say.

    The reference is laid on the bicubic image of the nearest clear dates; gain and offset are
    fitted at low resolution, between it as the sensor would see it and what the sensor saw.
    """
    lr = nearest(pair.series, pair.target)
    ever = np.asarray(pair.series.clear.any(axis=0), bool)
    near = pair.clear & np.kron(ever, np.ones((pair.scale, pair.scale), bool))
    limit = 2 * pair.scale
    dy, dx = register(pair.reference, bicubic(lr, pair.scale), near, limit)
    if max(abs(dy), abs(dx)) >= limit:
        log.warning("%s: the shift %.1f, %.1f is the most that was searched", pair.site, dy, dx)
    gain, offset = _fitted(pair, dy, dx, match)
    if min(gain) <= 0:
        log.warning("%s: a gain of %.2f; the two images do not match", pair.site, min(gain))
    return Alignment(dy, dx, gain, offset)


def at_equal_contrast(pair: Pair, alignment: Alignment) -> Alignment:
    """The same shift, with gains that give the reference the contrast of the series at 10 m."""
    gain, offset = _fitted(pair, alignment.dy, alignment.dx, match_contrast)
    return replace(alignment, gain=gain, offset=offset)


def _fitted(pair: Pair, dy: float, dx: float, fit: Fit) -> tuple[Floats, Floats]:
    """Gain and offset of the shifted reference, seen as the sensor would, against the series."""
    reference, clear = _moved(pair, dy, dx)
    widest = (max(pair.sensor_sigma),)
    whole = degrade(clear[None].astype(np.float32), pair.scale, widest)[0] > 0.999
    observed = degrade(reference, pair.scale, pair.sensor_sigma, clear)
    ever = np.asarray(pair.series.clear.any(axis=0), bool)
    return fit(observed, nearest(pair.series, pair.target), whole & ever)


def aligned(pair: Pair, alignment: Alignment) -> Pair:
    """The pair with its reference shifted and brought to the radiometry of the series."""
    reference, clear = _moved(pair, alignment.dy, alignment.dx)
    gain, offset = alignment.gain[:, None, None], alignment.offset[:, None, None]
    return replace(pair, reference=gain * reference + offset, clear=clear)


def prepare(pair: Pair) -> Pair:
    """The pair ready to be scored: aligned if it is real, and as it is otherwise."""
    return aligned(pair, align(pair)) if pair.kind == REAL else pair


def score(pair: Pair, estimate: Estimate) -> dict[str, float]:
    """Every metric of an estimate, on a pair that is prepared.

    psnr, ssim, mae, detail of the mean (see sitsr.metrics); consistency: rmse, in reflectance, of
    the mean as the sensor would see it against what was seen clear on the target date itself;
    crps, coverage90, spread_skill of the samples; sample_psnr: the mean over the samples. Without
    samples the CRPS is the mean absolute error and the other three are NaN.
    """
    mean, reference, clear = estimate.mean, pair.reference, pair.clear
    if mean.shape != reference.shape:
        raise InputError(
            f"the estimate is {list(mean.shape)} but its reference {list(reference.shape)}; "
            f"give one image of {pair.scale} times the rows and columns of the series"
        )
    scores = {
        "psnr": metrics.psnr(mean, reference, clear),
        "ssim": metrics.ssim(mean, reference, clear),
        "mae": metrics.mae(mean, reference, clear),
        "detail": metrics.detail_correlation(mean, reference, clear),
        "consistency": _consistency(pair, mean),
    }
    return scores | _ensemble(estimate.samples, reference, clear, scores["mae"])


def evaluate(
    systems: Mapping[str, System],
    pairs: Iterable[Pair],
    progress: Callable[[Row], object] = lambda row: None,
) -> list[Row]:
    """Every system on every pair; progress is told each row as it is done."""
    rows = []
    for index, pair in enumerate(pairs):
        figures: dict[str, float] = {}
        contrasted = None
        if pair.kind == REAL:
            alignment = align(pair)
            figures = alignment.figures(pair.series.bands)
            contrasted = aligned(pair, at_equal_contrast(pair, alignment))
            pair = aligned(pair, alignment)
        for name, system in systems.items():
            start = time.perf_counter()
            estimate = system(pair.series, pair.target)
            seconds = time.perf_counter() - start
            scores = score(pair, estimate)
            if contrasted is not None:
                scores["psnr_contrast"] = metrics.psnr(
                    estimate.mean, contrasted.reference, contrasted.clear
                )
            rows.append(Row(name, pair.site, pair.kind, index, seconds, scores | figures))
            progress(rows[-1])
    return rows


def _moved(pair: Pair, dy: float, dx: float) -> tuple[Floats, Booleans]:
    """The reference shifted, and where it then lies on ground that the series shows."""
    seen = np.kron(pair.series.clear.any(axis=0), np.ones((pair.scale, pair.scale), bool))
    return (
        shifted(filled(pair.reference, pair.clear), dy, dx),
        shifted_clear(pair.clear, dy, dx) & np.asarray(seen, bool),
    )


def _consistency(pair: Pair, mean: Floats) -> float:
    if pair.target not in pair.series.dates:
        return math.nan
    when = pair.series.dates.index(pair.target)
    known = np.asarray(np.isfinite(mean).all(axis=0), bool)
    again = degrade(mean, pair.scale, pair.sensor_sigma, known)
    seen = pair.series.clear[when] & np.isfinite(again).all(axis=0)
    if not seen.any():
        return math.nan
    return metrics.consistency_rmse(again, pair.series.images[when], seen)


def _ensemble(
    samples: Floats, reference: Floats, clear: Booleans, error: float
) -> dict[str, float]:
    if not len(samples):
        nothing = dict.fromkeys(("coverage90", "spread_skill", "sample_psnr"), math.nan)
        return {"crps": error, **nothing}
    return {
        "crps": metrics.fair_crps(samples, reference, clear),
        "coverage90": metrics.coverage(samples, reference, clear, 0.9),
        "spread_skill": metrics.spread_skill(samples, reference, clear),
        "sample_psnr": float(np.mean([metrics.psnr(s, reference, clear) for s in samples])),
    }
