"""Laws: what was planted between two sensors is undone; detail that the sensor cannot see has no
say in any fit, nor has what lies under cloud; a field is blind to what is finer than its width."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.exposure import match_histograms

import sitsr
from sitsr.datasets import HARMONISERS, REAL, Pair, fit_over, harmonised
from sitsr.datasets.harmonise import (
    MOST,
    Field,
    Fitted,
    Linear,
    Quantiles,
    as_json,
    both_at_low_resolution,
    field,
    from_json,
)
from sitsr.radiometry import degrade
from sitsr.series import Floats, InputError, Series

BANDS = ("B02", "B03", "B08")
SIGMA = (0.5, 0.45, 0.5)
SCALE, H, W = 2, 71, 75
DAYS = (date(2020, 2, 2), date(2021, 7, 16), date(2021, 7, 21), date(2022, 6, 1))
WIDTH = 12.0

every = pytest.mark.parametrize("method", list(HARMONISERS))


@cache
def demo() -> Series:
    series = sitsr.open_series(files("sitsr") / "demo").select(BANDS)
    return series.keep([series.dates.index(day) for day in DAYS])


def make_pair(
    day: date = DAYS[1],
    gain: float = 1.0,
    offset: float = 0.0,
    field: Floats | None = None,
    seen_on: date | None = None,
) -> Pair:
    """A real image as reference, and what a sensor with this gain and offset saw, that day or not.

    field [H, W]: by which what was seen is multiplied besides.
    """
    truth = demo().images[DAYS.index(day), :, : SCALE * H, : SCALE * W]
    there = demo().images[DAYS.index(seen_on or day), :, : SCALE * H, : SCALE * W]
    seen = gain * degrade(there, SCALE, SIGMA) + offset
    seen = (seen if field is None else seen * field).astype(np.float32)
    grid = demo().grid[: SCALE * H, : SCALE * W].zoom_out(SCALE)
    series = Series(seen[None], np.ones((1, H, W), bool), (day,), BANDS, grid, ("seen",))
    clear = np.ones(truth.shape[1:], bool)
    return Pair(series, day, SCALE, "shore", f"{day}", REAL, truth, clear, SIGMA)


def numbers(fitted: Fitted) -> dict[str, Any]:
    return {
        name: np.array(value)
        for name, value in as_json(fitted).items()
        if name not in ("method", "bands")
    }


def assert_same(one: Fitted, other: Fitted, atol: float = 0.0) -> None:
    first, second = numbers(one), numbers(other)
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, rtol=0, atol=atol, err_msg=name)


def gentle(strength: float = 0.15) -> Floats:
    """[H, W] a gain that varies over the whole image."""
    row, col = np.mgrid[:H, :W]
    return (1 + strength * np.sin(row / H * 2) * np.cos(col / W * 3)).astype(np.float32)


def invisible(chance: np.random.Generator) -> Floats:
    """[C, SCALE·H, SCALE·W] detail that ``degrade`` takes away, to rounding."""
    made = []
    for sigma in SIGMA:
        seen = [
            degrade(np.eye(SCALE * side, dtype=np.float32)[:, :, None].repeat(SCALE, 2), SCALE,
                    [sigma] * (SCALE * side))[..., 0].T.astype(np.float64)
            for side in (H, W)
        ]  # fmt: skip
        rows, cols = (np.linalg.pinv(each) @ each for each in seen)
        noise = chance.normal(0, 0.05, (SCALE * H, SCALE * W))
        made.append(noise - rows @ noise @ cols.T)
    return np.array(made, np.float32)


@every
def test_detail_that_the_sensor_cannot_see_has_no_say(method: str) -> None:
    pair = make_pair(gain=1.3, offset=0.02, seen_on=DAYS[2])
    detail = invisible(np.random.default_rng(0))
    assert detail.std() > 0.02
    other = replace(pair, reference=pair.reference + detail)
    assert_same(HARMONISERS[method](pair), HARMONISERS[method](other), atol=2e-5)


def test_detail_that_it_can_see_has() -> None:
    pair = make_pair(gain=1.3, offset=0.02, seen_on=DAYS[2])
    noise = np.random.default_rng(0).normal(0, 0.05, pair.reference.shape)
    other = replace(pair, reference=(pair.reference + noise).astype(np.float32))
    for method in ("gain", "contrast", "histogram", "field"):
        with pytest.raises(AssertionError):
            assert_same(HARMONISERS[method](pair), HARMONISERS[method](other), atol=2e-5)


@every
def test_what_lies_under_cloud_has_no_say(method: str) -> None:
    pair = make_pair(gain=1.3, offset=0.02, seen_on=DAYS[2])
    clear, seen = pair.clear.copy(), pair.series.clear.copy()
    clear[90:, :40], seen[:, :20, 50:] = False, False
    fits = []
    for value in (0.0, 0.9):
        images, reference = pair.series.images.copy(), pair.reference.copy()
        images[:, :, :20, 50:], reference[:, 90:, :40] = value, value
        series = replace(pair.series, images=images, clear=seen)
        cloudy = replace(pair, series=series, reference=reference, clear=clear)
        fits.append(HARMONISERS[method](cloudy))
    assert_same(*fits)


@pytest.mark.parametrize("method", ["gain", "contrast", "field", "histogram"])
def test_a_planted_gain_and_offset_are_undone(method: str) -> None:
    pair = make_pair(gain=1.4, offset=0.03)
    made = harmonised(pair, HARMONISERS[method](pair))
    np.testing.assert_allclose(made.reference, 1.4 * pair.reference + 0.03, atol=0.004)
    assert np.abs(pair.reference - made.reference).mean() > 0.05
    assert made.clear is pair.clear and made.series is pair.series


def test_what_changed_between_the_days_does_not_decide() -> None:
    pair = make_pair(gain=1.4, offset=0.03, field=gentle())
    images = pair.series.images.copy()
    images[:, :, 30:45, 20:35] = 0.6  # a roof, where there was a field
    changed = replace(pair, series=replace(pair.series, images=images))
    one, other = (HARMONISERS["gain"](each) for each in (pair, changed))
    np.testing.assert_allclose(other(pair.reference), one(pair.reference), atol=0.002)
    one, other = (field(each, width=40) for each in (pair, changed))
    np.testing.assert_allclose(other(pair.reference), one(pair.reference), rtol=0.06)


def test_nothing_is_done_by_none() -> None:
    pair = make_pair(gain=1.4, offset=0.03)
    np.testing.assert_array_equal(
        harmonised(pair, HARMONISERS["none"](pair)).reference, pair.reference
    )


def test_a_planted_field_is_found_by_a_field_only() -> None:
    pair = make_pair(gain=1.4, offset=0.03, field=gentle())
    fine = np.kron(gentle(), np.ones((SCALE, SCALE), np.float32))
    wanted = (1.4 * pair.reference + 0.03) * fine
    off = {
        name: float(np.abs(fit(pair)(pair.reference) - wanted).mean())
        for name, fit in HARMONISERS.items()
    }
    off["field"] = float(np.abs(field(pair, WIDTH)(pair.reference) - wanted).mean())
    assert off["field"] < 0.2 * min(off["gain"], off["contrast"], off["histogram"])


def local_level(pair: Pair, period: float, along: int, strength: float) -> Floats:
    """[C, H, W] what a field makes of the local means of the reference, in ratio to the level.

    Waves of this period, in low-resolution pixels, and this strength, in ratio to the level too,
    are added to what was seen.
    """
    images = pair.series.images
    wave = strength * np.cos(2 * np.pi * np.mgrid[:H, :W][along] / period)
    mean = images.mean((2, 3), keepdims=True)
    series = replace(pair.series, images=(images + wave * mean).astype(np.float32))
    fitted = field(replace(pair, series=series), WIDTH)
    level = ndimage.gaussian_filter(both_at_low_resolution(pair)[0], (0, 7, 7))
    return fitted(level) / mean[0]


@pytest.mark.parametrize("along", [0, 1])
@pytest.mark.parametrize("share", [1.0, 0.6, 0.3])
def test_a_field_is_blind_to_waves_of_its_width_and_shorter(share: float, along: int) -> None:
    """But beside a border, where means are of one side only: a fifth of them passes there."""
    edge = round(1.3 * WIDTH)
    for pair, most in ((make_pair(), 0.03), (make_pair(seen_on=DAYS[2]), 0.1)):
        still, moved = (local_level(pair, share * WIDTH, along, s) for s in (0, 0.02))
        passed = np.abs(moved - still) / 0.02
        assert passed[:, edge:-edge, edge:-edge].max() < most
        assert passed.max() < 0.25


@pytest.mark.parametrize("along", [0, 1])
def test_a_field_follows_waves_of_many_widths(along: int) -> None:
    still, moved = (local_level(make_pair(), 5 * WIDTH, along, s) for s in (0, 0.02))
    assert 0.5 < np.abs(moved - still).max() / 0.02 < 1


def test_a_field_keeps_detail_and_has_bounds() -> None:
    pair = make_pair(field=gentle())
    fitted = field(pair, WIDTH)
    spot = np.zeros_like(pair.reference)
    spot[:, 40, 60] = 0.1
    added = fitted(pair.reference + spot) - fitted(pair.reference)
    there = fitted.gain * fitted.over((SCALE * H, SCALE * W))[:, 40, 60] * 0.1
    np.testing.assert_allclose(added[:, 40, 60], there, rtol=1e-3)
    assert np.count_nonzero(np.abs(added) > 1e-6) == len(BANDS)
    dark = np.ones((H, W), np.float32)
    dark[:, 40:] = 0.1
    nodes = field(make_pair(field=dark), WIDTH).nodes
    assert nodes.min() >= 1 / MOST and nodes.max() <= MOST


def test_a_histogram_is_that_of_scikit_image() -> None:
    pair = make_pair(gain=1.4, offset=0.03, seen_on=DAYS[3])
    x, y, clear = both_at_low_resolution(pair)
    assert clear.all()
    ours = HARMONISERS["histogram"](pair)(x)
    theirs = match_histograms(x, y, channel_axis=0)
    inner = (theirs > np.quantile(y, 0.01, (1, 2))[:, None, None]) & (
        theirs < np.quantile(y, 0.99, (1, 2))[:, None, None]
    )
    assert np.abs(ours - theirs)[inner].mean() < 0.002
    assert np.abs(x - theirs)[inner].mean() > 0.05
    far = np.full((len(BANDS), 2, 3), 2.0, np.float32)
    assert (HARMONISERS["histogram"](pair)(far) > y.max()).all()


def test_a_histogram_bends_detail_and_a_gain_does_not() -> None:
    pair = make_pair(seen_on=DAYS[0])
    spots = np.linspace(0.02, 0.3, 30, dtype=np.float32) * np.ones((len(BANDS), 1, 1), np.float32)
    steps = {name: np.diff(HARMONISERS[name](pair)(spots)) for name in ("gain", "histogram")}
    uneven = {name: (np.ptp(each, axis=2) / each.mean(2)).max() for name, each in steps.items()}
    assert uneven["gain"] < 1e-3 and uneven["histogram"] > 0.5


@pytest.mark.parametrize("method", ["gain", "contrast", "histogram"])
def test_one_fit_over_many_pairs_is_robust_to_one_that_is_wrong(method: str) -> None:
    right = [make_pair(day, gain=1.4, offset=0.03) for day in DAYS]
    fitted = fit_over(iter(right), method)
    other = make_pair(DAYS[2], gain=1.4, offset=0.03)
    made = harmonised(other, fitted).reference
    np.testing.assert_allclose(made, 1.4 * other.reference + 0.03, atol=0.006)
    if method == "gain":
        wrong = fit_over([*right, make_pair(DAYS[1], gain=0.3)], method)
        assert isinstance(wrong, Linear)
        np.testing.assert_allclose(wrong.gain, 1.4, rtol=0.05)


def test_every_pair_has_as_much_say_however_much_of_it_is_clear() -> None:
    small, large = make_pair(gain=1.0), make_pair(gain=2.0)
    clear = np.zeros_like(small.clear)
    clear[:80, :80] = True
    small = replace(small, clear=clear)
    seen = [both_at_low_resolution(each) for each in (small, large)]
    means = [lr[:, where].mean(1) for _, lr, where in seen]
    assert 1024 < seen[0][2].sum() < 0.3 * seen[1][2].sum()
    fitted = fit_over([small, large], "histogram")
    assert isinstance(fitted, Quantiles)
    np.testing.assert_allclose(fitted.wanted.mean(1), np.mean(means, axis=0), rtol=0.04)


def test_test_pairs_are_not_looked_at_by_a_fit_over_others() -> None:
    """What is applied to a pair depends on the pairs that were given, not on it."""
    fitted = fit_over([make_pair(day, gain=1.4) for day in DAYS[:2]])
    pair = make_pair(DAYS[3], gain=0.7, offset=0.1)
    np.testing.assert_array_equal(harmonised(pair, fitted).reference, fitted(pair.reference))
    assert abs(float(fitted(pair.reference).mean() / pair.reference.mean()) - 1.4) < 0.01


@every
def test_a_fit_survives_json(method: str) -> None:
    pair = make_pair(gain=1.3, offset=0.02, field=gentle())
    fitted = HARMONISERS[method](pair)
    again = from_json(json.loads(json.dumps(as_json(fitted), allow_nan=False)))
    assert type(again) is type(fitted) and again.method == method and again.bands == BANDS
    assert_same(again, fitted)
    np.testing.assert_array_equal(again(pair.reference), fitted(pair.reference))


def broken(method: str, changes: dict[str, Any]) -> Callable[[], Fitted]:
    def read() -> Fitted:
        told = {**as_json(HARMONISERS[method](make_pair())), **changes}
        return from_json({name: value for name, value in told.items() if value is not None})

    return read


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("gain", {"method": "magic"}, "magic is no method of a fit; choose from none, gain"),
        ("gain", {"method": None}, "None is no method of a fit"),
        ("gain", {"gain": None}, r"the gain fit is not whole \('gain'\)"),
        ("gain", {"gain": [1.0, 2.0]}, r"gain of a gain fit is \[2\]; .* \[3\] finite numbers"),
        ("gain", {"gain": [1.0, [2.0], 3.0]}, "the gain fit is not whole"),
        ("gain", {"offset": [0.0, float("nan"), 0.0]}, r"offset of a gain fit .* finite"),
        ("gain", {"gain": "1, 2, 3"}, "the gain fit is not whole"),
        ("field", {"width": 0.0}, "width must be at least 1 low-resolution pixel"),
        ("field", {"width": float("nan")}, "width must be at least 1 low-resolution pixel"),
        ("field", {"shape": [10**9, 10**9]}, "nodes of a field fit is"),
        ("field", {"shape": [4]}, "the field fit is not whole"),
        ("histogram", {"given": [[0.2] * 100] * 3}, "falls or is the same everywhere"),
        ("histogram", {"wanted": [[*range(99), 0.0]] * 3}, "falls or is the same everywhere"),
        ("histogram", {"wanted": [[0.0, 1.0]] * 3}, r"wanted of a histogram fit is \[3, 2\]"),
    ],
)
def test_a_broken_fit_is_refused(method: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        broken(method, changes)()


def test_what_cannot_be_fitted_is_named() -> None:
    pair = make_pair()
    at_sensor = replace(pair, reference=pair.series.images[0], clear=pair.series.clear[0])
    few = np.zeros_like(pair.clear)
    few[20:28, 20:28] = True
    for method in ("gain", "contrast", "field", "histogram"):
        with pytest.raises(InputError, match="lies on the grid of its series"):
            HARMONISERS[method](at_sensor)
        with pytest.raises(InputError, match=r"only \d+ pixels are clear in both images"):
            HARMONISERS[method](replace(pair, clear=few))
        flat = replace(pair, reference=np.full_like(pair.reference, 0.2))
        with pytest.raises(InputError, match="the same everywhere"):
            HARMONISERS[method](flat)
    with pytest.raises(InputError, match="width must be at least 1"):
        field(pair, 0.5)
    with pytest.raises(InputError, match="field cannot be fitted over many pairs; choose"):
        fit_over([pair], "field")
    with pytest.raises(InputError, match="there are no pairs to fit over"):
        fit_over([])
    two = pair.select(BANDS[:2])
    with pytest.raises(InputError, match="has bands B02, B03, those before it B02, B03, B08"):
        fit_over([pair, two])
    with pytest.raises(InputError, match=r"the fit is of bands B02, B03, B08, .* has B02, B03;"):
        harmonised(two, HARMONISERS["gain"](pair))
    assert isinstance(HARMONISERS["field"](pair), Field)
    assert isinstance(HARMONISERS["histogram"](pair), Quantiles)
