"""What the sensor saw is kept: A is the sensor of radiometry.py; project mends what A misses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from conftest import SIGMA, landscape
from sitsr import consistency
from sitsr.consistency import (
    BLUR_REACH,
    NOISE_RATIO,
    PROJECTION_REACH,
    REACH,
    back,
    blur_taps,
    inverse_taps,
    observe,
    project,
    unseen_part,
)
from sitsr.radiometry import degrade

B, C, H, W = 2, 4, 21, 26
SCALES = pytest.mark.parametrize("scale", [2, 3, 4])
INNER = (
    ...,
    slice(PROJECTION_REACH, -PROJECTION_REACH),
    slice(PROJECTION_REACH, -PROJECTION_REACH),
)


def ground(scale: int, seed: int = 0) -> Tensor:
    """Double precision, with detail below the low resolution."""
    chance = torch.Generator().manual_seed(seed)
    shape = (B, C, H * scale, W * scale)
    rough = torch.rand(shape, generator=chance, dtype=torch.float64)
    return torch.from_numpy(landscape(shape, seed)).double() + 0.1 * rough


def rms(image: Tensor) -> float:
    return float(image.square().mean().sqrt())


@SCALES
@pytest.mark.parametrize("sigma", [SIGMA, (0.45, 0.48, 0.51, 0.54)])
def test_observing_is_what_radiometry_says_of_the_sensor(
    scale: int, sigma: tuple[float, ...]
) -> None:
    image = ground(scale)
    seen = observe(image, sigma, scale)
    assert seen.shape == (B, C, H, W)
    for b in range(B):
        wanted = degrade(image[b].float().numpy(), scale, sigma)
        np.testing.assert_allclose(seen[b].numpy(), wanted, rtol=1e-3, atol=1e-5)


@SCALES
def test_a_constant_is_seen_as_itself_at_borders_and_beside_holes(scale: int) -> None:
    image = torch.full((B, C, H * scale, W * scale), 0.3)
    image[..., 5 * scale : 9 * scale, 7 * scale : 20 * scale] = torch.nan
    seen = observe(image, SIGMA, scale)
    torch.testing.assert_close(seen[~seen.isnan()], torch.full_like(seen[~seen.isnan()], 0.3))
    assert seen[..., 6:8, 9:18].isnan().all() and not seen[..., 10:, :].isnan().any()


@SCALES
def test_what_is_mended_agrees_with_what_was_observed(scale: int) -> None:
    image, observed = ground(scale), observe(ground(scale, seed=1), SIGMA, scale)
    before = observed - observe(image, SIGMA, scale)
    after = observed - observe(
        project(image, observed, torch.ones(B, 1, H, W), SIGMA), SIGMA, scale
    )
    assert rms(after[INNER]) < 0.25 * rms(before[INNER])  # the next test says how much
    for border in (np.s_[..., 0, :], np.s_[..., -1, :], np.s_[..., :, 0], np.s_[..., :, -1]):
        assert rms(after[border]) < rms(before[border])


@SCALES
@pytest.mark.parametrize(("down", "across"), [(0, 0), (0.1, 0.04), (0.06, 0.3), (0.5, 0.5)])
def test_what_is_left_of_a_wave_is_known(scale: int, down: float, across: float) -> None:
    """a(f) a(g) / ((a(f) + λ)(a(g) + λ)) of a wave of frequencies f, g per pixel is mended."""
    wave = torch.cos(2 * torch.pi * down * torch.arange(H).double())[:, None] * torch.cos(
        2 * torch.pi * across * torch.arange(W).double()
    )
    wave = wave.expand(B, C, H, W)
    image = torch.zeros(B, C, scale * H, scale * W, dtype=torch.float64)
    mended = observe(project(image, wave, torch.ones(B, 1, H, W), SIGMA), SIGMA, scale)
    for band, sigma in enumerate(SIGMA):
        share = 1.0
        for frequency in (down, across):
            cells = np.arange(-8, 9)
            symbol = float(gram(17, sigma, scale)[8] @ np.cos(2 * np.pi * frequency * cells))
            share *= symbol / (symbol + NOISE_RATIO)
        inner = (0, band, *INNER[1:])
        torch.testing.assert_close(mended[inner], share * wave[inner], rtol=0, atol=0.015)


def gram(cells: int, sigma: float, scale: int) -> npt.NDArray[np.float64]:
    """A Aᵀ along one axis, dense, made with radiometry's sensor."""
    pixels = np.eye(cells * scale, dtype=np.float32)
    seen = [degrade(np.tile(row, (1, scale, 1)), scale, [sigma])[0, 0] for row in pixels]
    line = np.stack(seen).astype(np.float64)
    return np.asarray(scale * line.T @ line)


def test_where_nothing_was_observed_nothing_changes() -> None:
    image = ground(4)
    clear = torch.zeros(B, 1, H, W)
    assert torch.equal(project(image, torch.full((B, C, H, W), 5.0).double(), clear, SIGMA), image)
    assert torch.equal(unseen_part(image, clear, SIGMA), image)
    clear[..., :4] = 1
    mended = project(image, torch.zeros(B, C, H, W).double(), clear, SIGMA)
    far = (4 + REACH + BLUR_REACH) * 4
    assert torch.equal(mended[..., far:], image[..., far:])
    assert not torch.equal(mended[..., :16], image[..., :16])


@SCALES
def test_what_agrees_already_is_left_alone(scale: int) -> None:
    image = ground(scale)
    mended = project(image, observe(image, SIGMA, scale), torch.ones(B, 1, H, W), SIGMA)
    torch.testing.assert_close(mended, image)


def test_what_lies_under_cloud_is_not_asked() -> None:
    image, clear = ground(4), torch.ones(B, 1, H, W)
    clear[..., 3:9, 5:12] = 0
    observed = observe(ground(4, seed=1), SIGMA, 4)
    junk = torch.where(clear > 0, observed, torch.nan)
    torch.testing.assert_close(
        project(image, junk, clear, SIGMA), project(image, observed, clear, SIGMA)
    )


def test_the_unseen_part_of_a_residual_is_not_seen() -> None:
    clear = torch.ones(B, 1, H, W)
    residual = torch.randn(
        B, C, 4 * H, 4 * W, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    part = unseen_part(residual, clear, SIGMA)
    seen, was = observe(part, SIGMA, 4), observe(residual, SIGMA, 4)
    assert rms(seen[INNER]) < 0.35 * rms(was[INNER])
    assert rms(part) > 0.9 * rms(residual)  # detail below the resolution stays


@pytest.mark.usefixtures("delta")
def test_the_way_back_is_the_transpose_of_the_way_there() -> None:
    """<A x, y> = <x, Aᵀ y>, the right-hand side over pixels of 1 / scale² the area."""
    chance = torch.Generator().manual_seed(0)
    for scale in (2, 3, 4):
        x = torch.randn(B, C, H * scale, W * scale, generator=chance, dtype=torch.float64)
        y = torch.randn(B, C, H, W, generator=chance, dtype=torch.float64)
        y[..., :BLUR_REACH, :] = y[..., -BLUR_REACH:, :] = 0  # A is normalised at the border
        y[..., :BLUR_REACH] = y[..., -BLUR_REACH:] = 0
        there = (observe(x, SIGMA, scale) * y).sum()
        here = (x * back(y, torch.ones(B, 1, H, W), SIGMA, scale)).sum() / scale**2
        torch.testing.assert_close(there, here)


@pytest.fixture
def delta(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """(A Aᵀ + λ)⁻¹ replaced by one, so that only Aᵀ is left."""
    one = np.eye(2 * REACH + 1)[REACH]
    monkeypatch.setattr(consistency, "inverse_taps", lambda sigma, scale: one)
    yield


@SCALES
@pytest.mark.parametrize("sigma", [0.45, 0.6])
def test_the_inverse_kernel_inverts(scale: int, sigma: float) -> None:
    """Along one axis, against the inverse of a dense matrix."""
    cells = 40
    dense = gram(cells, sigma, scale) + NOISE_RATIO * np.eye(cells)
    wanted = np.linalg.inv(dense)[cells // 2]
    reach = slice(cells // 2 - REACH, cells // 2 + REACH + 1)
    size = np.abs(wanted).max()
    np.testing.assert_allclose(inverse_taps(sigma, scale) / size, wanted[reach] / size, atol=0.01)


def test_a_sharper_sensor_has_a_narrower_blur() -> None:
    for scale in (2, 3, 4):
        taps = blur_taps(0.5, scale)
        assert taps.sum() == pytest.approx(1) and (taps == taps[::-1]).all()
        assert blur_taps(0.4, scale).max() > taps.max()


def test_a_change_goes_no_further_than_the_stated_reach() -> None:
    image, observed = ground(3), observe(ground(3, seed=1), SIGMA, 3)
    clear = torch.ones(B, 1, H, W)
    row, col = 10 * 3, 12 * 3  # the first fine pixel of a low-resolution one
    changed = image.clone()
    changed[..., row, col] += 1e6
    moved = project(image, observed, clear, SIGMA) != project(changed, observed, clear, SIGMA)
    rows, cols = moved[0, 0].nonzero(as_tuple=True)
    for distance in ((rows // 3 - 10).abs().max(), (cols // 3 - 12).abs().max()):
        assert REACH + BLUR_REACH < int(distance) <= PROJECTION_REACH
