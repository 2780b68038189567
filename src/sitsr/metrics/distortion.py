"""How far an estimate is from the truth, where the truth is clear: functions of arrays and a mask.

    estimate, reference   [C, H, W]  reflectance
    clear                 [H, W]     True where the reference is valid

Values where ``clear`` is False are never looked at. Everything is summed in float64. Reflectance
is neither rounded nor clipped nor stretched first, so a number here compares with one from
8-bit images only after those images were turned back into reflectance.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from sitsr.metrics.checks import Doubles, Reals, check, seen, size
from sitsr.series import Booleans, InputError

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
    ours, truth = seen(estimate, reference, clear)
    return math.sqrt(np.mean((ours - truth) ** 2))


def mae(estimate: Reals, reference: Reals, clear: Booleans) -> float:
    """Mean absolute error, in reflectance, pooled over the bands."""
    ours, truth = seen(estimate, reference, clear)
    return float(np.mean(np.abs(ours - truth)))


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
    check(estimate, reference, clear)
    whole = ndimage.binary_erosion(clear, np.ones((WINDOW, WINDOW), bool), border_value=0)
    if not whole.any():
        raise InputError(
            f"no pixel of {size(clear)} has a clear window of {WINDOW} × {WINDOW} around it; "
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
    check(estimate, reference, clear)
    pairs = zip(_detail(estimate, clear, sigma), _detail(reference, clear, sigma), strict=True)
    return float(np.mean([_correlation(ours, theirs) for ours, theirs in pairs]))


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
