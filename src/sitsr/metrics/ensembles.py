"""How good an ensemble is as a forecast: sharp, and right about how unsure it is.

samples       [M, C, H, W]  reflectance: M images that the ground may equally well be
mean, spread  [C, H, W]     reflectance: the best estimate, and the error expected of it
reference     [C, H, W]     reflectance
clear         [H, W]        True where the reference is valid
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from scipy import stats
from scipy.spatial import distance

from sitsr.metrics.checks import Doubles, Reals, each_band, seen, size
from sitsr.series import Booleans, InputError

FEWEST_SITES = 3  # below, the scatter between sites cannot be told


def fair_crps(samples: Reals, reference: Reals, clear: Booleans) -> float:
    """Continuous ranked probability score of an ensemble, in reflectance; lower is better.

    mean |x - y| - Σ_mn |x_m - x_n| / (2 M (M - 1)): an unbiased estimate, from any M ≥ 2, of what
    endless samples would score (Ferro 2014; Zamo & Naveau 2018, eq. 4 "fair"). For one
    certain value it would be the mean absolute error, so the two may be compared.
    """
    scores = []
    for members, truth in each_band(samples, reference, clear):
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
    for members, truth in each_band(samples, reference, clear):
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
    for members, truth in each_band(samples, reference, clear):
        variance.append(members.var(axis=0, ddof=1).mean())
        error.append(np.mean((members.mean(axis=0) - truth) ** 2))
    if not np.mean(error):
        return math.inf
    factor = (len(samples) + 1) / len(samples)
    return math.sqrt(factor * np.mean(variance) / np.mean(error))


def energy_score(samples: Reals, reference: Reals, clear: Booleans, side: int = 8) -> float:
    """What the CRPS is for one value, for patches of side × side pixels; lower is better.

    mean ‖x - y‖ - Σ_mn ‖x_m - x_n‖ / (2 M (M - 1)) over sqrt(values in a patch), all bands in one
    vector (Gneiting & Raftery 2007, eq. 22, with the fair factor of Ferro 2014). In reflectance;
    it also sees whether neighbours and bands vary together, as the CRPS does not. The mean over
    the patches, laid side by side from the first row and column, that are clear throughout.
    """
    next(each_band(samples, reference, clear))  # it refuses what is wrong with the ensemble
    count, scores = len(samples), []
    for rows, cols in _clear_patches(clear, side):
        members = samples[..., rows, cols].reshape(count, -1).astype(np.float64)
        truth = reference[..., rows, cols].reshape(1, -1).astype(np.float64)
        apart = np.sum(distance.pdist(members)) / (count * (count - 1))
        score = np.mean(distance.cdist(members, truth)) - apart
        scores.append(score / math.sqrt(truth.size))
    if not scores:
        raise InputError(
            f"no patch of {side} × {side} in {size(clear)} is clear throughout; "
            "give a clearer reference or a smaller side"
        )
    return float(np.mean(scores))


def rank_counts(samples: Reals, reference: Reals, clear: Booleans) -> Doubles:
    """[M + 1] how many truths lie above none, one, … all of the samples; they add up to all.

    A truth that equals samples is shared evenly by the ranks it may have. A calibrated ensemble
    gives every rank as often (Hamill 2001): a slope is a bias, a U is over-confidence.
    """
    counts = np.zeros(len(samples) + 1)
    for members, truth in each_band(samples, reference, clear):
        lowest, highest = np.sum(members < truth, axis=0), np.sum(members <= truth, axis=0)
        part = 1 / (highest - lowest + 1)
        for rank in range(len(counts)):
            counts[rank] += part[(lowest <= rank) & (rank <= highest)].sum()
    return counts


def rank_test(counts_by_site: Doubles) -> float:
    """How probable it is that ranks so uneven come from a calibrated ensemble: a p-value.

    ``counts_by_site`` [S, M + 1] holds the ``rank_counts`` of S sites. Values of one site err
    together, so the site is the unit: each site's shares are projected on a line (bias) and on a
    V (spread) over the ranks (Jolliffe & Primo 2008), the S values of each are held against 0
    by a two-sided t-test, and the lesser p counts twice (Bonferroni). A V, not a parabola: its
    values scatter evenly about 0 even where a whole site has one rank, as the t-test asks
    (with under ten such sites it still rejects somewhat too often). A fault that shows in
    neither, such as two opposite kinds of site, is not found.
    """
    counts = np.asarray(counts_by_site, np.float64)
    if counts.ndim != 2 or counts.shape[1] < 3:
        raise InputError(
            f"counts {list(counts.shape)} must be [S, M + 1] with M of 2 or more; "
            "stack the rank counts of the sites"
        )
    if len(counts) < FEWEST_SITES:
        raise InputError(
            f"got rank counts of {len(counts)} sites, but the scatter between sites takes "
            f"{FEWEST_SITES} or more; add sites"
        )
    if not (np.isfinite(counts).all() and counts.min() >= 0 and counts.sum(axis=1).min() > 0):
        raise InputError("every site needs finite counts of 0 or more, not all 0; drop empty sites")
    shares = counts / counts.sum(axis=1, keepdims=True)
    line = np.linspace(-1, 1, counts.shape[1])
    vee = np.abs(line) - np.mean(np.abs(line))
    return min(1.0, 2 * min(_from_zero(shares @ line), _from_zero(shares @ vee)))


def risk_coverage(
    mean: Reals, spread: Reals, reference: Reals, clear: Booleans, shares: Sequence[float]
) -> Doubles:
    """[shares] rmse, in reflectance, of the share of the pixels whose spread is least.

    It rises with the share where spread tells large errors from small ones (El-Yaniv & Wiener
    2010), and is flat where it tells nothing. A pixel has the mean square of its bands, in error
    and in spread; pixels of equal spread count with their mean, so that their order is no matter.
    """
    chosen = np.asarray(shares, np.float64)
    if not ((chosen > 0) & (chosen <= 1)).all():
        raise InputError(f"shares must lie in (0, 1], got {list(shares)}; use 0.5 for 50 %")
    squares, _ = _squares(mean, spread, reference, clear)
    totals = np.concatenate([[0.0], np.cumsum(squares)])
    pixels = chosen * len(squares)
    risks: Doubles = np.sqrt(np.interp(pixels, np.arange(len(totals)), totals) / pixels)
    return risks


def ause(mean: Reals, spread: Reals, reference: Reals, clear: Booleans) -> float:
    """How much worse spread sorts the pixels than their true error would; 0 is best.

    The area, in reflectance, between the risk-coverage curve of ``spread`` and that of the error
    itself, as the mean over 1, 2, … all pixels (Ilg et al. 2018, without their division by the
    rmse). Blind to the scale of ``spread``.
    """
    ours, oracle = _squares(mean, spread, reference, clear)
    count = np.arange(1, len(ours) + 1)
    apart = np.sqrt(np.cumsum(ours) / count) - np.sqrt(np.cumsum(oracle) / count)
    return float(np.mean(apart))


def _clear_patches(clear: Booleans, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each patch that is clear throughout."""
    if side < 1:
        raise InputError(f"side must be 1 pixel or more, got {side}")
    corners = (range(0, length - side + 1, side) for length in clear.shape)
    for row, col in product(*corners):
        patch = slice(row, row + side), slice(col, col + side)
        if clear[patch].all():
            yield patch


def _from_zero(values: Doubles) -> float:
    """p-value of a two-sided t-test that values [S] scatter around 0."""
    error = values.std(ddof=1) / math.sqrt(len(values))
    # Rounding of shares only is no deviation: sites may agree to the last digit.
    distance_from_zero = max(abs(values.mean()) - 1e-12, 0.0)
    if error <= 1e-12:
        return float(distance_from_zero == 0)
    return float(2 * stats.t.sf(distance_from_zero / error, len(values) - 1))


def _squares(
    mean: Reals, spread: Reals, reference: Reals, clear: Booleans
) -> tuple[Doubles, Doubles]:
    """Squared errors of the clear pixels: by rising spread, and by rising error."""
    ours, truth = seen(mean, reference, clear)
    if spread.shape != mean.shape or not (spread[:, clear] >= 0).all():
        raise InputError(
            f"spread {list(spread.shape)} must be [C, H, W] as the mean is, {list(mean.shape)}, "
            "and 0 or more where clear; give standard deviations"
        )
    errors = np.mean((ours - truth) ** 2, axis=0)
    variance = np.mean(spread[:, clear].astype(np.float64) ** 2, axis=0)
    _, alike, count = np.unique(variance, return_inverse=True, return_counts=True)
    by_spread: Doubles = np.repeat(np.bincount(alike, errors) / count, count)
    return by_spread, np.sort(errors)
