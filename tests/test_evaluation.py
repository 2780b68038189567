"""Laws: what was planted between two sensors is undone, no system having a say; a perfect sampler
is reported as perfect; statistics are over sites, and kinds of pairs never mix."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from sitsr.baselines import nearest_bicubic
from sitsr.datasets import Pair
from sitsr.evaluation import (
    REAL,
    Estimate,
    Row,
    across_sites,
    align,
    at_equal_contrast,
    baselines,
    comparison_figure,
    deterministic,
    evaluate,
    paired,
    prepare,
    read_rows,
    save_rows,
    score,
    table,
)
from sitsr.radiometry import degrade, shifted
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
    return Pair(series, TARGET, truth, clear, site, kind, SCALE, SIGMA)


def sampler(chance, spread):
    """A system whose samples miss by 0.03 times spread, its mean by 0.03; it knows the truth."""

    def system(pair):
        mean = pair.reference + chance.normal(0, 0.03, pair.reference.shape)
        samples = mean + chance.normal(0, spread * 0.03, (M, *mean.shape))
        return Estimate(mean.astype(np.float32), samples.astype(np.float32))

    return system


def test_a_perfect_sampler_is_reported_as_perfect():
    pair = make_pair()
    scores = score(pair, sampler(np.random.default_rng(1), 1.0)(pair))
    assert scores["coverage90"] == pytest.approx(0.9, abs=0.01)
    assert scores["spread_skill"] == pytest.approx(1, abs=0.02)
    assert scores["psnr"] - scores["sample_psnr"] == pytest.approx(10 * math.log10(2), abs=0.1)
    assert scores["psnr"] == pytest.approx(-20 * math.log10(0.03), abs=0.1)
    assert scores["crps"] == pytest.approx(0.03 / math.sqrt(math.pi), rel=0.02)
    assert scores["crps"] < scores["mae"]


def test_an_over_confident_sampler_is_not():
    pair = make_pair()
    scores = score(pair, sampler(np.random.default_rng(1), 0.4)(pair))
    assert scores["coverage90"] < 0.85
    assert scores["spread_skill"] < 0.5


def test_without_samples_the_crps_is_the_mean_absolute_error():
    pair = make_pair()
    scores = score(pair, baselines(SCALE)["bicubic"](pair.series, TARGET))
    assert scores["crps"] == scores["mae"] > 0
    assert all(math.isnan(scores[name]) for name in ("coverage90", "spread_skill", "sample_psnr"))


def test_consistency_is_with_what_was_seen_on_the_target_date():
    pair = make_pair()
    truth = Estimate(pair.reference, np.empty((0, *pair.reference.shape), np.float32))
    assert score(pair, truth)["consistency"] == pytest.approx(0, abs=1e-6)
    bright = replace(truth, mean=truth.mean + np.float32(0.05))
    assert score(pair, bright)["consistency"] == pytest.approx(0.05, abs=1e-5)
    cloudy = pair.series.clear.copy()
    cloudy[1] = False
    for series in (pair.series.keep([0]), replace(pair.series, clear=cloudy)):
        assert math.isnan(score(replace(pair, series=series), truth)["consistency"])


def plant(pair, dy, dx, gain, offset):
    """The pair as another sensor would have given it: to be shifted, multiplied and added to."""
    reference = (shifted(pair.reference, -dy, -dx) - offset) / gain
    return replace(pair, reference=reference.astype(np.float32), kind=REAL)


def test_a_planted_shift_gain_and_offset_are_undone():
    pair = make_pair()
    other = plant(pair, 1.4, -2.25, gain=0.4, offset=-0.03)
    alignment = align(other)
    assert (alignment.dy, alignment.dx) == pytest.approx((1.4, -2.25), abs=0.1)
    np.testing.assert_allclose(alignment.gain, 0.4, rtol=0.03)
    np.testing.assert_allclose(alignment.offset, -0.03, atol=0.01)
    prepared = prepare(other)
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
    rows = evaluate(baselines(pair.scale), [other, make_pair()])
    told = [row.figures.get("psnr_contrast", math.nan) for row in rows]
    assert [math.isnan(value) for value in told] == [False, False, True, True]


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
    pair = plant(make_pair(), 1.0, 0.5, gain=0.5, offset=0.0)
    rows = evaluate(baselines(SCALE), [pair])
    shifts = {row.figures["shift_rows"] for row in rows}
    assert len(rows) == 2
    assert len(shifts) == 1
    assert shifts.pop() == pytest.approx(1, abs=0.1)
    assert {"gain_B02", "offset_B04"} < rows[0].figures.keys()
    assert rows[0].figures["psnr"] > 25


def test_images_that_do_not_match_are_told(caplog):
    pair = make_pair()
    align(replace(pair, reference=1 - pair.reference, kind=REAL))
    assert "do not match" in caplog.text


def test_a_shift_at_the_limit_is_told(caplog):
    align(plant(make_pair(), 9.0, 0.0, gain=1.0, offset=0.0))
    assert "the most that was searched" in caplog.text


def test_other_kinds_are_left_as_they_are():
    pair = make_pair()
    assert prepare(pair) is pair


def test_every_system_meets_every_pair_and_progress_hears_of_it():
    pairs = [make_pair(seed, site=f"site {seed}") for seed in range(3)]
    heard = []
    rows = evaluate(baselines(SCALE), pairs, heard.append)
    assert rows == heard
    assert [(row.system, row.pair) for row in rows] == [
        (system, pair) for pair in range(3) for system in ("bicubic", "median bicubic")
    ]
    assert rows[0].figures["psnr"] > rows[1].figures["psnr"]  # the earlier date is brighter


def make_rows():
    """Two systems on 4 sites of 2 pairs; b is a, plus 1 dB at the first site, plus 2 at ..."""
    rows = []
    for pair in range(8):
        psnr, site = 30.0 - pair, pair // 2
        for system, more in (("a", 0), ("b", site + 1), ("a again", 0)):
            figures = {"psnr": psnr + more, "mae": 0.01, "coverage90": math.nan}
            rows.append(Row(system, f"site {site}", "scale transfer", pair, 0.5, figures))
    return rows


def test_the_difference_of_identical_systems_is_exactly_none():
    difference = paired(make_rows(), "a again", "a", "psnr")
    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)


def test_differences_are_paired_and_averaged_over_sites():
    difference = paired(make_rows(), "b", "a", "psnr", seed=4)
    assert difference.mean == pytest.approx((1 + 2 + 3 + 4) / 4)
    assert difference.sites == 4
    assert 1 <= difference.low < difference.mean < difference.high <= 4
    again = paired(list(reversed(make_rows())), "b", "a", "psnr", seed=4)
    assert difference == again
    assert paired(make_rows(), "a", "b", "psnr").mean == -difference.mean


def test_sites_weigh_the_same_however_many_pairs_they_have():
    values = [("one", 1.0), ("two", 3.0), ("two", 5.0), ("two", 4.0), ("two", math.nan)]
    assert across_sites(values, seed=0).mean == 2.5
    assert across_sites([], seed=0).text(2) == "–"
    assert across_sites(values[:1], seed=0).text(2) == "1.00"


def test_the_interval_is_the_normal_one_when_sites_are_many():
    values = np.random.default_rng(0).normal(5, 1, 200)
    interval = across_sites([(str(site), value) for site, value in enumerate(values)], seed=1)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_the_table_shows_means_differences_and_sites():
    text = table(make_rows(), against="a", seed=0)
    assert "## scale transfer (4 sites, 8 pairs)" in text
    assert "| b | +2.50 [" in text
    assert "| a again | +0.00 [+0.00, +0.00] | +0.00000" in text
    assert "| site 1 | 27.50 | 29.50 | 27.50 |" in text
    assert "coverage" not in text  # no system tells it
    assert text == table(make_rows(), against="a", seed=0)


def test_kinds_never_share_a_number():
    real = [replace(row, kind=REAL) for row in make_rows()[:2]]
    text = table([*make_rows(), *real], against="a", seed=0)
    simulated, single = text.split("## real pair (1 site, 1 pair)")
    assert "8 pairs" in simulated
    assert "| 0 (site 0) | b | 31.00 |" in single
    assert "[" not in single
    with pytest.raises(InputError, match="real pair, scale transfer, which do not average"):
        paired([*make_rows(), *real], "b", "a", "psnr")


def test_rows_come_back_as_they_were_saved(tmp_path):
    rows = make_rows()
    rows.append(Row("c", 'a "site", far', REAL, 8, 1 / 3, {"psnr": math.inf, "shift_rows": -0.1}))
    save_rows(rows, tmp_path / "made" / "rows.csv")
    assert repr(read_rows(tmp_path / "made" / "rows.csv")) == repr(rows)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["rows.csv"]


def test_nothing_half_written_is_left(tmp_path):
    class Torn(dict):
        def __getitem__(self, name):
            raise KeyError(name)

    row = Row("a", "site", "scale transfer", 0, 0.1, Torn(psnr=1.0))
    with pytest.raises(KeyError):
        save_rows([row], tmp_path / "rows.csv")
    assert not list(tmp_path.iterdir())


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


def test_bad_input_is_named(tmp_path):
    pair, rows = make_pair(), make_rows()
    image = np.zeros((C, H, W), np.float32)
    (tmp_path / "rows.csv").write_text("system,psnr\n")
    calls = {
        "must be \\[M": lambda: Estimate(image, image[:, None]),
        "one sample tells nothing": lambda: Estimate(image, image[None]),
        "the estimate is \\[3, 18, 23\\]": lambda: score(
            pair, deterministic(lambda series, target: image)(pair.series, TARGET)
        ),
        "no row is of z; give": lambda: paired(rows, "z", "a", "psnr"),
        "no row is of z; compare": lambda: table(rows, "z", 0),
        "not the same ones": lambda: paired(rows[1:], "a", "b", "psnr"),
        "no rows": lambda: table([], "a", 0),
        "no column kind, pair, seconds, site": lambda: read_rows(tmp_path / "rows.csv"),
    }
    for message, call in calls.items():
        with pytest.raises(InputError, match=message):
            call()
