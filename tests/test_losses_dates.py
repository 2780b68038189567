"""Laws: the image held out is the truth and nothing else, and whoever knows the ground pays 0."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from conftest import cloudy, landscape
from sitsr.consistency import observe
from sitsr.encoders import enlarged
from sitsr.series import InputError
from sitsr.training.dates import MeanOf, held_out, without_one

B, T, C, H, W, SCALE = 2, 5, 3, 13, 18, 4
SIGMA = (0.50, 0.52, 0.55)
DAYS = torch.tensor([[-40.0, -7, 0, 12, 55], [-90, -31, -4, 3, 20]])


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ground_on(days: Tensor) -> Tensor:
    """[N, C, sH, sW] the ground on these days [N]: it brightens by 1 in 1000 a day."""
    still = torch.from_numpy(landscape((C, SCALE * H, SCALE * W))).double()
    return still * (1 + days.double()[:, None, None, None] / 1000)


def series(target: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """images, clear, days of the ground as the sensor sees it, clouds painted white."""
    first = torch.zeros(B) if target is None else target
    fine = ground_on((DAYS + first[:, None]).flatten())
    images = observe(fine, SIGMA, SCALE).unflatten(0, (B, T))
    clear = torch.from_numpy(cloudy((T, H, W))).repeat(B, 1, 1, 1)
    clear[:, :, 4:7, 8:11] = clear[:, :, 9:, :2] = False
    clear[:, -1, 4:7, 8:11] = clear[:, 1, 9:, :2] = True  # seen once only
    return images.where(clear[:, :, None], 0.9), clear, DAYS


def oracle(target: Tensor) -> MeanOf:
    """Knows the ground of every day; told the signed days, it finds which day is asked for."""

    def mean(images: Tensor, clear: Tensor, days: Tensor) -> Tensor:
        seen = enlarged(clear.any(1, keepdim=True), SCALE)
        asked = DAYS[:, 0] - days[:, 0]
        return ground_on(target + asked).where(seen, 5.0)  # where none sees, it knows nothing

    return mean


@pytest.mark.parametrize("seed", range(6))
def test_whoever_knows_the_ground_pays_nothing(seed: int) -> None:
    target = torch.tensor([3.0, -8.0])
    cost = held_out(oracle(target), *series(target), SIGMA, chance(seed))
    assert cost.shape == ()
    assert cost.item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("wrong", [0.03, -0.02])
def test_whoever_errs_by_a_constant_pays_that(wrong: float) -> None:
    right = oracle(torch.zeros(B))
    cost = held_out(lambda *given: right(*given) + wrong, *series(), SIGMA, chance())
    assert cost.item() == pytest.approx(abs(wrong), abs=1e-9)


def test_a_constant_estimate_pays_the_mean_distance_to_the_image_held_out() -> None:
    images, clear, days = series()
    rest = without_one(images, clear, days, chance(4))
    apart = [
        (rest.frame[b, c] - 0.2).abs()[rest.weight[b, 0] > 0] for b in range(B) for c in range(C)
    ]
    cost = held_out(
        lambda *_: torch.full((B, C, SCALE * H, SCALE * W), 0.2, dtype=torch.float64),
        *(images, clear, days),
        SIGMA,
        chance(4),
    )
    assert cost.item() == pytest.approx(torch.cat(apart).mean().item())


@pytest.mark.parametrize("seed", range(6))
def test_the_day_held_out_is_the_target_and_is_gone(seed: int) -> None:
    images, clear, days = series()
    rest = without_one(images, clear, days, chance(seed))
    for b in range(B):
        (k,) = (rest.days[b] == 0).nonzero()[:, 0].tolist()
        torch.testing.assert_close(rest.days[b], days[b] - days[b, k])
        torch.testing.assert_close(rest.frame[b], images[b, k])
        assert not rest.clear[b, k].any()
        assert not rest.images[b, k].any()
        others = [t for t in range(T) if t != k]
        torch.testing.assert_close(rest.images[b, others], images[b, others])
        assert (rest.clear[b, others] == clear[b, others]).all()


def test_it_counts_where_the_image_is_clear_and_others_see_all_around() -> None:
    images, clear, days = series()
    narrower = 0
    for seed in range(8):
        rest = without_one(images, clear, days, chance(seed))
        for b in range(B):
            k = int((rest.days[b] == 0).nonzero())
            others = clear[b, [t for t in range(T) if t != k]].any(0)
            wanted = clear[b, k].clone()
            for row in range(H):
                for col in range(W):
                    around = others[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3]
                    wanted[row, col] &= around.all()
            assert (rest.weight[b, 0] == wanted).all()
            narrower += int((wanted < (clear[b, k] & others)).any())
    assert narrower


def test_painting_the_image_held_out_changes_nothing_but_the_comparison() -> None:
    images, clear, days = series()
    shown: list[tuple[Tensor, ...]] = []

    def watched(*given: Tensor) -> Tensor:
        shown.append(given)
        return torch.zeros(B, C, SCALE * H, SCALE * W, dtype=torch.float64)

    before = held_out(watched, images, clear, days, SIGMA, chance())
    gone = without_one(images, clear, days, chance()).days == 0
    painted = images + 0.5 * gone[..., None, None, None]
    after = held_out(watched, painted, clear, days, SIGMA, chance())
    for one, other in zip(*shown, strict=True):
        assert (one == other).all()
    assert (after - before).item() == pytest.approx(0.5)


def test_a_second_image_of_that_day_goes_too() -> None:
    images, clear, days = series()
    days = days.clone()
    days[:, 3] = days[:, 1]
    held = []
    for seed in range(12):
        rest = without_one(images, clear, days, chance(seed))
        assert not rest.clear[rest.days == 0].any()
        held += (rest.days == 0).sum(1).tolist()
    assert {1, 2} == set(held)


def test_what_lies_under_cloud_does_not_matter() -> None:
    images, clear, days = series()
    image = torch.full((B, C, SCALE * H, SCALE * W), 0.2, dtype=torch.float64, requires_grad=True)
    clean = held_out(lambda *_: image, images, clear, days, SIGMA, chance())
    hidden = images.where(clear[:, :, None], torch.nan)
    cost = held_out(lambda *_: image, hidden, clear, days, SIGMA, chance())
    assert cost == clean
    cost.backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.any()


def test_the_generator_alone_decides_and_reaches_every_day() -> None:
    images, clear, days = series()
    drawn = [without_one(images, clear, days, chance(seed)).days for seed in range(40)]
    again = without_one(images, clear, days, chance(7)).days
    assert (drawn[7] == again).all()
    for b in range(B):
        assert {int((each[b] == 0).nonzero()) for each in drawn} == set(range(T))


def test_an_image_that_shows_nothing_is_not_held_out() -> None:
    images, clear, days = series()
    clear = clear.clone()
    clear[:, [0, 2, 3]] = False
    clear[:, [1, 4]] = True
    for seed in range(12):
        assert without_one(images, clear, days, chance(seed)).weight.all()


@pytest.mark.parametrize("times", [1, T])
def test_a_series_of_one_day_costs_nothing_and_teaches_nothing(times: int) -> None:
    images, clear, days = series()
    image = torch.zeros(B, C, SCALE * H, SCALE * W, dtype=torch.float64, requires_grad=True)
    cost = held_out(
        lambda *_: image,
        *(images[:, :times], clear[:, :times], torch.zeros_like(days[:, :times])),
        SIGMA,
        chance(),
    )
    cost.backward()
    assert cost == 0
    assert image.grad is not None
    assert not image.grad.any()


def test_one_point_spread_function_for_three_bands_is_refused() -> None:
    with pytest.raises(InputError, match="sigma holds 1 numbers for 3 bands; give one a band"):
        held_out(oracle(torch.zeros(B)), *series(), (0.5,), chance())
