"""Folding is a change of basis: nothing is lost, norms are kept, white noise stays white."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sitsr.denoisers.fold import Kind, basis, fold, unfold
from sitsr.series import InputError

B, C, H, W = 2, 3, 5, 7
FOLDS: list[tuple[int, Kind]] = [
    *((scale, "haar") for scale in (1, 2, 4, 8)),
    *((scale, "unshuffle") for scale in (2, 3, 4)),
]
folds = pytest.mark.parametrize(("scale", "kind"), FOLDS)


def white(*shape: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=chance, dtype=torch.float64)


@folds
def test_unfolding_gives_what_was_folded_and_the_other_way_round(scale: int, kind: Kind) -> None:
    image, folded = white(B, C, scale * H, scale * W), white(B, C * scale**2, H, W)
    assert fold(image, scale, kind).shape == folded.shape
    torch.testing.assert_close(unfold(fold(image, scale, kind), scale, kind), image)
    torch.testing.assert_close(fold(unfold(folded, scale, kind), scale, kind), folded)


@folds
def test_the_norm_of_every_block_of_every_band_is_kept(scale: int, kind: Kind) -> None:
    image = white(B, C, scale * H, scale * W)
    power = fold(image, scale, kind).square().unflatten(1, (C, -1)).sum(2)
    blocks = image.square().unflatten(-1, (W, scale)).unflatten(-3, (H, scale)).sum((-3, -1))
    torch.testing.assert_close(power, blocks)


@folds
def test_the_basis_is_orthonormal_so_white_noise_stays_white(scale: int, kind: Kind) -> None:
    matrix = basis(scale, kind)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(scale**2), atol=1e-14)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_of_a_constant_image_haar_keeps_one_channel_a_band(scale: int) -> None:
    constants = torch.tensor([0.1, -0.4, 2.0])
    image = constants[:, None, None].expand(B, C, scale * H, scale * W)
    bands = fold(image, scale, "haar").unflatten(1, (C, -1))
    torch.testing.assert_close(bands[:, :, 0], scale * constants[:, None, None].expand(B, C, H, W))
    assert bands[:, :, 1:].abs().max() < 1e-6


def test_unshuffle_is_a_place_within_the_block_row_by_row() -> None:
    scale, image = 3, white(B, C, 3 * H, 3 * W)
    folded = fold(image, scale, "unshuffle")
    for band, row, col in product(range(C), range(scale), range(scale)):
        torch.testing.assert_close(
            folded[:, band * 9 + row * 3 + col], image[:, band, row::3, col::3]
        )


def halves(image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One level of the Haar transform by sums and differences of neighbours."""
    a, b = image[..., ::2, ::2], image[..., ::2, 1::2]
    c, d = image[..., 1::2, ::2], image[..., 1::2, 1::2]
    return (a + b + c + d) / 2, [(a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]


def test_haar_of_scale_4_is_two_levels_of_sums_and_differences() -> None:
    image = white(B, C, 4 * H, 4 * W)
    smooth, narrow = halves(image)
    smoothest, wide = halves(smooth)
    places = [
        each[..., row::2, col::2] for row, col in product(range(2), range(2)) for each in narrow
    ]
    wanted = torch.stack([smoothest, *wide, *places], 2).flatten(1, 2)
    torch.testing.assert_close(fold(image, 4, "haar"), wanted)


def test_it_can_be_trained_through_and_folded_without_gradients_before() -> None:
    image = white(B, C, 2 * H, 2 * W).float()
    with torch.inference_mode():
        fold(image, 2, "haar")
    weight = torch.ones(C, 1, 1, requires_grad=True)
    fold(weight * image, 2, "haar").square().sum().backward()
    assert weight.grad is not None and weight.grad.abs().min() > 0


@pytest.mark.parametrize("scale", [3, 6, 0])
def test_haar_takes_powers_of_two_only(scale: int) -> None:
    with pytest.raises(InputError, match=rf"haar folds by a power of two, not by {scale}; choose"):
        basis(scale, "haar")


@pytest.mark.parametrize("shape", [(9, 8), (8, 9)])
def test_an_image_that_does_not_divide_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"{shape[0]} × {shape[1]} pixels .* by 4; pad"):
        fold(white(B, C, *shape), 4, "haar")


def test_channels_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match=r"15 channels cannot be unfolded by 4; .* multiple of 16"):
        unfold(white(B, 15, H, W), 4, "unshuffle")


def test_an_unknown_kind_is_refused() -> None:
    wrong: Any = "dct"
    with pytest.raises(InputError, match="kind 'dct' is unknown; choose 'unshuffle' or 'haar'"):
        fold(white(B, C, 4 * H, 4 * W), 4, wrong)
