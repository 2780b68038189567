"""What comes out of an archive is files, within the folder, and none of a bad archive."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sitsr.datasets import unpack as unpack_module
from sitsr.datasets.unpack import everything, is_archive, unpack, unpack_stream
from sitsr.series import InputError

FILES = {"set/a b/one.tif": b"1" * 300, "set/two.csv": b"2,2\n", "three.txt": b"3"}


def member(name: str, content: bytes = b"x", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def make_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def make_7z(path: Path, files: dict[str, bytes], **options: Any) -> Path:
    py7zr = pytest.importorskip("py7zr")
    with py7zr.SevenZipFile(path, "w", **options) as file:
        for name, content in files.items():
            file.writestr(content, name)
    return path


def make(path: Path, files: dict[str, bytes] = FILES) -> Path:
    if path.suffix == ".zip":
        return make_zip(path, files)
    if path.suffix == ".7z":
        return make_7z(path, files)
    mode = "w" if path.suffix == ".tar" else "w:gz"
    return make_tar(path, [member(*each) for each in files.items()], mode)


def held(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


formats = pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar", "a.zip", "a.7z"])


@formats
def test_what_is_in_an_archive_comes_out(name: str, tmp_path: Path) -> None:
    done = unpack(make(tmp_path / name), tmp_path / "out")
    assert held(tmp_path / "out") == FILES
    assert done == (3, ("set", "three.txt"))


@formats
def test_only_what_is_wanted_comes_out(name: str, tmp_path: Path) -> None:
    done = unpack(make(tmp_path / name), tmp_path / "out", lambda each: each.endswith(".csv"))
    assert held(tmp_path / "out") == {"set/two.csv": FILES["set/two.csv"]} and done.files == 1
    with pytest.raises(InputError, match=f"none of the 3 files of {name} is wanted"):
        unpack(tmp_path / name, tmp_path / "none", lambda _: False)
    assert not held(tmp_path / "none")


@formats
def test_what_lies_in_the_folder_stays_and_files_of_a_name_are_replaced(
    name: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "set").mkdir(parents=True)
    (out / "set" / "mine.txt").write_text("mine")
    (out / "set" / "two.csv").write_text("old")
    unpack(make(tmp_path / name), out)
    assert held(out) == {**FILES, "set/mine.txt": b"mine"}


@formats
def test_a_file_does_not_take_the_place_of_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "out" / "three.txt").mkdir(parents=True)
    with pytest.raises(InputError, match=r"three\.txt is in the way; name a folder that is new"):
        unpack(make(tmp_path / name), tmp_path / "out")
    assert not (tmp_path / "out" / f".{name}.part").exists()


@formats
def test_what_an_earlier_attempt_left_is_removed(name: str, tmp_path: Path) -> None:
    left = tmp_path / "out" / f".{name}.part"
    left.mkdir(parents=True)
    (left / "half.tif").write_text("half")
    unpack(make(tmp_path / name), tmp_path / "out")
    assert held(tmp_path / "out") == FILES


@formats
def test_one_folder_holds_all_of_it_whether_the_archive_has_it_or_not(
    name: str, tmp_path: Path
) -> None:
    path = make(tmp_path / name, {"index.csv": b"1", "a.pt": b"2"})
    unpack(path, tmp_path / "out", top="ARM")
    assert held(tmp_path / "out") == {"ARM/index.csv": b"1", "ARM/a.pt": b"2"}
    path = make(tmp_path / name, {"ANJI/index.csv": b"3"})
    unpack(path, tmp_path / "out", top="ANJI")
    assert held(tmp_path / "out").keys() == {"ARM/index.csv", "ARM/a.pt", "ANJI/index.csv"}


def test_files_come_out_as_plain_files_whatever_rights_they_claim(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar.gz", [member("run.sh", mode=0o7777, uid=0)])
    unpack(path, tmp_path / "out")
    assert not (tmp_path / "out" / "run.sh").stat().st_mode & (stat.S_ISUID | stat.S_IXUSR)


def test_folders_alone_are_no_files(tmp_path: Path) -> None:
    members = [member("./", b"", type=tarfile.DIRTYPE), member("set", b"", type=tarfile.DIRTYPE)]
    path = make_tar(tmp_path / "a.tar", [*members, member("./set/a.txt")], "w")
    assert unpack(path, tmp_path / "out").files == 1
    assert held(tmp_path / "out") == {"set/a.txt": b"x"}


# ------------------------------------------------------------- hostile


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> Callable[[Path], Path]:
    return lambda folder: make_tar(folder / "bad.tar.gz", [member("good.txt"), *members])


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=kind, linkname=target)


def zip_of(change: Callable[[zipfile.ZipInfo], None], name: str = "bad") -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "bad.zip", "w") as file:
            file.writestr("good.txt", b"x")
            info = zipfile.ZipInfo(name)
            change(info)
            file.writestr(info, b"/etc/passwd")
        return folder / "bad.zip"

    return made


def mode(kind: int) -> Callable[[zipfile.ZipInfo], None]:
    def change(info: zipfile.ZipInfo) -> None:
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16

    return change


def as_it_is(info: zipfile.ZipInfo) -> None:
    pass


def zipped_twice(folder: Path) -> Path:
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(folder / "bad.zip", "w") as file,
    ):
        file.writestr("a.txt", b"1")
        file.writestr("a.txt", b"2")
    return folder / "bad.zip"


def zip_encrypted(folder: Path) -> Path:
    path = make_zip(folder / "bad.zip", {"a.txt": b"secret"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    return path


def zip_that_lies(folder: Path) -> Path:
    """The index promises fewer bytes than come."""
    path = make_zip(folder / "bad.zip", {"a.txt": b"1" * 1000})
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(raw)
    return path


def tar_with_a_long_header(folder: Path) -> Path:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**40
    with gzip.open(folder / "bad.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + b"a" * 4096)
    return folder / "bad.tar.gz"


def sevenzip_with_a_link(folder: Path) -> Path:
    py7zr = pytest.importorskip("py7zr")
    (folder / "target.txt").write_text("x")
    (folder / "link").symlink_to("target.txt")
    with py7zr.SevenZipFile(folder / "bad.7z", "w") as file:
        file.write(folder / "link", "link")
    (folder / "link").unlink()
    (folder / "target.txt").unlink()
    return folder / "bad.7z"


def sevenzip_renamed(name: str) -> Callable[[Path], Path]:
    """An archive whose index names a file so, as py7zr itself would not write it."""

    def made(folder: Path) -> Path:
        py7zr = pytest.importorskip("py7zr")
        with py7zr.SevenZipFile(folder / "bad.7z", "w") as file:
            file.set_encoded_header_mode(False)
            file.writestr(b"x", "n" * len(name))
        raw = (folder / "bad.7z").read_bytes()
        header_at, size = struct.unpack_from("<QQ", raw, 12)
        header = raw[32 + header_at : 32 + header_at + size]
        header = header.replace(("n" * len(name)).encode("utf-16-le"), name.encode("utf-16-le"))
        start = struct.pack("<QQL", header_at, size, _crc(header))
        new = raw[:8] + struct.pack("<L", _crc(start)) + start + raw[32 : 32 + header_at] + header
        (folder / "bad.7z").write_bytes(new)
        return folder / "bad.7z"

    return made


def _crc(content: bytes) -> int:
    import zlib

    return zlib.crc32(content)


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "tar: ..": (tar_of(member("../evil.txt")), r"'\.\./evil\.txt', which leads out of the folder"),
    "tar: .. within": (tar_of(member("a/../../evil.txt")), "which leads out of the folder"),
    "tar: absolute": (tar_of(member("/tmp/evil.txt")), "which leads out of the folder"),
    "tar: a drive": (tar_of(member("C:evil.txt")), r"holds the name 'C:evil\.txt'"),
    "tar: backslashes": (tar_of(member("..\\evil.txt")), "holds the name"),
    "tar: a line": (tar_of(member("a\nb.txt")), r"holds the name 'a\\nb\.txt'"),
    "tar: no name": (tar_of(member("./")), "holds the name"),
    "tar: a link out": (tar_of(link("a", "/etc/passwd")), "'a', a link that leads out"),
    "tar: a link up": (tar_of(link("a/b", "../../evil")), "'a/b', a link that leads out"),
    "tar: a hard link out": (
        tar_of(link("a/b", "../evil", tarfile.LNKTYPE)),
        "a link that leads out",
    ),
    "tar: a link and through it": (
        tar_of(link("a", ".."), member("a/evil.txt")),
        "a link that leads out",
    ),
    "tar: a device": (
        tar_of(member("null", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)),
        "'null', which is neither a file nor a folder",
    ),
    "tar: a pipe": (tar_of(member("p", b"", type=tarfile.FIFOTYPE)), "neither a file nor a folder"),
    "tar: twice": (tar_of(member("a.txt"), member("./a.txt")), r"'\./a\.txt' twice"),
    "tar: a file and a folder": (
        tar_of(member("a"), member("a/b.txt")),
        "as a file and as a folder",
    ),
    "tar: a header of a terabyte": (
        tar_with_a_long_header,
        "is broken .a header of 1099511627776 bytes",
    ),
    "tar: a name that is too long": (tar_of(member("a" * 300)), "is broken .*File name too long"),
    "zip: ..": (zip_of(as_it_is, "../evil.txt"), "which leads out of the folder"),
    "zip: absolute": (zip_of(as_it_is, "/tmp/evil.txt"), "which leads out of the folder"),
    "zip: backslashes": (zip_of(as_it_is, "..\\evil.txt"), "holds the name"),
    "zip: a link": (zip_of(mode(stat.S_IFLNK)), "'bad', which is neither a file nor a folder"),
    "zip: a device": (zip_of(mode(stat.S_IFCHR)), "neither a file nor a folder"),
    "zip: twice": (zipped_twice, r"holds 'a\.txt' twice"),
    "zip: encrypted": (zip_encrypted, "which is encrypted"),
    "zip: lies": (zip_that_lies, "is broken .Bad CRC-32"),
    "7z: ..": (sevenzip_renamed("../evil.txt"), "which leads out of the folder"),
    "7z: absolute": (sevenzip_renamed("/tmp/evil.txt"), "which leads out of the folder"),
    "7z: a link": (sevenzip_with_a_link, "'link', which is neither a file nor a folder"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_is_not_to_be_trusted_is_refused_in_one_line(
    name: str, tmp_path: Path
) -> None:
    made, said = HOSTILE[name]
    path = made(tmp_path)
    with pytest.raises(InputError, match=said) as error:
        unpack(path, tmp_path / "deep" / "out")
    assert "\n" not in str(error.value)
    assert held(tmp_path).keys() == {path.name}
    assert not list((tmp_path / "deep" / "out").iterdir())


def test_a_link_within_is_left_out_and_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    members = [member("set/a.txt"), link("set/sub/b.txt", "../a.txt")]
    members += [link("set/c.txt", "set/a.txt", tarfile.LNKTYPE)]
    unpack(make_tar(tmp_path / "a.tar.gz", members), tmp_path / "out")
    assert held(tmp_path / "out") == {"set/a.txt": b"x"}
    assert "set/sub/b.txt is a link to ../a.txt and is left out" in caplog.text
    assert "set/c.txt is a link to set/a.txt and is left out" in caplog.text


@formats
def test_more_bytes_than_an_honest_archive_holds_are_refused(name: str, tmp_path: Path) -> None:
    path = make(tmp_path / name, {"zeros": bytes(10**6), "good.txt": b"x"})
    with pytest.raises(InputError, match="would become 1000000 bytes in 1 files and more; 999999"):
        unpack(path, tmp_path / "out", bound=999_999)
    assert not held(tmp_path / "out")
    assert unpack(path, tmp_path / "out", bound=1_000_001).files == 2


@formats
def test_how_much_a_byte_may_swell_is_bounded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "a.tar":
        pytest.skip("does not swell")
    monkeypatch.setattr(unpack_module, "LEAST", 1000)
    path = make(tmp_path / name, {"zeros": bytes(10**6)})
    with pytest.raises(InputError, match="would become 1000000 bytes"):
        unpack(path, tmp_path / "out", lambda each: each == "other")  # wanted or not
    assert not held(tmp_path / "out")


@formats
def test_too_many_files_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack_module, "MOST_FILES", 2)
    with pytest.raises(InputError, match="in 3 files and more"):
        unpack(make(tmp_path / name), tmp_path / "out")
    assert not held(tmp_path / "out")


def test_what_follows_the_end_of_a_tar_is_bounded_too(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar.gz", [member("a.txt")])
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(10**7)))
    with pytest.raises(InputError, match="are the most that is believed"):
        unpack(path, tmp_path / "out", bound=10**6)
    assert not held(tmp_path / "out")


@formats
@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
def test_a_truncated_archive_is_refused_in_one_line(name: str, cut: float, tmp_path: Path) -> None:
    path = make(tmp_path / name, {f"{n}.bin": os.urandom(999) for n in range(20)})
    if name == "a.tar":  # without its padding, which is nothing
        path.write_bytes(path.read_bytes()[: 20 * 1536])
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size) - 100])
    with pytest.raises(InputError, match=f"{name} is broken .*; get it again") as error:
        unpack(path, tmp_path / "out")
    assert "\n" not in str(error.value) and not held(tmp_path / "out")


@formats
@pytest.mark.parametrize("content", [b"", b"<html>no such file</html>\n" * 40])
def test_what_is_no_archive_is_refused_in_one_line(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*(is broken|is wanted)") as error:
        unpack(tmp_path / name, tmp_path / "out")
    assert "\n" not in str(error.value) and not held(tmp_path / "out")


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tar.gz", {"a.bin": os.urandom(5000)})
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 16
    path.write_bytes(raw)
    with pytest.raises(InputError, match="is broken"):
        unpack(path, tmp_path / "out")
    assert not held(tmp_path / "out")


@formats
def test_whatever_byte_is_another_the_answer_is_files_or_one_line(
    name: str, tmp_path: Path
) -> None:
    path = make(tmp_path / name)
    raw, chance = path.read_bytes(), np.random.default_rng(7)
    refused = 0
    for place, value in zip(
        chance.integers(0, len(raw), 60), chance.integers(0, 256, 60), strict=True
    ):
        path.write_bytes(raw[:place] + bytes([value]) + raw[place + 1 :])
        try:
            unpack(path, tmp_path / "out")
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused
    outside = {each.name for each in tmp_path.iterdir()}
    assert outside == {name, "out"}


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    path = make_7z(tmp_path / "a.7z", FILES, password="secret")
    with pytest.raises(InputError, match=r"a\.7z is encrypted"):
        unpack(path, tmp_path / "out")


def test_another_kind_of_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match=r"is no archive that is known; wanted \.tar\.gz, \.tgz"):
        unpack(tmp_path / "a.rar", tmp_path / "out")
    assert is_archive("A.TAR.GZ") and not is_archive("metadata.csv")


def test_without_py7zr_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_7z(tmp_path / "a.7z", FILES)
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(InputError, match=r"needs the package py7zr; install sitsr\[sen2venus\]"):
        unpack(path, tmp_path / "out")


@formats
def test_room_is_looked_for_before_the_first_byte_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / name)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=200))
    with pytest.raises(InputError, match=r"has 200 bytes free, 30\d bytes are needed to unpack"):
        unpack(path, tmp_path / "out")
    assert not held(tmp_path / "out")


@formats
def test_progress_reaches_its_total(name: str, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    unpack(make(tmp_path / name), tmp_path / "out", progress=lambda *at: told.append(at))
    if name != "a.7z":  # the library does not say
        assert told[-1][0] == told[-1][1]


# ------------------------------------------------------------- read once


def test_a_stream_is_kept_only_when_it_was_found_to_be_right(tmp_path: Path) -> None:
    raw = make(tmp_path / "a.tar.gz").read_bytes()

    def wrong() -> None:
        assert (tmp_path / "out" / ".a.tar.gz.part" / "three.txt").exists()
        assert not (tmp_path / "out" / "three.txt").exists()
        raise InputError("came with another checksum")

    with pytest.raises(InputError, match="another checksum"):
        unpack_stream(io.BytesIO(raw), "a.tar.gz", tmp_path / "out", everything, len(raw), wrong)
    assert not held(tmp_path / "out")
    done = unpack_stream(
        io.BytesIO(raw), "a.tar.gz", tmp_path / "out", everything, None, lambda: None
    )
    assert held(tmp_path / "out") == FILES and done.files == 3
