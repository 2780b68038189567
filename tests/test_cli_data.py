"""The commands on public data sets say what there is, and ask before they fetch it."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from sitsr import cli
from sitsr.cli import data as data_module
from sitsr.datasets import DATASETS
from test_cli import call, quiet
from test_unpack import make_zip
from unsteady import Unsteady, unsteady

__all__ = ["quiet"]  # a fixture

GROUP = typer.main.get_command(cli.app).commands["data"]  # type: ignore[attr-defined]
COMMANDS = GROUP.commands


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Unsteady]:
    """The record of MuS2, with one small archive."""
    files = {"SCENE/b2/lrs/a.txt": b"1", "masks/m.png": b"2"}
    with unsteady() as told:
        archive = make_zip(tmp_path / "a.zip", files).read_bytes()
        told.put_dataverse("doi:10.7910/DVN/1JMRAT", {"MuS2.zip": archive})
        yield told


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    terminal = SimpleNamespace(isatty=lambda: True, readline=lambda *_: f"{answer}\n")
    monkeypatch.setattr(data_module.sys, "stdin", terminal)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is(name: str) -> None:
    assert COMMANDS[name].help
    for option in COMMANDS[name].params:
        assert getattr(option, "help", None), f"{name}: {option.name} has no help"
    shown = CliRunner().invoke(cli.app, ["data", name, "--help"])
    assert shown.exit_code == 0 and "Usage" in shown.output


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_loads_nothing_heavy(name: str | None) -> None:
    words = ["sitsr", "data", *([name] if name else []), "--help"]
    code = (
        f"import sys; sys.argv = {words!r}\n"
        "from sitsr.cli import main\n"
        "try: main()\n"
        "finally:\n"
        "    heavy = {'torch', 'rasterio', 'requests', 'pandas', 'numpy', 'py7zr'}\n"
        "    print('HEAVY', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Usage" in done.stdout
    assert "HEAVY []" in done.stderr


def test_help_is_there_within_a_second() -> None:
    code = "import sys; sys.argv = ['sitsr', 'data', 'download', '--help']; import sitsr.cli as c"
    used = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", f"{code}; c.main()"], capture_output=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used) < 1  # of a processor: others may be busy here


def test_the_list_names_every_data_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "data", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[:1].strip()] == ["name", *DATASETS]
    (row,) = (line for line in lines if line.startswith("worldstrat"))
    assert "107" in row and "non-commercial" in row


@pytest.mark.parametrize("name", DATASETS)
def test_info_says_all_of_a_record(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "data", "info", name) == 0
    shown, each = capsys.readouterr().out, DATASETS[name]
    for text in (each.title, each.summary, each.cite, each.licence.name, each.home, each.page):
        assert text in shown
    for line in each.layout.splitlines():
        assert line in shown
    for record in each.records:
        assert record.page in shown and all(md5 in shown for md5 in record.md5.values())


def test_info_looks_into_a_folder(
    server: Unsteady,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert call(monkeypatch, "data", "info", "mus2", "--data", out) == 0
    shown = capsys.readouterr().out
    assert "0 files, 0 bytes" in shown and "NOT laid out as MuS2" in shown
    assert "no licence acknowledged here" in shown
    words = ["data", "download", "mus2", "--out", out, "--mirror", server.base]
    assert call(monkeypatch, *words, "--accept-licence") == 0
    (out / "more.zip.part").write_bytes(b"12345")
    capsys.readouterr()
    assert call(monkeypatch, "data", "info", "mus2", "--data", out) == 0
    shown = capsys.readouterr().out
    assert "MuS2.zip: unpacked, all of it" in shown and "more.zip.part: 5 bytes have come" in shown
    assert "Acknowledged on 20" in shown


def test_download_shows_the_licence_and_fetches(
    server: Unsteady,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    words = ["data", "download", "mus2", "--out", out, "--mirror", server.base]
    assert call(monkeypatch, *words, "--accept-licence") == 0
    shown = capsys.readouterr()
    assert "Licence: CC0 1.0" in shown.err and "The record states: CC0 1.0" in shown.err
    assert "To be fetched: MuS2.zip, 2" in shown.err and "2 files unpacked now" in shown.out
    assert "out is not all of MuS2 yet; see docs/datasets/mus2.md" in shown.err
    assert (out / "masks" / "m.png").read_bytes() == b"2"
    assert (out / "LICENCE.txt").is_file() and not (out / "MuS2.zip").exists()
    assert call(monkeypatch, "--quiet", *words, "--accept-licence", "--keep") == 0
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_a_person_at_a_terminal_is_asked(
    answer: str,
    code: int,
    server: Unsteady,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at_a_terminal(monkeypatch, answer)
    out = tmp_path / "out"
    words = ["data", "download", "mus2", "--out", out, "--mirror", server.base]
    assert call(monkeypatch, *words) == code
    assert out.exists() is (code == 0)
    if code:
        assert "is not acknowledged" in capsys.readouterr().err


MISTAKES = [
    (
        ["info", "worldstrad"],
        "worldstrad is no data set that is known here; did you mean worldstrat?",
    ),
    (["info", "mus2", "--data", "{out}"], "is not there; name the folder that holds MuS2"),
    (["download", "mus2", "--out", "{out}", "--mirror", "{base}"], "MuS2 is not acknowledged (CC0"),
    (["download", "alsat2b", "--out", "{out}"], "Alsat-2B can only be fetched with a browser"),
    (
        ["download", "mus2", "--out", "{out}", "--edition", "9"],
        "MuS2 has no edition 9; choose",
    ),
    (
        ["download", "mus2", "--out", "{out}", "--mirror", "{base}", "--sites", "3"],
        "MuS2 is fetched as a whole; leave out --split, --class, --sites",
    ),
    (
        ["download", "mus2", "--out", "{out}", "--mirror", "{base}", "--file", "x.zip"],
        "the record has no file x.zip; it has MuS2.zip",
    ),
    (
        ["download", "breizhsr", "--out", "{out}", "--mirror", "{base}"],
        "answers 404 Not Found; see whether it has moved",
    ),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES, ids=[said[:40] for _, said in MISTAKES])
def test_a_mistake_is_answered_with_one_line(
    words: list[str],
    said: str,
    server: Unsteady,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"out": tmp_path / "out", "base": server.base}
    assert call(monkeypatch, "data", *(word.format(**places) for word in words)) == 1
    shown = capsys.readouterr()
    last = shown.err.splitlines()[-1]
    assert shown.out == "" and last.startswith("sitsr: ") and said in last
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "sites"),
    [
        (None, None),
        ("12", 12),
        ("-1", -1),
        ("ANJI", ("ANJI",)),
        ("ANJI, Amnesty POI-8", ("ANJI", "Amnesty POI-8")),
        ("12,13", ("12", "13")),
    ],
)
def test_sites_are_a_number_or_names(text: str | None, sites: int | tuple[str, ...] | None) -> None:
    assert data_module._sites(text) == sites
