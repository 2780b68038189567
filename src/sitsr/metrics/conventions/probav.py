"""The score of the PROBA-V challenge (Märtens et al. 2019, "Super-resolution of PROBA-V…")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sitsr.metrics.checks import Doubles, Reals
from sitsr.metrics.conventions.shifts import bias_free_mse, decibel, middle, readable, windows
from sitsr.series import Booleans, InputError

PEAK = 65535 / 16383
"""Reflectance that intensity 65535 stands for, if 1 is the most that the sensor's 14 bits hold."""


def probav_cpsnr(estimate: Reals, reference: Reals, clear: Booleans, peak: float = PEAK) -> float:
    """Peak signal-to-noise ratio at the best of 49 whole shifts without bias, dB; mean of bands.

    The middle of a band, without 3 pixels a side, is laid on the reference at every whole shift to
    ±3; there the mean difference over the clear pixels is taken away; the smallest mean square
    that is left gives -10 log10, with intensities over 65535. A band has its own shift.

    The challenge's images are 14-bit numbers in 16 bits, so nothing comes near the peak, and its
    numbers are high: reflectance ``peak`` is intensity 65535 here, and what lies beyond 0 or the
    peak is clipped. Intensities are not rounded. The mask is the reference's, and moves with it;
    the estimate is taken to be known everywhere.
    """
    if peak <= 0:
        raise InputError(f"peak is the reflectance of intensity 65535, above 0; got {peak}")
    ours, theirs = readable(estimate, reference, clear, least=7)
    pairs = zip(ours / peak, theirs / peak, strict=True)
    return float(np.mean([_best(np.clip(x, 0, 1), np.clip(y, 0, 1), clear) for x, y in pairs]))


def probav_score(cpsnrs: Sequence[float], baseline_cpsnrs: Sequence[float]) -> float:
    """Mean over sites of the baseline's cPSNR over the estimate's; below 1 is better than it."""
    ours, theirs = np.asarray(cpsnrs, np.float64), np.asarray(baseline_cpsnrs, np.float64)
    if ours.ndim != 1 or not ours.size or ours.shape != theirs.shape:
        raise InputError(
            f"got {ours.size} cPSNR and {theirs.size} of the baseline; give one of each a site"
        )
    return float(np.mean(theirs / ours))


def _best(ours: Doubles, theirs: Doubles, clear: Booleans) -> float:
    inside = middle(ours)
    return decibel(min(bias_free_mse(inside, y, seen) for y, seen in windows(theirs, clear)))
