"""Laws: what has no weight does not matter, no example sees its batch, and likelihoods are true."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.distributions import Laplace, Normal
from torchmetrics.functional.image import structural_similarity_index_measure

from conftest import landscape
from sitsr.series import InputError
from sitsr.training.pixelwise import (
    LIKELIHOODS,
    LOSSES,
    Loss,
    average,
    charbonnier,
    gaussian,
    l1,
    l2,
    laplace,
    ssim_loss,
)

B, C, H, W = 3, 4, 19, 26
EVERY = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
LIKELY = pytest.mark.parametrize("loss", LIKELIHOODS.values(), ids=LIKELIHOODS)


def triple(holes: float = 0.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """estimate, hr, weight in double precision; the weight has this share of holes."""
    chance = torch.Generator().manual_seed(seed)
    hr = torch.from_numpy(landscape((B, C, H, W), seed)).double()
    estimate = hr + 0.03 * torch.randn(hr.shape, generator=chance, dtype=torch.float64)
    weight = (torch.rand(hr.shape, generator=chance) >= holes).double()
    return estimate, hr, weight


def spread_of(hr: Tensor) -> Tensor:
    return 0.01 + 0.1 * hr.abs()


def test_each_error_is_its_formula_over_the_weighted_pixels() -> None:
    estimate, hr, weight = triple(holes=0.4)
    formulas: dict[Loss, Callable[[float], float]] = {
        l1: abs,
        l2: lambda d: d * d,
        charbonnier: lambda d: math.sqrt(d * d + 0.002**2) - 0.002,
    }
    for loss, formula in formulas.items():
        for b in range(B):
            missed = (estimate - hr)[b][weight[b] > 0].tolist()
            wanted = sum(map(formula, missed)) / len(missed)
            assert loss(estimate, hr, weight)[b].item() == pytest.approx(wanted)


def test_charbonnier_is_l1_with_its_point_rounded_off() -> None:
    estimate, hr, weight = triple()
    near = charbonnier(estimate, hr, weight, epsilon=1e-9)
    torch.testing.assert_close(near, l1(estimate, hr, weight), atol=1e-8, rtol=0)


@EVERY
def test_a_perfect_estimate_costs_nothing_and_pulls_nowhere(loss: Loss) -> None:
    _, hr, weight = triple(holes=0.2)
    estimate = hr.clone().requires_grad_()
    cost = loss(estimate, hr, weight)
    cost.sum().backward()
    torch.testing.assert_close(cost, torch.zeros_like(cost), atol=1e-12, rtol=0)
    assert estimate.grad is not None
    assert estimate.grad.abs().max() < 1e-9


@EVERY
def test_what_has_no_weight_is_never_looked_at(loss: Loss) -> None:
    estimate, hr, weight = triple(holes=0.3)
    clean = loss(estimate, hr, weight)
    hr = hr.where(weight > 0, torch.nan)
    estimate = estimate.where(weight > 0, 1e9).requires_grad_()
    cost = loss(estimate, hr, weight)
    cost.sum().backward()
    torch.testing.assert_close(cost, clean)
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
    assert not estimate.grad[weight == 0].any()
    assert estimate.grad[weight > 0].any()


@LIKELY
def test_nor_does_a_likelihood_look_there(loss: Loss) -> None:
    estimate, hr, weight = triple(holes=0.3)
    missed, spread = hr - estimate, spread_of(hr)
    clean = loss(missed, spread, weight)
    missed = missed.where(weight > 0, torch.nan)
    spread = spread.where(weight > 0, 0.0).requires_grad_()
    cost = loss(missed, spread, weight)
    cost.sum().backward()
    torch.testing.assert_close(cost, clean)
    assert spread.grad is not None
    assert spread.grad.isfinite().all()


@pytest.mark.parametrize("name", [*LOSSES, *LIKELIHOODS])
def test_an_example_costs_the_same_in_every_batch(name: str) -> None:
    estimate, hr, weight = triple(holes=0.3)
    weight[1] *= weight[0]  # so that examples count different numbers of pixels
    given = (estimate, hr, weight) if name in LOSSES else (hr - estimate, spread_of(hr), weight)
    loss = (LOSSES | LIKELIHOODS)[name]
    alone = torch.cat([loss(*(each[b : b + 1] for each in given)) for b in range(B)])
    torch.testing.assert_close(loss(*given), alone)


@EVERY
def test_an_example_with_nothing_to_learn_from_costs_nothing(loss: Loss) -> None:
    estimate, hr, weight = triple()
    weight[1] = 0
    cost = loss(estimate, hr, weight)
    assert cost[1] == 0
    assert (cost[[0, 2]] > 0).all()


def test_likelihoods_are_those_of_torch() -> None:
    estimate, hr, weight = triple(holes=0.3)
    spread = spread_of(hr)
    for loss, distribution in ((laplace, Laplace), (gaussian, Normal)):
        each = -distribution(estimate, spread).log_prob(hr)
        torch.testing.assert_close(loss(hr - estimate, spread, weight), average(each, weight))


@pytest.mark.parametrize(
    ("loss", "best"),
    [(laplace, lambda m: m.abs().mean()), (gaussian, lambda m: m.square().mean().sqrt())],
)
def test_the_best_spread_is_that_of_the_errors_whatever_the_batch(
    loss: Loss, best: Callable[[Tensor], Tensor]
) -> None:
    estimate, hr, weight = triple()
    missed = hr - estimate
    spread = best(missed).clone().requires_grad_()
    loss(missed, spread.expand_as(missed), weight).mean().backward()
    assert spread.grad is not None
    assert abs(spread.grad.item()) < 1e-9
    wider = spread.detach() * 1.1
    lower, higher = (loss(missed, s.expand_as(missed), weight).mean() for s in (spread, wider))
    assert higher > lower


@pytest.mark.parametrize("peak", [1.0, 0.3])
def test_ssim_of_whole_images_is_that_of_scikit_image_and_torchmetrics(peak: float) -> None:
    estimate, hr, weight = triple()
    cost = ssim_loss(estimate, hr, weight, peak)
    for b in range(B):
        wanted = structural_similarity(
            *(each[b].numpy() for each in (estimate, hr)),
            data_range=peak,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=0,
        )
        assert 1 - cost[b].item() == pytest.approx(wanted, abs=1e-9)
    _, there = structural_similarity_index_measure(
        estimate, hr, data_range=peak, return_full_image=True
    )  # which counts windows with mirrored borders too
    torch.testing.assert_close(1 - cost, there[..., 5:-5, 5:-5].mean((1, 2, 3)))


def by_loop(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], known: npt.NDArray[np.float64]
) -> tuple[float, int]:
    """Sum of the similarity of one band, window by window from the formula, and their number."""
    away = np.arange(-5, 6)
    window = np.exp(-(away[:, None] ** 2 + away**2) / (2 * 1.5**2))
    scores = []
    for row in range(5, x.shape[0] - 5):
        for col in range(5, x.shape[1] - 5):
            if not known[row, col]:
                continue
            here = np.s_[row - 5 : row + 6, col - 5 : col + 6]
            share = window * known[here]
            share = share / share.sum()
            mean_x, mean_y = (share * x[here]).sum(), (share * y[here]).sum()
            var_x = (share * (x[here] - mean_x) ** 2).sum()
            var_y = (share * (y[here] - mean_y) ** 2).sum()
            both = (share * (x[here] - mean_x) * (y[here] - mean_y)).sum()
            likeness = (2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4)
            scores.append(likeness / ((mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4)))
    return float(np.sum(scores)), len(scores)


def test_ssim_beside_holes_is_that_of_the_pixels_left_in_each_window() -> None:
    estimate, hr, weight = triple(holes=0.4)
    cost = ssim_loss(estimate, hr, weight)
    for b in range(B):
        bands = [
            by_loop(*(each[b, c].numpy() for each in (estimate, hr, weight))) for c in range(C)
        ]
        total, count = (sum(column) for column in zip(*bands, strict=True))
        assert 1 - cost[b].item() == pytest.approx(total / count, abs=1e-9)


def test_ssim_has_the_gradient_that_differences_say() -> None:
    estimate, hr, weight = (each[:1, :1, :12, :13] for each in triple(holes=0.3))
    assert torch.autograd.gradcheck(
        lambda x: ssim_loss(x, hr, weight), (estimate.clone().requires_grad_(),)
    )


def test_ssim_in_half_precision_is_that_in_full() -> None:
    estimate, hr, weight = (each.float() for each in triple())
    full = ssim_loss(estimate, hr, weight)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ssim_loss(estimate, hr, weight), full)


def test_ssim_refuses_images_smaller_than_its_window() -> None:
    with pytest.raises(InputError, match=r"10 × 26 pixels is smaller than the window of 11 × 11"):
        ssim_loss(*(each[:, :, :10] for each in triple()))
