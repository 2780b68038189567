"""What a data set is like: where and when it was taken, how its two sensors go together.

``spread``, ``edges``, ``spectra``, ``phases`` and ``relation`` are measures, functions of arrays;
``measuring`` takes them of one pair, ``findings`` of a data set, pair by pair; ``rows`` keeps them
as tables, and ``page`` tells them to a reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sitsr.analysis.findings import Findings, Progress, find
from sitsr.analysis.page import write_page
from sitsr.analysis.rows import (
    BandRow,
    DateRow,
    EdgeRow,
    PairRow,
    PixelRow,
    SourceRow,
    SpectrumRow,
    write_table,
)
from sitsr.datasets import Source

__all__ = ["analyse"]

PAGE = "analysis.html"


def analyse(
    sources: Sequence[Source],
    out: Path,
    *,
    title: str,
    most: int | None = 200,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Look into a data set; write OUT/analysis.html and the tables behind it, and say where.

    sources   the pairs, read one at a time and let go; their order does not matter
    most      so many of them are looked into, drawn by chance with this seed; None for all
    progress  called with (pairs done, pairs in all)

    A pair that cannot be read is named in the page. InputError where there are no pairs.
    """
    out = Path(out)
    found = find(sources, title, most, seed, progress)
    write_tables(found, out)
    write_page(found, out / PAGE)
    return out / PAGE


def write_tables(found: Findings, out: Path) -> None:
    """One Parquet file a table, each whole or not at all."""
    measured = found.measured
    write_table(found.sources, SourceRow, out / "sources.parquet")
    write_table([each.pair for each in measured], PairRow, out / "pairs.parquet")
    write_table([row for each in measured for row in each.dates], DateRow, out / "dates.parquet")
    write_table([row for each in measured for row in each.bands], BandRow, out / "bands.parquet")
    write_table([row for each in measured for row in each.edges], EdgeRow, out / "edges.parquet")
    write_table(
        [row for each in measured for row in each.spectra], SpectrumRow, out / "spectra.parquet"
    )
    write_table([row for each in measured for row in each.pixels], PixelRow, out / "pixels.parquet")
