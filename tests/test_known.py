"""What is said of the public data sets is whole, and what is fetched of one is what was chosen."""

from __future__ import annotations

import csv
import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from miniatures.worldstrat import make_worldstrat
from sitsr.datasets import obtaining, read_worldstrat
from sitsr.datasets.choosing import Choice, chosen_tiles, first
from sitsr.datasets.download import Patience, connection
from sitsr.datasets.known import DATASETS, find_dataset
from sitsr.datasets.obtaining import acknowledge, obtain, planned, statement, unpacked_here
from sitsr.datasets.pairs import LANDSAT, PUBLISHED, REAL
from sitsr.datasets.worldstrat import SPLIT_FILE
from sitsr.datasets.worldstrat.splits import read_splits, site_of
from sitsr.series import InputError
from test_unpack import make_7z, make_zip
from unsteady import SILENCE, Unsteady, unsteady

ROOT = Path(__file__).parents[1]
PATIENT = Patience(tries=3, pause=0.001, longest=0.002, silence=SILENCE)


@pytest.fixture
def server() -> Iterator[Unsteady]:
    with unsteady() as told:
        yield told


# ------------------------------------------------------------- the catalogue


@pytest.mark.parametrize("name", DATASETS)
def test_a_record_says_everything_and_leads_somewhere(name: str) -> None:
    each = DATASETS[name]
    assert each.name == name and each.kind in (REAL, LANDSAT, PUBLISHED)
    for text in (each.title, each.summary, each.cite, each.licence.name, each.layout, each.scale):
        assert text.strip() == text and text
    assert "\n" not in each.summary and len(each.summary) <= 90
    assert (ROOT / each.page).is_file() and each.home.startswith("https://")
    assert re.search(r"arXiv:\d{4}\.\d{5}|doi 10\.|Copernicus", each.cite)
    assert len({record.edition for record in each.records}) == len(each.records) > 0
    for record in each.records:
        assert record.page.startswith("https://") and record.identifier
        assert all(re.fullmatch(r"[0-9a-f]{32}", md5) for md5 in record.md5.values())
        assert len(set(record.md5.values())) == len(record.md5)
        assert set(record.default) <= set(record.md5) or not record.default


def test_the_data_sets_are_those_of_the_pages_and_their_order() -> None:
    assert list(DATASETS) == [
        *("worldstrat", "breizhsr", "sen2venus", "probav", "mus2", "alsat2b"),
        *("vorarlberg", "flanders"),
    ]


def test_weights_of_non_commercial_images_are_flagged() -> None:
    flags = {name: each.licence.weights for name, each in DATASETS.items()}
    assert flags == {
        "worldstrat": "non-commercial",
        "breizhsr": "not stated",
        "sen2venus": "non-commercial",
        "probav": "not stated",
        "mus2": "any use",
        "alsat2b": "not stated",
        "vorarlberg": "any use",
        "flanders": "any use",
    }
    for name, each in DATASETS.items():
        assert ("NC" in each.licence.name) == (flags[name] == "non-commercial")


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_holds_nothing_is_not_the_data_set(name: str, tmp_path: Path) -> None:
    each = DATASETS[name]
    assert not each.is_there(tmp_path)
    with pytest.raises(InputError):
        each.read(tmp_path, None)


def test_what_is_not_known_is_said_with_the_nearest_name() -> None:
    assert find_dataset("mus2").title == "MuS2"
    with pytest.raises(InputError, match=r"Worldstrad is no data set .*; did you mean worldstrat"):
        find_dataset("Worldstrad")
    with pytest.raises(InputError, match=r"xyz is no data set .*; choose from worldstrat, breiz"):
        find_dataset("xyz")
    with pytest.raises(InputError, match="Sen2Venµs has no edition 3; choose from 1, 2"):
        find_dataset("sen2venus").record("3")
    assert find_dataset("sen2venus").record("2").identifier == "14603764"


# ------------------------------------------------------------- WorldStrat


def packed(folder: Path, part: str) -> bytes:
    """What lies in a folder, as the published archive of that name holds it."""
    with tarfile.open(folder / "packed.tar.gz", "w:gz") as tar:
        tar.add(folder / part, part)
    return (folder / "packed.tar.gz").read_bytes()


@pytest.fixture(scope="module")
def archives(miniature: Path) -> dict[str, bytes]:
    return {name: packed(miniature, name) for name in ("hr_dataset", "lr_dataset")}


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worldstrat")
    make_worldstrat(folder)
    return folder


@pytest.fixture
def worldstrat(
    server: Unsteady,
    miniature: Path,
    archives: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, bytes]:
    """The record of WorldStrat, with the miniature for its files."""
    files = {
        "hr_dataset_raw.tar.gz": b"never asked for",
        "hr_dataset.tar.gz": archives["hr_dataset"],
        "lr_dataset_l2a.tar.gz": archives["lr_dataset"],
        "metadata.csv": (miniature / "metadata.csv").read_bytes(),
        SPLIT_FILE: (miniature / SPLIT_FILE).read_bytes(),
    }
    server.put_zenodo("6810792", files)
    record = find_dataset("worldstrat").record()
    monkeypatch.setattr(obtaining.Known, "record", lambda self, edition: unpinned(record))
    return files


def unpinned(record: Any) -> Any:
    """The record without checksums that bind, which the miniature cannot have."""
    return obtaining.Record(
        record.edition, record.host, record.identifier, record.page, {}, record.default
    )


def get(server: Unsteady, folder: Path, choice: Choice | None = None, **options: Any) -> int:
    found = planned(find_dataset("worldstrat"), choice, base=server.base, patience=PATIENT)
    return obtain(found, folder, accept_licence=True, patience=PATIENT, **options)


def tree(folder: Path) -> set[str]:
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {path for path in paths if path not in ("LICENCE.txt", "downloaded.json")}


def published(miniature: Path) -> set[str]:
    return tree(miniature) - {"packed.tar.gz"}


def tiles_of(folder: Path) -> set[str]:
    return {path.name for path in (folder / "lr_dataset").iterdir()}


def test_the_whole_comes_as_it_was_published(
    server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    count = get(server, tmp_path)
    assert tree(tmp_path) == published(miniature)
    assert count == sum("/" in name for name in tree(tmp_path))
    assert find_dataset("worldstrat").is_there(tmp_path)
    pair = read_worldstrat(tmp_path)[0].load()
    assert pair.reference.shape[0] == 4
    assert "raw" not in str(server.asked)


def test_what_was_unpacked_is_not_fetched_again(
    server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    get(server, tmp_path)
    server.asked.clear()
    assert get(server, tmp_path) == 0
    assert [path for path, _ in server.asked] == ["/api/records/6810792"]
    assert get(server, tmp_path, Choice(split="test")) == 0  # it is all there
    shutil.rmtree(tmp_path / "hr_dataset")
    get(server, tmp_path)
    assert tree(tmp_path) == published(miniature)


def test_an_interrupted_archive_is_gone_on_with(
    server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if what == "lr_dataset_l2a.tar.gz":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, told=stop)
    assert (tmp_path / "lr_dataset_l2a.tar.gz.part").is_file()
    assert list(unpacked_here(tmp_path)) == ["hr_dataset.tar.gz"]
    server.asked.clear()
    get(server, tmp_path)
    assert tree(tmp_path) == published(miniature)
    assert not any("hr_dataset.tar.gz" in path for path, _ in server.asked)
    (asked,) = (asked for path, asked in server.asked if "lr_dataset" in path)
    assert asked is not None and asked.startswith("bytes=")


def test_archives_are_kept_if_asked_for(
    server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    get(server, tmp_path, keep=True)
    kept = {"hr_dataset.tar.gz", "lr_dataset_l2a.tar.gz"}
    assert tree(tmp_path) == published(miniature) | kept
    get(server, tmp_path)
    assert kept <= tree(tmp_path)


def test_of_a_split_only_its_tiles_are_unpacked_and_no_archive_is_written(
    server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    rows = read_splits(miniature / SPLIT_FILE)
    wanted = {row.tile for row in rows if row.split == "test"}
    seen: set[str] = set()

    def look(what: str, done: int, total: int | None) -> None:
        seen.update(path.name for path in tmp_path.iterdir())

    get(server, tmp_path, Choice(split="test"), told=look)
    assert tiles_of(tmp_path) == wanted and 0 < len(wanted) < len(tiles_of(miniature))
    parts = {name for name in published(miniature) if set(name.split("/")) & wanted}
    assert tree(tmp_path) == parts | {"metadata.csv", SPLIT_FILE}
    assert not {name for name in seen if name.startswith("hr_dataset.tar")}


def test_a_further_part_adds_to_what_is_there(
    server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    get(server, tmp_path, Choice(split="test"))
    get(server, tmp_path, Choice(split="val"))
    rows = read_splits(miniature / SPLIT_FILE)
    assert tiles_of(tmp_path) == {row.tile for row in rows if row.split != "train"}
    server.asked.clear()
    assert get(server, tmp_path, Choice(split="test")) == 0
    assert not any("tar.gz" in path for path, _ in server.asked)
    told = (tmp_path / "LICENCE.txt").read_text()
    assert "for: split test\n" in told and "for: split val\n" in told


def test_a_class_or_sites_are_chosen_by_the_tables(miniature: Path) -> None:
    with (miniature / SPLIT_FILE).open() as file:
        classes = {line["tile"]: line["IPCC Class"] for line in csv.DictReader(file)}
    name = sorted(filter(None, classes.values()))[0]
    assert chosen_tiles(miniature, Choice(ground=name.lower())) == {
        tile for tile, each in classes.items() if each == name
    }
    everything = chosen_tiles(miniature, Choice())
    sites = sorted({site_of(tile) for tile in everything})
    two = chosen_tiles(miniature, Choice(sites=2))
    assert {site_of(tile) for tile in two} == set(first(sites, 2))
    assert two == {tile for tile in everything if site_of(tile) in first(sites, 2)}
    assert chosen_tiles(miniature, Choice(sites=tuple(sites))) == everything
    assert chosen_tiles(miniature, Choice(sites=(sites[0],))) < everything


def test_sites_counted_off_are_always_the_same_and_nested() -> None:
    sites = [f"site {n}" for n in range(50)]
    assert first(sites, 5) == first(reversed(sites), 5) == first(sites[:], 20)[:5]
    assert first(sites, 5) != first(sites, 5, seed=1) and len(set(first(sites, 99))) == 50
    fewer = [site for site in sites if site != first(sites, 1)[0]]
    assert first(fewer, 4) == first(sites, 5)[1:]


WRONG: list[tuple[Choice, str]] = [
    (Choice(split="all"), "all is not a split of WorldStrat; choose from train, validation, test"),
    (Choice(ground="Sea"), "Sea is no class of WorldStrat's tables; choose from "),
    (Choice(sites=0), "sites is 0; wanted 1 or more, or names"),
    (Choice(sites=("Atlantis",)), "there is no site Atlantis to choose from; there are "),
    (Choice(files=("none.zip",)), r"the record has no file none\.zip; it has hr_dataset_raw"),
]


@pytest.mark.parametrize(("choice", "said"), WRONG, ids=[str(choice) for choice, _ in WRONG])
def test_a_choice_of_nothing_is_refused_in_one_line(
    choice: Choice, said: str, server: Unsteady, worldstrat: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as error:
        get(server, tmp_path, choice)
    assert "\n" not in str(error.value)
    assert not any(path.is_dir() for path in tmp_path.iterdir())


def test_named_files_replace_the_usual_ones(
    server: Unsteady, worldstrat: dict[str, bytes], tmp_path: Path
) -> None:
    get(server, tmp_path, Choice(files=("metadata.csv",)))
    assert tree(tmp_path) == {"metadata.csv"}
    get(server, tmp_path, Choice(split="test", files=("hr_dataset.tar.gz",)))
    assert SPLIT_FILE in tree(tmp_path) and not (tmp_path / "lr_dataset").exists()


MISHAPS = ["break 9000", "stall 9000", "503"]


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_part_is_unpacked_from_a_connection_that_breaks_off(
    mishap: str,
    server: Unsteady,
    worldstrat: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "PIECE", 1000)
    path = "/api/records/6810792/files/lr_dataset_l2a.tar.gz/content"
    server.files[path].mishaps = [mishap, "break 9000"]
    get(server, tmp_path, Choice(split="test"))
    assert read_worldstrat(tmp_path, "test", grouped=False)[0].load().series.images.any()
    assert len(server.ranges(path)) == 3


def test_a_part_of_a_file_that_changes_on_the_way_is_begun_anew(
    server: Unsteady,
    worldstrat: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "PIECE", 1000)
    served = server.files["/api/records/6810792/files/lr_dataset_l2a.tar.gz/content"]
    served.mishaps = ["break 5000", "swap", "swap"]
    get(server, tmp_path, Choice(split="test"))
    assert (tmp_path / "lr_dataset").exists()
    served.mishaps = ["break 5000", "swap", "swap 5000", "swap", "swap 5000", "swap"]
    with pytest.raises(InputError, match="changed 3 times while it was fetched"):
        get(server, tmp_path / "again", Choice(split="test"))
    assert not (tmp_path / "again" / "lr_dataset").exists()


def test_of_a_part_with_another_checksum_nothing_is_kept(
    server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    files = {**worldstrat, "lr_dataset_l2a.tar.gz": worldstrat["lr_dataset_l2a.tar.gz"]}
    change = {"lr_dataset_l2a.tar.gz": {"checksum": f"md5:{'0' * 32}"}}
    server.put_zenodo("6810792", files, **change)
    with pytest.raises(InputError, match=r"came with the checksum .*; nothing of it is kept"):
        get(server, tmp_path, Choice(split="test"))
    assert (tmp_path / "hr_dataset").exists() and not (tmp_path / "lr_dataset").exists()
    assert not list(tmp_path.glob(".*"))


def test_checksums_that_bind_are_held_against_the_record(server: Unsteady, miniature: Path) -> None:
    server.put_zenodo("6810792", {"metadata.csv": (miniature / "metadata.csv").read_bytes()})
    with pytest.raises(InputError, match=r"metadata\.csv has the checksum .*dfeb3348e79b719bf"):
        planned(find_dataset("worldstrat"), base=server.base, patience=PATIENT)


def test_room_is_looked_for_before_an_archive_is_fetched(
    server: Unsteady,
    worldstrat: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = [len(worldstrat[name]) for name in ("hr_dataset.tar.gz", "lr_dataset_l2a.tar.gz")]

    def free(count: float) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))

    free(2 * sum(sizes) + max(sizes) - 1)
    with pytest.raises(InputError, match=r"are needed \(an estimate\)"):
        get(server, tmp_path / "all")
    assert not any("tar.gz" in path for path, _ in server.asked)
    free(2 * sum(sizes) + max(sizes))
    with pytest.raises(InputError, match=r"are needed \(an estimate\)"):
        get(server, tmp_path / "all", keep=True)
    get(server, tmp_path / "all")
    free(1.5 * sum(sizes))  # no room for archives, nor for all tiles
    get(server, tmp_path / "part", Choice(split="test"))


# ------------------------------------------------------------- the others


def test_sites_of_sen2venus_are_archives(
    server: Unsteady, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ANJI", "ARM", "SO1")
    files = {f"{name}.7z": {f"{name}/index.csv": name.encode()} for name in names}
    files["ARM.7z"] = {"index.csv": b"ARM"}  # with its folder or without
    content = {name: make_7z(tmp_path / name, held).read_bytes() for name, held in files.items()}
    server.put_zenodo("6514159", {**content, "LICENCE": b"CC BY-NC 4.0"})
    record = find_dataset("sen2venus").record()
    monkeypatch.setattr(obtaining.Known, "record", lambda self, edition: unpinned(record))
    two = planned(find_dataset("sen2venus"), Choice(sites=2), base=server.base, patience=PATIENT)
    assert [each.name for each in two.files] == [
        "LICENCE",
        *(name for name in content if name[:-3] in first(names, 2)),
    ]
    assert two.size == sum(each.size or 0 for each in two.files)
    one = planned(
        find_dataset("sen2venus"), Choice(sites=("ARM",)), base=server.base, patience=PATIENT
    )
    obtain(one, tmp_path / "out", accept_licence=True, patience=PATIENT)
    assert tree(tmp_path / "out") == {"LICENCE", "ARM/index.csv"}
    server.asked.clear()
    assert obtain(one, tmp_path / "out", accept_licence=True, patience=PATIENT) == 0
    assert not server.asked
    for choice, said in (
        (Choice(sites=("PARIS",)), "there is no site PARIS to choose from; there are ANJI, ARM, S"),
        (Choice(split="test"), "Sen2Venµs names no splits or classes; choose by --sites"),
    ):
        with pytest.raises(InputError, match=said):
            planned(find_dataset("sen2venus"), choice, base=server.base, patience=PATIENT)


def test_mus2_comes_from_dataverse_as_a_whole(server: Unsteady, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"SCENE/b2/lrs/a.txt": b"1"}).read_bytes()
    masks = make_zip(tmp_path / "b.zip", {"masks/m.png": b"2"}).read_bytes()
    server.put_dataverse("doi:10.7910/DVN/1JMRAT", {"MuS2.zip": archive, "masks.zip": masks})
    whole = planned(find_dataset("mus2"), base=server.base, patience=PATIENT)
    assert whole.listing.licence == "CC0 1.0"
    assert obtain(whole, tmp_path / "out", accept_licence=True, patience=PATIENT) == 2
    assert tree(tmp_path / "out") == {"SCENE/b2/lrs/a.txt", "masks/m.png"}
    with pytest.raises(InputError, match="MuS2 is fetched as a whole; leave out --split"):
        planned(find_dataset("mus2"), Choice(sites=3), base=server.base, patience=PATIENT)


def test_probav_comes_from_its_own_page(server: Unsteady, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"train/RED/imgset0000/HR.png": b"1"}).read_bytes()
    server.put("/media/competitions/proba-v-super-resolution/probav_data.zip", archive)
    whole = planned(find_dataset("probav"), base=server.base, patience=PATIENT)
    assert whole.size is None
    obtain(whole, tmp_path / "out", accept_licence=True, patience=PATIENT)
    assert find_dataset("probav").is_there(tmp_path / "out")
    server.asked.clear()
    assert obtain(whole, tmp_path / "out", accept_licence=True, patience=PATIENT) == 0
    assert not server.asked


def test_what_only_a_browser_may_fetch_says_so() -> None:
    with pytest.raises(InputError, match=r"only be fetched with a browser: get it from https://g"):
        planned(find_dataset("alsat2b"))


# ------------------------------------------------------------- the licence


def test_without_acknowledgement_nothing_is_fetched(
    server: Unsteady, worldstrat: dict[str, bytes], tmp_path: Path
) -> None:
    found = planned(find_dataset("worldstrat"), base=server.base, patience=PATIENT)
    with pytest.raises(InputError, match=r"licence of WorldStrat is not acknowledged \(SPOT"):
        obtain(found, tmp_path / "out", accept_licence=False)
    assert not (tmp_path / "out").exists()


def test_the_licence_lies_beside_the_data_with_the_day(
    server: Unsteady, worldstrat: dict[str, bytes], tmp_path: Path
) -> None:
    found = planned(find_dataset("worldstrat"), Choice(sites=3), base=server.base, patience=PATIENT)
    acknowledge(found, tmp_path, date(2026, 3, 1))
    acknowledge(found, tmp_path, date(2026, 3, 1))
    acknowledge(found, tmp_path, date(2026, 3, 2))
    text = (tmp_path / "LICENCE.txt").read_text(encoding="utf-8")
    assert text.startswith(statement(find_dataset("worldstrat"), "cc-by-4.0"))
    assert text.splitlines()[-2:] == [
        "Acknowledged on 2026-03-01 for: sites 3",
        "Acknowledged on 2026-03-02 for: sites 3",
    ]
    assert "CC BY-NC 4.0" in text and "not for commercial use" in text
    assert "The record states: cc-by-4.0" in text and "To cite: J. Cornebise" in text


def test_a_file_in_the_place_of_the_folder_is_refused(
    server: Unsteady, worldstrat: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="out is a file; name a folder"):
        get(server, tmp_path / "out")


@pytest.mark.parametrize("ledger", ["{", "[]", '{"hr_dataset.tar.gz": 3}', '{"x": {}}'])
def test_a_broken_ledger_costs_no_more_than_another_download(
    ledger: str, server: Unsteady, worldstrat: dict[str, bytes], miniature: Path, tmp_path: Path
) -> None:
    (tmp_path / "downloaded.json").write_text(ledger)
    get(server, tmp_path)
    assert tree(tmp_path) == published(miniature)
    assert json.loads((tmp_path / "downloaded.json").read_text())["hr_dataset.tar.gz"]["files"] > 0
