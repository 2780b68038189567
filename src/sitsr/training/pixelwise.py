"""What an estimate misses, pixel by pixel or window by window.

    estimate, hr   [B, C, sH, sW]   reflectance
    weight         [B, C, sH, sW]   1 where hr is to be learnt from, else 0
    ->             [B]              the mean over what each example has to be learnt from

The mean is taken within every example, so that a loss is the same whatever batch its example
stands in, and an example with nothing to learn from gives 0. What lies where the weight is 0 is
never looked at; it may be NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sitsr.series import InputError

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(estimate, hr, weight) -> [B]."""

Likelihood = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(missed, spread, weight) -> [B]."""

EPSILON = 0.002
"""Reflectance below which Charbonnier's error is a square: about the sensor's noise."""

WINDOW = 11
"""Pixels across the window of ssim_loss: 3.5 standard deviations of 1.5 to each side."""


def l1(estimate: Tensor, hr: Tensor, weight: Tensor) -> Tensor:
    """[B] mean absolute error, reflectance."""
    return average(_missed(estimate, hr, weight).abs(), weight)


def l2(estimate: Tensor, hr: Tensor, weight: Tensor) -> Tensor:
    """[B] mean squared error, reflectance squared."""
    return average(_missed(estimate, hr, weight).square(), weight)


def charbonnier(estimate: Tensor, hr: Tensor, weight: Tensor, epsilon: float = EPSILON) -> Tensor:
    """[B] mean of √(missed² + ε²) − ε: l1 where much is missed, smooth and 0 where nothing is.

    Charbonnier et al. 1994; for super-resolution Lai et al. 2017, arXiv:1704.03915.
    """
    missed = _missed(estimate, hr, weight)
    return average((missed.square() + epsilon**2).sqrt() - epsilon, weight)


def laplace(missed: Tensor, spread: Tensor, weight: Tensor) -> Tensor:
    """[B] mean of log 2b + |missed| / b: the negative log-likelihood of a Laplace distribution.

    missed: hr − mean. spread: b > 0, the mean absolute error expected, in reflectance; the standard
    deviation is √2 b. Least when b is the mean of |missed|, and then 1 + log 2b. The log-likelihood
    of Valsesia & Magli 2022 (PIUnet, arXiv:2105.12409), averaged over each example for itself.
    """
    missed, spread = _known(missed, weight), _known(spread, weight, instead=1.0)
    return average((2 * spread).log() + missed.abs() / spread, weight)


def gaussian(missed: Tensor, spread: Tensor, weight: Tensor) -> Tensor:
    """[B] mean of ½ log 2πσ² + missed² / 2σ²: the same of a Gaussian distribution.

    missed: hr − mean. spread: the standard deviation σ > 0 expected of it, in reflectance.
    """
    missed, spread = _known(missed, weight), _known(spread, weight, instead=1.0)
    return average(0.5 * log(2 * pi) + spread.log() + 0.5 * (missed / spread).square(), weight)


def ssim_loss(estimate: Tensor, hr: Tensor, weight: Tensor, peak: float = 1.0) -> Tensor:
    """[B] one less structural similarity (Wang et al. 2004, eq. 13, K = 0.01 and 0.03).

    The window is a Gaussian of 1.5 pixels in 11 × 11, over those of its pixels that are to be
    learnt from; a window counts if its centre is, and if it lies inside the picture. Where all is
    to be learnt from this is the usual similarity. With a peak of 1 dark land of low contrast
    hardly counts: give the reflectance of bright land there, such as 0.3, to train on.
    """
    if min(hr.shape[-2:]) < WINDOW:
        raise InputError(
            f"an image of {hr.shape[-2]} × {hr.shape[-1]} pixels is smaller than the window of "
            f"{WINDOW} × {WINDOW}; give larger patches"
        )
    known = (weight > 0).to(hr.dtype)
    x, y = _known(estimate.to(hr.dtype), weight), _known(hr, weight)
    seen = _smooth(known).clamp_min(1e-6)  # the centre alone has 0.07
    mean_x, mean_y = _smooth(x) / seen, _smooth(y) / seen
    var_x = _smooth(x * x) / seen - mean_x.square()
    var_y = _smooth(y * y) / seen - mean_y.square()
    both = _smooth(x * y) / seen - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    likeness = likeness / ((mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2))
    edge = WINDOW // 2
    return average(1 - likeness, weight[..., edge:-edge, edge:-edge])


LOSSES: dict[str, Loss] = {
    "l1": l1,
    "l2": l2,
    "charbonnier": charbonnier,
    "ssim": ssim_loss,
}
"""Of an estimate alone."""

LIKELIHOODS: dict[str, Likelihood] = {"laplace": laplace, "gaussian": gaussian}
"""Of an estimate that says how much it expects to miss."""


def average(values: Tensor, weight: Tensor) -> Tensor:
    """[B] weighted mean of values [B, …] over all but the batch; 0 where the weight is 0."""
    weight = weight.expand_as(values).flatten(1)
    return (_known(values.flatten(1), weight) * weight).sum(1) / weight.sum(1).clamp_min(1e-6)


def _missed(estimate: Tensor, hr: Tensor, weight: Tensor) -> Tensor:
    return _known(hr - estimate, weight)


def _known(image: Tensor, weight: Tensor, instead: float = 0.0) -> Tensor:
    """The image where it counts; NaN times 0 would be NaN, and so would its gradient."""
    return image.where(weight > 0, instead)


def _smooth(image: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, H − 10, W − 10] Gaussian mean, weights adding up to 1."""
    away = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-0.5 * (away / 1.5).square())
    taps = (taps / taps.sum()).to(image)
    flat = image.flatten(0, 1)[:, None]
    # Half precision would drown a small variance in the square of the mean.
    with torch.autocast(image.device.type, enabled=False):
        flat = conv2d(conv2d(flat, taps[None, None, :, None]), taps[None, None, None])
    smoothed: Tensor = flat[:, 0].unflatten(0, image.shape[:2])
    return smoothed
