"""A public data set onto the disk: which files, which part of them, with whose leave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sitsr.datasets.download import (
    Changed,
    Hashing,
    Patience,
    Progress,
    Remote,
    Stream,
    fetch,
    room_for,
)
from sitsr.datasets.known import Known, known
from sitsr.datasets.unpack import Wanted, unpack, unpack_stream
from sitsr.datasets.worldstrat import SPLIT_FILE, grouped_splits, read_splits, site_of
from sitsr.series import InputError

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip", ".7z")

UNPACKED = 1.5
"""Times an archive's own size that is kept free for what is in it."""


USUAL = Patience()


@dataclass(frozen=True)
class Choice:
    """Part of a data set."""

    files: tuple[str, ...] = ()
    """Names in the record; none is the usual ones."""
    split: str | None = None
    """"train", "validation" or "test" of WorldStrat, without leaks."""
    cover: str | None = None
    """IPCC class of WorldStrat, such as "Forest"."""
    sites: int | None = None
    """So many, in an order that is drawn once for all by `seed`."""
    seed: int = 0

    @property
    def part(self) -> bool:
        """Whether it is less than whole files."""
        return (self.split, self.cover, self.sites) != (None, None, None)


def get(
    name: str,
    out: Path,
    choice: Choice = Choice(),
    progress: Callable[[str], Progress] = lambda file: lambda done, total: None,
    *,
    keep: bool = False,
    host: str | None = None,
    patience: Patience = USUAL,
) -> list[Path]:
    """Fetch a data set into a folder and unpack it there; gives the files that were fetched.

    progress is asked for by the name of each file. Of whole archives what is on the way is kept, so
    that a stopped run goes on; they are removed when unpacked, unless `keep`. Of a part of
    WorldStrat the archives are read as they arrive and never lie on the disk: stopped, they are
    read again from their start. InputError where the record cannot be had or the choice is empty.
    """
    told = known(name)
    if told.record is None:
        raise InputError(
            f"no record of {told.title} is known; get it from its authors: {told.cite}"
        )
    if choice.part and name not in ("worldstrat", "sen2venus"):
        raise InputError(f"{told.title} is fetched whole; leave split, class and sites out")
    out.mkdir(parents=True, exist_ok=True)
    remotes = _chosen_files(name, told, told.record.files(host), choice)
    tables = [each for each in remotes if not each.name.endswith(ARCHIVES)]
    done = [fetch(each, out / each.name, progress(each.name), patience) for each in tables]
    wanted = _wanted(out, choice) if choice.part and name == "worldstrat" else None
    for each in remotes:
        if each in tables or _unpacked(out, each, choice).exists():
            continue
        if wanted is not None:
            _streamed(each, out, wanted, progress(each.name), patience)
        else:
            archive = _fetched(each, out, progress(each.name), patience)
            unpack(archive, _folder(name, each, out))
            if not keep:
                archive.unlink()
        _unpacked(out, each, choice).touch()
        done.append(out / each.name)
    return done


def acknowledge(name: str, out: Path, day: date) -> Path:
    """Note beside the data under which licence it was fetched, and when that was acknowledged."""
    told = known(name)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "LICENCE.txt"
    lines = (
        f"{told.title}: {told.licence}",
        f"Terms: {told.terms}",
        f"Record: {told.record.page if told.record else 'none'}",
        f"Cite: {told.cite}",
        f"Acknowledged on {day}",
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _chosen_files(name: str, told: Known, there: Sequence[Remote], choice: Choice) -> list[Remote]:
    names = [each.name for each in there]
    asked = choice.files or told.usual or names
    if missing := [each for each in asked if each not in names]:
        raise InputError(f"the record holds no {', '.join(missing)}; it holds {', '.join(names)}")
    found = [each for each in there if each.name in asked]
    if name == "sen2venus" and choice.part:
        if choice.split or choice.cover:
            raise InputError("Sen2Venµs has no splits and no classes; choose by sites")
        archives = [each for each in found if each.name.endswith(ARCHIVES)]
        some = _drawn([each.name for each in archives], choice)
        found = [each for each in found if each not in archives or each.name in some]
    return found


def _wanted(out: Path, choice: Choice) -> Wanted:
    """Which members of WorldStrat's archives belong to the tiles that are chosen."""
    rows = read_splits(out / SPLIT_FILE)
    splits = grouped_splits(rows)
    cover = {row.tile: row.tags.get("IPCC Class", "") for row in rows}
    tiles = [
        tile
        for tile, split in splits.items()
        if choice.split in (None, split) and choice.cover in (None, cover[tile])
    ]
    sites = set(_drawn(sorted({site_of(tile) for tile in tiles}), choice))
    chosen = {tile for tile in tiles if site_of(tile) in sites}
    if not chosen:
        raise InputError(
            f"no tile is in split {choice.split} with class {choice.cover}; "
            f"classes are {', '.join(sorted(set(cover.values()) - {''}))}"
        )
    return lambda member: not chosen.isdisjoint(member.split("/"))


def _drawn(names: Sequence[str], choice: Choice) -> list[str]:
    def lot(name: str) -> bytes:
        return hashlib.sha256(f"{choice.seed} {name}".encode()).digest()

    return sorted(names, key=lot)[: choice.sites]


def _unpacked(out: Path, remote: Remote, choice: Choice) -> Path:
    """Stands for an archive whose chosen part is unpacked."""
    part = hashlib.sha256(repr(choice).encode()).hexdigest()[:8] if choice.part else "whole"
    return out / f".{remote.name}.{part}"


def _folder(name: str, remote: Remote, out: Path) -> Path:
    """Where an archive is unpacked: those of Sen2Venµs are named after their sites."""
    return out / remote.name.partition(".")[0] if name == "sen2venus" else out


def _fetched(remote: Remote, out: Path, progress: Progress, patience: Patience) -> Path:
    room_for(int((remote.size or 0) * (1 + UNPACKED)) - _there(out / remote.name), out)
    return fetch(remote, out / remote.name, progress, patience)


def _there(path: Path) -> int:
    part = path.with_name(path.name + ".part")
    return next((each.stat().st_size for each in (path, part) if each.exists()), 0)


def _streamed(
    remote: Remote, out: Path, wanted: Wanted, progress: Progress, patience: Patience
) -> None:
    """Unpack what is wanted of an archive while it arrives."""
    while True:
        with Stream(remote, patience=patience) as stream:
            try:
                file = Hashing(stream, progress)
                unpack_stream(file, remote.name, remote.size, out, wanted)
                return
            except Changed:
                continue
