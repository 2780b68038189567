"""What is fetched is whole and right, however the server behaves; or it is not there at all.

The server is real (webserver.py), and misbehaves on request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sitsr.datasets import download
from sitsr.datasets.download import Patience, Remote, Stream, fetch
from sitsr.datasets.records import Dataverse, Links, Zenodo
from sitsr.series import InputError
from webserver import Behaviour, serving

BODY = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(BODY).hexdigest()
QUICK = Patience(tries=4, pause=0.01, stall=0.3)


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    with serving() as (host, does):
        does.files["/it"] = BODY
        yield host, does


def remote(host: str, **fields: Any) -> Remote:
    return Remote(**{"name": "it", "url": f"{host}/it", "size": len(BODY), "md5": MD5, **fields})


Change = Callable[[Behaviour], None]


def behave(**fields: Any) -> Change:
    def change(does: Behaviour) -> None:
        for name, value in fields.items():
            setattr(does, name, value)

    return change


@pytest.mark.parametrize(
    "change",
    [
        behave(),
        behave(breaks=[0, 10, 100_000]),
        behave(breaks=[200_000], ranges=False),
        behave(stalls=1),
        behave(fails=[503, 429]),
        behave(breaks=[50_000], fails=[]),
    ],
    ids=["plain", "breaks off", "ignores ranges", "stalls", "is busy", "breaks once"],
)
@pytest.mark.parametrize("stated", [True, False])
def test_a_file_arrives_whole(
    change: Change, stated: bool, server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    host, does = server
    change(does)
    told: list[tuple[int, int]] = []
    wanted = remote(host) if stated else remote(host, size=None, md5=None)
    path = fetch(wanted, tmp_path / "it", lambda *each: told.append(each), QUICK)
    assert path.read_bytes() == BODY
    assert [each.name for each in tmp_path.iterdir()] == ["it"]
    assert told[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_arrived_is_not_asked_for_again(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    host, does = server
    does.breaks = [100_000]
    fetch(remote(host), tmp_path / "it", patience=QUICK)
    assert does.asked[0] is None
    assert does.asked[1] is not None and int(re.findall(r"\d+", does.asked[1])[0]) > 50_000
    fetch(remote(host), tmp_path / "it", patience=QUICK)
    assert len(does.asked) == 2


def stopped(host: str, path: Path) -> None:
    """A run that is interrupted amid the file."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(remote(host), path, stop, QUICK)


def test_a_stopped_run_goes_on(
    server: tuple[str, Behaviour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, does = server
    monkeypatch.setattr(download, "PIECE", 10_000)
    stopped(host, tmp_path / "it")
    assert (tmp_path / "it.part").stat().st_size > 0 and not (tmp_path / "it").exists()
    assert fetch(remote(host), tmp_path / "it", patience=QUICK).read_bytes() == BODY
    assert does.asked[-1] is not None


@pytest.mark.parametrize("other", [BODY[::-1], BODY[:5_000]], ids=["another", "a shorter one"])
def test_a_file_that_was_changed_meanwhile_begins_anew(
    other: bytes, server: tuple[str, Behaviour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, does = server
    monkeypatch.setattr(download, "PIECE", 10_000)
    stopped(host, tmp_path / "it")
    does.files["/it"], does.tag = other, '"two"'
    wanted = remote(host, size=len(other), md5=hashlib.md5(other).hexdigest())
    assert fetch(wanted, tmp_path / "it", patience=QUICK).read_bytes() == other


def test_a_part_without_its_mark_begins_anew(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    host, _ = server
    (tmp_path / "it.part").write_bytes(b"something else")
    assert fetch(remote(host), tmp_path / "it", patience=QUICK).read_bytes() == BODY


@pytest.mark.parametrize(
    ("change", "stated", "said"),
    [
        (behave(files={"/it": BODY[:-1] + b"\0"}), {}, "arrived with MD5"),
        (behave(files={"/it": BODY[:-1]}), {}, "its record says 300000"),
        (behave(fails=[404]), {}, "answers 404"),
        (behave(fails=[503] * 9), {}, "the server answers 503.*try again later"),
        (behave(breaks=[0] * 9), {}, "try again later"),
        (behave(stalls=9), {"size": None}, "try again later"),
        (behave(breaks=[70_000], off=5), {}, "answers bytes"),
        (behave(), {"size": 10**18}, "GB free and 1000000000.0 GB are to come"),
    ],
    ids=["corrupt", "short", "gone", "down", "breaks", "stalls", "wrong range", "no room"],
)
def test_what_cannot_be_had_is_said_in_one_line(
    change: Change,
    stated: dict[str, Any],
    said: str,
    server: tuple[str, Behaviour],
    tmp_path: Path,
) -> None:
    host, does = server
    change(does)
    with pytest.raises(InputError, match=said) as error:
        fetch(remote(host, **stated), tmp_path / "it", patience=QUICK)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "it").exists()


def test_what_is_corrupt_is_thrown_away(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    host, does = server
    does.files["/it"] = BODY[:-1] + b"\0"
    with pytest.raises(InputError):
        fetch(remote(host), tmp_path / "it", patience=QUICK)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/it cannot be had"):
        fetch(remote("http://127.0.0.1:9"), tmp_path / "it", patience=replace(QUICK, tries=2))


def test_a_stream_is_the_file_across_breaks(server: tuple[str, Behaviour]) -> None:
    host, does = server
    does.breaks = [1, 70_000]
    with Stream(remote(host), patience=QUICK) as stream:
        pieces = iter(lambda: stream.read(7_001), b"")
        assert b"".join(pieces) == BODY


FILES = [
    {
        "key": "b.zip",
        "size": 3,
        "checksum": "md5:abc",
        "links": {"self": "https://zenodo.org/api/records/7/files/b.zip/content"},
    },
    {"key": "a.csv", "size": 5, "checksum": "md5:def", "links": {"self": "https://x/a"}},
]


def test_records_tell_of_their_files(server: tuple[str, Behaviour]) -> None:
    host, does = server
    does.pages["/api/records/7"] = {"files": FILES}
    place = "/api/datasets/:persistentId/?persistentId=doi:10.7910/DVN/X"
    held = {"filename": "a.zip", "filesize": 4, "id": 12, "md5": "abc"}
    does.pages[place] = {"data": {"latestVersion": {"files": [{"dataFile": held}]}}}
    assert Zenodo("7", {}).files(host) == [
        Remote("a.csv", "https://x/a", 5, "def"),
        Remote("b.zip", "https://zenodo.org/api/records/7/files/b.zip/content", 3, "abc"),
    ]
    found = Dataverse("doi:10.7910/DVN/X", {}).files(host)
    assert found == [Remote("a.zip", f"{host}/api/access/datafile/12", 4, "abc")]
    links = Links("https://x", (Remote("a", "https://x/deep/a"),))
    assert links.files() == [Remote("a", "https://x/deep/a")]
    assert links.files(host) == [Remote("a", f"{host}/a")]


@pytest.mark.parametrize(
    ("page", "pinned", "said"),
    [
        ({"files": FILES}, {"a.csv": "000"}, "states MD5 def for a.csv, which was 000"),
        ({"files": [{"key": "a"}]}, {}, "in another form than known"),
        (["no"], {}, "in another form than known"),
        (None, {}, "cannot be had"),
    ],
)
def test_a_record_that_is_not_as_expected_is_refused(
    page: Any, pinned: dict[str, str], said: str, server: tuple[str, Behaviour]
) -> None:
    host, does = server
    if page is not None:
        does.pages["/api/records/7"] = page
    with pytest.raises(InputError, match=said) as error:
        Zenodo("7", pinned).files(host)
    assert "\n" not in str(error.value)
