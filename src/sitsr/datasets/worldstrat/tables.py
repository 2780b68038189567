"""WorldStrat's metadata: metadata.csv and the small files beside the revisits.

Columns are found by their names, and any may be missing: published descriptions of the file do not
agree on them.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from sitsr.series import InputError

Bounds = tuple[float, float, float, float]

TAGS = ("IPCC Class", "SMOD", "SMOD Class", "LCCS", "LCCS class")
NOTHING = {"", "nan", "NaN", "None"}


@dataclass(frozen=True, slots=True)
class Area:
    """What metadata.csv says of a tile; None where it does not say."""

    bounds: Bounds | None
    """West, south, east, north in degrees (WGS 84)."""
    target: date | None
    """The day of the high-resolution image."""
    days: Mapping[int, date]
    """Of each revisit, by its number."""
    tags: Mapping[str, str]


def read_table(path: Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """The lines of a CSV file by the names of its columns, "" where a line is too short.

    InputError where it cannot be read or lacks one of these columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            names = list(reader.fieldnames or ())
            lines = [{name: line[name].strip() for name in names} for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); get it again") from error
    if missing := [name for name in columns if name not in names]:
        raise InputError(f"{path} has no column {', '.join(missing)}; get it again")
    return lines


def known(line: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Those of the named fields that say something."""
    return {name: line[name] for name in names if line.get(name, "") not in NOTHING}


def read_areas(path: Path) -> dict[str, Area]:
    """What metadata.csv says of each tile, by its name; of several lines the first counts.

    The name stands in the first column, which has none, or in the column "tile".
    """
    areas: dict[str, Area] = {}
    for line in read_table(path):
        tile = (
            line.get("tile", "") if line.get("", "").isdigit() else line.get("") or line.get("tile")
        )
        if not tile:
            continue
        number, day = _whole(line.get("n", "")), day_of(line.get("lowres_date", ""))
        days = {number: day} if number is not None and day else {}
        if tile in areas:
            areas[tile] = replace(areas[tile], days={**days, **areas[tile].days})
        else:
            target = day_of(line.get("highres_date", ""))
            areas[tile] = Area(_bounds(line.get("bounds", "")), target, days, known(line, TAGS))
    return areas


def read_own_days(path: Path) -> tuple[date | None, date | None]:
    """The revisit's and the target's day by the JSON file beside a revisit; None if not known."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None, None
    if not isinstance(told, dict):
        return None, None
    return day_of(str(told.get("datetime", ""))), day_of(str(told.get("target_date", "")))


def day_of(text: str) -> date | None:
    """The day that a text such as "2019-05-28" or "2019-05-28T10:12:14Z" begins with."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None


def _bounds(text: str) -> Bounds | None:
    """A JSON list of west, south, east, north, if it is one."""
    try:
        west, south, east, north = (float(each) for each in json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
    ordered = -180 <= west < east <= 180 and -90 <= south < north <= 90
    return (west, south, east, north) if ordered and math.isfinite(west + north) else None
