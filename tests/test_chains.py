"""For Gaussian images all of a chain is known in closed form; for the rest there is a rival."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import cos, exp, log, pi, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from sitsr.diffusion.chains import (
    CLEAN,
    Place,
    Predict,
    Step,
    ancestral,
    cosine,
    ddim,
    descend,
    dpm_solver_pp,
    epsilon_error,
    linear,
    spaced,
)
from sitsr.series import InputError

B, C, H, W = 2, 3, 5, 7
MEAN, VARIANCE = 0.3, 0.4
SAMPLERS: dict[str, Step] = {"ddpm": ancestral, "ddim": ddim, "dpm_solver_pp": dpm_solver_pp}


def white(*shape: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=chance, dtype=torch.float64)


def noises(*shape: int) -> Callable[[int], Tensor]:
    return lambda count: white(*shape, seed=count)


def exact(alpha_bar: Tensor, mean: float = MEAN, variance: float = VARIANCE) -> Predict:
    """E[n | x] for white Gaussian images: x has mean √ᾱ·m and variance ᾱ·v + 1 − ᾱ."""

    def predict(x: Tensor, level: Tensor) -> Tensor:
        a = alpha_bar[(level * len(alpha_bar)).round().long()][:, None, None, None]
        return (1 - a).sqrt() * (x - a.sqrt() * mean) / (a * variance + 1 - a)

    return predict


def arrival(x: Tensor, a: float, b: float) -> Tensor:
    """Where the probability flow carries x from ᾱ = a to ᾱ = b: standardised x stays as it is."""
    here, there = (sqrt(left * VARIANCE + 1 - left) for left in (a, b))
    return sqrt(b) * MEAN + there / here * (x - sqrt(a) * MEAN)


@pytest.mark.parametrize("steps", [7, 100])
def test_the_cosine_chain_is_its_formula(steps: int) -> None:
    def f(t: int) -> float:
        return cos((t / steps + 0.008) / 1.008 * pi / 2) ** 2

    left = 1.0
    for t, alpha_bar in enumerate(cosine(steps).tolist(), start=1):
        left *= 1 - min(1 - f(t) / f(t - 1), 0.999)
        assert alpha_bar == pytest.approx(left, rel=1e-9)


def test_the_linear_chain_is_its_formula() -> None:
    left = 1.0
    for t, alpha_bar in enumerate(linear(5, 0.1, 0.5).tolist()):
        left *= 1 - (0.1 + 0.1 * t)
        assert alpha_bar == pytest.approx(left, rel=1e-9)


@pytest.mark.parametrize(("norm", "power"), [("l1", 1), ("l2", 2)])
def test_the_error_is_its_formula_with_a_level_of_its_own_for_each_example(
    norm: Any, power: int
) -> None:
    alpha_bar, clean, noise = cosine(20), white(B, C, H, W), white(B, C, H, W, seed=1)
    told: list[Tensor] = []

    def predict(x: Tensor, level: Tensor) -> Tensor:
        told.append(level)
        return 0.5 * x

    error = epsilon_error(predict, clean, noise, torch.tensor([3, 17]), alpha_bar, norm)
    assert told[0].tolist() == pytest.approx([3 / 20, 17 / 20])
    for k, a in enumerate(alpha_bar[[3, 17]].tolist()):
        x = sqrt(a) * clean[k] + sqrt(1 - a) * noise[k]
        torch.testing.assert_close(error[k], (0.5 * x - noise[k]).abs() ** power)


def test_the_squared_error_is_least_for_the_exact_prediction() -> None:
    alpha_bar, level = cosine(20), torch.full((8,), 9)
    clean, noise = MEAN + sqrt(VARIANCE) * white(8, C, 40, 50), white(8, C, 40, 50, seed=1)

    def error(factor: float) -> float:
        def predict(x: Tensor, share: Tensor) -> Tensor:
            return factor * exact(alpha_bar)(x, share)

        return float(epsilon_error(predict, clean, noise, level, alpha_bar).mean())

    a = float(alpha_bar[9])
    assert error(1.0) == pytest.approx(a * VARIANCE / (a * VARIANCE + 1 - a), rel=0.03)
    assert error(1.0) < min(error(0.9), error(1.1))


def test_ancestral_steps_give_the_mean_and_variance_of_the_images() -> None:
    """The variance of the posterior is that of images that are known: a little too small."""
    total, shape = 500, (4, C, 40, 60)
    alpha_bar = cosine(total)
    *_, drawn = descend(
        ancestral, exact(alpha_bar), noises(*shape), spaced(total, total), alpha_bar
    )
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(drawn.var()) == pytest.approx(VARIANCE, rel=0.04)


@pytest.mark.parametrize(("step", "order"), [(ddim, 1), (dpm_solver_pp, 2)])
def test_twice_the_steps_divides_the_error_as_the_order_promises(step: Step, order: int) -> None:
    total, shape = 4096, (B, C, H, W)
    alpha_bar = cosine(total)

    def error(steps: int) -> float:
        first, last = 3600, 16
        levels = list(range(first, last - 1, -(first - last) // steps))
        *_, x = descend(step, exact(alpha_bar), noises(*shape), levels, alpha_bar)
        wanted = arrival(white(*shape), float(alpha_bar[first]), float(alpha_bar[last]))
        return float((x - wanted).abs().max())

    assert error(128) / error(256) == pytest.approx(2**order, rel=0.1)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 4, 30])
def test_an_image_that_is_known_is_drawn_in_any_number_of_steps(name: str, steps: int) -> None:
    alpha_bar, truth = cosine(30), white(B, C, H, W, seed=99)

    def predict(x: Tensor, level: Tensor) -> Tensor:
        a = alpha_bar[(level * 30).round().long()][:, None, None, None]
        return (x - a.sqrt() * truth) / (1 - a).sqrt()

    *_, drawn = descend(SAMPLERS[name], predict, noises(B, C, H, W), spaced(30, steps), alpha_bar)
    torch.testing.assert_close(drawn, truth)


def test_ddim_with_as_much_noise_as_ddpm_is_ddpm() -> None:
    alpha_bar, levels = cosine(50), spaced(50, 12)
    given = exact(alpha_bar), noises(B, C, H, W), levels, alpha_bar, 0.8
    ways = [list(descend(step, *given)) for step in (ancestral, partial(ddim, eta=1.0))]
    assert len(ways[0]) == 12
    torch.testing.assert_close(*ways)


def test_fresh_noise_has_the_number_of_its_step_and_is_not_asked_for_in_vain() -> None:
    alpha_bar, asked = cosine(10), list[int]()

    def noise(count: int) -> Tensor:
        asked.append(count)
        return white(B, C, H, W, seed=count)

    for step, wanted in ((ancestral, [0, 1, 2]), (ddim, [0]), (dpm_solver_pp, [0])):
        asked.clear()
        list(descend(step, exact(alpha_bar), noise, spaced(10, 3), alpha_bar))
        assert asked == wanted


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_network_is_called_once_a_step_with_the_share_of_the_chain(name: str) -> None:
    alpha_bar, told = cosine(10), list[float]()

    def predict(x: Tensor, level: Tensor) -> Tensor:
        assert level.shape == (B,) and (level == level[0]).all()
        told.append(float(level[0]))
        return x

    list(descend(SAMPLERS[name], predict, noises(B, C, H, W), [9, 4, 2, CLEAN], alpha_bar))
    assert told == pytest.approx([0.9, 0.4, 0.2])


@pytest.mark.parametrize("name", SAMPLERS)
def test_guesses_are_cut_at_the_bound(name: str) -> None:
    def silent(x: Tensor, level: Tensor) -> Tensor:
        return torch.zeros_like(x)

    seen: list[Place] = []

    def step(place: Place, *rest: Any) -> Tensor:
        seen.append(place)
        return SAMPLERS[name](place, *rest)

    *_, drawn = descend(step, silent, noises(B, C, H, W), spaced(9, 4), cosine(9), 0.25)
    assert all(float(place.clean.abs().max()) == 0.25 for place in seen)
    assert float(drawn.abs().max()) == pytest.approx(0.25)


def test_the_noise_of_a_place_and_its_guess_make_up_x() -> None:
    place = Place(white(B, C, H, W), white(B, C, H, W, seed=1), 0.3)
    torch.testing.assert_close(sqrt(0.3) * place.clean + sqrt(0.7) * place.noise, place.x)


def test_the_first_step_of_the_solver_is_ddim_and_the_second_looks_back() -> None:
    """With λ in place of ᾱ: √((1 − b)/(1 − a)) x + √b (1 − e^(−h)) ê is DDIM's step."""
    before, place = Place(white(B, C, H, W), white(B, C, H, W, seed=1), 0.2), white(B, C, H, W)
    x = dpm_solver_pp(before, None, 0.4, Tensor)
    torch.testing.assert_close(x, ddim(before, None, 0.4, Tensor))
    here = Place(x, place, 0.4)
    h, gained = ((log(b / (1 - b)) - log(a / (1 - a))) / 2 for a, b in ((0.4, 0.7), (0.2, 0.4)))
    r = gained / h
    mixed = (1 + 1 / (2 * r)) * here.clean - 1 / (2 * r) * before.clean
    wanted = sqrt(0.3 / 0.6) * x - sqrt(0.7) * (exp(-h) - 1) * mixed
    torch.testing.assert_close(dpm_solver_pp(here, before, 0.7, Tensor), wanted)


@pytest.mark.parametrize(("total", "steps"), [(500, 500), (500, 50), (100, 7), (3, 2), (1, 1)])
def test_levels_fall_evenly_from_the_last_to_clean(total: int, steps: int) -> None:
    levels = spaced(total, steps)
    assert len(levels) == steps + 1 and levels[0] == total - 1 and levels[-1] == CLEAN
    gaps = [level - lower for level, lower in pairwise(levels)]
    assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1
    if total == steps:
        assert levels == list(range(total - 1, -2, -1))


@pytest.mark.parametrize("steps", [0, 11])
def test_more_steps_than_levels_are_refused(steps: int) -> None:
    with pytest.raises(InputError, match=rf"{steps} steps on a chain of 10 levels; give 1 to 10"):
        spaced(10, steps)


@pytest.mark.parametrize("levels", [[4, 4, CLEAN], [2, 3], [10, CLEAN], [3, -2]])
def test_levels_off_the_chain_or_rising_are_refused(levels: list[int]) -> None:
    with pytest.raises(InputError, match="they must fall, from 9 at most"):
        list(descend(ddim, exact(cosine(10)), noises(B, C, H, W), levels, cosine(10)))


def test_an_unknown_norm_is_refused() -> None:
    clean, wrong = white(B, C, H, W), "l3"
    with pytest.raises(InputError, match="norm is 'l3', not 'l1' or 'l2'"):
        epsilon_error(exact(cosine(9)), clean, clean, torch.tensor([1, 2]), cosine(9), wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("eta", [-0.1, 1.1])
def test_more_fresh_noise_than_there_is_room_for_is_refused(eta: float) -> None:
    place = Place(white(B, C, H, W), white(B, C, H, W), 0.3)
    with pytest.raises(InputError, match=rf"eta is {eta}"):
        ddim(place, None, 0.5, Tensor, eta)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in diffusers
class TestAgainstDiffusers:
    """The same noises through the schedulers of diffusers, step by step."""

    TOTAL, STEPS = 100, 20
    CHAIN = {  # noqa: RUF012
        "num_train_timesteps": TOTAL,
        "beta_schedule": "squaredcos_cap_v2",
        "timestep_spacing": "trailing",
    }

    def ours(self, step: Step, bound: float, noise: Callable[[int], Tensor]) -> list[Tensor]:
        alpha_bar = cosine(self.TOTAL)
        levels = spaced(self.TOTAL, self.STEPS)
        return list(descend(step, self.network, noise, levels, alpha_bar, bound))

    def network(self, x: Tensor, level: Tensor) -> Tensor:
        """Any function that is not linear."""
        return torch.tanh(x.roll(1, -1)) + 0.3 * torch.sin(3 * x) + level[:, None, None, None]

    def theirs(self, scheduler: Any, **settings: Any) -> list[Tensor]:
        scheduler.set_timesteps(self.STEPS)
        assert scheduler.timesteps.tolist() == spaced(self.TOTAL, self.STEPS)[:-1]
        x, way = white(B, C, H, W), []
        for t in scheduler.timesteps:
            noise = self.network(x, torch.full((B,), float(t) / self.TOTAL))
            x = scheduler.step(noise, t, x, **settings).prev_sample
            way.append(x)
        return way

    def agree(self, ours: list[Tensor], theirs: list[Tensor]) -> None:
        assert len(ours) == len(theirs) == self.STEPS
        for mine, other in zip(ours, theirs, strict=True):  # its chain is of single precision
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)

    def test_ddpm(self) -> None:
        diffusers = pytest.importorskip("diffusers")
        chance = torch.Generator().manual_seed(5)
        fresh = [torch.randn(B, C, H, W, generator=chance).double() for _ in range(self.STEPS)]
        scheduler = diffusers.DDPMScheduler(**self.CHAIN, clip_sample_range=1.5)
        with pytest.MonkeyPatch.context() as patch:
            given = iter(fresh)
            module = diffusers.schedulers.scheduling_ddpm
            patch.setattr(module, "randn_tensor", lambda *_, **__: next(given))
            theirs = self.theirs(scheduler)
        ours = self.ours(ancestral, 1.5, lambda k: fresh[k - 1] if k else white(B, C, H, W))
        self.agree(ours, theirs)

    @pytest.mark.parametrize("bound", [0.7, 1e9])
    def test_ddim(self, bound: float) -> None:
        diffusers = pytest.importorskip("diffusers")
        scheduler = diffusers.DDIMScheduler(**self.CHAIN, clip_sample_range=bound)
        theirs = self.theirs(scheduler, use_clipped_model_output=True)
        self.agree(self.ours(ddim, bound, noises(B, C, H, W)), theirs)

    def test_dpm_solver_pp(self) -> None:
        diffusers = pytest.importorskip("diffusers")
        scheduler = diffusers.DPMSolverMultistepScheduler(**self.CHAIN)
        theirs = self.theirs(scheduler)
        bound = 1e9
        self.agree(self.ours(dpm_solver_pp, bound, noises(B, C, H, W)), theirs)
