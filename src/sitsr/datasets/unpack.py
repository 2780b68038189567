"""Unpacking archives that nobody vouches for: tar, tar.gz, zip and 7z.

Only regular files come out of an archive, under names that stay within the folder. Refused, before
or without anything being left behind, are: names that are absolute or lead out, links that leave,
devices and pipes, two files of one name, encryption, and more bytes or files than an honest archive
of that size would hold. A link within is left out, and said to be.

Everything is written aside and moved into place when the whole archive has been gone through. What
an archive has an index of (zip, 7z) is checked before the first byte is written.
"""

from __future__ import annotations

import errno
import gzip
import logging
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from sitsr.datasets.download import Progress, check_room, full_disk, no_progress
from sitsr.series import InputError

log = logging.getLogger(__name__)

SWELLING = 100
"""Bytes that a byte of an archive may become. Images shrink by less than 10; a bomb swells 1000."""

LEAST, MOST_FILES = 64 * 2**20, 5_000_000
"""Bytes that any archive may become, however small it is; and how many files."""

HEADER = 2**20
"""Bytes that the header of a tar's member may have; they are held in memory."""

LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

ENDINGS = (".tar.gz", ".tgz", ".tar", ".zip", ".7z")

Wanted = Callable[[str], bool]
"""Whether a file of this name within the archive is to come out."""


class Unpacked(NamedTuple):
    """What came out of an archive."""

    files: int
    tops: tuple[str, ...]
    """The files and folders that hold all of it."""


def everything(name: str) -> bool:
    """Wants every file."""
    return True


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked here."""
    return name.lower().endswith(ENDINGS)


def unpack(
    archive: Path,
    folder: Path,
    wanted: Wanted = everything,
    *,
    bound: int | None = None,
    top: str | None = None,
    progress: Progress = no_progress,
) -> Unpacked:
    """Unpack the wanted files of an archive into a folder.

    top         the one folder that all of it should lie in, made where the archive has it not
    bound       bytes that all of the archive may unpack to; else ``SWELLING`` times its size
    progress    told how much of the archive is done, in bytes of what is told as the total

    Files of the same name that lie in the folder are replaced, others stay. InputError where the
    archive is broken or not to be trusted, holds nothing that is wanted, or does not fit the disk:
    then the folder is as it was.
    """
    name, size = archive.name.lower(), archive.stat().st_size
    most = bound if bound is not None else max(LEAST, SWELLING * size)
    with aside(folder, archive.name, top) as place:
        if name.endswith(".zip"):
            return _unzip(archive, _Gate(archive.name, place, wanted, most), progress)
        if name.endswith(".7z"):
            return _unpack_7z(archive, _Gate(archive.name, place, wanted, most))
        if not name.endswith(ENDINGS):
            raise InputError(f"{archive} is no archive that is known; wanted {', '.join(ENDINGS)}")
        with archive.open("rb") as file:
            gate = _Gate(archive.name, place, wanted, most)
            return untar(file, gate, lambda: progress(file.tell(), size))


def unpack_stream(
    stream: IO[bytes],
    name: str,
    folder: Path,
    wanted: Wanted,
    size: int | None,
    finish: Callable[[], object],
) -> Unpacked:
    """The same of a tar or tar.gz that is read once, from beginning to end, such as from the web.

    finish    called when all was read and before anything is moved into place; raises where what
              was read is not to be kept
    """
    most = max(LEAST, SWELLING * size) if size is not None else 2**63
    with aside(folder, name) as place:
        unpacked = untar(stream, _Gate(name, place, wanted, most))
        finish()
        return unpacked


@contextmanager
def aside(folder: Path, name: str, top: str | None = None) -> Iterator[Path]:
    """A place beside what lies in a folder; what is written there moves in if nothing went wrong.

    What an earlier attempt at the same archive left there is removed.
    """
    place = folder / f".{name}.part"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
        within = top is None or [path.name for path in place.iterdir()] == [top]
        _move_in(place, folder if within else folder / str(top))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _move_in(source: Path, target: Path) -> None:
    """Move what lies in one folder into another; folders that are in both are put together."""
    target.mkdir(exist_ok=True)
    for each in sorted(source.iterdir()):
        there = target / each.name
        if not there.exists():
            each.rename(there)
        elif each.is_dir() and there.is_dir():
            _move_in(each, there)
        elif each.is_file() and there.is_file():
            each.replace(there)
        else:
            raise InputError(f"{there} is in the way; name a folder that is new or empty")


# ------------------------------------------------------------- what comes through


@dataclass
class _Gate:
    """What the members of an archive are held against, one by one, in any format."""

    archive: str
    place: Path
    wanted: Wanted
    most: int
    seen: set[str] = field(default_factory=set)
    size: int = 0
    files: int = 0

    def refuse(self, why: str) -> InputError:
        """The error that says so."""
        return InputError(f"{self.archive} {why}; it is not unpacked: get it from its own record")

    def path(self, name: str) -> Path:
        """Where a member of this name may lie."""
        parts = PurePosixPath(name).parts
        if not parts or re.search(r"[\x00-\x1f\\]", name) or re.match(r"[A-Za-z]:", name):
            raise self.refuse(f"holds the name {name!r}")
        if name.startswith("/") or ".." in parts:
            raise self.refuse(f"holds {name!r}, which leads out of the folder")
        return self.place.joinpath(*parts)

    def count(self, name: str, size: int) -> None:
        """Take note of a file, wanted or not."""
        self.files += 1
        self.size += size
        self.check_size()
        plain = str(PurePosixPath(name))
        if plain in self.seen:
            raise self.refuse(f"holds {name!r} twice")
        self.seen.add(plain)

    def check_size(self) -> None:
        """InputError where the archive holds more than an honest one would."""
        if self.size > self.most or self.files > MOST_FILES:
            raise self.refuse(
                f"would become {self.size} bytes in {self.files} files and more; "
                f"{self.most} and {MOST_FILES} are the most that is believed"
            )

    def check_link(self, name: str, target: str, start: PurePosixPath) -> None:
        """Refuse a link that leaves; an inner one, told from this folder on, is left out."""
        depth = 0
        for part in (*start.parts, *PurePosixPath(target).parts):
            depth += -1 if part == ".." else 1
            if depth < 0 or part == "/":
                raise self.refuse(f"holds {name!r}, a link that leads out to {target!r}")
        log.warning("%s: %s is a link to %s and is left out", self.archive, name, target)

    def write(self, name: str, content: IO[bytes]) -> None:
        """Write a wanted file."""
        path = self.path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with full_disk(self.place.parent), path.open("xb") as file:
                shutil.copyfileobj(content, file, 2**20)
        except (FileExistsError, NotADirectoryError) as error:
            raise self.refuse(f"holds {name!r} as a file and as a folder") from error

    def result(self, count: int) -> Unpacked:
        """What came out; InputError if nothing."""
        if not count:
            raise InputError(
                f"none of the {self.files} files of {self.archive} is wanted; "
                "see whether what was chosen is spelt as the data set spells it"
            )
        return Unpacked(count, tuple(sorted(path.name for path in self.place.iterdir())))

    def check_room(self, needed: int) -> None:
        """InputError where the disk has no room for what is wanted."""
        check_room(self.place.parent, needed, f" to unpack {self.archive}")


MISLED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""Where a header that lies leads the libraries that read it."""


@contextmanager
def _understood(gate: _Gate, *errors: type[Exception]) -> Iterator[None]:
    """What a broken archive raises, in one line."""
    caught: tuple[type[Exception], ...] = (*errors, *MISLED, OSError)
    try:
        yield
    except InputError:
        raise
    except caught as error:
        of_disk = isinstance(error, OSError) and not isinstance(error, errors)
        if of_disk and getattr(error, "errno", 0) not in (errno.EINVAL, errno.ENAMETOOLONG):
            raise
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{gate.archive} is broken ({why[:120]}); get it again") from error


# ------------------------------------------------------------- tar


class _Member(tarfile.TarInfo):
    """A member whose header is read only where it is of an honest size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        """The member that 512 bytes tell of."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in LONG_HEADERS and member.size > HEADER:
            raise tarfile.ReadError(f"a header of {member.size} bytes")
        return member


def untar(
    stream: IO[bytes], gate: _Gate, progress: Callable[[], object] = lambda: None
) -> Unpacked:
    """Write the wanted files of a tar or tar.gz that is read once."""
    count = 0
    zipped = not gate.archive.lower().endswith(".tar")
    broken = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error)
    with _understood(gate, *broken):
        source = gzip.GzipFile(fileobj=stream) if zipped else stream
        with tarfile.open(fileobj=source, mode="r|", tarinfo=_Member) as tar:
            for member in _members(tar):
                if _passes(member, gate) and gate.wanted(member.name):
                    if count % 100 == 0:
                        gate.check_room(member.size)
                    content = tar.extractfile(member)
                    assert content is not None
                    gate.write(member.name, content)
                    count += 1
                progress()
        while behind := source.read(2**20):  # padding, and the checksum of gzip
            gate.size += len(behind)
            gate.check_size()
    return gate.result(count)


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """One after the other; none is kept, for there are hundreds of thousands."""
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]


def _passes(member: tarfile.TarInfo, gate: _Gate) -> bool:
    """Whether a member is a file that may come out; InputError where it gives the archive away."""
    if member.isdir() and member.name == ".":
        return False
    gate.path(member.name)
    if member.issym() or member.islnk():
        # A hard link names its target from the top of the archive, a soft one from beside itself.
        start = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
        gate.check_link(member.name, member.linkname, start)
        return False
    if member.isdir():
        return False
    if not member.isreg() or member.issparse():
        raise gate.refuse(f"holds {member.name!r}, which is neither a file nor a folder")
    if second := getattr(tarfile, "data_filter", None):  # of Python 3.11.4 and later
        second(member, str(gate.place))
    gate.count(member.name, member.size)
    return True


# ------------------------------------------------------------- zip


def _unzip(archive: Path, gate: _Gate, progress: Progress) -> Unpacked:
    broken = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
    with _understood(gate, *broken), zipfile.ZipFile(archive) as file:
        chosen = [each for each in file.infolist() if _passes_zip(each, gate)]
        chosen = [each for each in chosen if gate.wanted(each.filename)]
        total, done = sum(each.file_size for each in chosen), 0
        gate.check_room(total)
        for each in chosen:
            with file.open(each) as content:
                gate.write(each.filename, content)
            done += each.file_size
            progress(done, total)
    return gate.result(len(chosen))


def _passes_zip(member: zipfile.ZipInfo, gate: _Gate) -> bool:
    gate.path(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise gate.refuse(f"holds {member.filename!r}, which is neither a file nor a folder")
    if member.flag_bits & 1:
        raise gate.refuse(f"holds {member.filename!r}, which is encrypted")
    if member.is_dir():
        return False
    gate.count(member.filename, member.file_size)
    return True


# ------------------------------------------------------------- 7z


def _unpack_7z(archive: Path, gate: _Gate) -> Unpacked:
    try:
        import py7zr
        from py7zr.exceptions import ArchiveError, PasswordRequired
    except ImportError as error:
        raise InputError(
            f"{archive.name} needs the package py7zr; install sitsr[sen2venus], or unpack it by "
            "hand"
        ) from error
    import lzma

    broken = (ArchiveError, PasswordRequired, lzma.LZMAError, EOFError, zlib.error)
    with _understood(gate, *broken), py7zr.SevenZipFile(archive) as file:
        if file.needs_password():
            raise gate.refuse("is encrypted")
        chosen = [each for each in file.list() if _passes_7z(each, gate)]
        chosen = [each for each in chosen if gate.wanted(each.filename)]
        gate.check_room(sum(each.uncompressed for each in chosen))
        if chosen:
            file.extract(gate.place, targets=[each.filename for each in chosen])
    _check_plain(gate.place.rglob("*"), gate)
    return gate.result(len(chosen))


def _passes_7z(member: Any, gate: _Gate) -> bool:
    gate.path(member.filename)
    if member.is_directory:
        return False
    if not member.is_file:
        raise gate.refuse(f"holds {member.filename!r}, which is neither a file nor a folder")
    gate.count(member.filename, member.uncompressed)
    return True


def _check_plain(paths: Iterable[Path], gate: _Gate) -> None:
    """Nothing but files and folders has come out of a library that does its own writing."""
    for path in paths:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise gate.refuse(f"made {path.name!r}, which is neither a file nor a folder")
