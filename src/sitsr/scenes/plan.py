"""Which frames are read, and onto which grid: settled before any pixel is read, and printable.

A grid in metres with square pixels, north up, is kept as it is, so that nothing is resampled;
where frames differ, the lattice that most of them share is kept and the others are warped to it.
Where there is none (degrees, oblong pixels, web Mercator), everything is warped to the local UTM
zone, to pixels of 10 m with edges on multiples of 10 m.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from sitsr.scenes.frames import Frame
from sitsr.series import InputError

PIXEL = 10.0
"""Side in metres of the pixels that are warped to: Sentinel-2's finest."""
ALIGNED = 0.01
"""Pixels by which lattices may differ and still count as the same."""
WEB_MERCATOR = 3857

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be read."""

    frames: tuple[Frame, ...]
    """In order of date; several of one date are joined."""
    grid: GeoBox
    """What they are put on."""
    history: tuple[str, ...] = ()
    """What was assumed and decided, one sentence each."""

    def __str__(self) -> str:
        rows, cols = self.grid.shape
        title = f"{len(self.frames)} images onto {rows} x {cols} pixels in {_crs_name(self.grid)}"
        lines = [f"  {f.date}  {Path(f.source).name}" for f in self.frames]
        return "\n".join([title, *lines, *(f"  {note}" for note in self.history)])


def make_plan(frames: Sequence[Frame], notes: Sequence[str] = ()) -> Plan:
    """The frames in order of date, on one grid that holds them all."""
    ordered = tuple(sorted(frames, key=lambda f: (f.date, f.source)))
    lattice = _lattice(ordered)
    boxes = [_bounds(frame.grid, lattice) for frame in ordered]
    _check_overlap(ordered, boxes)
    grid = _covering(lattice, boxes)
    return Plan(ordered, grid, (*notes, *_notes(ordered, grid)))


def aligned(grid: GeoBox, lattice: GeoBox) -> bool:
    """Whether the pixels of a grid lie on those of a lattice."""
    if grid.crs != lattice.crs or not usable(grid):
        return False
    (left, top), step = place(grid, lattice), lattice.transform.a
    rows, cols = grid.shape
    drift = abs(grid.transform.a / step - 1) * max(rows, cols)
    apart = max(abs(left - round(left)), abs(top - round(top)))
    return bool(drift < ALIGNED and apart < ALIGNED)


def place(grid: GeoBox, lattice: GeoBox) -> tuple[float, float]:
    """Left and top of a grid in pixels of a lattice in the same coordinate system."""
    return _pixel(lattice, grid.transform.c, grid.transform.f)


def _pixel(lattice: GeoBox, x: float, y: float) -> tuple[float, float]:
    """Column and row, counted from the lattice's upper left corner."""
    t = lattice.transform
    return (x - t.c) / t.a, (y - t.f) / t.e


def usable(grid: GeoBox) -> bool:
    """Whether a grid can be kept: metres, north up, square pixels."""
    crs, t = grid.crs, grid.transform
    if crs is None or not crs.projected or crs.epsg == WEB_MERCATOR:
        return False
    metres = all(unit.lower() in ("metre", "meter", "m") for unit in crs.units)
    north_up: bool = t.b == 0 and t.d == 0 and t.a > 0 and t.e < 0
    return metres and north_up and bool(abs(t.a + t.e) <= 1e-6 * t.a)


def _lattice(frames: Sequence[Frame]) -> GeoBox:
    """The grid whose pixels most frames share, the earliest of equals; else the local UTM zone."""
    grids = [frame.grid for frame in frames if usable(frame.grid)]
    if grids:
        return max(grids, key=lambda grid: sum(aligned(other, grid) for other in grids))
    zone = CRS.utm(frames[0].grid.geographic_extent)
    return GeoBox((1, 1), Affine(PIXEL, 0, 0, 0, -PIXEL, 0), zone)


def _bounds(grid: GeoBox, lattice: GeoBox) -> Box:
    """Left, top, right, bottom of a grid in pixels of a lattice."""
    box = grid.boundingbox
    west, south, east, north = transform_bounds(str(grid.crs), str(lattice.crs), *box.bbox)
    return *_pixel(lattice, west, north), *_pixel(lattice, east, south)


def _check_overlap(frames: Sequence[Frame], boxes: Sequence[Box]) -> None:
    """Every date must share ground with the first; files of one date may lie side by side."""
    dates: dict[object, list[tuple[Frame, Box]]] = {}
    for frame, box in zip(frames, boxes, strict=True):
        dates.setdefault(frame.date, []).append((frame, box))
    first, *rest = dates.values()
    for other in rest:
        if not any(_overlap(a, b) for _, a in first for _, b in other):
            raise InputError(
                f"{Path(other[0][0].source).name} and {Path(first[0][0].source).name} share no "
                "ground; give images of one place"
            )


def _overlap(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > 0.5 and min(a[3], b[3]) - max(a[1], b[1]) > 0.5


def _covering(lattice: GeoBox, boxes: Sequence[Box]) -> GeoBox:
    left, top = (math.floor(min(box[i] for box in boxes) + ALIGNED) for i in (0, 1))
    right, bottom = (math.ceil(max(box[i] for box in boxes) - ALIGNED) for i in (2, 3))
    t = lattice.transform
    transform = Affine(t.a, 0, t.c + left * t.a, 0, t.e, t.f + top * t.e)
    return GeoBox((bottom - top, right - left), transform, lattice.crs)


def _notes(frames: Sequence[Frame], grid: GeoBox) -> list[str]:
    pixel = grid.transform.a
    notes = []
    moved = [frame for frame in frames if not aligned(frame.grid, grid)]
    for crs in sorted({_crs_name(frame.grid) for frame in moved}):
        here = [Path(f.source).name for f in moved if _crs_name(f.grid) == crs]
        which = "all images" if len(here) == len(frames) else ", ".join(here)
        notes.append(
            f"warped {which} once from {crs} to {_crs_name(grid)} at {pixel:g} m "
            "(cubic; cloud and nodata left out)"
            if crs != _crs_name(grid)
            else f"shifted {which} once onto the pixels of the others (cubic; cloud and nodata "
            "left out)"
        )
    if pixel != PIXEL:
        notes.append(f"pixels are {pixel:g} m, not {PIXEL:g} m, and were kept so")
    days = [frame.date for frame in frames]
    for day in sorted({day for day in days if days.count(day) > 1}):
        names = ", ".join(Path(f.source).name for f in frames if f.date == day)
        notes.append(f"joined the images of {day}, the first clear pixel first: {names}")
    return notes


def _crs_name(grid: GeoBox) -> str:
    epsg = grid.crs.epsg if grid.crs else None
    return f"EPSG:{epsg}" if epsg else str(grid.crs)
