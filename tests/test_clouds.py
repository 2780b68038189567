"""What the rule calls clear, cloud, haze, shadow and snow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from sitsr.clouds import REACH, Sky, classify, clear_sky
from sitsr.series import InputError

L2A = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
FOUR = ("B02", "B03", "B04", "B08")
SPECTRA = {  # reflectance in the order of L2A
    "wood": [0.02, 0.03, 0.05, 0.03, 0.08, 0.20, 0.25, 0.28, 0.29, 0.29, 0.14, 0.07],
    "soil": [0.07, 0.09, 0.13, 0.18, 0.21, 0.24, 0.26, 0.28, 0.30, 0.31, 0.36, 0.30],
    "sand": [0.15, 0.19, 0.27, 0.32, 0.35, 0.36, 0.37, 0.38, 0.39, 0.39, 0.45, 0.42],
    "water": [0.03, 0.04, 0.06, 0.03, 0.02, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01],
    "turquoise": [0.06, 0.09, 0.13, 0.08, 0.05, 0.03, 0.03, 0.02, 0.02, 0.02, 0.01, 0.01],
    "cloud": [0.60, 0.58, 0.55, 0.54, 0.55, 0.56, 0.56, 0.58, 0.55, 0.90, 0.40, 0.33],
    "snow": [0.85, 0.86, 0.84, 0.82, 0.80, 0.78, 0.76, 0.75, 0.72, 0.70, 0.09, 0.07],
}
VEIL = np.array([0.09, 0.07, 0.06, 0.05, 0.05, 0.05, 0.05, 0.04, 0.04, 0.05, 0.03, 0.02])
H, W = 52, 61


def ground(kind: str = "wood", times: int = 6, bands: tuple[str, ...] = L2A) -> np.ndarray:
    """[T, C, H, W] one kind of ground with a little noise."""
    spectrum = np.array(SPECTRA[kind])[[L2A.index(band) for band in bands]]
    noise = np.random.default_rng(3).normal(0, 0.002, (times, len(bands), H, W))
    return (spectrum[:, None, None] + noise).clip(0.001).astype(np.float32)


def planted(kind: str, bands: tuple[str, ...] = L2A, times: int = 6) -> np.ndarray:
    """Woods with a patch of something on the second date (the only one if there is one)."""
    images = ground(times=times, bands=bands)
    images[min(1, times - 1), :, 10:22, 15:35] = ground(kind, 1, bands)[0, :, 10:22, 15:35]
    return images


@pytest.mark.parametrize("kind", ["wood", "soil", "sand", "water", "turquoise"])
@pytest.mark.parametrize("bands", [L2A, FOUR])
@pytest.mark.parametrize("times", [1, 6])
def test_ground_without_cloud_is_clear(kind, bands, times):
    assert clear_sky(ground(kind, times, bands), bands).all()


@pytest.mark.parametrize("bands", [L2A, FOUR])
@pytest.mark.parametrize("times", [1, 6])
def test_a_cloud_is_found_and_grown_by_three_pixels(bands, times):
    classes = classify(planted("cloud", bands, times), bands)
    date = min(1, times - 1)
    expected = np.zeros((H, W), bool)
    expected[10 - 3 : 22 + 3, 15 - 3 : 35 + 3] = True
    assert (classes[date][expected] == Sky.CLOUD).mean() > 0.98  # rounder where B09 sees it
    assert (classes[date] == Sky.CLEAR)[30:, 45:].all()
    assert (np.delete(classes, date, 0) == Sky.CLEAR).all()


def test_growing_is_an_option():
    images = planted("cloud", FOUR)
    assert (~clear_sky(images, FOUR, grow=0)).sum() == 12 * 20
    assert (~clear_sky(images, FOUR, grow=5)).sum() == 22 * 30


def test_snow_has_its_own_class_and_is_not_clear():
    classes = classify(planted("snow"), L2A)
    assert (classes[1, 10:22, 15:35] == Sky.SNOW).all()
    without_swir = classify(planted("snow", FOUR), FOUR)
    assert (without_swir[1, 10:22, 15:35] == Sky.CLOUD).all()


@pytest.mark.parametrize("times", [1, 6])
def test_haze_over_the_whole_image_is_found(times):
    images = ground(times=times)
    images[-1] += VEIL[:, None, None].astype(np.float32)
    classes = classify(images, L2A)
    assert (classes[-1] == Sky.HAZE).all()
    assert (classes[:-1] == Sky.CLEAR).all()


def test_bare_soil_after_harvest_is_no_haze():
    assert clear_sky(planted("soil"), L2A).all()


def test_fields_that_turn_green_are_no_haze():
    images = ground("soil")
    images[1] = ground("wood", 1)[0]
    assert clear_sky(images, L2A).all()


def test_a_beach_that_water_leaves_dry_is_clear():
    images = ground("water")
    images[1, :, 10:22, 15:35] = ground("sand", 1)[0, :, 10:22, 15:35]
    assert clear_sky(images, L2A).all()


def test_thin_snow_in_shade_does_not_make_the_ground_around_it_hazy():
    images = ground()
    thin = 0.1 * ground("snow", 1)[0] + 0.3 * ground("wood", 1)[0]
    images[1, :, 10:36, 15:45] = thin[:, 10:36, 15:45]
    around = np.ones((H, W), bool)
    around[10:36, 15:45] = False
    assert clear_sky(images, L2A)[1][around].all()


def test_water_that_changes_its_colour_stays_clear():
    images = ground("water")
    images[2] = ground("turquoise", 1)[0]
    assert clear_sky(images, L2A).all()


def test_a_shadow_is_found_beside_a_cloud_but_flooded_ground_is_clear():
    images = planted("cloud")
    images[1, :, 30:40, 20:40] *= 0.35
    images[1, :, 44:, :10] = ground("water", 1)[0, :, 44:, :10]
    classes = classify(images, L2A)
    assert (classes[1, 30:40, 20:40] == Sky.SHADOW).all()
    assert (classes[1, 44:, :10] == Sky.CLEAR).all()


def test_a_roof_that_is_always_bright_is_clear():
    images = ground()
    images[:, :, 20:26, 30:37] = np.linspace(0.28, 0.25, len(L2A))[:, None, None]
    assert clear_sky(images, L2A).all()


def test_nodata_is_nan_or_zero_in_all_bands_but_not_in_one():
    images = ground()
    images[0, :, 5, 7] = 0
    images[1, 3, 6, 8] = np.nan
    images[2, 11, 9, 9] = 0
    classes = classify(images, L2A)
    assert classes[0, 5, 7] == classes[1, 6, 8] == Sky.NODATA
    assert (classes == Sky.NODATA).sum() == 2
    assert classes[2, 9, 9] == Sky.CLEAR


def test_the_order_of_the_dates_does_not_matter():
    images = planted("cloud")
    images[4] += VEIL[:, None, None].astype(np.float32)
    order = [3, 5, 1, 0, 4, 2]
    assert (classify(images[order], L2A) == classify(images, L2A)[order]).all()


def test_dates_under_full_cloud_do_not_change_the_others():
    images = planted("cloud")
    images[4] += VEIL[:, None, None].astype(np.float32)
    more = np.concatenate([images, ground("cloud", 3)])
    assert (classify(more, L2A)[:6] == classify(images, L2A)).all()


def test_classes_do_not_depend_on_how_the_scene_was_cut():
    rng = np.random.default_rng(11)
    images = np.tile(ground(times=5, bands=FOUR), (1, 1, 6, 5))  # 312 x 305
    for row, col in rng.integers(0, 290, (9, 2)):
        images[rng.integers(5), :, row : row + 14, col : col + 14] = 0.6
        images[rng.integers(5), :, col : col + 14, row : row + 14] *= 0.45
    whole = classify(images, FOUR)
    cut = classify(images[..., 20:290, 10:], FOUR)
    inner = slice(REACH, -REACH), slice(REACH, -REACH)
    assert cut[:, *inner].size
    assert (cut[:, *inner] == whole[:, 20:290, 10:][:, *inner]).all()
    assert len(np.unique(whole)) > 2


def test_b8a_stands_in_for_b08():
    bands = ("B02", "B03", "B04", "B8A")
    assert (classify(planted("cloud", bands), bands)[1, 10:22, 15:35] == Sky.CLOUD).all()


def test_missing_bands_and_wrong_shapes_are_refused():
    with pytest.raises(InputError, match=r"B04 is missing"):
        clear_sky(ground(bands=("B02", "B03", "B08")), ("B02", "B03", "B08"))
    with pytest.raises(InputError, match=r"C = 4"):
        clear_sky(ground(bands=L2A), FOUR)


def test_on_real_images_clouds_and_haze_go_and_clear_summer_stays():
    import sitsr.clouds

    folder = Path(sitsr.clouds.__file__).parent / "demo"
    images = {}
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as file:
            images[path.stem[-10:]] = file.read().astype(np.float32) / 10000
    clear = clear_sky(np.stack(list(images.values())), L2A).mean((1, 2))
    share = dict(zip(images, clear, strict=True))
    for hidden in ("2020-01-13", "2020-01-18", "2020-01-23"):
        assert share[hidden] < 0.05
    for fine in ("2020-06-21", "2020-09-14", "2021-07-16", "2021-07-21", "2022-06-01"):
        assert share[fine] > 0.97
    assert 0.2 < share["2021-06-26"] < 0.8
