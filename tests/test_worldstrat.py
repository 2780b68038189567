"""WorldStrat is read as it was published, with everything that is wrong with it."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import math
import shutil
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform

from miniatures.worldstrat import DEFECTS, PLACES, REVISITS, WHOLE, ground, make_worldstrat
from sitsr.datasets import REAL, Pair, Source, is_worldstrat, read_worldstrat
from sitsr.datasets.worldstrat import black_bars, is_constant
from sitsr.datasets.worldstrat.ground import LONGEST, utm_grid
from sitsr.datasets.worldstrat.pixels import LEVELS
from sitsr.metrics import best_shift
from sitsr.radiometry import degrade
from sitsr.series import InputError

FOREST, FIELDS, HILLS, TOWN = (
    *("ASMSpotter-1-1-1", "Amnesty POI-8-2-1", "Landcover-1062091", "UNHCR-HUNs002665"),
)
BANDS = ("B02", "B03", "B04", "B08")
BANDS_HELD = [1, 2, 3, 7]  # among the twelve
SIGMA = (0.5,) * 4
SCALE = 4
DAYS = [date.fromisoformat(day) for day in REVISITS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature without defects; not to be changed."""
    made = tmp_path_factory.mktemp("worldstrat")
    make_worldstrat(made)
    return made


def planted(folder: Path, *defects: str) -> Path:
    """The miniature with these defects, in a folder of the test's own."""
    make_worldstrat(folder, defects=frozenset(defects))
    return folder


def source_of(folder: Path, tile: str, **wish: Any) -> Source:
    (found,) = (each for each in read_worldstrat(folder, **wish) if each.patch == tile)
    return found


def pair_of(folder: Path, tile: str, **wish: Any) -> Pair:
    return source_of(folder, tile, **wish).load()


def told(pair: Pair, words: str) -> list[str]:
    return [line for line in pair.series.history if words in line]


def truth(pair: Pair) -> npt.NDArray[np.float32]:
    """[12, scale·H, scale·W] the miniature's own ground under a pair of scale 4."""
    image, lattice = ground(pair.patch)
    fine = pair.series.grid.zoom_out(1 / SCALE)
    left, top = ~lattice.transform * (fine.transform.c, fine.transform.f)
    assert left == pytest.approx(round(left)) and top == pytest.approx(round(top))
    rows, cols = fine.shape
    return image[:, round(top) : round(top) + rows, round(left) : round(left) + cols]


def rewrite(path: Path, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> None:
    """A raster with other pixels (of another number or type, if need be), in the same place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            image, profile = change(file.read()), file.profile
        count, height, width = image.shape
        profile |= {"count": count, "height": height, "width": width, "dtype": image.dtype}
        if profile["transform"].is_identity:
            del profile["transform"]
        with rasterio.open(path, "w", **profile) as file:
            file.write(image)


def low(folder: Path, tile: str, number: int, ending: str = "L2A_data.tiff") -> Path:
    return folder / "lr_dataset" / tile / "L2A" / f"{tile}-{number}-{ending}"


def high(folder: Path, tile: str, kind: str = "ps") -> Path:
    return folder / "hr_dataset" / tile / f"{tile}_{kind}.tiff"


# ------------------------------------------------------------- what is there


def test_a_tile_is_a_source_with_its_area_split_place_and_classes(folder: Path) -> None:
    sources = read_worldstrat(folder)
    assert [each.patch for each in sources] == sorted(PLACES)
    assert {each.kind for each in sources} == {REAL}
    fields = source_of(folder, FIELDS)
    assert (fields.site, fields.split) == ("Amnesty POI-8", "train")
    assert fields.bounds == pytest.approx(PLACES[FIELDS].bounds)
    assert fields.tags["IPCC Class"] == "Agriculture" and fields.tags["SMOD"] == "11"
    assert fields.tags["source"] == "Amnesty" and fields.tags["LCCS"] == "11"
    hills = source_of(folder, HILLS)
    assert (hills.site, "IPCC Class" in hills.tags) == (HILLS, False)


def test_a_split_holds_its_own_tiles_and_all_splits_all(folder: Path) -> None:
    held = {
        split: [each.patch for each in read_worldstrat(folder, split)]
        for split in ("train", "validation", "test")
    }
    assert held == {
        "train": [FIELDS, "Amnesty POI-8-2-2"],
        "validation": [TOWN],
        "test": [FOREST, HILLS],
    }


def test_nothing_but_tables_and_folders_is_read_before_a_pair_is(tmp_path: Path) -> None:
    planted(tmp_path)
    for path in tmp_path.rglob("*.tiff"):
        path.write_bytes(b"")
    sources = read_worldstrat(tmp_path)
    assert len(sources) == len(PLACES)
    with pytest.raises(InputError, match=r"_ps\.tiff cannot be read .*; get it again"):
        sources[0].load()


@pytest.mark.parametrize("tile", [FOREST, FIELDS, HILLS, TOWN])
def test_a_series_lies_on_square_pixels_of_10_m_that_were_seen(folder: Path, tile: str) -> None:
    pair = pair_of(folder, tile)
    series, grid = pair.series, pair.series.grid
    assert (grid.transform.a, grid.transform.e) == (10, -10)
    rows, cols = grid.shape
    assert rows != cols and series.images.shape == (4, 4, rows, cols)
    assert series.bands == BANDS and len(pair.sensor_sigma) == 4
    assert pair.reference.shape == (4, SCALE * rows, SCALE * cols)
    assert pair.clear.shape == pair.reference.shape[1:] and pair.clear.all()
    assert [each.all() for each in series.clear] == [True, True, True, False]  # revisit 2 is last
    assert pair.target == date(2021, 7, 18)


def test_zones_are_those_of_the_places(folder: Path) -> None:
    zones = [each.load().series.grid.crs.epsg for each in read_worldstrat(folder)]
    assert zones == [32721, 32646, 32646, 32634, 32634]


@pytest.mark.parametrize(
    "bounds",
    [
        (50.6317, -66.9276, 50.6679, -66.9134),
        (-120.7809, 68.9823, -120.7414, 68.9965),
        (18.7784, -4.4164, 18.7927, -4.4021),
        (179.98, 51.0, 179.9999, 51.0142),
    ],
)
def test_the_grid_lies_within_the_bounds_and_all_but_fills_them(
    bounds: tuple[float, float, float, float],
) -> None:
    grid = utm_grid(bounds)
    left, bottom, right, top = grid.boundingbox.bbox
    lon, lat = transform(
        str(grid.crs), "EPSG:4326", [left, right, right, left], [top, top, bottom, bottom]
    )
    west, south, east, north = bounds
    slack = 2e-6  # a parallel is no straight line on a map: 0.2 m
    assert west - slack <= min(lon) and max(lon) <= east + slack
    assert south - slack <= min(lat) and max(lat) <= north + slack
    across = (east - west) * 111_320 * math.cos(math.radians(south))
    assert grid.shape[0] * grid.shape[1] * 100 > 0.85 * across * (north - south) * 111_195


# ------------------------------------------------------------- pixels


@pytest.mark.parametrize("tile", [FOREST, FIELDS, HILLS, TOWN])
def test_the_reference_lies_where_the_ground_is(folder: Path, tile: str) -> None:
    pair = pair_of(folder, tile)
    wanted = truth(pair)[BANDS_HELD]
    inner = np.s_[:, 8:-8, 8:-8]

    def error(down: int, right: int) -> float:
        moved = np.roll(pair.reference, (down, right), (1, 2))
        return float(np.abs(moved - wanted)[inner].mean())

    beside = [error(*step) for step in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    assert error(0, 0) < min(beside) / 4


@pytest.mark.parametrize("tile", [FOREST, FIELDS, HILLS, TOWN])
def test_the_degraded_reference_agrees_with_the_series_only_where_it_lies(
    folder: Path, tile: str
) -> None:
    pair = pair_of(folder, tile)
    seen = pair.series.images[pair.series.dates.index(DAYS[0])]
    lr = degrade(pair.reference, SCALE, SIGMA)

    def likeness(down: int, right: int) -> float:
        moved = np.roll(lr, (down, right), (1, 2))[:, 2:-2, 2:-2]
        return float(np.corrcoef(moved.ravel(), seen[:, 2:-2, 2:-2].ravel())[0, 1])

    beside = [likeness(*step) for step in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    assert likeness(0, 0) > 0.99 > max(beside)


def test_reflectance_is_what_it_was_in_every_band_of_both_sensors(folder: Path) -> None:
    pair = pair_of(folder, TOWN)
    wanted = truth(pair)[BANDS_HELD]
    assert np.abs(pair.reference - wanted)[:, 8:-8, 8:-8].mean((1, 2)).max() < 0.003
    series = pair.series
    coarse = degrade(wanted, SCALE, SIGMA)
    seen = series.images[series.dates.index(DAYS[0])]
    assert np.abs(seen - coarse)[:, 3:-3, 3:-3].mean((1, 2)).max() < 0.005
    dark = series.images[series.dates.index(DAYS[1])]
    clear = series.clear[series.dates.index(DAYS[1])]
    np.testing.assert_allclose(dark[:, clear], 0.9 * seen[:, clear], atol=1e-3)
    row, col = 61, 73
    np.testing.assert_allclose(pair.reference[:, row, col], wanted[:, row, col], atol=0.01)


def test_time_runs_from_the_earliest_though_the_best_comes_first(folder: Path) -> None:
    series = pair_of(folder, TOWN).series
    assert list(series.dates) == sorted(DAYS) != DAYS
    assert [Path(each).name[:18] for each in series.sources] == [
        f"{TOWN}-{n}" for n in (4, 3, 1, 2)
    ]


def test_of_fewer_images_the_best_ranked_are_kept(folder: Path) -> None:
    assert pair_of(folder, TOWN, most_images=2).series.dates == (DAYS[0], DAYS[1])
    assert len(pair_of(folder, TOWN, most_images=None).series.dates) == 4


def test_cloud_is_1_in_its_mask_and_data_are_1_in_theirs(tmp_path: Path) -> None:
    planted(tmp_path)

    def hide(layer: npt.NDArray[Any]) -> npt.NDArray[Any]:
        layer[:, 20:] = 0
        return layer

    rewrite(low(tmp_path, TOWN, 1, "dataMask.tiff"), hide)
    series = pair_of(tmp_path, TOWN).series
    cloudy = series.clear[series.dates.index(DAYS[1])]
    assert not cloudy[6:9, 22:27].any() and cloudy[14:].all() and cloudy[:, :16].all()
    assert (series.images[series.dates.index(DAYS[1]), :, 7, 24] > 0.55).all()  # seen all the same
    cut = series.clear[series.dates.index(DAYS[0])]
    assert not cut[-6:].any() and cut[:15].all()


def test_where_the_cloud_mask_knows_nothing_it_is_not_clear(tmp_path: Path) -> None:
    planted(tmp_path)
    rewrite(low(tmp_path, TOWN, 1, "CLM.tiff"), lambda layer: np.full_like(layer, 255))
    series = pair_of(tmp_path, TOWN).series
    assert not series.clear[series.dates.index(DAYS[0])].any() and series.clear.any()


def test_ground_that_no_revisit_shows_is_not_scored(tmp_path: Path) -> None:
    planted(tmp_path)
    cloud = low(tmp_path, TOWN, 2, "CLM.tiff")
    for number in (1, 3, 4):
        shutil.copy(cloud, low(tmp_path, TOWN, number, "CLM.tiff"))
    pair = pair_of(tmp_path, TOWN)
    never = ~pair.series.clear.any(0)
    assert never.any() and not never.all()
    np.testing.assert_array_equal(pair.clear, ~never.repeat(SCALE, 0).repeat(SCALE, 1))


def test_level_1c_has_its_own_bands(folder: Path) -> None:
    surface, top = (pair_of(folder, TOWN, level=level).series for level in ("L2A", "L1C"))
    assert "L1C" in top.sources[0] and top.bands == surface.bands
    k = surface.dates.index(DAYS[0])
    np.testing.assert_allclose(top.images[k], 0.9 * surface.images[k] + 0.03, atol=1e-3)


def test_level_1c_has_the_cirrus_band_after_that_of_vapour() -> None:
    assert LEVELS["L1C"][9:11] == ("B09", "B10") and len(LEVELS["L1C"]) == 13
    assert tuple(band for band in LEVELS["L1C"] if band != "B10") == LEVELS["L2A"]


def test_without_masks_clouds_are_found_at_level_1c_too(tmp_path: Path) -> None:
    planted(tmp_path)
    for path in (tmp_path / "lr_dataset" / TOWN / "L1C").glob("*-CLM.tiff"):
        path.unlink()
    pair = pair_of(tmp_path, TOWN, level="L1C")
    cloudy = pair.series.clear[pair.series.dates.index(DAYS[1])]
    assert not cloudy[6:9, 22:27].any() and cloudy.mean() > 0.5


@pytest.mark.parametrize(
    ("target", "bands"), [("pansharpened", BANDS), ("rgbn", BANDS), ("pan", ("PAN",))]
)
@pytest.mark.parametrize("scale", [4, 7])
def test_every_reference_comes_at_every_scale(
    folder: Path, target: str, bands: tuple[str, ...], scale: int
) -> None:
    pair = pair_of(folder, TOWN, target=target, scale=scale)
    rows, cols = pair.series.grid.shape
    assert pair.series.bands == bands and pair.scale == scale
    assert pair.reference.shape == (len(bands), scale * rows, scale * cols)
    lr = degrade(pair.reference, scale, (0.5,) * len(bands))
    seen = pair.series.images[pair.series.dates.index(DAYS[0])]
    assert np.corrcoef(lr[:, 2:-2, 2:-2].ravel(), seen[:, 2:-2, 2:-2].ravel())[0, 1] > 0.98
    had = "6 m" if target == "rgbn" else "1.5 m"
    assert told(pair, f"the {target} reference was resampled once from {had} to {10 / scale:g} m")


def test_the_panchromatic_band_is_the_mean_of_what_it_spans(folder: Path) -> None:
    pan, colours = (pair_of(folder, TOWN, target=t).series for t in ("pan", "pansharpened"))
    np.testing.assert_allclose(pan.images[:, 0], colours.images[:, :3].mean(1), atol=1e-5)


def test_a_pansharpened_image_may_lack_the_infrared(tmp_path: Path) -> None:
    planted(tmp_path)
    rewrite(high(tmp_path, TOWN), lambda image: image[:3])
    pair = pair_of(tmp_path, TOWN)
    assert pair.series.bands == BANDS[:3] and pair.reference.shape[0] == 3
    assert np.abs(pair.reference - truth(pair)[1:4])[:, 8:-8, 8:-8].mean() < 0.003


@pytest.mark.parametrize(("pixels", "least", "most"), [(1, 0, 0.04), (3, 0.8, 1.1)])
def test_what_is_finer_than_the_new_pixels_is_averaged_and_the_rest_kept(
    tmp_path: Path, pixels: int, least: float, most: float
) -> None:
    planted(tmp_path)

    def striped(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        bright = np.arange(image.shape[2]) // pixels % 2  # a period of 3 m or of 9 m
        return np.broadcast_to(1000 + 1000 * bright, image.shape).astype(image.dtype)

    rewrite(high(tmp_path, TOWN), striped)
    reference = pair_of(tmp_path, TOWN).reference
    assert reference.mean() == pytest.approx(0.15, abs=2e-3)
    assert least <= reference.std() / 0.05 <= most


def test_the_smaller_release_is_laid_out_otherwise(tmp_path: Path) -> None:
    planted(tmp_path)
    deeper = tmp_path / "hr_dataset" / "12bit"
    deeper.mkdir()
    for name in PLACES:
        (tmp_path / "hr_dataset" / name).rename(deeper / name)
    (tmp_path / "hr_dataset" / "8bit").mkdir()
    assert len(read_worldstrat(tmp_path)) == len(PLACES)
    assert pair_of(tmp_path, TOWN).clear.all()


def test_a_raster_that_says_where_it_lies_is_believed(tmp_path: Path) -> None:
    planted(tmp_path)
    west, south, east, north = PLACES[TOWN].bounds
    with (
        pytest.warns(NotGeoreferencedWarning),
        rasterio.open(high(tmp_path, TOWN), "r+") as file,
    ):
        size = ((east - west) / file.width, (north - south) / file.height)
        file.transform = rasterio.Affine(size[0], 0, west, 0, -size[1], north - 10 * size[1])
    moved = pair_of(tmp_path, TOWN)
    assert not moved.clear[:4].any() and moved.clear[10:].all()


# ------------------------------------------------------------- what is wrong with it


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_a_defect_changes_what_it_is_about_and_little_else(
    folder: Path, tmp_path: Path, defect: str
) -> None:
    clean, other = digest(folder), digest(planted(tmp_path, defect))
    changed = {name for name in clean.keys() | other.keys() if clean.get(name) != other.get(name)}
    assert changed and len(changed) < len(clean) / 3


def test_the_clean_miniature_has_nothing_to_tell_of(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for source in read_worldstrat(folder):
        assert len(source.load().series.history) == 2  # it was warped, and so was the reference
    assert not caplog.records


def test_a_shared_area_leaves_train_for_test(tmp_path: Path) -> None:
    planted(tmp_path, "shared_area")
    assert not read_worldstrat(tmp_path, "train")
    tested = [each.patch for each in read_worldstrat(tmp_path, "test")]
    assert tested == [FOREST, "Amnesty POI-8-2-2", HILLS]
    assert FIELDS not in {each.patch for each in read_worldstrat(tmp_path)}
    official = {each.patch: each.split for each in read_worldstrat(tmp_path, grouped=False)}
    assert official[FIELDS] == "train" and official["Amnesty POI-8-2-2"] == "test"


def test_a_tile_in_two_splits_is_in_one(tmp_path: Path) -> None:
    planted(tmp_path, "leaking_split", "duplicate_row")
    for grouped in (True, False):
        sources = read_worldstrat(tmp_path, grouped=grouped)
        assert [each.patch for each in sources] == sorted(PLACES)
        assert source_of(tmp_path, TOWN, grouped=grouped).split == "validation"


def test_a_tile_of_no_split_is_in_none_unless_its_area_is(tmp_path: Path) -> None:
    planted(tmp_path)
    path = tmp_path / "stratified_train_val_test_split.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if FIELDS not in line and TOWN not in line))
    assert source_of(tmp_path, TOWN).split is None
    assert FIELDS not in {each.patch for each in read_worldstrat(tmp_path)}
    assert source_of(tmp_path, FIELDS, grouped=False).split is None
    path.unlink()
    assert {each.split for each in read_worldstrat(tmp_path)} == {None}
    with pytest.raises(InputError, match="has no splits; get stratified_train_val_test_split"):
        read_worldstrat(tmp_path, "test")


def test_of_two_revisits_of_a_day_the_better_ranked_is_kept(tmp_path: Path) -> None:
    pair = pair_of(planted(tmp_path, "duplicate_revisit"), TOWN)
    assert list(pair.series.dates) == sorted(DAYS)
    (line,) = told(pair, "left out")
    assert line == "left out revisit 5 of 2021-07-21, a day of which revisit 2 ranks higher"


def test_a_constant_revisit_is_left_out(tmp_path: Path) -> None:
    pair = pair_of(planted(tmp_path, "constant_revisit"), HILLS)
    assert DAYS[2] not in pair.series.dates and len(pair.series.dates) == 3
    assert told(pair, "left out revisit 3 of 2020-09-14, all of whose pixels are equal")


def test_where_the_better_of_a_day_is_constant_the_other_stands_in(tmp_path: Path) -> None:
    planted(tmp_path, "duplicate_revisit")
    rewrite(low(tmp_path, TOWN, 2), lambda image: np.full_like(image, 0.2))
    series = pair_of(tmp_path, TOWN).series
    assert f"{TOWN}-5-" in series.sources[series.dates.index(DAYS[1])]


def test_black_bars_are_masked_and_told_of(tmp_path: Path) -> None:
    planted(tmp_path, "black_bars")
    pair = pair_of(tmp_path, TOWN)
    assert told(pair, "masked black bars of the reference: above 4, left 4 pixels of 1.5 m")
    assert not pair.clear[0].any() and not pair.clear[:, 0].any()
    assert pair.clear[8:, 8:].all()
    assert np.abs(pair.reference - truth(pair)[BANDS_HELD])[:, pair.clear].mean() < 0.003
    six = pair_of(tmp_path, TOWN, target="rgbn")
    assert told(six, "above 1, left 1 pixels of 6 m")


def test_bars_are_counted_from_every_side() -> None:
    image = np.ones((2, 7, 9), np.uint16)
    assert black_bars(image) == (0, 0, 0, 0)
    image[0] = 0
    assert black_bars(image) == (0, 0, 0, 0)  # black in one band only
    image[:, :2], image[:, -1:], image[:, :, -3:] = 0, 0, 0
    assert black_bars(image) == (2, 1, 0, 3)
    image[:, 4, 4] = 0
    assert black_bars(image) == (2, 1, 0, 3)
    assert black_bars(np.zeros((2, 7, 9))) == (7, 0, 0, 0)


def test_an_image_is_constant_if_all_its_bands_are() -> None:
    image = np.tile(np.array([0.1, 0.2], np.float32)[:, None, None], (1, 5, 8))
    assert is_constant(image)
    image[1, 3, 2] = 0.21
    assert not is_constant(image)


def test_a_shifted_reference_is_found_to_be_so(folder: Path, tmp_path: Path) -> None:
    shifts = [
        best_shift(truth(pair)[BANDS_HELD], pair.reference, pair.clear, 8.0)
        for pair in (pair_of(folder, HILLS), pair_of(planted(tmp_path, "shifted_reference"), HILLS))
    ]
    assert shifts[0] == pytest.approx((0, 0), abs=0.1)
    assert np.abs(shifts[1]) == pytest.approx((12 / 2.5, 6 / 2.5), abs=0.2)


def test_days_that_disagree_are_told_of(tmp_path: Path) -> None:
    pair = pair_of(planted(tmp_path, "dates_out_of_order"), TOWN)
    lines = told(pair, "by metadata.csv is of")
    assert lines == [
        "revisit 1 of 2020-09-14 by metadata.csv is of 2021-07-16 by its own file; "
        "the former was kept",
        "revisit 3 of 2021-07-16 by metadata.csv is of 2020-09-14 by its own file; "
        "the former was kept",
    ]
    assert list(pair.series.dates) == sorted(DAYS)


def test_without_a_mask_clouds_are_found_by_the_spectral_rule(tmp_path: Path) -> None:
    pair = pair_of(planted(tmp_path, "missing_mask"), HILLS)
    assert told(pair, "clear sky by the spectral rule where CLM is missing: revisits 2")
    cloudy = pair.series.clear[pair.series.dates.index(DAYS[1])]
    assert not cloudy[6:9, 22:27].any() and cloudy.mean() > 0.5
    assert pair.series.clear[pair.series.dates.index(DAYS[0])].all()


def test_tiles_that_lack_something_are_left_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted(tmp_path, "missing_level")
    high(tmp_path, TOWN).unlink()
    with caplog.at_level(logging.WARNING):
        kept = [each.patch for each in read_worldstrat(tmp_path)]
    assert kept == [FIELDS, "Amnesty POI-8-2-2", HILLS]
    assert f"left out 1 tiles without L2A data: {FOREST}" in caplog.messages
    assert f"left out 1 tiles without _ps.tiff: {TOWN}" in caplog.messages
    assert len(read_worldstrat(tmp_path, level="L1C", target="pan")) == len(PLACES)


def test_nothing_but_the_data_is_needed(folder: Path, tmp_path: Path) -> None:
    bare, whole = (pair_of(f, WHOLE) for f in (planted(tmp_path, "missing_side_files"), folder))
    np.testing.assert_allclose(bare.reference, whole.reference)
    assert bare.series.dates == whole.series.dates
    assert told(bare, "where CLM is missing: revisits 4, 3, 1, 2")


def test_a_revisit_of_another_size_lies_on_the_same_ground(folder: Path, tmp_path: Path) -> None:
    odd, even = (pair_of(f, TOWN).series for f in (planted(tmp_path, "other_size"), folder))
    k = even.dates.index(DAYS[1])
    assert odd.grid == even.grid
    both = odd.clear[k] & even.clear[k]
    assert both.mean() > 0.8
    likeness = np.corrcoef(odd.images[k][:, both].ravel(), even.images[k][:, both].ravel())
    assert likeness[0, 1] > 0.98
    np.testing.assert_array_equal(odd.images[0], even.images[0])


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Landcover-1062091-1-L2A_data\.tiff cannot be read"):
        pair_of(planted(tmp_path, "truncated_file"), HILLS)


def test_a_tiff_of_a_billion_rows_is_refused_unread(tmp_path: Path) -> None:
    planted(tmp_path, "huge_tiff")
    assert low(tmp_path, HILLS, 4).stat().st_size < 300
    with pytest.raises(InputError, match=r"-4-L2A_data\.tiff claims 1000000000 × 34 pixels"):
        pair_of(tmp_path, HILLS)


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        (high(Path(), TOWN), lambda i: (i // 16).astype(np.uint8), "holds 8-bit values, a picture"),
        (high(Path(), TOWN), lambda i: i[:2], "has 2 bands; wanted 3 or 4"),
        (high(Path(), TOWN), np.zeros_like, r"_ps\.tiff shows nothing of the tile; leave it out"),
        (low(Path(), TOWN, 3), lambda i: i[:4], "has 4 bands; wanted B01, B02, .*, B12"),
        (
            low(Path(), TOWN, 3),
            lambda i: (10_000 * i).astype(np.uint16),
            "holds uint16; wanted reflectance as floats",
        ),
    ],
)
def test_a_raster_that_is_something_else_is_refused(
    tmp_path: Path, path: Path, change: Callable[..., npt.NDArray[Any]], message: str
) -> None:
    rewrite(planted(tmp_path) / path, change)
    with pytest.raises(InputError, match=message):
        pair_of(tmp_path, TOWN)


def test_a_tile_that_never_shows_the_ground_is_refused(tmp_path: Path) -> None:
    planted(tmp_path)
    for number in (1, 2, 3, 4):
        rewrite(low(tmp_path, TOWN, number, "CLM.tiff"), np.ones_like)
    with pytest.raises(InputError, match="shows no clear ground on any of 4 dates; leave it out"):
        pair_of(tmp_path, TOWN)
    for number in (1, 2, 3, 4):
        rewrite(low(tmp_path, TOWN, number), np.zeros_like)
    with pytest.raises(InputError, match=r"no revisit of .* can be used \(left out revisit 1 of "):
        pair_of(tmp_path, TOWN)


def test_a_revisit_of_other_ground_is_left_out(tmp_path: Path) -> None:
    planted(tmp_path)
    with rasterio.open(low(tmp_path, TOWN, 3), "r+") as file:
        file.transform = rasterio.Affine.translation(1, 0) * file.transform
    assert told(pair_of(tmp_path, TOWN), "left out revisit 3 of 2020-09-14, which shows nothing of")


# ------------------------------------------------------------- tables


def without(folder: Path, *columns: str) -> None:
    """Take columns out of metadata.csv."""
    path = folder / "metadata.csv"
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    kept = [k for k, name in enumerate(lines[0]) if name not in columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[line[k] for k in kept] for line in lines])


def test_days_come_from_the_revisits_own_files_where_the_table_has_none(
    folder: Path, tmp_path: Path
) -> None:
    without(planted(tmp_path), "lowres_date", "highres_date", "n", "LCCS", "LCCS class", "SMOD")
    bare, whole = (pair_of(each, TOWN) for each in (tmp_path, folder))
    assert (bare.series.dates, bare.target) == (whole.series.dates, whole.target)
    path = low(tmp_path, TOWN, 4).with_name(f"{TOWN}-4.metadata")
    for text in ("[" * 5000, "\udcff", '["2020-01-01"]', '{"datetime": "soon"}', '{"datetime": 7}'):
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        assert told(pair_of(tmp_path, TOWN), "left out revisit 4, of which no day is known")


def test_of_two_lines_of_a_revisit_the_first_counts(tmp_path: Path) -> None:
    path = planted(tmp_path) / "metadata.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    again = [
        line.replace(REVISITS[0], "1999-01-01").replace("2021-07-18", "1999-01-02")
        for line in lines[1:]
    ]
    path.write_text("\n".join([*lines, *again]), encoding="utf-8")
    pair = pair_of(tmp_path, TOWN)
    assert (list(pair.series.dates), pair.target) == (sorted(DAYS), date(2021, 7, 18))


def test_a_tile_without_bounds_or_a_day_is_left_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without(planted(tmp_path, "missing_side_files"), "highres_date")
    assert WHOLE not in {each.patch for each in read_worldstrat(tmp_path)}
    assert f"left out 1 tiles without a day of the reference: {WHOLE}" in caplog.messages
    without(tmp_path, "bounds")
    assert not read_worldstrat(tmp_path)
    assert any("tiles without bounds in metadata.csv" in line for line in caplog.messages)


@pytest.mark.parametrize(
    "bounds",
    ["", "[1, 2, 3]", "7", '"x"', "[3, 2, 1, 4]", "[NaN, 2, 3, 4]", "[-1e9, 2, 3, 4]", "[" * 9000],
)
def test_bounds_that_are_none_are_not_believed(tmp_path: Path, bounds: str) -> None:
    planted(tmp_path)
    path = tmp_path / "metadata.csv"
    whole = json.dumps(PLACES[TOWN].bounds)
    path.write_text(path.read_text(encoding="utf-8").replace(whole, bounds), encoding="utf-8")
    assert TOWN not in {each.patch for each in read_worldstrat(tmp_path)}


def test_the_name_of_a_tile_may_stand_in_a_column_of_its_own(tmp_path: Path) -> None:
    without(planted(tmp_path), "")
    assert len(read_worldstrat(tmp_path)) == len(PLACES)
    shutil.rmtree(tmp_path)
    path = planted(tmp_path) / "metadata.csv"
    numbered = [
        f"{k}{line[line.index(',') :]}"
        for k, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:])
    ]
    head = path.read_text(encoding="utf-8").splitlines()[0]
    path.write_text("\n".join([head, *numbered]), encoding="utf-8")
    assert len(read_worldstrat(tmp_path)) == len(PLACES)


def test_bounds_of_a_continent_are_refused_before_anything_is_made() -> None:
    with pytest.raises(InputError, match=f"wanted {LONGEST} a side at most"):
        utm_grid((5.0, 40.0, 15.0, 50.0))
    with pytest.raises(InputError, match="hold no pixel of 10 m"):
        utm_grid((5.0, 40.0, 5.00001, 40.00001))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"split": "val"}, "val is not a split of WorldStrat; choose from train, validation, test"),
        ({"split": ""}, " is not a split of WorldStrat"),
        ({"level": "L3"}, "L3 is not a level of WorldStrat; choose from L2A, L1C"),
        ({"target": "rgb"}, "choose from pansharpened, rgbn, pan"),
        ({"scale": 8}, "scale is 8; wanted 1 to 7"),
        ({"scale": 0}, "scale is 0; wanted 1 to 7"),
        ({"most_images": 0}, "most_images is 0; wanted 1 or more, or None for all"),
    ],
)
def test_a_choice_that_is_none_is_refused(folder: Path, wish: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_worldstrat(folder, **wish)


def test_another_folder_is_not_taken_for_it(folder: Path, tmp_path: Path) -> None:
    assert is_worldstrat(folder) and not is_worldstrat(folder / "lr_dataset")
    with pytest.raises(InputError, match="is not WorldStrat: it should hold metadata"):
        read_worldstrat(tmp_path)


def test_the_miniature_leaves_the_finer_rasters_without_a_place(folder: Path) -> None:
    for kind, shape in (("ps", (200, 226)), ("pan", (200, 226)), ("rgbn", (50, 56))):
        with (
            pytest.warns(NotGeoreferencedWarning),
            rasterio.open(high(folder, TOWN, kind)) as file,
        ):
            assert file.crs.to_epsg() == 4326 and file.transform.is_identity
            assert file.shape == shape
