"""The analysis of a data set tells what was put into it, and its page says so to a reader."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from scipy import special

from sitsr.analysis import analyse
from sitsr.analysis.edges import edges, slanted
from sitsr.analysis.measuring import SIDE, measure
from sitsr.analysis.page import charts
from sitsr.analysis.phases import date_shifts, filled_cells, resultant
from sitsr.analysis.relation import relation, sums, together
from sitsr.analysis.spectra import binned, finest_octave, folded, parting, rings
from sitsr.analysis.spread import finest, folded_white, point_spread, transfer
from sitsr.datasets import REAL, Pair, Source, at_hand
from sitsr.metrics import radial_spectrum
from sitsr.report import svg
from sitsr.series import InputError, Series

Doubles = npt.NDArray[np.float64]

ROWS, COLS, SCALE = 30, 37, 3
DAY = date(2021, 7, 18)
TABLES = ("sources", "pairs", "dates", "bands", "edges", "spectra", "pixels")
HOSTILE = "<script>alert('x')</script>\"&$title"


def waves(
    shape: tuple[int, int],
    pixel: float,
    *,
    shift: tuple[float, float] = (0, 0),
    sigma: float = 0.0,
    seed: int = 0,
) -> Doubles:
    """Many waves on the ground, seen through a Gaussian: exact at every place.

    pixel, shift and sigma in low-resolution pixels; the ground is moved by shift.
    """
    chance = np.random.default_rng(seed)
    y, x = ((np.arange(side) + 0.5) * pixel for side in shape)
    image = np.full(shape, 0.2)
    for _ in range(60):
        fy, fx = chance.uniform(-0.9, 0.9, 2)
        f = math.hypot(fy, fx)
        size = 0.01 * math.exp(-2 * (math.pi * f * sigma) ** 2) / (1 + 4 * f)
        along = fy * (y[:, None] - shift[0]) + fx * (x - shift[1])
        image += size * np.cos(2 * math.pi * along + chance.uniform(0, 2 * math.pi))
    return image


def make_pair(
    number: int = 0,
    *,
    sigma: float = 0.5,
    shift: tuple[float, float] = (0.2, -0.3),
    dates: int = 2,
    shape: tuple[int, int] = (ROWS, COLS),
    **fields: Any,
) -> Pair:
    """Waves seen by two sensors on some dates; the reference lies off by minus the shift."""
    fine = (SCALE * shape[0], SCALE * shape[1])
    bands = ("B02", "B04")
    seeds = [10 * number + b for b in range(len(bands))]
    reference = np.stack([waves(fine, 1 / SCALE, seed=seed) for seed in seeds])
    images = [
        [waves(shape, 1, shift=(shift[0] + 0.25 * t, shift[1]), sigma=sigma, seed=s) for s in seeds]
        for t in range(dates)
    ]
    grid = GeoBox(
        shape, rasterio.Affine(10, 0, 480_000 + 9_000 * number, 0, -10, 4_690_000), "EPSG:32631"
    )
    days = tuple(DAY + timedelta(days=5 * t) for t in range(dates))
    series = Series(
        np.array(images, np.float32),
        np.ones((dates, *shape), bool),
        days,
        bands,
        grid,
        tuple(f"{day}" for day in days),
    )
    given = {
        "series": series,
        "target": DAY,
        "scale": SCALE,
        "site": f"site{number}",
        "patch": "pair",
        "kind": REAL,
        "reference": (0.5 * reference + 0.1).astype(np.float32),
        "clear": np.ones(fine, bool),
        "sensor_sigma": (sigma,) * len(bands),
    }
    return Pair(**{**given, **fields})


def make_source(number: int, **fields: Any) -> Source:
    """The source of such a pair, somewhere in Catalonia."""
    bounds = (2.7 + 0.1 * number, 42.3, 2.71 + 0.1 * number, 42.31)
    return replace(at_hand(make_pair(number)), **{"bounds": bounds, **fields})


def broken() -> Pair:
    """What a truncated file does."""
    raise OSError("the file ends\nafter 3 of 9 bytes")


everywhere = np.ones((ROWS, COLS), bool)


@pytest.mark.parametrize("sigma", [0.35, 0.5, 0.7])
@pytest.mark.parametrize("scale", [2, 4])
def test_a_gaussian_of_known_width_is_found_again(sigma: float, scale: int) -> None:
    shift = 0.21, -0.34
    reference = waves((ROWS * scale, COLS * scale), 1 / scale)
    observed = 0.7 * waves((ROWS, COLS), 1, shift=shift, sigma=sigma) + 0.05
    known = np.ones(reference.shape, bool)
    found = point_spread(reference, known, observed, everywhere)
    assert found.sigma == pytest.approx(sigma, rel=0.05)
    assert (found.dy, found.dx) == pytest.approx(shift, abs=0.02)
    assert found.correlation > 0.99


def test_what_lies_under_cloud_has_no_say_in_the_width() -> None:
    reference, observed = waves((90, 111), 1 / 3), waves((ROWS, COLS), 1, sigma=0.5)
    known, clear = np.ones(reference.shape, bool), everywhere.copy()
    reference[60:75, 30:60], known[60:75, 30:60] = 9, False
    observed[4:9, 5:20], clear[4:9, 5:20] = -3, False
    found = point_spread(reference, known, observed, clear)
    assert found.sigma == pytest.approx(0.5, rel=0.05)


def test_no_width_is_told_of_images_that_have_nothing_in_common() -> None:
    reference, known = waves((90, 111), 1 / 3), np.ones((90, 111), bool)
    other = waves((ROWS, COLS), 1, sigma=0.5, seed=7)
    assert math.isnan(point_spread(reference, known, other, everywhere).sigma)
    assert math.isnan(point_spread(reference, known, np.full_like(other, 0.3), everywhere).sigma)
    assert math.isnan(point_spread(0 * reference, known, other, everywhere).sigma)
    with pytest.raises(InputError, match="only 0 pixels are 3 or more from"):
        point_spread(reference, ~known, other, everywhere)


@pytest.mark.parametrize("sigma", [0.6, 0.9, 1.4])
@pytest.mark.parametrize("angle", [14.0, -63.0])
def test_a_slanted_edge_of_known_width_is_found_again(sigma: float, angle: float) -> None:
    y, x = np.mgrid[:34, :47].astype(float)
    turn = math.radians(angle)
    away = (x - 23) * math.cos(turn) + (y - 17) * math.sin(turn)
    found = edges(0.1 + 0.2 * special.ndtr(away / sigma), np.ones((34, 47), bool))
    assert found
    for edge in found:
        assert edge.sigma == pytest.approx(sigma, rel=0.03)
        assert edge.angle == pytest.approx(angle, abs=0.5)
        assert edge.step == pytest.approx(0.2, rel=0.03)


def test_there_are_no_edges_in_noise_nor_under_cloud_nor_in_a_level_image() -> None:
    clear = np.ones((34, 47), bool)
    noise = np.random.default_rng(3).standard_normal((34, 47))
    assert not edges(noise, clear)
    assert not edges(np.full((34, 47), 0.2), clear)
    step = special.ndtr((np.arange(47) - 23 + np.arange(34)[:, None] / 4) / 0.7)
    assert edges(step, clear) and not edges(step, ~clear)
    assert not edges(step[:6], clear[:6])


@pytest.mark.parametrize(("angle", "told"), [(0, False), (3, False), (14, True), (-44, False)])
def test_edges_along_which_phases_return_are_left_out(angle: float, told: bool) -> None:
    assert slanted(angle) is told


def test_the_transfer_and_what_is_folded_are_those_of_a_gaussian() -> None:
    assert transfer(0.5, 0.5) == pytest.approx(math.exp(-((math.pi * 0.5) ** 2) / 2))
    assert transfer(1 / (2 * finest(0.4, 0.05)), 0.4) == pytest.approx(0.05)
    f = (np.arange(-300, 300) + 0.5) / 100
    power = np.outer(transfer(f, 0.4), transfer(f, 0.4)) ** 2
    inside = np.abs(f) < 0.5
    wanted = 1 - power[np.ix_(inside, inside)].sum() / power.sum()
    assert folded_white(0.4) == pytest.approx(wanted, rel=1e-3)


def test_what_is_folded_of_a_white_scene_is_known_in_rings_too() -> None:
    f, sigma = np.linspace(0.001, 3, 3000), 0.4
    # Of exp(−4π²σ²f²) f, the integral from 1/2 on over that from 0 on.
    wanted = math.exp(-((math.pi * sigma) ** 2))
    assert folded(f, np.ones_like(f), sigma) == pytest.approx(wanted, rel=0.01)
    assert math.isnan(folded(f, np.zeros_like(f), sigma))


def test_white_noise_has_a_flat_spectrum_and_three_quarters_in_the_finest_octave() -> None:
    noise = np.random.default_rng(0).standard_normal((30, 90, 110))
    f, power = radial_spectrum(noise, np.ones((90, 110), bool))
    mean = power.mean(axis=0)
    assert finest_octave(f, mean) == pytest.approx(0.75, abs=0.02)
    flat = binned(f, mean, rings(1))
    told = np.isfinite(flat)
    assert told.sum() > 10
    np.testing.assert_allclose(flat[told], 1, atol=0.25)
    np.testing.assert_allclose(flat[-5:], 1, atol=0.06)
    assert math.isnan(finest_octave(f, 0 * mean))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nyquist_is_between_two_rings(scale: int) -> None:
    ends = rings(scale)
    assert np.isclose(ends, 0.5).sum() == 1 and (np.diff(ends) > 0).all()
    assert ends[-1] == pytest.approx(scale / 2)


def test_two_spectra_part_where_the_power_is_halved_for_good() -> None:
    f = np.linspace(0.05, 0.45, 9)
    reference = np.ones(9)
    observed = np.array([1, 0.4, 1, 1, 0.6, 0.49, 0.3, 0.2, 0.1])
    assert parting(f, observed, reference) == f[4]
    assert parting(f, reference, reference) == f[-1]
    assert parting(f, 0 * observed, reference) == f[0]
    assert math.isnan(parting(f, np.full(9, np.nan), reference))


@pytest.mark.parametrize(
    ("shifts", "wanted"),
    [([0, 0.25, 0.5, 0.75], 0), ([0.3] * 5, 1), ([0, 1, -2], 1), ([0, 0.5], 1)],
)
def test_even_phases_cancel_and_equal_ones_add_up(shifts: list[float], wanted: float) -> None:
    # Two phases half a pixel apart are even for scale 2 only: of 4 the second alias remains.
    assert resultant(np.array([*shifts, np.nan]), 4) == pytest.approx(wanted, abs=1e-9)
    assert resultant(np.array([0, 0.5]), 2) == pytest.approx(0, abs=1e-9)
    assert math.isnan(resultant(np.array([np.nan]), 4))


def test_cells_are_counted_modulo_whole_pixels() -> None:
    shifts = np.array([[0, 0], [1, -2], [0.5, 0.01], [-0.5, 1], [0.26, 0.74], [np.nan, 0]])
    assert filled_cells(shifts, 4) == 3


def test_shifts_of_dates_are_found_and_those_of_other_ground_are_not() -> None:
    pair = make_pair(dates=4, shape=(44, 57))
    found = date_shifts(pair.series)
    # Waves this fine are aliased, which no outline survives unharmed.
    np.testing.assert_allclose(found[:, 0], [0, 0.25, 0.5, 0.75], atol=0.1)
    np.testing.assert_allclose(found[:, 1], 0, atol=0.1)
    images, clear = pair.series.images.copy(), pair.series.clear.copy()
    images[2] = make_pair(3, shape=(44, 57)).series.images[0]
    clear[3, :30] = False
    found = date_shifts(replace(pair.series, images=images, clear=clear))
    assert np.isfinite(found[:2]).all() and np.isnan(found[2:]).all()


def test_a_line_is_found_from_parts_as_from_the_whole() -> None:
    chance = np.random.default_rng(1)
    x = chance.uniform(0, 0.5, 3000)
    y = 0.8 * x + 0.03 + 0.01 * chance.standard_normal(3000)
    parts = [sums(x[k::7], y[k::7]) for k in range(7)]
    found = relation(together(parts))
    assert found == relation(together(parts[::-1]))
    assert (found.slope, found.offset) == pytest.approx(np.polyfit(x, y, 1))
    assert found.correlation == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.rmse == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
    assert found.n == 3000
    flat = relation(sums(np.full(9, 0.1), y[:9]))
    assert math.isnan(flat.slope) and math.isnan(flat.correlation)
    assert math.isnan(relation(sums(x[:0], y[:0])).rmse)


def test_a_pair_tells_what_it_was_made_with() -> None:
    found = measure(make_pair(sigma=0.45))
    assert (found.pair.shift_rows, found.pair.shift_cols) == pytest.approx((0.2, -0.3), abs=0.06)
    assert not found.pair.at_limit and found.pair.dates == found.pair.phases == 2
    assert [row.days for row in found.dates] == [0, 5]
    assert math.isnan(found.dates[0].gap) and found.dates[1].gap == 5
    for row in found.bands:
        assert row.sigma == pytest.approx(0.45, rel=0.05)
        assert row.gain == pytest.approx(2, rel=0.05)
        assert row.offset == pytest.approx(-0.2, abs=0.01)
        assert row.rmse_after < 0.1 * row.rmse_before
        assert row.correlation > max(row.correlation_before, 0.98)
        assert 0 < row.folded < folded_white(0.45)


def test_a_large_pair_is_looked_into_in_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SIDE >= 128
    monkeypatch.setattr("sitsr.analysis.measuring.SIDE", 24)
    found = measure(make_pair())
    assert (found.pair.rows, found.pair.cols) == (ROWS, COLS)
    assert 0 < found.bands[0].pixels <= 24 * 24


def test_a_reference_on_the_grid_of_the_series_tells_of_dates_only() -> None:
    pair = make_pair()
    low = replace(pair, reference=pair.series.images[0], clear=pair.series.clear[0])
    found = measure(low)
    assert not found.bands and len(found.dates) == 2


class Tags(HTMLParser):
    """Which tags are open, what is linked, and what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.said += data


def read(page: Path) -> Tags:
    tags = Tags()
    tags.feed(page.read_text(encoding="utf-8"))
    return tags


def make_sources() -> list[Source]:
    """Two sites, one of them in two splits, and a pair that cannot be read."""
    tags = {"Land cover": "crops"}
    return [
        make_source(0, split="train", tags=tags),
        replace(make_source(0, split="test", tags={"Land cover": "forest"}), patch="other"),
        make_source(1, split="test", tags=tags, bounds=None),
        Source(REAL, "lost", HOSTILE, broken, "train"),
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analyse(make_sources(), tmp_path_factory.mktemp("out"), title=f"Pairs {HOSTILE}")


def test_the_page_stands_alone_and_says_what_matters(made: Path) -> None:
    page = read(made)
    assert "script" not in page.names
    assert all(link.startswith(("#", "data:image/")) for link in page.links)
    assert {f"#{name}" for name in ("where", "kind-0", "files")} <= set(page.links)
    for words in (
        f"Pairs {HOSTILE}",
        "site0 (test, train)",
        "the file ends after 3 of 9 bytes",
        "1 pair could not be read or measured",
        "1 site in two splits",
        "crops",
        "2 pairs without a place",
        "low-resolution pixels",
    ):
        assert words in page.said, words
    assert "nan" not in page.said.lower()
    names = sorted(path.name for path in made.parent.iterdir())
    assert names == sorted(["analysis.html", *(f"{name}.parquet" for name in TABLES)])


def test_the_tables_hold_what_the_page_tells(made: Path) -> None:
    held = {name: pq.read_table(made.parent / f"{name}.parquet").to_pylist() for name in TABLES}
    assert [row["state"] for row in held["sources"]].count("analysed") == 3
    assert len(held["pairs"]) == 3 and len(held["dates"]) == 6 and len(held["bands"]) == 6
    assert {row["band"] for row in held["bands"]} == {"B02", "B04"}
    assert all(abs(row["sigma"] - 0.5) < 0.03 for row in held["bands"])
    assert 0 < len(held["pixels"]) <= 3 * 2 * 400
    assert {row["sensor"] for row in held["spectra"]} == {"series", "reference"}


def test_the_order_of_the_pairs_does_not_matter(made: Path, tmp_path: Path) -> None:
    again = analyse(make_sources()[::-1], tmp_path, title=f"Pairs {HOSTILE}")
    assert again.read_text() == made.read_text()
    for name in TABLES:
        one, other = (path.parent / f"{name}.parquet" for path in (made, again))
        assert str(pq.read_table(one).to_pylist()) == str(pq.read_table(other).to_pylist())


def test_no_more_pairs_are_read_than_asked_for_and_one_at_a_time(tmp_path: Path) -> None:
    loaded: list[int] = []
    steps: list[tuple[int, int]] = []

    def load(number: int) -> Callable[[], Pair]:
        return lambda: loaded.append(number) or make_pair(number)  # type: ignore[func-returns-value]

    sources = [Source(REAL, f"site{n}", "pair", load(n)) for n in range(7)]
    analyse(sources, tmp_path, title="t", most=2, progress=lambda *step: steps.append(step))
    assert len(loaded) == 2 and steps == [(1, 2), (2, 2)]
    chosen = list(loaded)
    analyse(sources[::-1], tmp_path, title="t", most=2)
    assert loaded[2:] == chosen
    assert "5 pairs not drawn" in read(tmp_path / "analysis.html").said


def test_data_of_which_nothing_can_be_told_still_gives_a_page(tmp_path: Path) -> None:
    pair = make_pair(dates=1)
    dark = replace(pair.series, clear=np.zeros_like(pair.series.clear))
    hidden = at_hand(replace(pair, series=dark))
    page = read(analyse([hidden, Source(REAL, "a", "b", broken)], tmp_path, title="Nothing"))
    assert "cannot be measured: no pixel is clear on any of its 1 dates" in page.said
    assert "cannot be read" in page.said
    assert pq.read_table(tmp_path / "bands.parquet").num_rows == 0
    assert "sigma" in pq.read_table(tmp_path / "bands.parquet").column_names
    flat = replace(pair, reference=np.full_like(pair.reference, 0.3))
    page = read(analyse([at_hand(flat)], tmp_path, title="Flat"))
    assert "a band of the reference is the same everywhere" in page.said


@pytest.mark.parametrize(
    ("sources", "most", "message"),
    [([], None, "there are no pairs to analyse"), ([at_hand(make_pair())], 0, "most is 0; give 1")],
)
def test_what_cannot_be_analysed_is_said_and_nothing_written(
    sources: Sequence[Source], most: int | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        analyse(sources, tmp_path / "out", title="t", most=most)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "whole"),
    [([24] * 8, True), ([0], True), ([0.2, 0.2], False), ([-3, 400], True), ([0.0, 1e-9], False)],
)
def test_no_bar_or_number_of_a_histogram_is_cut_off(values: list[float], whole: bool) -> None:
    drawn = charts.histogram(values, "days", "pairs", whole=whole)
    numbers = [word.split('"')[0] for word in drawn.split(' x="')[1:]]
    assert all(0 <= float(number) <= svg.WIDE - 10 for number in numbers)
    assert drawn.count("<rect") >= 1 and "nan" not in drawn
