"""`sitsr data check`, `prepare` and `analyse`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miniatures.worldstrat import make_worldstrat
from sitsr.cli import app
from sitsr.datasets import read_store
from sitsr.series import InputError


def said(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["data", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "worldstrat"
    make_worldstrat(made)
    return made


def test_a_clean_data_set_passes_and_a_broken_one_does_not(folder: Path, tmp_path: Path) -> None:
    assert "5 pairs, 0 findings" in said("check", folder)
    make_worldstrat(tmp_path / "w", defects=frozenset({"black_bars", "shared_area"}))
    told = said("check", tmp_path / "w", "--out", tmp_path / "check.json", code=1)
    assert "black bars: UNHCR-HUNs002665" in told
    found = json.loads((tmp_path / "check.json").read_text())["found"]
    assert found["black bars"] == 1 and found["leaking split"] >= 1


def test_a_store_is_made(folder: Path, tmp_path: Path) -> None:
    told = said("prepare", folder, "--out", tmp_path / "store", "--harmonise", "gain")
    assert "5 pairs of 4 sites" in told
    assert len(read_store(tmp_path / "store", "train")) == 2
    attributes = json.loads((tmp_path / "store" / "zarr.json").read_text())["attributes"]
    assert attributes["name"] == "worldstrat" and "CC BY-NC" in attributes["licence"]
    assert "5 pairs, 0 findings" in said("check", tmp_path / "store")


def test_new_splits_are_made(folder: Path, tmp_path: Path) -> None:
    said("prepare", folder, "--out", tmp_path / "s", "--shares", "train=0.5,test=0.5")
    assert {each.split for each in read_store(tmp_path / "s")} == {"train", "test"}


@pytest.mark.slow
def test_a_page_is_made(folder: Path, tmp_path: Path) -> None:
    said("analyse", folder, "--out", tmp_path / "a")
    assert "WorldStrat" in (tmp_path / "a" / "analysis.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prepare", "NOWHERE", "--out", "x"), "is not a folder"),
        (("prepare", "FOLDER", "--out", "x", "--shares", "some"), "write train=0.8"),
        (("prepare", "FOLDER", "--out", "x", "--fit", "all"), "choose from scene, training"),
        (("check", "EMPTY"), "there is no pair.json"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: tuple[str, ...], message: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"FOLDER": folder, "EMPTY": tmp_path / "empty", "x": tmp_path / "x"}
    with pytest.raises(InputError, match=message):
        said(*(places.get(word, word) for word in words))
    assert not (tmp_path / "x").exists()
