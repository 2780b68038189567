"""Laws: a shift and a bias within the limit leave no trace, and none beyond it is forgiven."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from sitsr.metrics import registered as metric
from sitsr.series import InputError
from sitsr.training.pixelwise import LOSSES, Loss, charbonnier, l1, l2, laplace, ssim_loss
from sitsr.training.registered import (
    Aligned,
    align,
    blurred,
    eroded,
    matched,
    moved,
    registered,
    shifts,
)

B, C, H, W = 2, 3, 44, 53
PLANTED = [(0.0, 0.0), (0.5, -1.5), (-1.5, 2.0), (2.0, 0.5), (-2.0, -0.5)]
SHIFTS = pytest.mark.parametrize("planted", PLANTED, ids=str)


def ground(down: float = 0, right: float = 0, seed: int = 0) -> Tensor:
    """[B, C, H, W] waves of 5 pixels and more, known everywhere, moved by this shift."""
    chance = np.random.default_rng(seed)
    row, col = np.arange(H)[:, None] - down, np.arange(W) - right
    image = np.full((B, C, H, W), 0.2)
    for _ in range(30):
        length, turn = chance.uniform(5, 25), chance.uniform(0, math.tau)
        phase = chance.uniform(0, math.tau, (B, C, 1, 1))
        along = row * math.sin(turn) + col * math.cos(turn)
        image += 0.01 * np.cos(math.tau * along / length + phase)
    return torch.from_numpy(image)


def noise(seed: int, size: float = 1.0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return size * torch.randn((B, C, H, W), generator=chance, dtype=torch.float64)


def ones() -> Tensor:
    return torch.ones(B, C, H, W, dtype=torch.float64)


def clouded() -> Tensor:
    """A weight with a hole of its own in each example, and one in a single band."""
    weight = ones()
    weight[0, :, 11:17, 30:41] = weight[1, :, 25:, :9] = weight[0, 1, 30:35, 4:12] = 0
    return weight


def shift_of(down: float, right: float) -> Tensor:
    return torch.tensor([[down, right]], dtype=torch.float64).expand(B, 2)


@SHIFTS
def test_moving_puts_the_ground_where_it_belongs(planted: tuple[float, float]) -> None:
    there, weight = moved(ground(), ones(), shift_of(*planted))
    wanted, inner = ground(*planted), eroded(weight, 8)
    torch.testing.assert_close(there * inner, wanted * inner, atol=5e-4, rtol=0)
    edges = (there - wanted) * weight  # of images whose standard deviation is 0.037
    assert edges.square().mean().sqrt() < 1e-3


def test_every_example_is_moved_by_its_own_shift() -> None:
    shift = torch.tensor([[0.5, -1.25], [-2.0, 0.75]], dtype=torch.float64)
    both = moved(ground(), clouded(), shift)
    for b in range(B):
        alone = moved(*(each[b : b + 1] for each in (ground(), clouded(), shift)))
        for all_, one in zip(both, alone, strict=True):
            torch.testing.assert_close(all_[b : b + 1], one)


def test_rows_and_columns_are_one_axis_twice() -> None:
    here, weight = moved(ground(), clouded(), shift_of(0.5, -1.5))
    there, turned = moved(ground().mT, clouded().mT, shift_of(-1.5, 0.5))
    assert (weight == turned.mT).all()
    inner = eroded(weight, 8)  # beside a hole it matters a little which axis comes first
    assert inner.mean() > 0.2
    torch.testing.assert_close(here * inner, there.mT * inner)


def test_no_shift_changes_nothing_and_whole_ones_copy_pixels() -> None:
    hr, weight = ground(), clouded()
    there, valid = moved(hr, weight, shift_of(0, 0))
    torch.testing.assert_close(there, hr * weight)
    assert (valid == weight).all()
    there, valid = moved(hr, weight, shift_of(2, -1))
    wanted = weight * torch.roll(weight, (2, -1), (2, 3))
    wanted[:, :, :2] = wanted[..., -1:] = 0
    assert (valid == wanted).all()
    torch.testing.assert_close(there, torch.roll(hr, (2, -1), (2, 3)) * wanted)


def test_a_pixel_between_two_counts_if_both_do() -> None:
    weight = clouded()
    _, valid = moved(ground(), weight, shift_of(0.5, 0))
    wanted = weight * torch.roll(weight, 1, 2)
    wanted[:, :, 0] = 0
    assert (valid == wanted).all()


def test_a_ramp_is_moved_exactly_up_to_borders_and_clouds() -> None:
    row, col = torch.arange(H, dtype=torch.float64)[:, None], torch.arange(W, dtype=torch.float64)
    ramp = (0.01 * row - 0.004 * col).expand(B, C, H, W)
    there, weight = moved(ramp, clouded(), shift_of(1.3, -0.6))
    wanted = (ramp - 0.01 * 1.3 - 0.004 * 0.6) * weight
    torch.testing.assert_close(there, wanted)


def test_it_moves_as_the_metric_does() -> None:
    hr, clear = ground(), np.ones((H, W), bool)
    there, weight = moved(hr, ones(), shift_of(-1.3, 0.4))
    for b in range(B):
        wanted, valid = metric.moved(hr[b].numpy(), clear, (-1.3, 0.4))
        assert (weight[b].numpy() == valid).all()
        inner = eroded(weight, 16)[b].numpy()
        np.testing.assert_allclose(there[b].numpy() * inner, wanted * inner, atol=1e-3)


def test_fine_detail_is_kept_better_than_by_a_cubic_spline() -> None:
    """Waves of 2.5 pixels and more, moved by half of one: FALL states the error."""
    row = torch.arange(H, dtype=torch.float64)[:, None].expand(B, C, H, W)
    for length in (2.5, 3, 4, 5, 10):
        wave, wanted = (torch.cos(math.tau * at / length) for at in (row, row - 0.5))
        there, _ = moved(wave, ones(), shift_of(0.5, 0))
        ours = (there - wanted)[:, :, 10:-10].abs().max().item()
        spline = ndimage.shift(wave[0, 0].numpy(), (0.5, 0), order=3)
        assert ours < 0.004
        assert length > 4 or ours < 0.2 * np.abs(spline - wanted[0, 0].numpy())[10:-10].max()


def test_what_is_eroded_has_only_weight_around_it() -> None:
    weight = clouded()
    wanted = np.stack(
        [
            [ndimage.binary_erosion(band.numpy(), np.ones((5, 5)), border_value=0) for band in each]
            for each in weight
        ]
    )
    assert (eroded(weight, 2).numpy() == wanted).all()
    assert (eroded(weight, 0) == weight).all()


def test_a_blur_is_the_mean_of_what_has_weight() -> None:
    hr, weight = ground(), clouded()
    got = blurred(hr.where(weight > 0, torch.nan), weight, 1.5)
    for b in range(B):
        known = weight[b].numpy()
        total, share = (
            ndimage.gaussian_filter(each, (0, 1.5, 1.5), mode="constant", radius=(0, 5, 5))
            for each in (hr[b].numpy() * known, known)
        )
        inside = known > 0
        np.testing.assert_allclose(got[b].numpy()[inside], total[inside] / share[inside])


def test_shifts_reach_equally_far_both_ways() -> None:
    assert shifts(1.5, 0.5) == [0, -0.5, 0.5, -1, 1, -1.5, 1.5]
    assert shifts(0.3, 0.1) == pytest.approx([0, -0.1, 0.1, -0.2, 0.2, -0.3, 0.3])
    assert shifts(0.9, 0.5) == [0, -0.5, 0.5]
    assert shifts(0, 1) == [0]


@SHIFTS
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_planted_shift_leaves_no_trace(loss: Loss, planted: tuple[float, float]) -> None:
    estimate = ground() + noise(1, 0.01)
    hr = ground(-planted[0], -planted[1])
    got = registered(loss, estimate, hr, clouded(), limit=2, bias=False)
    wanted = loss(estimate, ground(), eroded(clouded(), 2))
    torch.testing.assert_close(got, wanted, rtol=0.01, atol=0)
    if any(planted):
        assert (loss(estimate, hr, eroded(clouded(), 2)) > 1.2 * wanted).all()


@SHIFTS
def test_a_displaced_truth_costs_nothing(planted: tuple[float, float]) -> None:
    hr = ground(-planted[0], -planted[1])
    cost = registered(l1, ground(), hr, clouded(), limit=2)
    assert (cost < 1e-3).all()
    assert (registered(l1, hr, hr, clouded(), limit=2) < 1e-15).all()


def test_the_search_ends_at_its_limit_on_all_sides_alike() -> None:
    estimate = ground()
    for limit in (1, 2):
        for away in (-2.0, -1.0, 1.0, 2.0):
            for planted in ((away, 0.0), (0.0, away)):
                cost = registered(l1, estimate, ground(*planted), ones(), limit, step=1.0)
                assert (cost < 1e-9).all() if abs(away) <= limit else (cost > 3e-3).all()


def test_opposite_displacements_cost_the_same() -> None:
    """Of an image that is its own mirror image, so that nothing else differs."""
    hr = ground() + ground().flip(2, 3)
    for planted in [(1.0, -2.0), (3.0, 0.0), (2.5, 2.5)]:
        one, other = (
            registered(
                l2,
                moved(hr, ones(), shift_of(side * planted[0], side * planted[1]))[0],
                hr,
                eroded(ones(), 3),
                limit=2,
            )
            for side in (-1, 1)
        )
        torch.testing.assert_close(one, other)


def test_it_is_the_least_over_all_shifts_tried_one_by_one() -> None:
    estimate, hr, weight = ground(seed=3), ground(seed=4), clouded()
    common = eroded(weight, 2)
    each = [
        l1(estimate, moved(hr, weight, shift_of(down, right))[0], common)
        for down in shifts(1.5, 0.5)
        for right in shifts(1.5, 0.5)
    ]
    got = registered(l1, estimate, hr, weight, limit=1.5, bias=False)
    torch.testing.assert_close(got, torch.stack(each).amin(0))


def test_a_bias_of_each_band_leaves_no_trace_and_is_a_trace_if_asked_for() -> None:
    estimate = ground() + noise(1, 0.01)
    bias = torch.tensor([0.05, -0.02, 0.1], dtype=torch.float64)[:, None, None]
    plain = registered(l1, estimate, ground(), clouded(), limit=1)
    biased = registered(l1, estimate + bias, ground(), clouded(), limit=1)
    torch.testing.assert_close(biased, plain)
    assert (registered(l1, estimate + bias, ground(), ones(), 1, bias=False) > 0.03).all()


def test_masks_move_along_and_what_they_hide_does_not_matter() -> None:
    estimate, weight = ground() + noise(1, 0.01), clouded()
    hr = ground(-1, 1.5)
    clean = registered(charbonnier, estimate, hr, weight, limit=2)
    hidden = hr.where(weight > 0, torch.nan)
    estimate = estimate.where(weight > 0, 9.0).requires_grad_()
    cost = registered(charbonnier, estimate, hidden, weight, limit=2)
    torch.testing.assert_close(cost, clean)
    cost.sum().backward()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
    assert not estimate.grad[eroded(weight, 2) == 0].any()


@pytest.mark.parametrize("bias", [False, True])
def test_the_gradient_is_that_of_the_best_shift(bias: bool) -> None:
    hr, weight = ground(-1, 0.5), clouded()
    ours, wanted = ((ground() + noise(1, 0.01)).requires_grad_() for _ in range(2))
    registered(l2, ours, hr, weight, limit=1, bias=bias).sum().backward()
    there, common = moved(hr, weight, shift_of(1, -0.5))[0], eroded(weight, 1)
    missed = there - wanted
    if bias:
        total = common.sum((2, 3), keepdim=True)
        missed = missed - (missed * common).sum((2, 3), keepdim=True) / total
    l2(-missed, torch.zeros_like(hr), common).sum().backward()
    assert ours.grad is not None
    assert wanted.grad is not None
    torch.testing.assert_close(ours.grad, wanted.grad)
    assert ours.grad.any()


def test_a_loss_may_look_at_more_than_the_estimate() -> None:
    estimate, spread = ground() + noise(1, 0.01), 0.01 + 0.02 * noise(2).abs()
    got = registered(
        lambda estimate, hr, weight: laplace(hr - estimate, spread, weight),
        *(estimate, ground(0, -1), clouded()),
        limit=1,
        bias=False,
    )
    wanted = laplace(ground() - estimate, spread, eroded(clouded(), 1))
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-3)


def test_an_example_with_nothing_left_to_compare_costs_nothing() -> None:
    weight = ones()
    weight[1, :, ::4, ::4] = 0
    cost = registered(l1, ground(seed=1), ground(), weight, limit=2)
    assert cost[1] == 0
    assert cost[0] > 0


def test_a_search_on_the_noise_of_diffusion_finds_no_shift_to_forgive() -> None:
    """A denoiser that misplaces the image errs as much with the search as without it."""
    white, misplaced = noise(5), ground() - ground(-1, 1)
    guess = white + misplaced / 0.1
    found = registered(l2, guess, white, ones(), limit=2, bias=False)
    torch.testing.assert_close(found, l2(guess, white, eroded(ones(), 2)))
    image = registered(l2, ground(), ground(-1, 1), ones(), limit=2, bias=False)
    assert (image < 0.01 * l2(ground(), ground(-1, 1), eroded(ones(), 2))).all()


@SHIFTS
def test_aligning_lays_the_target_on_the_mean(planted: tuple[float, float]) -> None:
    hr = 1.3 * ground(-planted[0], -planted[1]) - 0.05 + noise(1, 0.002)
    mean = blurred(ground(), ones(), 1.0)
    result = align(hr, clouded(), mean, limit=3)
    torch.testing.assert_close(result.shift, shift_of(*planted), atol=0.06, rtol=0)
    off = (result.hr - 1.3 * ground() + 0.05) * result.weight
    assert off.square().mean().sqrt() < 0.004
    assert result.weight.mean() > 0.8


def test_each_example_is_aligned_by_itself_to_a_fraction_of_a_pixel() -> None:
    hr = torch.stack([ground(-1.27, 0.4)[0], ground(2.2, -0.85)[1]])
    wanted = torch.tensor([[1.27, -0.4], [-2.2, 0.85]], dtype=torch.float64)
    result = align(hr, ones(), ground(), limit=3)
    torch.testing.assert_close(result.shift, wanted, atol=0.02, rtol=0)
    torch.testing.assert_close(
        align(hr, ones(), ground(), 2).shift.abs().amax(), wanted.new_tensor(2)
    )


def test_ground_that_runs_aslant_is_aligned_as_well() -> None:
    """Furrows from one corner to the other, so that rows and columns cannot be told apart."""
    row, col = (torch.arange(side, dtype=torch.float64) for side in (H, W))

    def furrows(down: float, right: float) -> Tensor:
        row_, col_ = row[:, None] - down, col - right
        aslant = torch.sin(0.5 * (row_ + col_)) + 0.2 * torch.sin(0.3 * (row_ - col_))
        return (0.2 + 0.05 * aslant).expand(B, C, H, W)

    result = align(furrows(-0.8, 0.3), ones(), furrows(0, 0), limit=2)
    torch.testing.assert_close(result.shift, shift_of(0.8, -0.3), atol=0.02, rtol=0)


def test_aligning_looks_at_nothing_without_weight_and_gives_no_gradient() -> None:
    weight, mean = clouded(), ground().requires_grad_()
    clean = align(ground(-1, 0.5), weight, mean, limit=2)
    hidden = align(
        *(ground(-1, 0.5).where(weight > 0, torch.nan), weight),
        mean.where(weight > 0, 1e3),
        limit=2,
    )
    for one, other in zip(clean, hidden, strict=True):
        torch.testing.assert_close(one, other)
        assert not one.requires_grad


def test_aligning_white_noise_does_nothing_useful() -> None:
    """Noise that is moved onto an image is no nearer to it than noise that is not."""
    white = noise(5, 0.05)
    result = align(white, ones(), ground(), limit=2)
    before, after = (l2(ground() - 0.2, each, eroded(ones(), 2)) for each in (white, result.hr))
    assert (after > 0.9 * before).all()


@pytest.mark.parametrize("nothing", ["structure", "weight"])
def test_a_target_that_cannot_be_placed_stays_where_it_is(nothing: str) -> None:
    hr, weight = ground(-1, 1), ones()
    if nothing == "structure":
        hr = torch.full_like(hr, 0.3)
    else:
        weight[:] = 0
        weight[:, :, 10:26, 10:26] = 1  # of which 36 pixels are left when moved
    result = align(hr, weight, ground(), limit=2)
    assert not result.shift.any()
    torch.testing.assert_close(result.hr, hr * weight)
    assert (result.weight == weight).all()


def test_a_match_undoes_gain_and_offset_of_each_band() -> None:
    gain, offset = (
        torch.tensor(each, dtype=torch.float64)[:, None, None]
        for each in ([1.4, 0.7, 1.0], [0.1, -0.03, 0.0])
    )
    weight = clouded()
    hr = (ground() - offset) / gain
    got = matched(hr.where(weight > 0, torch.nan), weight, ground())
    torch.testing.assert_close(got * weight, ground() * weight)


def test_a_match_does_not_take_from_the_target_what_the_mean_lacks() -> None:
    """The mean is what can be known; the target has a half more that cannot."""
    known, unknown = ground() - 0.2, ground(seed=9) - 0.2
    unknown = 0.7 * unknown * known.std() / unknown.std()
    hr = 0.2 + known + unknown
    got = matched(hr, ones(), 0.2 + known)
    kept = got.std((2, 3)) / hr.std((2, 3))
    assert kept.mean().item() == pytest.approx(1, abs=0.12)
    shrunk = (known * (hr - 0.2)).sum() / (hr - 0.2).square().sum()
    assert shrunk < 0.75, "the fit the other way round would"


def test_a_match_leaves_alone_the_contrast_of_what_does_not_match() -> None:
    hr = ground(seed=5)
    got = matched(hr, ones(), 0.1 + noise(6, 0.03))
    torch.testing.assert_close(got.std((2, 3)), hr.std((2, 3)))
    few = ones()
    few[..., 7:, :] = few[..., 9:] = 0
    torch.testing.assert_close(matched(hr, few, 0.5 + 2 * hr), hr * few)


def test_half_precision_around_it_changes_nothing() -> None:
    hr, mean, weight = (each.float() for each in (ground(-1, 0.5), ground(), clouded()))
    full, cost = align(hr, weight, mean, 2), registered(ssim_loss, mean, hr, weight, 1)
    with torch.autocast("cpu", torch.bfloat16):
        half = align(hr, weight, mean, 2)
        torch.testing.assert_close(registered(ssim_loss, mean, hr, weight, 1), cost)
    assert isinstance(half, Aligned)
    for one, other in zip(full, half, strict=True):
        torch.testing.assert_close(one, other)


def test_what_cannot_be_compared_is_refused() -> None:
    hr, weight = ground(), ones()
    with pytest.raises(InputError, match=r"must all be one \[B, C, H, W\]; cut them to the same"):
        registered(l1, hr[..., 1:], hr, weight, limit=1)
    with pytest.raises(InputError, match=r"weight \[2, 1, 44, 53\]"):
        align(hr, weight[:, :1], hr, limit=1)
    with pytest.raises(
        InputError, match="44 × 53 pixels leave nothing to compare when moved by 22"
    ):
        registered(l1, hr, hr, weight, limit=22)
    with pytest.raises(InputError, match="a step above 0, got 1 and 0"):
        registered(l1, hr, hr, weight, limit=1, step=0)
    with pytest.raises(InputError, match="a limit of 0 pixels or more"):
        align(hr, weight, hr, limit=-1)
