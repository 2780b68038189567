"""Archives unpacked without trust: nothing outside the folder, no links, no more than is plausible.

Members are written aside and moved into place when the archive has been read to its end, so that a
refused one leaves nothing. tar.gz is read as a stream, from a file or from the net; zip and 7z
have an index, all of which is looked at before anything is written.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sitsr.series import InputError

PLAUSIBLE = 50
"""Times its own size that an archive may unpack to, besides SPARE."""

SPARE = 2**28

PIECE = 2**20

Wanted = Callable[[str], bool]


def unpack(archive: Path, out: Path, wanted: Wanted = lambda name: True) -> list[str]:
    """Unpack the wanted members of a .tar.gz, .tgz, .tar, .zip or .7z into a folder.

    Gives their names. InputError where it is another kind, is cut short, or holds a member that
    would leave the folder, a link, a device, or more than PLAUSIBLE times its size.
    """
    name, most = archive.name.lower(), PLAUSIBLE * archive.stat().st_size + SPARE
    with _aside(out, archive.name) as aside:
        if name.endswith((".tar.gz", ".tgz", ".tar")):
            with archive.open("rb") as file:
                return _untarred(file, archive.name, aside, wanted, most)
        if name.endswith(".zip"):
            return _unzipped(archive, aside, wanted, most)
        if name.endswith(".7z"):
            return _un7zipped(archive, aside, wanted, most)
    raise InputError(f"{archive.name} is no archive that is known; give .tar.gz, .zip or .7z")


def unpack_stream(
    file: Any, name: str, size: int | None, out: Path, wanted: Wanted = lambda name: True
) -> list[str]:
    """Unpack a tar.gz that is read from a ``sitsr.datasets.download.Hashing``.

    Nothing appears in the folder before all of it is read and its sum is right.
    """
    most = PLAUSIBLE * size + SPARE if size else None
    with _aside(out, name) as aside:
        names = _untarred(file, name, aside, wanted, most)
        file.finish()
        return names


@contextmanager
def _aside(out: Path, name: str) -> Iterator[Path]:
    """A folder whose files are moved into `out` in the end, if nothing went wrong."""
    out.mkdir(parents=True, exist_ok=True)
    aside = out / f".{name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        for path in sorted(aside.rglob("*")):
            there = out / path.relative_to(aside)
            if path.is_dir():
                there.mkdir(exist_ok=True)
            else:
                path.replace(there)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _untarred(
    file: IO[bytes] | Any, name: str, aside: Path, wanted: Wanted, most: int | None
) -> list[str]:
    names: list[str] = []
    left = most
    try:
        with tarfile.open(fileobj=file, mode="r|*") as tar:
            for member in tar:
                path = _inside(name, member.name)
                if member.isdir():
                    continue
                if not member.isreg():
                    raise InputError(f"{name} holds {member.name}, which is no file; it is refused")
                if not wanted(str(path)):
                    continue
                left = _less(left, member.size, name)
                held = tar.extractfile(member)
                assert held is not None  # it is a regular file
                _write(held, aside / path, member.size, name)
                names.append(str(path))
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise _broken(name, error) from error
    return names


def _unzipped(archive: Path, aside: Path, wanted: Wanted, most: int) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as held:
            members = [each for each in held.infolist() if not each.is_dir()]
            left: int | None = most
            for each in members:
                _inside(archive.name, each.filename)
                if stat.S_ISLNK(each.external_attr >> 16):
                    raise InputError(
                        f"{archive.name} holds {each.filename}, which is no file; it is refused"
                    )
            chosen = [each for each in members if wanted(each.filename)]
            for each in chosen:
                left = _less(left, each.file_size, archive.name)
            for each in chosen:
                with held.open(each) as file:
                    _write(file, aside / each.filename, each.file_size, archive.name)
            return [each.filename for each in chosen]
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, OSError) as error:
        raise _broken(archive.name, error) from error


def _un7zipped(archive: Path, aside: Path, wanted: Wanted, most: int) -> list[str]:
    try:
        import py7zr
    except ImportError as error:
        raise InputError(
            'archives of 7z need py7zr; install it with: pip install "sitsr[sen2venus]"'
        ) from error
    try:
        with py7zr.SevenZipFile(archive) as held:
            members = [each for each in held.list() if not each.is_directory]
            left: int | None = most
            for each in members:
                _inside(archive.name, each.filename)
                if each.is_symlink:
                    raise InputError(
                        f"{archive.name} holds {each.filename}, which is no file; it is refused"
                    )
                left = _less(left, each.uncompressed, archive.name)
            chosen = [each.filename for each in members if wanted(each.filename)]
            held.extract(aside, targets=chosen)
            return chosen
    except (py7zr.exceptions.ArchiveError, EOFError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise _broken(archive.name, error) from error


def _inside(archive: str, name: str) -> PurePosixPath:
    """The path of a member, which lies below the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    drive = ":" in path.parts[0] if path.parts else True
    if path.is_absolute() or ".." in path.parts or drive:
        raise InputError(f"{archive} holds {name}, which would leave the folder; it is refused")
    return path


def _less(left: int | None, size: int, archive: str) -> int | None:
    if left is None:
        return None
    if size > left:
        raise InputError(
            f"{archive} unpacks to more than {PLAUSIBLE} times its size, which no images do; "
            "it is refused"
        )
    return left - size


def _write(held: IO[bytes], path: Path, size: int, archive: str) -> None:
    """Write a member, of which no more is taken than was stated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while piece := held.read(PIECE):
            size -= len(piece)
            if size < 0:
                raise InputError(
                    f"{archive} holds more of {path.name} than it states; it is refused"
                )
            file.write(piece)
    if size:
        raise _broken(archive, "it ends early")


def _broken(archive: str, why: object) -> InputError:
    reason = str(why).partition("\n")[0]
    return InputError(f"{archive} cannot be unpacked ({reason}); get it again")
