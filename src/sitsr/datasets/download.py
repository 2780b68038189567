"""Files from the net, over connections that break: resumed, checked, whole or not at all.

A ``Stream`` is a remote file as bytes to read; where the connection breaks off or stalls, it asks
for the rest. ``fetch`` writes one to disk; ``sitsr.datasets.unpack`` takes one as it takes a file,
so that part of a large archive needs no room for the whole. What arrives is worth nothing until
its MD5, the only sum that records state, has been held against it: both do.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitsr.series import InputError

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, int], object]

PIECE = 2**20
"""Bytes that are read at once."""


@dataclass(frozen=True)
class Remote:
    """A file somewhere else."""

    name: str
    url: str
    size: int | None = None
    """Bytes, where it is stated."""
    md5: str | None = None
    """Hexadecimal, where it is stated."""


@dataclass(frozen=True)
class Patience:
    """With what is unreachable."""

    tries: int = 6
    """In a row that bring nothing, before it is given up."""
    pause: float = 1.0
    """Seconds before the second try; doubled for each one after."""
    stall: float = 60.0
    """Seconds without a byte after which a connection counts as broken."""


class Changed(Exception):
    """The remote file is not the one that was begun."""


class Stream(io.RawIOBase):
    """A remote file from a byte on, which connects again by itself."""

    def __init__(
        self,
        remote: Remote,
        start: int = 0,
        tag: str = "",
        patience: Patience = Patience(),
    ) -> None:
        """tag: what told the file from others when its first bytes were read; "" if none were."""
        super().__init__()
        self.remote, self.patience = remote, patience
        self.position, self.tag, self.size = start, tag, remote.size
        self._answer: requests.Response | None = None
        self._failed = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end. InputError where it is given up, Changed if it has."""
        while True:
            try:
                if self._answer is None:
                    self._answer = self._connected()
                piece = self._answer.raw.read(len(buffer), decode_content=False)
            except self._breaks() as error:
                self._again(error)
                continue
            if piece:
                self.position += len(piece)
                self._failed = 0
                buffer[: len(piece)] = piece
                return len(piece)
            if self.size is None or self.position >= self.size:
                return 0
            self._again("it ended early")

    def close(self) -> None:
        self._drop()
        super().close()

    def _breaks(self) -> tuple[type[Exception], ...]:
        import requests
        import urllib3

        return requests.RequestException, urllib3.exceptions.HTTPError, OSError

    def _drop(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _again(self, why: object) -> None:
        self._drop()
        self._failed += 1
        if self._failed >= self.patience.tries:
            reason = str(why).partition("\n")[0]
            raise InputError(
                f"{self.remote.url} cannot be had ({reason}); try again later, what is there stays"
            )
        time.sleep(self.patience.pause * 2 ** (self._failed - 1))

    def _connected(self) -> requests.Response:
        """An answer whose next byte is the one at our position."""
        import requests

        wanted = {"Accept-Encoding": "identity"}
        if self.position:
            wanted["Range"] = f"bytes={self.position}-"
            wanted |= {"If-Range": self.tag} if self.tag.startswith('"') else {}
        times = (self.patience.stall, self.patience.stall)
        answer = requests.get(self.remote.url, headers=wanted, stream=True, timeout=times)
        try:
            self._check(answer)
        except BaseException:
            answer.close()
            raise
        return answer

    def _check(self, answer: requests.Response) -> None:
        """Refuse what is not the rest of our file, and go to where it begins."""
        import requests

        if answer.status_code >= 500 or answer.status_code == 429:
            raise requests.HTTPError(f"the server answers {answer.status_code}")
        if answer.status_code == 416:
            raise Changed
        if answer.status_code not in (200, 206):
            raise InputError(f"{self.remote.url} answers {answer.status_code}; is it still there?")
        self._recognise(answer)
        if answer.status_code == 206:
            self._check_range(answer)
        else:
            self._pass_over(answer)

    def _recognise(self, answer: requests.Response) -> None:
        """Refuse to go on with another file than the one begun."""
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if self.position and self.tag and tag and tag != self.tag:
            raise Changed
        self.tag = tag or self.tag

    def _check_range(self, answer: requests.Response) -> None:
        said = answer.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", said)
        if not found or int(found[1]) != self.position:
            raise InputError(
                f"{self.remote.url} was asked for bytes from {self.position} and answers "
                f"{said or 'without saying which'}; get it by hand"
            )
        self._sized(None if found[2] == "*" else int(found[2]))

    def _pass_over(self, answer: requests.Response) -> None:
        """The server sends all: what we have already is read and dropped."""
        length = answer.headers.get("Content-Length", "")
        self._sized(int(length) if length.isdigit() else None)
        left = self.position
        while left:
            piece = answer.raw.read(min(PIECE, left), decode_content=False)
            if not piece:
                raise OSError("it ended early")
            left -= len(piece)

    def _sized(self, size: int | None) -> None:
        if size is not None and self.remote.size is not None and size != self.remote.size:
            raise InputError(
                f"{self.remote.url} is {size} bytes, its record says {self.remote.size}; "
                "get it by hand, or wait until one is put right"
            )
        self.size = size if size is not None else self.size


class Hashing(io.RawIOBase):
    """What is read from a stream, and its MD5 so far."""

    def __init__(self, stream: Stream, progress: Progress = lambda done, total: None) -> None:
        super().__init__()
        self.stream, self.progress = stream, progress
        self.sum = hashlib.md5(usedforsecurity=False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self.stream.readinto(buffer)
        self.sum.update(buffer[:count])
        self.progress(self.stream.position, self.stream.size or 0)
        return count

    def finish(self) -> None:
        """Read what is left, and hold the sum of all against the one stated."""
        while self.read(PIECE):
            pass
        check_sum(self.stream.remote, self.sum.hexdigest())


def check_sum(remote: Remote, found: str) -> None:
    """InputError where a file is not what its record states."""
    if remote.md5 is not None and found != remote.md5:
        raise InputError(
            f"{remote.name} arrived with MD5 {found}, its record says {remote.md5}; "
            "what came is thrown away, get it again"
        )


def fetch(
    remote: Remote,
    path: Path,
    progress: Progress = lambda done, total: None,
    patience: Patience = Patience(),
) -> Path:
    """The remote file at this path, which appears when it is whole and right.

    Stopped, it leaves PATH.part to go on with. progress is told (bytes there, bytes in all). A file
    that is there and right is not fetched again. InputError where it cannot be had, is not what was
    stated, or does not fit on the disk.
    """
    if path.exists() and _is_right(remote, path):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part, mark = (path.with_name(path.name + ending) for ending in (".part", ".part.tag"))
    while True:
        begun = part.stat().st_size if part.exists() and mark.exists() else 0
        room_for((remote.size or 0) - begun, path.parent)
        try:
            found = _fetched(remote, part, mark, progress, patience)
            break
        except Changed:
            part.unlink(missing_ok=True)
    try:
        check_sum(remote, found)
    except InputError:
        part.unlink()
        raise
    finally:
        mark.unlink(missing_ok=True)
    part.replace(path)
    return path


def _fetched(remote: Remote, part: Path, mark: Path, progress: Progress, patience: Patience) -> str:
    """Append what is missing to the part; gives the MD5 of all."""
    tag = mark.read_text() if mark.exists() else ""
    begun = part.stat().st_size if part.exists() and mark.exists() else 0
    summed = hashlib.md5(usedforsecurity=False)
    with (
        part.open("r+b" if begun else "wb") as file,
        Stream(remote, begun, tag, patience) as stream,
    ):
        for piece in iter(lambda: file.read(PIECE) if begun else b"", b""):
            summed.update(piece)
        while piece := stream.read(PIECE):
            if not mark.exists():
                mark.write_text(stream.tag)
            file.write(piece)
            summed.update(piece)
            progress(stream.position, stream.size or 0)
    return summed.hexdigest()


def _is_right(remote: Remote, path: Path) -> bool:
    if remote.size is not None and path.stat().st_size != remote.size:
        return False
    if remote.md5 is None:
        return remote.size is not None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == remote.md5


def room_for(size: int, folder: Path) -> None:
    """InputError where the disk has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{folder} has {free / 1e9:.1f} GB free and {size / 1e9:.1f} GB are to come; "
            "make room, or name a folder elsewhere"
        )
