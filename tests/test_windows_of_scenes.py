"""Law 1 at the door: what a window of a scene holds does not depend on where it was cut."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import reproject

from sitsr.scenes import Masking, make_plan, parse_folder, read_window, survey
from sitsr.scenes.files import Files
from sitsr.series import Booleans, Floats, InputError
from sitsr.tiles import Tile

DEMO = Path(str(files("sitsr") / "demo"))
DAYS = ("2021-05-02", "2021-06-11", "2021-07-01", "2021-07-18", "2021-08-20")


@pytest.fixture(scope="session")
def ground() -> tuple[Floats, Booleans]:
    """Real reflectance of an oblong piece of ground on five dates, and its clear sky."""
    import sitsr

    series = sitsr.open_series(DEMO)
    rows, cols = series.clear.shape[1:]
    assert rows >= 100 and cols >= 90
    return series.images[:5, :, :100, :90], series.clear[:5, :100, :90]


def write(path: Path, values: Floats, crs: int, west: float, north: float) -> None:
    """Reflectance [C, H, W] as digital numbers on 10 m pixels."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint16",
        count=len(values),
        height=values.shape[1],
        width=values.shape[2],
        crs=CRS.from_epsg(crs),
        transform=from_origin(west, north, 10, 10),
        nodata=0,
    ) as file:
        file.write(np.rint(values * 1e4).clip(1, 2**16 - 2).astype(np.uint16))
        file.descriptions = ("B02", "B03", "B04", "B08")


def one_grid(folder: Path, ground: tuple[Floats, Booleans]) -> None:
    for day, image in zip(DAYS, ground[0], strict=True):
        write(folder / f"{day}.tif", image[:4], 32631, 500_000, 4_700_000)


def own_masks(folder: Path, ground: tuple[Floats, Booleans]) -> None:
    """Scene classes at 20 m beside every image."""
    one_grid(folder, ground)
    for day, clear in zip(DAYS, ground[1], strict=True):
        with rasterio.open(folder / f"{day}.tif") as file:
            profile = file.profile | {"count": 1, "dtype": "uint8", "height": 50, "width": 45}
        profile["transform"] = from_origin(500_000, 4_700_000, 20, 20)
        with rasterio.open(folder / f"{day}_SCL.tif", "w", **profile) as file:
            file.write(np.where(clear[::2, ::2], 4, 9).astype(np.uint8), 1)


def two_zones(folder: Path, ground: tuple[Floats, Booleans]) -> None:
    """Every other date lies in the neighbouring UTM zone, as on the border of two tiles."""
    one_grid(folder, ground)
    for day in DAYS[1::2]:
        with rasterio.open(folder / f"{day}.tif") as file:
            values, transform, crs = file.read(), file.transform, file.crs
        there = np.zeros((4, 140, 130), np.uint16)
        x, y = 500_000, 4_700_000
        (left,), (top,) = rasterio.warp.transform(crs, CRS.from_epsg(32632), [x], [y])
        grid = from_origin(round(left, -1) - 150, round(top, -1) + 150, 10, 10)
        reproject(
            values,
            there,
            src_crs=crs,
            src_transform=transform,
            dst_crs=CRS.from_epsg(32632),
            dst_transform=grid,
            src_nodata=0,
            dst_nodata=0,
        )
        (folder / f"{day}.tif").unlink()
        write(folder / f"{day}.tif", there / 1e4, 32632, grid.c, grid.f)
        with rasterio.open(folder / f"{day}.tif", "r+") as file:
            file.write(there)


def coarser_bands(folder: Path, ground: tuple[Floats, Booleans]) -> None:
    """Half the dates are shifted by a third of a pixel."""
    for number, (day, image) in enumerate(zip(DAYS, ground[0], strict=True)):
        shift = 3.3 * (number % 2)
        write(folder / f"{day}.tif", image[:4], 32631, 500_000 + shift, 4_700_000 - shift)


LAYOUTS = [one_grid, own_masks, two_zones, coarser_bands]
MASKINGS = [Masking(), Masking(dilate=3), Masking(trusted=False)]


@pytest.mark.parametrize("masking", MASKINGS, ids=["as it is", "dilated", "spectral rule"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_window_is_the_same_as_that_part_of_the_whole(
    layout: Callable[[Path, tuple[Floats, Booleans]], None],
    masking: Masking,
    ground: tuple[Floats, Booleans],
    tmp_path: Path,
) -> None:
    layout(tmp_path, ground)
    scene = survey(make_plan(*parse_folder(tmp_path)), masking=masking)
    whole = read_window(scene)
    rows, cols = scene.plan.grid.shape
    assert rows != cols and whole.clear.any() and not whole.clear.all()
    for window in (Tile(0, 0, 17, 31), Tile(33, 20, 71, 64), Tile(rows - 9, cols - 40, rows, cols)):
        part = read_window(scene, window)
        here = window.window()
        assert part.grid == whole.grid[here]
        assert np.array_equal(part.clear, whole.clear[:, *here])
        assert np.allclose(part.images, whole.images[:, :, *here], atol=1e-6)


def test_dilation_takes_ground_near_clouds_and_no_more(
    ground: tuple[Floats, Booleans], tmp_path: Path
) -> None:
    own_masks(tmp_path, ground)
    plan = make_plan(*parse_folder(tmp_path))
    plain = read_window(survey(plan)).clear
    grown = read_window(survey(plan, masking=Masking(dilate=2))).clear
    assert (grown <= plain).all() and (grown < plain).any()
    rows, cols = plain.shape[1:]
    padded = np.pad(~plain, ((0, 0), (2, 2), (2, 2)))
    near = np.any(
        [padded[:, r : r + rows, c : c + cols] for r in range(5) for c in range(5)], axis=0
    )
    assert np.array_equal(grown, ~near)


def test_the_user_says_which_scene_classes_are_cloud(
    ground: tuple[Floats, Booleans], tmp_path: Path
) -> None:
    own_masks(tmp_path, ground)
    plan = make_plan(*parse_folder(tmp_path))
    all_clear = read_window(survey(plan, masking=Masking(cloud_classes=(0,)))).clear
    assert all_clear.all()
    none_of_class_4 = survey(plan, masking=Masking(cloud_classes=(4,)))
    assert not (read_window(none_of_class_4).clear & read_window(survey(plan)).clear).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"dilate": -1}, "dilate is -1"), ({"cloud_classes": (12,)}, "scene class 12 does not exist")],
)
def test_masking_that_makes_no_sense_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Masking(**wrong)  # type: ignore[arg-type]


def test_what_breaks_while_a_scene_is_read_stops_it_or_is_told(
    ground: tuple[Floats, Booleans], tmp_path: Path
) -> None:
    one_grid(tmp_path, ground)
    plan = make_plan(*parse_folder(tmp_path))
    window = Tile(10, 5, 60, 70)
    scenes = {strict: survey(plan, Files(), strict=strict) for strict in (True, False)}
    whole = read_window(scenes[False], window)
    victim = tmp_path / f"{DAYS[2]}.tif"
    victim.write_bytes(victim.read_bytes()[:200])
    for scene in scenes.values():
        scene.pixels.close()  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"2021-07-01\.tif is broken or cut short"):
        read_window(scenes[True], window)
    part = read_window(scenes[False], window)
    assert not part.clear[2].any() and part.dates == whole.dates
    assert "left out a part of 2021-07-01.tif that cannot be read" in part.history
