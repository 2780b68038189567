"""Files that arrive whole, or not at all; what was interrupted is gone on with."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from sitsr.datasets.download.connection import FileChanged, Patience, Version, pieces
from sitsr.datasets.download.room import check_room, full_disk
from sitsr.series import InputError

log = logging.getLogger(__name__)

ANEW = 3
"""How often a file is begun anew because it changed."""

Progress = Callable[[int, int | None], object]
"""Told how many bytes are there, and how many there will be, if that is known."""


def no_progress(done: int, total: int | None) -> None:
    """Tells nobody."""


def fetch(
    url: str,
    path: Path,
    *,
    md5: str | None = None,
    size: int | None = None,
    patience: Patience | None = None,
    progress: Progress = no_progress,
) -> None:
    """Fetch a file; NAME.part holds what has come, and is gone on with by the next call.

    A file that is there already with this checksum (this size, where none is known) is not fetched
    again. InputError where it does not come, comes with another checksum, or there is no room.
    """
    if _is_whole(path, md5, size):
        progress(path.stat().st_size, path.stat().st_size)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    found = _filled(url, part, size, patience, progress)
    if md5 and found != md5:
        _forget(part)
        raise InputError(
            f"{path.name} came with the checksum {found}, {md5} was expected; what came is thrown "
            "away: get it again"
        )
    part.replace(path)
    _note(part).unlink(missing_ok=True)


def _is_whole(path: Path, md5: str | None, size: int | None) -> bool:
    if not path.is_file() or (size is not None and path.stat().st_size != size):
        return False
    if md5 is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest() == md5


def _filled(
    url: str, part: Path, size: int | None, patience: Patience | None, progress: Progress
) -> str:
    """Bring a part to its full length, anew where the file changes; its checksum."""
    try:
        for _ in range(ANEW):
            try:
                return _fill(url, part, size, patience, progress)
            except FileChanged:
                log.warning("%s has changed; it is begun anew", url)
                _forget(part)
        raise InputError(f"{url} changed {ANEW} times while it was fetched; try again later")
    except BaseException:
        if part.is_file() and not part.stat().st_size:
            _forget(part)
        raise


def _fill(
    url: str, part: Path, size: int | None, patience: Patience | None, progress: Progress
) -> str:
    """The same of a file that stays as it is; raises FileChanged where it does not."""
    version = _noted(part, url)
    if version is None or not part.is_file():
        _forget(part)
        version = Version()
    digest, start = _md5(), part.stat().st_size if part.is_file() else 0
    if start:
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: digest)
    total = size if size is not None else version.total
    if total is not None and start == total:
        return digest.hexdigest()
    if total is not None and start > total:
        raise FileChanged
    check_room(part.parent, (total or 0) - start if total else 0)
    with part.open("ab") as file, full_disk(part.parent):
        for now, piece in pieces(url, start=start, version=version, size=size, patience=patience):
            if now != version:
                _note(part).write_text(json.dumps({"url": url, **asdict(now)}))
                version = now
                check_room(part.parent, (now.total or start) - start)
            file.write(piece)
            digest.update(piece)
            start += len(piece)
            progress(start, now.total)
    return digest.hexdigest()


def _note(part: Path) -> Path:
    """Where it is kept what a part is a part of."""
    return part.with_name(f"{part.name}.json")


def _noted(part: Path, url: str) -> Version | None:
    try:
        told = json.loads(_note(part).read_text())
        version = Version(told["etag"], told["modified"], told["total"])
        return version if told["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
