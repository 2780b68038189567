"""A cube in, a lazy cube out: the same pixels as at once, and no work but for what is asked."""

from __future__ import annotations

import importlib
import pickle
import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.threaded
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from distributed import Client
from odc.geo.geom import Geometry
from odc.geo.xr import xr_coords
from rasterio.warp import transform_geom

import sitsr
from conftest import make_model, make_series
from sitsr.inference import Job, Settings, super_resolve, workers
from sitsr.inference.scene import only_within
from sitsr.model import open_model, save_model
from sitsr.product import Result, days
from sitsr.scenes import Area, Scene, Selection, open_scene, open_series, read_series
from sitsr.scenes.sources.cubes import CubePixels, parse_cube
from sitsr.scenes.write.cube import UNSEEN
from sitsr.series import InputError
from sitsr.tiles import Tile

lazily = importlib.import_module("sitsr.inference.lazily")

DEMO = Path(str(files("sitsr") / "demo"))
DAYS = ("2020-03-01", "2021-07-18")
H, W, BLOCK, SCALE, SAMPLES = 75, 50, 32, 4, 2
BLOCKS = 3 * 2


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a small model."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(make_model(), path)
    return path


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """Part of the demonstration, with its masks, in memory."""
    series = open_series(DEMO).crop(slice(20, 20 + H), slice(30, 30 + W))
    dims = ("time", "y", "x")
    layers = {band: (dims, series.images[:, c]) for c, band in enumerate(series.bands)}
    return xr.Dataset(
        layers | {"clear": (dims, series.clear.astype(np.uint8))},
        {"time": np.array(series.dates, "datetime64[ns]"), **xr_coords(series.grid)},
    )


def as_array(cube: xr.Dataset) -> xr.DataArray:
    """One array (time, band, y, x) of which a chunk holds all bands; it has no masks."""
    stack = cube.drop_vars("clear").to_dataarray("band").transpose("time", "band", "y", "x")
    return stack.chunk(time=1, band=-1, y=40, x=30)


FORMS: dict[str, Callable[[xr.Dataset], Any]] = {
    "in memory": lambda cube: cube,
    "by Dask": lambda cube: cube.chunk(time=1, y=40, x=30),
    "south up": lambda cube: cube.isel(y=slice(None, None, -1)).chunk(time=5, y=40),
    "an array": as_array,
}


def resolve(cube: Any, weights: Path, dates: Any = DAYS, **options: Any) -> xr.Dataset:
    given = {"samples": SAMPLES, "seed": 3, "block": BLOCK, **options}
    made = sitsr.super_resolve(cube, dates, weights=weights, device="cpu", **given)
    assert isinstance(made, xr.Dataset)
    return made


@pytest.fixture(scope="module")
def eager(cube: xr.Dataset, weights: Path) -> list[xr.Dataset]:
    """The demonstration at each date, at once."""
    return at_once(cube, weights)


def at_once(cube: Any, weights: Path) -> list[xr.Dataset]:
    series, options = open_series(cube), {"samples": SAMPLES, "seed": 3, "weights": weights}
    return [sitsr.super_resolve(series, day, device="cpu", **options).to_xarray() for day in DAYS]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Tile]:
    """The blocks whose series are read."""
    cores: list[Tile] = []
    before = lazily.read_block

    def count(job: Job, model: Any, core: Tile) -> Any:
        cores.append(core)
        return before(job, model, core)

    monkeypatch.setattr(lazily, "read_block", count)
    return cores


def same(made: xr.Dataset, eager: list[xr.Dataset]) -> None:
    assert made.sizes["time"] == len(eager)
    for number, each in enumerate(eager):
        for name, values in each.data_vars.items():
            here = made[name].isel(time=number)
            assert here.dtype == values.dtype
            np.testing.assert_allclose(here, values, rtol=0, atol=2e-6, err_msg=str(name))


# ------------------------------------------------------------- the same pixels


@pytest.mark.parametrize("form", FORMS)
def test_blocks_are_what_is_made_at_once(
    form: str, cube: xr.Dataset, weights: Path, eager: list[xr.Dataset]
) -> None:
    given = FORMS[form](cube)
    reference = at_once(given, weights) if form == "an array" else eager
    same(resolve(given, weights).compute(scheduler="threads"), reference)


def test_neither_blocks_nor_tiles_change_a_pixel(cube: xr.Dataset, weights: Path) -> None:
    whole = resolve(cube, weights, DAYS[1], block=1000).compute()
    for cut in ({"block": 13}, {"tile": 9}, {"block": 40, "tile": 17}):
        same(resolve(cube, weights, DAYS[1], **cut).compute(), [whole.isel(time=0)])


def test_the_cube_is_that_of_a_result_along_time(
    cube: xr.Dataset, weights: Path, eager: list[xr.Dataset]
) -> None:
    lazy = resolve(cube, weights, DAYS[1])
    result = eager[1]
    assert lazy.attrs == result.attrs and list(lazy.data_vars) == list(result.data_vars)
    for name in (*result.data_vars, *result.coords):
        before = ("time",) if name in lazy.data_vars or name == "time" else ()
        assert lazy[name].dims == (*before, *result[name].dims)
        assert lazy[name].dtype == result[name].dtype
        told, wanted = lazy[name].attrs, result[name].attrs
        assert told.keys() == wanted.keys()
        assert all(np.array_equal(told[key], wanted[key]) for key in wanted)
        if name in result.coords:
            assert np.array_equal(lazy[name].squeeze(), result[name])
    assert lazy.sizes == {"time": 1, **result.sizes}


def test_without_samples_there_is_no_variable_of_samples(cube: xr.Dataset, weights: Path) -> None:
    assert "samples" not in resolve(cube, weights, samples=0)


def test_dates_come_in_order_each_once_and_each_is_told(cube: xr.Dataset, weights: Path) -> None:
    lazy = resolve(cube, weights, [DAYS[1], date(2020, 3, 1), datetime(2021, 7, 18, 10)])
    assert [str(day)[:10] for day in lazy.time.values] == list(DAYS)
    assert lazy.attrs["target"] == ", ".join(DAYS)
    assert all(day in lazy.attrs["provenance"] for day in DAYS)


# ------------------------------------------------------------- no work but what is asked


def counting(cube: xr.Dataset) -> tuple[xr.Dataset, list[int]]:
    """The cube by Dask, and what grows by one whenever a chunk of it is loaded."""
    loaded: list[int] = []

    def load(part: Any) -> Any:
        loaded.append(part.size)
        return part

    empty = np.empty((0, 0, 0), np.float32)
    chunked = cube.chunk(time=1, y=25, x=25)
    return chunked.map(
        lambda layer: layer.copy(data=layer.data.map_blocks(load, meta=empty))
    ), loaded


def test_nothing_but_the_windows_of_the_survey_is_read_before_it_is_computed(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = make_series((900, 1100), days=(-3, 4), clear=np.ones((2, 900, 1100), bool))
    bands = {
        band: (("time", "y", "x"), da.from_array(series.images[:, c], chunks=(1, 100, 100)))
        for c, band in enumerate(series.bands)
    }
    times = np.array(series.dates, "datetime64[ns]")
    cube = xr.Dataset(bands, {"time": times, **xr_coords(series.grid)})
    windows: list[int] = []
    before = CubePixels.image

    def image(pixels: CubePixels, frame: Any, window: Tile) -> Any:
        windows.append((window.bottom - window.top) * (window.right - window.left))
        return before(pixels, frame, window)

    monkeypatch.setattr(CubePixels, "image", image)
    open_scene(cube)
    surveyed = list(windows)
    windows.clear()
    lazy = resolve(cube, weights, block=512)
    assert sorted(windows) == sorted(surveyed)
    assert sum(windows) < 900 * 1100 * 2
    windows.clear()
    assert lazy.sr.sizes["x"] == 4400 and lazy.support.chunks[1] == (2048, 1552)
    assert not windows


def test_a_dask_cube_is_loaded_only_when_it_is_computed(cube: xr.Dataset, weights: Path) -> None:
    given, loaded = counting(cube)
    lazy = resolve(given, weights)
    before = len(loaded)
    repr(lazy), lazy.isel(x=3).mean(), lazy.sr.astype("float64")
    assert len(loaded) == before > 0
    lazy.sr.isel(time=0, y=0, x=0).compute()
    assert len(loaded) > before


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_a_block_is_read_once_for_all_dates_and_variables(
    scheduler: str, cube: xr.Dataset, weights: Path, read: list[Tile], tmp_path: Path
) -> None:
    lazy = resolve(cube, weights)
    with dask.config.set(scheduler=scheduler):
        for ask in (
            lazy.compute,
            lazy.sr.compute,
            lazy.samples.compute,
            lambda: lazy.to_zarr(tmp_path / "cube.zarr", zarr_format=2),
        ):
            read.clear()
            ask()
            assert len(read) == len(set(read)) == BLOCKS


def test_of_a_part_only_the_blocks_under_it_are_made(
    cube: xr.Dataset, weights: Path, read: list[Tile]
) -> None:
    lazy = resolve(cube, weights)
    part = {"y": slice(100, 130), "x": slice(90, 128)}  # ends where a block does
    few = lazy.isel(part).compute()
    assert sorted(read, key=str) == [Tile(0, 0, 32, 32), Tile(32, 0, 64, 32)]
    xr.testing.assert_equal(few, lazy.compute().isel(part))


def test_only_two_blocks_of_a_process_are_worked_on_at_a_time(
    cube: xr.Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, inside, most = threading.Lock(), [0], [0]
    before = lazily.estimate_block, lazily.read_block

    def enter(*given: Any) -> Any:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.05)
        return before[1](*given)

    def leave(*given: Any) -> Any:
        with lock:
            inside[0] -= 1
        return before[0](*given)

    monkeypatch.setattr(lazily, "read_block", enter)
    monkeypatch.setattr(lazily, "estimate_block", leave)
    lazy = resolve(cube, weights, DAYS[0])
    lazy.clear_count.compute(scheduler="threads", num_workers=BLOCKS)
    assert most[0] == 2


def test_a_model_is_opened_once_and_again_when_its_file_is_another(
    cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = tmp_path / "own.safetensors", []
    before = workers.open_model

    def count(*given: Any) -> Any:
        opened.append(given)
        return before(*given)

    monkeypatch.setattr(workers, "open_model", count)
    save_model(make_model(1), path)
    first = resolve(cube, path, DAYS[0]).compute()
    assert len(opened) == 1
    stale = resolve(cube, path, DAYS[0])
    save_model(make_model(2), path)
    with pytest.raises(InputError, match=r"own\.safetensors has changed since .*again"):
        stale.compute(scheduler="synchronous")
    second = resolve(cube, path, DAYS[0]).compute()
    assert not np.allclose(first.sr, second.sr, equal_nan=True)


# ------------------------------------------------------------- areas


def within(cube: xr.Dataset, corners: tuple[tuple[int, int], ...]) -> Scene:
    """The cube's scene in a polygon with these corners: column and row."""
    west, north = float(cube.x[0]) - 5, float(cube.y[0]) + 5
    ring = [(west + 10 * col, north - 10 * row) for col, row in corners]
    there = {"type": "Polygon", "coordinates": [ring]}
    shape = Geometry(transform_geom("EPSG:32631", "EPSG:4326", there), "EPSG:4326")
    return open_scene(cube, wanted=Selection(area=Area(shape, masked=True)))


def test_nothing_is_read_outside_an_area(cube: xr.Dataset, weights: Path, read: list[Tile]) -> None:
    scene = within(cube, ((1, 1), (5, 1), (5, 70), (48, 70), (48, 73), (1, 73), (1, 1)))  # an L
    settings, target = Settings(samples=SAMPLES, seed=3), date(2021, 7, 18)
    job = Job(scene, (target,), settings, weights, "cpu", BLOCK)
    made = lazily.lazily(job).compute()
    outside = [
        Tile(0, 32, 32, made.sizes["x"] // SCALE),
        Tile(32, 32, 64, made.sizes["x"] // SCALE),
    ]
    assert len(read) == BLOCKS - len(outside) and not set(read) & set(outside)
    whole = super_resolve(read_series(scene), target, open_model(weights, "cpu"), settings)
    same(made, [Result(read_series(scene), only_within(whole, scene.plan.area)).to_xarray()])
    far = made.isel(y=slice(0, 64 * SCALE), x=slice(32 * SCALE, None))
    for name, nothing in UNSEEN.items():
        np.testing.assert_array_equal(far[name], np.full(far[name].shape, nothing))


def test_what_is_computed_can_be_written_to_also_where_nothing_was_made(
    cube: xr.Dataset, weights: Path
) -> None:
    scene = within(cube, ((1, 1), (40, 70), (48, 73), (1, 1)))
    job = Job(scene, (date(2021, 7, 18),), Settings(samples=0), weights, "cpu", 16)
    for chunk in lazily.lazily(job).sr.data.to_delayed().ravel():
        chunk.compute(scheduler="synchronous")[...] = 0


# ------------------------------------------------------------- schedulers and files


def test_a_task_that_reads_a_dask_cube_waits_for_no_other_task(
    cube: xr.Dataset, weights: Path, eager: list[xr.Dataset]
) -> None:
    """A task that handed work to the scheduler that runs it could wait for ever."""
    asked: list[int] = []

    def scheduler(graph: Any, keys: Any, **others: Any) -> Any:
        asked.append(len(keys))
        return dask.threaded.get(graph, keys, num_workers=1)

    lazy = resolve(FORMS["by Dask"](cube), weights)
    with dask.config.set(scheduler=scheduler):
        same(lazy.compute(), eager)
    assert len(asked) == 1


@pytest.mark.slow
def test_processes_of_workers_make_the_same(
    cube: xr.Dataset, weights: Path, eager: list[xr.Dataset], tmp_path: Path
) -> None:
    with Client(processes=True, n_workers=2, threads_per_worker=2, dashboard_address=":0"):
        lazy = resolve(FORMS["by Dask"](cube), weights)
        same(lazy.compute(), eager)
        resolve(cube, weights).to_zarr(tmp_path / "cube.zarr", zarr_format=2)
    with xr.open_zarr(tmp_path / "cube.zarr") as back:
        same(back.load(), eager)


def test_a_cube_that_workers_hold_is_refused(cube: xr.Dataset, weights: Path) -> None:
    with Client(processes=False, n_workers=1, dashboard_address=":0"):
        held = FORMS["by Dask"](cube).persist()
        for given in (held, held.isel(time=slice(0, 5)), held * 1.0):
            with pytest.raises(InputError, match="the cube was persisted on workers of Dask; hand"):
                resolve(given, weights)
        same(resolve(held.load(), weights).compute(), at_once(held, weights))


def test_a_cube_persisted_in_this_process_is_none_of_them(
    cube: xr.Dataset, weights: Path, eager: list[xr.Dataset]
) -> None:
    held = FORMS["by Dask"](cube).persist(scheduler="threads")
    same(resolve(held, weights).compute(scheduler="threads"), eager)


def test_a_cube_is_written_and_read_back(
    cube: xr.Dataset, weights: Path, eager: list[xr.Dataset], tmp_path: Path
) -> None:
    lazy = resolve(cube, weights)
    lazy.to_zarr(tmp_path / "cube.zarr", zarr_format=2)
    with xr.open_zarr(tmp_path / "cube.zarr", decode_coords="all") as back:
        same(back.load(), eager)
        assert back.attrs == lazy.attrs
        assert back.odc.geobox == lazy.odc.geobox


# ------------------------------------------------------------- how a cube is read


def test_the_pixels_of_a_cube_go_to_other_processes(cube: xr.Dataset, tmp_path: Path) -> None:
    cube.to_zarr(tmp_path / "cube.zarr", zarr_format=2)
    at_path = xr.open_dataset(tmp_path / "cube.zarr", engine="zarr", chunks=None)
    for given in (cube, FORMS["by Dask"](cube), at_path):
        frame, window = parse_cube(given)[0][2], Tile(5, 7, 20, 31)
        there = pickle.loads(pickle.dumps(CubePixels(given)))
        wanted = np.stack([cube[band][2, 5:20, 7:31] for band in frame.bands])
        np.testing.assert_array_equal(there.image(frame, window), wanted)
        assert frame.cover is not None
        np.testing.assert_array_equal(
            there.layer(frame.cover, frame, window), cube.clear[2, 5:20, 7:31]
        )


@pytest.mark.parametrize("down", [1, -1], ids=["north up", "south up"])
def test_a_window_loads_the_chunks_under_it_and_no_more(down: int, cube: xr.Dataset) -> None:
    given, loaded = counting(cube.isel(y=slice(None, None, down)))  # chunks of 25 x 25
    frame = parse_cube(given)[0][0]
    CubePixels(given).image(frame, Tile(26, 1, 49, 24))
    assert len(loaded) == len(frame.bands)
    loaded.clear()
    CubePixels(given).image(frame, Tile(26, 1, 51, 24))
    assert len(loaded) == 2 * len(frame.bands)


def test_a_chunk_of_several_bands_is_loaded_once(cube: xr.Dataset) -> None:
    loaded: list[int] = []

    def load(part: Any) -> Any:
        loaded.append(part.size)
        return part

    stack = as_array(cube)
    empty = np.empty((0, 0, 0, 0), np.float32)
    given = stack.copy(data=stack.data.map_blocks(load, meta=empty))  # chunks of 40 x 30
    frame = parse_cube(given)[0][0]
    CubePixels(given, "synchronous").image(frame, Tile(0, 0, 40, 30))
    assert loaded == [len(frame.bands) * 40 * 30]


# ------------------------------------------------------------- what is asked for


def test_days_come_in_many_forms() -> None:
    wanted = (date(2020, 3, 1), date(2021, 7, 18))
    for given in (
        DAYS,
        np.array(DAYS[::-1], "datetime64[ns]"),
        pd.DatetimeIndex(DAYS),
        xr.DataArray(np.array(DAYS, "datetime64[ns]"), dims="time"),
        (day for day in DAYS),
    ):
        assert days(given) == wanted
    for one in (DAYS[0], np.datetime64(DAYS[0], "ns"), pd.Timestamp(DAYS[0]), wanted[0]):
        assert days(one) == wanted[:1]


@pytest.mark.parametrize(
    "when", [20210718, None, "July", [DAYS[0], 3], np.datetime64("NaT"), {"a": 1}, [[DAYS[0]]]]
)
def test_what_is_no_date_is_one_line(when: Any, cube: xr.Dataset) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+ is not a date; write it as YYYY-MM-DD[^\n]+$"):
        sitsr.super_resolve(cube, when)


def test_what_does_not_go_together_is_one_line(cube: xr.Dataset, weights: Path) -> None:
    with pytest.raises(InputError, match="no target date; give one or more"):
        resolve(cube, weights, [])
    with pytest.raises(InputError, match="block must be 1 or more, got 0"):
        resolve(cube, weights, block=0)
    with pytest.raises(InputError, match="progress was given with a cube"):
        resolve(cube, weights, progress=print)
    with pytest.raises(InputError, match="got a int; wanted a path, an xarray Dataset"):
        resolve(3, weights)
    series: Any = make_series()
    with pytest.raises(InputError, match="block was given, but is for cubes"):
        sitsr.super_resolve(series, DAYS[0], block=3)
    for none_or_two in ([], DAYS):
        with pytest.raises(InputError, match=rf"got {len(none_or_two)} dates for a series"):
            sitsr.super_resolve(series, none_or_two)


def test_a_date_far_from_all_is_told_before_anything_is_made(
    cube: xr.Dataset, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resolve(cube, weights, "2024-01-01")
    assert "2024-01-01 is far from what was observed" in caplog.text
