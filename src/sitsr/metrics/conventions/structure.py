"""Structural similarity under an even window, as the conventions of 8-bit images have it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sitsr.metrics.checks import Doubles

WINDOW = 7  # pixels across


def even_ssim(ours: Doubles, theirs: Doubles, peak: float = 255.0) -> Doubles:
    """[H - 6, W - 6] structural similarity of two bands [H, W] under windows of 7 × 7, all alike.

    Wang et al. 2004, eq. 13, with K = (0.01, 0.03), variances of a sample (N - 1), and no window
    that reaches over the edge. It is what scikit-image gives when nothing is asked for.
    """
    mean_x, mean_y = _mean(ours), _mean(theirs)
    sample = WINDOW**2 / (WINDOW**2 - 1)
    var_x = sample * (_mean(ours * ours) - mean_x**2)
    var_y = sample * (_mean(theirs * theirs) - mean_y**2)
    both = sample * (_mean(ours * theirs) - mean_x * mean_y)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    likeness /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    edge = WINDOW // 2
    return likeness[edge:-edge, edge:-edge]


def _mean(band: Doubles) -> Doubles:
    return np.asarray(ndimage.uniform_filter(band, WINDOW), np.float64)
