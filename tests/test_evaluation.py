"""Laws: what was planted between two sensors is undone, no system having a say; a perfect sampler
scores as one; a control is worse than what it was made from; nothing but oracles sees the truth."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from conftest import make_card
from sitsr.baselines import nearest_bicubic
from sitsr.datasets import REAL, Pair, Task, at_hand
from sitsr.evaluation import (
    Entrant,
    Estimate,
    align,
    at_equal_contrast,
    baselines,
    calibration,
    comparison_figure,
    competitor,
    controls,
    deterministic,
    oracles,
    prepare,
    score,
)
from sitsr.evaluation.bench import score_one
from sitsr.evaluation.scoring import flicker
from sitsr.evaluation.suites import AT_SENSOR, held_out_at_sensor
from sitsr.radiometry import degrade
from sitsr.series import InputError, Series

T, C, H, W, SCALE, M = 2, 3, 18, 23, 4, 8
BANDS = ("B02", "B03", "B04")
SIGMA = (0.5, 0.45, 0.5)
TARGET = date(2021, 7, 18)


def landscape(chance):
    """[C, SCALE·H, SCALE·W] reflectance."""
    noise = chance.normal(size=(C, SCALE * H, SCALE * W))
    layers = [ndimage.gaussian_filter(noise, (0, s, s)) * s for s in (1, 4, 9)]
    return (0.2 + 0.04 * sum(layers)).astype(np.float32)


def make_pair(seed=0, kind="scale transfer", site="valley"):
    """A truth, and the same truth as the sensor saw it on the target date and 9 days before."""
    truth = landscape(np.random.default_rng(seed))
    seen = degrade(truth, SCALE, SIGMA)
    grid = GeoBox((H, W), Affine(10, 0, 0, 0, -10, 0), "EPSG:32632")
    series = Series(
        np.stack([seen + np.float32(0.02), seen]),
        np.ones((T, H, W), bool),
        (date(2021, 7, 9), TARGET),
        BANDS,
        grid,
        ("earlier", "target"),
    )
    clear = np.ones(truth.shape[1:], bool)
    return Pair(series, TARGET, SCALE, site, f"seed {seed}", kind, truth, clear, SIGMA)


def sampler(chance, spread, members=M):
    """Samples that miss by 0.03 times spread about a mean that misses by 0.03."""

    def run(pair, seed):
        mean = pair.reference + chance.normal(0, 0.03, pair.reference.shape)
        samples = mean + chance.normal(0, spread * 0.03, (members, *mean.shape))
        return Estimate(mean.astype(np.float32), samples.astype(np.float32))

    return run


def scored(pair, run):
    return score(prepare(pair), run(pair, 0))


def test_a_perfect_sampler_scores_as_one():
    scores = scored(make_pair(), sampler(np.random.default_rng(1), 1.0))
    for level in (50, 80, 90):
        assert scores[f"coverage{level}"] == pytest.approx(level / 100, abs=0.01)
    assert scores["spread_skill"] == pytest.approx(1, abs=0.02)
    assert scores["sample_drop"] == pytest.approx(10 * math.log10(2), abs=0.05)
    assert scores["sample_drop"] == scores["psnr"] - scores["sample_psnr"]
    assert scores["psnr"] == pytest.approx(-20 * math.log10(0.03), abs=0.1)
    assert scores["crps"] == pytest.approx(0.03 / math.sqrt(math.pi), rel=0.02)
    assert scores["crps"] < scores["mae"]
    counts = np.array([scores[f"rank_{n:02}"] for n in range(M + 1)])
    np.testing.assert_allclose(counts / counts.sum(), 1 / (M + 1), rtol=0.1)
    assert scores["risk_100"] == pytest.approx(scores["rmse"], rel=1e-5)


def test_an_over_confident_sampler_does_not():
    scores = scored(make_pair(), sampler(np.random.default_rng(1), 0.4))
    assert scores["coverage90"] < 0.85
    assert scores["spread_skill"] < 0.5
    assert scores["sample_drop"] < 1


def posterior(spread):
    """A system that draws from the exact posterior of a Gaussian ground seen with Gaussian noise.

    hr ~ N(m, s²) and y = hr + N(0, r²) give hr | y ~ N(m + k (y - m), (1 - k) s²) with
    k = s² / (s² + r²); spread multiplies the samples' deviation: 1 is the posterior itself.
    """
    prior, noise, middle = 0.05, 0.04, 0.2
    k = prior**2 / (prior**2 + noise**2)
    deviation = math.sqrt(1 - k) * prior

    def pair(n):
        chance = np.random.default_rng((n, 0))
        made = make_pair(n, site=f"site {n}")
        truth = chance.normal(middle, prior, made.reference.shape).astype(np.float32)
        return replace(made, reference=truth)

    def run(pair, seed):
        chance = np.random.default_rng((int(pair.site.split()[1]), 1 + seed))
        y = pair.reference + chance.normal(0, noise, pair.reference.shape)
        mean = middle + k * (y - middle)
        samples = mean + chance.normal(0, spread * deviation, (16, *mean.shape))
        return Estimate(mean.astype(np.float32), samples.astype(np.float32))

    entrant = Entrant("posterior", "system", run, "1")
    return [score_one(entrant, prepare(pair(n)), 0)[0] for n in range(6)]


def test_a_perfect_posterior_sampler_is_reported_as_calibrated():
    rows = posterior(1.0)
    found = calibration(rows, "posterior", 0)
    assert found.verdict == "calibrated"
    assert found.p_rank > 0.05
    assert np.mean([row.figures["sample_drop"] for row in rows]) == pytest.approx(3.01, abs=0.05)


def test_an_over_confident_sampler_is_not_reported_as_calibrated():
    found = calibration(posterior(0.6), "posterior", 0)
    assert found.verdict == "over-confident"
    assert found.p_rank < 0.05
    assert calibration(posterior(1.5), "posterior", 0).verdict == "under-confident"


def test_without_samples_the_crps_is_the_mean_absolute_error():
    figures = score_one(baselines()[0], prepare(make_pair()), 0)[0].figures
    assert figures["crps"] == figures["mae"] > 0
    assert not {"coverage90", "spread_skill", "sample_psnr", "rank_00"} & figures.keys()


def test_consistency_is_with_what_was_seen_on_the_target_date():
    pair = make_pair()
    truth = Estimate(pair.reference, np.empty((0, *pair.reference.shape), np.float32))
    assert score(prepare(pair), truth)["consistency"] == pytest.approx(0, abs=1e-6)
    bright = replace(truth, mean=truth.mean + np.float32(0.05))
    assert score(prepare(pair), bright)["consistency"] == pytest.approx(0.05, abs=1e-5)
    cloudy = pair.series.clear.copy()
    cloudy[1] = False
    for series in (pair.series.keep([0]), replace(pair.series, clear=cloudy)):
        assert "consistency" not in score(prepare(replace(pair, series=series)), truth)


def test_a_reference_at_low_resolution_is_met_by_what_the_sensor_would_see():
    pair = make_pair()
    held_out = replace(
        pair,
        series=pair.series.keep([0]),
        reference=pair.series.images[1],
        clear=np.ones((H, W), bool),
        kind=AT_SENSOR,
    )
    assert held_out.at_sensor and not pair.at_sensor
    truth = competitor("truth", "system", deterministic(lambda task: pair.reference), "1")
    figures = score_one(truth, prepare(held_out), 0)[0].figures
    assert figures["rmse"] == pytest.approx(0, abs=1e-6)
    assert figures["gap_days"] == 9
    assert "ssim" not in figures and "detail" not in figures
    figures = score_one(baselines()[0], prepare(held_out), 0)[0].figures
    wanted = np.abs(
        degrade(nearest_bicubic(pair.series.keep([0]), TARGET, SCALE), SCALE, SIGMA)
        - pair.series.images[1]
    ).mean()
    assert figures["mae"] == pytest.approx(wanted, rel=1e-6)


def placed(image, dy, dx):
    """The image moved by cubic splines, as another sensor's pixels might lie."""
    return np.stack([ndimage.shift(band, (dy, dx), order=3, mode="nearest") for band in image])


def plant(pair, dy, dx, gain, offset):
    """The pair as another sensor would have given it: to be shifted, multiplied and added to."""
    reference = (placed(pair.reference, -dy, -dx) - offset) / gain
    return replace(pair, reference=reference.astype(np.float32), kind=REAL)


def test_a_planted_shift_gain_and_offset_are_undone():
    pair = make_pair()
    other = plant(pair, 1.4, -2.25, gain=0.4, offset=-0.03)
    alignment = align(other)
    assert (alignment.dy, alignment.dx) == pytest.approx((1.4, -2.25), abs=0.1)
    np.testing.assert_allclose(alignment.gain, 0.4, rtol=0.03)
    np.testing.assert_allclose(alignment.offset, -0.03, atol=0.01)
    prepared = prepare(other).pair
    assert not prepared.clear.all()
    inner = (slice(None), slice(8, -8), slice(8, -8))
    error = prepared.reference[inner] - pair.reference[inner]
    assert np.sqrt(np.mean(error**2)) < 0.05 * pair.reference.std()
    assert np.abs(other.reference[inner] - pair.reference[inner]).mean() > 0.1


def test_a_planted_gain_is_undone_at_equal_contrast_too():
    pair = make_pair()
    other = plant(pair, 1.4, -2.25, gain=0.4, offset=-0.03)
    alignment = at_equal_contrast(other, align(other))
    assert (alignment.dy, alignment.dx) == pytest.approx((1.4, -2.25), abs=0.1)
    np.testing.assert_allclose(alignment.gain, 0.4, rtol=0.03)
    told = [
        "psnr_contrast" in score_one(baselines()[0], prepare(each), 0)[0].figures
        for each in (other, pair)
    ]
    assert told == [True, False]


def test_clouds_in_either_image_have_no_say_in_the_alignment():
    other = plant(make_pair(), 1.0, 0.5, gain=0.4, offset=0.0)
    images, seen = other.series.images.copy(), other.series.clear.copy()
    images[:, :, 10:, :14], seen[:, 10:, :14] = 0.9, False
    reference, clear = other.reference.copy(), other.clear.copy()
    reference[:, :36, 56:], clear[:36, 56:] = np.nan, False
    cloudy = replace(
        other,
        series=replace(other.series, images=images, clear=seen),
        reference=reference,
        clear=clear,
    )
    alignment = align(cloudy)
    assert (alignment.dy, alignment.dx) == pytest.approx((1.0, 0.5), abs=0.1)
    np.testing.assert_allclose(alignment.gain, 0.4, rtol=0.03)


def test_a_real_pair_is_aligned_once_and_says_how():
    ready = prepare(plant(make_pair(), 1.0, 0.5, gain=0.5, offset=0.0))
    figures = [score_one(each, ready, 0)[0].figures for each in baselines()]
    shifts = {each["shift_rows"] for each in figures}
    assert len(figures) == 5 and len(shifts) == 1
    assert shifts.pop() == pytest.approx(1, abs=0.1)
    assert {"gain_B02", "offset_B04"} < figures[0].keys()
    assert figures[0]["psnr"] > 25


def test_images_that_do_not_match_are_told(caplog):
    pair = make_pair()
    align(replace(pair, reference=1 - pair.reference, kind=REAL))
    assert "do not match" in caplog.text


def test_a_shift_at_the_limit_is_told(caplog):
    align(plant(make_pair(), 9.0, 0.0, gain=1.0, offset=0.0))
    assert "the most that was searched" in caplog.text


def test_other_kinds_are_left_as_they_are():
    pair = make_pair()
    ready = prepare(pair)
    assert ready.pair is pair and ready.contrasted is None
    assert ready.shift == pytest.approx((0, 0), abs=0.1)


def test_one_shift_is_found_for_all_and_undone_in_the_registered_measures():
    pair = make_pair()
    moved = replace(pair, reference=placed(pair.reference, 1.0, -2.5))
    plain, other = (
        score_one(baselines()[0], prepare(each), 0)[0].figures for each in (pair, moved)
    )
    assert (other["shift_rows"], other["shift_cols"]) == pytest.approx((-1, 2.5), abs=0.1)
    assert other["psnr"] < plain["psnr"] - 1
    assert other["cpsnr"] == pytest.approx(plain["cpsnr"], abs=0.1)


def in_time(task):
    """A system that uses the days: it knows how bright the ground is by the day."""
    series = task.series
    days = series.days_from(task.target)
    weight = np.exp(-np.abs(days) / 3.0)
    line = sum(w * image for w, image in zip(weight, series.images, strict=True)) / weight.sum()
    return np.kron(line, np.ones((1, SCALE, SCALE))).astype(np.float32)


def long_pair(seed=0, site="valley"):
    """Eight dates of a ground that grows brighter day by day; the target is held out."""
    pair = make_pair(seed, site=site)
    days = [-40, -24, -13, -5, 4, 11, 27, 38]
    seen = degrade(pair.reference, SCALE, SIGMA)
    images = np.stack([seen + np.float32(0.002 * day) for day in days])
    dates = tuple(date.fromordinal(TARGET.toordinal() + day) for day in days)
    series = replace(
        pair.series,
        images=images,
        clear=np.ones((len(days), H, W), bool),
        dates=dates,
        sources=tuple(map(str, days)),
    )
    return replace(pair, series=series)


def test_each_control_is_worse_than_what_it_was_made_from():
    pairs = [long_pair(n, f"site {n}") for n in range(2)]
    sources = [at_hand(pair) for pair in pairs]
    honest = competitor("honest", "system", deterministic(in_time), "1")
    tampered = controls(honest, sources, lambda source: source.load())
    assert [each.name for each in tampered] == [
        "dates shuffled",
        "one frame repeated",
        "frames of another site",
        "random texture",
    ]
    ready = prepare(pairs[0])
    best = score_one(honest, ready, 0)[0].figures
    for control in tampered:
        assert (control.role, control.made_from) == ("control", "honest")
        figures = score_one(control, ready, 0)[0].figures
        assert figures["psnr"] < best["psnr"] - 0.5, control.name


def test_the_frame_of_the_target_date_is_left_alone_by_controls_of_the_others():
    pair = long_pair()
    dates = (*pair.series.dates[:4], TARGET, *pair.series.dates[5:])
    pair = replace(pair, series=replace(pair.series, dates=dates))
    sources = [at_hand(pair), at_hand(long_pair(3, "elsewhere"))]
    seen = {}

    def spy(task, seed):
        seen["series"] = task.series
        return deterministic(in_time)(task, seed)

    for control in controls(competitor("spy", "system", spy, "1"), sources, lambda s: s.load())[
        ::2
    ]:
        control.run(pair, 0)
        np.testing.assert_array_equal(seen["series"].images[4], pair.series.images[4])
        assert (seen["series"].images[0] != pair.series.images[0]).any()


def test_only_oracles_and_controls_are_handed_the_reference():
    def system(task, seed):
        assert type(task) is Task
        assert not hasattr(task, "reference")
        return deterministic(in_time)(task, seed)

    score_one(competitor("blind", "system", system, "1"), prepare(make_pair()), 0)


def test_oracles_say_how_much_room_there_is():
    ready = prepare(plant(make_pair(), 0.0, 0.0, gain=0.5, offset=0.0))
    reference, consistent = (score_one(each, ready, 0)[0].figures for each in oracles())
    assert "psnr" not in reference and reference["detail"] == pytest.approx(1)
    bicubic = score_one(baselines()[0], ready, 0)[0].figures
    assert consistent["psnr"] > bicubic["psnr"] + 5
    assert consistent["consistency"] <= reference["consistency"] + 1e-6
    assert not any(each.enters(make_pair()) for each in oracles())


def test_held_out_dates_leave_out_what_lies_within_the_gap():
    series = long_pair().series
    pairs = held_out_at_sensor(series, "valley", make_card(bands=BANDS, sigma=SIGMA), 2)
    assert {pair.kind for pair in pairs} == {AT_SENSOR}
    for pair in pairs:
        gap = int(pair.patch.split(", ")[1].split()[0])
        assert min(abs((day - pair.target).days) for day in pair.series.dates) >= max(gap, 1)
        np.testing.assert_array_equal(
            pair.reference, series.images[series.dates.index(pair.target)]
        )


def test_the_picture_is_made(tmp_path):
    from matplotlib.image import imread

    pair = make_pair()
    clear = pair.clear.copy()
    clear[:5] = False
    pair = replace(pair, clear=clear, reference=np.where(clear, pair.reference, np.float32(np.nan)))
    comparison_figure(
        pair, {"bicubic": nearest_bicubic(pair.series, TARGET, SCALE)}, tmp_path / "pair.png"
    )
    height, width, _ = imread(tmp_path / "pair.png").shape
    assert width > 2 * height
    assert [path.name for path in tmp_path.iterdir()] == ["pair.png"]
    with pytest.raises(InputError, match="lacks B04"):
        comparison_figure(
            replace(pair, series=pair.series.select(("B02", "B03"))), {}, tmp_path / "no.png"
        )


def test_bad_input_is_named():
    pair = make_pair()
    image = np.zeros((C, H, W), np.float32)
    holes = np.where(np.arange(SCALE * W) == 7, np.nan, pair.reference).astype(np.float32)

    def run(answer):
        return score_one(competitor("mine", "system", deterministic(answer), "1"), prepare(pair), 0)

    calls = {
        "must be \\[M": lambda: Estimate(image, image[:, None]),
        "one sample tells nothing": lambda: Estimate(image, image[None]),
        "mine.*\\[3, 18, 23\\]": lambda: run(lambda task: image),
        "mine.*median of 2": lambda: run(lambda task: 10_000 * pair.reference),
        "mine on valley, seed 0: estimate is NaN": lambda: run(lambda task: holes),
    }
    for message, call in calls.items():
        with pytest.raises(InputError, match=message):
            call()


def test_a_series_of_one_site_has_no_frames_of_another():
    names = [
        each.name for each in controls(baselines()[0], [at_hand(make_pair())], lambda s: s.load())
    ]
    assert names == ["dates shuffled", "one frame repeated", "random texture"]


def test_flicker_is_of_the_same_ground_only():
    pair = make_pair()
    west = replace(pair.series, grid=pair.series.grid.translate_pix(5, 0))
    truth = pair.reference
    brighter = truth + np.float32(0.01)
    assert flicker(pair, truth, pair, brighter) == pytest.approx(0.01, rel=1e-4)
    assert flicker(pair, truth, pair, truth) == 0
    assert math.isnan(flicker(pair, truth, replace(pair, series=west), brighter))
    changed = replace(pair, reference=truth + np.float32(0.3))
    assert math.isnan(flicker(pair, truth, changed, brighter))
