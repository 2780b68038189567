"""What an evaluation has scored so far: kept as it goes, gone on with, never mixed with another."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sitsr.datasets import Pair
from sitsr.evaluation.rows import Row, read_rows, save_rows
from sitsr.series import InputError

SAVE_EVERY = 20.0
"""Seconds between two writings of the file of scores."""

Key = tuple[str, str, str, str, int]
"""System, kind, site, patch, seed."""


class Keeper:
    """The rows scored so far, and the file that keeps them."""

    def __init__(self, path: Path, configuration: Mapping[str, Any]) -> None:
        self.path, self.configuration = path, dict(configuration)
        self.rows: dict[Key, Row] = {}
        self.saved = time.monotonic()
        if path.exists():
            rows, told = read_rows(path)
            self.rows = {row.key: row for row in rows}
            self.configuration |= _agreed(path, told, self.configuration)

    def known(self, name: str, version: str) -> None:
        """Note what a system's or a pair's answers depend on; refuse another under that name."""
        versions = self.configuration.setdefault("versions", {})
        if versions.setdefault(name, version) != version:
            raise InputError(
                f"{self.path} holds scores of another {name} ({versions[name]}, now {version}); "
                "give another --out or remove the file"
            )

    def add(self, row: Row) -> None:
        """Keep a row, and write the file from time to time."""
        self.rows[row.key] = row
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write all rows."""
        if self.rows:
            save_rows(list(self.rows.values()), self.path, self.configuration)
        self.saved = time.monotonic()


def _agreed(path: Path, told: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of scores goes on with; refused if its rows were measured otherwise."""
    for name in ("sitsr", "extra"):
        if told.get(name) != asked[name]:
            raise InputError(
                f"{path} was made with {name} {told.get(name)}, this asks for {asked[name]}; "
                "give another --out or remove the file"
            )
    return {"versions": dict(told.get("versions", {}))}


def fingerprint_of(pair: Pair) -> str:
    """What a pair's pixels are, in eight digits."""
    code = 0
    for part in (pair.series.images, pair.series.clear, pair.reference, pair.clear):
        code = zlib.crc32(np.ascontiguousarray(part).tobytes(), code)
    return f"{code:08x}"
