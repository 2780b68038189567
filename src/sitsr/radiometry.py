"""What the sensor does to the ground, and what lies between the images of two sensors.

A pixel of the low-resolution image is a Gaussian mean of the ground around its centre:

    lr[i] = Σ_k w_k · hr[i·scale + k],   w_k ∝ exp(-(k - (scale - 1) / 2)² / (2 (sigma·scale)²))

with sigma, the standard deviation of the point-spread function, in low-resolution pixels, k within
4 sigma·scale of the centre and Σ w = 1, along rows and along columns alike. Where the image ends,
or is not clear, the weights that remain are divided by their sum.

Images of two sensors differ besides by a shift (``sitsr.metrics.best_shift``), and by a gain and an
offset in every band.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sitsr.series import Booleans, Floats, InputError

Doubles = npt.NDArray[np.float64]

FEWEST = 16  # clear pixels below which a gain and an offset cannot be told


def degrade(
    image: Floats, scale: int, sigma: Sequence[float], clear: Booleans | None = None
) -> Floats:
    """[C, H / scale, W / scale] what the sensor would see of an image [C, H, W].

    ``sigma`` holds one standard deviation a band, in low-resolution pixels. Only pixels in
    ``clear`` [H, W] count (all, if it is not given); NaN where none is within reach.
    """
    bands, rows, cols = image.shape
    if scale < 1 or rows % scale or cols % scale:
        raise InputError(f"{rows} × {cols} pixels do not divide by scale {scale}; crop them first")
    if len(sigma) != bands:
        raise InputError(f"sigma holds {len(sigma)} numbers for {bands} bands; give one a band")
    exists = np.ones((rows, cols), bool) if clear is None else clear
    known = np.where(exists, image, 0).astype(np.float64)
    if not np.isfinite(known).all():
        raise InputError("the image is NaN or infinite where clear; set clear to False there")
    coarse = np.empty((bands, rows // scale, cols // scale), np.float32)
    for band, width in enumerate(sigma):
        offsets, weights = _point_spread(scale, width)
        weight = _sampled(exists.astype(np.float64), scale, offsets, weights)
        total = _sampled(known[band], scale, offsets, weights)
        coarse[band] = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    return coarse


def by_area(image: Floats, shape: tuple[int, int]) -> Floats:
    """[..., h, w] an image [..., H, W] on another grid of h × w pixels over the same ground.

    Every new pixel is the mean of the old ones, weighted by the area that they share with it; NaN
    where it touches one that is NaN. The mean over the ground stays what it was.
    """
    if image.shape[-2:] == shape:
        return image
    down, across = (_shares(old, new) for old, new in zip(image.shape[-2:], shape, strict=True))
    unknown = np.isnan(image)
    made = down @ np.where(unknown, 0, image) @ across.T
    touched = down @ unknown.astype(np.float32) @ across.T > 0
    return np.where(touched, np.float32(np.nan), made).astype(np.float32)


def _shares(old: int, new: int) -> Doubles:
    """[new, old] share of each new pixel of a line that lies in each old one; rows sum to 1."""
    edges, wanted = np.arange(old + 1) / old, np.arange(new + 1) / new
    end = np.minimum(wanted[1:, None], edges[None, 1:])
    start = np.maximum(wanted[:-1, None], edges[None, :-1])
    shares = np.maximum(end - start, 0)
    shares[shares < 1e-9] = 0  # edges that meet but for rounding
    return np.asarray(shares / shares.sum(1, keepdims=True))


def match(reference_lr: Floats, lr: Floats, clear: Booleans) -> tuple[Floats, Floats]:
    """Gain [C] and offset [C] with which gain · reference_lr + offset comes nearest to lr.

    A robust fit in each band over the clear pixels (Huber 1964, with tuning constant 1.345
    and the scale from the median absolute residual), so that what changed between two dates
    does not decide. As in every regression, what the two images do not share lowers the gain.
    """
    return _by_band(_huber, reference_lr, lr, clear)


def match_contrast(reference_lr: Floats, lr: Floats, clear: Booleans) -> tuple[Floats, Floats]:
    """Gain [C] and offset [C] that give the reference the contrast of lr at low resolution.

    The geometric mean of the slope of ``match`` and of the same fit the other way round (the
    reduced major axis): the gain for two images that both differ from the common truth.
    Regression of one on the other takes the contrast that they do not share from the reference
    alone, and so prefers images that are too smooth.
    """
    return _by_band(_both_ways, reference_lr, lr, clear)


def _both_ways(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[float, float]:
    there, offset = _huber(x, y)
    back, _ = _huber(y, x)
    gain = math.copysign(math.sqrt(abs(there / back)), there) if back else there
    return gain, offset + (there - gain) * float(np.mean(x, dtype=np.float64))


def _by_band(
    fit: Callable[[npt.NDArray[Any], npt.NDArray[Any]], tuple[float, float]],
    reference_lr: Floats,
    lr: Floats,
    clear: Booleans,
) -> tuple[Floats, Floats]:
    if int(clear.sum()) < FEWEST:
        raise InputError(
            f"only {int(clear.sum())} pixels are clear in both images, {FEWEST} are needed "
            "to fit gain and offset; give clearer ones"
        )
    pairs = zip(reference_lr[:, clear], lr[:, clear], strict=True)
    gain, offset = zip(*(fit(x, y) for x, y in pairs), strict=True)
    return np.array(gain, np.float32), np.array(offset, np.float32)


def shifted_clear(clear: Booleans, dy: float, dx: float) -> Booleans:
    """[H, W] True where an image so shifted is made of clear pixels only."""
    share = ndimage.shift(clear.astype(np.float32), (dy, dx), order=1, mode="constant", cval=0)
    whole: Booleans = share > 0.999  # rounding of the interpolation
    return whole


def filled(image: Floats, clear: Booleans) -> Floats:
    """An image [C, H, W] with the nearest clear pixel in place of those that are not clear."""
    if not clear.any():
        raise InputError("no pixel is clear, so there is nothing to fill the others from")
    if clear.all():
        return image
    rows, cols = ndimage.distance_transform_edt(~clear, return_distances=False, return_indices=True)
    return image[:, rows, cols]


def _point_spread(scale: int, sigma: float) -> tuple[list[int], list[float]]:
    """Where the taps of a low-resolution pixel lie from its first pixel, and what they weigh."""
    if not sigma > 0:
        raise InputError(f"sigma must be above 0 low-resolution pixels, got {sigma}")
    centre, width = (scale - 1) / 2, sigma * scale
    offsets = range(math.ceil(centre - 4 * width), math.floor(centre + 4 * width) + 1)
    if not offsets:
        raise InputError(
            f"a point-spread function of {sigma} low-resolution pixels falls between the pixels "
            f"of scale {scale}; give one above {0.125 / scale:g}"
        )
    weights = [math.exp(-0.5 * ((offset - centre) / width) ** 2) for offset in offsets]
    return list(offsets), [weight / sum(weights) for weight in weights]


def _sampled(
    image: Doubles, scale: int, offsets: Sequence[int], weights: Sequence[float]
) -> Doubles:
    """Weighted sums of an image [H, W] along both axes, one for every scale-th pixel."""
    for _ in range(2):  # rows and columns are one axis twice: each round ends with a transpose
        count = image.shape[1] // scale
        before, after = max(0, -offsets[0]), max(0, offsets[-1] - scale + 1)
        padded = np.pad(image, ((0, 0), (before, after)))
        total = np.zeros((len(image), count))
        for offset, weight in zip(offsets, weights, strict=True):
            start = before + offset
            total += weight * padded[:, start : start + scale * (count - 1) + 1 : scale]
        image = total.T
    return image


def _huber(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[float, float]:
    """Gain and offset from x to y, by least squares reweighted until they settle."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    if np.ptp(x) <= 1e-6 * max(1.0, float(np.abs(x).max())):
        raise InputError(
            "a band of the reference is the same everywhere, so no gain can be fitted; leave it out"
        )
    weight = np.ones_like(x)
    gain = offset = 0.0
    for _ in range(50):
        middle_x, middle_y = np.average(x, weights=weight), np.average(y, weights=weight)
        variance = np.average((x - middle_x) ** 2, weights=weight)
        new = float(np.average((x - middle_x) * (y - middle_y), weights=weight) / variance)
        settled = abs(new - gain) < 1e-9
        gain, offset = new, float(middle_y - new * middle_x)
        residual = np.abs(y - gain * x - offset)
        bound = 1.345 * 1.4826 * float(np.median(residual))
        if settled or bound < 1e-9:  # half of the points lie on the line: nothing to bound
            break
        weight = bound / np.maximum(residual, bound)
    return gain, offset
