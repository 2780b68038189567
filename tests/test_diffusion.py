"""For Gaussian residuals everything about the flow and the scores is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import pytest
import torch
from torch import Tensor

from sitsr.diffusion import (
    NOISE,
    Step,
    Velocity,
    angles,
    descend,
    draw,
    energy_score,
    euler,
    fair_crps,
    flow_error,
    heun,
    rotate,
)

B, D, H, W = 2, 3, 5, 7


def exact(variance: float) -> Velocity:
    """The velocity of white Gaussian residuals of this variance λ.

    x_θ has variance λ cos²θ + sin²θ, and covariance (1 − λ) sin θ cos θ with dx_θ/dθ.
    """

    def velocity(x: Tensor, angle: Tensor) -> Tensor:
        θ = angle[:, None, None, None]
        spread = variance * θ.cos() ** 2 + θ.sin() ** 2
        return x * θ.sin() * θ.cos() * (1 - variance) / spread

    return velocity


def white(*shape: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=chance, dtype=torch.float64)


def error(step: Step, steps: int, variance: float) -> float:
    noise = white(B, D, H, W)
    *_, residual = descend(step, exact(variance), noise, angles(steps))
    return float((residual - sqrt(variance) * noise).abs().max())


@pytest.mark.parametrize(("step", "order"), [(euler, 1), (heun, 2)])
@pytest.mark.parametrize("variance", [0.3, 2.5])
def test_twice_the_steps_divides_the_error_as_the_order_promises(
    step: Step, order: int, variance: float
) -> None:
    assert error(step, 64, variance) / error(step, 128, variance) == pytest.approx(
        2**order, rel=0.1
    )


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_white_residuals_are_the_noise_itself(steps: int) -> None:
    noise = white(B, D, H, W)
    torch.testing.assert_close(draw(exact(1.0), noise, steps), noise)


@pytest.mark.parametrize("variance", [0.25, 4.0])
def test_many_steps_give_the_variance_of_the_residual(variance: float) -> None:
    drawn = draw(exact(variance), white(4, D, 30, 40), 200)
    assert float(drawn.var()) == pytest.approx(variance, rel=0.06)


def test_draw_calls_the_velocity_once_a_step_from_noise_downwards() -> None:
    called: list[float] = []

    def velocity(x: Tensor, angle: Tensor) -> Tensor:
        assert angle.shape == (B,) and (angle == angle[0]).all()
        called.append(float(angle[0]))
        return torch.zeros_like(x)

    draw(velocity, white(B, D, H, W).float(), 4)
    assert called == pytest.approx([pi / 2, 15 * pi / 32, 3 * pi / 8, 7 * pi / 32])
    assert angles(4) == pytest.approx([*called, 0])


def test_a_rotation_goes_from_the_residual_to_noise() -> None:
    residual, noise = white(B, D, H, W), white(B, D, H, W, seed=1)
    torch.testing.assert_close(rotate(residual, noise, torch.zeros(B).double()), residual)
    last = torch.full((B,), NOISE, dtype=torch.float64)
    torch.testing.assert_close(rotate(residual, noise, last), noise)
    angle = torch.tensor([0.3, 1.1], dtype=torch.float64)
    x = rotate(residual, noise, angle)
    for k in range(B):  # each example is turned by its own angle
        torch.testing.assert_close(x[k], angle[k].cos() * residual[k] + angle[k].sin() * noise[k])


@pytest.mark.parametrize("variance", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("level", [0.1, 0.8, 1.5])
def test_the_flow_error_is_least_for_the_exact_velocity(variance: float, level: float) -> None:
    residual = sqrt(variance) * white(8, D, 40, 50)
    noise, angle = white(8, D, 40, 50, seed=1), torch.full((8,), level, dtype=torch.float64)

    def mean_error(velocity: Velocity) -> float:
        return float(flow_error(velocity, residual, noise, angle).mean())

    c, s = float(angle[0].cos()), float(angle[0].sin())
    least = variance / (variance * c**2 + s**2)  # the variance of dx/dθ given x
    assert mean_error(exact(variance)) == pytest.approx(least, rel=0.03)
    for off in (-0.1, 0.1):
        other = mean_error(lambda x, a, off=off: exact(variance)(x, a) + off * x)
        assert other > mean_error(exact(variance))


def test_the_velocity_gives_the_denoiser_and_the_flow_of_karras() -> None:
    """D(y, σ) = λ / (λ + σ²) y for y = x / cos θ at σ = tan θ, and dy/dσ = (y − D) / σ."""
    variance, angle = 0.4, torch.tensor([0.2, 0.9], dtype=torch.float64)
    x, θ = white(B, D, H, W), angle[:, None, None, None]
    v = exact(variance)(x, angle)
    y, sigma = x / θ.cos(), θ.tan()
    denoised = θ.cos() * x - θ.sin() * v
    torch.testing.assert_close(denoised, variance / (variance + sigma**2) * y)
    slope = (v / θ.cos() + x * θ.sin() / θ.cos() ** 2) * θ.cos() ** 2  # dy/dθ · dθ/dσ
    torch.testing.assert_close(slope, (y - denoised) / sigma)


def test_an_euler_step_is_ddim_to_first_order() -> None:
    """DDIM turns by the angle: cos δ · x − sin δ · v (Song et al. 2021, eq. 12)."""
    x, angle = white(B, D, H, W), 1.0
    v = exact(0.3)(x, torch.full((B,), angle, dtype=torch.float64))
    for δ in (1e-2, 1e-3):
        clean, noise = (
            torch.tensor(angle).cos() * x - torch.tensor(angle).sin() * v,
            torch.tensor(angle).sin() * x + torch.tensor(angle).cos() * v,
        )
        lower = torch.tensor(angle - δ)
        ddim = lower.cos() * clean + lower.sin() * noise
        apart = (euler(exact(0.3), x, angle, angle - δ) - ddim).abs().max()
        assert float(apart) < 2 * δ**2


def brute_score(members: list[Tensor], truth: Tensor, distance: Callable[[Tensor], float]) -> float:
    count = len(members)
    skill = sum(distance(x - truth) for x in members) / count
    apart = sum(distance(x - y) for x in members for y in members)
    return skill - apart / (2 * count * (count - 1))


@pytest.mark.parametrize("count", [2, 5])
def test_fair_crps_is_its_formula(count: int) -> None:
    members, truth = white(count, H, W), white(H, W, seed=1)
    score = fair_crps(members, truth)
    for row, col in ((0, 0), (4, 2), (1, 6)):
        wanted = brute_score(list(members[:, row, col]), truth[row, col], lambda d: float(d.abs()))
        assert float(score[row, col]) == pytest.approx(wanted)


def test_fair_crps_of_gaussian_members_is_known_and_least_at_the_right_spread() -> None:
    scores = {}
    for sigma in (0.5, 1.0, 2.0):
        members, truth = sigma * white(2, 400_000), white(400_000, seed=1)
        scores[sigma] = float(fair_crps(members, truth).mean())
        wanted = sqrt(2 * (1 + sigma**2) / pi) - sigma / sqrt(pi)
        assert scores[sigma] == pytest.approx(wanted, rel=0.02)
    assert scores[1.0] < min(scores[0.5], scores[2.0])


@pytest.mark.parametrize("count", [2, 4])
def test_the_energy_score_is_its_formula_for_every_patch(count: int) -> None:
    side = 2
    members, truth = white(count, B, D, H, W), white(B, D, H, W, seed=1)
    score = energy_score(members, truth, side)
    assert score.shape == (B, 1, H - side + 1, W - side + 1)
    for b, row, col in ((0, 0, 0), (1, 3, 5), (0, 2, 1)):
        patch = (..., slice(row, row + side), slice(col, col + side))
        wanted = brute_score(
            [each[b][patch] for each in members],
            truth[b][patch],
            lambda d: float(d.square().mean().sqrt()),
        )
        assert float(score[b, 0, row, col]) == pytest.approx(wanted, abs=1e-6)


def test_the_energy_score_sees_a_wrong_dependence_that_crps_cannot_see() -> None:
    """Ground flat in every patch; one ensemble is flat too, the other has its pixels shuffled."""
    places, count, side = 4_000, 6, 3
    truth = white(places, 1, 1, 1, seed=1).expand(-1, -1, side, side)
    flat = white(count, places, 1, 1, 1).expand(-1, -1, -1, side, side)
    order = torch.rand(flat.shape, generator=torch.Generator().manual_seed(2)).argsort(0)
    shuffled = flat.gather(0, order)
    torch.testing.assert_close(fair_crps(flat, truth), fair_crps(shuffled, truth))
    right, wrong = (energy_score(each, truth, side).mean() for each in (flat, shuffled))
    assert float(right) < 0.95 * float(wrong)


def test_one_member_has_no_fair_score() -> None:
    with pytest.raises(ValueError, match="two members or more, got 1"):
        fair_crps(white(1, H, W), white(H, W))
