"""Landsat-8 is taken at its own pixels, paired with Sentinel-2, and answered by any model."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from conftest import BANDS, landscape, make_card, make_model, make_series, vegetation, write_tif
from sitsr.datasets import LANDSAT, Pair, Task, landsat_pairs, read_landsat
from sitsr.datasets.landsat import SIGMA, clear_of
from sitsr.evaluation.alignment import prepare
from sitsr.evaluation.entrants import baselines, competitor, model_systems, one_date, oracles
from sitsr.evaluation.scoring import deterministic, score
from sitsr.evaluation.suites import sources_in
from sitsr.radiometry import by_area, degrade
from sitsr.series import InputError

H, W, SCALE = 38, 44, 3
DOWN, RIGHT = 2, 1
"""Where the first whole block of Landsat begins on the grid of 10 m."""
ROWS, COLS = 12, 14
CLEAR, CLOUD, CIRRUS = 322, 480, 834
LANDSAT_DAYS = ("2018-02-07T10:40", "2018-06-06T10:44", "2018-06-06T10:45", "2018-07-01T10:39")
SENTINEL_DAYS = ("2018-02-03T10:50", "2018-02-06T10:50", "2018-02-09T10:50", "2018-06-10T10:50")


def write_cube(
    folder: Path, name: str, days: tuple[str, ...], values: dict[str, Any], size: int = 10
) -> None:
    shape = next(iter(values.values())).shape
    place = {
        "timestamp": np.array(days, "datetime64[ns]"),
        "y": 5_629_680 - size * (0.5 + np.arange(shape[1])),
        "x": 501_360 + size * (0.5 + np.arange(shape[2])),
    }
    cube = xr.Dataset({band: (tuple(place), dn) for band, dn in values.items()}, place)
    for band in values:
        cube[band].attrs["scale_factor"] = "0.0001"
    cube.to_netcdf(folder / f"{name}_x.nc", engine="netcdf4")


def ground() -> npt.NDArray[np.float32]:
    """Digital numbers [4, H, W] of Sentinel-2."""
    return np.rint(10_000 * landscape((4, H, W))).astype(np.float32)


def blocky(image: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """[H, W] as Landsat sees it, laid on the grid of 10 m by the nearest pixel."""
    part = image[None, DOWN : DOWN + SCALE * ROWS, RIGHT : RIGHT + SCALE * COLS]
    coarse = degrade(part, SCALE, SIGMA[:1])[0]
    laid = np.pad(coarse, 1, mode="edge").repeat(SCALE, 0).repeat(SCALE, 1)
    return np.rint(laid[3 - DOWN : 3 - DOWN + H, 3 - RIGHT : 3 - RIGHT + W]).astype(np.uint16)


def write_flanders(folder: Path) -> None:
    """Four images each; Landsat's second and third are of one day; only its first has a partner."""
    folder.mkdir(parents=True, exist_ok=True)
    fine = ground()
    drift = np.arange(1, 5)[:, None, None] / 4
    sentinel = {band: (fine[k] * drift).astype(np.uint16) for k, band in enumerate(BANDS)}
    write_cube(folder, "S2_L2A_10m", SENTINEL_DAYS, sentinel)
    classes = np.full((4, H // 2, W // 2), 4, np.uint8)
    classes[1, :8] = 9  # cloud on the image of the day before
    write_cube(folder, "S2_L2A_20m", SENTINEL_DAYS, {"SCL": classes}, 20)
    landsat = {
        band: (blocky(fine[k])[None] * (1 + drift)).astype(np.uint16)
        for k, band in enumerate(("B02", "B03", "B04", "B05"))
    }
    landsat["B03"][0, DOWN + 3 : DOWN + 6, RIGHT + 6 : RIGHT + 9] = 65_500
    landsat["pixel_qa"] = np.full((4, H, W), CLEAR, np.uint16)
    landsat["pixel_qa"][0, DOWN + 9 : DOWN + 12, RIGHT : RIGHT + 3] = CLOUD
    write_cube(folder, "L8_SR_10m", LANDSAT_DAYS, landsat)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("netCDF4")
    write_flanders(tmp_path / "flanders")
    return tmp_path / "flanders"


# ------------------------------------------------------------- reading


def test_every_block_is_one_pixel_of_30_m(folder: Path) -> None:
    series, (rows, cols) = read_landsat(folder)
    assert (rows, cols) == (slice(DOWN, DOWN + 36), slice(RIGHT, RIGHT + 42))
    assert series.images.shape == (3, 4, ROWS, COLS) and series.bands == BANDS
    near = blocky(ground()[3])[DOWN + 1 : DOWN + 36 : 3, RIGHT + 1 : RIGHT + 42 : 3]
    np.testing.assert_allclose(series.images[0, 3], near * 1.25 / 1e4, atol=1e-4)
    assert tuple(series.grid.transform)[:6] == (30, 0, 501_370, 0, -30, 5_629_660)
    assert tuple(series.grid.shape) == (ROWS, COLS)


def test_junk_and_cloud_are_not_clear_and_a_day_counts_once(folder: Path) -> None:
    series, _ = read_landsat(folder)
    assert series.dates == (date(2018, 2, 7), date(2018, 6, 6), date(2018, 7, 1))
    assert series.clear[1:].all()
    assert np.argwhere(~series.clear[0]).tolist() == [[1, 2], [3, 0]]
    assert series.images[0, 1, 1, 2] == 0 and series.images.max() < 1


def test_quality_bits_say_what_is_clear() -> None:
    told = np.array([0, 1, CLEAR, 324, 328, 352, 386, CIRRUS, CLOUD, 992], np.uint16)
    # fill, fill, clear, water, shadow, cloud, clear with doubt, clear under cirrus, cloud, cloud
    assert clear_of(told).tolist() == [False, False, True, True, *[False] * 2, True, *[False] * 3]


# ------------------------------------------------------------- pairs


def test_a_pair_is_the_nearest_image_that_is_clear_enough(folder: Path) -> None:
    (pair,) = landsat_pairs(folder)  # that of the day before is cloudy; June and July have none
    assert pair.patch == "Landsat-8 2018-02-07, Sentinel-2 2018-02-09"
    assert (pair.site, pair.kind, pair.scale) == ("flanders", LANDSAT, SCALE)
    assert pair.target == date(2018, 2, 7) and len(pair.series.dates) == 3
    fine = ground()[:, DOWN : DOWN + 36, RIGHT : RIGHT + 42] * 0.75
    np.testing.assert_allclose(pair.reference, fine.astype(np.uint16) / 1e4, atol=1e-6)
    assert pair.clear.all() and pair.sensor_sigma == SIGMA


def test_a_landsat_pair_is_registered_and_brought_to_its_radiometry(folder: Path) -> None:
    (pair,) = landsat_pairs(folder)
    ready = prepare(pair)
    for name, value in ready.figures.items():
        wanted = 1.25 / 0.75 if name.startswith("gain") else 0
        assert value == pytest.approx(wanted, abs=0.05), name
    bicubic = score(ready, baselines()[0].run(pair, 0))
    consistent = score(ready, oracles()[1].run(ready.pair, 0))
    assert 20 < bicubic["psnr"] < consistent["psnr"] - 3
    assert consistent["consistency"] < bicubic["consistency"]
    assert all(each.enters(pair) for each in oracles())


def test_a_cube_without_blocks_or_on_other_ground_is_refused(folder: Path) -> None:
    path = folder / "L8_SR_10m_x.nc"
    with xr.open_dataset(path, mask_and_scale=False) as cube:
        held = cube.load()
    smooth, moved = held.copy(deep=True), held.assign_coords(x=held.x + 30)
    smooth["B04"].values[:] += np.arange(W, dtype=np.uint16)
    for wrong, said in (
        (smooth, r"L8_SR_10m_x.nc is not made of blocks of 3 × 3 pixels"),
        (moved, "give both on one grid of 10 m"),
        (held.isel(x=[5] * W, y=[5] * H), "is not made of blocks"),
    ):
        wrong.to_netcdf(path, engine="netcdf4")
        with pytest.raises(InputError, match=said):
            landsat_pairs(folder)
    path.unlink()
    with pytest.raises(InputError, match=r"holds 0 files like L8_SR_10m_\*.nc"):
        read_landsat(folder)


# ------------------------------------------------------------- the test split


@pytest.fixture
def data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Archives of which flanders alone is more than a name."""
    data = folder.parent
    for day in ("2020-01-13", "2020-01-18"):
        write_tif(data / "boadella" / f"Boadella_{day}.tif", vegetation((40, 52)))
    write_tif(data / "austria" / "site00" / "0.tif", vegetation((40, 52)))
    monkeypatch.setattr("sitsr.evaluation.suites.real_pairs", lambda folder: [])
    return data


def test_flanders_is_tested_on_in_every_way(data: Path) -> None:
    kinds = [
        each.kind for each in sources_in(data, "test", make_card(), 2) if each.site == "flanders"
    ]
    assert kinds[0] == LANDSAT and kinds.count(LANDSAT) == 1
    assert {"scale transfer", "scale transfer, date held out", "held-out date at 10 m"} < set(kinds)


def test_of_a_long_series_the_clearest_images_are_looked_at(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitsr.evaluation.suites.MOST_DATES", 3)
    sources = sources_in(data, "test", make_card(), 2)
    (transfer, *_) = (
        each.load() for each in sources if (each.site, each.kind) == ("flanders", "scale transfer")
    )
    assert len(transfer.series.dates) == 3 and date(2018, 2, 6) not in transfer.series.dates


def test_flanders_is_left_out_where_it_was_trained_on(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sitsr.evaluation.suites")
    card = make_card(recipe="flanders: {folder: flanders, weight: 1}")
    assert {each.site for each in sources_in(data, "test", card, 2)} == {"boadella"}
    assert "was trained on flanders" in caplog.text
    other = make_card(recipe="flanders: null")
    assert {each.site for each in sources_in(data, "test", other, 2)} == {"boadella", "flanders"}


def test_a_model_of_two_bands_is_tested_in_them(data: Path) -> None:
    card = make_card(bands=("B08", "B03"), sigma=(0.5, 0.5))
    for source in sources_in(data, "test", card, 1):
        pair = source.load()
        assert pair.series.bands == ("B08", "B03") and len(pair.reference) == 2
        assert len(pair.sensor_sigma) == 2


# ------------------------------------------------------------- other scales


def overlap(image: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """By area, pixel by pixel from the definition."""
    made = np.zeros(shape)
    for row, col in np.ndindex(*shape):
        for r, c in np.ndindex(*image.shape):
            sides = []
            for new, old, k, n in ((row, r, 0, 0), (col, c, 1, 1)):
                mine = new / shape[k], (new + 1) / shape[k]
                yours = old / image.shape[n], (old + 1) / image.shape[n]
                sides.append(max(0, min(mine[1], yours[1]) - max(mine[0], yours[0])))
            made[row, col] += image[r, c] * sides[0] * sides[1] * shape[0] * shape[1]
    return made


@pytest.mark.parametrize("shape", [(6, 9), (3, 15), (11, 7), (1, 1)])
def test_an_image_on_another_grid_is_weighted_by_shared_area(shape: tuple[int, int]) -> None:
    image = landscape((2, 8, 12))
    made = by_area(image, shape)
    assert made.shape == (2, *shape) and made.dtype == np.float32
    np.testing.assert_allclose(made[1], overlap(image[1], shape), rtol=1e-5)
    np.testing.assert_allclose(made.mean((1, 2)), image.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(by_area(np.full_like(image, 0.3), shape), 0.3, rtol=1e-6)


def test_an_image_on_its_own_grid_is_left_alone_and_nothing_stays_nothing() -> None:
    image = landscape((2, 8, 12))
    assert by_area(image, (8, 12)) is image
    image[:, 4:8, 0:4] = np.nan  # a low-resolution pixel of scale 4
    made = np.isnan(by_area(image, (6, 9)))
    assert made[:, 3:6, 0:3].all() and made.sum() == 2 * 9
    assert by_area(image[:0], (6, 9)).shape == (0, 6, 9)


def test_a_model_of_another_scale_answers_on_the_grid_of_the_task() -> None:
    series = make_series((9, 14), clear=np.ones((5, 9, 14), bool))
    task = (series, series.dates[2], SCALE, "valley", "one", LANDSAT)
    pair = Pair(*task, np.zeros((4, 27, 42), np.float32), np.ones((27, 42), bool), SIGMA)
    model = make_model(scale=4)
    entrants = [
        each
        for each in (one_date(model, "w"), *model_systems(model, "w", 2))
        if not each.name.endswith(("4 steps", "32 steps"))
    ]
    own = [
        each.run(Pair(*task[:2], 4, *task[3:], *(pair.reference, pair.clear, SIGMA)), 0)
        for each in entrants
    ]
    for entrant, fine in zip(entrants, own, strict=True):
        made = entrant.run(pair, 0)
        assert fine.mean.shape == (4, 36, 56) and made.mean.shape == (4, 27, 42)
        np.testing.assert_allclose(made.mean, by_area(fine.mean, (27, 42)), atol=1e-6)
        np.testing.assert_allclose(made.samples, by_area(fine.samples, (27, 42)), atol=1e-6)


def test_a_system_of_one_scale_enters_where_it_is_asked_for() -> None:
    series = make_series((9, 14))

    def enters(scale: int | None, asked: int) -> bool:
        system = deterministic(lambda task: np.zeros(1, np.float32))
        task = Task(series, series.dates[0], asked, "valley", "one", "real pair")
        shown = (task.series, task.target, task.scale, task.site, task.patch, task.kind)
        pair = Pair(*shown, np.zeros((4, 9, 14), np.float32), np.ones((9, 14), bool), SIGMA)
        return competitor("mine", "system", system, "1", scale).enters(pair)

    assert enters(None, 3) and enters(3, 3) and enters(4, 4) and not enters(4, 3)
