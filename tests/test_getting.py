"""A data set is fetched from its record, whole or in part, and unpacked where it can be read."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import py7zr
import pytest

from miniatures.worldstrat import PLACES, make_worldstrat
from sitsr.datasets import getting, known
from sitsr.datasets.download import Patience
from sitsr.datasets.getting import Choice, acknowledge, get
from sitsr.datasets.known import DATASETS, open_dataset, recognise
from sitsr.datasets.records import Zenodo
from sitsr.series import InputError
from webserver import Behaviour, serving

ALL = Choice()
QUICK = Patience(tries=4, pause=0.01, stall=0.5)
TABLES = ("metadata.csv", "stratified_train_val_test_split.csv")


def packed(folder: Path, parts: tuple[str, ...], out: Path) -> bytes:
    with tarfile.open(out, "w:gz") as file:
        for part in parts:
            file.add(folder / part, part)
    return out.read_bytes()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """WorldStrat's files as its record holds them, in miniature."""
    folder = tmp_path_factory.mktemp("held")
    make_worldstrat(folder / "w")
    found = {name: (folder / "w" / name).read_bytes() for name in TABLES}
    for archive, part in (("hr_dataset", "hr_dataset"), ("lr_dataset_l2a", "lr_dataset")):
        name = f"{archive}.tar.gz"
        found[name] = packed(folder / "w", (part,), folder / name)
    return found


def publish(host: str, does: Behaviour, number: str, held: dict[str, bytes]) -> None:
    does.files |= {f"/{name}": body for name, body in held.items()}
    does.pages[f"/api/records/{number}"] = {
        "files": [
            {
                **{"key": name, "size": len(body), "links": {"self": f"{host}/{name}"}},
                "checksum": f"md5:{hashlib.md5(body).hexdigest()}",
            }
            for name, body in held.items()
        ]
    }


@pytest.fixture
def server(
    held: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Behaviour]]:
    """A record of WorldStrat in miniature; the sums of the true one are not pinned."""
    told = replace(DATASETS["worldstrat"], record=Zenodo("6810792", {}))
    monkeypatch.setattr(known, "DATASETS", {**DATASETS, "worldstrat": told})
    with serving() as (host, does):
        publish(host, does, "6810792", held)
        yield host, does


def fetched(host: str, out: Path, choice: Choice = ALL, **more: Any) -> set[str]:
    """Tiles that are there and can be read."""
    get("worldstrat", out, choice, host=host, patience=QUICK, **more)
    assert recognise(out) == "worldstrat"
    return {each.load().patch for each in open_dataset(out)}


def archives(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.name.endswith((".gz", ".part")))


def test_all_of_it_arrives_and_is_not_fetched_again(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    host, does = server
    assert fetched(host, tmp_path) == set(PLACES)
    assert archives(tmp_path) == []
    asked = len(does.asked)
    assert fetched(host, tmp_path) == set(PLACES)
    assert len(does.asked) == asked


def test_archives_are_kept_if_asked(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    fetched(server[0], tmp_path, keep=True)
    assert archives(tmp_path) == ["hr_dataset.tar.gz", "lr_dataset_l2a.tar.gz"]


@pytest.mark.parametrize(
    ("choice", "tiles"),
    [
        (Choice(split="test"), {"ASMSpotter-1-1-1", "Landcover-1062091"}),
        (Choice(cover="Forest"), {"ASMSpotter-1-1-1"}),
        (Choice(split="train", sites=1), {"Amnesty POI-8-2-1", "Amnesty POI-8-2-2"}),
    ],
)
def test_a_part_of_it_is_unpacked_while_it_arrives(
    choice: Choice, tiles: set[str], server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    host, does = server
    does.breaks = [10_000, 100, 3_000, 10_000]
    assert fetched(host, tmp_path, choice) == tiles
    assert archives(tmp_path) == []
    assert {path.name for path in (tmp_path / "hr_dataset").iterdir()} == tiles


def test_sites_are_drawn_by_the_seed(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    host, _ = server
    drawn = {
        seed: frozenset(fetched(host, tmp_path / f"{seed}", Choice(sites=1, seed=seed)))
        for seed in range(4)
    }
    assert len(set(drawn.values())) > 1
    assert fetched(host, tmp_path / "again", Choice(sites=1, seed=2)) == drawn[2]


def test_a_corrupt_archive_leaves_nothing_of_it(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    host, does = server
    body = does.files["/hr_dataset.tar.gz"]
    does.files["/hr_dataset.tar.gz"] = body[:-1] + bytes([body[-1] ^ 1])
    for choice in (Choice(), Choice(sites=1)):
        with pytest.raises(InputError, match=r"arrived with MD5|cannot be unpacked"):
            get("worldstrat", tmp_path, choice, host=host, patience=QUICK)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(TABLES)


def test_sites_of_sen2venus_are_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from miniatures.sen2venus import make_sen2venus

    make_sen2venus(tmp_path / "s")
    folders = [each for each in (tmp_path / "s").iterdir() if (each / "index.csv").is_file()]
    held = {}
    for folder in folders:
        with py7zr.SevenZipFile(tmp_path / f"{folder.name}.7z", "w") as file:
            for path in folder.iterdir():
                file.write(path, path.name)
        held[f"{folder.name}.7z"] = (tmp_path / f"{folder.name}.7z").read_bytes()
    with serving() as (host, does):
        publish(host, does, "6514159", held)
        out = tmp_path / "out"
        get("sen2venus", out, Choice(sites=1), host=host, patience=QUICK)
        there = [each.name for each in out.iterdir() if each.is_dir()]
        assert len(there) == 1
        assert {each.site for each in open_dataset(out)}


@pytest.mark.parametrize(
    ("name", "choice", "said"),
    [
        ("worldstrat", Choice(cover="Moon"), "no tile is in split None with class Moon"),
        ("worldstrat", Choice(files=("x.zip",)), r"holds no x.zip; it holds hr_dataset\.tar\.gz"),
        ("probav", Choice(sites=2), "is fetched whole"),
        ("sen2venus", Choice(split="train"), "has no splits"),
        ("alsat2b", Choice(), "no record of Alsat-2B is known"),
        ("nothing", Choice(), "is no data set that is known; choose from worldstrat"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    name: str, choice: Choice, said: str, server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    host, does = server
    publish(host, does, "6514159", {})
    with pytest.raises(InputError, match=said):
        get(name, tmp_path, choice, host=host, patience=QUICK)


def test_no_room_for_what_is_in_an_archive_is_said_before_it_is_fetched(
    server: tuple[str, Behaviour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, does = server
    monkeypatch.setattr(getting, "UNPACKED", 1e15)
    with pytest.raises(InputError, match="make room"):
        get("worldstrat", tmp_path, host=host, patience=QUICK)
    assert len(does.asked) == len(TABLES)


def test_the_licence_lies_beside_the_data(tmp_path: Path) -> None:
    text = acknowledge("worldstrat", tmp_path / "w", date(2026, 1, 2)).read_text()
    assert "CC BY-NC 4.0" in text and "Acknowledged on 2026-01-02" in text and "Cornebise" in text
