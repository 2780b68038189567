"""Laws: what looks alike is near, what has no weight does not matter, features are exchangeable."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import landscape
from sitsr.metrics import perception
from sitsr.series import InputError
from sitsr.training import perceptual as module
from sitsr.training.perceptual import FilterFeatures, local_energy, perceptual, vgg_features

B, C, H, W = 2, 3, 48, 57  # with a margin of 24, lengths that the metric does not round up


def pair(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """estimate, hr, weight: hr with texture, the estimate without; all is to be learnt from."""
    chance = torch.Generator().manual_seed(seed)
    smooth = torch.from_numpy(landscape((B, C, H, W), seed)).double()
    rough = torch.randn(smooth.shape, generator=chance, dtype=torch.float64)
    return smooth, smooth + 0.02 * rough, torch.ones_like(smooth)


def level_and_square(image: Tensor) -> list[Tensor]:
    """Features that can be worked out by hand: the image halved in size, and its square."""
    return [nn.functional.avg_pool2d(image, 2), image.square()]


def test_the_distance_is_the_mean_absolute_difference_of_the_maps() -> None:
    estimate, hr, weight = pair()
    apart = [
        (a - b).abs().mean((1, 2, 3))
        for a, b in zip(level_and_square(estimate), level_and_square(hr), strict=True)
    ]
    got = perceptual(level_and_square, estimate, hr, weight)
    torch.testing.assert_close(got, (apart[0] + apart[1]) / 2)


def test_a_place_counts_as_far_as_it_is_to_be_learnt_from() -> None:
    estimate, hr, weight = pair()
    weight[..., 20:, :] = 0
    wanted = (estimate.square() - hr.square()).abs()[..., :20, :].mean((1, 2, 3))
    got = perceptual(lambda image: [image.square()], estimate, hr, weight)
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("features", [level_and_square, FilterFeatures()])
def test_a_perfect_estimate_costs_nothing(features: module.Features) -> None:
    _, hr, weight = pair()
    assert not perceptual(features, hr, hr, weight).any()


@pytest.mark.parametrize("features", [level_and_square, FilterFeatures()])
def test_what_has_no_weight_is_never_looked_at(features: module.Features) -> None:
    estimate, hr, weight = pair()
    weight[:, :, 9:21, 30:44] = 0
    weight[1, 2] = 0  # a whole band
    estimate = estimate.where(weight > 0, 7.0).requires_grad_()
    cost = perceptual(features, estimate, hr, weight)
    other = estimate.detach().where(weight > 0, -3.0)
    torch.testing.assert_close(perceptual(features, other, hr, weight), cost)
    cost.sum().backward()
    assert estimate.grad is not None
    assert not estimate.grad[weight == 0].any()
    missing = hr.where(weight > 0, torch.nan)
    assert perceptual(features, estimate, missing, weight).isfinite().all()


def test_an_example_with_nothing_to_learn_from_costs_nothing() -> None:
    estimate, hr, weight = pair()
    weight[1] = 0
    cost = perceptual(FilterFeatures(), estimate, hr, weight)
    assert cost[1] == 0
    assert cost[0] > 0


def test_local_energy_is_that_of_the_metric() -> None:
    _, hr, _ = pair()
    ours = local_energy(hr, perception.WAVELENGTHS)
    for b in range(B):
        wanted, _ = perception.local_energy(hr[b].numpy(), np.ones((H, W), bool))
        got = torch.cat([energy[b] for energy in ours]).numpy()
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=1e-9)


@pytest.mark.parametrize("place", range(3))
def test_a_wave_is_as_strong_as_it_is_at_its_own_wavelength(place: int) -> None:
    wavelength, amplitude = perception.WAVELENGTHS[place], 0.03
    row, col = torch.arange(96.0)[:, None], torch.arange(120.0)
    waves = [
        amplitude * torch.cos(math.tau * at / wavelength) for at in (row + 0 * col, 0 * row + col)
    ]
    image = 0.2 + torch.stack(waves)[None]  # one band that varies down, one that varies across
    strengths = [
        energy[0, ..., 8:16, 10:20].mean((-2, -1))
        for energy in local_energy(image, perception.WAVELENGTHS)
    ]
    across, down = 0, perception.DIRECTIONS // 2
    assert strengths[place][down, 0].item() == pytest.approx(amplitude**2, rel=0.02)
    assert strengths[place][across, 1].item() == pytest.approx(amplitude**2, rel=0.02)
    assert strengths[place][across, 0].item() < 0.01 * amplitude**2
    assert all(strengths[k].max() < 0.5 * amplitude**2 for k in range(3) if k != place)


def test_filter_features_are_one_map_a_wavelength_and_one_more_for_each_factor_of_e() -> None:
    _, hr, _ = pair()
    weak, strong = FilterFeatures()(0.1 + 10 * hr), FilterFeatures()(10 * math.e * hr)
    assert [each.shape for each in weak] == [(B, 4 * C, 12, 15)] * 3
    for a, b in zip(weak, strong, strict=True):
        torch.testing.assert_close(b - a, torch.ones_like(a), atol=0.02, rtol=0)
    flat = FilterFeatures()(torch.full((B, C, H, W), 0.3, dtype=torch.float64))
    assert all(each.abs().max() < 1e-12 for each in flat)


def test_filters_prefer_texture_in_the_wrong_place_to_none() -> None:
    """What an error of pixels says the other way round."""
    smooth, hr, weight = pair()
    invented = pair(seed=1)[1] - pair(seed=1)[0] + smooth
    near, far = (perceptual(FilterFeatures(), image, hr, weight) for image in (invented, smooth))
    assert (near < 0.4 * far).all()
    assert ((invented - hr).square().mean() > (smooth - hr).square().mean()).all()


def test_the_gradient_sharpens_a_smooth_image() -> None:
    smooth, hr, weight = pair()
    image = (smooth + 0.1 * (hr - smooth)).requires_grad_()
    perceptual(FilterFeatures(), image, hr, weight).sum().backward()
    assert image.grad is not None
    assert (image.grad * (hr - smooth)).sum() < 0


def test_filters_have_the_gradient_that_differences_say() -> None:
    estimate, hr, weight = (each[:1, :1, :7, :9] for each in pair())
    assert torch.autograd.gradcheck(
        lambda x: perceptual(FilterFeatures(), x, hr, weight), (estimate.clone().requires_grad_(),)
    )


def test_filters_in_half_precision_are_those_in_full() -> None:
    estimate, hr, weight = (each.float() for each in pair())
    full = perceptual(FilterFeatures(), estimate, hr, weight)
    with torch.autocast("cpu", torch.bfloat16):
        got = perceptual(FilterFeatures(), estimate, hr, weight)
    torch.testing.assert_close(got, full)


@pytest.fixture
def vgg(monkeypatch: pytest.MonkeyPatch) -> nn.Sequential:
    """Something that stands for VGG-19: it doubles, rectifies in place, and takes one away."""
    layers = nn.Sequential(nn.Conv2d(3, 3, 1, groups=3), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1))
    nn.init.constant_(layers[0].weight, 2.0)
    nn.init.zeros_(layers[0].bias)
    stand_in = ModuleType("torchvision.models")
    stand_in.vgg19 = lambda weights: SimpleNamespace(features=layers)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", stand_in)
    module._vgg.cache_clear()
    yield layers
    module._vgg.cache_clear()


def test_vgg_sees_three_bands_as_a_photograph(vgg: nn.Sequential) -> None:
    _, hr, _ = pair()
    before, after = vgg_features((2, 1, 0), layers=(0, 1))(hr.float())
    shown = (hr.float()[:, [2, 1, 0]] / 0.3).permute(0, 2, 3, 1)
    wanted = 2 * (shown - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(before.permute(0, 2, 3, 1), wanted)
    assert before.min() < 0, "the map before activation was rectified in place"
    torch.testing.assert_close(after, before.clamp_min(0))


def test_vgg_is_fixed_and_passes_gradients_on(vgg: nn.Sequential) -> None:
    estimate, hr, weight = (each.float() for each in pair())
    estimate.requires_grad_()
    perceptual(vgg_features((0, 1, 2), layers=(2,)), estimate, hr, weight).sum().backward()
    assert estimate.grad is not None
    assert estimate.grad.any()
    assert not any(weight.requires_grad for weight in vgg.parameters())


@pytest.mark.parametrize("order", [(0, 1, 3), (-1, 0, 1), (0, 1)])
def test_vgg_refuses_bands_that_are_not_there(vgg: nn.Sequential, order: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="must name three of 3 bands from 0 on"):
        vgg_features(order, layers=(0,))(torch.zeros(B, C, H, W))  # type: ignore[arg-type]


def test_vgg_without_its_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    module._vgg.cache_clear()
    with pytest.raises(InputError, match="install torchvision or use filter features") as error:
        vgg_features((0, 1, 2))
    assert "\n" not in str(error.value)


def test_vgg_without_its_weights_is_one_clear_line(
    vgg: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(weights: str) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(sys.modules["torchvision.models"], "vgg19", unreachable)
    with pytest.raises(InputError, match=r"VGG-19 cannot be had \(no route to host\)"):
        vgg_features((0, 1, 2))
