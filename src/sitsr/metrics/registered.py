"""Errors that are blind to a shift, to a bias and, if asked, to a gain: cPSNR and cSSIM.

estimate, reference   [C, H, W]  reflectance
clear                 [H, W]     True where both images are valid
shift                 rows down and columns right, pixels

The reference is what moves, never an estimate. One shift a patch, found between the reference
and plain interpolation of the low-resolution image, is handed to every system: so all are
compared on the same pixels of the same truth, no interpolation smooths what they made, and none
is paid for a shift of its own. A shift and a gain are therefore arguments here, not searched for.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft, interpolate, ndimage

from sitsr.metrics.checks import Doubles, Reals, check
from sitsr.metrics.distortion import psnr, ssim
from sitsr.radiometry import FEWEST, filled, shifted_clear
from sitsr.series import Booleans, InputError

BLUR = 1.5  # pixels: what is finer is told apart by systems, and says little of where they lie
RAMP = 8  # pixels from a border or a cloud over which a pixel comes to count in full
LEAST = 0.1  # share of the pixels that must still overlap for a shift to be thought of
# Measured on Sentinel-2 at its own pixels, moved by parts of a pixel: a cPSNR is then within
# 0.02 dB of what it was, but up to 0.2 dB above it after quintic splines, 0.4 dB after cubic ones.
TAPS = 16  # pixels that a windowed sinc looks to each side
FALL = 5.0  # how fast its window falls, the beta of Kaiser


def best_shift(
    estimate: Reals, reference: Reals, clear: Booleans, limit: float = 4.0
) -> tuple[float, float]:
    """Rows and columns, in pixels, by which to move the reference so that it lies on the estimate.

    The shift within ±limit, both ways, of greatest correlation, the mean over bands, so that
    neither gain nor bias matters. The reference is moved, because there is one reference and
    there are many systems: found once, against bicubic interpolation of the low-resolution
    image, its shift serves them all.

    Both images are first blurred by a Gaussian of 1.5 pixels over clear pixels, since what one
    of them lacks in detail would draw the maximum aside. Correlations at all whole shifts come
    from Fourier transforms of the masked images (Padfield 2012, but with weights that rise
    from 0 at borders and clouds in place of a mask, so that what a shift brings in at the
    edges does not decide). Correlation varies slowly with the shift: the maximum of a
    quintic spline through its values is the answer, and the image itself is not interpolated.
    """
    rows, cols, _ = best_match(estimate, reference, clear, limit)
    return rows, cols


def best_match(
    estimate: Reals,
    reference: Reals,
    clear: Booleans,
    limit: float = 4.0,
    finest: float = BLUR,
    widest: float = math.inf,
) -> tuple[float, float, float]:
    """The same shift by what lies between two sizes, and the correlation there, from -1 to 1.

    finest is the Gaussian, in pixels, by which both are blurred; what a Gaussian of widest pixels
    leaves is taken away. Images of one sensor share their finest detail, and it alone stays in its
    place when the sun, the water and the crops change: by what lies between 0.5 and 1 pixels the
    shifts of three dates agree within 0.1, by all above 1.5 within 0.6 (docs/decisions/shifts.md).
    """
    check(estimate, reference, clear)
    if not limit > 0:
        raise InputError(f"limit must be above 0 pixels, got {limit}; give 4 for ±4 pixels")
    if int(clear.sum()) < FEWEST:
        raise InputError(
            f"only {int(clear.sum())} pixels are clear, {FEWEST} are needed to find a shift; "
            "give a clearer reference"
        )
    reach = math.ceil(limit) + 2  # the spline wants neighbours on every side of its maximum
    weight = _ramp(clear)
    fixed, moving = (_forms(image, clear, finest, widest) for image in (estimate, reference))
    return _summit(_correlations(fixed, moving, weight, reach), reach, limit)


def moved(reference: Reals, clear: Booleans, shift: tuple[float, float]) -> tuple[Reals, Booleans]:
    """The reference moved by a windowed sinc, and [H, W] where it is valid and was clear before.

    The window is that of Kaiser 1974: it keeps the finest detail, which splines would smooth and so
    bring nearer to every smooth estimate. Valid is what lies between clear pixels, so that
    ceil(|shift|) pixels are lost on one side of the image and of every cloud; under clouds and
    beyond the border the image goes on as its nearest pixels and their mirror. What was not
    clear stays so, because an estimate may hold anything there. No shift gives the same arrays.
    """
    if clear.shape != reference.shape[1:] or not np.isfinite(shift).all():
        raise InputError(
            f"a reference {list(reference.shape)} with clear {list(clear.shape)} cannot be "
            f"moved by {shift}; give [C, H, W], [H, W] and finite rows and columns"
        )
    if not any(shift):
        return reference, clear
    whole = clear & shifted_clear(clear, *shift)
    if not whole.any():
        raise InputError(
            f"nothing stays clear when the reference is moved by {shift[0]:g} rows and "
            f"{shift[1]:g} columns; give a larger or clearer one"
        )
    there = filled(reference.astype(np.float32), clear).astype(np.float64)
    for axis, step in enumerate(shift, start=1):
        there = ndimage.convolve1d(there, _sinc(step), axis=axis, mode="mirror")
    return there, whole


def cpsnr(
    estimate: Reals,
    reference: Reals,
    clear: Booleans,
    shift: tuple[float, float] = (0.0, 0.0),
    gain: Reals | None = None,
    peak: float = 1.0,
) -> float:
    """PSNR in dB after the bias of every band is taken away, the reference moved by ``shift``.

        b_c  = mean over clear of (reference_c - estimate_c)
        cMSE = mean over bands and clear of (reference_c - estimate_c - b_c)²
        cPSNR = 10 log10(peak² / cMSE)

    Märtens et al. 2019 (the PROBA-V challenge), with the shift given instead of the best of 49
    whole ones. The bias is added to the estimate; nothing else of it is changed.

    gain: [C] by which the reference is multiplied first, one for all systems, as
    ``sitsr.radiometry.match_contrast`` tells it from what the sensor saw. It is never fitted
    between a system and the reference: a measure in reflectance that is blind to the gain
    of the reference must reward low contrast, since an estimate that is nearly flat would
    shrink the reference, and its own error with it, to nothing.
    """
    ours, truth, valid = _corrected(estimate, reference, clear, shift, gain)
    return psnr(ours, truth, valid, peak)


def cssim(
    estimate: Reals,
    reference: Reals,
    clear: Booleans,
    shift: tuple[float, float] = (0.0, 0.0),
    gain: Reals | None = None,
    peak: float = 1.0,
) -> float:
    """Structural similarity after the same correction as ``cpsnr``; the windows are ``ssim``'s."""
    ours, truth, valid = _corrected(estimate, reference, clear, shift, gain)
    return ssim(ours, truth, valid, peak)


def _corrected(
    estimate: Reals,
    reference: Reals,
    clear: Booleans,
    shift: tuple[float, float],
    gain: Reals | None,
) -> tuple[Doubles, Reals, Booleans]:
    """The estimate without bias, the reference moved and at the given gain, and where they meet."""
    check(estimate, reference, clear)
    truth, valid = moved(reference, clear, shift)
    if gain is not None:
        truth = truth * _checked(gain, len(truth))[:, None, None]
    ours = estimate.astype(np.float64)
    bias = (truth[:, valid] - ours[:, valid]).mean(axis=1)
    return ours + bias[:, None, None], truth, valid


def _checked(gain: Reals, bands: int) -> Doubles:
    given = np.asarray(gain, np.float64)
    if given.shape != (bands,) or not (np.isfinite(given) & (given > 0)).all():
        raise InputError(f"gain must be {bands} positive numbers, one a band, got {gain}")
    return given


def _sinc(step: float) -> Doubles:
    """Weights of the pixels around, an odd number, that move an image by step pixels."""
    reach = TAPS + math.ceil(abs(step))
    away = np.arange(-reach, reach + 1) - step
    window = np.i0(FALL * np.sqrt(np.maximum(0, 1 - (away / TAPS) ** 2)))
    weights = np.where(np.abs(away) <= TAPS, np.sinc(away) * window, 0)
    normed: Doubles = weights / weights.sum()
    return normed


def _ramp(clear: Booleans) -> Doubles:
    """[H, W] weights that rise as a squared sine from 0 beyond borders and clouds to 1."""
    distance = ndimage.distance_transform_edt(np.pad(clear, 1))[1:-1, 1:-1]
    weight: Doubles = np.sin(np.pi / 2 * np.minimum(distance / RAMP, 1)) ** 2
    return weight


def _forms(image: Reals, clear: Booleans, finest: float, widest: float) -> Doubles:
    """[C, H, W] what one blur leaves and a wider one takes away; 0 where not clear."""
    fine = _blurred(image, clear, finest)
    return fine if math.isinf(widest) else fine - _blurred(image, clear, widest)


def _blurred(image: Reals, clear: Booleans, sigma: float) -> Doubles:
    """[C, H, W] mean of the clear pixels around, less the band's mean; 0 where not clear."""
    level = image[:, clear].mean(axis=1, dtype=np.float64)
    known = np.where(clear, image - level[:, None, None], 0).astype(np.float64)
    weight = ndimage.gaussian_filter(clear.astype(np.float64), sigma)
    blurred = ndimage.gaussian_filter(known, (0, sigma, sigma))
    return np.divide(blurred, weight, out=np.zeros_like(known), where=clear)


def _correlations(fixed: Doubles, moving: Doubles, weight: Doubles, reach: int) -> Doubles:
    """[2 reach + 1, 2 reach + 1] weighted correlation at whole shifts, the mean over bands.

    At a shift d every sum runs over p with weight[p] · weight[p - d]; 0 where a band has no
    contrast, -1 where less than a tenth of the images overlaps.
    """
    rows, cols = (fft.next_fast_len(side + reach, real=True) for side in weight.shape)
    at = np.arange(-reach, reach + 1)

    def transform(images: Doubles) -> npt.NDArray[np.complex128]:
        return fft.rfft2(images * weight, (rows, cols))

    def sums(a: npt.NDArray[np.complex128], b: npt.NDArray[np.complex128]) -> Doubles:
        everywhere: Doubles = fft.irfft2(a * b.conj(), (rows, cols))
        return everywhere[..., at[:, None], at]

    one, x, y = transform(np.ones_like(weight)), transform(fixed), transform(moving)
    total = np.maximum(sums(one, one), 1e-9)
    mean_x, mean_y = sums(x, one) / total, sums(one, y) / total
    both = sums(x, y) / total - mean_x * mean_y
    power = sums(transform(fixed**2), one) / total - mean_x**2
    power *= sums(one, transform(moving**2)) / total - mean_y**2
    # A standard deviation of 1e-6 on both sides is below the steps in which images are stored.
    told = power > 1e-24
    alike = np.divide(both, np.sqrt(np.abs(power)), out=np.zeros_like(both), where=told)
    return np.where(total < LEAST * total.max(), -1, alike.mean(axis=0))


def _summit(surface: Doubles, reach: int, limit: float) -> tuple[float, float, float]:
    """Where a spline through the correlations is highest, within ±limit and near the best one.

    Rows, columns, and how high it is there.
    """
    at = np.arange(-reach, reach + 1)
    inside = np.abs(at) <= limit
    far = np.hypot(*np.meshgrid(at, at))
    # Without any structure all are equal, and the answer is no shift.
    heights = np.where(inside[:, None] & inside, surface - 1e-9 * far, -np.inf)
    row, col = np.unravel_index(int(heights.argmax()), heights.shape)
    start = place = np.array([at[row], at[col]], np.float64)
    low, high = np.maximum(start - 1, -limit), np.minimum(start + 1, limit)
    spline = interpolate.RectBivariateSpline(at, at, surface, kx=5, ky=5)

    def derivative(rows: int, cols: int) -> float:
        return float(spline(place[0], place[1], dx=rows, dy=cols)[0, 0])

    for _ in range(8):  # Newton's steps double the digits each
        slope = np.array([derivative(1, 0), derivative(0, 1)])
        mixed = derivative(1, 1)
        bend = np.array([[derivative(2, 0), mixed], [mixed, derivative(0, 2)]])
        if np.linalg.eigvalsh(bend).max() > -1e-9:
            break
        place = np.clip(place - np.linalg.solve(bend, slope), low, high)
    return float(place[0]), float(place[1]), min(1.0, derivative(0, 0))
