"""Cores cover a scene once, halos are undone exactly, and noise belongs to the ground."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitsr.tiles import NOISE_BLOCK, Tile, noise_under, plan

sides = st.integers(1, 40)
origins = st.one_of(
    st.integers(-200, 200),
    st.sampled_from([-NOISE_BLOCK, -1, 0, NOISE_BLOCK - 1, NOISE_BLOCK, 524_288]),
)
BANDS, SCALE = 2, 3


@given(sides, sides, st.integers(1, 50))
def test_cores_cover_each_pixel_once(rows: int, cols: int, side: int) -> None:
    times = np.zeros((rows, cols), int)
    for tile in plan((rows, cols), side):
        times[tile.window()] += 1
        assert tile.bottom - tile.top <= side and tile.right - tile.left <= side
    assert (times == 1).all()


@given(sides, sides, st.integers(1, 50), st.integers(0, 9), st.integers(1, 4))
def test_a_core_is_found_again_within_its_grown_tile(
    rows: int, cols: int, side: int, halo: int, scale: int
) -> None:
    scene = np.arange(rows * cols * scale**2).reshape(rows * scale, cols * scale)
    for tile in plan((rows, cols), side):
        outer = tile.grown(halo, (rows, cols))
        again = scene[outer.window(scale)][tile.within(outer, scale)]
        np.testing.assert_array_equal(again, scene[tile.window(scale)])


def test_a_halo_reaches_all_round_but_not_over_the_edge() -> None:
    assert Tile(4, 10, 8, 20).grown(3, (30, 22)) == Tile(1, 7, 11, 22)
    assert Tile(2, 1, 8, 20).grown(3, (9, 40)) == Tile(0, 0, 9, 23)


@given(origins, origins, sides, sides, st.data())
def test_noise_is_the_same_for_any_window_of_the_ground(
    top: int, left: int, rows: int, cols: int, data: st.DataObject
) -> None:
    whole = noise_under((top, left), (rows, cols), BANDS, SCALE, (1, 0))
    down, right = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    shape = data.draw(st.integers(1, rows - down)), data.draw(st.integers(1, cols - right))
    part = noise_under((top + down, left + right), shape, BANDS, SCALE, (1, 0))
    window = Tile(down, right, down + shape[0], right + shape[1]).window(SCALE)
    np.testing.assert_array_equal(part, whole[:, *window])


def test_noise_is_white_and_of_unit_variance() -> None:
    noise = noise_under((-30, 100), (130, 97), 4, 4, (0, 0)).astype(np.float64)
    count = noise.size
    assert abs(noise.mean()) < 5 / count**0.5
    assert abs(noise.var() - 1) < 5 * (2 / count) ** 0.5
    for shifted in (noise[:, 1:] * noise[:, :-1], noise[:, :, 1:] * noise[:, :, :-1]):
        assert abs(shifted.mean()) < 5 / count**0.5
    bands = np.corrcoef(noise.reshape(4, -1)) - np.eye(4)
    assert np.abs(bands).max() < 5 / (count / 4) ** 0.5


@pytest.mark.parametrize(
    ("origin", "seed"),
    [((0, 0), (8, 0)), ((0, 0), (7, 1)), ((0, NOISE_BLOCK), (7, 0)), ((NOISE_BLOCK, 0), (7, 0))],
    ids=["seed", "member", "further east", "further south"],
)
def test_other_seeds_members_and_places_have_other_noise(
    origin: tuple[int, int], seed: tuple[int, int]
) -> None:
    one = noise_under((0, 0), (9, 14), 1, 4, (7, 0))
    other = noise_under(origin, (9, 14), 1, 4, seed)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1
