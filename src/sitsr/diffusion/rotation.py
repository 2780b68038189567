"""Draw residuals from noise, along a flow that turns one into the other.

What is drawn is the *standardised residual*

    e = (hr − mean) / spread,        of unit variance by construction,

and the path from it to white noise n is a rotation (TrigFlow; Lu & Song 2025, arXiv:2410.11081):

    x_θ = cos θ · e + sin θ · n,     θ from 0 (residual) to π/2 (noise).

One object carries the whole theory, the velocity

    v(x, θ) = E[dx_θ/dθ | x_θ = x] = E[cos θ · n − sin θ · e | x_θ = x],

and everything below is a plain function of it. A rotation keeps the variance at one for every θ, so
if the residual were white and Gaussian v would be 0 and a single step exact: the steps of the
sampler are spent on nothing but what is *not* white, the shapes. In the usual notation the noise
level is σ = tan θ, and D = cos θ · x − sin θ · v is the denoiser of Karras et al. 2022.

What the residual is conditioned on is bound beforehand, so that no sampler ever sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import pi

from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [B, D, H, W], angle [B]) -> dx/dθ [B, D, H, W]."""

Step = Callable[[Velocity, Tensor, float, float], Tensor]
"""(velocity, x at angle, angle, lower angle) -> x at the lower angle."""

NOISE = pi / 2
"""The angle at which nothing but noise is left."""


def rotate(residual: Tensor, noise: Tensor, angle: Tensor) -> Tensor:
    """x_θ [B, D, H, W] from residual and noise of that shape, angle [B]."""
    θ = angle[:, None, None, None]
    return θ.cos() * residual + θ.sin() * noise


def flow_error(velocity: Velocity, residual: Tensor, noise: Tensor, angle: Tensor) -> Tensor:
    """Squared error of the velocity [B, D, H, W]; its mean is least for v of the module's head."""
    θ = angle[:, None, None, None]
    wanted = θ.cos() * noise - θ.sin() * residual
    return (velocity(rotate(residual, noise, angle), angle) - wanted).square()


def angles(steps: int) -> list[float]:
    """The angles from noise to residual that this many steps stop at, closer together near noise.

    What shapes there will be is settled in the first of them; with equal steps Euler's samples lose
    variance and come out too smooth (docs/decisions/residual.md).
    """
    return [NOISE * (1 - (k / steps) ** 2) for k in range(steps + 1)]


def euler(velocity: Velocity, x: Tensor, angle: float, lower: float) -> Tensor:
    """First order: one call of the velocity."""
    return x + (lower - angle) * velocity(x, x.new_full((len(x),), angle))


def heun(velocity: Velocity, x: Tensor, angle: float, lower: float) -> Tensor:
    """Second order: two calls of the velocity (Karras et al. 2022, algorithm 1)."""
    here = velocity(x, x.new_full((len(x),), angle))
    there = velocity(x + (lower - angle) * here, x.new_full((len(x),), lower))
    return x + (lower - angle) * (here + there) / 2


def descend(step: Step, velocity: Velocity, noise: Tensor, stops: list[float]) -> Iterator[Tensor]:
    """Every x on the way from noise [B, D, H, W] down the angles; the last is the residual."""
    x = noise
    for angle, lower in pairwise(stops):
        x = step(velocity, x, angle, lower)
        yield x


def draw(velocity: Velocity, noise: Tensor, steps: int) -> Tensor:
    """A standardised residual [B, D, H, W] from noise, with this many calls of the velocity."""
    *_, residual = descend(euler, velocity, noise, angles(steps))
    return residual
