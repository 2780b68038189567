"""For white Gaussian images everything about the denoiser and its samplers is known."""

from __future__ import annotations

from math import log, sqrt

import pytest
import torch
from torch import Tensor

from sitsr.diffusion.karras import (
    Denoiser,
    Step,
    denoising_error,
    descend,
    euler,
    heun,
    levels,
    log_normal,
    precondition,
    slope,
)
from sitsr.series import InputError

B, C, H, W = 2, 3, 5, 7


def white(*shape: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=chance, dtype=torch.float64)


def silent(x: Tensor, level: Tensor) -> Tensor:
    return torch.zeros_like(x)


def exact(variance: float) -> Denoiser:
    """E[e | x] of white Gaussian images."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return x * variance / (variance + sigma[:, None, None, None] ** 2)

    return denoise


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.5])
def test_a_silent_network_is_already_right_about_white_images(spread: float) -> None:
    x, sigma = white(B, C, H, W), torch.tensor([0.05, 4.0], dtype=torch.float64)
    torch.testing.assert_close(precondition(silent, spread)(x, sigma), exact(spread**2)(x, sigma))


@pytest.mark.parametrize("level", [0.05, 0.7, 9.0])
def test_the_network_sees_and_has_to_give_unit_variance(level: float) -> None:
    spread, sigma = 0.4, torch.full((8,), level, dtype=torch.float64)
    clean, noise = spread * white(8, C, 40, 50), white(8, C, 40, 50, seed=1)
    seen: list[Tensor] = []

    def network(x: Tensor, told: Tensor) -> Tensor:
        assert told.tolist() == pytest.approx([log(level) / 4] * 8)
        seen.append(x)
        return torch.ones_like(x)

    x = clean + level * noise
    one = precondition(network, spread)(x, sigma)
    kept = precondition(silent, spread)(x, sigma)
    assert float(seen[0].var()) == pytest.approx(1, rel=0.03)
    wanted = (clean - kept) / (one - kept)  # what the network should have given for D = clean
    assert float(wanted.var()) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("spread", [0.5, 1.0])
@pytest.mark.parametrize("level", [0.03, 0.5, 3.0, 10.0])
def test_the_least_error_is_one_at_every_level(level: float, spread: float) -> None:
    clean, noise = spread * white(8, C, 40, 50), white(8, C, 40, 50, seed=1)
    sigma = torch.full((8,), level, dtype=torch.float64)

    def error(denoise: Denoiser) -> float:
        return float(denoising_error(denoise, clean, noise, sigma, spread).mean())

    assert error(exact(spread**2)) == pytest.approx(1, rel=0.03)
    for off in (-0.1, 0.1):
        bent = off * level * spread / (level**2 + spread**2)  # a network that gives off · x
        other = error(lambda x, s, bent=bent: exact(spread**2)(x, s) + bent * x)
        assert other > error(exact(spread**2)) + 0.005


def test_each_example_has_its_own_level() -> None:
    clean, noise = white(B, C, H, W), white(B, C, H, W, seed=1)
    sigma = torch.tensor([0.1, 2.0], dtype=torch.float64)
    error = denoising_error(exact(0.7), clean, noise, sigma, 0.9)
    for k, s in enumerate(sigma.tolist()):
        denoised = 0.7 / (0.7 + s**2) * (clean[k] + s * noise[k])
        weight = 1 / s**2 + 1 / 0.9**2
        torch.testing.assert_close(error[k], weight * (denoised - clean[k]) ** 2)


def test_levels_to_train_at_are_log_normal() -> None:
    sigma = log_normal(white(100_000), centre=-0.5, width=1.1)
    assert float(sigma.log().mean()) == pytest.approx(-0.5, abs=0.02)
    assert float(sigma.log().std()) == pytest.approx(1.1, rel=0.02)


@pytest.mark.parametrize("rho", [1.0, 7.0])
def test_levels_fall_evenly_in_a_root_of_sigma_and_end_without_noise(rho: float) -> None:
    *noisy, last = levels(6, 0.1, 3.0, rho)
    assert last == 0 and noisy[0] == pytest.approx(3) and noisy[-1] == pytest.approx(0.1)
    roots = torch.tensor(noisy, dtype=torch.float64) ** (1 / rho)
    torch.testing.assert_close(roots.diff(), roots.diff()[:1].expand(5))
    assert roots.diff()[0] < 0


def test_a_single_step_goes_from_all_noise_to_none() -> None:
    assert levels(1, 0.1, 3.0) == pytest.approx([3.0, 0.0])


@pytest.mark.parametrize(
    ("steps", "least", "most"), [(0, 0.1, 3.0), (4, 0.0, 3.0), (4, 3.0, 3.0), (4, 4.0, 3.0)]
)
def test_levels_that_do_not_fall_are_refused(steps: int, least: float, most: float) -> None:
    with pytest.raises(InputError, match=rf"steps {steps}, .*give at least one step and 0 <"):
        levels(steps, least, most)


@pytest.mark.parametrize("sigma_max", [3.0, 10.0])
@pytest.mark.parametrize(("step", "order"), [(euler, 1), (heun, 2)])
def test_twice_the_steps_divides_the_error_as_the_order_promises(
    step: Step, order: int, sigma_max: float
) -> None:
    """Along the flow of images of variance v, x² / (v + σ²) stays as it is."""
    variance, least, noise = 0.4, 0.2, white(B, C, H, W)

    def error(steps: int) -> float:
        sigmas = levels(steps + 1, least, sigma_max)[:-1]
        *_, x = descend(step, exact(variance), noise, sigmas)
        start = noise * sqrt(sigma_max**2 + 1)
        wanted = start * sqrt((variance + least**2) / (variance + sigma_max**2))
        return float((x - wanted).abs().max())

    assert error(64) / error(128) == pytest.approx(2**order, rel=0.1)


@pytest.mark.parametrize("sigma_max", [1.0, 3.0, 80.0])
@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_white_images_come_out_with_their_variance_from_any_sigma_max(
    sigma_max: float, spread: float
) -> None:
    noise = white(B, C, H, W)
    denoise = precondition(silent, spread)
    *_, drawn = descend(heun, denoise, noise, levels(100, 0.002, sigma_max), spread)
    torch.testing.assert_close(drawn, spread * noise, rtol=2e-3, atol=0)


def test_heun_asks_for_no_slope_without_noise_and_euler_asks_once_a_step() -> None:
    asked: list[float] = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        assert sigma.shape == (B,) and (sigma == sigma[0]).all()
        asked.append(float(sigma[0]))
        return 0.5 * x

    list(descend(heun, denoise, white(B, C, H, W), [3.0, 1.0, 0.0]))
    assert asked == [3.0, 1.0, 1.0]
    asked.clear()
    list(descend(euler, denoise, white(B, C, H, W), [3.0, 1.0, 0.0]))
    assert asked == [3.0, 1.0]


def test_a_step_to_no_noise_gives_the_denoised_image() -> None:
    x, sigma = white(B, C, H, W), torch.full((B,), 0.7, dtype=torch.float64)
    for step in (euler, heun):
        torch.testing.assert_close(step(exact(0.4), x, 0.7, 0.0), exact(0.4)(x, sigma))


def test_the_slope_is_the_noise_in_an_image_that_is_known() -> None:
    clean, noise = white(B, C, H, W), white(B, C, H, W, seed=1)
    torch.testing.assert_close(slope(lambda *_: clean, clean + 0.3 * noise, 0.3), noise)
