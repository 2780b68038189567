"""How an estimate holds its detail, frequency by frequency: power, and agreement with the truth.

    estimate, reference   [C, H, W]  reflectance
    clear                 [H, W]     True where the reference is valid
    frequency             cycles per pixel, 0.5 at most; K rings of the width 1 / min(H, W)

Every transform is taken of (image - mean) · window. The window is a Hann window over rows and
columns that also falls smoothly to 0, over 8 pixels, towards what is not clear: nothing is put in
the place of clouds, and both images are seen through the same window. The mean is the
windowed one, so that no brightness leaks into the lowest rings.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from sitsr.metrics.checks import Doubles, Reals, check
from sitsr.series import Booleans, InputError

Complexes = npt.NDArray[np.complex128]
Rings = npt.NDArray[np.intp]

RAMP = 8  # pixels from what is not clear over which the window rises
FEWEST = 8  # pixels along the shorter side below which there are too few rings to speak of
ROUNDING = 1e-4**2 / 12  # power density of rounding to the 0.0001 in which reflectance is stored
ENOUGH = 0.5  # ring correlation with a reference: Rosenthal & Henderson 2003, and see below


def radial_spectrum(image: Reals, clear: Booleans) -> tuple[Doubles, Doubles]:
    """Frequencies [K] and power [C, K]: the mean over all directions of |transform|² / Σ window².

    In reflectance² per (cycle per pixel)², so that white noise of variance v has the power v in
    every ring, whatever the size of the image and its clouds. A ring gathers the coefficients
    nearest to its frequency, in cycles per pixel along both axes, so H and W may differ.
    """
    check(image, image, clear)
    window = _window(clear)
    rings, count = _rings(*clear.shape)
    power = np.abs(_transform(image, clear, window)) ** 2 / np.sum(window**2)
    return _frequencies(clear), np.stack([_summed(band, rings) for band in power]) / count


def spectrum_error(estimate: Reals, reference: Reals, clear: Booleans, scale: int = 4) -> float:
    """Mean absolute difference of two spectra in dB, over bands and the rings beyond what lr shows.

    |10 log10(power of the estimate / power of the reference)| from 1 / (2 scale) to 1 / 2 cycles
    per pixel: below lies what the low-resolution image holds, where all systems agree. It tells
    whether there is the right amount of detail, not whether it is true: read it with
    ``effective_resolution``. Power below that of rounding reflectance to 0.0001 counts as such.
    """
    check(estimate, reference, clear)
    if scale < 2:
        raise InputError(f"scale must be 2 or more, got {scale}: at 1 there is no finer detail")
    frequencies, ours = radial_spectrum(estimate, clear)
    _, truth = radial_spectrum(reference, clear)
    finer = frequencies >= 0.5 / scale
    ratio = np.maximum(ours, ROUNDING) / np.maximum(truth, ROUNDING)
    return float(np.mean(np.abs(10 * np.log10(ratio[:, finer]))))


def ring_correlation(estimate: Reals, reference: Reals, clear: Booleans) -> tuple[Doubles, Doubles]:
    """Frequencies [K] and the Fourier ring correlation [K] of two images, from -1 to 1.

    Re Σ X Y* / sqrt(Σ |X|² Σ |Y|²), the sums over a ring and over the bands together (Saxton &
    Baumeister 1982), so that a band counts as far as it has contrast. Blind to a bias, to a gain
    shared by all bands, and to a blur that is the same in all directions. 0 in a ring without
    power.
    """
    check(estimate, reference, clear)
    window = _window(clear)
    rings, _ = _rings(*clear.shape)
    ours, truth = (_transform(image, clear, window) for image in (estimate, reference))
    shared = _summed((ours * truth.conj()).real.sum(axis=0), rings)
    power = _summed((np.abs(ours) ** 2).sum(axis=0), rings)
    power *= _summed((np.abs(truth) ** 2).sum(axis=0), rings)
    alike = np.divide(shared, np.sqrt(power), out=np.zeros_like(shared), where=power > 0)
    return _frequencies(clear), alike


def effective_resolution(estimate: Reals, reference: Reals, clear: Booleans, pixel: float) -> float:
    """The finest ground sample distance, in metres, at which the estimate still shows the truth.

    pixel / (2 f), with f the first frequency at which the ring correlation falls below 0.5, between
    rings by a straight line, and ``pixel`` the side of a pixel in metres. 0.5 is the threshold
    against a reference; two noisy halves of one measurement would ask for 0.143 (Rosenthal &
    Henderson 2003). Never finer than the pixel, which a perfect image reaches; where the lowest
    ring is below already, the distance of that ring, the coarsest that can be told. A blur does
    not change it: it says to what scale the detail is true, not how crisp it looks.
    """
    if not pixel > 0:
        raise InputError(f"pixel must be above 0 metres, got {pixel}; give 2.5 for 2.5 m")
    frequencies, alike = ring_correlation(estimate, reference, clear)
    below = np.flatnonzero(alike < ENOUGH)
    if not below.size:
        return float(pixel)
    first = int(below[0])
    if first == 0:
        return float(pixel / (2 * frequencies[0]))
    pair = slice(first - 1, first + 1)
    crossing = np.interp(-ENOUGH, -alike[pair], frequencies[pair])
    return float(max(pixel, pixel / (2 * crossing)))


def random_phase_texture(image: Reals, generator: np.random.Generator) -> Doubles:
    """[C, H, W] an image of the same spectrum and mean as this one, and nothing else in common.

    The phases of white noise are added to those of the image, the same in all bands: so the
    power of every coefficient and the cross-spectrum of any two bands are kept, and hence
    variances and correlations between bands, while every form is lost (random phase noise: Galerne
    et al. 2011). The texture is periodic; the jump between opposite borders of the image counts
    as texture, so give detail, or an image of little slope.
    """
    if image.ndim != 3 or not np.isfinite(image).all():
        raise InputError(
            f"the image {list(image.shape)} must be one finite [C, H, W]; fill what is not clear"
        )
    # The transform of a real field is Hermitian, so its phases leave the texture real.
    phase = np.angle(fft.fft2(generator.standard_normal(image.shape[1:])))
    phase[0, 0] = 0  # the mean keeps its sign
    texture: Doubles = fft.ifft2(fft.fft2(image.astype(np.float64)) * np.exp(1j * phase)).real
    return texture


def _window(clear: Booleans) -> Doubles:
    """[H, W] from 0 at the border and where not clear to 1."""
    rows, cols = clear.shape
    if min(rows, cols) < FEWEST:
        raise InputError(
            f"{rows} × {cols} pixels are too few for a spectrum; give {FEWEST} × {FEWEST} or more"
        )
    # Half a pixel beyond the border, so that no row or column is lost.
    along = [np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 for side in (rows, cols)]
    window: Doubles = np.outer(*along)
    if not clear.all():
        distance = np.minimum(ndimage.distance_transform_edt(clear) / RAMP, 1)
        window *= np.sin(np.pi / 2 * distance) ** 2
    return window


def _transform(image: Reals, clear: Booleans, window: Doubles) -> Complexes:
    """[C, H, W] coefficients of what the window shows."""
    known = np.where(clear, image, 0).astype(np.float64)
    mean = np.sum(known * window, axis=(1, 2), keepdims=True) / np.sum(window)
    spectrum: Complexes = fft.fft2((known - mean) * window)
    return spectrum


@lru_cache(maxsize=4)
def _rings(rows: int, cols: int) -> tuple[Rings, Doubles]:
    """Which ring a coefficient [H, W] is in, from 0, the mean, to K + 1, and how many one holds."""
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(cols))
    shorter = min(rows, cols)
    last = shorter // 2
    rings = np.minimum(np.rint(radius * shorter).astype(np.intp), last + 1)
    rings.setflags(write=False)  # it is handed out again and again
    return rings, np.bincount(rings.ravel(), minlength=last + 2)[1:-1].astype(np.float64)


def _summed(values: Doubles, rings: Rings) -> Doubles:
    """[K] sums over the rings, without the mean and without the corners beyond 1 / 2."""
    sums: Doubles = np.bincount(rings.ravel(), values.ravel())[1:-1].astype(np.float64)
    return sums


def _frequencies(clear: Booleans) -> Doubles:
    shorter = min(clear.shape)
    frequencies: Doubles = np.arange(1, shorter // 2 + 1) / shorter
    return frequencies
