"""Pairs of a store, whole or window by window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio import Affine

from sitsr.datasets.pairs import Pair, Source
from sitsr.datasets.store.layout import FORMAT, NOTHING, QUANTUM
from sitsr.datasets.store.shards import open_shard
from sitsr.datasets.views import Window
from sitsr.series import Floats, InputError, Series


def is_store(folder: Path) -> bool:
    """Whether a folder is a store that ``write_store`` made."""
    return _attributes(folder).get("format") == FORMAT


def name_of_store(folder: Path) -> str:
    """Of the data set that a store was made of."""
    return str(_attributes(folder).get("name", ""))


def read_store(folder: Path, split: str | None = None) -> list[Source]:
    """The pairs of a split, or all, not read yet; windows of them are read where they lie.

    InputError where the folder is not a store, or holds no such split.
    """
    told = _attributes(folder)
    if told.get("format") != FORMAT:
        raise InputError(f"{folder} is not a training store; make one with sitsr data prepare")
    lines = [line for line in told["pairs"] if split in (None, line["split"])]
    if not lines:
        splits = sorted({str(line["split"]) for line in told["pairs"]})
        raise InputError(f"{folder} holds no split {split}; choose from {', '.join(splits)}")
    return [_source(folder, line) for line in lines]


def _attributes(folder: Path) -> dict[str, Any]:
    path = folder / "zarr.json"
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8")).get("attributes", {})
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error}); make the store again") from error
    return told if isinstance(told, dict) else {}


def _source(folder: Path, line: dict[str, Any]) -> Source:
    stored = Stored(folder, line)
    bounds = line["bounds"] and tuple(line["bounds"])
    return Source(
        *(line["kind"], line["site"], line["patch"], partial(_whole, stored), line["split"]),
        bounds=bounds,
        look=lambda: stored,
        tags=line["tags"],
    )


@dataclass(frozen=True, eq=False)
class Stored:
    """A view of a pair in a store."""

    folder: Path
    line: dict[str, Any]
    bands: tuple[str, ...] | None = None
    """Those that are read; None is all."""

    @property
    def name(self) -> str:
        return f"{self.line['site']}, {self.line['patch']}"

    @property
    def target(self) -> date:
        return date.fromisoformat(self.line["target"])

    @property
    def scale(self) -> int:
        return int(self.line["scale"])

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(date.fromisoformat(day) for day in self.line["dates"])

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.line["shape"]
        return rows, cols

    @property
    def at_sensor(self) -> bool:
        return bool(self.line["at_sensor"])

    @property
    def held(self) -> object:
        return (self.line["site"], self.line["patch"], self.line["target"], self.line["digest"])

    def select(self, bands: Sequence[str]) -> Stored:
        there = self.line["bands"]
        if missing := [band for band in bands if band not in there]:
            raise InputError(
                f"{self.name} has bands {', '.join(there)} but not {', '.join(missing)}; "
                "choose others"
            )
        return replace(self, bands=tuple(bands))

    def read(self, frames: Sequence[int], rows: slice, cols: slice) -> Window:
        factor = 1 if self.at_sensor else self.scale
        fine = tuple(slice(factor * each.start, factor * each.stop) for each in (rows, cols))
        bands = [self.line["bands"].index(band) for band in self.bands or self.line["bands"]]
        here, order = self.line["place"], list(frames)
        # Every image between the first and the last: chunks hold several.
        first, end = min(order), max(order) + 1
        order = [frame - first for frame in order]
        block = self.folder / str(self.line["block"])
        images, clear, reference = (block / name for name in ("images", "clear", "reference"))
        try:
            seen = open_shard(images).read(here, slice(first, end), slice(None), rows, cols)
            shown = open_shard(clear).read(here, slice(first, end), rows, cols)
            counted = open_shard(reference).read(here, slice(None), *fine)
        except (OSError, ValueError, LookupError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{self.name} cannot be read from {self.folder} ({reason}); make the store again"
            ) from error
        known = counted[0] != NOTHING
        sharp = np.where(known, _reflectance(counted[bands]), np.float32(0))
        return Window(_reflectance(seen[order][:, bands]), shown[order], sharp, known)


def _reflectance(counted: npt.NDArray[np.int16]) -> Floats:
    return counted.astype(np.float32) * np.float32(QUANTUM)


def _whole(stored: Stored) -> Pair:
    line, (rows, cols) = stored.line, stored.shape
    seen = stored.read(range(len(stored.dates)), slice(0, rows), slice(0, cols))
    grid = GeoBox(stored.shape, Affine(*line["transform"]), line["crs"])
    series = Series(
        *(seen.images, seen.clear, stored.dates, tuple(line["bands"]), grid),
        *(tuple(line["sources"]), tuple(line["history"])),
    )
    task = (series, stored.target, stored.scale, line["site"], line["patch"], line["kind"])
    return Pair(*task, seen.reference, seen.known, tuple(line["sensor_sigma"]))
