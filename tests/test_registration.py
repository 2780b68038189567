"""Laws: a shift that is planted on real pixels is found, clouds have no say, and what is moved by
what was found lies where it should."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skimage.registration import phase_cross_correlation

import sitsr
from sitsr.datasets import (
    REAL,
    Pair,
    Shift,
    registered,
    registered_dates,
    shift_of_reference,
    shifts_of_dates,
)
from sitsr.datasets.registration import SURE
from sitsr.metrics import moved
from sitsr.radiometry import degrade
from sitsr.series import Floats, InputError, Series

BANDS = ("B02", "B03", "B08")
SIGMA = (0.5, 0.45, 0.5)
SCALE, H, W = 4, 33, 34
EDGE = 6  # pixels of real ground beyond each border, so that a planted shift brings in more of it
DAYS = (date(2020, 2, 2), date(2021, 7, 16), date(2021, 7, 21), date(2022, 6, 1))
PLANTED = [(0.0, 0.0), (1.4, -2.3), (-0.6, 5.25), (-3.5, 0.75)]


@cache
def demo() -> Series:
    series = sitsr.open_series(files("sitsr") / "demo").select(BANDS)
    return series.keep([series.dates.index(day) for day in DAYS])


def cut(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """SCALE·H × SCALE·W pixels from the middle of the demonstration's ground."""
    return image[..., EDGE : EDGE + SCALE * H, EDGE : EDGE + SCALE * W]


def ground(day: date, shift: tuple[float, float] = (0, 0)) -> Floats:
    """Real pixels, moved so that ``shift`` would bring them back."""
    image = demo().images[DAYS.index(day)]
    back = (-float(shift[0]), -float(shift[1]))
    there, _ = moved(image, np.ones(image.shape[1:], bool), back)
    return cut(there).astype(np.float32)


def make_pair(shift: tuple[float, float] = (0, 0), gain: float = 1.0) -> Pair:
    """An image at 10 m as a reference that lies off, and the same as it was seen at 40 m."""
    day = DAYS[1]
    seen = degrade(ground(day), SCALE, SIGMA)[None]
    grid = demo().grid[: SCALE * H, : SCALE * W].zoom_out(SCALE)
    series = Series(seen, np.ones((1, H, W), bool), (day,), BANDS, grid, ("seen",))
    reference = (gain * ground(day, shift)).astype(np.float32)
    clear = np.ones(reference.shape[1:], bool)
    return Pair(series, day, SCALE, "shore", "made", REAL, reference, clear, SIGMA)


def make_dates(shifts: list[tuple[float, float]], days: tuple[date, ...] = DAYS) -> Series:
    """The demonstration's dates, each lying off by its own shift."""
    images = np.stack([ground(day, shift) for day, shift in zip(days, shifts, strict=True)])
    rows, cols = images.shape[2:]
    names = tuple(map(str, days))
    clear = np.ones((len(days), rows, cols), bool)
    return Series(images, clear, days, BANDS, demo().grid[:rows, :cols], names)


def same_ground(shifts: list[tuple[float, float]], days: tuple[date, ...]) -> Series:
    """One image on several days, brighter every day, each lying off by its own shift."""
    gains = 1 + 0.2 * np.arange(len(days))
    images = np.stack([g * ground(DAYS[1], s) for g, s in zip(gains, shifts, strict=True)])
    made = make_dates([(0, 0)] * 4)
    return replace(made, images=images.astype(np.float32), dates=days)


def under_cloud(series: Series) -> Series:
    """Each date with bright clouds of its own over a fifth of it."""
    images, clear = series.images.copy(), series.clear.copy()
    for k in range(len(images)):
        hidden = np.s_[20 * k + 5 : 20 * k + 45, 25 * k : 25 * k + 60]
        images[k][(slice(None), *hidden)], clear[k][hidden] = 0.9, False
    return replace(series, images=images, clear=clear)


def found(shift: Shift) -> tuple[float, float]:
    return shift.rows, shift.cols


@pytest.mark.parametrize("planted", PLANTED)
def test_a_reference_is_brought_back_whatever_its_gain(planted: tuple[float, float]) -> None:
    shift = shift_of_reference(make_pair(planted, gain=1.7))
    assert found(shift) == pytest.approx(planted, abs=0.1)
    assert shift.correlation > 0.97 and not shift.at_limit
    assert shift.low == pytest.approx((shift.rows / SCALE, shift.cols / SCALE))
    assert shift.metres == pytest.approx((10 * shift.rows, 10 * shift.cols))


def test_clouds_in_either_image_have_no_say_in_the_shift_of_a_reference() -> None:
    pair = make_pair((1.4, -2.3))
    reference, clear = pair.reference.copy(), pair.clear.copy()
    reference[:, 70:, :50], clear[70:, :50] = np.nan, False
    images, seen = pair.series.images.copy(), pair.series.clear.copy()
    images[:, :, :9, 20:], seen[:, :9, 20:] = 0.9, False
    cloudy = replace(
        pair,
        reference=reference,
        clear=clear,
        series=replace(pair.series, images=images, clear=seen),
    )
    shift = shift_of_reference(cloudy)
    assert found(shift) == pytest.approx((1.4, -2.3), abs=0.1)
    there = registered(cloudy, shift)
    assert not there.clear[:36, 80:].any() and not there.clear[70:, :50].any()


def test_rows_are_rows_and_down_is_south() -> None:
    """A bright spot that has to go 3 rows down and 1 column left does so, and no other way."""
    pair = make_pair()
    spot = np.zeros_like(pair.reference)
    spot[:, 40, 90] = 1
    shift = Shift(3.0, -1.0, 1.0, pixel=10.0, scale=SCALE)
    there = registered(replace(pair, reference=spot), shift)
    assert np.argwhere(there.reference[0] > 0.5).tolist() == [[43, 89]]
    assert shift.metres == (30.0, -10.0)  # south, west
    assert not there.clear[:3].any() and not there.clear[:, -1:].any()
    assert there.clear[3:, :-1].all()


def test_a_registered_reference_lies_where_it_should() -> None:
    pair, off = make_pair(), make_pair((1.4, -2.3))
    there = registered(off, shift_of_reference(off))
    inner = np.zeros_like(there.clear)
    inner[20:-20, 20:-20] = True
    before, after = (
        float(np.abs(each.reference - pair.reference)[:, inner].mean()) for each in (off, there)
    )
    assert after < 0.1 * before


def test_a_reference_that_lies_beyond_what_was_searched_says_so() -> None:
    shift = shift_of_reference(make_pair((-3.5, 0.75)), limit=0.5)
    assert shift.at_limit and shift.rows == -2.0
    assert not shift_of_reference(make_pair((-3.5, 0.75)), limit=1.0).at_limit


def test_the_shifts_of_dates_agree_with_what_was_planted_between_winter_and_summer() -> None:
    planted = [(0.6, -1.3), (0.0, 0.0), (-1.2, 0.35), (0.25, 1.5)]
    still, off = (
        shifts_of_dates(make_dates(each), reference=DAYS[1]) for each in ([(0, 0)] * 4, planted)
    )
    assert list(off) == list(DAYS)
    for day, shift in zip(DAYS, planted, strict=True):
        difference = np.subtract(found(off[day]), found(still[day]))
        np.testing.assert_allclose(difference, shift, atol=0.1)
    assert off[DAYS[1]] == Shift(0.0, 0.0, 1.0, 10.0, limit=3.0)


def test_clouds_that_differ_between_dates_have_no_say() -> None:
    planted = [(0.6, -1.3), (0.0, 0.0), (-1.2, 0.35), (0.25, 1.5)]
    one_day = tuple(DAYS[1] + timedelta(days=k) for k in range(4))
    shifts = shifts_of_dates(under_cloud(same_ground(planted, one_day)), one_day[1])
    for day, shift in zip(one_day, planted, strict=True):
        assert found(shifts[day]) == pytest.approx(shift, abs=0.1)
        assert shifts[day].correlation > 0.95


@pytest.mark.parametrize(("days", "off"), [("one image", 0.1), ("winter and summer", 0.2)])
def test_phase_correlation_finds_the_same_without_clouds(days: str, off: float) -> None:
    planted = [(0.6, -1.3), (0.0, 0.0), (-1.2, 0.35), (0.25, 1.5)]
    series = same_ground(planted, DAYS) if days == "one image" else make_dates(planted)
    shifts = shifts_of_dates(series, DAYS[1])
    for k, day in enumerate(DAYS):
        bands = zip(series.images[1], series.images[k], strict=True)
        theirs = [phase_cross_correlation(*each, upsample_factor=50)[0] for each in bands]
        np.testing.assert_allclose(found(shifts[day]), np.median(theirs, axis=0), atol=off)


def test_other_ground_is_not_moved() -> None:
    series = make_dates([(0, 0)] * 4)
    images = series.images.copy()
    images[0] = images[0, :, ::-1, ::-1]
    other = replace(series, images=images)
    shifts = shifts_of_dates(other, DAYS[1])
    assert shifts[DAYS[0]].correlation < SURE < min(shifts[day].correlation for day in DAYS[1:])
    np.testing.assert_array_equal(registered_dates(other, shifts).images[0], images[0])


def test_without_a_reference_date_a_typical_and_clear_one_is_taken() -> None:
    series = make_dates([(0, 0)] * 4)
    shifts = shifts_of_dates(series)
    (chosen,) = [day for day, shift in shifts.items() if shift.correlation == 1]
    assert chosen in DAYS[1:]  # three of summer, one of winter
    clear = series.clear.copy()
    clear[DAYS.index(chosen), 12:] = False
    hidden = shifts_of_dates(replace(series, clear=clear))
    assert hidden[chosen].correlation < 1


def test_registered_dates_lie_on_each_other_and_the_doubtful_stay() -> None:
    planted = [(0.6, -1.3), (0.0, 0.0), (-1.2, 0.35), (0.25, 1.5)]
    series = under_cloud(make_dates(planted))
    shifts = shifts_of_dates(series, DAYS[1])
    there = registered_dates(series, shifts)
    again = shifts_of_dates(there, DAYS[1])
    assert max(abs(part) for shift in again.values() for part in found(shift)) < 0.1
    assert (there.clear <= series.clear).all() and there.clear.sum() < series.clear.sum()
    np.testing.assert_array_equal(there.images[1], series.images[1])
    assert there.dates == series.dates and "by up to 1." in there.history[-1]

    doubtful = {**shifts, DAYS[0]: replace(shifts[DAYS[0]], correlation=0.1)}
    at_limit = {**shifts, DAYS[0]: replace(shifts[DAYS[0]], rows=3.0)}
    left_out = {day: shift for day, shift in shifts.items() if day != DAYS[0]}
    for each in (doubtful, at_limit, left_out):
        kept = registered_dates(series, each)
        np.testing.assert_array_equal(kept.images[0], series.images[0])
        assert not np.array_equal(kept.images[2], series.images[2])
    assert not np.array_equal(there.images[0], series.images[0])


def test_a_date_without_clear_ground_is_left_out_and_a_sliver_is_lost() -> None:
    series = make_dates([(0, 0)] * 4)
    clear = series.clear.copy()
    clear[0], clear[2] = False, False
    clear[2, :, 50] = True
    thin = replace(series, clear=clear)
    assert DAYS[0] not in shifts_of_dates(thin, DAYS[1])
    there = registered_dates(thin, {DAYS[2]: Shift(0.0, 1.0, 1.0, 10.0)})
    assert not there.clear[2].any() and np.isfinite(there.images).all()


def test_coarse_bands_have_no_say_where_there_are_fine_ones() -> None:
    series = make_dates([(0, 0), (0, 0), (-1.2, 0.35), (0, 0)])
    blocks = np.kron(series.images[:, :1, ::2, ::2], np.ones((1, 1, 2, 2), np.float32))
    images = np.concatenate([series.images, *[blocks] * 3], axis=1)
    more = replace(series, images=images, bands=(*BANDS, "B05", "B11", "B12"))
    assert shifts_of_dates(more, DAYS[1]) == shifts_of_dates(series, DAYS[1])


def test_what_was_found_is_numbers() -> None:
    figures = shift_of_reference(make_pair((1.4, -2.3))).figures()
    assert list(figures) == ["rows", "cols", "south_m", "east_m", "correlation"]
    assert json.loads(json.dumps(figures)) == figures
    assert figures["east_m"] == pytest.approx(-23, abs=1)
    assert figures["cols"] == pytest.approx(-2.3 / SCALE, abs=0.03)


def test_what_cannot_be_registered_is_named() -> None:
    pair, series = make_pair(), make_dates([(0, 0)] * 4)
    at_sensor = replace(pair, reference=pair.series.images[0], clear=pair.series.clear[0])
    with pytest.raises(InputError, match="lies on the grid of its series; give one that is finer"):
        shift_of_reference(at_sensor)
    few = np.zeros_like(pair.clear)
    few[40:43, 50:55] = True
    with pytest.raises(InputError, match="only 15 pixels are clear, 16 are needed"):
        shift_of_reference(replace(pair, clear=few))
    with pytest.raises(InputError, match="a shift of scale 1 cannot move made of scale 4"):
        registered(pair, Shift(1.0, 0.0, 1.0, 10.0))
    with pytest.raises(InputError, match=r"no image of 2019-01-01; choose from 2020-02-02, "):
        shifts_of_dates(series, date(2019, 1, 1))
    with pytest.raises(InputError, match="no image of 2019-01-01; give shifts of its own dates"):
        registered_dates(series, {date(2019, 1, 1): Shift(0.0, 1.0, 1.0, 10.0)})
