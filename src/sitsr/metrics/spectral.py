"""How far the colours of an estimate are from the truth: angles, bands and indices.

estimate, reference   [C, H, W]  reflectance
clear                 [H, W]     True where the reference is valid
"""

from __future__ import annotations

import math

import numpy as np

from sitsr.metrics.checks import Doubles, Reals, seen
from sitsr.series import Booleans, InputError

DARK = 0.02  # reflectance of red and near infrared together, below which NDVI is mostly noise


def sam(estimate: Reals, reference: Reals, clear: Booleans) -> float:
    """Spectral angle in degrees, the mean over clear pixels: 0 is best, and gain does not matter.

    arccos(<x, y> / (|x| |y|)) between the spectra x and y of a pixel (Yuhas et al. 1992; Kruse
    et al. 1993), computed as 2 atan2(|u - v|, |u + v|) of their directions u and v, which keeps
    small angles exact. An all-zero spectrum has no direction: where the reference is zero
    the pixel is left out, where the estimate alone is zero the angle counts as 90°.
    """
    ours, truth = seen(estimate, reference, clear)
    if len(truth) < 2:
        raise InputError("one band has no spectral angle; give two bands or more")
    ours, truth = ours[:, truth.any(axis=0)], truth[:, truth.any(axis=0)]
    if not truth.size:
        raise InputError("the reference is 0 wherever it is clear; set clear to False there")
    length = np.linalg.norm(ours, axis=0)
    u = np.divide(ours, length, out=np.zeros_like(ours), where=length > 0)
    v = truth / np.linalg.norm(truth, axis=0)
    angles = 2 * np.arctan2(np.linalg.norm(u - v, axis=0), np.linalg.norm(u + v, axis=0))
    return math.degrees(np.mean(angles))


def ergas(estimate: Reals, reference: Reals, clear: Booleans, scale: int) -> float:
    """Relative error over all bands, in per cent and divided by the scale; lower is better.

    100 · (h / l) · sqrt(mean over bands of (rmse_c / mean_c)²), where h / l = 1 / scale is
    the fine pixel over the coarse one and mean_c is that of the reference (ERGAS, "erreur
    relative globale adimensionnelle de synthèse": Wald 2000). Beware: a band that is dark
    on average, such as blue over forest, decides it.
    """
    ours, truth = seen(estimate, reference, clear)
    if scale < 1:
        raise InputError(f"scale must be 1 or more, got {scale}; give 4 for 10 m to 2.5 m")
    mean = truth.mean(axis=1)
    if not (mean > 0).all():
        band = int(np.argmin(mean))
        raise InputError(
            f"band {band} of the reference is {mean[band]:g} on average, which no error can be "
            "relative to; leave the band out"
        )
    relative = np.mean((ours - truth) ** 2, axis=1) / mean**2
    return 100 / scale * math.sqrt(np.mean(relative))


def band_bias(estimate: Reals, reference: Reals, clear: Booleans) -> Doubles:
    """[C] mean of estimate - reference over clear pixels, in reflectance: above 0 is too bright."""
    ours, truth = seen(estimate, reference, clear)
    bias: Doubles = np.mean(ours - truth, axis=1)
    return bias


def ndvi_error(estimate: Reals, reference: Reals, clear: Booleans, red: int, nir: int) -> float:
    """Mean absolute difference of NDVI over clear pixels; red and nir count bands from 0.

    NDVI = (nir - red) / max(nir + red, 0.02), kept within ±1 (Rouse et al. 1974, with a floor).
    The floor binds on water and in deep shadow only, where the quotient of two numbers near 0
    would be noise of any size. It is the same for both images and no pixel is left out, so
    that no system can choose where it is measured.
    """
    ours, truth = seen(estimate, reference, clear)
    bands = range(len(truth))
    if red not in bands or nir not in bands or red == nir:
        raise InputError(
            f"red {red} and nir {nir} must be two of the {len(truth)} bands, counted from 0"
        )
    return float(np.mean(np.abs(_ndvi(ours[red], ours[nir]) - _ndvi(truth[red], truth[nir]))))


def _ndvi(red: Doubles, nir: Doubles) -> Doubles:
    index: Doubles = np.clip((nir - red) / np.maximum(nir + red, DARK), -1, 1)
    return index
