"""The U-Net: of the published size, local, masked, and the same however a scene is cut."""

from __future__ import annotations

from math import cos, sin

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.flop_counter import FlopCounterMode

from conftest import perturbed
from sitsr.denoisers.unet import UNet, describe_level

B, C, K, F, H, W = 2, 3, 1, 5, 7, 9
SCALE = 4


def small(scale: int = SCALE, multipliers: tuple[int, ...] = (1, 2, 2, 1)) -> UNet:
    torch.manual_seed(0)
    unet = UNet(C + K, C, F, scale, width=6, multipliers=multipliers, blocks=1)
    unet = perturbed(unet).double()
    for weight in unet.parameters():
        weight *= 2  # so that a weak say is seen
    return unet


def inputs(
    scale: int = SCALE, shape: tuple[int, int] = (H, W), seen: float = 0.8
) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(1)
    rows, cols = shape

    def white(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=chance, dtype=torch.float64)

    return {
        "x": white(B, C, scale * rows, scale * cols),
        "level": torch.tensor([0.3, 0.8], dtype=torch.float64),
        "features": white(B, F, rows, cols),
        "seen": (torch.rand(B, 1, rows, cols, generator=chance) < seen).double(),
        "concat": white(B, K, scale * rows, scale * cols),
    }


def enlarged(seen: Tensor, scale: int = SCALE) -> Tensor:
    return torch.nn.functional.interpolate(seen, scale_factor=scale, mode="nearest")


def cut(given: dict[str, Tensor], rows: slice, cols: slice, scale: int) -> dict[str, Tensor]:
    """These low-resolution rows and columns of everything."""
    fine = (
        slice(scale * rows.start, scale * rows.stop),
        slice(scale * cols.start, scale * cols.stop),
    )
    return {
        name: each
        if name == "level"
        else each[..., fine[0], fine[1]]
        if name in ("x", "concat")
        else each[..., rows, cols]
        for name, each in given.items()
    }


def test_the_published_network_has_the_published_parameters_and_operations() -> None:
    """SRDiff of BreizhSR (three bands, encoder of 64): 11.62 M parameters, 1.34 MFLOP a pixel."""
    rows, cols = 64, 96
    with torch.device("meta"):
        unet = UNet(3, 3, features=64, scale=4)
        x, level = torch.zeros(1, 3, rows, cols), torch.zeros(1)
        features, seen = torch.zeros(1, 64, rows // 4, cols // 4), torch.zeros(1, 1, 16, 24)
        with FlopCounterMode(display=False) as counted:
            unet(x, level, features, seen)
    assert sum(weight.numel() for weight in unet.parameters()) == 11_624_195
    assert counted.get_total_flops() / (rows * cols) == pytest.approx(1.34e6, rel=0.01)


def test_it_starts_silent_which_is_right_for_white_residuals() -> None:
    given = {name: each.float() for name, each in inputs().items()}
    image = UNet(C + K, 2, F, SCALE, width=6, multipliers=(1, 2), blocks=1)(**given)
    assert image.shape == (B, 2, SCALE * H, SCALE * W) and not image.any()


@pytest.mark.parametrize("which", ["x", "level", "features", "concat"])
def test_each_input_has_a_say(which: str) -> None:
    unet, given = small(), inputs()
    before = unet(**given)
    given[which] = given[which] + 0.1
    assert (unet(**given) - before).abs().max() > 1e-3


def test_each_example_has_its_own_level() -> None:
    unet, given = small(), inputs()
    together = unet(**given)
    for k in range(B):
        alone = unet(**{name: each[k : k + 1] for name, each in given.items()})
        torch.testing.assert_close(together[k : k + 1], alone)


def test_without_features_it_takes_the_enlarged_image_alone() -> None:
    torch.manual_seed(0)
    unet = perturbed(UNet(2 * C, C, 0, SCALE, width=6, multipliers=(1, 2), blocks=1)).double()
    given = inputs(seen=1.0)
    given |= {"features": given["features"][:, :0], "concat": given["x"].flip(-1)}
    before = unet(**given)
    assert (unet(**given | {"concat": given["concat"] + 0.1}) - before).abs().max() > 1e-3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_is_not_seen_has_no_say_and_gets_nothing(scale: int) -> None:
    unet, given = small(scale), inputs(scale, seen=0.6)
    before, near = unet(**given), enlarged(given["seen"], scale)
    assert not (before * (1 - near)).any() and (before * near).any()
    for name, mask in (("x", near), ("concat", near), ("features", given["seen"])):
        given[name] = given[name].where(mask > 0, 99.0)
    torch.testing.assert_close(unet(**given), before)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_outside_of_the_picture_is_ground_never_seen(scale: int) -> None:
    """To the left and above on multiples of the stride; to the right and below by anything."""
    unet, given = small(scale), inputs(scale)
    left, top, right, bottom = unet.stride, 2 * unet.stride, 3, 4
    fine = [scale * left, scale * right, scale * top, scale * bottom]
    wide = {
        name: each
        if name == "level"
        else pad(each, fine if name in ("x", "concat") else [left, right, top, bottom])
        for name, each in given.items()
    }
    rows, cols = (slice(scale * k, scale * (k + n)) for k, n in ((top, H), (left, W)))
    torch.testing.assert_close(unet(**wide)[..., rows, cols], unet(**given))


def test_a_pixel_of_a_lower_level_is_seen_if_any_of_those_under_it_is() -> None:
    unet, given = small(2, (1, 1, 1)), inputs(2, (6, 10), seen=0.4)
    told: list[Tensor] = []
    unet.middle.register_forward_pre_hook(lambda _, given: told.append(given[2]))
    unet(**given)
    wanted = torch.zeros(B, 1, 3, 5, dtype=torch.float64)
    for b, row, col in given["seen"][:, 0].nonzero().tolist():
        wanted[b, 0, row // 2, col // 2] = 1
    assert 0 < wanted.mean() < 1 and torch.equal(told[0], wanted)


@pytest.mark.parametrize(
    ("scale", "multipliers", "stride"),
    [
        (4, (1, 2, 3, 4), 2),
        (4, (1, 2, 3), 1),
        (4, (1, 2, 4, 8, 8), 4),
        (2, (1, 1, 1), 2),
        (3, (1, 1), 2),
        (1, (1, 1, 1), 4),
        (4, (1,), 1),
    ],
)
def test_the_stride_in_low_resolution_pixels_is_on_the_coarsest_grid(
    scale: int, multipliers: tuple[int, ...], stride: int
) -> None:
    assert small(scale, multipliers).stride == stride


@pytest.mark.parametrize(
    ("scale", "multipliers"),
    [(8, (1, 2)), (4, (1, 2, 1)), (2, (1, 1, 1)), (3, (1, 2)), (1, (1, 1)), (4, (1,))],
)
def test_it_reaches_as_far_as_it_says_and_no_further(
    scale: int, multipliers: tuple[int, ...]
) -> None:
    """By the gradients of one output pixel, for each place within a period of the grids."""
    unet = small(scale, multipliers)
    side = 2 * unet.reach + 3 + unet.stride
    given = inputs(scale, (side, side + 2), seen=1.0)
    given = {name: each[:1] for name, each in given.items()}
    for name in ("x", "features", "concat"):
        given[name].requires_grad_(True)
    image = unet(**given)
    middle = (unet.reach + 1) * scale
    farthest = 0
    for place in range(2 ** (len(multipliers) - 1) * scale):
        row, col = middle + place % (scale * unet.stride), middle + (3 * place + 1) % scale
        sources = given["x"], given["features"], given["concat"]
        for source in torch.autograd.grad(image[0, :, row, col].sum(), sources, retain_graph=True):
            zoom = source.shape[-2] // side
            for axis, here in ((2, row // scale), (3, col // scale)):
                felt = source.abs().amax((0, 1, 5 - axis)).nonzero().flatten() // zoom
                farthest = max(farthest, here - int(felt.min()), int(felt.max()) - here)
    assert farthest == unet.reach


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_tile_with_its_halo_on_the_stride_gives_the_pixels_of_the_whole(scale: int) -> None:
    unet = small(scale, (1, 2, 1))
    assert unet.stride > 1 or scale == 4
    halo = -(-unet.reach // unet.stride) * unet.stride
    rows, cols = 2 * halo + 9, 2 * halo + 12
    given = inputs(scale, (rows, cols))
    whole = unet(**given)
    top, left = unet.stride, 2 * unet.stride
    bottom, right = top + 2 * halo + 3, left + 2 * halo + 5
    tile = unet(**cut(given, slice(top, bottom), slice(left, right), scale))
    inner = slice(scale * halo, scale * (halo + 3)), slice(scale * halo, scale * (halo + 5))
    above, before = scale * (top + halo), scale * (left + halo)
    wanted = whole[..., above : above + 3 * scale, before : before + 5 * scale]
    torch.testing.assert_close(tile[..., inner[0], inner[1]], wanted)


def test_a_tile_off_the_stride_does_not() -> None:
    unet = small(2, (1, 2, 1))
    assert unet.stride == 2
    halo = unet.reach + 1
    given = inputs(2, (2 * halo + 9, 2 * halo + 12), seen=1.0)
    whole = unet(**given)
    tile = unet(**cut(given, slice(1, 2 * halo + 5), slice(0, 2 * halo + 12), 2))
    apart = tile[..., 2 * halo, :] - whole[..., 2 * (halo + 1), :]
    assert apart.abs().max() > 1e-3


def test_a_level_is_described_by_waves_from_fast_to_slow() -> None:
    level, width = torch.tensor([0.25, -0.7], dtype=torch.float64), 8
    described = describe_level(level, width)
    for k, value in enumerate(level.tolist()):
        pace = [1000 * 10_000 ** (-i / 3) for i in range(4)]
        wanted = [sin(value * each) for each in pace] + [cos(value * each) for each in pace]
        assert described[k].tolist() == pytest.approx(wanted, abs=1e-9)
