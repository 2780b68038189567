"""How like the ground an estimate looks, without asking that its detail lies in the exact place.

    estimate, reference   [C, H, W]  reflectance
    clear                 [H, W]     True where the reference is valid

Texture is the local energy of filters that each answer to one wavelength and one direction. The
filters are made here from their formula, so these distances need no trained network, and are
called by names of their own: they are neither LPIPS, nor DISTS, nor KID.
"""

from __future__ import annotations

import importlib
import math
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import fft

from sitsr.metrics.checks import Doubles, Reals, check
from sitsr.series import Booleans, InputError

WAVELENGTHS = (3.0, 6.0, 12.0)  # pixels; an octave apart, from about the finest there can be
DIRECTIONS = 4  # of the waves, over half a turn
FLOOR = 0.001  # reflectance: what sensors' noise leaves of texture that is weaker is no texture
WINDOW = 4.0  # pixels, standard deviation: half the weight lies within 9 pixels
STEP = 4  # pixels between the windows' centres
SLOW = 8.0  # pixels, standard deviation of the local mean that is taken away first
MARGIN = 24  # pixels of nothing around the image: filters must not reach round to the other side
FEWEST = 1000  # patches below which a kernel distance is mostly chance
BRIGHT = 0.3  # reflectance that lpips_distance shows as white
NETS = ("alex", "vgg", "squeeze")


def texture_distance(estimate: Reals, reference: Reals, clear: Booleans) -> float:
    """How much stronger or weaker local texture is than it should be; 0 is best.

    mean of |½ ln((E + floor²) / (E' + floor²))| over windows, bands and filters, with E and E' the
    ``local_energy`` of the two images and a floor of 0.001 reflectance; a window counts as far as
    it is clear. 0.69 is texture twice or half as strong as it should be, everywhere. Blind to an
    offset, to the slow course of brightness, and to where in a window of about ten pixels the
    texture falls: detail that is invented well does well, so read it beside the rmse. Energies of
    oriented filters as a description of texture are from Portilla & Simoncelli 2000, their local
    comparison in place of pixels from Ding et al. 2020 (DISTS).
    """
    check(estimate, reference, clear)
    ours, weight = local_energy(estimate, clear)
    theirs, _ = local_energy(reference, clear)
    apart = np.abs(np.log((ours + FLOOR**2) / (theirs + FLOOR**2))) / 2
    return float(np.mean(_over_windows(apart, weight)))


def texture_features(image: Reals, clear: Booleans) -> Doubles:
    """[filters · C] the texture of an image, filter by filter and band by band in each.

    mean over windows of ½ ln(1 + E / floor²) with E the ``local_energy``: 0 where there is no
    texture above 0.001 reflectance, one more for each factor of e.
    """
    check(image, image, clear)
    energy, weight = local_energy(image, clear)
    return _over_windows(np.log1p(energy / FLOOR**2) / 2, weight).ravel()


def local_energy(image: Reals, clear: Booleans) -> tuple[Doubles, Doubles]:
    """[filters, C, h, w] squared reflectance in windows of about ten pixels, and [h, w] weights.

    Three wavelengths, finest first, in four directions each. A filter is one-sided in frequency,
    so that its complex answer is a quadrature pair: a wave of amplitude a at its own wavelength
    and direction has energy a² wherever its crests lie. Energy is averaged over the clear pixels
    under a Gaussian window; a weight is the clear share of the window.

    The filters are log-Gabor (Field 1987) along frequency and a third power of the cosine (Portilla
    & Simoncelli 2000, with four directions) around it. The local mean over clear pixels is taken
    away first, and what is not clear is left at 0.
    """
    rows, cols = clear.shape
    detail = _without_slow(image, clear)
    padded = tuple(fft.next_fast_len(length + MARGIN) for length in clear.shape)
    spectrum = fft.fft2(detail, padded)
    down, across = (_gaussian(length, STEP, WINDOW) for length in clear.shape)
    weight = down @ clear @ across.T
    energies = []
    for transfer in _filters(*padded):
        answer = fft.ifft2(spectrum * transfer)[:, :rows, :cols]
        power = np.where(clear, answer.real**2 + answer.imag**2, 0)
        energies.append(down @ power @ across.T)
    return np.stack(energies) / np.maximum(weight, 1e-30), weight


def kernel_distance(features_a: Doubles, features_b: Doubles, least: int = FEWEST) -> float:
    """How far apart two sets of images lie, by their features [N, D] and [M, D]; about 0 is best.

    The unbiased estimate of MMD² with the kernel (x · y / D + 1)³ (Bińkowski et al. 2018, eq. 4
    and section 4), of all pairs at once. With ``texture_features`` of patches it is a kernel
    distance of texture, not the KID, whose features are those of the Inception network. It may
    fall below 0 by chance; below ``least`` patches a side there is so much of that as to mislead.
    """
    for features in (features_a, features_b):
        if features.ndim != 2 or not np.isfinite(features).all():
            raise InputError(f"features {list(features.shape)} must be [N, D] and finite")
        if len(features) < max(least, 2):
            raise InputError(
                f"got {len(features)} patches, but a kernel distance takes {least} a side; "
                "add patches or use texture_distance"
            )
    if features_a.shape[1] != features_b.shape[1]:
        raise InputError(
            f"features are {features_a.shape[1]} and {features_b.shape[1]} long; "
            "make both from the same bands"
        )
    between = _kernel_sum(features_a, features_b) / (len(features_a) * len(features_b))
    within = _kernel_within(features_a) + _kernel_within(features_b)
    return within - 2 * between


def lpips_distance(
    estimate: Reals,
    reference: Reals,
    clear: Booleans,
    order: tuple[int, int, int],
    net: str = "alex",
) -> float:
    """LPIPS of Zhang et al. 2018, version 0.1, on three bands; 0 is best.

    ``order`` names the bands that stand for red, green and blue. One stretch for all images:
    reflectance 0 to 0.3 becomes -1 to 1, and what lies beyond is clipped. Pixels that are not
    clear are those of the reference in both images (0 where it is not finite), so they cost
    nothing. Needs the package lpips and the weights of its trunk, "alex", "vgg" or "squeeze".
    """
    check(estimate, reference, clear)
    if any(not 0 <= band < len(reference) for band in order) or len(order) != 3:
        raise InputError(f"order {order} must name three of the {len(reference)} bands from 0 on")
    if min(clear.shape) < 32:
        raise InputError(f"LPIPS needs 32 pixels a side, got {clear.shape}; give larger patches")
    import torch

    network = _lpips(net)
    known = np.where(np.isfinite(reference), reference, 0)
    truth = _stretched(known[list(order)])
    ours = np.where(clear, _stretched(estimate[list(order)]), truth)
    with torch.no_grad():
        score = network(torch.from_numpy(ours)[None], torch.from_numpy(truth)[None])
    return float(score)


def _without_slow(image: Reals, clear: Booleans) -> Doubles:
    """[C, H, W] the image less its local mean over clear pixels; 0 where not clear."""
    down, across = (_gaussian(length, 1, SLOW) for length in clear.shape)
    known = np.where(clear, image, 0).astype(np.float64)
    weight = np.where(clear, down @ clear @ across.T, 1)
    return np.where(clear, known - down @ known @ across.T / weight, 0)


@lru_cache(maxsize=16)
def _gaussian(length: int, step: int, sigma: float) -> Doubles:
    """[length / step, length] weights of pixels around every step-th place; a row adds up to 1."""
    centres = np.arange(0, length, step) + (step - 1) / 2
    weights: Doubles = np.exp(-(((centres[:, None] - np.arange(length)) / sigma) ** 2) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=4)
def _filters(rows: int, cols: int) -> Doubles:
    """[filters, rows, cols] transfer functions, each over one half of the frequencies only."""
    down, across = np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(cols)
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1  # any but 0: a constant has no direction, so its answer is 0
    angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    around = [(down * math.sin(a) + across * math.cos(a)) / frequency for a in angles]
    along = [np.exp(-((np.log(frequency * w) / math.log(0.65)) ** 2) / 2) for w in WAVELENGTHS]
    # Twice, for the half of a real wave's amplitude that lies on the other side.
    filters = np.stack([2 * f * np.clip(turn, 0, 1) ** 3 for f in along for turn in around])
    filters.flags.writeable = False
    return filters


def _over_windows(values: Doubles, weight: Doubles) -> Doubles:
    """[filters, C] mean of values [filters, C, h, w] over the windows."""
    means: Doubles = np.sum(values * weight, axis=(-2, -1)) / weight.sum()
    return means


def _kernel_within(features: Doubles) -> float:
    """Mean of the kernel over pairs of two different rows."""
    count = len(features)
    alone = float(np.sum((np.mean(features**2, axis=1) + 1) ** 3))
    return (_kernel_sum(features, features) - alone) / (count * (count - 1))


def _kernel_sum(features_a: Doubles, features_b: Doubles, rows: int = 512) -> float:
    """Sum of the kernel over all pairs, some rows at a time to bound the memory."""
    blocks = (features_a[i : i + rows] for i in range(0, len(features_a), rows))
    length = features_a.shape[1]
    return float(sum(np.sum((block @ features_b.T / length + 1) ** 3) for block in blocks))


def _stretched(image: Reals) -> Reals:
    """Reflectance 0 to 0.3 as -1 to 1, float32."""
    shown: Reals = (2 * np.clip(image / BRIGHT, 0, 1) - 1).astype(np.float32)
    return shown


@lru_cache(maxsize=3)
def _lpips(net: str) -> Any:
    """The network, loaded once; its package and weights are extra."""
    if net not in NETS:
        raise InputError(f"net must be {', '.join(NETS)}, got {net}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls torchvision as one did long ago
            return importlib.import_module("lpips").LPIPS(net=net, verbose=False).eval()
    except ImportError as error:
        raise InputError(
            f"LPIPS needs a package that is missing ({error}); install lpips"
        ) from error
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the weights of LPIPS for {net} cannot be had ({error}); "
            "fetch them once while on line, or leave LPIPS out"
        ) from error
