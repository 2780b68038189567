"""What is fetched arrives whole or not at all, whatever the server does on the way."""

from __future__ import annotations

import errno
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from sitsr.datasets.download import (
    Patience,
    Stream,
    Version,
    check_room,
    connection,
    fetch,
    fetch_text,
    in_words,
    pieces,
)
from sitsr.datasets.download import files as files_module
from sitsr.datasets.known import DATASETS, Record
from sitsr.datasets.records import BASES, list_files
from sitsr.series import InputError
from unsteady import SILENCE, Unsteady, md5, unsteady

CONTENT = bytes(range(256)) * 40 + b"the end"
SIZE, SUM = len(CONTENT), md5(CONTENT)
SWAPPED = bytes(reversed(CONTENT))
PATIENT = Patience(tries=3, pause=0.001, longest=0.002, silence=SILENCE)


@pytest.fixture
def server() -> Iterator[Unsteady]:
    with unsteady() as told:
        yield told


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PIECE", 1000)


def into_file(url: str, folder: Path, sum_: str | None, size: int | None) -> bytes:
    fetch(url, folder / "file.bin", md5=sum_, size=size, patience=PATIENT)
    assert [path.name for path in folder.iterdir()] == ["file.bin"]
    return (folder / "file.bin").read_bytes()


def into_reader(url: str, folder: Path, sum_: str | None, size: int | None) -> bytes:
    with Stream(url, md5=sum_, size=size, patience=PATIENT) as stream:
        read = io.BufferedReader(stream, 300).read()
        stream.finish()
    return read


Sink = Callable[[str, Path, str | None, int | None], bytes]
sinks = pytest.mark.parametrize("sink", [into_file, into_reader])

MENDED = {
    "nothing": ([], [None]),
    "breaks off": (["break 5000"], [None, "bytes=5000-"]),
    "breaks off again and again": (
        ["break 1000", "break 1000", "break 2000", "break 500"],
        [None, *(f"bytes={n}-" for n in (1000, 2000, 4000, 4000))],
    ),
    "breaks off before a byte": (["break 0"], [None, None]),
    "stalls": (["stall 3000"], [None, "bytes=3000-"]),
    "is busy": (["503", "429"], [None, None, None]),
    "is busy on the way": (["break 4000", "503"], [None, "bytes=4000-", "bytes=4000-"]),
    "knows of no ranges": (["break 4000", "whole"], [None, "bytes=4000-"]),
    "breaks off without ranges": (
        ["break 4000", "whole", "break 2000"],
        [None, "bytes=4000-"],
    ),
    "answers another range": (["break 4000", "elsewhere"], [None, "bytes=4000-", None]),
    "answers a range of no place": (["break 4000", "nowhere"], [None, "bytes=4000-", None]),
    "promises more than comes": (["long 9"], [None, None]),
    "promises less than there is": (["short 9"], [None, None]),
    "does not say how much": (["unmeasured"], [None]),
}


@sinks
@pytest.mark.parametrize("name", MENDED)
def test_what_goes_wrong_on_the_way_is_mended(
    name: str, sink: Sink, server: Unsteady, tmp_path: Path
) -> None:
    mishaps, ranges = MENDED[name]
    url = server.put("/file", CONTENT, *mishaps)
    assert sink(url, tmp_path, SUM, SIZE) == CONTENT
    assert server.ranges("/file") == ranges


@sinks
def test_a_connection_without_ranges_that_breaks_off_is_read_from_its_beginning(
    sink: Sink, server: Unsteady, tmp_path: Path
) -> None:
    url = server.put("/file", CONTENT, "break 4000", "elsewhere", "break 6000")
    assert sink(url, tmp_path, SUM, SIZE) == CONTENT
    assert server.ranges("/file") == [None, "bytes=4000-", None, None]


@sinks
def test_without_a_record_length_and_end_are_the_server_s(
    sink: Sink, server: Unsteady, tmp_path: Path
) -> None:
    url = server.put("/file", CONTENT, "break 4000", "unmarked")
    assert sink(url, tmp_path, None, None) == CONTENT


REFUSED = {
    "corrupt": (["corrupt"], rf"came with the checksum \w{{32}}, {SUM} was expected"),
    "corrupt on the way": (["break 4000", "corrupt"], "came with the checksum"),
    "gone": (["404"], r"answers 404 Not Found; see whether it has moved"),
    "compressed": (["gzip"], "is sent compressed although that was not asked for"),
    "always busy": (["503"] * 3, r"answers 503 Service Unavailable, 3 times in a row"),
    "always silent": (["stall 0"] * 3, "does not answer, 3 times in a row"),
    "always breaks off": (["break 0"] * 3, "breaks off, 3 times in a row"),
    "another length": (
        ["long 9"] * 3,
        f"has {SIZE + 9} bytes there and {SIZE} in its record, 3 times in a row",
    ),
}


@sinks
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_mended_is_said_in_one_line(
    name: str, sink: Sink, server: Unsteady, tmp_path: Path
) -> None:
    mishaps, said = REFUSED[name]
    url = server.put("/file", CONTENT, *mishaps)
    with pytest.raises(InputError, match=said) as error:
        sink(url, tmp_path, SUM, SIZE)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "file.bin").exists()


def test_of_corrupt_bytes_nothing_is_kept(server: Unsteady, tmp_path: Path) -> None:
    url = server.put("/file", CONTENT, "corrupt")
    with pytest.raises(InputError, match="what came is thrown away: get it again"):
        fetch(url, tmp_path / "file.bin", md5=SUM, size=SIZE, patience=PATIENT)
    assert not list(tmp_path.iterdir())
    fetch(url, tmp_path / "file.bin", md5=SUM, size=SIZE, patience=PATIENT)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with unsteady() as told:
        base = told.base
    with pytest.raises(InputError, match=r"cannot be reached, 3 times in a row") as error:
        fetch(f"{base}/file", tmp_path / "file.bin", patience=PATIENT)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["nowhere", "ftp://127.0.0.1/file", "http://"])
def test_what_is_no_address_is_said_in_one_line(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be fetched"):
        fetch(url, tmp_path / "file.bin", patience=PATIENT)


def stop_after(count: int) -> Callable[[int, int | None], None]:
    def told(done: int, total: int | None) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return told


def interrupt(url: str, path: Path, at: int = 3000) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(url, path, md5=SUM, size=SIZE, patience=PATIENT, progress=stop_after(at))


def test_an_interrupted_file_is_gone_on_with(server: Unsteady, tmp_path: Path) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"
    interrupt(url, path)
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:3000] and not path.exists()
    fetch(url, path, md5=SUM, size=SIZE, patience=PATIENT)
    assert path.read_bytes() == CONTENT and [each.name for each in tmp_path.iterdir()] == [
        path.name
    ]
    assert server.ranges("/file") == [None, "bytes=3000-"]


def test_a_part_that_is_complete_is_not_asked_for_again(server: Unsteady, tmp_path: Path) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"
    interrupt(url, path, at=SIZE)
    fetch(url, path, md5=SUM, size=SIZE, patience=PATIENT)
    assert path.read_bytes() == CONTENT and server.ranges("/file") == [None]


@pytest.mark.parametrize("spoilt", ["note", "length", "address", "nothing of it"])
def test_a_part_of_which_nothing_is_known_is_begun_anew(
    spoilt: str, server: Unsteady, tmp_path: Path
) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"
    interrupt(url, path)
    part, note = tmp_path / "file.bin.part", tmp_path / "file.bin.part.json"
    if spoilt == "note":
        note.write_text("{")
    elif spoilt == "length":
        part.write_bytes(CONTENT + b"more")
    elif spoilt == "address":
        note.write_text(note.read_text().replace("/file", "/other"))
    else:
        part.unlink()
    fetch(url, path, md5=SUM, size=SIZE, patience=PATIENT)
    assert path.read_bytes() == CONTENT and server.ranges("/file") == [None, None]


def test_a_file_that_changed_between_two_calls_is_begun_anew(
    server: Unsteady, tmp_path: Path
) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"
    interrupt(url, path)
    server.put("/file", SWAPPED)
    fetch(url, path, md5=md5(SWAPPED), size=SIZE, patience=PATIENT)
    assert path.read_bytes() == SWAPPED
    assert server.ranges("/file") == [None, "bytes=3000-", None]


def test_a_file_that_changes_on_the_way_is_begun_anew(server: Unsteady, tmp_path: Path) -> None:
    url = server.put("/file", CONTENT, "break 4000", "swap")
    fetch(url, tmp_path / "file.bin", patience=PATIENT)
    assert (tmp_path / "file.bin").read_bytes() == SWAPPED
    assert server.ranges("/file") == [None, "bytes=4000-", None]


def test_a_file_that_became_shorter_is_begun_anew(server: Unsteady, tmp_path: Path) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"
    interrupt(url, path)
    server.put("/file", CONTENT[:2000])
    fetch(url, path, patience=PATIENT)
    assert path.read_bytes() == CONTENT[:2000]


def test_a_file_that_keeps_changing_is_given_up(server: Unsteady, tmp_path: Path) -> None:
    url = server.put("/file", CONTENT, *["break 4000", "swap"] * 3)
    with pytest.raises(InputError, match="changed 3 times while it was fetched"):
        fetch(url, tmp_path / "file.bin", patience=PATIENT)
    assert not list(tmp_path.iterdir())


def test_a_server_that_never_ends_is_stopped_at_the_length_of_the_record(
    server: Unsteady, tmp_path: Path
) -> None:
    url = server.put("/file", CONTENT, "unmeasured")
    with pytest.raises(InputError, match="sends more than its 5000 bytes"):
        fetch(url, tmp_path / "file.bin", size=5000, patience=PATIENT)
    part = tmp_path / "file.bin.part"
    assert not part.exists() or part.stat().st_size <= 5000


@pytest.mark.parametrize(
    ("there", "sum_", "size", "asked"),
    [
        (CONTENT, SUM, SIZE, 0),
        (CONTENT, SUM, None, 0),
        (CONTENT, None, SIZE, 0),
        (CONTENT, None, None, 0),
        (SWAPPED, SUM, SIZE, 1),
        (CONTENT[:99], None, SIZE, 1),
    ],
)
def test_what_is_there_already_is_not_fetched_again(
    there: bytes, sum_: str | None, size: int | None, asked: int, server: Unsteady, tmp_path: Path
) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"
    path.write_bytes(there)
    told: list[tuple[int, int | None]] = []
    fetch(url, path, md5=sum_, size=size, patience=PATIENT, progress=lambda *at: told.append(at))
    assert path.read_bytes() == CONTENT and len(server.asked) == asked
    assert told[-1] == (SIZE, SIZE)


def test_progress_counts_what_was_there_before(server: Unsteady, tmp_path: Path) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"
    interrupt(url, path)
    told: list[tuple[int, int | None]] = []
    fetch(url, path, md5=SUM, size=SIZE, patience=PATIENT, progress=lambda *at: told.append(at))
    assert told[0] == (4000, SIZE) and told[-1] == (SIZE, SIZE)


def test_pauses_grow_and_heed_the_server(
    server: Unsteady, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", waited.append)
    url = server.put("/file", CONTENT, *["503"] * 5)
    patience = Patience(tries=6, pause=1, longest=6, silence=SILENCE)
    fetch(url, tmp_path / "file.bin", patience=patience)
    assert waited == [1, 2, 4, 6, 6]
    broken = connection._Broken("answers 429", wait=5)
    connection._pause(url, broken, 1, patience)
    assert waited[-1] == 5


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (Version("a", "1", 5), Version("a", "2", 5), False),
        (Version("a", "1", 5), Version("b", "1", 5), True),
        (Version("a", "1", 5), Version("a", "1", 6), True),
        (Version(None, "1", 5), Version("b", "1", 5), False),
        (Version(None, "1", 5), Version(None, "2", 5), True),
        (Version(), Version("b", "1", 5), False),
    ],
)
def test_versions_are_told_apart_by_tag_else_date_and_by_length(
    one: Version, other: Version, differ: bool
) -> None:
    assert one.differs(other) is other.differs(one) is differ


# ------------------------------------------------------------- room


def free_bytes(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=count))


def test_room_is_looked_for_before_anything_is_fetched(
    server: Unsteady, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.put("/file", CONTENT)
    free_bytes(monkeypatch, SIZE - 1)
    with pytest.raises(InputError, match=r"has 10\.2 kB free, 10\.2 kB are needed"):
        fetch(url, tmp_path / "new" / "file.bin", md5=SUM, size=SIZE, patience=PATIENT)
    assert not server.asked
    with pytest.raises(InputError, match="are needed"):  # the length is the server's
        fetch(url, tmp_path / "new" / "file.bin", patience=PATIENT)
    assert not (tmp_path / "new" / "file.bin").exists()
    free_bytes(monkeypatch, SIZE)
    fetch(url, tmp_path / "new" / "file.bin", md5=SUM, size=SIZE, patience=PATIENT)


def test_room_is_that_of_the_disk_that_the_folder_will_be_on(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "yet", 1)
    with pytest.raises(InputError, match=r"are needed to unpack it; free some, choose another"):
        check_room(tmp_path / "not" / "yet", 10**18, " to unpack it")
    assert not (tmp_path / "not").exists()


def test_a_disk_that_fills_up_is_said_in_one_line_and_the_part_stays(
    server: Unsteady, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, path = server.put("/file", CONTENT), tmp_path / "file.bin"

    def full(done: int, total: int | None) -> None:
        if done >= 3000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match="is full; free some room and give the command again"):
        fetch(url, path, md5=SUM, size=SIZE, patience=PATIENT, progress=full)
    assert (tmp_path / "file.bin.part").stat().st_size == 3000


def test_other_errors_of_the_disk_are_not_hidden(
    server: Unsteady, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files_module, "check_room", broken)
    with pytest.raises(OSError, match="Input/output"):
        fetch(server.put("/file", CONTENT), tmp_path / "file.bin", patience=PATIENT)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (3.1e9, "3.1 GB"), (2e15, "2000.0 TB")],
)
def test_sizes_are_said_as_people_read_them(size: float, words: str) -> None:
    assert in_words(size) == words


# ------------------------------------------------------------- records


def test_a_text_is_short_and_a_text(server: Unsteady) -> None:
    assert fetch_text(server.put("/text", "µ".encode()), 2, PATIENT) == "µ"
    with pytest.raises(InputError, match="answers more than 1 bytes"):
        fetch_text(server.put("/text", "µ".encode()), 1, PATIENT)
    with pytest.raises(InputError, match="answers no text"):
        fetch_text(server.put("/text", b"\xff"), 9, PATIENT)


def test_pieces_begin_where_they_are_asked_to(server: Unsteady) -> None:
    url = server.put("/file", CONTENT)
    got = b"".join(piece for _, piece in pieces(url, start=1234, patience=PATIENT))
    assert got == CONTENT[1234:] and server.ranges("/file") == ["bytes=1234-"]


ZENODO = Record("1", "zenodo", "42", "https://zenodo.org/records/42")
DATAVERSE = Record("1", "dataverse", "doi:10.1/DVN/X", "https://doi.org/10.1/DVN/X")


def test_a_record_of_zenodo_lists_its_files(server: Unsteady) -> None:
    server.put_zenodo("42", {"a b.csv": b"1", "c.tar.gz": CONTENT})
    listing = list_files(ZENODO, server.base, PATIENT)
    assert [(each.name, each.size, each.md5) for each in listing.files] == [
        ("a b.csv", 1, md5(b"1")),
        ("c.tar.gz", SIZE, SUM),
    ]
    assert listing.licence == "cc-by-4.0"
    assert requests.get(listing.find("c.tar.gz").url, timeout=5).content == CONTENT
    with pytest.raises(InputError, match=r"the record has no file d\.zip; it has a b\.csv, c\.tar"):
        listing.find("d.zip")


def test_a_record_of_dataverse_lists_its_files(server: Unsteady) -> None:
    server.put_dataverse("doi:10.1/DVN/X", {"MuS2.zip": CONTENT, "masks.zip": b"2"})
    listing = list_files(DATAVERSE, server.base, PATIENT)
    assert [(each.name, each.size, each.md5) for each in listing.files] == [
        ("MuS2.zip", SIZE, SUM),
        ("masks.zip", 1, md5(b"2")),
    ]
    assert listing.licence == "CC0 1.0"
    assert requests.get(listing.find("masks.zip").url, timeout=5).content == b"2"


def test_a_file_of_known_address_needs_no_record() -> None:
    (only,) = list_files(DATASETS["probav"].record()).files
    assert only.url.startswith(BASES["direct"]) and only.name == "probav_data.zip"


ANSWERS: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"<html>", "answers no JSON; try again later"),
    "a deep one": (b"[" * 100_000, "answers no JSON"),
    "a list": (b"[]", "answers something else than a record"),
    "null": (b"null", "answers something else than a record"),
    "no files": (b'{"files": []}', "names no files"),
    "files of nothing": (b'{"files": [{}]}', "answers something else than a record .KeyError"),
    "one line": (b'{"files": [{"key": "a\\nb"}]}', "answers something else than a record"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_record_is_refused_in_one_line(name: str, server: Unsteady) -> None:
    content, said = ANSWERS[name]
    server.put("/api/records/42", content)
    with pytest.raises(InputError, match=said) as error:
        list_files(ZENODO, server.base, PATIENT)
    assert "\n" not in str(error.value)


ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "a path": ({"key": "../a.csv"}, r"names a file '\.\./a\.csv', which is no plain name"),
    "hidden": ({"key": ".bashrc"}, "which is no plain name"),
    "a line": ({"key": "a\nb"}, "which is no plain name"),
    "not of the web": ({"links": {"self": "file:///etc/passwd"}}, "wanted https"),
    "negative": ({"size": -1}, "wanted https"),
    "another checksum": ({"checksum": f"md5:{'0' * 32}"}, "it is another file by now"),
    "no number": ({"size": "much"}, "answers something else than a record"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_record_that_is_not_to_be_trusted_is_refused(name: str, server: Unsteady) -> None:
    change, said = ENTRIES[name]
    server.put_zenodo("42", {"a.csv": CONTENT}, **{"a.csv": change})
    record = Record("1", "zenodo", "42", "https://zenodo.org/records/42", md5={"a.csv": SUM})
    with pytest.raises(InputError, match=said) as error:
        list_files(record, server.base, PATIENT)
    assert "\n" not in str(error.value)


def test_a_record_that_names_a_file_twice_is_refused(server: Unsteady) -> None:
    server.put_zenodo("42", {"a.csv": b"1", "b.csv": b"2"}, **{"b.csv": {"key": "a.csv"}})
    with pytest.raises(InputError, match="names no files, or one of them twice"):
        list_files(ZENODO, server.base, PATIENT)


def test_a_checksum_of_another_kind_does_not_bind(server: Unsteady) -> None:
    server.put_zenodo("42", {"a.csv": b"1"}, **{"a.csv": {"checksum": "sha256:00"}})
    assert list_files(ZENODO, server.base, PATIENT).files[0].md5 is None
