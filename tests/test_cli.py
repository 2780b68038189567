"""Commands say what they do, answer a mistake with one line, and load no more than they need."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import sitsr
from conftest import make_model, make_series
from sitsr import cli
from sitsr.model import save_model
from sitsr.series import InputError

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
    """Any source opens as a small series."""
    monkeypatch.setattr(sitsr, "open_series", lambda source, **_: make_series())


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
        "    heavy = {'torch', 'rasterio', 'matplotlib', 'xarray', 'lightning'}\n"
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
    assert "acquired on this day" in shown.out and f"{out / 'sr.tif'}" in shown.out
    again = call(
        monkeypatch, "--quiet", *words, "--weights", weights, "--device", "cpu", "--steps", 2
    )
    assert again == 0 and capsys.readouterr().out == ""


def test_options_reach_what_they_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def opened(source: Path, **options: Any) -> str:
        told.update(options, source=source)
        return "series"

    def resolved(series: str, target: date, **options: Any) -> None:
        told.update(options, target=target)
        raise InputError("far enough")

    monkeypatch.setattr(sitsr, "open_series", opened)
    monkeypatch.setattr(sitsr, "super_resolve", resolved)
    words = ["super-resolve", "in", "--date", "2020-02-29", "--out", tmp_path / "o"]
    more = ["--bands", "B02,B08", "--offset", "-1000", "--skip-unreadable", "--seed", 5]
    more += ["--assume-crs", "EPSG:32631"]
    rest = [
        "--tile",
        64,
        "--psf",
        0.4,
        "--steps",
        3,
        "--samples",
        7,
        "--weights",
        "w",
        "--device",
        "cpu",
    ]
    assert call(monkeypatch, *words, *more, *rest) == 1
    told.pop("progress")
    assert told == {
        "source": Path("in"),
        "bands": ["B02", "B08"],
        "offset": -1000,
        "skip_unreadable": True,
        "assume_crs": "EPSG:32631",
        "target": date(2020, 2, 29),
        "seed": 5,
        "tile": 64,
        "psf": 0.4,
        "steps": 3,
        "samples": 7,
        "weights": Path("w"),
        "device": "cpu",
    }


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
    monkeypatch.setattr(sitsr, "open_series", lambda *_, **__: pytest.fail("read already"))
    words = ["super-resolve", "x", "--date", "2021-07-18", "--out", tmp_path]
    assert call(monkeypatch, *words) == 1
    assert "thesis.tex, which is no former result" in capsys.readouterr().err


def test_stopping_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sitsr, "open_series", stop)
    words = ["super-resolve", "x", "--date", "2021-07-18", "--out", tmp_path / "o"]
    assert call(monkeypatch, *words) == 130
    assert "Traceback" not in capsys.readouterr().err
