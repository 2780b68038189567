"""The figures of MISR-S2 on BreizhSR (Okabayashi et al. 2024): 8 bits, reference recoloured."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sitsr.metrics.checks import Doubles, Reals
from sitsr.metrics.conventions.histograms import match_histogram
from sitsr.metrics.conventions.shifts import BORDER, middle, readable, windows
from sitsr.metrics.conventions.structure import WINDOW, even_ssim
from sitsr.series import Booleans, InputError

WHITE = (0.2058, 0.1583, 0.1118)
"""Reflectance of red, green and blue that becomes 255: 98th percentiles of the training set."""


class Breizhsr(NamedTuple):
    """psnr in dB; mae, mse and shift_mae in steps of 8 bits (mse squared)."""

    psnr: float
    ssim: float
    mae: float
    mse: float
    shift_mae: float


def breizhsr(
    estimate: Reals,
    reference: Reals,
    clear: Booleans,
    lr: Reals,
    white: tuple[float, ...] = WHITE,
) -> Breizhsr:
    """All figures, of bands pooled; ``lr`` [C, h, w] is the input image nearest to the date.

    Each band of lr is clipped to 0 … ``white``, and the reference takes its histogram: colours,
    and the contrast that is lost at 10 m, are judged by the input and not by the truth. Then both
    images are rounded to 0 … 255, with ``white`` as 255, and clipped. shift_mae is the least mean
    absolute error over the 49 whole shifts to ±3, the bias left in.

    The original has no mask; here histogram, errors and windows are of the clear pixels only.
    """
    if len(reference) != len(white) or lr.ndim != 3 or len(lr) != len(white):
        raise InputError(
            f"reference {list(reference.shape)} and lr {list(lr.shape)} must have "
            f"the {len(white)} bands that white names; give red, green and blue"
        )
    ours, theirs = readable(estimate, reference, clear, 2 * BORDER + 1)
    matched = np.stack([_recoloured(*band, clear) for band in zip(theirs, lr, white, strict=True)])
    x, y = _eight_bits(ours, white), _eight_bits(matched, white)
    apart = (x - y)[:, clear]
    mse = float(np.mean(apart**2))
    return Breizhsr(
        psnr=10 * math.log10(255**2 / mse) if mse else math.inf,
        ssim=_ssim(x, y, clear),
        mae=float(np.mean(np.abs(apart))),
        mse=mse,
        shift_mae=_shift_mae(x, y, clear),
    )


def _recoloured(band: Doubles, lr: Reals, white: float, clear: Booleans) -> Doubles:
    """[H, W] a band of the reference with the histogram of the input's."""
    known = lr[np.isfinite(lr)]
    if not known.size:
        raise InputError("lr has a band without a finite value; give an image that sees the ground")
    matched = np.zeros_like(band)
    matched[clear] = match_histogram(band[clear], np.clip(known.astype(np.float64), 0, white))
    return matched


def _eight_bits(images: Doubles, white: tuple[float, ...]) -> Doubles:
    # By way of -1 to 1, as the original does, so that halves are rounded alike.
    between = 2 * (images / np.asarray(white)[:, None, None]) - 1
    return np.asarray(np.clip(np.round((between + 1) * 127.5), 0, 255), np.float64)


def _ssim(ours: Doubles, theirs: Doubles, clear: Booleans) -> float:
    """Mean over bands and whole clear windows; NaN where there is none."""
    edge = WINDOW // 2
    whole = ndimage.binary_erosion(clear, np.ones((WINDOW, WINDOW), bool))[edge:-edge, edge:-edge]
    if not whole.any():
        return math.nan
    return float(np.mean([even_ssim(x, y)[whole] for x, y in zip(ours, theirs, strict=True)]))


def _shift_mae(ours: Doubles, theirs: Doubles, clear: Booleans) -> float:
    inside, seen = middle(ours), middle(clear)
    both = ((inside - there)[:, seen & known] for there, known in windows(theirs, clear))
    return min((float(np.mean(np.abs(apart))) for apart in both if apart.size), default=math.nan)
