"""Archives are unpacked whole or not at all, and never beyond their folder."""

from __future__ import annotations

import io
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest

from sitsr.datasets import unpack as module
from sitsr.datasets.unpack import unpack
from sitsr.series import InputError

HELD = {"set/a/one.txt": b"one", "set/b/two.txt": b"two" * 1000}


def tar(path: Path, *extra: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(path, "w:gz") as file:
        folder = tarfile.TarInfo("set")
        folder.type = tarfile.DIRTYPE
        file.addfile(folder)
        for name, held in HELD.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(held)
            file.addfile(entry, io.BytesIO(held))
        for entry, held in extra:
            entry.size = len(held)
            file.addfile(entry, io.BytesIO(held))


def zipped(path: Path, *extra: tuple[zipfile.ZipInfo, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, held in HELD.items():
            file.writestr(name, held)
        for entry, held in extra:
            file.writestr(entry, held)


def seven(path: Path) -> None:
    with py7zr.SevenZipFile(path, "w") as file:
        for name, held in HELD.items():
            file.writestr(held, name)


MAKERS: dict[str, Callable[[Path], None]] = {".tar.gz": tar, ".zip": zipped, ".7z": seven}


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("ending", MAKERS)
def test_what_is_wanted_is_unpacked(ending: str, tmp_path: Path) -> None:
    MAKERS[ending](archive := tmp_path / f"it{ending}")
    assert sorted(unpack(archive, tmp_path / "all")) == sorted(HELD)
    assert files(tmp_path / "all") == HELD
    some = unpack(archive, tmp_path / "some", lambda name: "two" in name)
    assert some == ["set/b/two.txt"]
    assert files(tmp_path / "some") == {"set/b/two.txt": HELD["set/b/two.txt"]}


@pytest.mark.parametrize("ending", MAKERS)
def test_what_is_there_stays_and_what_is_unpacked_again_is_replaced(
    ending: str, tmp_path: Path
) -> None:
    (tmp_path / "out" / "set" / "a").mkdir(parents=True)
    (tmp_path / "out" / "set" / "a" / "other.txt").write_text("other")
    (tmp_path / "out" / "set" / "a" / "one.txt").write_text("old")
    MAKERS[ending](archive := tmp_path / f"it{ending}")
    unpack(archive, tmp_path / "out")
    assert files(tmp_path / "out") == {**HELD, "set/a/other.txt": b"other"}


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def linked(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return made


def hostile_tar(made: tarfile.TarInfo) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        tar(folder / "it.tar.gz", (made, b"" if made.type != tarfile.REGTYPE else b"bad"))
        return folder / "it.tar.gz"

    return make


def hostile_zip(made: zipfile.ZipInfo) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        zipped(folder / "it.zip", (made, b"/etc/passwd"))
        return folder / "it.zip"

    return make


def cut(ending: str, left: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        MAKERS[ending](path := folder / f"it{ending}")
        path.write_bytes(path.read_bytes()[:left])
        return path

    return make


def other(folder: Path) -> Path:
    (folder / "it.rar").write_bytes(b"Rar!")
    return folder / "it.rar"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (hostile_tar(entry("../out.txt")), "would leave the folder"),
        (hostile_tar(entry("/tmp/out.txt")), "would leave the folder"),
        (hostile_tar(entry("set/../../out.txt")), "would leave the folder"),
        (hostile_tar(entry("C:/out.txt")), "would leave the folder"),
        (hostile_tar(entry("set/l", tarfile.SYMTYPE, "/etc")), "is no file"),
        (hostile_tar(entry("set/l", tarfile.LNKTYPE, "../../x")), "is no file"),
        (hostile_tar(entry("set/null", tarfile.CHRTYPE)), "is no file"),
        (hostile_zip(zipfile.ZipInfo("../out.txt")), "would leave the folder"),
        (hostile_zip(zipfile.ZipInfo("/out.txt")), "would leave the folder"),
        (hostile_zip(zipfile.ZipInfo("a\\..\\..\\out.txt")), "would leave the folder"),
        (hostile_zip(linked("set/l")), "is no file"),
        (cut(".tar.gz", 60), "cannot be unpacked"),
        (cut(".zip", 60), "cannot be unpacked"),
        (cut(".7z", 60), "cannot be unpacked"),
        (other, "is no archive that is known"),
    ],
)
def test_a_hostile_archive_leaves_nothing(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    archive = make(tmp_path)
    with pytest.raises(InputError, match=said) as error:
        unpack(archive, tmp_path / "deep" / "out")
    assert "\n" not in str(error.value)
    assert files(tmp_path) == {archive.name: archive.read_bytes()}


@pytest.mark.parametrize("ending", MAKERS)
def test_more_than_is_plausible_is_refused(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPARE", 0)
    monkeypatch.setattr(module, "PLAUSIBLE", 1)
    MAKERS[ending](archive := tmp_path / f"it{ending}")
    with pytest.raises(InputError, match="more than 1 times its size"):
        unpack(archive, tmp_path / "out")
    assert files(tmp_path / "out") == {}


def test_without_its_library_7z_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seven(tmp_path / "it.7z")
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(InputError, match=r"pip install \"sitsr\[sen2venus\]\""):
        unpack(tmp_path / "it.7z", tmp_path / "out")
