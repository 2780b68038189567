"""Official records of data sets: which files there are, how large, with which sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sitsr.datasets.download import Remote
from sitsr.series import InputError


class Record(Protocol):
    """Where a data set is kept."""

    @property
    def page(self) -> str:
        """For people."""

    def files(self, host: str | None = None) -> list[Remote]:
        """What can be fetched, in order of name. host: another than the official one, for tests."""


@dataclass(frozen=True)
class Zenodo:
    """A record of Zenodo."""

    number: str
    pinned: Mapping[str, str]
    """MD5 by name, of files that it states to us otherwise than it did when this was written."""

    @property
    def page(self) -> str:
        return f"https://zenodo.org/records/{self.number}"

    def files(self, host: str | None = None) -> list[Remote]:
        told = _json(f"{host or 'https://zenodo.org'}/api/records/{self.number}")
        try:
            found = [
                Remote(
                    each["key"],
                    each["links"]["self"],
                    int(each["size"]),
                    each["checksum"].removeprefix("md5:"),
                )
                for each in told["files"]
            ]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{self.page} is told of in another form than known: {error}"
            ) from error
        return _as_pinned(found, self.pinned, self.page)


@dataclass(frozen=True)
class Dataverse:
    """A data set of a Dataverse."""

    doi: str
    pinned: Mapping[str, str]

    @property
    def page(self) -> str:
        return f"https://doi.org/{self.doi.removeprefix('doi:')}"

    def files(self, host: str | None = None) -> list[Remote]:
        host = host or "https://dataverse.harvard.edu"
        told = _json(f"{host}/api/datasets/:persistentId/?persistentId={self.doi}")
        try:
            held = [each["dataFile"] for each in told["data"]["latestVersion"]["files"]]
            found = [
                Remote(
                    each["filename"],
                    f"{host}/api/access/datafile/{int(each['id'])}",
                    int(each["filesize"]),
                    each.get("md5"),
                )
                for each in held
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.page} is told of in another form than known: {error}"
            ) from error
        return _as_pinned(found, self.pinned, self.page)


@dataclass(frozen=True)
class Links:
    """Files at addresses that are known by heart."""

    page: str
    held: tuple[Remote, ...]

    def files(self, host: str | None = None) -> list[Remote]:
        if host is None:
            return list(self.held)
        return [Remote(each.name, f"{host}/{each.name}") for each in self.held]


def _json(url: str) -> Any:
    import requests

    try:
        answer = requests.get(url, timeout=60)
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{url} cannot be had ({reason}); try again later") from error


def _unknown(page: str, why: Exception) -> InputError:
    return InputError(f"{page} is told of in another form than known ({why!r}); get it by hand")


def _as_pinned(found: list[Remote], pinned: Mapping[str, str], page: str) -> list[Remote]:
    for each in found:
        if each.name in pinned and each.md5 != pinned[each.name]:
            raise InputError(
                f"{page} states MD5 {each.md5} for {each.name}, which was {pinned[each.name]}: "
                "it is another file; look at the record before it is used"
            )
    return sorted(found, key=lambda each: each.name)
