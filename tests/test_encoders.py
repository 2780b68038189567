"""What every temporal encoder promises; a new one is added to the list and needs no other test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from conftest import perturbed
from sitsr.encoders import (
    UNIT,
    UPSAMPLE_REACH,
    MeanOverTime,
    TargetDateEncoder,
    anchor_at_target,
    describe_days,
    nearness,
    upsample,
)

B, T, C, H, W = 2, 5, 3, 6, 9
Frames = tuple[Tensor, Tensor, Tensor]

ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: perturbed(TargetDateEncoder(C, width=8, frame_blocks=1, trunk_blocks=1)),
    "attention, narrow images": lambda: perturbed(
        TargetDateEncoder(C, width=8, frame_blocks=1, trunk_blocks=1, frame_width=4)
    ),
    "mean": MeanOverTime,
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return ENCODERS[request.param]()


def make_frames(rows: int = H, cols: int = W) -> Frames:
    chance = torch.Generator().manual_seed(3)
    images = 0.4 * torch.rand(B, T, C, rows, cols, generator=chance)
    clear = torch.rand(B, T, rows, cols, generator=chance) > 0.4
    clear[:, :, 1, 2:4] = False  # never seen
    days = torch.tensor([[-30.0, -5, 0, 5, 400], [-800, -12, -7, 3, 10]])
    return images, clear, days


def same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("paint", [99.0, -5.0, float("nan")])
def test_what_lies_under_cloud_does_not_matter(encoder: nn.Module, paint: float) -> None:
    images, clear, days = make_frames()
    painted = images.where(clear.unsqueeze(2), torch.tensor(paint))
    same(encoder(painted, clear, days), encoder(images, clear, days))


def test_the_order_of_the_images_does_not_matter(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    order = [3, 0, 4, 1, 2]
    moved = encoder(images[:, order], clear[:, order], days[:, order])
    same(moved, encoder(images, clear, days))


def test_an_image_with_nothing_clear_adds_nothing(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    more = (
        torch.cat([images, torch.full_like(images[:, :1], 99.0)], 1),
        torch.cat([clear, torch.zeros_like(clear[:, :1])], 1),
        torch.cat([days, torch.zeros_like(days[:, :1])], 1),
    )
    same(encoder(*more), encoder(images, clear, days))


def test_a_clear_image_does_add_something(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    fewer = encoder(images[:, 1:], clear[:, 1:], days[:, 1:])
    assert (fewer.features - encoder(images, clear, days).features).abs().max() > 1e-3


def test_all_images_given_twice_change_nothing(encoder: nn.Module) -> None:
    frames = make_frames()
    twice = (torch.cat([each, each], 1) for each in frames)
    same(encoder(*twice), encoder(*frames))


def test_the_outside_of_the_picture_is_ground_never_seen(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    margins = [2, 3, 4, 1]  # left, right, top, bottom
    padded = encoder(pad(images, margins, value=7.0), pad(clear, margins), days)
    same(
        tuple(each[..., 4 : 4 + H, 2 : 2 + W] for each in padded),
        encoder(images, clear, days),
    )


def test_nothing_is_known_where_nothing_is_seen(encoder: nn.Module) -> None:
    features, anchor, _, seen = encoder(*make_frames())
    assert not seen[:, :, 1, 2:4].any()
    for each in (features, anchor):
        assert not (each * (1 - seen)).any()


def test_an_input_further_than_reach_has_no_say_and_one_at_reach_has(encoder: nn.Module) -> None:
    reach = int(encoder.reach)  # type: ignore[arg-type]
    images, clear, days = make_frames(2 * reach + 5, 2 * reach + 8)
    clear[:] = True
    row, col = reach + 2, reach + 3
    changed = images.clone()
    changed[:, :, :, row, col] += 0.5
    before, after = encoder(images, clear, days), encoder(changed, clear, days)
    pairs = zip(before, after, strict=True)
    moved = torch.stack([(a - b).abs().amax((0, 1)) > 0 for a, b in pairs]).any(0)
    rows, cols = (torch.arange(n) for n in moved.shape)
    for line, place, axis in ((rows, row, 1), (cols, col, 0)):
        distance = (line - place).abs()[moved.any(axis)]
        assert int(distance.max()) == reach


def test_rows_stay_rows(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    turned = encoder(images.mT, clear.mT, days)
    straight = encoder(images, clear, days)
    torch.testing.assert_close(turned.anchor, straight.anchor.mT)
    torch.testing.assert_close(turned.seen, straight.seen.mT)


def test_features_of_the_mean_are_the_anchor() -> None:
    features, anchor, _, _ = MeanOverTime()(*make_frames())
    torch.testing.assert_close(features * UNIT, anchor)


def test_the_anchor_is_its_formula() -> None:
    images, clear, days = make_frames()
    anchor, _ = anchor_at_target(images, clear, days)
    b, row, col = 0, 3, 7

    def weight(day: float) -> float:
        season = min(abs(abs(day) - 365.25 * k) for k in range(4))
        return 1 / (1 + abs(day)) ** 2 + 1 / (1 + season + 18 * abs(day) / 365.25) ** 2

    pairs = [
        (weight(float(days[b, t])), images[b, t, :, row, col])
        for t in range(T)
        if clear[b, t, row, col]
    ]
    assert 1 < len(pairs) < T
    wanted = sum(weight * image for weight, image in pairs) / sum(weight for weight, _ in pairs)
    torch.testing.assert_close(anchor[b, :, row, col], wanted)


def test_nearness_falls_with_time_and_rises_again_in_the_season() -> None:
    days = torch.arange(0.0, 1000.0)
    near = nearness(days)
    torch.testing.assert_close(near, nearness(-days))
    assert (near[:183].diff() < 0).all()  # within half a year nothing but time counts
    peaks = [k for k in range(2, len(near) - 1) if near[k - 1] < near[k] > near[k + 1]]
    assert [abs(k - 365.25 * (n + 1)) < 1 for n, k in enumerate(peaks)] == [True, True]
    assert near[365] > near[730] > near[913]  # a year, two years, half a year more


def test_no_more_and_no_less_comes_out_than_was_seen() -> None:
    images, clear, days = make_frames()
    anchor, seen = anchor_at_target(images, clear, days)
    least = images.where(clear.unsqueeze(2), torch.inf).amin(1)
    most = images.where(clear.unsqueeze(2), -torch.inf).amax(1)
    inside = (anchor >= least - 1e-6) & (anchor <= most + 1e-6)
    assert inside.where(seen > 0, True).all() and not anchor.where(seen > 0, 0.0).isnan().any()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upsampling_what_is_all_seen_is_bicubic_interpolation(scale: int) -> None:
    image = torch.rand(B, C, H, W, generator=torch.Generator().manual_seed(0))
    fine = upsample(image, torch.ones(B, 1, H, W), scale)
    assert fine.shape == (B, C, H * scale, W * scale)
    wanted = interpolate(image, scale_factor=scale, mode="bicubic", align_corners=False)
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    torch.testing.assert_close(fine[inner], wanted[inner])


def test_upsampling_bleeds_nothing_from_what_is_not_seen() -> None:
    seen = torch.ones(1, 1, 12, 17)
    seen[..., 2:5, 3:9] = 0
    seen[..., 8, 0] = 0
    fine = upsample(torch.where(seen > 0, 0.3, 55.0), seen, 4)
    mask = seen.repeat_interleave(4, 2).repeat_interleave(4, 3) > 0
    torch.testing.assert_close(fine[mask], torch.full_like(fine[mask], 0.3))


def test_upsampling_reaches_as_far_as_it_says() -> None:
    image, seen = torch.rand(1, 1, 21, 24), torch.ones(1, 1, 21, 24)
    seen[..., 10, 12:14] = 0  # bicubic, over pixels that must be filled
    furthest = 0
    for row, col in ((10, 11), (10, 14), (8, 12), (12, 13)):
        changed = image.clone()
        changed[..., row, col] += 1
        moved = (upsample(image, seen, 2) != upsample(changed, seen, 2))[0, 0]
        rows, cols = moved.nonzero(as_tuple=True)
        distance = torch.stack([(rows // 2 - row).abs(), (cols // 2 - col).abs()])
        furthest = max(furthest, int(distance.max()))
    assert 2 < furthest <= UPSAMPLE_REACH


def test_days_are_described_in_finite_numbers_however_far() -> None:
    described = describe_days(torch.tensor([[-10_000.0, 0.0, 10_000.0]]))
    assert described.shape == (1, 3, 10)
    assert described.isfinite().all() and described.abs().max() <= 1
    assert (described[0, 0] != described[0, 2]).any()  # before is not after
