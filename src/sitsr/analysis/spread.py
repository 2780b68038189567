"""The point-spread function of a sensor: found from a pair of images, and what follows from it.

The low-resolution image is taken for gain · (reference seen through a Gaussian) + offset. What is
found is therefore the blur that lies *between* the two images: a reference with a blur of its own
takes that away from it, sigma² = sigma_lr² − sigma_hr². What the images do not share (noise of the
reference, fields that changed between two days) is best told by a smoother image and makes sigma
larger; a shift does not, because it is found together with sigma.

Lengths are in low-resolution pixels, frequencies in cycles per low-resolution pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize, sparse, special

from sitsr.metrics import Doubles, Reals
from sitsr.radiometry import FEWEST, filled
from sitsr.series import Booleans, InputError

LOW, HIGH = 0.1, 2.0
"""Between which sigma is searched."""
ASTRAY = 0.75
"""By how much the shift may leave the one given."""
MARGIN = 3
"""Low-resolution pixels by which what is compared keeps away from borders and clouds."""
ALIKE = 0.5
"""Least correlation of the two images for sigma to be told."""
NYQUIST = 0.5


@dataclass(frozen=True, slots=True)
class Spread:
    """What turns a reference best into an observation, in one band."""

    sigma: float
    """Standard deviation of the Gaussian; NaN where the images do not tell it."""
    dy: float
    """By which the reference is moved down."""
    dx: float
    """By which it is moved to the right."""
    correlation: float
    """Of the two images then."""


def point_spread(
    reference: Reals,
    known: Booleans,
    observed: Reals,
    clear: Booleans,
    start: tuple[float, float] = (0.0, 0.0),
) -> Spread:
    """The Gaussian and the shift that bring a reference [s·H, s·W] nearest to an image [H, W].

    Least squares over sigma and shift, with the gain and offset that are best for each; known
    [s·H, s·W] and clear [H, W] are True where the two images show the ground, start is the shift,
    rows and columns, near which the answer is sought. NaN where sigma runs into an end of LOW to
    HIGH, the two images do not resemble each other even then, or either is flat. InputError where
    fewer than 16 pixels can be compared.
    """
    scale = len(reference) // len(observed)
    whole = comparable(known, clear, scale)
    if int(whole.sum()) < FEWEST:
        raise InputError(
            f"only {int(whole.sum())} pixels are {MARGIN} or more from what is not clear, "
            f"{FEWEST} are needed to find a point-spread function; give a larger or clearer pair"
        )
    fine = filled(reference[None].astype(np.float64), known)[0]
    truth = observed[whole].astype(np.float64)
    truth -= truth.mean()
    size = float(np.linalg.norm(truth))
    if size <= 1e-9 * len(truth) or np.ptp(fine) <= 1e-9:
        return Spread(math.nan, *start, math.nan)

    def missed(place: Doubles) -> Doubles:
        seen = through(fine, scale, *place)[whole]
        seen -= seen.mean()
        gain = float(seen @ truth) / max(float(seen @ seen), 1e-30)
        return np.asarray((truth - gain * seen) / size)

    low = [LOW, start[0] - ASTRAY, start[1] - ASTRAY]
    high = [HIGH, start[0] + ASTRAY, start[1] + ASTRAY]
    found = optimize.least_squares(missed, (0.5, *start), bounds=(low, high), xtol=1e-6, ftol=1e-9)
    sigma, dy, dx = (float(value) for value in found.x)
    alike = math.sqrt(max(1 - float(missed(found.x) @ missed(found.x)), 0))
    told = LOW * 1.02 < sigma < HIGH * 0.98 and alike >= ALIKE
    return Spread(sigma if told else math.nan, dy, dx, alike)


def comparable(known: Booleans, clear: Booleans, scale: int) -> Booleans:
    """[H, W] clear pixels around which the reference is known for MARGIN pixels."""
    rows, cols = clear.shape
    blocks = np.asarray(known.reshape(rows, scale, cols, scale).all(axis=(1, 3)), bool)
    square = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), bool)
    inside: Booleans = ndimage.binary_erosion(blocks, square)
    return inside & clear


def through(fine: Doubles, scale: int, sigma: float, dy: float = 0.0, dx: float = 0.0) -> Doubles:
    """[H, W] an image [s·H, s·W] seen through a Gaussian, the image moved by dy and dx.

    The shift moves the Gaussian and not the image, so that nothing is interpolated.
    """
    down, across = (
        _weights(side // scale, scale, sigma, shift)
        for side, shift in zip(fine.shape, (dy, dx), strict=True)
    )
    return np.asarray((across @ (down @ fine).T).T)


def _weights(count: int, scale: int, sigma: float, shift: float) -> sparse.csr_array:
    """[count, scale·count] what each fine pixel of a line weighs in each coarse one."""
    centre = np.arange(count) * scale + (scale - 1) / 2 - shift * scale
    reach = math.ceil(4 * sigma * scale)
    at = np.rint(centre)[:, None] + np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * ((at - centre[:, None]) / (sigma * scale)) ** 2)
    beyond = (at < 0) | (at >= count * scale)
    weight[beyond & ~beyond.all(axis=1, keepdims=True)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    place = np.clip(at, 0, count * scale - 1).astype(np.intp)
    ends = np.arange(count + 1) * at.shape[1]
    return sparse.csr_array((weight.ravel(), place.ravel(), ends), (count, scale * count))


def transfer(frequency: npt.ArrayLike, sigma: float) -> Doubles:
    """Modulation transfer of a Gaussian, exp(−2 π² f² sigma²); at Nyquist exp(−(π sigma)² / 2)."""
    return np.exp(-2 * (math.pi * sigma * np.asarray(frequency, np.float64)) ** 2)


def folded_white(sigma: float) -> float:
    """The share of an image's power that is aliased, were all frequencies as strong in the scene.

    What a Gaussian lets pass beyond Nyquist along rows or columns, 1 − erf(π sigma)². Scenes
    are weaker at high frequencies than this, so it is a bound.
    """
    return 1 - float(special.erf(math.pi * sigma)) ** 2


def finest(sigma: float, least: float) -> float:
    """Half a wavelength, in low-resolution pixels, of the finest wave that keeps this contrast.

    The inverse of ``transfer``: below 1 is finer than the pixels, and can be had from several
    images only, since in each of them it is aliased.
    """
    return math.pi * sigma / math.sqrt(2 * math.log(1 / least))
