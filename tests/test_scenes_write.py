"""What is written can be read again: pixels, place, date and origin, in files that others open."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from PIL import Image
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.warp import transform_bounds
from rio_cogeo.cogeo import cog_validate

from sitsr.scenes.write import about, aside, assemble, check_free, pictures, write_block
from sitsr.scenes.write.pictures import clearest_near, natural_colour, write_preview
from sitsr.scenes.write.rasters import SUPPORT_COLOURS, colours, digital, layout
from sitsr.series import NEVER, SUPPORT, InputError, Series, SuperResolved
from sitsr.tiles import Tile

# odc-geo multiplies transforms in a way that affine 3 will give up some day
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

T, C, H, W, SCALE, SAMPLES = 5, 4, 12, 21, 3, 2
BANDS = ("B02", "B03", "B04", "B08")
TARGET = date(2021, 7, 18)
DATES = (
    date(2021, 6, 3),
    date(2021, 7, 11),
    date(2021, 7, 20),
    date(2021, 8, 1),
    date(2022, 2, 9),
)


def make_grid(rows: int = H, cols: int = W) -> GeoBox:
    return GeoBox((rows, cols), rasterio.Affine(10, 0, 488_000, 0, -10, 4_693_000), "EPSG:32631")


def make_series(**fields: Any) -> Series:
    grid = fields.get("grid", make_grid())
    chance = np.random.default_rng(7)
    images = chance.uniform(0, 0.3, (T, C, *grid.shape)).astype(np.float32)
    clear = np.ones((T, *grid.shape), np.bool_)
    clear[2, :, : grid.shape[1] // 2] = False
    clear[:, 1:3, 2:7] = False
    given = {
        "images": images,
        "clear": clear,
        "dates": DATES,
        "bands": BANDS,
        "grid": grid,
        "sources": tuple(f"/data/scene_{day}.tif" for day in DATES),
        "history": ("offset of 1000 taken off the images since 2022",),
    }
    return Series(**{**given, **fields})


def make_estimate(series: Series, samples: int = SAMPLES, **fields: Any) -> SuperResolved:
    chance = np.random.default_rng(8)
    grid = series.grid.zoom_out(1 / SCALE)
    image = (len(series.bands), *grid.shape)
    mean = chance.uniform(-0.01, 0.4, image).astype(np.float32)
    never = ~series.clear.any(axis=0)
    mean[:, never.repeat(SCALE, 0).repeat(SCALE, 1)] = np.nan
    spread = (0.01 + mean / 20).clip(0.002)
    nearest = np.where(never, NEVER, series.days_from(TARGET)[1]).astype(np.int16)
    given = {
        "mean": mean,
        "spread": spread,
        "samples": mean + chance.normal(0, 0.02, (samples, *image)).astype(np.float32),
        "clear_count": series.clear.sum(axis=0).astype(np.int16),
        "nearest_days": nearest,
        "support": np.where(never, 0, chance.integers(1, 5, never.shape)).astype(np.uint8),
        "target": TARGET,
        "bands": series.bands,
        "grid": grid,
        "scale": SCALE,
        "provenance": {
            "software": "sitsr",
            "version": "0.1.0",
            "weights": "base",
            "weights_sha256": "ab" * 32,
            "seed": 3,
            "steps": 4,
            "consistency": float("nan"),
            "served": "from 4 dates, the nearest 7 days before",
        },
    }
    return SuperResolved(**{**given, **fields})


def write_product(
    estimate: SuperResolved, series: Series, folder: Path, progress: Any = None
) -> Path:
    """As one block and without its report, which takes a while."""
    told = about(estimate, series)
    with aside(folder) as product:
        write_block(
            estimate,
            product / ".block",
            show=lambda block: write_preview(block / "preview.png", estimate, series),
        )
        blocks = [(Tile(0, 0, *series.clear.shape[1:]), product / ".block")]
        assemble(told, blocks, product, folder, progress)
        rmtree(product / ".block")
    return folder


@pytest.fixture(scope="module")
def series() -> Series:
    return make_series()


@pytest.fixture(scope="module")
def estimate(series: Series) -> SuperResolved:
    return make_estimate(series)


@pytest.fixture(scope="module")
def folder(
    estimate: SuperResolved, series: Series, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_product(estimate, series, tmp_path_factory.mktemp("made") / "result")


@pytest.fixture(scope="module")
def item(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "item.json").read_text()))


def test_the_folder_holds_the_product_and_nothing_else(folder: Path) -> None:
    held = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert held == {
        "sr.tif",
        "uncertainty.tif",
        "clear_count.tif",
        "nearest_days.tif",
        "support.tif",
        "samples/sample_01.tif",
        "samples/sample_02.tif",
        "sr.qml",
        "uncertainty.qml",
        "clear_count.qml",
        "nearest_days.qml",
        "support.qml",
        "samples/sample_01.qml",
        "samples/sample_02.qml",
        "preview.png",
        "thumbnail.png",
        "item.json",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["result"]


def test_reflectance_comes_back_within_half_a_step(folder: Path, estimate: SuperResolved) -> None:
    wanted = {
        "sr.tif": estimate.mean,
        "uncertainty.tif": estimate.spread,
        "samples/sample_02.tif": estimate.samples[1],
    }
    for name, image in wanted.items():
        with rasterio.open(folder / name) as file:
            stored = file.read(masked=True)
            np.testing.assert_array_equal(stored.mask, np.isnan(image))
            read = stored * file.scales[0] + file.offsets[0]
        np.testing.assert_allclose(read.filled(np.nan), image.clip(0), atol=0.5001e-4, rtol=0)


def test_counts_come_back_as_they_are(folder: Path, estimate: SuperResolved) -> None:
    with rasterio.open(folder / "clear_count.tif") as file:
        np.testing.assert_array_equal(file.read(1), estimate.clear_count)
        assert file.nodata is None
    with rasterio.open(folder / "nearest_days.tif") as file:
        np.testing.assert_array_equal(file.read(1), estimate.nearest_days)
        assert file.nodata == NEVER
    with rasterio.open(folder / "support.tif") as file:
        np.testing.assert_array_equal(file.read(1), estimate.support)
        table = file.colormap(1)
    assert [table[number][:3] for number in range(len(SUPPORT))] == list(SUPPORT_COLOURS)


@pytest.mark.parametrize(
    ("reflectance", "stored"),
    [(-0.02, 0), (0, 0), (0.12344, 1234), (0.12346, 1235), (7.0, 65534), (np.nan, 65535)],
)
def test_stored_numbers(reflectance: float, stored: int) -> None:
    assert digital(np.full((2, 3), reflectance, np.float32)).tolist() == [[stored] * 3] * 2


def test_the_fine_grid_has_the_corners_of_the_coarse_one(folder: Path, series: Series) -> None:
    with rasterio.open(folder / "sr.tif") as file:
        assert file.crs == rasterio.CRS.from_epsg(32631)
        assert file.shape == (H * SCALE, W * SCALE)
        np.testing.assert_allclose(file.bounds, series.grid.extent.boundingbox, atol=1e-6, rtol=0)
        assert file.transform.a == pytest.approx(10 / SCALE, abs=1e-12)
    with rasterio.open(folder / "clear_count.tif") as file:
        assert file.transform == series.grid.transform


def test_every_raster_is_a_valid_cog(folder: Path) -> None:
    for path in folder.rglob("*.tif"):
        assert cog_validate(path, strict=True) == (True, [], []), path


def test_a_large_raster_has_overviews_with_their_mask(tmp_path: Path) -> None:
    series = make_series(grid=make_grid(130, 210))
    write_product(make_estimate(series, samples=0), series, tmp_path / "result")
    assert cog_validate(tmp_path / "result/sr.tif", strict=True) == (True, [], [])
    with rasterio.open(tmp_path / "result/sr.tif") as file:
        assert file.overviews(1) == [2]
        assert file.mask_flag_enums == ([MaskFlags.per_dataset],) * C
        assert file.block_shapes == [(512, 512)] * C
    with rasterio.open(tmp_path / "result/sr.tif", overview_level=0) as file:
        assert not file.dataset_mask()[3:4, 4:9].any()
        assert file.read(masked=True).max() < 4001
    assert not (tmp_path / "result/samples").exists()


def test_bands_say_what_they_are(folder: Path) -> None:
    with rasterio.open(folder / "sr.tif") as file:
        assert file.descriptions == BANDS
        assert file.colorinterp == (
            ColorInterp.blue,
            ColorInterp.green,
            ColorInterp.red,
            ColorInterp.nir,
        )
        assert file.units == ("reflectance",) * C
        assert file.nodata == 65535
        for number, plane in enumerate(file.read(masked=True), start=1):
            tags = file.tags(number)
            assert float(tags["STATISTICS_MINIMUM"]) == plane.min()
            assert float(tags["STATISTICS_MAXIMUM"]) == plane.max()
            assert float(tags["STATISTICS_MEAN"]) == pytest.approx(plane.mean())
            assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(plane.std())
    with rasterio.open(folder / "uncertainty.tif") as file:
        assert file.descriptions == tuple(f"{band}_spread" for band in BANDS)


def test_every_raster_says_how_it_was_made(folder: Path, estimate: SuperResolved) -> None:
    for path in folder.rglob("*.tif"):
        with rasterio.open(path) as file:
            tags = file.tags()
        assert tags["TIFFTAG_SOFTWARE"] == "sitsr 0.1.0"
        assert tags["TIFFTAG_DATETIME"] == "2021:07:18 00:00:00"
        assert json.loads(tags["PROVENANCE"]) == {**estimate.provenance, "consistency": None}


def test_the_item_is_valid_stac(item: dict[str, Any]) -> None:
    validator = JsonSchemaSTACValidator()  # its schemas of the core lie in the package
    assert validator.validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")
    assert item["stac_version"] == "1.1.0"


def test_the_item_says_when_and_where(item: dict[str, Any], series: Series) -> None:
    assert item["properties"]["datetime"] == "2021-07-18T00:00:00Z"
    assert item["properties"]["gsd"] == pytest.approx(10 / SCALE)
    assert item["properties"]["proj:code"] == "EPSG:32631"
    assert item["properties"]["proj:shape"] == [H * SCALE, W * SCALE]
    assert item["assets"]["clear_count"]["proj:shape"] == [H, W]
    assert item["assets"]["clear_count"]["proj:transform"] == [10, 0, 488_000, 0, -10, 4_693_000]
    bounds = transform_bounds("EPSG:32631", "EPSG:4326", *series.grid.extent.boundingbox)
    np.testing.assert_allclose(item["bbox"], bounds, atol=1e-6)
    ring = np.array(item["geometry"]["coordinates"][0])
    np.testing.assert_array_equal(ring[0], ring[-1])
    doubled = (ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]).sum()
    assert doubled > 0, "GeoJSON's rings run anticlockwise"


def test_the_item_describes_the_rasters_as_they_are(folder: Path, item: dict[str, Any]) -> None:
    assert {raster for raster, entry in item["assets"].items() if "bands" in entry} == {
        path.stem for path in folder.rglob("*.tif")
    }
    for entry in item["assets"].values():
        assert (folder / entry["href"]).is_file()
        if "bands" not in entry:
            continue
        with rasterio.open(folder / entry["href"]) as file:
            assert entry["data_type"] == file.dtypes[0]
            assert entry.get("nodata") == file.nodata
            assert entry.get("raster:scale", 1) == file.scales[0]
            assert entry["proj:shape"] == list(file.shape)
            assert entry["proj:transform"] == list(file.transform[:6])
            assert [band["name"] for band in entry["bands"]] == list(file.descriptions)
            for number, band in enumerate(entry["bands"], start=1):
                tag = float(file.tags(number)["STATISTICS_MAXIMUM"])
                assert band["statistics"]["maximum"] == tag


def test_the_item_names_what_it_was_derived_from(item: dict[str, Any], series: Series) -> None:
    links = [link for link in item["links"] if link["rel"] == "derived_from"]
    assert [link["href"] for link in links] == list(series.sources)
    assert [link["title"] for link in links] == [str(day) for day in series.dates]
    assert item["properties"]["processing:software"] == {"sitsr": "0.1.0"}
    assert item["properties"]["processing:level"] == "L4"
    assert (
        "super-resolved 3 times from 5 Sentinel-2 images"
        in (item["properties"]["processing:lineage"])
    )
    assert len(item["stac_extensions"]) == 4


def test_an_input_that_is_a_file_is_found_from_the_item(tmp_path: Path) -> None:
    first, second = (tmp_path / "in" / name for name in ("a.tif", "b.tif"))
    first.parent.mkdir()
    for path in (first, second):
        path.touch()
    series = make_series()
    series = replace(series, sources=(f"{first}, {second}", *series.sources[1:]))
    folder = write_product(make_estimate(series), series, tmp_path / "out")
    links = json.loads((folder / "item.json").read_text())["links"]
    hrefs = [link["href"] for link in links if link["rel"] == "derived_from"]
    assert [(folder / href).resolve() for href in hrefs[:2]] == [first, second]
    assert hrefs[2:] == list(series.sources[1:])


def test_where_nothing_is_known_there_are_no_statistics(tmp_path: Path, series: Series) -> None:
    made = make_estimate(series)
    blank = replace(made, mean=np.full_like(made.mean, np.nan))
    write_product(blank, series, tmp_path / "result")
    item = json.loads((tmp_path / "result/item.json").read_text())
    assert item["assets"]["sr"]["bands"][0]["statistics"] == {"valid_percent": 0}
    with rasterio.open(tmp_path / "result/sr.tif") as file:
        assert file.read(masked=True).mask.all()


def test_progress_counts_the_files(tmp_path: Path, estimate: SuperResolved, series: Series) -> None:
    told: list[tuple[int, int]] = []
    write_product(estimate, series, tmp_path / "result", lambda *step: told.append(step))
    assert told == [(done, 7) for done in range(8)]


# ---- the folder


def test_a_former_product_is_replaced_whole(
    tmp_path: Path, estimate: SuperResolved, series: Series
) -> None:
    place = tmp_path / "result"
    write_product(estimate, series, place)
    (place / "sr.tif.aux.xml").write_text("left by a viewer")
    write_product(make_estimate(series, samples=0), series, place)
    assert not (place / "samples").exists()
    assert not (place / "sr.tif.aux.xml").exists()
    assert (place / "sr.tif").exists()


def test_an_empty_folder_and_a_deep_place_are_free(
    tmp_path: Path, estimate: SuperResolved, series: Series
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "deep/down/here"):
        assert (write_product(estimate, series, tmp_path / name) / "item.json").exists()


def foreign_file(place: Path) -> None:
    place.write_text("mine")


def foreign_folder(place: Path) -> None:
    place.mkdir()
    (place / "notes.txt").write_text("mine")


def foreign_item(place: Path) -> None:
    place.mkdir()
    (place / "item.json").write_text('{"properties": {}}')


def product_and_notes(place: Path) -> None:
    series = make_series()
    write_product(make_estimate(series, samples=0), series, place)
    (place / "notes.txt").write_text("mine")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (foreign_file, "is a file; name a folder that is new or empty"),
        (foreign_folder, "holds notes.txt, which is no former result"),
        (foreign_item, "holds item.json, which is no former result"),
        (product_and_notes, "holds a former result, but notes.txt as well, which would be lost"),
    ],
)
def test_what_is_not_ours_is_left_alone(
    make: Any, message: str, tmp_path: Path, estimate: SuperResolved, series: Series
) -> None:
    place = tmp_path / "result"
    make(place)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        check_free(place)
    with pytest.raises(InputError, match=message):
        write_product(estimate, series, place)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failure_half_way_leaves_what_was_there(
    tmp_path: Path, estimate: SuperResolved, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "result"
    write_product(estimate, series, place)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    def fail(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_product(estimate, series, place, fail)
    with pytest.raises(KeyboardInterrupt):
        write_product(estimate, series, tmp_path / "other", fail)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_failed_rename_puts_the_former_product_back(
    tmp_path: Path, estimate: SuperResolved, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "result"
    write_product(estimate, series, place)
    rename = Path.rename

    def stubborn(self: Path, target: Path) -> Path:
        if self.name.startswith(".result.") and not self.name.endswith(".former"):
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(OSError, match="disk full"):
        write_product(make_estimate(series, samples=0), series, place)
    assert (place / "samples/sample_01.tif").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


@pytest.mark.parametrize(
    "other",
    [
        make_grid(H, W + 1),
        GeoBox((H, W), rasterio.Affine(10, 0, 488_000, 0, -10, 4_693_010), "EPSG:32631"),
        GeoBox((H, W), make_grid().transform, "EPSG:32632"),
    ],
)
def test_an_estimate_of_other_ground_is_refused(
    other: GeoBox, tmp_path: Path, estimate: SuperResolved
) -> None:
    with pytest.raises(InputError, match="hand in the series it was made from"):
        write_product(estimate, make_series(grid=other), tmp_path / "result")
    assert not list(tmp_path.iterdir())


# ---- pictures


def test_natural_colour_is_red_green_blue_with_a_fixed_stretch() -> None:
    image = np.zeros((C, H, W), np.float32)
    image[2], image[1] = 0.3, 0.0375
    image[:, 0, 0] = np.nan
    picture = natural_colour(image, BANDS)
    assert picture.shape == (H, W, 3)
    assert picture[5, 6].tolist() == [255, round(255 / 4), 0]
    assert picture[0, 0].tolist() == [128, 128, 128]


def test_without_the_colours_the_first_band_is_shown_in_gray() -> None:
    picture = natural_colour(np.full((1, H, W), 0.3, np.float32), ("B08",))
    assert (picture == 255).all()


@pytest.mark.parametrize(
    ("cloudy", "chosen"),
    [
        ((), 2),  # two days after
        ((2,), 1),  # seven days before
        ((0, 1, 2, 3), 4),
        ((0, 1, 2, 3, 4), 3),  # none is clear enough: the clearest
    ],
)
def test_the_picture_of_what_was_seen_is_near_and_clear(
    cloudy: tuple[int, ...], chosen: int
) -> None:
    clear = np.ones((T, H, W), np.bool_)
    clear[list(cloudy), 2:] = False
    clear[3, 2] = True
    assert clearest_near(make_series(clear=clear), TARGET) == chosen


def test_the_preview_shows_input_and_result_side_by_side(
    folder: Path, estimate: SuperResolved, series: Series
) -> None:
    with Image.open(folder / "preview.png") as file:
        picture = np.asarray(file)
    assert picture.shape == (H * SCALE, 2 * W * SCALE + 8, 3)
    right = natural_colour(estimate.mean, BANDS)
    np.testing.assert_array_equal(picture[:, W * SCALE + 8 :], right)
    left = natural_colour(series.images[1], BANDS).repeat(SCALE, 0).repeat(SCALE, 1)
    np.testing.assert_array_equal(picture[:, : W * SCALE], left)


def test_a_large_preview_is_shrunk(tmp_path: Path, estimate: SuperResolved, series: Series) -> None:
    pictures.write_preview(tmp_path / "preview.png", estimate, series, side=20)
    with Image.open(tmp_path / "preview.png") as file:
        assert file.size == (20 + 8 + 20, round(20 * H / W))


def test_a_lone_band_is_gray_and_classes_have_a_palette() -> None:
    of = {raster.href: list(colours(raster)) for raster in layout(("B99", "B04"), 0)}
    assert of["sr.tif"] == ["undefined", "red"]
    assert of["clear_count.tif"] == ["gray"] and of["support.tif"] == ["palette"]
