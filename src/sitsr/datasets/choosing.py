"""Parts of a data set that are fetched instead of the whole.

WorldStrat is chosen by tile, from its two tables; Sen2Venµs by site, each of which is an archive.
Sites that are counted off come in an order of their own: that of a checksum of their names and a
seed. So the first ten are among the first twenty, and stay the first ten when others are excluded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sitsr.datasets.known import Known
from sitsr.datasets.records import Listing, Remote
from sitsr.datasets.unpack import ENDINGS, is_archive
from sitsr.datasets.worldstrat import SPLIT_FILE
from sitsr.datasets.worldstrat.splits import SPLITS, read_splits, site_of
from sitsr.datasets.worldstrat.tables import read_areas
from sitsr.series import InputError


@dataclass(frozen=True, slots=True)
class Choice:
    """What part of a data set is wanted; all of it where nothing is said."""

    split: str | None = None
    """"train", "validation" (or "val") or "test"."""
    ground: str | None = None
    """Land cover, a class of the IPCC, such as "Forest"."""
    sites: int | tuple[str, ...] | None = None
    """How many, or which."""
    files: tuple[str, ...] = ()
    """Files of the record, instead of those that are needed to read the data set."""
    seed: int = 0
    """Another one counts off other sites."""

    @property
    def is_part(self) -> bool:
        """Whether anything narrows the ground down."""
        return any(each is not None for each in (self.split, self.ground, self.sites))

    def __str__(self) -> str:
        sites = self.sites if isinstance(self.sites, int | None) else ", ".join(self.sites)
        said = {"split": self.split, "class": self.ground, "sites": sites}
        told = [f"{name} {value}" for name, value in said.items() if value is not None]
        return "; ".join([*told, *self.files]) or "all"


def first(sites: Iterable[str], count: int, seed: int = 0) -> list[str]:
    """So many sites, in the order described above; InputError for fewer than one."""
    if count < 1:
        raise InputError(f"sites is {count}; wanted 1 or more, or names")

    def rank(site: str) -> str:
        return hashlib.md5(f"{seed} {site}".encode(), usedforsecurity=False).hexdigest()

    return sorted(set(sites), key=lambda site: (rank(site), site))[:count]


def chosen_files(
    known: Known, default: Sequence[str], listing: Listing, choice: Choice
) -> list[Remote]:
    """The files of a record that are fetched, what is small and no archive first.

    InputError where the data set cannot be had in such parts, or there is no such file or site.
    """
    _check(known, choice)
    names = choice.files or default or tuple(each.name for each in listing.files)
    if known.parts == "tiles" and choice.is_part:  # which the tables name
        names = (*names, *(name for name in default if not is_archive(name)))
    files = [listing.find(name) for name in dict.fromkeys(names)]
    if known.parts == "archives" and choice.sites is not None:
        sites = {site_of_archive(each.name): each for each in files if is_archive(each.name)}
        keep = _named(sites, choice)
        files = [
            each
            for each in files
            if site_of_archive(each.name) in keep or not is_archive(each.name)
        ]
    return sorted(files, key=lambda each: is_archive(each.name))


def chosen_tiles(folder: Path, choice: Choice) -> frozenset[str]:
    """The tiles of WorldStrat that are meant, by the tables in a folder; InputError if none is."""
    rows, areas = read_splits(folder / SPLIT_FILE), read_areas(folder / "metadata.csv")
    tiles = {row.tile for row in rows} | set(areas)
    if choice.split is not None:
        split = {"val": "validation"}.get(choice.split, choice.split)
        if split not in SPLITS:
            raise InputError(
                f"{split} is not a split of WorldStrat; choose from {', '.join(SPLITS)}"
            )
        tiles &= {row.tile for row in rows if row.split == split}
    if choice.ground is not None:
        said = [(row.tile, row.tags) for row in rows]
        said += [(tile, area.tags) for tile, area in areas.items()]
        tiles &= _of_class(said, choice.ground)
    if choice.sites is not None:
        keep = _named({site_of(tile): tile for tile in tiles}, choice)
        tiles = {tile for tile in tiles if site_of(tile) in keep}
    if not tiles:
        raise InputError(f"no tile of WorldStrat is of {choice}; choose more of it")
    return frozenset(tiles)


def _check(known: Known, choice: Choice) -> None:
    """InputError where a data set knows no such parts."""
    if known.parts == "tiles" or not choice.is_part:
        return
    if known.parts == "none":
        raise InputError(
            f"{known.title} is fetched as a whole; leave out --split, --class, --sites"
        )
    if choice.split is not None or choice.ground is not None:
        raise InputError(f"{known.title} names no splits or classes; choose by --sites")


def _of_class(said: Sequence[tuple[str, Mapping[str, str]]], ground: str) -> set[str]:
    """The tiles of which either table says that class."""
    classes = [(tile, tags["IPCC Class"]) for tile, tags in said if "IPCC Class" in tags]
    chosen = {tile for tile, name in classes if name.casefold() == ground.casefold()}
    if not chosen:
        held = ", ".join(sorted({name for _, name in classes}))
        raise InputError(f"{ground} is no class of WorldStrat's tables; choose from {held}")
    return chosen


def _named(sites: Iterable[str], choice: Choice) -> set[str]:
    """Of these sites the chosen ones."""
    sites = list(sites)
    if isinstance(choice.sites, int):
        return set(first(sites, choice.sites, choice.seed))
    chosen = choice.sites or ()
    if missing := [name for name in chosen if name not in sites]:
        some = ", ".join(sorted(sites)[:8]) + (" …" if len(sites) > 8 else "")
        raise InputError(f"there is no site {missing[0]} to choose from; there are {some}")
    return set(chosen)


def site_of_archive(name: str) -> str:
    """Of "ALSACE.7z" or "ALSACE.zip" the site."""
    ending = next((end for end in ENDINGS if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]
