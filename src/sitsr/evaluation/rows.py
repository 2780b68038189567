"""What one system scored on one patch, and the file that keeps it.

The file is Parquet, one line a row and one column a metric, so that any program can read it. It
grows as an evaluation goes on: what is in it is not scored again. Beside the rows it keeps what
the evaluation was (weights, data, protocol), and refuses rows of another one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitsr.report.aside import written_aside
from sitsr.series import InputError

if TYPE_CHECKING:
    import pyarrow as pa

CONFIGURATION = b"sitsr"
"""Under what name the file's metadata keeps the configuration, as JSON."""


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one patch."""

    system: str
    site: str
    patch: str
    """Its name within the site, such as the target date; the same for every system."""
    kind: str
    """What the pair is: "scale transfer", "simulated from NAIP", "real pair"."""
    seed: int
    """Of the samples."""
    seconds: float
    """Wall time of the system on this patch."""
    figures: dict[str, float]
    """Every metric by name; NaN where the patch or the system does not tell it."""

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What makes it one row: system, kind, site, patch, seed."""
        return self.system, self.kind, self.site, self.patch, self.seed


KEYS = {"system": str, "site": str, "patch": str, "kind": str, "seed": int, "seconds": float}


def save_rows(
    rows: Sequence[Row], path: str | Path, configuration: Mapping[str, Any] | None = None
) -> None:
    """Write the rows as Parquet, whole or not at all; NaN where a row lacks a metric."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    columns: dict[str, pa.Array] = {
        key: pa.array([getattr(row, key) for row in rows], _arrow(kind))
        for key, kind in KEYS.items()
    }
    for name in names:
        values = [row.figures.get(name, math.nan) for row in rows]
        columns[name] = pa.array(values, pa.float64())
    told = {CONFIGURATION: json.dumps(dict(configuration or {}), sort_keys=True).encode()}
    with written_aside(Path(path)) as aside:
        pq.write_table(pa.table(columns).replace_schema_metadata(told), aside)


def read_rows(path: str | Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows that save_rows wrote, and the configuration beside them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} is not a file of scores: {error}".splitlines()[0]) from error
    if missing := [key for key in KEYS if key not in table.column_names]:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; give a file that sitsr evaluate wrote"
        )
    told = (table.schema.metadata or {}).get(CONFIGURATION, b"{}")
    names = [name for name in table.column_names if name not in KEYS]
    rows = []
    for line in table.to_pylist():
        figures = {name: line[name] for name in names if not math.isnan(line[name])}
        rows.append(Row(**{key: line[key] for key in KEYS}, figures=figures))
    return rows, json.loads(told)


def _arrow(kind: type) -> pa.DataType:
    import pyarrow as pa

    return {str: pa.string(), int: pa.int64(), float: pa.float64()}[kind]
