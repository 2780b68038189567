"""The registered metrics of WorldStrat (Cornebise et al. 2022), as published and as intended.

Its shifts are made on the reference, with Lanczos kernels of 11 taps that lose 5 pixels a side;
the estimate was cut by 2 a side. So 81 shifts about (+3, +3) pixels were compared instead of
about 0, and of an estimate that lies where it should every figure is wrong.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sitsr.metrics.checks import Doubles, Reals, size
from sitsr.metrics.conventions.shifts import decibel, readable
from sitsr.series import Booleans, InputError

REACH = 5  # pixels a kernel loses on every side: the longest shift of 2, and 3 lobes
CUT_AS_PUBLISHED = 2
SHIFTS = np.arange(-2, 2.5, 0.5)


class Worldstrat(NamedTuple):
    """Of the bands together: dB, reflectance, and structural similarity.

    What its logs call SSIM_loss is (1 - ssim) / 2.
    """

    psnr: float
    mae: float
    ssim: float


def worldstrat_as_published(estimate: Reals, reference: Reals, clear: Booleans) -> Worldstrat:
    """The figures with the fault: what scores best lies 1 to 5 pixels too far up and left.

    The mean of each band is first set to the reference's. Of the 81 shifts, -2 to 2 pixels by
    half pixels, the one with the least mean squared error, of all bands, serves for mae and ssim
    too; psnr is -10 log10 of that error. The original has no mask; here a pixel counts where the
    estimate is clear, and all that the kernels reach of the reference.
    """
    return _registered(estimate, reference, clear, CUT_AS_PUBLISHED)


def worldstrat_as_intended(estimate: Reals, reference: Reals, clear: Booleans) -> Worldstrat:
    """The same with the estimate cut by 5 pixels a side, so that the shifts are about 0.

    The kernels stay as they are, unevenly by 1e-4: even what is perfect does not reach infinity.
    """
    return _registered(estimate, reference, clear, REACH)


def lanczos(shift: float) -> Doubles:
    """[11] weights of the pixels from 5 before to 5 after, to read a line at ``shift`` pixels.

    3 sin(p) sin(p / 3) / p² with p = π x + 0.001: the windowed sinc, not cut off beyond its third
    zero and not made to add up to 1, as WorldStrat has it.
    """
    p = np.pi * (np.arange(-REACH, REACH + 1) - shift) + 1e-3
    return np.asarray(3 * np.sin(p) * np.sin(p / 3) / p**2, np.float64)


def _registered(estimate: Reals, reference: Reals, clear: Booleans, cut: int) -> Worldstrat:
    ours, theirs = readable(estimate, reference, clear, least=2 * REACH + 3)
    bias = (theirs - ours)[:, clear].mean(axis=1)
    rows, cols = (length - 2 * REACH for length in clear.shape)
    here = slice(cut, cut + rows), slice(cut, cut + cols)
    moved = (ours + bias[:, None, None])[:, *here]
    valid = _within(clear)[REACH:-REACH, REACH:-REACH] & clear[here]
    if not valid.any():
        raise InputError(
            f"no pixel of {size(clear)} is clear with {REACH} pixels around it; "
            "give a clearer reference"
        )
    found = _nearest(moved, theirs, valid)
    apart = (moved - found)[:, valid]
    mse, mae = float(np.mean(apart**2)), float(np.mean(np.abs(apart)))
    return Worldstrat(decibel(mse), mae, _ssim(moved, found, valid))


def _nearest(moved: Doubles, theirs: Doubles, valid: Booleans) -> Doubles:
    """[C, H - 10, W - 10] the reference at that of the 81 shifts where it is nearest."""
    kernels = [lanczos(float(shift)) for shift in SHIFTS]
    least, best = np.inf, theirs
    for down in kernels:
        lines = ndimage.correlate1d(theirs, down, axis=1)[:, REACH:-REACH]
        for across in kernels:
            there = ndimage.correlate1d(lines, across, axis=2)[:, :, REACH:-REACH]
            error = float(np.mean((moved - there)[:, valid] ** 2))
            if error < least:
                least, best = error, there
    return best


def _within(clear: Booleans) -> Booleans:
    side = 2 * REACH + 1
    return np.asarray(ndimage.binary_erosion(clear, np.ones((side, side), bool), border_value=1))


def _ssim(ours: Doubles, theirs: Doubles, valid: Booleans) -> float:
    """Mean over pixels whose window of 5 × 5 is valid; Gaussian of 1.5 pixels, mirrored edges."""
    whole = ndimage.binary_erosion(valid, np.ones((5, 5), bool), border_value=1)
    if not whole.any():
        return float("nan")
    mean_x, mean_y = _smooth(ours), _smooth(theirs)
    var_x, var_y = _smooth(ours * ours) - mean_x**2, _smooth(theirs * theirs) - mean_y**2
    both = _smooth(ours * theirs) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4)
    likeness /= (mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4) + 1e-12
    return float(np.clip(likeness, -1, 1)[:, whole].mean())


def _smooth(images: Doubles) -> Doubles:
    blurred: Doubles = ndimage.gaussian_filter(images, 1.5, radius=2, mode="mirror", axes=(1, 2))
    return blurred
