"""A report stands alone, shows what the records hold, and says plainly what was not seen."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sitsr.report import WIDEST, closer, maps, parts, pictures, words, write_report
from sitsr.report.timeline import marks, signed_days, strip, timeline
from sitsr.scenes.write.pictures import natural_colour
from sitsr.series import NEVER, Series, SuperResolved
from test_scenes_write import (
    BANDS,
    DATES,
    SCALE,
    TARGET,
    H,
    T,
    W,
    make_estimate,
    make_grid,
    make_series,
)

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
VOID = {"meta", "img", "input", "br", "line", "circle"}


class Page(HTMLParser):
    """The tags of a page, checked to be closed in order, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def picture(uri: str) -> Image.Image:
    head, body = uri.split(",", 1)
    assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.fixture(scope="module")
def series() -> Series:
    return make_series()


@pytest.fixture(scope="module")
def estimate(series: Series) -> SuperResolved:
    return make_estimate(series)


@pytest.fixture(scope="module")
def html(estimate: SuperResolved, series: Series, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(estimate, series, path)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_the_page_is_whole_and_stands_alone(html: str) -> None:
    page = Page(html)
    assert not page.all("link")
    for tag, attributes in page.found:
        assert "href" not in attributes, tag
        assert (attributes.get("src") or "data:").startswith("data:"), tag
    assert "http" not in re.sub(r"http-equiv|base64,[^\"]*", "", html)
    assert "url(" not in html and "@import" not in html
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in str(policy["content"])
    assert all(image.get("alt") for image in page.all("img"))


def test_every_picture_can_be_opened(html: str) -> None:
    for image in Page(html).all("img"):
        picture(str(image["src"])).load()


def test_the_slider_shows_the_chosen_input_and_the_estimate(
    estimate: SuperResolved, series: Series
) -> None:
    shown = parts(estimate, series)
    before = np.asarray(picture(shown["before"]))
    np.testing.assert_array_equal(before, natural_colour(series.images[1], BANDS))
    assert picture(shown["after"]).size == (W * SCALE, H * SCALE)
    assert shown["before_name"] == "Sentinel-2, 11 July 2021, 10 m"
    assert "7 days before" in shown["compare_note"]
    assert "Shrunk" not in shown["compare_note"]
    assert float(shown["ratio"]) == pytest.approx(W / H)


def test_a_large_result_is_shrunk_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert WIDEST == 1400
    monkeypatch.setattr("sitsr.report.WIDEST", 30)
    series = make_series()
    shown = parts(make_estimate(series), series)
    assert picture(shown["after"]).size == (30, round(30 * H / W))
    assert "Shrunk to 30 pixels" in shown["compare_note"]


def test_the_page_says_what_was_asked_and_made(html: str) -> None:
    text = Page(html).text
    for told in (
        "18 July 2021",
        "EPSG:32631",
        "63 × 36 of 3.333 m",
        "B02, B03, B04, B08",
        "ab" * 32,
        "From 4 dates, the nearest 7 days before.",
        "offset of 1000 taken off the images since 2022",
        "Contains modified Copernicus Sentinel data",
        "There is no image of 18 July 2021 itself.",
        "it is inferred",
    ):
        assert told in text


def test_what_users_wrote_is_shown_as_text(estimate: SuperResolved, series: Series) -> None:
    nasty = replace(series, history=("<script>alert(1)</script> & more",))
    named = replace(estimate, provenance={"weights": "<b>bold</b>", "version": "<i>"})
    shown = parts(named, nasty)
    assert shown["history"] == "<li>&lt;script&gt;alert(1)&lt;/script&gt; &amp; more</li>"
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown["numbers"]
    assert "<i>" not in shown["credit"]


def test_an_estimate_without_samples_or_provenance_has_a_report_too(
    series: Series, tmp_path: Path
) -> None:
    bare = make_estimate(series, samples=0, provenance={})
    write_report(bare, series, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Sample 1" not in page.text
    assert "Seed" not in page.text


def test_a_place_never_seen_has_a_report_too(series: Series, tmp_path: Path) -> None:
    dark = replace(series, clear=np.zeros_like(series.clear))
    made = make_estimate(series)
    blank = replace(
        made,
        mean=np.full_like(made.mean, np.nan),
        samples=np.full_like(made.samples, np.nan),
        clear_count=np.zeros_like(made.clear_count),
        nearest_days=np.full_like(made.nearest_days, NEVER),
    )
    write_report(blank, dark, tmp_path / "report.html")
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "100 % of the area was never seen clearly" in text


def test_a_failure_leaves_the_former_report(
    estimate: SuperResolved, series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("former")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(estimate, series, path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "former"


# ---- words


def test_served_speaks_of_the_day_itself(series: Series) -> None:
    nearest = np.where(np.arange(W) < 7, np.int16(0), np.int16(9))[None].repeat(H, 0)
    made = make_estimate(series, target=DATES[1], nearest_days=nearest, provenance={})
    told = words.served(made, series)
    assert told[0] == "33.3 % of the area was seen clearly on 11 July 2021 itself."
    assert "9 days away at the median pixel, and 9 days at most" in told[1]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (date(2021, 5, 1), "whose first image is of 3 June 2021"),
        (date(2022, 5, 1), "whose last image is of 9 February 2022"),
    ],
)
def test_served_says_when_the_date_lies_outside(target: date, told: str, series: Series) -> None:
    assert any(told in line for line in words.served(make_estimate(series, target=target), series))
    inside = words.served(make_estimate(series), series)
    assert not any("outside" in line for line in inside)


def test_the_share_never_seen_is_that_of_the_ground(
    estimate: SuperResolved, series: Series
) -> None:
    count = np.ones_like(estimate.clear_count)
    count[3, :4] = 0
    assert words.never_seen(replace(estimate, clear_count=count)) == pytest.approx(4 / (H * W))
    assert words.served(estimate, series)[-1].startswith("4 % of the area was never seen")
    assert ("4 %", "of the area never seen clearly") in words.facts(estimate, series)


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0, "0 %"),
        (0.0002, "less than 0.1 %"),
        (0.256, "25.6 %"),
        (0.9996, "more than 99.9 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_all(share: float, told: str) -> None:
    assert words.percent(share) == told


def test_the_place_is_the_centre_in_degrees() -> None:
    # 3° E is the central meridian of zone 31: x = 500 km; y = 0 is the equator
    import rasterio
    from odc.geo.geobox import GeoBox

    def at(north: float, code: str) -> GeoBox:
        return GeoBox((20, 40), rasterio.Affine(10, 0, 499_800, 0, -10, north), code)

    assert words.place(at(100, "EPSG:32631")) == "0.0000° N, 3.0000° E"
    assert words.place(at(10_000_100, "EPSG:32719")) == "0.0000° N, 69.0000° W"
    assert words.size(at(100, "EPSG:32631")) == "0.4 km × 0.2 km"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, "yes"),
        (0.00123456, "0.001235"),
        ([1, "a"], "1, a"),
        ({"B02": 0.5}, "B02 0.5"),
        ("/home/me/base.safetensors", "base.safetensors"),
    ],
)
def test_values_of_the_provenance_as_text(value: Any, told: str) -> None:
    assert words.plain(value) == told


# ---- pictures


def test_colours_run_from_low_to_high_and_nan_is_clear() -> None:
    values = np.array([[0, 0.5, 1.0], [2.0, -1, np.nan]], np.float32)
    shown = np.asarray(pictures.coloured(values, 0, 1, "magma").convert("RGBA"))
    table = pictures.palette("magma", pictures.COLOURS)
    assert shown[..., 3].tolist() == [[255] * 3, [255, 255, 0]]
    np.testing.assert_array_equal(shown[0, :, :3], table[[0, 127, 254]])
    np.testing.assert_array_equal(shown[1, :2, :3], table[[254, 0]])


def test_shrinking_keeps_the_mean_of_what_is_known() -> None:
    values = np.array([[1, 3, 7, np.nan, np.nan, np.nan], [1, 3, 7, 7, np.nan, np.nan]])
    np.testing.assert_allclose(pictures.shrunk(values, 3), [[2, 7, np.nan]], rtol=1e-5)
    assert pictures.shrunk(values, 6) is values


def test_the_busiest_place_holds_the_peak_and_lies_within() -> None:
    score = np.zeros((H * SCALE, W * SCALE), np.float32)
    for row, col in ((2, 3), (10, 19), (H - 1, W - 1), (0, 0)):
        score[:] = 0
        score[row * SCALE, col * SCALE] = 1
        rows, cols = closer.busiest(score, SCALE, 5)
        assert rows.start <= row < rows.stop and cols.start <= col < cols.stop
        assert rows.start >= 0 and rows.stop <= H and rows.stop - rows.start == 5
        assert cols.start >= 0 and cols.stop <= W and cols.stop - cols.start == 5


@pytest.mark.parametrize("side", [4, 5])
def test_the_busiest_place_is_that_of_the_largest_sum(side: int) -> None:
    score = np.random.default_rng(5).random((H * SCALE, W * SCALE), np.float32) ** 8
    sums = {
        (top, left): score[
            top * SCALE : (top + side) * SCALE, left * SCALE : (left + side) * SCALE
        ].sum()
        for top in range(H - side + 1)
        for left in range(W - side + 1)
    }
    rows, cols = closer.busiest(score, SCALE, side)
    assert (rows.start, cols.start) == max(sums, key=lambda place: sums[place])


def test_a_close_up_shows_one_place_in_all_its_panels(
    estimate: SuperResolved, series: Series
) -> None:
    page = Page(closer.panels(estimate, series, 1, (slice(2, 6), slice(3, 10))))
    shown = [picture(str(image["src"])) for image in page.all("img")]
    assert [image.size for image in shown] == [(7, 4)] + [(7 * SCALE, 4 * SCALE)] * 4
    wanted = natural_colour(estimate.samples[1], BANDS)[2 * SCALE : 6 * SCALE, 3 * SCALE : 30]
    np.testing.assert_array_equal(np.asarray(shown[3]), wanted)


def test_new_detail_is_nothing_where_the_fine_pixels_agree(series: Series) -> None:
    flat = series.images[0].repeat(SCALE, 1).repeat(SCALE, 2)
    assert closer.new_detail(make_estimate(series, mean=flat)).max() < 1e-6
    flat[:, 7, 40] += 0.3
    row, col = np.divmod(closer.new_detail(make_estimate(series, mean=flat)).argmax(), W * SCALE)
    assert (row, col) == (7, 40)


def test_maps_have_colour_bars_with_units(estimate: SuperResolved) -> None:
    page = Page(maps.maps(estimate))
    assert len(page.all("img")) == 3
    assert "reflectance or more" in page.text
    assert "5 dates" in page.text or "4 dates" in page.text
    assert "7 days away" in page.text
    sizes = [picture(str(image["src"])).size for image in page.all("img")]
    assert sizes == [(W * SCALE, H * SCALE), (W, H), (W, H)]


# ---- the dates


def test_the_strip_shows_every_date_and_marks_the_chosen(series: Series) -> None:
    page = Page(strip(series, TARGET, 1))
    entries = page.all("li")
    assert len(entries) == T
    assert [entry.get("class") for entry in entries] == [None, "chosen", None, None, None]
    assert "2021-07-117 days before96 % clearshown above" in page.text.replace("\n", "")


def test_what_is_not_clear_is_tinted(series: Series) -> None:
    clear = np.ones_like(series.clear)
    clear[0, :, 16:] = False
    even = replace(series, images=np.full_like(series.images, 0.0375), clear=clear)
    shown = np.asarray(picture(str(Page(strip(even, TARGET, 1)).all("img")[0]["src"])))
    np.testing.assert_allclose(shown[:, :8], 64, atol=2)
    tinted = [0.6 * 64 + 0.4 * colour for colour in (224, 60, 120)]
    np.testing.assert_allclose(shown[:8, 16:], np.broadcast_to(tinted, (8, W - 16, 3)), atol=4)


@pytest.mark.parametrize(
    ("days", "told"), [(0, "the day itself"), (-1, "1 day before"), (12, "12 days after")]
)
def test_distances_in_words(days: int, told: str) -> None:
    assert signed_days(days) == told


@pytest.mark.parametrize("target", [TARGET, date(2020, 1, 1), date(2023, 1, 1)])
def test_the_line_of_time_holds_dates_and_target_in_order(target: date, series: Series) -> None:
    page = Page(timeline(series, target))
    places = [float(str(dot["cx"])) for dot in page.all("circle")]
    (goal,) = [float(str(line["x1"])) for line in page.all("line") if line["class"] == "target"]
    assert places == sorted(places) and len(places) == T
    assert all(20 <= place <= 980 for place in (*places, goal))
    assert sum(place < goal for place in places) == sum(day < target for day in DATES)


def test_a_single_date_has_a_line_too() -> None:
    lone = make_series(grid=make_grid()).keep([1])
    assert Page(timeline(lone, DATES[1])).all("circle")


def test_long_series_are_marked_by_years_and_short_ones_by_months() -> None:
    assert [name for _, name in marks(date(2016, 3, 1), date(2019, 3, 1))] == [
        "2017",
        "2018",
        "2019",
    ]
    assert [name for _, name in marks(date(2020, 11, 20), date(2021, 2, 2))] == [
        "Dec",
        "2021",
        "Feb",
    ]
