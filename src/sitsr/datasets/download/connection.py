"""The bytes of a file on a server, in their order, whatever the connection does on the way.

Where it breaks off, stalls or is turned away for the moment, the bytes that are missing are asked
for again (HTTP's Range); where the server takes no notice of that, or answers another range, the
file is read from its beginning and what is known already is let go by. That the file is still the
one that was begun with is told from its entity tag, or its date, and its length.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import requests

from sitsr.series import InputError

log = logging.getLogger(__name__)

PIECE = 2**16
"""Bytes that are handed on at a time. Of a connection that breaks off, a smaller rest is lost."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for."""

    tries: int = 8
    """Attempts in a row that bring nothing before one gives up."""
    pause: float = 1.0
    """Seconds before the second attempt; twice as long before each further one."""
    longest: float = 60.0
    """Seconds that a pause may have."""
    silence: float = 60.0
    """Seconds without a byte after which a connection counts as broken."""


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one state of a file on a server from another; None where it does not say."""

    etag: str | None = None
    modified: str | None = None
    total: int | None = None

    def differs(self, other: Version) -> bool:
        """Whether they cannot be the same."""
        mine, theirs = (
            (each.etag, None if self.etag and other.etag else each.modified, each.total)
            for each in (self, other)
        )
        return any(
            a is not None and b is not None and a != b for a, b in zip(mine, theirs, strict=True)
        )


class FileChanged(Exception):
    """The file is not the one any more that was begun with."""


class _Broken(Exception):
    """What another attempt may mend."""

    def __init__(self, why: str, wait: float = 0) -> None:
        super().__init__(why)
        self.wait = wait


class _WrongRange(_Broken):
    """The server cannot be asked for a part of the file."""


def pieces(
    url: str,
    *,
    start: int = 0,
    version: Version | None = None,
    size: int | None = None,
    patience: Patience | None = None,
) -> Iterator[tuple[Version, bytes]]:
    """The bytes of a file from ``start`` on, each time with the version that they are of.

    version    what the bytes before ``start`` were of
    size       of the whole file, where it is known

    Raises FileChanged where what comes is of another version, InputError where nothing comes any
    more, the server will not have it, or the length is not ``size``.
    """
    patience = patience or Patience()
    position, failures, ranged = start, 0, True
    version = version or Version()
    with requests.Session() as session:
        while True:
            try:
                with _answer(session, url, position if ranged else 0, version, patience) as answer:
                    skip = position - _first_byte(answer, position if ranged else 0)
                    version = _same_version(answer, version, size)
                    for piece in answer.iter_content(PIECE):
                        fresh, skip = piece[skip:], max(0, skip - len(piece))
                        if fresh:
                            position, failures = position + len(fresh), 0
                            _check_length(url, position, version.total)
                            yield version, fresh
                    _check_end(position, version.total)
                    return
            except _Broken as error:
                ranged = ranged and not isinstance(error, _WrongRange)
                failures += 1
                _pause(url, error, failures, patience)
            except requests.RequestException as error:
                failures += 1
                _pause(url, _Broken(_reason(error)), failures, patience)


@contextmanager
def _answer(
    session: requests.Session, url: str, start: int, version: Version, patience: Patience
) -> Iterator[requests.Response]:
    """What the server says to a request for the bytes from start on, if it is of use."""
    # Bytes as they are stored: a length and a range of compressed ones would mean something else.
    asked = {"Accept-Encoding": "identity"}
    if start:
        asked["Range"] = f"bytes={start}-"
        if version.etag and not version.etag.startswith("W/"):
            asked["If-Range"] = version.etag
    silence = patience.silence
    with session.get(url, headers=asked, stream=True, timeout=(silence, silence)) as answer:
        code = answer.status_code
        if code in (408, 425, 429) or code >= 500:
            raise _Broken(f"answers {code} {answer.reason}", _retry_after(answer))
        if code == 416:
            # Nothing lies beyond: the file has become shorter, or is complete (see fetch).
            raise FileChanged
        if code not in (200, 206):
            raise InputError(f"{url} answers {code} {answer.reason}; see whether it has moved")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise InputError(f"{url} is sent compressed although that was not asked for")
        yield answer


def _first_byte(answer: requests.Response, asked: int) -> int:
    """Where in the file the answer begins: 0 where the server took no notice of the range."""
    if answer.status_code == 200:
        return 0
    start, _ = _content_range(answer)
    if start != asked:
        raise _WrongRange(f"answers another range than that from byte {asked} on")
    return start


def _content_range(answer: requests.Response) -> tuple[int | None, int | None]:
    """Of "bytes 500-999/1000" the first byte and the total."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if not found:
        return None, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _same_version(answer: requests.Response, before: Version, size: int | None) -> Version:
    """What the answer says of itself, together with what was known."""
    said = answer.headers
    length = said.get("Content-Length", "")
    whole = int(length) if answer.status_code == 200 and length.isdigit() else None
    total = _content_range(answer)[1] if answer.status_code == 206 else whole
    now = Version(said.get("ETag"), said.get("Last-Modified"), total)
    if before.differs(now):
        raise FileChanged
    if size is not None and total not in (None, size):
        raise _Broken(f"has {total} bytes there and {size} in its record")
    return replace(now, total=next((n for n in (size, total, before.total) if n is not None), None))


def _check_length(url: str, position: int, total: int | None) -> None:
    if total is not None and position > total:
        raise InputError(f"{url} sends more than its {total} bytes; give the command again later")


def _check_end(position: int, total: int | None) -> None:
    if total is not None and position < total:
        raise _Broken(f"breaks off after {position} of {total} bytes")


def _retry_after(answer: requests.Response) -> float:
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0


def _reason(error: requests.RequestException) -> str:
    """In a few words, without the addresses and objects that the message is full of."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "breaks off"
    if isinstance(error, requests.exceptions.SSLError):
        return "cannot prove who it is"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return f"cannot be fetched ({type(error).__name__})"


def _pause(url: str, error: _Broken, failures: int, patience: Patience) -> None:
    """Wait before the next attempt; InputError where there have been enough."""
    if failures >= patience.tries:
        raise InputError(
            f"{url} {error}, {failures} times in a row; give the command again later"
        ) from error
    wait = min(max(patience.pause * 2 ** (failures - 1), error.wait), patience.longest)
    log.info("%s %s; trying again in %.0f s", url, error, wait)
    time.sleep(wait)


def fetch_text(url: str, most: int, patience: Patience | None = None) -> str:
    """A short text; InputError where it has more than ``most`` bytes or is no UTF-8."""
    text = bytearray()
    try:
        for _, piece in pieces(url, patience=patience):
            text += piece
            if len(text) > most:
                raise InputError(f"{url} answers more than {most} bytes; try again later")
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{url} answers no text; try again later") from error
    except FileChanged:
        raise InputError(f"{url} changed while it was read; give the command again") from None
