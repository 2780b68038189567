"""What is known of a data set, in records that say what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sitsr.datasets.pairs import Fault, Source
from sitsr.series import InputError

Read = Callable[[Path, str | None], list[Source]]

Host = Literal["zenodo", "dataverse", "direct", "by hand"]
"""Who serves a record, and so how its files are listed; "direct" where their addresses are known,
"by hand" where only a person at a browser is let in."""

Weights = Literal["any use", "non-commercial", "not stated"]
"""What may be done with weights that were trained on the images. "not stated": keep them."""


def no_faults(folder: Path) -> Iterator[tuple[str, str, Fault]]:
    """Of a data set whose tables are not looked at."""
    yield from ()


@dataclass(frozen=True, slots=True)
class Licence:
    """Who may do what with the images."""

    name: str
    url: str | None
    """Where it is stated, or its text."""
    weights: Weights
    note: str = ""
    """What else to know before acknowledging it."""


@dataclass(frozen=True, slots=True)
class Record:
    """A published state of a data set, and how to come by its files."""

    edition: str
    """What tells it from the other records of the data set."""
    host: Host
    identifier: str
    """Zenodo's number, Dataverse's DOI; of "direct" the path of the one file."""
    page: str
    """For people."""
    md5: Mapping[str, str] = field(default_factory=dict)
    """Checksums that bind, by the name of the file."""
    default: tuple[str, ...] = ()
    """The files that are fetched if none are named; all of them where it is empty."""
    gigabytes: float | None = None
    """About how much the whole record is (10⁹ bytes), for people."""


@dataclass(frozen=True, slots=True)
class Known:
    """A public data set."""

    name: str
    """What commands call it."""
    title: str
    summary: str
    """One line: sensors, resolutions, dates, extent."""
    kind: str
    """Of its pairs, see ``pairs``."""
    scale: str
    licence: Licence
    cite: str
    home: str
    records: tuple[Record, ...]
    """The first is what is meant if none is named."""
    layout: str
    """What lies in the folder once it is unpacked."""
    page: str
    """In the documentation."""
    read: Read
    """The pairs of a folder, of one split or of all."""
    is_there: Callable[[Path], bool]
    """Whether a folder is laid out as the data set is."""
    parts: Literal["tiles", "archives", "none"] = "none"
    """What a part of it is fetched by: tiles within the archives, or archives of a site each."""
    expansion: float = 2.0
    """Bytes on disk for a byte of archive: a guess on the safe side, for the check of room."""
    as_published: Read | None = None
    """Reads it with its splits as they were published, where ``read`` mends them."""
    faults: Callable[[Path], Iterator[tuple[str, str, Fault]]] = no_faults
    """(site, patch, fault) of its tables, before a pixel is read."""

    def record(self, edition: str | None = None) -> Record:
        """The record of an edition; the first if none is named."""
        found = [each for each in self.records if edition in (None, each.edition)]
        if not found:
            editions = ", ".join(each.edition for each in self.records)
            raise InputError(f"{self.title} has no edition {edition}; choose from {editions}")
        return found[0]
