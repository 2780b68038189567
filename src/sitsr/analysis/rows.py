"""The tables behind the page: one record a line, written as Parquet.

Lengths are in low-resolution pixels, reflectance as the data set gives it, frequencies in cycles
per low-resolution pixel; NaN where a pair does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from sitsr.report.aside import written_aside


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A pair of the data set, looked into or not."""

    kind: str
    site: str
    patch: str
    split: str
    """Empty where none is named."""
    west: float
    south: float
    east: float
    north: float
    """Degrees; NaN where not known."""
    tags: str
    """JSON."""
    state: str
    """"analysed", "not drawn", or why it was not: what went wrong."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """A pair that was looked into."""

    kind: str
    site: str
    patch: str
    scale: int
    pixel: float
    """Metres, of the low-resolution image."""
    rows: int
    cols: int
    dates: int
    target: date
    clear: float
    """Share of all pixels of all dates that are clear."""
    seen: float
    """Share of the ground that is clear on one date or more."""
    reference_clear: float
    nearest_days: float
    """From the target to the nearest clear date, the mean over pixels."""
    shift_rows: float
    """By which the reference must be moved down to lie on the series."""
    shift_cols: float
    at_limit: bool
    """Whether that is the most that was searched."""
    resultant_rows: float
    """How unevenly the dates' shifts fill the pixel, 0 to 1."""
    resultant_cols: float
    phases: int
    """Dates whose shift is known."""
    cells: int
    """Of the scale² cells of a pixel, those with the centre of some date's pixel."""


@dataclass(frozen=True, slots=True)
class DateRow:
    """An acquisition of a pair's series."""

    kind: str
    site: str
    patch: str
    day: date
    days: float
    """Acquisition minus target."""
    gap: float
    """Days since the acquisition before it; NaN for the first."""
    clear: float
    """Share of its pixels."""
    shift_rows: float
    """Where it lies, against the clearest date."""
    shift_cols: float


@dataclass(frozen=True, slots=True)
class BandRow:
    """A band of a pair."""

    kind: str
    site: str
    patch: str
    band: str
    pixels: int
    """That are compared at low resolution."""
    correlation_before: float
    """Of the degraded reference and the observation, as they lie."""
    correlation: float
    """The same, the reference registered."""
    gain: float
    """That brings the reference to the series; with the offset, a robust fit."""
    offset: float
    contrast_gain: float
    """The gain that gives it the contrast of the series."""
    rmse_before: float
    rmse_after: float
    """Of the two after registration, gain and offset."""
    sigma: float
    """Of the Gaussian that best turns the reference into the observation."""
    sigma_correlation: float
    """Of the two then."""
    sharpness: float
    """Share of the observation's variance in the finest octave of its own pixels."""
    reference_sharpness: float
    parting: float
    """Frequency beyond which it has less than half of the reference's power."""
    folded: float
    """Share of its power that is aliased, for the reference's spectrum."""


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """A straight edge in one of the two images of a pair."""

    kind: str
    site: str
    patch: str
    band: str
    sensor: str
    """"series" or "reference"."""
    row: int
    col: int
    """In pixels of that image, as far as it was looked into."""
    sigma: float
    """In pixels of that image."""
    metres: float
    """The same on the ground."""
    step: float
    angle: float
    rough: float


@dataclass(frozen=True, slots=True)
class SpectrumRow:
    """A ring of a spectrum."""

    kind: str
    site: str
    patch: str
    band: str
    sensor: str
    frequency: float
    power: float
    """Reflectance² per (cycle per low-resolution pixel)², the reference brought to the contrast of
    the series."""


@dataclass(frozen=True, slots=True)
class PixelRow:
    """A low-resolution pixel drawn by chance: what the two images say of it."""

    kind: str
    site: str
    patch: str
    band: str
    observed: float
    before: float
    """The degraded reference as it lies; NaN where it does not show the pixel."""
    after: float
    """Registered, with gain and offset; NaN where it then does not show the pixel."""


Row = SourceRow | PairRow | DateRow | BandRow | EdgeRow | SpectrumRow | PixelRow


def write_table(rows: Sequence[Row], kind: type[Row], path: Path) -> None:
    """Write the rows as Parquet, whole or not at all; no rows give the columns only."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[str, Any] = {
        "str": pa.string(),
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
    }
    schema = pa.schema([(each.name, types[str(each.type)]) for each in fields(kind)])
    with written_aside(path) as aside:
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema), aside)
