"""Laws: only what the estimates changed and the ground did not is flicker; no date is lost."""

import math

import numpy as np
import pytest

from sitsr.metrics import rmse
from sitsr.metrics.temporal import by_gap, flicker, unchanged
from sitsr.series import InputError

C, H, W = 3, 24, 37


@pytest.fixture
def chance():
    return np.random.default_rng(5)


@pytest.fixture
def ground(chance):
    return chance.uniform(0, 0.4, (C, H, W)).astype(np.float32)


@pytest.fixture
def clear():
    mask = np.ones((H, W), bool)
    mask[3:8, 20:26] = False
    return mask


def direct(first, second, clear, bound, side):
    """The rule, pixel by pixel."""
    still, reach = np.zeros((H, W), bool), side // 2
    for row, col in np.argwhere(clear):
        at = (
            slice(max(row - reach, 0), row + reach + 1),
            slice(max(col - reach, 0), col + reach + 1),
        )
        apart = np.abs(first - second)[(slice(None), *at)][:, clear[at]].mean(axis=1)
        still[row, col] = (apart < bound).all()
    return still


@pytest.mark.parametrize("side", [1, 3, 5])
def test_unchanged_is_the_rule_pixel_by_pixel(side, ground, clear, chance):
    other = ground.astype(np.float64) + chance.normal(0, 0.0121, ground.shape)
    expected = direct(ground.astype(np.float64), other, clear, 0.01, side)
    assert 0.02 < expected[clear].mean() < 0.98
    assert (unchanged(ground, other, clear, side=side) == expected).all()


def test_a_change_in_one_band_is_a_change(ground, clear):
    other = ground.copy()
    other[1, 12:, :] += 0.05
    still = unchanged(ground, other, clear, side=1)
    assert (still == (clear & (np.arange(H) < 12)[:, None])).all()


def test_what_is_not_clear_does_not_matter(ground, clear, chance):
    other = ground + chance.normal(0, 0.008, ground.shape)
    painted = np.where(clear, ground, np.nan), np.where(clear, other, 9)
    still = unchanged(ground, other, clear)
    assert (unchanged(*painted, clear) == still).all()
    assert not still[~clear].any()
    images = (other, ground, ground, other)
    hidden = [np.where(still, image, np.inf) for image in images]
    assert flicker(*hidden, still) == flicker(*images, still) > 0


def test_estimates_that_change_as_the_ground_does_not_flicker(ground, clear, chance):
    later = ground + chance.normal(0, 0.1, ground.shape)
    same_error = chance.normal(0, 0.1, ground.shape)
    steady = flicker(ground + same_error, later + same_error, ground, later, clear)
    assert steady == pytest.approx(0, abs=1e-7)


def test_flicker_is_the_closed_form_of_two_errors(ground, clear):
    """Errors e_a = 0.03 and e_b = -0.01, everywhere: they differ by 0.04."""
    ground = ground.astype(np.float64)
    assert flicker(ground + 0.03, ground - 0.01, ground, ground, clear) == pytest.approx(0.04)
    apart = flicker(ground + 0.03, ground, ground, ground, clear)
    assert apart == pytest.approx(rmse(ground + 0.03, ground, clear))


def test_flicker_of_unrelated_errors_is_the_root_of_their_squares(chance):
    errors = chance.normal(0, [[[[0.03]]], [[[0.04]]]], (2, C, 120, 170))
    truth = np.zeros((C, 120, 170))
    found = flicker(*errors, truth, truth, np.ones((120, 170), bool))
    assert found == pytest.approx(math.hypot(0.03, 0.04), rel=0.02)


def test_errors_are_averaged_gap_by_gap():
    found = by_gap([-3, 0, 4, 5, -9], [1.0, 2.0, 4.0, 8.0, 16.0], [0, 5, 8, 20])
    assert found[0] == (0, 5, 3, pytest.approx(7 / 3))
    assert found[1] == (5, 8, 1, 8.0)
    assert found[2].dates == 1 and found[2].mean == 16
    empty = by_gap([1], [0.1], [0, 2, 4])[1]
    assert empty.dates == 0 and math.isnan(empty.mean)


IMAGE, CLEAR = np.zeros((C, H, W)), np.ones((H, W), bool)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unchanged(IMAGE, IMAGE[:1], CLEAR), "must both be one"),
        (lambda: unchanged(IMAGE, IMAGE, CLEAR, side=4), "side an odd number"),
        (lambda: unchanged(IMAGE, IMAGE, CLEAR, bound=0), "bound must be above 0"),
        (lambda: flicker(IMAGE, IMAGE, IMAGE, IMAGE, ~CLEAR), "none of 24 × 37 pixels is still"),
        (lambda: flicker(IMAGE, IMAGE, IMAGE + np.nan, IMAGE, CLEAR), "reference is NaN"),
        (lambda: flicker(IMAGE, IMAGE[:1], IMAGE, IMAGE[:1], CLEAR), "have 3 and 1 bands"),
        (lambda: by_gap([1, 2], [0.1], [0, 5]), "got 2 gaps and 1 errors"),
        (lambda: by_gap([1], [math.nan], [0, 5]), "one finite error"),
        (lambda: by_gap([1], [0.1], [5, 0]), "edges must be"),
        (lambda: by_gap([1], [0.1], [5]), "edges must be"),
        (lambda: by_gap([1, -7], [0.1, 0.2], [0, 5]), "1 gaps, such as 7 days, lie outside 0 to 5"),
        (lambda: by_gap([math.nan], [0.1], [0, 5]), "lie outside"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
