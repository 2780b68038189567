"""From files and cubes to a series: units, masks, grids, and one clear line for bad input."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import xarray as xr
from affine import Affine
from pyproj import Transformer

import sitsr.scenes
from sitsr.clouds import clear_sky
from sitsr.scenes import make_plan, open_series, parse_folder
from sitsr.scenes.names import L1C, L2A, band_name, find_date
from sitsr.scenes.sources.geotiffs import TEN
from sitsr.series import InputError

FOUR = ("B02", "B03", "B04", "B08")
WOOD = np.array([300, 500, 350, 2800])
T, H, W = 3, 20, 27
UTM = Affine(10, 0, 500000, 0, -10, 4690000)


def moved(transform: Affine, cols: float = 0, rows: float = 0, zoom: float = 1) -> Affine:
    """The transform of a grid that begins some pixels further east and south."""
    a, e = transform.a, transform.e
    return Affine(a * zoom, 0, transform.c + cols * a, 0, e * zoom, transform.f + rows * e)


def everything(images, bands):
    """A mask that finds all of the ground clear."""
    return np.ones((len(images), *images.shape[2:]), bool)


def numbers(seed: int = 0, bands: int = 4) -> np.ndarray:
    """[C, H, W] digital numbers of woods."""
    level = np.resize(WOOD, bands)[:, None, None]
    noise = np.random.default_rng(seed).integers(-40, 40, (bands, H, W))
    return (level + noise).astype(np.uint16)


def write(path: Path, pixels, *, bands=FOUR, transform=UTM, crs="EPSG:32631", tags=None, **more):
    """A GeoTIFF of pixels [C, H, W]."""
    count, height, width = pixels.shape
    size = {"count": count, "height": height, "width": width}
    with rasterio.open(
        path, "w", driver="GTiff", dtype=pixels.dtype, transform=transform, crs=crs, **size, **more
    ) as file:
        file.write(pixels)
        if bands is not None:
            file.descriptions = bands
        file.update_tags(**(tags or {}))
    return path


def cut_short(path: Path) -> None:
    """A GeoTIFF that opens but ends before its pixels do."""
    whole = write(path.with_suffix(".whole"), numbers(4))
    rasterio.shutil.copy(whole, path, driver="GTiff")  # a copy has its directory in front
    path.write_bytes(path.read_bytes()[:-900])


@pytest.fixture
def folder(tmp_path):
    """Three dates of woods before 2022, in UTM."""
    for month in range(1, T + 1):
        write(tmp_path / f"place_2020-0{month}-05.tif", numbers(month))
    return tmp_path


# ---------------------------------------------------------------------------- what comes back


def test_a_utm_file_comes_back_exactly(folder):
    series = open_series(folder)
    assert series.dates == tuple(date(2020, month, 5) for month in (1, 2, 3))
    assert series.bands == FOUR
    assert Path(series.sources[0]).name == "place_2020-01-05.tif"
    assert series.grid.transform == UTM
    assert series.clear.all()
    for month, image in zip((1, 2, 3), series.images, strict=True):
        np.testing.assert_allclose(image, numbers(month) / 10000, atol=1e-7)


def test_bands_are_kept_in_the_order_asked_for(folder):
    series = open_series(folder, bands=("B08", "B02"))
    np.testing.assert_array_equal(series.images, open_series(folder).images[:, [3, 0]])


def test_files_with_their_bands_in_another_order_agree(folder):
    turned = numbers(4)
    write(folder / "place_20200405.tif", turned[[2, 0, 3, 1]], bands=("red", "Band 2", "b8", "B03"))
    np.testing.assert_allclose(open_series(folder).images[3], turned / 10000, atol=1e-7)


@pytest.mark.parametrize("order", [L2A, TEN, L1C])
def test_unnamed_bands_are_read_in_the_usual_order(tmp_path, order):
    write(tmp_path / "a_20200101.tif", numbers(1, len(order)), bands=None)
    assert open_series(tmp_path, mask=everything).bands == order


def test_unnamed_bands_can_be_named(tmp_path):
    write(tmp_path / "a_20200101.tif", numbers(1), bands=None)
    series = open_series(tmp_path, bands=("B04", "B03", "B02", "B08"), mask=everything)
    assert series.bands == ("B04", "B03", "B02", "B08")
    np.testing.assert_allclose(series.images[0], numbers(1) / 10000, atol=1e-7)


def test_two_files_of_one_date_are_joined_first_clear_pixel_first(tmp_path):
    one, other = numbers(1), numbers(2)
    one[:, :, 9:] = 0
    write(tmp_path / "a_20200101.tif", one)
    write(tmp_path / "b_20200101.tif", other)
    series = open_series(tmp_path)
    expected = np.where(np.arange(W) < 9, one, other) / 10000
    np.testing.assert_allclose(series.images[0], expected, atol=1e-7)
    assert series.clear.all()
    assert series.sources == (f"{tmp_path}/a_20200101.tif, {tmp_path}/b_20200101.tif",)
    assert any("joined the images of 2020-01-01" in note for note in series.history)


def test_one_date_is_a_series_with_a_warning(tmp_path, caplog):
    write(tmp_path / "a_20200101.tif", numbers(1))
    with caplog.at_level(logging.WARNING):
        assert len(open_series(tmp_path).dates) == 1
    assert "only one date" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["x_2020-01-13", "20200113", "a_2020_01_13_b", "S2A_MSIL2A_20200113T105421_N0213_20210304"],
)
def test_dates_are_found_in_names(text):
    assert find_date(text) == date(2020, 1, 13)


@pytest.mark.parametrize("text", ["tile_31", "20201345", "2020-02-31", "120200113", "2020-0113"])
def test_what_is_no_date_is_not_taken_for_one(text):
    assert find_date(text) is None


def test_a_tag_gives_the_date_that_the_name_lacks(tmp_path):
    write(tmp_path / "a.tif", numbers(1), tags={"TIFFTAG_DATETIME": "2020:01:13 10:54:21"})
    assert open_series(tmp_path).dates == (date(2020, 1, 13),)


def test_band_names():
    assert [band_name(text) for text in ("B8A", "b8a", "B02_10m", "nir08", "SCL", "QA60")] == [
        "B8A",
        "B8A",
        "B02",
        "B8A",
        "SCL",
        None,
    ]


# ---------------------------------------------------------------------------- units


def test_baselines_3_and_5_give_the_same_reflectance(tmp_path):
    write(tmp_path / "a_20211201.tif", numbers(1), tags={"PROCESSING_BASELINE": "03.01"})
    write(tmp_path / "b_20230101.tif", numbers(1) + 1000, tags={"PROCESSING_BASELINE": "05.09"})
    series = open_series(tmp_path)
    np.testing.assert_array_equal(series.images[0], series.images[1])


def test_the_baseline_in_a_product_name_counts(tmp_path):
    write(tmp_path / "S2A_MSIL2A_20211201T105421_N0301_R051.tif", numbers(1))
    write(tmp_path / "S2A_MSIL2A_20211211T105421_N0500_R051.tif", numbers(1) + 1000)
    series = open_series(tmp_path)
    np.testing.assert_array_equal(series.images[0], series.images[1])


@pytest.mark.parametrize("added", [0, 1000])
def test_without_metadata_the_pixels_tell_the_offset(tmp_path, added):
    write(tmp_path / "a_20230101.tif", numbers(1) + added)
    series = open_series(tmp_path)
    np.testing.assert_allclose(series.images[0], numbers(1) / 10000, atol=1e-7)
    assert any("state no offset" in note for note in series.history)


def test_bright_ground_is_not_taken_for_an_offset_where_older_images_show_it(tmp_path):
    for day in ("20200101", "20230101"):
        write(tmp_path / f"desert_{day}.tif", numbers(1) + 1500)
    series = open_series(tmp_path, mask=everything)
    np.testing.assert_array_equal(series.images[0], series.images[1])


def test_older_images_under_cloud_do_not_hide_the_offset(tmp_path):
    write(tmp_path / "a_20200101.tif", numbers(1) + 5000)
    write(tmp_path / "b_20230101.tif", numbers(1) + 1000)
    np.testing.assert_allclose(open_series(tmp_path).images[1], numbers(1) / 10000, atol=1e-7)


def test_a_stated_offset_that_the_pixels_rule_out_is_not_added(tmp_path):
    write(tmp_path / "a_20230101.tif", numbers(1), tags={"PROCESSING_BASELINE": "05.09"})
    np.testing.assert_allclose(open_series(tmp_path).images[0], numbers(1) / 10000, atol=1e-7)


def test_the_offset_asked_for_comes_first(tmp_path):
    write(tmp_path / "a_20230101.tif", numbers(1) + 1000, tags={"PROCESSING_BASELINE": "05.09"})
    series = open_series(tmp_path, offset=0, mask=everything)
    np.testing.assert_allclose(series.images[0], (numbers(1) + 1000) / 10000, atol=1e-7)


def test_scale_and_offset_of_the_file_count(tmp_path):
    path = write(tmp_path / "a_20200101.tif", numbers(1) * 2 + 1000)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.00005,) * 4, (-0.05,) * 4
    np.testing.assert_allclose(open_series(tmp_path).images[0], numbers(1) / 10000, atol=1e-7)


def test_reflectance_as_float_is_taken_as_it_is(tmp_path):
    write(tmp_path / "a_20230101.tif", (numbers(1) / 10000).astype(np.float32))
    np.testing.assert_allclose(open_series(tmp_path).images[0], numbers(1) / 10000, atol=1e-7)


def test_nodata_is_not_clear_and_a_zero_in_one_band_is_dark(tmp_path):
    pixels = numbers(1).astype(np.int16)
    pixels[:, 3, 5] = 0
    pixels[1, 4, 6] = -9999
    pixels[2, 7, 8] = 0
    write(tmp_path / "a_20200101.tif", pixels, nodata=-9999)
    series = open_series(tmp_path, mask=everything)
    hidden = [tuple(place) for place in np.argwhere(~series.clear[0])]
    assert hidden == [(3, 5), (4, 6)]
    assert (series.images[0][:, ~series.clear[0]] == 0).all()


def test_nan_is_nodata_and_saturation_is_not_clear(tmp_path):
    broken = (numbers(1) / 10000).astype(np.float32)
    broken[2, 3, 5] = np.nan
    write(tmp_path / "a_20200101.tif", broken)
    assert np.argwhere(~open_series(tmp_path).clear[0]).tolist() == [[3, 5]]
    full = numbers(1)
    full[2, 3, 5] = 65535
    (tmp_path / "a_20200101.tif").unlink()
    write(tmp_path / "a_20200101.tif", full)
    assert np.argwhere(~open_series(tmp_path).clear[0]).tolist() == [[3, 5]]


# ---------------------------------------------------------------------------- masks


def test_scene_classes_in_the_file_are_the_mask(tmp_path):
    classes = np.full((1, H, W), 4, np.uint16)
    classes[0, :4] = 9
    pixels = np.concatenate([numbers(1), classes])
    write(tmp_path / "a_20200101.tif", pixels, bands=(*FOUR, "SCL"))
    series = open_series(tmp_path)
    assert series.bands == FOUR
    assert not series.clear[0, :4].any() and series.clear[0, 4:].all()


def test_scene_classes_at_20_m_beside_the_file_are_the_mask(folder):
    classes = np.full((1, H // 2, 14), 5, np.uint8)
    classes[0, 3, 4] = 3
    transform = moved(UTM, zoom=2)
    write(folder / "place_2020-02-05_SCL.tif", classes, bands=None, transform=transform)
    series = open_series(folder)
    assert np.argwhere(~series.clear[1]).tolist() == [[6, 8], [6, 9], [7, 8], [7, 9]]
    assert series.clear[[0, 2]].all()
    assert any("for 1 images, else by the spectral rule" in note for note in series.history)


def test_a_clear_file_is_1_where_the_ground_is_seen(folder):
    clear = np.ones((1, H, W), np.uint8)
    clear[0, 2, 3] = 0
    write(folder / "place_2020-02-05_clear.tif", clear, bands=None)
    assert np.argwhere(~open_series(folder).clear[1]).tolist() == [[2, 3]]


def test_a_mask_handed_in_comes_before_all(folder):
    half = np.arange(W) < 11
    series = open_series(folder, mask=lambda images, bands: everything(images, bands) & half)
    assert (series.clear == half).all()
    with pytest.raises(InputError, match=r"must give \[T, H, W\]"):
        open_series(folder, mask=lambda images, bands: np.ones(3, bool))


def test_the_spectral_rule_is_the_mask_otherwise(folder):
    cloudy = numbers(9)
    cloudy[:, 5:12, 8:20] = 5500
    write(folder / "place_2020-04-05.tif", cloudy)
    series = open_series(folder)
    assert (series.clear == clear_sky(series.images, FOUR)).all()
    assert not series.clear[3, 5:12, 8:20].any()


# ---------------------------------------------------------------------------- grids

DEGREES = Affine(1.2e-4, 0, 2.80, 0, -9e-5, 42.35)


def ramp(transform: Affine, shape: tuple[int, int], crs: str) -> np.ndarray:
    """[C, H, W] reflectance that rises evenly to the east and the north, in metres of UTM 31."""
    rows, cols = np.indices(shape) + 0.5
    x, y = transform.c + transform.a * cols, transform.f + transform.e * rows
    east, north = Transformer.from_crs(crs, "EPSG:32631", always_xy=True).transform(x, y)
    slope = 0.2 + 2e-4 * (east - 483500) + 1e-4 * (north - 4688000)
    return np.stack([slope * (0.5 + 0.1 * band) for band in range(4)]).astype(np.float32)


def test_a_geographic_grid_is_warped_to_utm_and_a_ramp_stays_a_ramp(tmp_path):
    image = ramp(DEGREES, (41, 53), "EPSG:4326")
    write(tmp_path / "a_20200101.tif", image, transform=DEGREES, crs="EPSG:4326")
    series = open_series(tmp_path, mask=everything)
    transform = series.grid.transform
    assert series.grid.crs == "EPSG:32631"
    assert (transform.a, transform.e) == (10, -10)
    assert transform.c % 10 == transform.f % 10 == 0
    expected = ramp(transform, tuple(series.grid.shape), "EPSG:32631")
    inner = series.clear[0].copy()
    inner[:3], inner[-3:], inner[:, :3], inner[:, -3:] = False, False, False, False
    assert inner.sum() > 1500
    assert np.abs(series.images[0] - expected)[:, inner].max() < 2e-5
    assert any("warped all images once from EPSG:4326" in note for note in series.history)


@pytest.mark.parametrize("hole", [0.0, 1.2])
def test_what_is_not_clear_does_not_leak_through_the_warp(tmp_path, hole):
    image = ramp(DEGREES, (41, 53), "EPSG:4326")
    holed = image.copy()
    holed[:, 15:22, 20:31] = hole

    def mask(images, bands):
        return (images[:, 0] > 0) & (images[:, 0] < 1)

    clean, dirty = tmp_path / "clean", tmp_path / "dirty"
    for path, pixels in ((clean, image), (dirty, holed)):
        path.mkdir()
        write(path / "a_20200101.tif", pixels, transform=DEGREES, crs="EPSG:4326")
    before, after = open_series(clean, mask=mask), open_series(dirty, mask=mask)
    clear = after.clear[0]
    assert 7 * 11 <= (before.clear[0] & ~clear).sum() < 14 * 18
    assert np.abs(after.images[0] - before.images[0])[:, clear].max() < 2e-5


def test_aligned_grids_are_put_on_their_union_without_resampling(tmp_path):
    write(tmp_path / "a_20200101.tif", numbers(1))
    write(tmp_path / "b_20200201.tif", numbers(2), transform=moved(UTM, 4, -3))
    series = open_series(tmp_path)
    assert tuple(series.grid.shape) == (H + 3, W + 4)
    np.testing.assert_allclose(series.images[0][:, 3:, :W], numbers(1) / 10000, atol=1e-7)
    np.testing.assert_allclose(series.images[1][:, :H, 4:], numbers(2) / 10000, atol=1e-7)
    assert not series.clear[0, :3].any() and not series.clear[1, H:].any()
    assert not any("once" in note for note in series.history)


@pytest.mark.parametrize("cols, rows", [(0.4, 0), (0, 0.3)])
def test_a_grid_off_by_part_of_a_pixel_is_shifted_onto_that_of_the_others(folder, cols, rows):
    off = moved(UTM, cols, rows)
    image = (ramp(off, (H, W), "EPSG:32631") + 0.5).clip(0.001)
    write(folder / "place_2020-00.tif", image, transform=off, tags={"SENSING_TIME": "2019-12-01"})
    for path in folder.glob("place_2020-0?-05.tif"):
        with rasterio.open(path) as file:
            pixels = file.read().astype(np.float32) / 10000
        write(path, pixels)
    series = open_series(folder, mask=everything)
    assert any("shifted place_2020-00.tif once" in note for note in series.history)
    expected = ramp(series.grid.transform, tuple(series.grid.shape), "EPSG:32631") + 0.5
    np.testing.assert_allclose(series.images[0][:, 3:-3, 3:-3], expected[:, 3:-3, 3:-3], atol=2e-5)
    np.testing.assert_allclose(series.images[1][:, :H, :W], numbers(1) / 10000, atol=1e-7)


def test_another_zone_is_warped_to_that_of_most(folder):
    x, y = Transformer.from_crs("EPSG:32631", "EPSG:32632", always_xy=True).transform(
        500000, 4690000
    )
    other = Affine(10, 0, round(x, -1), 0, -10, round(y, -1))
    write(folder / "place_2020-04-05.tif", numbers(4), transform=other, crs="EPSG:32632")
    series = open_series(folder, mask=everything)
    assert series.grid.crs == "EPSG:32631"
    assert series.clear[3].any()
    assert any("place_2020-04-05.tif once from EPSG:32632" in note for note in series.history)


def test_other_pixel_sizes_are_kept_with_a_note(tmp_path):
    write(tmp_path / "a_20200101.tif", numbers(1), transform=moved(UTM, zoom=2))
    series = open_series(tmp_path)
    assert series.grid.transform.a == 20
    assert any("pixels are 20 m" in note for note in series.history)


def test_a_plan_can_be_printed_before_anything_is_read(folder):
    plan = make_plan(*parse_folder(folder))
    assert str(plan).startswith("3 images onto 20 x 27 pixels in EPSG:32631")
    assert "2020-02-05  place_2020-02-05.tif" in str(plan)


# ---------------------------------------------------------------------------- bad input


def refused(source, words, **options):
    with pytest.raises(InputError, match=words) as refusal:
        open_series(source, **options)
    assert "\n" not in str(refusal.value)


def test_missing_empty_and_single_sources_are_refused(tmp_path, folder):
    refused(tmp_path / "nowhere", "does not exist")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds nothing, no GeoTIFF")
    refused(folder / "place_2020-01-05.tif", "is one file, but a series is a folder")


def test_a_file_without_date_is_refused(tmp_path):
    write(tmp_path / "image.tif", numbers(1))
    refused(tmp_path, r"image\.tif has no date")


def test_a_broken_file_is_refused_or_left_out(folder, caplog):
    (folder / "place_2020-04-05.tif").write_bytes(b"no image")
    refused(folder, r"place_2020-04-05\.tif cannot be read")
    series = open_series(folder, skip_unreadable=True)
    assert len(series.dates) == 3
    assert any("left out place_2020-04-05.tif" in note for note in series.history)
    assert "left out" in caplog.text


def test_a_file_cut_short_is_refused_or_left_out(folder):
    cut_short(folder / "place_2020-04-05.tif")
    refused(folder, r"place_2020-04-05\.tif is broken or cut short")
    series = open_series(folder, skip_unreadable=True)
    assert len(series.dates) == 3
    assert any("left out place_2020-04-05.tif" in note for note in series.history)


def test_only_broken_files_are_refused(tmp_path):
    (tmp_path / "a_20200101.tif").write_bytes(b"no image")
    refused(tmp_path, "none of the 1 GeoTIFFs", skip_unreadable=True)
    cut_short(tmp_path / "a_20200101.tif")
    refused(tmp_path, "none of the 1 images", skip_unreadable=True)


def test_different_bands_are_refused(folder):
    write(folder / "place_2020-04-05.tif", numbers(4, 3), bands=FOUR[:3])
    refused(folder, r"place_2020-04-05\.tif has B02, B03, B04; ")


def test_four_unnamed_bands_and_bands_named_twice_are_refused(tmp_path):
    write(tmp_path / "a_20200101.tif", numbers(1), bands=None)
    refused(tmp_path, "4 bands without names")
    (tmp_path / "a_20200101.tif").unlink()
    write(tmp_path / "a_20200101.tif", numbers(1), bands=("B02", "B02", "B04", "B08"))
    refused(tmp_path, "each may come once")


def test_bands_that_are_not_there_are_refused(folder):
    refused(folder, "but not B12", bands=("B02", "B12"))


def test_too_few_bands_for_the_spectral_rule_are_refused(tmp_path):
    write(tmp_path / "a_20200101.tif", numbers(1, 2), bands=("B02", "B03"))
    refused(tmp_path, "the cloud rule needs")


def test_places_apart_are_refused(folder):
    write(folder / "place_2020-04-05.tif", numbers(4), transform=moved(UTM, 99))
    refused(folder, r"place_2020-04-05\.tif and place_2020-01-05\.tif share no ground")


def test_a_file_that_does_not_say_where_it_lies_is_refused(tmp_path):
    path = tmp_path / "a_20200101.tif"
    write(path, numbers(1), crs=None)
    refused(tmp_path, "states no coordinate system")
    assert open_series(tmp_path, assume_crs="EPSG:32631").grid.crs == "EPSG:32631"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(path, numbers(1), transform=Affine.identity())
    refused(tmp_path, "does not say where it lies")


def test_values_that_are_no_reflectance_are_refused(tmp_path):
    path = tmp_path / "a_20200101.tif"
    write(path, (numbers(1) // 12).astype(np.uint8))
    refused(tmp_path, "8-bit values, a picture")
    write(path, (numbers(1) // 12))
    refused(tmp_path, "wanted reflectance")
    write(path, (numbers(1) / 100).astype(np.float32))
    refused(tmp_path, "wanted reflectance")
    write(path, (numbers(1).astype(np.float32) * 300))
    refused(tmp_path, "wanted reflectance")


def test_an_empty_image_is_not_clear_and_nothing_but_empty_images_is_refused(tmp_path):
    write(tmp_path / "a_20200101.tif", np.zeros((4, H, W), np.float32))
    refused(tmp_path, "holds nodata only")
    write(tmp_path / "b_20200201.tif", numbers(1).astype(np.float32))
    assert open_series(tmp_path).clear.mean((1, 2)).tolist() == [0, 1]


def test_mixed_units_are_refused(folder):
    write(folder / "place_2020-04-05.tif", (numbers(4) / 10000).astype(np.float32))
    refused(folder, r"place_2020-04-05\.tif times 1; give all in the same units")


def test_different_scales_in_one_file_are_refused(tmp_path):
    path = write(tmp_path / "a_20200101.tif", numbers(1))
    with rasterio.open(path, "r+") as file:
        file.scales = (0.0001, 0.0001, 0.0001, 0.0002)
    refused(tmp_path, "different scales or offsets")


def test_cloud_everywhere_is_refused(tmp_path):
    for month in (1, 2):
        write(tmp_path / f"a_20200{month}01.tif", numbers(1) + 5000)
    refused(tmp_path, "no clear pixel")


def test_an_unsure_mask_and_an_unsure_offset_are_refused(folder):
    refused(folder, 'offset is "yes"', offset="yes")
    write(folder / "place_2020-02-05_mask.tif", np.ones((1, H, W), np.uint8), bands=None)
    refused(folder, "1 where clear or 1 where cloudy")


# ---------------------------------------------------------------------------- cubes


def cube(**more) -> xr.Dataset:
    """The three dates of the folder as a Dataset."""
    stack = np.stack([numbers(month) for month in (1, 2, 3)])
    days = np.array([f"2020-0{month}-05" for month in (1, 2, 3)], "datetime64[ns]")
    axes = {
        "time": days,
        "y": 4690000 - 10 * (np.arange(H) + 0.5),
        "x": 500000 + 10 * (np.arange(W) + 0.5),
    }
    layers = {band: (("time", "y", "x"), stack[:, i]) for i, band in enumerate(FOUR)}
    crs = xr.DataArray(0, attrs={"crs_wkt": rasterio.CRS.from_epsg(32631).to_wkt()})
    return xr.Dataset(layers | more, {**axes, "spatial_ref": crs})


def test_a_dataset_and_a_folder_of_the_same_pixels_agree(folder):
    expected, series = open_series(folder), open_series(cube())
    np.testing.assert_array_equal(series.images, expected.images)
    np.testing.assert_array_equal(series.clear, expected.clear)
    assert (series.dates, series.bands, series.grid) == (
        expected.dates,
        expected.bands,
        expected.grid,
    )


def test_an_array_of_bands_and_a_cube_upside_down_agree():
    expected = open_series(cube())
    array = cube().to_dataarray("band").transpose("time", "band", "y", "x")
    for other in (array, cube().isel(y=slice(None, None, -1)), cube().isel(time=[2, 0, 1])):
        series = open_series(other)
        np.testing.assert_array_equal(series.images, expected.images)
        assert series.grid == expected.grid


def test_scale_and_offset_of_a_cube_count():
    expected = open_series(cube())
    stated = cube()
    for band in FOUR:
        stated[band] = stated[band] * 2 + 1000
        stated[band].attrs = {"scale_factor": 0.00005, "add_offset": -0.05}
    np.testing.assert_allclose(open_series(stated).images, expected.images, atol=1e-7)
    later = (cube() + 1000).assign_coords(spatial_ref=cube().spatial_ref)
    later.attrs["processing_baseline"] = "05.09"
    np.testing.assert_array_equal(open_series(later).images, expected.images)


def test_a_variable_tells_the_clear_sky():
    classes = np.full((T, H, W), 4, np.uint8)
    classes[1, 2:5, 7] = 9
    for more in ({"SCL": classes}, {"clear": classes == 4}):
        series = open_series(cube(**{k: (("time", "y", "x"), v) for k, v in more.items()}))
        assert (series.clear == (classes == 4)).all()


def test_bad_cubes_are_refused():
    refused(cube().drop_vars("spatial_ref"), "states no coordinate system")
    refused(cube().rename(x="across"), "but not x")
    refused(cube().drop_vars(FOUR), "wanted Sentinel-2's bands")
    refused(cube().assign_coords(time=[1, 2, 3]), "wanted dates")
    refused(cube().isel(x=[0, 1, 5]), "equal steps")
    refused(cube()["B02"], "names as the coordinate of band")
    refused(7, "got a int")


def test_the_demonstration_series_opens():
    series = open_series(Path(sitsr.scenes.__file__).parents[1] / "demo")
    assert (len(series.dates), len(series.bands)) == (12, 12)
    assert series.grid.crs == "EPSG:32631"
    assert series.clear.mean((1, 2)).max() > 0.95
    assert any("so it was already added" in note for note in series.history)
