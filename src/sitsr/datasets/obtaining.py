"""Getting a public data set, or a part of it, from its official record into a folder.

    LICENCE.txt       what was acknowledged, and when
    downloaded.json   which archives have been unpacked here, and what of them
    …                 the data set as it was published

Small files come first. An archive comes as a file, is unpacked and removed; of an archive whose
tiles are wanted in part the bytes go straight through the unpacking, for which no room is needed
but for the part. What ``downloaded.json`` names is not fetched again.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from sitsr.datasets.choosing import Choice, chosen_files, chosen_tiles, site_of_archive
from sitsr.datasets.download import (
    ANEW,
    FileChanged,
    Patience,
    Progress,
    Stream,
    check_room,
    fetch,
)
from sitsr.datasets.known import Known, Record
from sitsr.datasets.records import Listing, Remote, list_files
from sitsr.datasets.unpack import Unpacked, Wanted, everything, is_archive, unpack, unpack_stream
from sitsr.series import InputError

log = logging.getLogger(__name__)

LICENCE_FILE, LEDGER = "LICENCE.txt", "downloaded.json"

Told = Callable[[str, int, int | None], object]
"""Told what is done with which file, how many bytes of it are done, and of how many."""


def _nothing(what: str, done: int, total: int | None) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be fetched."""

    known: Known
    record: Record
    listing: Listing
    choice: Choice
    files: tuple[Remote, ...]
    """Small ones first."""

    @property
    def size(self) -> int | None:
        """Bytes that come over the wire; None where the record does not say."""
        sizes = [each.size for each in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)


def planned(
    known: Known,
    choice: Choice | None = None,
    *,
    edition: str | None = None,
    base: str | None = None,
    patience: Patience | None = None,
) -> Plan:
    """Ask the record what there is, and settle what of it is fetched.

    base    who is asked instead of the official server, such as "http://127.0.0.1:8000"

    InputError where the record does not answer as it should, or has no such parts.
    """
    choice = choice or Choice()
    record = known.record(edition)
    listing = list_files(record, base, patience)
    files = chosen_files(known, record.default, listing, choice)
    return Plan(known, record, listing, choice, tuple(files))


def obtain(
    plan: Plan,
    folder: Path,
    *,
    accept_licence: bool,
    keep: bool = False,
    patience: Patience | None = None,
    told: Told = _nothing,
) -> int:
    """Fetch and unpack what was planned into a folder; how many files came out of archives.

    accept_licence    that the licence was read, which is noted beside the data
    keep              keep the archives; else they are removed when they are unpacked

    Give it again and it goes on. InputError where the licence is not acknowledged, something does
    not come whole, is not to be trusted, or there is no room.
    """
    if not accept_licence:
        raise InputError(
            f"the licence of {plan.known.title} is not acknowledged ({plan.known.licence.name}); "
            "read it and say so with --accept-licence"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    acknowledge(plan, folder, date.today())
    for each in plan.files:
        if not is_archive(each.name):
            _fetch(each, folder / each.name, patience, told)
    tiles = None
    if plan.known.parts == "tiles" and plan.choice.is_part:
        tiles = chosen_tiles(folder, plan.choice)
    archives = [each for each in plan.files if is_archive(each.name)]
    missing = {each.name: _missing(folder, each, tiles) for each in archives}
    archives = [each for each in archives if missing[each.name] != frozenset()]
    _check_room(plan, folder, archives, tiles, keep)
    count = 0
    for each in archives:
        wanted = missing[each.name]
        # Whether an archive of a site holds the folder of that name is told nowhere.
        top = site_of_archive(each.name) if plan.known.parts == "archives" else None
        count += _obtain(each, folder, wanted, keep=keep, top=top, patience=patience, told=told)
    return count


def _obtain(
    remote: Remote,
    folder: Path,
    tiles: frozenset[str] | None,
    *,
    keep: bool,
    top: str | None,
    patience: Patience | None,
    told: Told,
) -> int:
    """Fetch and unpack one archive, or some tiles of it; how many files came out."""
    archive = folder / remote.name
    keep |= archive.exists()  # as an earlier call was told to
    wanted = everything if tiles is None else partial_of(tiles)
    if tiles is not None and not keep and ".tar" in remote.name:
        done = _through(remote, folder, wanted, patience, told)
    else:
        _fetch(remote, archive, patience, told)
        told(f"unpacking {remote.name}", 0, None)
        progress = _progress(told, f"unpacking {remote.name}")
        done = unpack(archive, folder, wanted, top=top, progress=progress)
    if top is not None:
        done = done._replace(tops=(top,))
    _remember(folder, remote, tiles, done)
    if not keep:
        archive.unlink(missing_ok=True)
    return done.files


def partial_of(tiles: frozenset[str]) -> Wanted:
    """Whether a file of an archive lies in the folder of one of these tiles."""
    return lambda name: not tiles.isdisjoint(PurePosixPath(name).parts)


def _through(
    remote: Remote, folder: Path, wanted: Wanted, patience: Patience | None, told: Told
) -> Unpacked:
    """Unpack an archive as it comes."""
    for _ in range(ANEW):
        stream = Stream(
            remote.url,
            md5=remote.md5,
            size=remote.size,
            patience=patience,
            progress=_progress(told, remote.name),
        )
        try:
            with io.BufferedReader(stream, 2**20) as read:
                return unpack_stream(read, remote.name, folder, wanted, remote.size, stream.finish)
        except FileChanged:
            log.warning("%s has changed; it is begun anew", remote.url)
    raise InputError(f"{remote.url} changed {ANEW} times while it was fetched; try again later")


def _fetch(remote: Remote, path: Path, patience: Patience | None, told: Told) -> None:
    progress = _progress(told, remote.name)
    fetch(
        remote.url,
        path,
        md5=remote.md5,
        size=remote.size,
        patience=patience,
        progress=progress,
    )


def _progress(told: Told, what: str) -> Progress:
    return lambda done, total: told(what, done, total)


def _check_room(
    plan: Plan, folder: Path, archives: list[Remote], tiles: frozenset[str] | None, keep: bool
) -> None:
    """InputError where the disk has no room for what is kept, and for the largest that is not."""
    sizes = [each.size or 0 for each in archives]
    share = 1.0 if tiles is None else len(tiles) / len(chosen_tiles(folder, Choice()))
    unpacked = plan.known.expansion * share * sum(sizes)
    largest = 0 if tiles is not None else max(sizes, default=0)
    packed = sum(sizes) if keep else largest
    there = sum(
        path.stat().st_size
        for each in archives
        for path in (folder / each.name, folder / f"{each.name}.part")
        if path.exists()
    )
    check_room(folder, int(unpacked) + max(0, packed - there), " (an estimate)")


# ------------------------------------------------------------- what is noted beside the data


def acknowledge(plan: Plan, folder: Path, today: date) -> None:
    """Note in a folder who may do what with its images, and when that was acknowledged."""
    path, known = folder / LICENCE_FILE, plan.known
    line = f"Acknowledged on {today} for: {plan.choice}\n"
    if path.is_file():
        former = path.read_text(encoding="utf-8")
        if line not in former:
            path.write_text(former + line, encoding="utf-8")
        return
    path.write_text(f"{statement(known, plan.listing.licence)}\n{line}", encoding="utf-8")


def statement(known: Known, said: str | None = None) -> str:
    """What is to be acknowledged; ``said`` is what the record itself states."""
    licence = known.licence
    weights = {
        "any use": "may be passed on and used for anything",
        "non-commercial": "are not for commercial use; their card says so",
        "not stated": "are not to be passed on: no licence is known that allows it",
    }[licence.weights]
    lines = [
        known.title,
        f"Licence: {licence.name}",
        *([f"The record states: {said}"] if said else []),
        *([f"See: {licence.url}"] if licence.url else []),
        f"Weights that are trained on it {weights}.",
        *([licence.note] if licence.note else []),
        f"To cite: {known.cite}",
        f"Home: {known.home}",
    ]
    return "\n".join(lines) + "\n"


def unpacked_here(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """What was unpacked into a folder, by archive: md5, size, tiles (None: all), files, tops."""
    try:
        told = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _missing(folder: Path, remote: Remote, tiles: frozenset[str] | None) -> frozenset[str] | None:
    """The tiles that are still to come out of an archive; None for all of it."""
    entry = unpacked_here(folder).get(remote.name)
    try:
        if not entry or (entry["md5"], entry["size"]) != (remote.md5, remote.size):
            return tiles
        if not all((folder / top).exists() for top in entry["tops"]):
            return tiles
        if entry["tiles"] is None:
            return frozenset()
        return None if tiles is None else tiles - set(entry["tiles"])
    except (KeyError, TypeError):
        return tiles


def _remember(folder: Path, remote: Remote, tiles: frozenset[str] | None, done: Unpacked) -> None:
    ledger = dict(unpacked_here(folder))
    if tiles is not None:
        entry = ledger.get(remote.name) or {}
        if entry.get("md5") == remote.md5:
            tiles |= set(entry.get("tiles") or ())
    ledger[remote.name] = {
        "md5": remote.md5,
        "size": remote.size,
        "tiles": None if tiles is None else sorted(tiles),
        "files": done.files,
        "tops": list(done.tops),
    }
    part = folder / f"{LEDGER}.part"
    part.write_text(json.dumps(ledger, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(folder / LEDGER)
