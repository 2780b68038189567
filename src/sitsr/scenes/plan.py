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
from datetime import date
from pathlib import Path

from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from sitsr.scenes.area import Area
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
    area: Area | None = None
    """What of the grid is wanted; None is all."""

    def __str__(self) -> str:
        rows, cols = self.grid.shape
        title = f"{len(self.frames)} images onto {rows} x {cols} pixels in {crs_name(self.grid)}"
        lines = [f"  {f.date}  {Path(f.source).name}" for f in self.frames]
        return "\n".join([title, *lines, *(f"  {note}" for note in self.history)])


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a source is wanted; nothing said is all."""

    area: Area | None = None
    dates: tuple[date | None, date | None] = (None, None)
    """First and last day, both included; None is open."""
    max_cloud: float | None = None
    """Share 0 to 1; an image that does not say how cloudy it is stays."""
    bands: tuple[str, ...] | None = None
    """Those that will be used; the others are not read unless clear sky is found by them."""

    def __post_init__(self) -> None:
        first, last = self.dates
        if first and last and first > last:
            raise InputError(f"dates go from {first} to {last}; give the earlier first")
        if self.max_cloud is not None and not 0 <= self.max_cloud <= 1:
            raise InputError(f"max_cloud is {self.max_cloud:g}; give a share from 0 to 1")


def select(frames: Sequence[Frame], wanted: Selection) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of the days and with as little cloud as wanted, and what was left out."""
    (first, last), max_cloud = wanted.dates, wanted.max_cloud
    timely = [f for f in frames if (first or f.date) <= f.date <= (last or f.date)]
    if not timely:
        days = sorted(frame.date for frame in frames)
        raise InputError(
            f"no image from {first or 'the beginning'} to {last or 'the end'}; "
            f"there are images from {days[0]} to {days[-1]}"
        )
    clear = [f for f in timely if max_cloud is None or (f.cloud or 0.0) <= max_cloud]
    if not clear:
        least = min(frame.cloud or 0.0 for frame in timely)
        raise InputError(
            f"all {len(timely)} images are cloudier than {max_cloud:.0%}; the clearest has "
            f"{least:.0%}: allow more cloud, or more dates"
        )
    notes = []
    if len(timely) < len(frames):
        notes.append(f"passed over {len(frames) - len(timely)} images of other dates")
    if len(clear) < len(timely):
        notes.append(
            f"passed over {len(timely) - len(clear)} images with more cloud than asked for"
        )
    return tuple(clear), tuple(notes)


def make_plan(
    frames: Sequence[Frame], notes: Sequence[str] = (), wanted: Selection | None = None
) -> Plan:
    """The frames in order of date, on one grid that holds them all, or what of them is wanted."""
    wanted = wanted or Selection()
    area = wanted.area
    chosen, passed = select(frames, wanted)
    ordered, notes = tuple(sorted(chosen, key=lambda f: (f.date, f.source))), (*notes, *passed)
    if area is not None:
        ordered, notes = _within(area, ordered, notes)
    lattice = _lattice(ordered)
    boxes = [_bounds(frame.grid, lattice) for frame in ordered]
    if area is None:
        _check_overlap(ordered, boxes)
        grid = _covering(lattice, boxes)
    else:
        grid = _covering(lattice, [_common(_of_area(area, lattice), boxes)])
    told = dict.fromkeys(sentence for frame in ordered for sentence in frame.decided)
    return Plan(ordered, grid, (*notes, *told, *_notes(ordered, grid)), area)


def _within(
    area: Area, frames: Sequence[Frame], notes: Sequence[str]
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames that share ground with the area."""
    wanted = area.bbox
    here = tuple(f for f in frames if _share(wanted, _degrees(f.grid)))
    if not here:
        boxes = [_degrees(frame.grid) for frame in frames]
        told = ", ".join(
            f"{pick(box[i] for box in boxes):.3f}" for i, pick in enumerate((min, min, max, max))
        )
        raise InputError(
            f"the area {', '.join(f'{edge:.3f}' for edge in wanted)} and the images, which lie in "
            f"{told} (west, south, east, north), share no ground"
        )
    left = len(frames) - len(here)
    return here, (*notes, *([f"passed over {left} images beyond the area"] if left else []))


def _degrees(grid: GeoBox) -> Box:
    west, south, east, north = transform_bounds(str(grid.crs), "EPSG:4326", *grid.boundingbox.bbox)
    return west, south, east, north


def _share(one: Box, other: Box) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(
        one[1], other[1]
    )


def _of_area(area: Area, lattice: GeoBox) -> Box:
    """Left, top, right, bottom of the area in pixels of a lattice."""
    west, south, east, north = transform_bounds("EPSG:4326", str(lattice.crs), *area.bbox)
    return *_pixel(lattice, west, north), *_pixel(lattice, east, south)


def _common(wanted: Box, boxes: Sequence[Box]) -> Box:
    """What of the wanted box the images can fill."""
    return (
        max(wanted[0], min(box[0] for box in boxes)),
        max(wanted[1], min(box[1] for box in boxes)),
        min(wanted[2], max(box[2] for box in boxes)),
        min(wanted[3], max(box[3] for box in boxes)),
    )


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
    for crs in sorted({crs_name(frame.grid) for frame in moved}):
        here = [Path(f.source).name for f in moved if crs_name(f.grid) == crs]
        which = "all images" if len(here) == len(frames) else ", ".join(here)
        notes.append(
            f"warped {which} once from {crs} to {crs_name(grid)} at {pixel:g} m "
            "(cubic; cloud and nodata left out)"
            if crs != crs_name(grid)
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


def crs_name(grid: GeoBox) -> str:
    """EPSG code of a grid's coordinate system, else all of it."""
    epsg = grid.crs.epsg if grid.crs else None
    return f"EPSG:{epsg}" if epsg else str(grid.crs)
