"""One estimate against one prepared pair: every measure at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sitsr import metrics
from sitsr.datasets import Pair, Task
from sitsr.evaluation.alignment import Prepared, at_low_resolution, days_away, observation
from sitsr.series import Floats, InputError

LEVELS = (50, 80, 90)
"""Central intervals whose coverage is counted, per cent."""

SHARES = tuple(range(10, 101, 10))
"""Shares of the most certain pixels whose error the risk–coverage curve tells, per cent."""

LOOKED_AT = 4
"""Members whose texture and spectrum are measured; their mean is told."""

PATCH = 8
"""Side of the patches of the energy score, pixels."""


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


System = Callable[[Task, int], Estimate]
"""(task, seed) -> estimate. A system never sees the reference."""


def deterministic(image: Callable[[Task], Floats]) -> System:
    """A system without samples, from a function that gives one image [C, scale·H, scale·W]."""

    def system(task: Task, seed: int) -> Estimate:
        mean = image(task)
        return Estimate(mean, np.empty((0, *mean.shape), np.float32))

    return system


def score(ready: Prepared, estimate: Estimate, extra: Sequence[str] = ()) -> dict[str, float]:
    """Every measure of an estimate, by the names of ``sitsr.evaluation.measures``.

    What cannot be told is left out: measures of spread where nothing was sampled (the CRPS is
    then the mean absolute error), consistency where the target date itself was not seen. Where the
    reference is what the sensor saw, the estimate is degraded first, and only errors are told.
    extra: names of conventions (``sitsr.metrics.CONVENTIONS``), and "lpips".
    """
    pair = ready.pair
    mean, reference, clear = _comparable(pair, estimate.mean), pair.reference, pair.clear
    scores = {
        "psnr": metrics.psnr(mean, reference, clear),
        "mae": metrics.mae(mean, reference, clear),
        "rmse": metrics.rmse(mean, reference, clear),
        "gap_days": days_away(pair),
        **_colour(pair, mean),
    }
    if not pair.at_sensor:
        scores |= _structure(ready, mean) | _by_sensor(ready, mean) | _others(ready, mean, extra)
    if len(estimate.samples):
        samples = np.stack([_comparable(pair, each) for each in estimate.samples])
        scores |= _ensemble(pair, mean, samples, scores["psnr"])
    else:
        scores["crps"] = scores["mae"]
    return scores | ready.figures


def _comparable(pair: Pair, image: Floats) -> Floats:
    return at_low_resolution(pair, image) if pair.at_sensor else image


def _colour(pair: Pair, mean: Floats) -> dict[str, float]:
    reference, clear, bands = pair.reference, pair.clear, pair.series.bands
    bias = metrics.band_bias(mean, reference, clear)
    scores = {f"bias_{band}": float(value) for band, value in zip(bands, bias, strict=True)}
    scores["sam"] = metrics.sam(mean, reference, clear)
    scores["ergas"] = metrics.ergas(mean, reference, clear, pair.scale)
    if {"B04", "B08"} <= set(bands):
        red, nir = bands.index("B04"), bands.index("B08")
        scores["ndvi_error"] = metrics.ndvi_error(mean, reference, clear, red, nir)
    return scores


def _structure(ready: Prepared, mean: Floats) -> dict[str, float]:
    """Likeness of forms, and registered errors: the reference is moved, once for all systems."""
    pair = ready.pair
    reference, clear = pair.reference, pair.clear
    pixel = abs(pair.series.grid.transform.a) / pair.scale
    moved, valid = metrics.moved(reference, clear, ready.shift)
    own = metrics.best_shift(mean, reference, clear, float(pair.scale))
    return {
        "ssim": metrics.ssim(mean, reference, clear),
        "cpsnr": metrics.cpsnr(mean, moved, valid),
        "cssim": metrics.cssim(mean, moved, valid),
        "cpsnr_own": metrics.cpsnr(mean, reference, clear, own),
        "detail": metrics.detail_correlation(mean, reference, clear),
        "resolution": metrics.effective_resolution(mean, reference, clear, pixel),
        "spectrum_error": metrics.spectrum_error(mean, reference, clear, pair.scale),
        "texture": metrics.texture_distance(mean, reference, clear),
    }


def _by_sensor(ready: Prepared, mean: Floats) -> dict[str, float]:
    """Consistency with what was seen that day, and the error at equal contrast of real pairs."""
    scores = {}
    if ready.contrasted is not None:
        other = ready.contrasted
        scores["psnr_contrast"] = metrics.psnr(mean, other.reference, other.clear)
    seen_then = observation(ready.pair)
    if seen_then is not None:
        lr, clear = seen_then
        again = at_low_resolution(ready.pair, mean)
        known = clear & np.isfinite(again).all(axis=0)
        if known.any():
            scores["consistency"] = metrics.consistency_rmse(again, lr, known)
    return scores


def _others(ready: Prepared, mean: Floats, extra: Sequence[str]) -> dict[str, float]:
    """What other projects measure, under their names; against the image of the nearest dates."""
    from sitsr.baselines import nearest

    pair = ready.pair
    lr = nearest(pair.series, pair.target)
    named = [name for name in extra if name in metrics.CONVENTIONS]
    red, green, blue = (pair.series.bands.index(band) for band in ("B04", "B03", "B02"))
    order = red, green, blue
    scores: dict[str, float] = {}
    if "opensr" in extra:
        scores |= metrics.opensr(lr, mean, pair.reference, pair.clear, rgb=order)
    if named:
        scores |= metrics.conventions(mean, pair.reference, pair.clear, lr, named, rgb=order)
    if "lpips" in extra:
        scores["lpips"] = metrics.lpips_distance(mean, pair.reference, pair.clear, order)
    return scores


def _ensemble(pair: Pair, mean: Floats, samples: Floats, of_mean: float) -> dict[str, float]:
    reference, clear = pair.reference, pair.clear
    spread = samples.std(axis=0, ddof=1)
    of_sample = float(np.mean([metrics.psnr(each, reference, clear) for each in samples]))
    counts = metrics.rank_counts(samples, reference, clear)
    risks = metrics.risk_coverage(mean, spread, reference, clear, [s / 100 for s in SHARES])
    scores = {
        "crps": metrics.fair_crps(samples, reference, clear),
        "spread_skill": metrics.spread_skill(samples, reference, clear),
        "ause": metrics.ause(mean, spread, reference, clear),
        "sample_psnr": of_sample,
        "sample_drop": of_mean - of_sample,
        **{f"coverage{n}": metrics.coverage(samples, reference, clear, n / 100) for n in LEVELS},
        **{f"risk_{n}": float(risk) for n, risk in zip(SHARES, risks, strict=True)},
        **{f"rank_{n:02}": float(count) for n, count in enumerate(counts)},
    }
    if not pair.at_sensor:
        scores["energy"] = metrics.energy_score(samples, reference, clear, PATCH)
        looks = [dict(_looks(pair, each)) for each in samples[:LOOKED_AT]]
        scores |= {name: float(np.mean([look[name] for look in looks])) for name in looks[0]}
    return scores


def _looks(pair: Pair, sample: Floats) -> Iterator[tuple[str, float]]:
    reference, clear = pair.reference, pair.clear
    yield "sample_texture", metrics.texture_distance(sample, reference, clear)
    yield "sample_spectrum_error", metrics.spectrum_error(sample, reference, clear, pair.scale)


def flicker(before: Pair, estimate_then: Floats, pair: Pair, estimate: Floats) -> float:
    """What two estimates of one site changed on ground that did not change; NaN if all did."""
    if before.at_sensor or before.series.grid != pair.series.grid:
        return math.nan
    clear = before.clear & pair.clear
    if not clear.any():
        return math.nan
    still = metrics.unchanged(before.reference, pair.reference, clear)
    if not still.any():
        return math.nan
    return metrics.flicker(estimate_then, estimate, before.reference, pair.reference, still)
