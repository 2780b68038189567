"""What users hold: the same numbers in memory and on disk, and one clear line for a mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

import sitsr.scenes
from sitsr import product
from sitsr.product import Result, super_resolve
from sitsr.series import NEVER, InputError, Series, SuperResolved
from test_scenes_write import (
    BANDS,
    DATES,
    SAMPLES,
    SCALE,
    TARGET,
    C,
    H,
    W,
    make_estimate,
    make_series,
)

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


@pytest.fixture(scope="module")
def result() -> Result:
    series = make_series()
    return Result(series, make_estimate(series))


@pytest.fixture(scope="module")
def folder(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.save(tmp_path_factory.mktemp("saved") / "result")


def test_saving_writes_the_report_among_the_files(folder: Path) -> None:
    assert (folder / "report.html").stat().st_size > 10_000
    assets = json.loads((folder / "item.json").read_text())["assets"]
    assert assets["report"]["href"] == "report.html"
    assert assets["report"]["type"] == "text/html"
    assert [path.name for path in folder.parent.iterdir()] == ["result"]


def test_saving_takes_a_string_and_replaces_a_former_result(result: Result, tmp_path: Path) -> None:
    place = str(tmp_path / "result")
    told: list[tuple[int, int]] = []
    result.save(place)
    assert result.save(place, lambda *step: told.append(step)) == Path(place)
    assert told[0][0] == 0 and told[-1][0] == told[-1][1]


def test_a_failing_report_leaves_nothing(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*anything: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("sitsr.report.write_pages", fail)
    with pytest.raises(MemoryError):
        result.save(tmp_path / "result")
    assert not list(tmp_path.iterdir())


def test_the_dataset_agrees_with_the_files(result: Result, folder: Path) -> None:
    cube = result.to_xarray()
    with rasterio.open(folder / "sr.tif") as file:
        stored = file.read(masked=True) * file.scales[0]
        np.testing.assert_allclose(cube.sr.clip(0), stored.filled(np.nan), atol=0.5001e-4, rtol=0)
        written = [float(part) for part in cube.spatial_ref.attrs["GeoTransform"].split()]
        assert tuple(written) == file.transform.to_gdal()
        assert CRS.from_wkt(cube.spatial_ref.attrs["crs_wkt"]) == file.crs
        rows, cols = np.array([0, 5, H * SCALE - 1]), np.array([0, 8, W * SCALE - 1])
        xs, ys = file.xy(rows, cols)
    np.testing.assert_allclose(cube.x[cols], xs)
    np.testing.assert_allclose(cube.y[rows], ys)


def test_the_dataset_says_what_it_holds(result: Result) -> None:
    cube = result.to_xarray()
    assert cube.sr.dims == ("band", "y", "x")
    assert cube.sr.shape == (C, H * SCALE, W * SCALE)
    assert cube.samples.dims == ("sample", "band", "y", "x")
    assert cube.samples.shape[0] == SAMPLES
    assert list(cube.band.values) == list(BANDS)
    assert cube.time.values == np.datetime64(TARGET)
    assert json.loads(cube.attrs["provenance"])["weights"] == "base"
    np.testing.assert_array_equal(cube.spread, result.estimate.spread)
    assert cube.spatial_ref.values == 32631
    assert {cube[name].attrs["grid_mapping"] for name in cube.data_vars} == {"spatial_ref"}


def test_coarse_counts_are_repeated_under_the_fine_pixels(result: Result) -> None:
    cube, made = result.to_xarray(), result.estimate
    assert cube.clear_count.shape == (H * SCALE, W * SCALE)
    for row, col in ((0, 0), (1, 5), (H - 1, W - 1), (7, 3)):
        block = np.s_[row * SCALE : (row + 1) * SCALE, col * SCALE : (col + 1) * SCALE]
        assert (cube.clear_count.values[block] == made.clear_count[row, col]).all()
        days = made.nearest_days[row, col]
        wanted = np.nan if days == NEVER else days
        np.testing.assert_array_equal(cube.nearest_days.values[block], wanted)
    np.testing.assert_array_equal(np.isnan(cube.sr[0]), cube.clear_count == 0)


def test_without_samples_there_is_no_variable_of_samples() -> None:
    series = make_series()
    assert "samples" not in Result(series, make_estimate(series, samples=0)).to_xarray()


def test_the_dataset_can_be_written_as_netcdf(result: Result, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    result.to_xarray().to_netcdf(tmp_path / "cube.nc", engine="netcdf4")
    with xarray.open_dataset(tmp_path / "cube.nc", decode_coords="all") as cube:
        np.testing.assert_array_equal(cube.sr, result.estimate.mean)


# ---- super_resolve, with the model and the work behind it replaced


@dataclass(frozen=True)
class FakeSettings:
    samples: int = 4
    steps: int | None = None
    seed: int = 0
    tile: int = 128
    psf: tuple[float, ...] | None = None


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the fakes were called with."""
    seen: dict[str, Any] = {"weights": tmp_path / "default.safetensors"}
    seen["weights"].write_bytes(b"weights")

    def work(series: Series, target: date, *others: Any) -> SuperResolved:
        seen.update(series=series, target=target, others=others)
        return make_estimate(series, target=target, provenance={"seed": 3})

    def open_model(path: Path, device: str) -> str:
        seen.update(path=path, device=device)
        return "the model"

    inference = SimpleNamespace(
        Settings=FakeSettings,
        super_resolve=work,
        is_far=lambda dates, target: False,
        how_served=lambda dates, target: "well",
    )
    model = SimpleNamespace(
        open_model=open_model,
        bundled_weights=lambda: seen["weights"],
        fingerprint=lambda path: f"hash of {path.name}",
    )
    monkeypatch.setitem(sys.modules, "sitsr.inference", inference)
    monkeypatch.setitem(sys.modules, "sitsr.model", model)
    monkeypatch.setattr(sitsr, "inference", inference, raising=False)
    return seen


def test_what_is_left_open_is_left_to_the_settings(calls: dict[str, Any]) -> None:
    series = make_series()
    result = super_resolve(series, "2021-07-18")
    assert result.series is series is calls["series"]
    assert calls["target"] == TARGET
    assert calls["others"] == ("the model", FakeSettings(), None)
    assert calls["path"] == calls["weights"]
    assert calls["device"] == "auto"


def test_what_is_said_is_handed_on(calls: dict[str, Any], tmp_path: Path) -> None:
    def told(done: int, total: int) -> None: ...

    own = tmp_path / "own.safetensors"
    super_resolve(
        make_series(),
        TARGET,
        samples=8,
        steps=2,
        seed=5,
        psf=0.4,
        tile=64,
        device="cpu",
        weights=str(own),
        progress=told,
    )
    assert calls["others"] == ("the model", FakeSettings(8, 2, 5, 64, (0.4,)), told)
    assert (calls["path"], calls["device"]) == (own, "cpu")


def test_the_provenance_names_the_weights(calls: dict[str, Any]) -> None:
    made = super_resolve(make_series(), TARGET).estimate
    assert made.provenance == {
        "seed": 3,
        "weights": "default.safetensors",
        "weights_sha256": "hash of default.safetensors",
    }


def test_a_path_is_opened_first(calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    series = make_series()
    opened: dict[str, Any] = {}

    def fake(source: Any, **options: Any) -> Series:
        opened.update(source=source, **options)
        return series

    monkeypatch.setattr(sitsr.scenes, "open_series", fake)
    assert super_resolve("scenes/", TARGET).series is series
    assert opened["source"] == "scenes/"


@pytest.mark.parametrize("when", ["18.7.2021", "2021-13-01", "", 20210718, None])
def test_what_is_no_date_is_refused_before_any_work(when: Any, calls: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is not a date; write it as YYYY-MM-DD"):
        super_resolve("not/there", when)
    assert "path" not in calls


@pytest.mark.parametrize("when", ["2021-07-11", DATES[1], datetime(2021, 7, 11, 10, 40)])
def test_dates_come_in_three_forms(when: Any) -> None:
    assert product.day(when) == date(2021, 7, 11)
    assert type(product.day(when)) is date


def test_importing_is_light() -> None:
    heavy = ("torch", "rasterio", "matplotlib", "pystac", "PIL")
    code = f"import sys, sitsr.product; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_results_are_frozen(result: Result) -> None:
    with pytest.raises(AttributeError):
        result.series = make_series()  # type: ignore[misc]
    assert replace(result) != result
