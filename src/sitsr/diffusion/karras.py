"""Draw images from noise of falling strength: EDM, with a first strength that may be small.

One object carries the whole theory, the denoiser

    D(x, σ) = E[e | x = e + σ · n],      n white noise, e images of standard deviation ``spread``,

and everything below is a plain function of it. Images follow the slope

    dx/dσ = (x − D(x, σ)) / σ                                                             (eq. 1, 3)

from x at sigma_max down to σ = 0. What is drawn here are standardised residuals: their spread is 1,
most of their shape is settled below σ = 3, and a sigma_max of 3 to 10 is enough where images from
nothing need 80. At so small a sigma_max the image is still a part of x, so x starts with the
variance sigma_max² + spread² and not with sigma_max² alone: for white Gaussian images this is exact
at any sigma_max.

Equations and tables are those of Karras et al. 2022, arXiv:2206.00364. What the image is
conditioned on is bound beforehand, so that no sampler ever sees it; noise is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from torch import Tensor

from sitsr.series import InputError

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x [B, C, H, W], sigma [B]) -> expected image [B, C, H, W]."""

Network = Callable[[Tensor, Tensor], Tensor]
"""(x of unit variance [B, C, H, W], log(sigma) / 4 [B]) -> [B, C, H, W] of unit variance."""

Step = Callable[[Denoiser, Tensor, float, float], Tensor]
"""(denoiser, x at sigma, sigma, lower sigma) -> x [B, C, H, W] at the lower sigma."""


def precondition(network: Network, spread: float = 1.0) -> Denoiser:
    """A denoiser whose network sees, and has to give, numbers near 1 at every level (eq. 7).

    spread: standard deviation of the images. A network that gives 0 is right for white ones.
    """

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma[:, None, None, None]
        norm = (s**2 + spread**2).sqrt()
        keep = (spread / norm) ** 2
        return keep * x + s * spread / norm * network(x / norm, sigma.log() / 4)

    return denoise


def log_normal(white: Tensor, centre: float = -1.2, width: float = 1.2) -> Tensor:
    """Levels sigma [B] to train at, from standard normal numbers [B] (table 1).

    exp(centre) is the median. For residuals of spread 1 the paper's centre, chosen for images of
    spread 0.5, becomes −1.2 + log 2 = −0.5.
    """
    return (centre + width * white).exp()


def denoising_error(
    denoise: Denoiser, clean: Tensor, noise: Tensor, sigma: Tensor, spread: float = 1.0
) -> Tensor:
    """Squared error of the denoiser [B, C, H, W], weighted to the same size at every level (eq. 8).

    clean and noise [B, C, H, W], sigma [B]. The weight (σ² + spread²) / (σ · spread)² makes the
    least expected error for white Gaussian images 1, whatever sigma.
    """
    s = sigma[:, None, None, None]
    weight = (s**2 + spread**2) / (s * spread) ** 2
    return weight * (denoise(clean + s * noise, sigma) - clean).square()


def levels(
    steps: int, sigma_min: float = 0.02, sigma_max: float = 5.0, rho: float = 7.0
) -> list[float]:
    """steps levels from sigma_max down to sigma_min, and 0: even in σ^(1/rho) (eq. 5).

    A single step goes from sigma_max to 0.
    """
    if steps < 1 or not 0 < sigma_min < sigma_max:
        raise InputError(
            f"steps {steps}, sigma_min {sigma_min}, sigma_max {sigma_max}; give at least one step "
            "and 0 < sigma_min < sigma_max"
        )
    first, last = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(first + k / max(steps - 1, 1) * (last - first)) ** rho for k in range(steps)] + [0.0]


def slope(denoise: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """dx/dσ [B, C, H, W]: the noise that the denoiser sees in x (eq. 1 and 3)."""
    return (x - denoise(x, x.new_full((len(x),), sigma))) / sigma


def euler(denoise: Denoiser, x: Tensor, sigma: float, lower: float) -> Tensor:
    """First order: one call of the denoiser."""
    return x + (lower - sigma) * slope(denoise, x, sigma)


def heun(denoise: Denoiser, x: Tensor, sigma: float, lower: float) -> Tensor:
    """Second order: two calls, but one in the step to 0, where there is no slope (algorithm 1)."""
    here = slope(denoise, x, sigma)
    guess = x + (lower - sigma) * here
    if lower == 0:
        return guess
    return x + (lower - sigma) * (here + slope(denoise, guess, lower)) / 2


def descend(
    step: Step, denoise: Denoiser, noise: Tensor, sigmas: Sequence[float], spread: float = 1.0
) -> Iterator[Tensor]:
    """Every x on the way from white noise [B, C, H, W] down the levels; the last is the answer."""
    x = noise * (sigmas[0] ** 2 + spread**2) ** 0.5
    for sigma, lower in pairwise(sigmas):
        x = step(denoise, x, sigma, lower)
        yield x
