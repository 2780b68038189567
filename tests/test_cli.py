"""Commands say what they do, answer a mistake with one line, and load no more than they need."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rasterio
import typer
from rasterio.warp import transform_bounds
from typer.testing import CliRunner

import sitsr
from conftest import make_model
from sitsr import cli, inference, scenes
from sitsr.cli import wishes
from sitsr.inference import Means, Settings
from sitsr.model import save_model
from sitsr.scenes import Masking
from sitsr.series import InputError

DEMO = Path(str(files("sitsr") / "demo"))
SCENE = SimpleNamespace(dates=(date(2020, 2, 1), date(2020, 3, 15)))
"""One that is never read."""
OPEN_SCENE = scenes.open_scene
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Levels of loggers as they were."""
    names = ("sitsr", "rasterio", "matplotlib", "lightning.pytorch", "fsspec")
    before = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_model(make_model(), path)
    return path


@pytest.fixture
def series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any source opens as the bundled series."""
    monkeypatch.setattr(scenes, "open_scene", lambda source, **_: OPEN_SCENE(DEMO))


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["sitsr", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_there_for_every_command(command: str | None) -> None:
    shown = CliRunner().invoke(cli.app, [command, "--help"] if command else ["--help"])
    assert shown.exit_code == 0 and "Usage" in shown.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is(name: str) -> None:
    assert COMMANDS[name].help
    for option in COMMANDS[name].params:
        assert getattr(option, "help", None), f"{name}: {option.name} has no help"


def test_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(cli.app, ["--version"])
    assert shown.exit_code == 0 and shown.output == f"sitsr {sitsr.__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['sitsr', '--help']\n"
        "from sitsr.cli import main\n"
        "try: main()\n"
        "finally:\n"
        "    heavy = {'torch', 'rasterio', 'matplotlib', 'xarray', 'lightning', 'distributed'}\n"
        "    print('HEAVY', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "super-resolve" in done.stdout
    assert "HEAVY []" in done.stderr


def test_a_series_becomes_a_folder(
    tmp_path: Path,
    weights: Path,
    series: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "result"
    words = ["super-resolve", "x", "--date", "2021-07-18", "--out", out, "--samples", 1]
    assert call(monkeypatch, *words, "--weights", weights, "--device", "cpu") == 0
    assert (out / "sr.tif").exists() and (out / "report.html").exists()
    assert (out / "samples").is_dir()
    shown = capsys.readouterr()
    assert "between acquisitions" in shown.out and f"{out / 'sr.tif'}" in shown.out
    again = call(
        monkeypatch, "--quiet", *words, "--weights", weights, "--device", "cpu", "--steps", 2
    )
    assert again == 0 and capsys.readouterr().out == ""


def test_options_reach_what_they_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def opened(source: str, **options: Any) -> SimpleNamespace:
        told.update(options, source=source)
        return SCENE

    def produced(job: Any, out: Path, means: Any, form: str, tell: Any) -> None:
        told.update(job=job, out=out, means=means, form=form)
        raise InputError("far enough")

    monkeypatch.setattr(scenes, "open_scene", opened)
    monkeypatch.setattr(wishes, "bands_of", lambda weights: ("B04", "B08"))
    monkeypatch.setattr(inference, "produce", produced)
    words = ["super-resolve", "in", "--date", "2020-02-29", "--out", tmp_path / "o"]
    more = ["--bands", "B02,B08", "--offset", "-1000", "--skip-unreadable", "--seed", 5]
    more += ["--assume-crs", "EPSG:32631", "--bbox", "2,42,2.5,42.5", "--dates", "2020-01-01/.."]
    more += ["--max-cloud", 30, "--cloud-classes", "3,9", "--dilate", 2, "--no-source-mask"]
    more += ["--every", "20d", "--strict", "--format", "zarr", "--block", 100, "--workers", 3]
    more += ["--tile", 64, "--psf", 0.4, "--steps", 3, "--samples", 7, "--weights", "w"]
    more += ["--scheduler", "tcp://there:8786", "--device", "cpu"]
    assert call(monkeypatch, *words, *more) == 1
    assert told.pop("masking") == Masking(cloud_classes=(3, 9), dilate=2, trusted=False)
    wanted, job = told.pop("wanted"), told.pop("job")
    assert (wanted.area.bbox, wanted.max_cloud, wanted.bands) == (
        (2.0, 42.0, 2.5, 42.5),
        0.3,
        ("B04", "B08"),
    )
    assert wanted.dates == (date(2020, 1, 1), None)
    assert told == {
        "source": "in",
        "bands": ["B02", "B08"],
        "offset": -1000,
        "skip_unreadable": True,
        "assume_crs": "EPSG:32631",
        "strict": True,
        "out": tmp_path / "o",
        "means": Means(3, "tcp://there:8786"),
        "form": "zarr",
    }
    assert job.settings == Settings(samples=7, steps=3, seed=5, tile=64, psf=(0.4,))
    assert (job.weights, job.device, job.block) == (Path("w").resolve(), "cpu", 100)
    days = [date(2020, 2, 1), date(2020, 2, 21), date(2020, 2, 29), date(2020, 3, 12)]
    assert list(job.targets) == days


OK = ["super-resolve", "x", "--date", "2021-07-18", "--out", "{out}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*OK[:3], "18.7.2021", *OK[4:]], "18.7.2021 is not a date; write it as 2021-07-18"),
        ([*OK, "--offset", "some"], "offset is some, but should be a whole number"),
        ([*OK, "--weights", "none.safetensors"], "none.safetensors does not hold weights of sitsr"),
        ([*OK, "--weights", "{weights}", "--samples", "-1"], "samples must be 0 or more, got -1"),
        ([*OK, "--weights", "{weights}", "--device", "tpu9"], "device tpu9 cannot be used here"),
        (["train", "none.yaml"], "none.yaml is not a recipe that can be read"),
        (["evaluate", "--weights", "none.st", "--data", "{out}"], "none.st does not hold weights"),
    ],
)
def test_a_mistake_is_answered_with_one_line(
    words: list[str],
    said: str,
    tmp_path: Path,
    weights: Path,
    series: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"out": tmp_path / "out", "weights": weights}
    assert call(monkeypatch, *(word.format(**places) for word in words)) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("sitsr: ") and said in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [weights.name]


def test_a_folder_in_use_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    monkeypatch.setattr(scenes, "open_scene", lambda *_, **__: pytest.fail("read already"))
    words = ["super-resolve", "x", "--date", "2021-07-18", "--out", tmp_path]
    assert call(monkeypatch, *words) == 1
    assert "thesis.tex, which is no former result" in capsys.readouterr().err


def test_stopping_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scenes, "open_scene", stop)
    words = ["super-resolve", "x", "--date", "2021-07-18", "--out", tmp_path / "o"]
    assert call(monkeypatch, *words) == 130
    assert "Traceback" not in capsys.readouterr().err


BOX = "2.9,42.3,3.0,42.4"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bbox", "1,2,3"], 'bbox is "1,2,3"; give west,south,east,north in degrees'),
        (["--bbox", "3,2,1,4"], "give west < east, south < north"),
        (["--bbox", BOX, "--aoi", "a.geojson"], "both --bbox and --aoi are given"),
        (["--aoi", "none.geojson"], "none.geojson cannot be read; give a GeoJSON file"),
        (["--dates", "2021-07-18"], "dates is 2021-07-18; write it as 2021-01-01/2021-12-31"),
        (["--dates", "2021-08-01/2021-07-01"], "give the earlier first"),
        (["--dates", "1999-01-01/1999-12-31"], "there are images from"),
        (["--max-cloud", 101], "max-cloud is 101; give per cent, 0 to 100"),
        (["--cloud-classes", "1,12"], "scene class 12 does not exist"),
        (["--cloud-classes", "cloud"], "cloud-classes is cloud, but should be a whole number"),
        (["--dilate", -1], "dilate is -1; give 0 to 100 pixels"),
        (["--bbox", "10,10,11,11"], "share no ground"),
        (["--every", "ten"], "every is ten; write it as 10d"),
        (["--every", "0d"], "every is 0d; write it as 10d"),
        (["--format", "jpeg"], "format is jpeg; give cog or zarr"),
        (["--workers", 0], "workers must be 1 or more, got 0"),
        (["--block", 0], "block must be 1 or more, got 0"),
        (["--scheduler", "nowhere"], "scheduler is nowhere; give its address"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_in_one_line(
    words: list[object],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = ["super-resolve", DEMO, "--date", "2020-07-18", "--out", tmp_path / "o"]
    assert call(monkeypatch, *start, *words) == 1
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and not any(tmp_path.iterdir())


def test_a_dry_run_prints_what_would_be_read_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["super-resolve", DEMO, "--date", "2020-07-18", "--out", tmp_path / "o"]
    assert call(monkeypatch, *start, "--dates", "2020-05-01/2020-12-31", "--dry-run") == 0
    shown = capsys.readouterr().out
    days = [line.split()[0] for line in shown.splitlines()[1:] if line.startswith("  2")]
    assert len(days) > 1 and all("2020-05-01" <= day <= "2020-12-31" for day in days)
    assert "passed over" in shown and not any(tmp_path.iterdir())
    assert "1 blocks, 0.02 million pixels" in shown and "of memory" in shown


def test_without_a_target_date_one_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "super-resolve", DEMO, "--out", tmp_path / "o") == 1
    assert "no target date; give --date 2021-07-18" in capsys.readouterr().err
    words = ["super-resolve", DEMO, "--out", tmp_path / "o", "--every", "1d"]
    monkeypatch.setattr(wishes, "MOST_TARGETS", 10)
    assert call(monkeypatch, *words) == 1
    assert "target dates; give at most 10 a run" in capsys.readouterr().err


def test_a_polygon_bounds_what_is_made(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sitsr.open_series(DEMO).grid
    part = whole[20:60, 30:90]
    west, south, east, north = transform_bounds(str(part.crs), "EPSG:4326", *part.boundingbox.bbox)
    ring = [[west, south], [east, south], [west, north], [west, south]]
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    out = tmp_path / "o"
    words = ["super-resolve", DEMO, "--date", "2020-07-18", "--out", out, "--samples", 0]
    assert call(monkeypatch, *words, "--aoi", area, "--weights", weights, "--device", "cpu") == 0
    with rasterio.open(out / "sr.tif") as file:
        known = file.read(1) != file.nodata
    rows, cols = known.shape
    assert abs(rows - 4 * 41) <= 8 and abs(cols - 4 * 61) <= 8
    assert 0.42 < known.mean() < 0.55
    assert known[3 * rows // 4, cols // 4] and not known[rows // 4, 3 * cols // 4]
