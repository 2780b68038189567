"""How like hr an estimate looks: the distance of their features, whatever those are.

    estimate, hr   [B, C, sH, sW]   reflectance
    weight         [B, C, sH, sW]   1 where hr is to be learnt from, else 0

Features are any function from an image to a list of maps. ``FilterFeatures`` are made from a
formula and need nothing else; ``vgg_features`` are those of a network for photographs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, log, pi, sin
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from sitsr.metrics import perception
from sitsr.series import InputError
from sitsr.training.pixelwise import average

Features = Callable[[Tensor], Sequence[Tensor]]
"""image [B, C, H, W] -> maps [B, F, h, w], each of its own size."""

BEFORE_ACTIVATION = (34,)
"""The last convolution of VGG-19, before its ReLU, as in ESRGAN (Wang et al. 2018, section 3.3)."""


def perceptual(features: Features, estimate: Tensor, hr: Tensor, weight: Tensor) -> Tensor:
    """[B] mean absolute difference of the features, averaged over the maps.

    After Johnson et al. 2016 (arXiv:1603.08155), with absolute differences as in ESRGAN. Where hr
    is not to be learnt from, both images are hr (0 where it is not finite), so that nothing there
    can cost anything; a place in a map counts as far as some band under it is to be learnt from.
    """
    truth = hr.nan_to_num(0.0, 0.0, 0.0)
    ours = features(estimate.where(weight > 0, truth))
    with torch.no_grad():
        theirs = features(truth)
    anywhere = weight.amax(1, keepdim=True)
    costs = [
        average((a - b).abs(), adaptive_avg_pool2d(anywhere, (b.shape[-2], b.shape[-1])))
        for a, b in zip(ours, theirs, strict=True)
    ]
    return torch.stack(costs).mean(0)


@dataclass(frozen=True)
class FilterFeatures:
    """The strength of texture at three wavelengths, one map each: [B, 4·C, H / 4, W / 4].

    ½ ln(1 + E / floor²), with E the local energy that ``sitsr.metrics.perception`` describes, of
    four directions: 0 where there is no texture above the floor, one more for each factor of e.
    Blind to where in a window of about ten pixels the texture falls, so a loss of pixels has to
    stand beside it; and who trains on it should not be judged by ``texture_distance`` alone.
    """

    wavelengths: tuple[float, ...] = perception.WAVELENGTHS
    """Pixels."""
    floor: float = 0.003
    """Reflectance. Its inverse bounds the gradient: less of it would make noise count for much."""

    def __call__(self, image: Tensor) -> list[Tensor]:
        return [
            torch.log1p(energy / self.floor**2).flatten(1, 2) / 2
            for energy in local_energy(image, self.wavelengths)
        ]


def local_energy(image: Tensor, wavelengths: Sequence[float]) -> list[Tensor]:
    """For each wavelength [B, directions, C, h, w] squared reflectance in windows of ten pixels.

    The same as ``sitsr.metrics.perception.local_energy`` of an image that is clear everywhere,
    in tensors, with a gradient.
    """
    rows, cols = image.shape[-2:]
    padded = (rows + perception.MARGIN, cols + perception.MARGIN)
    energies = []
    # Half precision would lose the detail beside the mean.
    with torch.autocast(image.device.type, enabled=False):
        detail = image - _averaged(image, 1, perception.SLOW)
        spectrum = torch.fft.fft2(detail, padded)[:, None]  # [B, 1, C, H, W]
        for wavelength in wavelengths:
            transfer = _filters(*padded, wavelength).to(image)[:, None]  # [directions, 1, H, W]
            answer = torch.fft.ifft2(spectrum * transfer)[..., :rows, :cols]
            power = answer.real.square() + answer.imag.square()
            energies.append(_averaged(power, perception.STEP, perception.WINDOW))
    return energies


def vgg_features(
    order: tuple[int, int, int], layers: Sequence[int] = BEFORE_ACTIVATION
) -> Features:
    """What these layers of VGG-19 (Simonyan & Zisserman 2015) make of three bands.

    order: the bands that stand for red, green and blue. Reflectance 0 to 0.3 is shown as black to
    white, then brought to the mean and deviation of the photographs that the network was trained
    on. Needs torchvision, and its weights, which it fetches when they are first asked for.
    """
    network = _vgg(max(layers))
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

    def features(image: Tensor) -> list[Tensor]:
        if any(not 0 <= band < image.shape[1] for band in order) or len(order) != 3:
            raise InputError(f"order {order} must name three of {image.shape[1]} bands from 0 on")
        x = image[:, list(order)] / perception.BRIGHT
        x = (x - x.new_tensor(mean)[:, None, None]) / x.new_tensor(deviation)[:, None, None]
        maps = []
        for number, layer in enumerate(network.to(x)):
            x = layer(x)
            if number in layers:
                maps.append(x)
        return maps

    return features


@lru_cache(maxsize=2)
def _vgg(last: int) -> Any:
    """The layers of VGG-19 up to this one, fixed; nothing in them is done in place."""
    try:
        models = importlib.import_module("torchvision.models")
        network = models.vgg19(weights="IMAGENET1K_V1").features[: last + 1]
    except ImportError as error:
        raise InputError(
            f"VGG features need a package that is missing ({error}); "
            "install torchvision or use filter features"
        ) from error
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the weights of VGG-19 cannot be had ({error}); "
            "fetch them once while on line, or use filter features"
        ) from error
    for layer in network:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False  # or it would change a map that was just taken
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=16)
def _filters(rows: int, cols: int, wavelength: float) -> Tensor:
    """[directions, rows, cols] transfer functions, each over one half of the frequencies only.

    Log-Gabor along frequency (Field 1987), a third power of the cosine around it (Portilla &
    Simoncelli 2000, with four directions).
    """
    down = torch.fft.fftfreq(rows, dtype=torch.float64)[:, None]
    across = torch.fft.fftfreq(cols, dtype=torch.float64)
    frequency = torch.hypot(down, across)
    frequency[0, 0] = 1  # any but 0: a constant has no direction, so its answer is 0
    angles = [pi * k / perception.DIRECTIONS for k in range(perception.DIRECTIONS)]
    around = torch.stack([(down * sin(a) + across * cos(a)) / frequency for a in angles])
    along = torch.exp(-((frequency * wavelength).log() / log(0.65)).square() / 2)
    # Twice, for the half of a real wave's amplitude that lies on the other side.
    return 2 * along * around.clamp_min(0) ** 3


def _averaged(image: Tensor, step: int, sigma: float) -> Tensor:
    """Gaussian means [..., h, w] around every step-th place, of the pixels that exist."""
    down, across = (_gaussian(length, step, sigma).to(image) for length in image.shape[-2:])
    return down @ image @ across.mT


@lru_cache(maxsize=16)
def _gaussian(length: int, step: int, sigma: float) -> Tensor:
    """[length / step, length] weights of pixels around every step-th place; a row adds up to 1."""
    centres = torch.arange(0, length, step, dtype=torch.float64) + (step - 1) / 2
    away = centres[:, None] - torch.arange(length, dtype=torch.float64)
    weights = torch.exp(-(away / sigma).square() / 2)
    return weights / weights.sum(1, keepdim=True)
