"""Between two Gaussian images everything about the flow is known in closed form."""

from __future__ import annotations

from math import exp, sin, sqrt

import pytest
import torch
from torch import Tensor

from sitsr.diffusion.transport import (
    Step,
    Velocity,
    euler,
    flow_error,
    follow,
    midpoint,
    source,
    times,
)
from sitsr.series import InputError

B, C, H, W = 2, 3, 5, 7
FIRST, LAST = (0.2, 0.7), (-0.5, 1.6)  # mean and variance of x₀ and of x₁
TOGETHER = 0.3  # their covariance


def white(*shape: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=chance, dtype=torch.float64)


def exact(x: Tensor, time: Tensor) -> Tensor:
    """E[x₁ − x₀ | x_t] of the pair: x_t and x₁ − x₀ are Gaussian together."""
    t = time[:, None, None, None]
    mean = (1 - t) * FIRST[0] + t * LAST[0]
    variance = (1 - t) ** 2 * FIRST[1] + 2 * t * (1 - t) * TOGETHER + t**2 * LAST[1]
    shared = t * LAST[1] - (1 - t) * FIRST[1] + (1 - 2 * t) * TOGETHER
    return LAST[0] - FIRST[0] + shared / variance * (x - mean)


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    """x₀ and x₁ with these means, variances and covariance."""
    one, other = white(*shape), white(*shape, seed=1)
    slope = TOGETHER / FIRST[1]
    rest = LAST[1] - slope * TOGETHER
    start = sqrt(FIRST[1]) * one
    return FIRST[0] + start, LAST[0] + slope * start + sqrt(rest) * other


@pytest.mark.parametrize(("step", "order"), [(euler, 1), (midpoint, 2)])
def test_twice_the_steps_divides_the_error_as_the_order_promises(step: Step, order: int) -> None:
    """On dx/dt = x cos 2t, which leads from x to x · exp(sin 2 / 2)."""
    start = white(B, C, H, W)

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        return x * (2 * time)[:, None, None, None].cos()

    def error(count: int) -> float:
        *_, end = follow(step, velocity, start, times(count))
        return float((end - start * exp(sin(2) / 2)).abs().max())

    assert error(64) / error(128) == pytest.approx(2**order, rel=0.1)


@pytest.mark.parametrize(("step", "order"), [(euler, 1), (midpoint, 3)])
def test_a_gaussian_image_is_carried_to_the_same_place_in_the_other(step: Step, order: int) -> None:
    """x_t keeps its place in units of its deviation. For a = V'/2V, V quadratic in t, it holds that
    a″ = −6aa′ − 4a³, by which the midpoint's error of second order is 0."""
    start, _ = pair(B, C, H, W)
    wanted = LAST[0] + sqrt(LAST[1] / FIRST[1]) * (start - FIRST[0])

    def error(count: int) -> float:
        *_, end = follow(step, exact, start, times(count))
        return float((end - wanted).abs().max())

    assert error(64) / error(128) == pytest.approx(2**order, rel=0.1)


def test_many_steps_give_the_mean_and_variance_of_the_end() -> None:
    start, _ = pair(4, C, 30, 40)
    *_, end = follow(midpoint, exact, start, times(50))
    assert float(end.mean()) == pytest.approx(LAST[0], abs=0.05)
    assert float(end.var()) == pytest.approx(LAST[1], rel=0.05)


@pytest.mark.parametrize("step", [euler, midpoint])
@pytest.mark.parametrize("count", [1, 3])
def test_a_straight_path_takes_any_number_of_steps(step: Step, count: int) -> None:
    start, end = pair(B, C, H, W)
    *_, reached = follow(step, lambda *_: end - start, start, times(count))
    torch.testing.assert_close(reached, end)


@pytest.mark.parametrize("time", [0.1, 0.5, 0.9])
def test_the_error_is_least_for_the_exact_velocity(time: float) -> None:
    start, end = pair(8, C, 40, 50)
    t = torch.full((8,), time, dtype=torch.float64)

    def error(velocity: Velocity) -> float:
        return float(flow_error(velocity, start, end, t).mean())

    variance = (1 - time) ** 2 * FIRST[1] + 2 * time * (1 - time) * TOGETHER + time**2 * LAST[1]
    shared = time * LAST[1] - (1 - time) * FIRST[1] + (1 - 2 * time) * TOGETHER
    least = FIRST[1] + LAST[1] - 2 * TOGETHER - shared**2 / variance
    assert error(exact) == pytest.approx(least, rel=0.03)
    for off in (-0.2, 0.2):
        assert error(lambda x, t, off=off: exact(x, t) + off * x) > error(exact)


def test_each_example_has_its_own_time_from_the_start_to_the_end() -> None:
    start, end = pair(B, C, H, W)
    t = torch.tensor([0.0, 0.25], dtype=torch.float64)
    seen: list[Tensor] = []

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        torch.testing.assert_close(time, t)
        seen.append(x)
        return 2 * x

    error = flow_error(velocity, start, end, t)
    torch.testing.assert_close(seen[0][0], start[0])
    torch.testing.assert_close(seen[0][1], 0.75 * start[1] + 0.25 * end[1])
    torch.testing.assert_close(error, (2 * seen[0] - end + start) ** 2)


@pytest.mark.parametrize(("step", "wanted"), [(euler, [0, 0.5]), (midpoint, [0, 0.25, 0.5, 0.75])])
def test_the_velocity_is_asked_for_between_the_start_and_before_the_end(
    step: Step, wanted: list[float]
) -> None:
    asked: list[float] = []

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        assert time.shape == (B,) and (time == time[0]).all()
        asked.append(float(time[0]))
        return x

    list(follow(step, velocity, white(B, C, H, W), times(2)))
    assert asked == wanted


def test_a_path_starts_at_the_base_in_noise() -> None:
    base, noise = white(B, C, H, W), white(B, C, H, W, seed=1)
    torch.testing.assert_close(source(base, noise, 0.2) - base, 0.2 * noise)
    torch.testing.assert_close(source(base, noise, 0.0), base)


def test_times_go_evenly_from_the_start_to_the_end() -> None:
    assert times(4) == [0, 0.25, 0.5, 0.75, 1]


def test_no_steps_are_refused() -> None:
    with pytest.raises(InputError, match="0 steps from image to image; give at least one"):
        times(0)
