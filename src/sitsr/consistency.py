"""What the sensor saw is kept: the measurement operator A, and the projection onto it.

A pixel of Sentinel-2 is the ground seen through the band's point-spread function,

    y = A x + noise,     A = Gaussian blur of standard deviation sigma · scale, sampled at the
                             centres of the low-resolution pixels,

and an estimate x that does not give back y when it is seen so contradicts the measurement. It is
mended in the null-space form (Wang et al. 2023, arXiv:2212.00490, eq. 6), regularised by noise:

    x + Aᵀ (A Aᵀ + λ)⁻¹ (y − A x),

which changes x only in what the sensor measures and leaves every detail below its resolution
alone. (A Aᵀ + λ)⁻¹ is a convolution that dies away within a few pixels; it is cut at REACH, so that
the answer does not depend on how a scene is cut. Where nothing was observed, nothing is changed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

REACH = 5
"""Half-width of the cut inverse kernel, low-resolution pixels."""

BLUR_REACH = 2
"""Half-width of the point-spread function and its transpose, low-resolution pixels."""

PROJECTION_REACH = REACH + 2 * BLUR_REACH

NOISE_RATIO = 0.05
"""λ: power of the sensor's noise over that of the signal, along one axis. With it the rest that is
left of y − A x on real images is about 0.002 reflectance, which is Sentinel-2's noise; less of it
would amplify that noise, more would leave blur (see docs/decisions/consistency.md)."""

SENTINEL2_SIGMA = {"B02": 0.50, "B03": 0.50, "B04": 0.52, "B08": 0.52}
"""Point-spread function, standard deviation in pixels of 10 m. The modulation transfer at Nyquist
is exp(−(π σ)² / 2), here 0.29, 0.29, 0.26 and 0.26: the sharp end of the 0.15 to 0.30 that the
mission asks for (Gascon et al. 2014)."""

LANDSAT8_SIGMA = {"B02": 0.42, "B03": 0.41, "B04": 0.41, "B08": 0.40}
"""The same of Landsat-8's OLI in pixels of 30 m, for its bands that match these, as far as it is
more than that of a Sentinel-2 image of 10 m, its reference here: the medians of eight pairs, found
by `sitsr data analyse DATA/flanders`, which asks no super-resolution."""


@lru_cache(maxsize=64)
def blur_taps(sigma: float, scale: int) -> npt.NDArray[np.float64]:
    """[2·BLUR_REACH·scale] weights of the high-resolution pixels about a low-resolution centre.

    sigma in low-resolution pixels. For an even scale the centre lies between two pixels.
    """
    count = 2 * BLUR_REACH * scale + scale % 2
    distance = (np.arange(count) - (count - 1) / 2) / scale
    taps = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(taps / taps.sum())


@lru_cache(maxsize=64)
def inverse_taps(sigma: float, scale: int) -> npt.NDArray[np.float64]:
    """[2·REACH + 1] the kernel (a + λ)⁻¹ along one axis, a being the symbol of A Aᵀ there."""
    taps = blur_taps(sigma, scale)
    full = scale * np.convolve(taps, taps[::-1])
    middle = len(full) // 2
    autocorrelation = full[middle % scale :: scale]
    size, half = 256, len(autocorrelation) // 2
    line = np.zeros(size)
    line[np.arange(-half, half + 1) % size] = autocorrelation
    inverse = np.fft.ifft(1 / (np.fft.fft(line).real + NOISE_RATIO)).real
    return np.asarray(inverse[np.arange(-REACH, REACH + 1) % size])


def observe(image: Tensor, sigma: tuple[float, ...], scale: int) -> Tensor:
    """A: the image [B, C, scale·H, scale·W] as the sensor would see it, [B, C, H, W].

    sigma: one a band, in low-resolution pixels. Outside the picture is nothing: weights are those
    of the pixels that exist. NaN marks pixels that do not exist inside it, too.
    """
    exists = ~image.isnan()
    seen = _blur(exists.to(image.dtype), sigma, scale)
    blurred = _blur(image.nan_to_num(0.0), sigma, scale)
    return torch.where(seen > 0.5, blurred / seen.clamp_min(0.5), torch.nan)


def project(image: Tensor, observed: Tensor, clear: Tensor, sigma: tuple[float, ...]) -> Tensor:
    """The image [B, C, scale·H, scale·W] mended to agree with what was observed.

    observed [B, C, H, W] reflectance, clear [B, 1, H, W] 1 where it was; image may be NaN
    elsewhere. Reaches PROJECTION_REACH pixels.
    """
    scale = image.shape[-1] // observed.shape[-1]
    missed = torch.where(clear > 0, observed - observe(image, sigma, scale), 0.0).nan_to_num(0.0)
    return image + back(missed, clear, sigma, scale)


def unseen_part(residual: Tensor, clear: Tensor, sigma: tuple[float, ...]) -> Tensor:
    """The part of a residual [B, C, scale·H, scale·W] that the sensor, where clear, does not see.

    The projector onto the null space of A: added to a consistent image it leaves it consistent.
    """
    return project(
        residual, torch.zeros_like(clear).expand(-1, residual.shape[1], -1, -1), clear, sigma
    )


def back(missed: Tensor, clear: Tensor, sigma: tuple[float, ...], scale: int) -> Tensor:
    """Aᵀ (A Aᵀ + λ)⁻¹ of what was missed: [B, C, H, W] -> [B, C, scale·H, scale·W]."""
    down, across = _kernels([inverse_taps(s, scale) for s in sigma], missed)
    missed = conv2d(missed, down, padding=(REACH, 0), groups=len(sigma))
    missed = conv2d(missed, across, padding=(0, REACH), groups=len(sigma)) * clear
    down, across = _kernels([blur_taps(s, scale) for s in sigma], missed)
    margin, groups = BLUR_REACH * scale - scale // 2, len(sigma)
    fine = conv_transpose2d(missed, down, stride=(scale, 1), padding=(margin, 0), groups=groups)
    fine = conv_transpose2d(fine, across, stride=(1, scale), padding=(0, margin), groups=groups)
    return fine * scale**2


def _blur(image: Tensor, sigma: tuple[float, ...], scale: int) -> Tensor:
    down, across = _kernels([blur_taps(s, scale) for s in sigma], image)
    margin, groups = BLUR_REACH * scale - scale // 2, len(sigma)
    image = conv2d(image, down, stride=(scale, 1), padding=(margin, 0), groups=groups)
    return conv2d(image, across, stride=(1, scale), padding=(0, margin), groups=groups)


def _kernels(taps: list[npt.NDArray[np.float64]], like: Tensor) -> tuple[Tensor, Tensor]:
    """[C, 1, K, 1] and [C, 1, 1, K]: one set of taps a band, down and across."""
    stacked = torch.from_numpy(np.stack(taps)).to(like)
    return stacked[:, None, :, None], stacked[:, None, None, :]
