"""How far an estimate is from the truth, where the truth is clear: functions of arrays and a mask.

    estimate, reference   [C, H, W]     reflectance
    samples               [M, C, H, W]  reflectance: M images that the ground may equally well be
    clear                 [H, W]        True where the reference is valid

Values where ``clear`` is False are never looked at. Everything is summed in float64. Reflectance
is neither rounded nor clipped nor stretched first, so a number here compares with one from
8-bit images only after those images were turned back into reflectance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sitsr.series import Booleans, InputError

Reals = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

WINDOW = 11  # pixels across the window of ssim: 3.5 standard deviations of 1.5 to each side


def psnr(estimate: Reals, reference: Reals, clear: Booleans, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(peak² / mse), the mse pooled over the bands.

    The peak is reflectance 1 whatever the image holds, so that dark and bright sites are
    measured with one rule; infinite where there is no error at all.
    """
    mse = rmse(estimate, reference, clear) ** 2
    return math.inf if mse == 0 else 10 * math.log10(peak**2 / mse)


def rmse(estimate: Reals, reference: Reals, clear: Booleans) -> float:
    """Root of the mean squared error, in reflectance, pooled over the bands."""
    seen, truth = _seen(estimate, reference, clear)
    return math.sqrt(np.mean((seen - truth) ** 2))


def mae(estimate: Reals, reference: Reals, clear: Booleans) -> float:
    """Mean absolute error, in reflectance, pooled over the bands."""
    seen, truth = _seen(estimate, reference, clear)
    return float(np.mean(np.abs(seen - truth)))


def consistency_rmse(observed_again: Reals, lr: Reals, clear: Booleans) -> float:
    """Root mean squared difference, in reflectance, of what the sensor would see and what it saw.

    ``observed_again`` [C, H, W] is the estimate degraded to the grid of ``lr``. A system that
    keeps what was observed comes down to the sensor's noise, of 0.001 to 0.005.
    """
    return rmse(observed_again, lr, clear)


def ssim(estimate: Reals, reference: Reals, clear: Booleans, peak: float = 1.0) -> float:
    """Structural similarity, the mean over bands and over pixels whose whole window is clear.

    Wang et al. 2004, eq. 13, with K = (0.01, 0.03) and a Gaussian window of 1.5 pixels in 11 × 11.
    Beware: a peak of 1 is lenient with dark land, whose contrast is small beside it.
    """
    _check(estimate, reference, clear)
    whole = ndimage.binary_erosion(clear, np.ones((WINDOW, WINDOW), bool), border_value=0)
    if not whole.any():
        raise InputError(
            f"no pixel of {_size(clear)} has a clear window of {WINDOW} × {WINDOW} around it; "
            "give a larger or clearer reference"
        )
    x = np.where(clear, estimate, 0).astype(np.float64)
    y = np.where(clear, reference, 0).astype(np.float64)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x = _smooth(x * x) - mean_x**2
    var_y = _smooth(y * y) - mean_y**2
    both = _smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    likeness /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(likeness[:, whole].mean())


def detail_correlation(
    estimate: Reals, reference: Reals, clear: Booleans, sigma: float = 2.0
) -> float:
    """Correlation of the fine detail of two images, the mean over bands; 1 is best, 0 is chance.

    Detail is what is left after a Gaussian blur of ``sigma`` pixels is subtracted; the blur
    is a mean over clear pixels (normalised convolution, Knutsson & Westin 1993). Blind to gain
    and offset, and to how strong the detail is. A band without any detail counts as 0.
    """
    _check(estimate, reference, clear)
    pairs = zip(_detail(estimate, clear, sigma), _detail(reference, clear, sigma), strict=True)
    return float(np.mean([_correlation(ours, theirs) for ours, theirs in pairs]))


def fair_crps(samples: Reals, reference: Reals, clear: Booleans) -> float:
    """Continuous ranked probability score of an ensemble, in reflectance; lower is better.

    mean |x - y| - Σ_mn |x_m - x_n| / (2 M (M - 1)): an unbiased estimate, from any M ≥ 2, of what
    endless samples would score (Ferro 2014; Zamo & Naveau 2018, eq. 4 "fair"). For one
    certain value it would be the mean absolute error, so the two may be compared.
    """
    scores = []
    for members, truth in _each_band(samples, reference, clear):
        count = len(members)
        # Σ_{m<n} |x_m - x_n| of sorted values is a weighted sum: no loop over pairs.
        weights = 2.0 * np.arange(1, count + 1) - count - 1
        apart = weights @ np.sort(members, axis=0) / (count * (count - 1))
        scores.append(np.mean(np.abs(members - truth).mean(axis=0) - apart))
    return float(np.mean(scores))


def coverage(samples: Reals, reference: Reals, clear: Booleans, level: float) -> float:
    """Share of the truth within the central interval of this level: 0.9 of 0.9 is right.

    M sorted samples cut the line into M + 1 intervals, each as likely to hold the truth when the
    ensemble is calibrated. The share of truths in each is counted as far as the interval
    belongs to the central ``level`` of the M + 1 (those at its ends in part), and a truth that
    equals samples is spread over the intervals it touches. So the answer of a calibrated
    ensemble is the level itself for every M and every distribution. Beyond (M - 1) / (M + 1) the
    two outermost intervals count in part: use more samples to see the tails more sharply.
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}; use 0.9 for 90 %")
    low, high = (1 - level) / 2, (1 + level) / 2
    shares = []
    for members, truth in _each_band(samples, reference, clear):
        intervals = len(members) + 1
        left = np.sum(members < truth, axis=0)
        right = np.sum(members <= truth, axis=0) + 1
        within = np.clip(right / intervals, low, high) - np.clip(left / intervals, low, high)
        shares.append(np.mean(within * intervals / (right - left)))
    return float(np.mean(shares))


def spread_skill(samples: Reals, reference: Reals, clear: Booleans) -> float:
    """Spread of the ensemble over the error of its mean: 1 is right, less is over-confident.

    sqrt((M + 1) / M) · sqrt(mean variance) / rmse of the ensemble's mean, the variance with
    M - 1 in its denominator (Fortin et al. 2014, eq. 15): 1 for a calibrated ensemble of any M.
    """
    variance, error = [], []
    for members, truth in _each_band(samples, reference, clear):
        variance.append(members.var(axis=0, ddof=1).mean())
        error.append(np.mean((members.mean(axis=0) - truth) ** 2))
    if not np.mean(error):
        return math.inf
    factor = (len(samples) + 1) / len(samples)
    return math.sqrt(factor * np.mean(variance) / np.mean(error))


def _seen(estimate: Reals, reference: Reals, clear: Booleans) -> tuple[Doubles, Doubles]:
    """Both images where clear, [C, clear pixels]."""
    _check(estimate, reference, clear)
    return estimate[:, clear].astype(np.float64), reference[:, clear].astype(np.float64)


def _each_band(
    samples: Reals, reference: Reals, clear: Booleans
) -> Iterator[tuple[Doubles, Doubles]]:
    """Band by band, to bound the memory: members [M, clear pixels] and truth [clear pixels]."""
    if samples.ndim != 4 or len(samples) < 2:
        raise InputError(
            f"samples {list(samples.shape)} must be [M, C, H, W] with M of 2 or more; draw more"
        )
    for member in samples:
        _check(member, reference, clear)
    for band, truth in enumerate(reference):
        yield samples[:, band, clear].astype(np.float64), truth[clear].astype(np.float64)


def _check(estimate: Reals, reference: Reals, clear: Booleans) -> None:
    if estimate.ndim != 3 or estimate.shape != reference.shape:
        raise InputError(
            f"estimate {list(estimate.shape)} and reference {list(reference.shape)} "
            "must both be one [C, H, W]; cut them to the same ground"
        )
    if clear.dtype != np.bool_ or clear.shape != reference.shape[1:]:
        raise InputError(
            f"clear is {clear.dtype} {list(clear.shape)}; "
            f"the reference asks for bool {list(reference.shape[1:])}"
        )
    if not clear.any():
        raise InputError(f"none of {_size(clear)} pixels is clear; give a clearer reference")
    for name, image in (("estimate", estimate), ("reference", reference)):
        bad = int(np.sum(~np.isfinite(image[:, clear])))
        if bad:
            raise InputError(
                f"{name} is NaN or infinite at {bad} clear values; set clear to False there"
            )


def _size(clear: Booleans) -> str:
    return " × ".join(map(str, clear.shape))


def _smooth(images: Doubles) -> Doubles:
    blurred: Doubles = ndimage.gaussian_filter(images, (0, 1.5, 1.5), truncate=3.5)
    return blurred


def _detail(image: Reals, clear: Booleans, sigma: float) -> Doubles:
    """[C, clear pixels] what a blur takes away."""
    weight = ndimage.gaussian_filter(clear.astype(np.float64), sigma)
    known = np.where(clear, image, 0).astype(np.float64)
    blurred = ndimage.gaussian_filter(known, (0, sigma, sigma))
    return known[:, clear] - blurred[:, clear] / weight[clear]


def _correlation(ours: Doubles, theirs: Doubles) -> float:
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    power = math.sqrt(np.sum(ours**2) * np.sum(theirs**2))
    # Detail of rounding only is none: 1e-18 is far below the square of a float32's last digit.
    return float(np.sum(ours * theirs)) / power if power > 1e-18 * ours.size else 0.0
