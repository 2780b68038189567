"""Room on a disk."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sitsr.series import InputError


def check_room(folder: Path, needed: int, what: str = "") -> None:
    """InputError where the disk that holds a folder, or will, has fewer bytes free than needed."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if needed > free:
        raise InputError(
            f"{folder} has {in_words(free)} free, {in_words(needed)} are needed{what}; "
            "free some, choose another folder, or fetch a smaller part"
        )


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """While something is written into a folder: a disk that is full is said in one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{folder} is full; free some room and give the command again to go on"
        ) from error


def in_words(size: float) -> str:
    """A number of bytes as people read it: "3.1 GB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
