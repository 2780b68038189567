"""Carry one image into another: flow matching from the enlarged image to the high-resolution one.

The path is a straight line in time t, from x₀ (t = 0) to x₁ (t = 1):

    x_t = (1 − t) · x₀ + t · x₁,      x₀ = base + sigma · n,     x₁ = hr,

with base the enlarged image, a mean, or 0 (then x₀ is noise, the plain flow of Lipman et al. 2023,
arXiv:2210.02747, eq. 20 to 22 with least deviation 0). Pairs (x₀, x₁) belong together, which is why
few steps can be enough (Tong et al. 2024, arXiv:2302.00482). One object carries the
whole theory, the velocity

    v(x, t) = E[x₁ − x₀ | x_t = x],

and everything below is a plain function of it. Without noise (sigma = 0) x₁ given x₀ cannot vary,
and what is reached is the mean. What the image is conditioned on is bound beforehand, so that no
sampler ever sees it; noise is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from torch import Tensor

from sitsr.series import InputError

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [B, C, H, W], time [B]) -> dx/dt [B, C, H, W]."""

Step = Callable[[Velocity, Tensor, float, float], Tensor]
"""(velocity, x at time, time, later time) -> x [B, C, H, W] at the later time."""


def source(base: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """x₀ [B, C, H, W]: where a path starts, from base and white noise of that shape."""
    return base + sigma * noise


def flow_error(velocity: Velocity, start: Tensor, end: Tensor, time: Tensor) -> Tensor:
    """Squared error of the velocity [B, C, H, W]; its mean is least for v of the module's head.

    start (x₀) and end (x₁) [B, C, H, W], time [B] from 0 to 1 (Lipman et al., eq. 23).
    """
    t = time[:, None, None, None]
    return (velocity((1 - t) * start + t * end, time) - (end - start)).square()


def times(count: int) -> list[float]:
    """The times 0 to 1, evenly spaced, that this many steps go between."""
    if count < 1:
        raise InputError(f"{count} steps from image to image; give at least one")
    return [k / count for k in range(count + 1)]


def euler(velocity: Velocity, x: Tensor, time: float, later: float) -> Tensor:
    """First order: one call of the velocity."""
    return x + (later - time) * velocity(x, x.new_full((len(x),), time))


def midpoint(velocity: Velocity, x: Tensor, time: float, later: float) -> Tensor:
    """Second order: two calls, the second half-way; the velocity at t = 1 is never asked for."""
    middle = (time + later) / 2
    half = euler(velocity, x, time, middle)
    return x + (later - time) * velocity(half, x.new_full((len(x),), middle))


def follow(
    step: Step, velocity: Velocity, start: Tensor, stops: Sequence[float]
) -> Iterator[Tensor]:
    """Every x on the way from start [B, C, H, W] through these times; the last is the answer."""
    x = start
    for time, later in pairwise(stops):
        x = step(velocity, x, time, later)
        yield x
