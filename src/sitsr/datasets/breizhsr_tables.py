"""The tables of BreizhSR: rows that are checked, from a pickle once, then from Parquet beside it.

The Parquet holds what the pickle says and nothing made of it; dictionaries become two lists.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from sitsr.datasets.pickles import read_pickled_table
from sitsr.series import InputError

COLUMNS = ("spot6_image", "sen2_acquisitions", "dates_spot6", "dates_sen2", "x", "y")
"""What a table must hold; "split" is read as well, if it is there."""

FORM = {b"sitsr": b"BreizhSR 1"}
"""Says in a Parquet file that its columns are those of Row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One patch, as the table names it."""

    name: str
    spot: str
    """Path of the image of SPOT-6."""
    target: date
    """Its day."""
    keys: tuple[int, ...]
    """Days between the two images, for each of Sentinel-2's."""
    paths: tuple[str, ...]
    """Their paths."""
    dates: tuple[date, ...]
    """Their days, in any order, perhaps repeated."""
    split: str | None
    x: float
    """Metres east, EPSG:2154."""
    y: float
    """Metres north."""


def read_rows(table: Path) -> list[Row]:
    """The rows of a pickled table; InputError where it is none, is hostile, or says too little.

    They come from the Parquet of the same name if that is newer, which is written if it is not;
    a folder that cannot be written to is left as it is.
    """
    beside = table.with_suffix(".parquet")
    if beside.is_file() and beside.stat().st_mtime_ns >= table.stat().st_mtime_ns:
        with suppress(Exception):  # a Parquet that is broken or another's: the pickle has it all
            return _read(beside)
    rows = list(_rows(table))
    with suppress(OSError):
        _write(beside, rows)
    return rows


def _rows(table: Path) -> Iterator[Row]:
    frame = read_pickled_table(table)
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise InputError(f"{table} has no column {', '.join(missing)}; get it again")
    named = [str(name) for name in frame.index]
    if len(set(named)) < len(named):
        named = [str(number) for number in range(len(named))]
    splits = list(frame["split"]) if "split" in frame.columns else [None] * len(named)
    told = zip(named, splits, *(list(frame[name]) for name in COLUMNS), strict=True)
    for name, split, *values in told:
        try:
            yield _row(name, split, *values)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{table}, row {name}: {error}; get the table again") from error


def _row(
    name: str, split: Any, spot: Any, images: Any, target: Any, dates: Any, *place: Any
) -> Row:
    if not isinstance(images, Mapping):
        raise TypeError(f"sen2_acquisitions is a {type(images).__name__}, wanted a dictionary")
    if not all(isinstance(text, str) for text in (spot, *images.values())):
        raise TypeError("a path is no text")
    x, y = (float(number) for number in place)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"it lies at {x}, {y}")
    return Row(
        name=name,
        spot=spot,
        target=_day(target),
        keys=tuple(_whole(key) for key in images),
        paths=tuple(images.values()),
        dates=tuple(_day(day) for day in dates),
        split=split if isinstance(split, str) else None,
        x=x,
        y=y,
    )


def _whole(key: Any) -> int:
    number = int(key)
    if float(key) != number:
        raise ValueError(f"the key {key} is no number of days")
    return number


def _day(value: Any) -> date:
    """A date of the standard library, of numpy or of pandas, or as text."""
    import pandas as pd

    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    day = pd.Timestamp(value)
    if day is pd.NaT:
        raise ValueError("a date is missing")
    return date(day.year, day.month, day.day)


def _schema() -> Any:
    import pyarrow as pa

    of = {
        **dict.fromkeys(("name", "spot", "split"), pa.string()),
        **dict.fromkeys(("x", "y"), pa.float64()),
        "target": pa.date32(),
        # Parquet calls what a list holds its elements, and gives them back by that name.
        "keys": pa.list_(pa.field("element", pa.int32())),
        "paths": pa.list_(pa.field("element", pa.string())),
        "dates": pa.list_(pa.field("element", pa.date32())),
    }
    return pa.schema([(field.name, of[field.name]) for field in fields(Row)], metadata=FORM)


def _read(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if not table.schema.equals(_schema(), check_metadata=True):
        raise InputError(f"{path} was not written here")
    rows = [_unlisted(row) for row in table.to_pylist()]
    whole = (math.isfinite(row.x + row.y) and None not in (row.name, row.target) for row in rows)
    if not all(whole) or any(None in (*r.keys, *r.paths, *r.dates, r.spot) for r in rows):
        raise InputError(f"{path} has gaps")
    return rows


def _unlisted(row: dict[str, Any]) -> Row:
    told: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
    }
    return Row(**told)


def _write(path: Path, rows: Sequence[Row]) -> None:
    """The file appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.Table.from_pylist([asdict(row) for row in rows], schema=_schema())
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        pq.write_table(made, part, compression="zstd")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
