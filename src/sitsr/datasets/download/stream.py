"""A file on a server that is read like one on disk, once, from beginning to end."""

from __future__ import annotations

import hashlib
import io

from sitsr.datasets.download.connection import PIECE, Patience, Version, pieces
from sitsr.datasets.download.files import Progress, no_progress
from sitsr.series import InputError


class Stream(io.RawIOBase):
    """The bytes of a file on a server, to be read once from beginning to end.

    After the last read ``finish`` reads what is left and holds the checksum against ``md5``.
    """

    def __init__(
        self,
        url: str,
        *,
        md5: str | None = None,
        size: int | None = None,
        patience: Patience | None = None,
        progress: Progress = no_progress,
    ) -> None:
        super().__init__()
        self._url, self._md5, self._progress = url, md5, progress
        self._pieces = pieces(url, size=size, patience=patience)
        self._left, self._done, self._digest = (
            memoryview(b""),
            0,
            hashlib.md5(usedforsecurity=False),
        )

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """The next bytes, as many as are at hand; 0 at the end."""
        if not self._left:
            version, piece = next(self._pieces, (Version(), b""))
            self._digest.update(piece)
            self._done += len(piece)
            self._left = memoryview(piece)
            if piece:
                self._progress(self._done, version.total)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count

    def finish(self) -> None:
        """Read to the end; InputError where the checksum is another than was expected."""
        buffer = memoryview(bytearray(PIECE))
        while self.readinto(buffer):
            pass
        found = self._digest.hexdigest()
        if self._md5 and found != self._md5:
            raise InputError(
                f"{self._url} came with the checksum {found}, {self._md5} was expected; nothing "
                "of it is kept: give the command again"
            )

    def close(self) -> None:
        """Hang up."""
        self._pieces.close()  # type: ignore[attr-defined]
        super().close()
