"""The laws of the house, kept by the whole method with the weights that users have."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

import sitsr
from conftest import BANDS, SIGMA, TARGET, cloudy, landscape, make_model, make_series
from sitsr.inference import Settings, ground_origin, how_served, is_far, looks, super_resolve
from sitsr.model import Estimate, Model, bundled_weights
from sitsr.radiometry import degrade
from sitsr.series import FAR_DAYS, NEVER, SUPPORT, Floats, InputError, Series, SuperResolved

B, T, C, H, W = 4, 3, len(BANDS), 9, 14
QUICK = Settings(samples=2, steps=1, seed=3)


def same(one: SuperResolved, other: SuperResolved, tolerance: float = 2e-5) -> None:
    for name in ("mean", "spread", "samples"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=0, atol=tolerance, err_msg=name
        )


def run(series: Series, model: Model, **changes: int) -> SuperResolved:
    return super_resolve(series, TARGET, model, replace(QUICK, **changes))


# ------------------------------------------------------------- how a scene is cut


@pytest.mark.parametrize("steps", [1, 2])
def test_the_answer_does_not_depend_on_the_tiles(model: Model, steps: int) -> None:
    series = make_series((67, 98), days=(-9, 0, 30))
    whole = run(series, model, steps=steps, tile=1000, samples=1)
    for tile in (32, 48, 96):
        same(run(series, model, steps=steps, tile=tile, samples=1), whole)


def test_tiny_tiles_of_a_shallow_model_see_enough_as_well() -> None:
    shallow = make_model(
        encoder_settings={"frame_blocks": 0, "trunk_blocks": 0},
        generator_settings={"width": 8, "blocks": 1},
    )
    series = make_series((33, 41), days=(-9, 0, 30))
    same(run(series, shallow, tile=5), run(series, shallow, tile=1000), tolerance=2e-6)


def test_part_of_a_scene_gives_the_pixels_of_the_whole(model: Model) -> None:
    """Noise belongs to the ground: far from the cut, samples are the same as well."""
    series, margin = make_series((75, 80), days=(-9, 0)), model.reach(1)
    rows, cols = slice(3, 75), slice(6, 80)
    part, whole = run(series.crop(rows, cols), model), run(series, model)
    inner = np.s_[..., 4 * margin : -4 * margin, 4 * margin : -4 * margin]
    np.testing.assert_allclose(
        part.samples[inner], whole.samples[:, :, 12:, 24:][inner], rtol=0, atol=2e-5
    )


def test_the_origin_counts_pixels_southward_and_eastward() -> None:
    series = make_series(corner=(488_000, 4_693_000))
    assert ground_origin(series) == (-469_300, 48_800)
    assert ground_origin(series.crop(slice(2, 9), slice(5, 14))) == (-469_298, 48_805)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (2, 40)])
def test_tiny_pictures_are_served(model: Model, shape: tuple[int, int]) -> None:
    made = run(make_series(shape), model)
    assert made.mean.shape == (C, 4 * shape[0], 4 * shape[1])
    for image in (made.mean, made.spread, made.samples):
        assert np.isfinite(image).all()


# ------------------------------------------------------------- batches


def batch(rows: int = H, cols: int = W) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.from_numpy(landscape((B, T, C, rows, cols)))
    clear = torch.from_numpy(np.stack([cloudy((T, rows, cols), 0.4, k) for k in range(B)]))
    days = torch.tensor([[-20.0, 0, 12], [3.0, 40, -9], [0, 200, -1], [-4, -3, 5]])
    return images, clear, days


def answers(model: Model, frames: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Mean, spread and one sample, whatever the number of examples or images."""
    with torch.inference_mode():
        estimate: Estimate = model(*frames)
        chance = torch.Generator().manual_seed(5)
        noise = torch.randn(B, *estimate.mean.shape[1:], generator=chance)
        drawn = model.sample(estimate, lambda field: noise[: len(estimate.mean)], 2)
    return estimate.mean, estimate.spread, drawn


def close(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-5)


def test_examples_of_a_batch_do_not_know_each_other(model: Model) -> None:
    frames = batch()
    together = answers(model, frames)
    for k in range(B):
        with torch.inference_mode():
            alone = model(*(each[k : k + 1] for each in frames))
        torch.testing.assert_close(together[0][k : k + 1], alone.mean, rtol=0, atol=2e-5)
        torch.testing.assert_close(together[1][k : k + 1], alone.spread, rtol=0, atol=2e-5)


@pytest.mark.parametrize("paint", [9.0, -1.0])
def test_what_lies_under_cloud_does_not_matter(model: Model, paint: float) -> None:
    images, clear, days = batch()
    painted = images.where(clear.unsqueeze(2), torch.tensor(paint))
    close(answers(model, (painted, clear, days)), answers(model, (images, clear, days)))


def test_the_order_of_the_images_does_not_matter(model: Model) -> None:
    frames, order = batch(), [2, 0, 1]
    moved = tuple(each[:, order] for each in frames)
    close(answers(model, moved), answers(model, frames))  # type: ignore[arg-type]


def test_an_image_all_under_cloud_adds_nothing(model: Model) -> None:
    images, clear, days = batch()
    more = (
        torch.cat([images, torch.full_like(images[:, :1], 0.9)], 1),
        torch.cat([clear, torch.zeros_like(clear[:, :1])], 1),
        torch.cat([days, torch.zeros_like(days[:, :1])], 1),
    )
    close(answers(model, more), answers(model, (images, clear, days)))


def test_all_images_given_twice_change_nothing(model: Model) -> None:
    images, clear, days = batch()
    twice = (torch.cat([images] * 2, 1), torch.cat([clear] * 2, 1), torch.cat([days] * 2, 1))
    close(answers(model, twice), answers(model, (images, clear, days)))


def test_a_margin_of_nodata_is_the_outside_of_the_picture(model: Model) -> None:
    """Mean, spread and samples alike, to the very border."""
    images, clear, days = batch(30, 35)
    left, right, top, bottom = margins = (2, 3, 4, 1)
    framed = (pad(images, margins, value=1.0), pad(clear, margins), days)
    cut = np.s_[..., 4 * top : -4 * bottom, 4 * left : -4 * right]
    noise = torch.randn(len(images), 4, 4 * 35, 4 * 40, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain, padded = model(images, clear, days), model(*framed)
        close(padded.mean[cut], plain.mean)
        close(padded.spread[cut], plain.spread)
        for steps in (1, 3):
            drawn = model.sample(plain, lambda field: noise[cut], steps)
            close(model.sample(padded, lambda field: noise, steps)[cut], drawn)


# ------------------------------------------------------------- dates and gaps


def test_ground_never_seen_stays_empty(model: Model) -> None:
    series = make_series()
    clear = series.clear.copy()
    clear[:, 2:4, 5:9] = False
    made = run(replace(series, clear=clear), model)
    never = np.zeros(made.mean.shape[1:], bool)
    never[8:16, 20:36] = True
    for image in (made.mean, made.spread, *made.samples):
        np.testing.assert_array_equal(np.isnan(image), np.broadcast_to(never, image.shape))
    assert (made.clear_count[2:4, 5:9] == 0).all() and (made.nearest_days[2:4, 5:9] == NEVER).all()


def test_a_series_all_under_cloud_gives_nothing(model: Model) -> None:
    series = make_series()
    made = run(replace(series, clear=np.zeros_like(series.clear)), model)
    assert np.isnan(made.mean).all() and not made.clear_count.any()


def test_count_and_nearest_date_are_those_of_each_pixel(model: Model) -> None:
    series = make_series(days=(-35, -6, 0, 11, 40))
    made = run(series, model, samples=0)
    for row, col in ((0, 0), (4, 7), (8, 13), (6, 2)):
        clear = series.clear[:, row, col]
        days = [day for day, seen in zip((-35, -6, 0, 11, 40), clear, strict=True) if seen]
        assert made.clear_count[row, col] == len(days)
        assert made.nearest_days[row, col] == min(days, key=abs)


@pytest.mark.parametrize(
    ("days", "said", "warns"),
    [
        ((-9, 0, 12), "acquired on this day; other dates fill and sharpen it", False),
        ((-9, 4, 12), "between acquisitions: the nearest acquisition is 4 days after", False),
        ((-90, -7), "after the last acquisition: the nearest acquisition is 7 days before", False),
        ((31, 70), "before the first acquisition: the nearest acquisition is 31 days after", False),
        ((-90, -FAR_DAYS), "nearest acquisition is 60 days before", False),
        ((-90, -FAR_DAYS - 1), "nearest acquisition is 61 days before", True),
        ((-400, 300), "nearest acquisition is 300 days after", True),
    ],
)
def test_it_is_said_how_a_date_was_served(days: tuple[int, ...], said: str, warns: bool) -> None:
    dates = [TARGET + timedelta(days=day) for day in days]
    assert said in how_served(dates, TARGET)
    assert is_far(dates, TARGET) == warns


@pytest.mark.parametrize(
    ("days", "seen", "support"),
    [
        ((-5, 0, 9), (False, False, False), "never seen"),
        ((-5, 0, 9), (True, True, False), "seen on the day"),
        ((-5, 0, 9), (True, False, True), "between clear looks"),
        ((-5, 0, 9), (False, False, True), "before the first or after the last clear look"),
        ((-5, 0, 9), (True, False, False), "before the first or after the last clear look"),
        ((-200, 61), (True, True), "more than 60 days from any clear look"),
        ((-200, 60), (True, True), "between clear looks"),
        ((-200, -61), (True, True), "more than 60 days from any clear look"),
    ],
)
def test_every_pixel_has_its_class_of_support(
    days: tuple[int, ...], seen: tuple[bool, ...], support: str
) -> None:
    clear = np.zeros((len(days), 3, 5), bool)
    clear[:, 1, 2] = seen
    _, _, classes = looks(clear, np.array(days, np.float32))
    assert SUPPORT[classes[1, 2]] == support
    assert (np.delete(classes.ravel(), 7) == 0).all()


@pytest.mark.parametrize("away", [-3000, -100, 5, 100, 3000])
def test_any_date_is_served_with_finite_numbers(model: Model, away: int) -> None:
    made = super_resolve(make_series(), TARGET + timedelta(days=away), model, QUICK)
    for image in (made.mean, made.spread, made.samples):
        assert np.isfinite(image).all()


# ------------------------------------------------------------- samples and seeds


def test_a_seed_gives_the_same_samples_and_another_gives_others(model: Model) -> None:
    series = make_series()
    one, again, other = run(series, model), run(series, model), run(series, model, seed=4)
    np.testing.assert_array_equal(one.samples, again.samples)
    apart = np.abs(one.samples - other.samples).mean()
    assert apart > 0.3 * one.spread.mean()
    assert np.abs(one.samples[0] - one.samples[1]).mean() > 0.3 * one.spread.mean()


def test_more_samples_begin_with_the_same_ones(model: Model) -> None:
    series = make_series()
    fewer, more = run(series, model, samples=2), run(series, model, samples=3)
    np.testing.assert_array_equal(more.samples[:2], fewer.samples)


def test_the_mean_does_not_depend_on_how_samples_are_drawn(model: Model) -> None:
    series = make_series()
    usual = run(series, model)
    for changes in ({"samples": 0}, {"steps": 3}, {"seed": 9}):
        made = run(series, model, **changes)
        np.testing.assert_allclose(made.mean, usual.mean, rtol=0, atol=1e-6)
        np.testing.assert_allclose(made.spread, usual.spread, rtol=0, atol=1e-6)
    assert run(series, model, samples=0).samples.shape == (0, C, 4 * H, 4 * W)


@pytest.mark.parametrize(
    ("field", "value", "least"),
    [("samples", -1, 0), ("steps", 0, 1), ("tile", 0, 1), ("seed", -5, 0)],
)
def test_settings_refuse_what_makes_no_sense(field: str, value: int, least: int) -> None:
    with pytest.raises(InputError, match=f"{field} must be {least} or more, got {value}"):
        Settings(**{field: value})


def test_bands_are_found_by_name_and_missing_ones_refused(model: Model) -> None:
    series = make_series()
    turned = series.select(("B08", "B04", "B02", "B03"))
    same(run(turned, model), run(series, model), tolerance=0)
    with pytest.raises(InputError, match="but not B08"):
        run(series.select(("B02", "B03", "B04")), model)


def test_progress_and_provenance_tell_what_was_done(model: Model) -> None:
    told: list[tuple[int, int]] = []
    series = make_series((5, 8))
    made = super_resolve(
        series, TARGET, model, replace(QUICK, tile=4), lambda *step: told.append(step)
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert made.provenance["seed"] == 3 and made.provenance["inputs"] == list(series.sources)
    assert made.target == TARGET and made.scale == 4 and made.bands == BANDS
    assert made.grid == series.grid.zoom_out(1 / 4)


# ------------------------------------------------------------- what the sensor saw


@pytest.fixture(scope="module")
def demo() -> Series:
    folder = Path(sitsr.__file__).parent / "demo"
    return sitsr.open_series(folder).select(BANDS).crop(slice(20, 64), slice(10, 67))


def missed(image: Floats, series: Series, target: date, sigma: tuple[float, ...] = SIGMA) -> float:
    """Root mean square of what the sensor would see more or less than it did, reflectance."""
    on = series.dates.index(target)
    clear = series.clear[on].copy()
    clear[[0, 1, -2, -1]] = clear[:, [0, 1, -2, -1]] = False
    seen = degrade(np.nan_to_num(image), 4, sigma)
    return float(np.sqrt(np.mean((seen - series.images[on])[:, clear] ** 2)))


@pytest.mark.skipif(not bundled_weights().exists(), reason="asks for the trained weights")
def test_four_far_dates_one_under_haze_give_an_image_all_the_same(
    model: Model, demo: Series
) -> None:
    """Networks without normalisation may explode where training never led them."""
    chance = np.random.default_rng(0)
    for _ in range(24):
        frames = sorted(chance.choice(len(demo.dates), 4, replace=False).tolist())
        target = demo.dates[0] + timedelta(days=int(chance.integers(900)))
        few = demo.keep(frames)
        images, hazy = few.images.copy(), int(chance.integers(4))
        images[hazy] = images[hazy] * chance.uniform(0.5, 1) + chance.uniform(0, 0.5)
        few = replace(few, images=images, clear=np.ones_like(few.clear))
        made = super_resolve(few, target, model, replace(QUICK, samples=0))
        assert np.nanmin(made.mean) > -0.5 and np.nanmax(made.mean) < 1.5, (frames, target)


def test_what_another_sensor_saw_is_kept_once_its_blur_is_told(demo: Series) -> None:
    target, other, model = date(2020, 6, 21), (0.35,) * C, make_model(5)
    told = super_resolve(demo, target, model, replace(QUICK, psf=(0.35,)))
    usual = super_resolve(demo, target, model, QUICK)
    for image, untold in zip((told.mean, *told.samples), (usual.mean, *usual.samples), strict=True):
        assert missed(image, demo, target, other) < 0.5 * missed(untold, demo, target, other)


def test_the_blur_that_weights_are_made_for_changes_nothing(demo: Series) -> None:
    model, target = make_model(5), date(2020, 6, 21)
    same(
        super_resolve(demo, target, model, QUICK),
        super_resolve(demo, target, model, replace(QUICK, psf=SIGMA)),
        tolerance=0,
    )
    assert model.card.sigma == SIGMA  # and another's is forgotten afterwards


@pytest.mark.parametrize(
    ("psf", "said"),
    [
        ((0.0,), r"psf must be from 0\.1 to 2 pixels of the series, got 0\.0"),
        ((0.4, float("nan"), 0.4, 0.4), "psf must be from"),
        ((0.4, 0.5), "psf has 2 numbers; give one, or one for each of B02, B03, B04, B08"),
        ((), "psf has 0 numbers"),
    ],
)
def test_a_blur_that_cannot_be_is_refused(psf: tuple[float, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        super_resolve(make_series((H, W)), TARGET, make_model(), replace(QUICK, psf=psf))


@pytest.mark.skipif(not bundled_weights().exists(), reason="asks for the trained weights")
@pytest.mark.parametrize("target", [date(2020, 6, 21), date(2021, 7, 16)])
def test_what_the_sensor_saw_on_the_day_is_kept(model: Model, demo: Series, target: date) -> None:
    made = super_resolve(demo, target, model, QUICK)
    for image in (made.mean, *made.samples):
        assert missed(image, demo, target) < 0.003
