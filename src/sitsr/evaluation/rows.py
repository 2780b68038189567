"""What one system scored on one pair, and how it is kept."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sitsr.series import InputError

KEYS = ("system", "site", "kind", "pair", "seconds")


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one pair."""

    system: str
    site: str
    kind: str
    """What the pair is: "scale transfer", "simulated from NAIP", "real pair"."""
    pair: int
    """Its place among the pairs evaluated, from 0."""
    seconds: float
    """Wall time of the system on this pair."""
    figures: dict[str, float]
    """Every metric by name; NaN where the pair or the system does not tell it."""


def save_rows(rows: Sequence[Row], path: str | Path) -> None:
    """The rows as CSV, one line a row, one column a metric; empty where a row has no such one."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    with written_aside(Path(path)) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*KEYS, *names])
        for row in rows:
            keys = [row.system, row.site, row.kind, row.pair, repr(row.seconds)]
            figures = [repr(row.figures[name]) if name in row.figures else "" for name in names]
            writer.writerow([*keys, *figures])


def read_rows(path: str | Path) -> list[Row]:
    """The rows that save_rows wrote."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(KEYS) - set(reader.fieldnames or ())
        if missing:
            raise InputError(
                f"{path} has no column {', '.join(sorted(missing))}; "
                "give a file of rows that an evaluation wrote"
            )
        return [
            Row(
                line["system"],
                line["site"],
                line["kind"],
                int(line["pair"]),
                float(line["seconds"]),
                {name: float(text) for name, text in line.items() if name not in KEYS and text},
            )
            for line in reader
        ]


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A file to write beside path, which takes its place once it is whole, or is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
