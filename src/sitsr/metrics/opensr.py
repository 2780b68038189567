"""The seven figures of opensr-test: consistency with the input, synthesis, and what is made of it.

    lr        [C, h, w]                  reflectance: what the sensor saw
    sr, hr    [C, h · scale, w · scale]  reflectance: the estimate and the reference

Aybar et al. 2024, "A comprehensive benchmark for optical remote sensing image super-resolution".
Formulas and constants are those of the package opensr-test 1.3.3 as it comes: distance "nd",
pixel by pixel, harmonised, 16 pixels of border left out. It corrects the colours and the place of
the estimate with the reference before it scores synthesis and correctness, so errors of those
kinds show in the consistency only.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from sitsr.metrics.checks import Doubles, Reals, check
from sitsr.metrics.conventions.histograms import match_histogram
from sitsr.series import Booleans, InputError

BORDER = 16  # pixels of hr left out on every side, as many of them as are whole pixels of lr
LARGEST = 5.0  # pixels: a longer shift is taken to be a mistake
FINENESS = 50  # shifts are found to one part in so many of a pixel
DULL = 75  # percent of pixels whose detail, lr to hr, is too weak to be judged by
WEIGHT = 0.05  # λ of the three scores
TEMPERATURE = 0.25  # of the softmin that turns the three into shares


class Correctness(NamedTuple):
    """Shares that add up to 1, means over the pixels that count; NaN if none does."""

    improvement: float
    omission: float
    hallucination: float


class Images(NamedTuple):
    """The three images without their border, what is not clear filled in, and what is clear."""

    low: Doubles
    """[C, h, w]"""
    enlarged: Doubles
    """[C, H, W] low on the grid of the other two, linear."""
    estimate: Doubles
    reference: Doubles
    low_clear: Booleans
    """[h, w] True where all of the reference's pixels are clear."""
    clear: Booleans
    scale: int


def opensr(
    lr: Reals,
    sr: Reals,
    hr: Reals,
    clear: Booleans | None = None,
    *,
    rgb: tuple[int, ...] = (0, 1, 2),
    harmonise: bool = True,
    border: int | None = None,
) -> dict[str, float]:
    """All figures of opensr-test by name, as the package's ``Metrics().compute`` gives them.

    opensr_reflectance    mean |lr - A sr|, in reflectance; A is a triangle of 2 scale pixels
    opensr_spectral       mean spectral angle of lr and A sr, degrees
    opensr_spatial        length of the shift from lr to A sr, lr pixels; NaN above 5
    opensr_synthesis      mean |sr - lr enlarged|, in reflectance: how much was added at all
    opensr_improvement    share of what was added that is in hr too
    opensr_omission       share that was in hr and not added
    opensr_hallucination  share that was added and is not in hr

    ``rgb`` names the bands whose mean the shift of lr is found in (the first alone, if there are
    fewer than three). ``harmonise`` False scores the estimate as it is. The package has no mask:
    with ``clear`` [H, W] the means, quantiles and histograms are of what is clear, and what is not
    is given the enlarged lr in both sr and hr before the shift is sought.

    Beware of the angle: near 0 it is as rough as the arithmetic, 0.02° in float32. Here all is
    float64, but for the shifted image, which the package keeps in float32.
    """
    images = _prepared(lr, sr, hr, np.ones(hr.shape[1:], bool) if clear is None else clear, border)
    if len(lr) >= 3 and any(not 0 <= band < len(lr) for band in rgb):
        raise InputError(f"rgb {rgb} must name bands from 0 to {len(lr) - 1}")
    seen_again = _each_line(images.estimate, images.scale)
    if harmonise:
        images = images._replace(estimate=_harmonised(images))
    right = correctness(images)
    low, there = images.low[:, images.low_clear], seen_again[:, images.low_clear]
    added = (images.enlarged - images.estimate)[:, images.clear]
    return {
        "opensr_reflectance": float(np.mean(np.abs(low - there))),
        "opensr_spectral": _angle(low, there),
        "opensr_spatial": _displacement(images.low, seen_again, rgb),
        "opensr_synthesis": float(np.mean(np.abs(added))),
        **{f"opensr_{name}": value for name, value in right._asdict().items()},
    }


def correctness(images: Images) -> Correctness:
    """What the detail of an estimate is made of.

    With the distances between the three images (mean over bands of |x - y| / |x + y|)

        i = d(estimate, reference) / d(enlarged, reference)
        o = d(estimate, enlarged) / d(enlarged, reference)

    a pixel is i + o (1 - e^{-λ (i + o - 1)}) from improvement, the same with i and o exchanged
    from omission, and e^{-λ i o} from hallucination; its shares are the softmin of the three.
    A pixel counts where any of the three distances is above the 75th percentile of
    d(enlarged, reference).
    """
    enlarged, ours, truth = (
        image[:, images.clear] for image in (images.enlarged, images.estimate, images.reference)
    )
    far, from_truth, from_input = (
        _distance(enlarged, truth),
        _distance(ours, truth),
        _distance(ours, enlarged),
    )
    least = np.sort(far)[far.size * DULL // 100 - 1]
    counts = (far > least) | (from_truth > least) | (from_input > least)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        i, o = from_truth[counts] / far[counts], from_input[counts] / far[counts]
        bent = 1 - np.exp(-WEIGHT * (i + o - 1))
        scores = np.stack([i + o * bent, o + i * bent, np.exp(-WEIGHT * i * o)])
        shares = np.exp(-scores / TEMPERATURE)
        shares /= shares.sum(axis=0)
    told = shares[:, np.isfinite(shares).all(axis=0)]
    return Correctness(*told.mean(axis=1).tolist()) if told.size else Correctness(*[math.nan] * 3)


def phase_shift(moving: Reals, still: Reals) -> tuple[float, float]:
    """(rows, columns) by which ``moving`` [H, W] must go to lie on ``still``, to 1/50 pixel.

    The peak of the phase correlation, first on whole pixels, then on a fine grid around it by the
    discrete Fourier transform at those places alone (Guizar-Sicairos et al. 2008).
    """
    product = fft.fft2(still) * np.conj(fft.fft2(moving))
    product /= np.maximum(np.abs(product), 100 * np.finfo(product.real.dtype).eps)
    peak = np.unravel_index(np.argmax(np.abs(fft.ifft2(product))), product.shape)
    whole = [
        int(place) - length if place > length // 2 else int(place)
        for place, length in zip(peak, product.shape, strict=True)
    ]
    reach = math.ceil(1.5 * FINENESS) // 2
    steps = np.arange(math.ceil(1.5 * FINENESS)) - reach
    waves = [
        np.exp(2j * np.pi * np.outer(place + steps / FINENESS, fft.fftfreq(length)))
        for place, length in zip(whole, product.shape, strict=True)
    ]
    fine = np.abs(waves[0] @ product @ waves[1].T)
    row, col = np.unravel_index(np.argmax(fine), fine.shape)
    return whole[0] + float(steps[row]) / FINENESS, whole[1] + float(steps[col]) / FINENESS


def _prepared(lr: Reals, sr: Reals, hr: Reals, clear: Booleans, border: int | None) -> Images:
    """The images without border and without holes, after a check."""
    scale = _scale(lr, sr, hr)
    border = BORDER // scale * scale if border is None else border
    check(sr, hr, clear)
    if border < 0 or border % scale or min(lr.shape[1:]) - 2 * (border // scale) < 2:
        raise InputError(
            f"a border of {border} pixels must be a multiple of the scale {scale} and leave 2 of "
            f"the {min(lr.shape[1:])} lr pixels of a side; give larger images or another border"
        )
    low, ours, truth = _inside(lr, border // scale), _inside(sr, border), _inside(hr, border)
    known = np.isfinite(low).all(axis=0)
    seen = _inside(clear, border) & known.repeat(scale, 0).repeat(scale, 1)
    rows, cols = known.shape
    low_seen = known & seen.reshape(rows, scale, cols, scale).all(axis=(1, 3))
    if not low_seen.any():
        raise InputError("no lr pixel inside the border is clear; give larger or clearer images")
    low = np.where(known, low, low[:, known].mean(axis=1)[:, None, None])
    enlarged = low if scale == 1 else _each_line(low, 1 / scale)
    return Images(
        low=low,
        enlarged=enlarged,
        estimate=np.where(seen, ours, enlarged),
        reference=np.where(seen, truth, enlarged),
        low_clear=low_seen,
        clear=seen,
        scale=scale,
    )


def _scale(lr: Reals, sr: Reals, hr: Reals) -> int:
    shapes = f"lr {list(lr.shape)}, sr {list(sr.shape)} and hr {list(hr.shape)}"
    if any(image.ndim != 3 for image in (lr, sr, hr)) or sr.shape != hr.shape:
        raise InputError(f"{shapes} must be [C, h, w] and twice [C, h · scale, w · scale]")
    scale: int = hr.shape[1] // max(1, lr.shape[1])
    if scale < 1 or hr.shape != (lr.shape[0], lr.shape[1] * scale, lr.shape[2] * scale):
        raise InputError(f"{shapes} must show the same bands and ground at one whole scale")
    return scale


def _inside(image: npt.NDArray[Any], border: int) -> npt.NDArray[Any]:
    """[..., H - 2 border, W - 2 border]; numbers in float64."""
    rows, cols = (slice(border, length - border) for length in image.shape[-2:])
    return image[..., rows, cols].astype(bool if image.dtype == np.bool_ else np.float64)


def _each_line(images: Doubles, step: float) -> Doubles:
    """[C, H / step, W / step] resampled down and across, by one rule."""
    down, across = (_triangles(length, step) for length in images.shape[1:])
    return down @ images @ across.T


def _triangles(length: int, step: float) -> Doubles:
    """[length / step, length] weights of linear interpolation, widened where it makes smaller."""
    centres = (np.arange(round(length / step)) + 0.5) * step
    apart = np.abs(centres[:, None] - (np.arange(length) + 0.5)) / max(step, 1)
    weights: Doubles = np.clip(1 - apart, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _harmonised(images: Images) -> Doubles:
    """The estimate with the reference's histograms, moved on to it."""
    matched = images.estimate.copy()
    for band, truth in zip(matched, images.reference, strict=True):
        band[images.clear] = match_histogram(band[images.clear], truth[images.clear])
    rows, cols = phase_shift(matched.mean(axis=0), images.reference.mean(axis=0))
    if math.hypot(rows, cols) > LARGEST:
        rows, cols = 0, 0
    return _moved(matched, rows, cols)


def _moved(images: Doubles, rows: float, cols: float) -> Doubles:
    """Images moved down and right, linearly between pixels, their edges drawn out."""
    down, across = (
        _between(length, by) for length, by in zip(images.shape[1:], (rows, cols), strict=True)
    )
    moved = down @ images.astype(np.float32).astype(np.float64) @ across.T
    return moved.astype(np.float32).astype(np.float64)


def _between(length: int, by: float) -> Doubles:
    """[length, length] weights that move a line by so many pixels."""
    places = np.clip(np.arange(length) - by, 0, length - 1)
    weights: Doubles = np.clip(1 - np.abs(places[:, None] - np.arange(length)), 0, None)
    return weights


def _displacement(low: Doubles, seen_again: Doubles, rgb: tuple[int, ...]) -> float:
    bands = list(rgb) if len(low) >= 3 else [0]
    moved = math.hypot(*phase_shift(low[bands].mean(axis=0), seen_again[bands].mean(axis=0)))
    return moved if moved <= LARGEST else math.nan


def _angle(ours: Doubles, theirs: Doubles) -> float:
    """Mean spectral angle in degrees, over pixels that have one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.linalg.norm(ours, axis=0) * np.linalg.norm(theirs, axis=0)
        cosine = np.sum(ours * theirs, axis=0) / lengths
    told = np.isfinite(cosine)
    if not told.any():
        return math.nan
    return float(np.degrees(np.arccos(np.clip(cosine[told], -1, 1))).mean())


def _distance(ours: Doubles, theirs: Doubles) -> Doubles:
    """[pixels] mean over bands of |x - y| / |x + y|."""
    parts: Doubles = np.abs(ours - theirs) / np.abs(ours + theirs + 1e-8)
    return np.asarray(parts.mean(axis=0))
