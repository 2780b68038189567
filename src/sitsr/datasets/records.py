"""What the official record of a data set holds: names, sizes and checksums of its files.

Zenodo is asked at /api/records/NUMBER, Dataverse at /api/datasets/:persistentId. Where a data set
is a file of known address alone, nobody needs to be asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from sitsr.datasets.download import Patience, fetch_text
from sitsr.datasets.known import Record
from sitsr.series import InputError

BASES: Mapping[str, str] = {
    "zenodo": "https://zenodo.org",
    "dataverse": "https://dataverse.harvard.edu",
    "direct": "https://kelvins.esa.int",
}
"""Who is asked, by ``Record.host``."""

MOST = 16 * 2**20
"""Bytes that an answer may have; a record of thousands of files has a few million."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of a record."""

    name: str
    url: str
    size: int | None
    """Bytes."""
    md5: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a record says at this moment."""

    files: tuple[Remote, ...]
    licence: str | None
    """In the record's own words."""

    def find(self, name: str) -> Remote:
        """The file of this name; InputError where there is none."""
        for each in self.files:
            if each.name == name:
                return each
        held = ", ".join(each.name for each in self.files[:6])
        more = " …" if len(self.files) > 6 else ""
        raise InputError(f"the record has no file {name}; it has {held}{more}")


def list_files(
    record: Record, base: str | None = None, patience: Patience | None = None
) -> Listing:
    """The files of a record, in its order.

    base    who is asked instead of the official server, such as "http://127.0.0.1:8000"

    InputError where the record can only be fetched by hand, does not answer, answers something
    else, or states another checksum for a file than is known here.
    """
    if record.host == "by hand":
        raise InputError(
            f"{record.identifier} can only be fetched with a browser: get it from {record.page} "
            "and unpack it into a folder of your own"
        )
    root = (base or BASES[record.host]).rstrip("/")
    if record.host == "direct":
        name = record.identifier.rpartition("/")[2]
        only = Remote(name, root + record.identifier, None, record.md5.get(name))
        return Listing((only,), None)
    read = {"zenodo": _zenodo, "dataverse": _dataverse}[record.host]
    url = root + _question(record)
    answer = _json(url, fetch_text(url, MOST, patience or Patience()))
    try:
        listing = read(answer, root)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{url} answers something else than a record ({type(error).__name__}: {error}); "
            f"see {record.page}"
        ) from error
    _check(listing, record)
    return listing


def _question(record: Record) -> str:
    if record.host == "zenodo":
        return f"/api/records/{record.identifier}"
    return f"/api/datasets/:persistentId/?persistentId={quote(record.identifier, safe=':/')}"


def _zenodo(answer: Any, root: str) -> Listing:
    files = tuple(
        Remote(
            str(each["key"]),
            str(each["links"]["self"]),
            int(each["size"]),
            _md5(str(each["checksum"])),
        )
        for each in answer["files"]
    )
    licence = (answer.get("metadata") or {}).get("license") or {}
    return Listing(files, licence.get("id"))


def _dataverse(answer: Any, root: str) -> Listing:
    version = answer["data"]["latestVersion"]
    files = tuple(
        Remote(
            str(each["dataFile"]["filename"]),
            f"{root}/api/access/datafile/{int(each['dataFile']['id'])}",
            int(each["dataFile"]["filesize"]),
            _md5(f"md5:{each['dataFile']['md5']}"),
        )
        for each in version["files"]
    )
    return Listing(files, (version.get("license") or {}).get("name"))


def _md5(text: str) -> str | None:
    """Of "md5:0123…"; None of a checksum of another kind."""
    kind, _, value = text.partition(":")
    return value.lower() if kind == "md5" and re.fullmatch(r"[0-9a-fA-F]{32}", value) else None


def _json(url: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{url} answers no JSON; try again later") from error


def _check(listing: Listing, record: Record) -> None:
    """Names that are names, addresses of the web, and the checksums that bind."""
    for each in listing.files:
        if not re.fullmatch(r"\w[\w .()+-]*", each.name):
            raise InputError(f"{record.page} names a file {each.name!r}, which is no plain name")
        if urlsplit(each.url).scheme not in ("https", "http") or (each.size or 0) < 0:
            raise InputError(f"{record.page} sends {each.name} to {each.url!r}; wanted https")
        wanted = record.md5.get(each.name)
        if wanted and each.md5 and each.md5 != wanted:
            raise InputError(
                f"{each.name} has the checksum {each.md5} in {record.page}, {wanted} was expected: "
                "it is another file by now; see whether sitsr has been updated for it"
            )
    names = {each.name for each in listing.files}
    if len(names) < len(listing.files) or not names:
        raise InputError(f"{record.page} names no files, or one of them twice; try again later")
