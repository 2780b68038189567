"""From digital numbers to surface reflectance: above this, there is only reflectance.

    reflectance = (digital number + offset) * quantum

The quantum is 1/10000 for Sentinel-2's integers and 1 for reflectance kept as float. The offset is
0, or -1000 from processing baseline 04.00 (25 January 2022) on, unless an archive has already
added it. In order of precedence: what the caller says, what the file says (unless the pixels rule
it out), what the pixels say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sitsr.scenes.frames import Frame
from sitsr.series import Booleans, Floats, InputError

Raw = npt.NDArray[Any]

OFFSET_FROM = date(2022, 1, 25)
"""The first day of processing baseline 04.00."""
OFFSET = -1000.0
CLOUDED = 2000
"""Digital number: an image whose darkest pixels are brighter than this shows no ground."""
WANTED = "wanted reflectance, 0 to 1 as float or times 10000 as integers"


@dataclass(frozen=True, slots=True)
class Units:
    """How the digital numbers of one image become reflectance."""

    quantum: float
    offset: float

    def reflectance(self, values: Raw, seen: Booleans) -> Floats:
        """[C, H, W] reflectance of digital numbers [C, H, W]; 0 where nothing was seen.

        Where there is an offset, 0 is nodata also in single bands, and stays 0.
        """
        scaled = (values.astype(np.float32) + np.float32(self.offset)) * np.float32(self.quantum)
        return np.where(seen & (values != 0) if self.offset else seen, scaled, np.float32(0))


def where_seen(values: Raw, nodata: float | None) -> Booleans:
    """[H, W] True where digital numbers [C, H, W] are data.

    0 in all bands is nodata, 0 in one band is a dark pixel; any other nodata value, and NaN, is
    nodata wherever it stands.
    """
    seen: Booleans = (values != 0).any(0)
    if np.issubdtype(values.dtype, np.floating):
        seen &= np.isfinite(values).all(0)
    if nodata:
        seen &= (values != nodata).all(0)
    return seen


def where_saturated(values: Raw) -> Booleans:
    """[H, W] True where any band [C, H, W] stands at the top of its integer type."""
    if not np.issubdtype(values.dtype, np.integer):
        return np.zeros(values.shape[1:], bool)
    return np.asarray((values >= np.iinfo(values.dtype).max).any(0), bool)


def settle(
    frames: Sequence[Frame],
    pixels: Sequence[Raw],
    seen: Sequence[Booleans],
    offset: float | str = "auto",
) -> tuple[list[Units], list[str]]:
    """The units of each image [C, H, W], and what was decided, one sentence each.

    offset  -1000 or 0, in digital numbers, for all images; "auto" decides for each
    """
    quantum = _quantum_of_all(frames, pixels, seen)
    if offset != "auto":
        shift = _number(offset)
        if shift and quantum == 1:
            raise InputError(
                f"{_name(frames[0])} holds reflectance as float, to which no digital number "
                f"({shift:g}) can be added; leave the offset out"
            )
        notes = [f"added {shift:g} to all digital numbers, as asked"] if shift else []
        return [Units(quantum, shift) for _ in frames], notes
    if quantum == 1:
        return [Units(1.0, 0.0) for _ in frames], []
    darkest = [_darkest(values, where) for values, where in zip(pixels, seen, strict=True)]
    offsets, notes = _offsets(frames, darkest)
    return [Units(quantum, shift) for shift in offsets], notes


def _number(offset: float | str) -> float:
    try:
        return float(offset)
    except ValueError:
        raise InputError(f'offset is "{offset}"; give -1000, 0 or "auto"') from None


def _quantum_of_all(
    frames: Sequence[Frame], pixels: Sequence[Raw], seen: Sequence[Booleans]
) -> float:
    held = [
        (frame, _quantum(frame, values, where))
        for frame, values, where in zip(frames, pixels, seen, strict=True)
        if where.any()
    ]
    if not held:
        raise InputError(f"{_name(frames[0])} holds nodata only, as do all others; give images")
    first, quantum = held[0]
    for frame, other in held:
        if other != quantum:
            raise InputError(
                f"{_name(first)} is reflectance times {1 / quantum:g}, but {_name(frame)} times "
                f"{1 / other:g}; give all in the same units"
            )
    return quantum


def _quantum(frame: Frame, values: Raw, seen: Booleans) -> float:
    data = values[:, seen]
    middle, top = float(np.median(data)), float(np.percentile(data, 99.9))
    whole = np.issubdtype(values.dtype, np.integer)
    quantum = frame.quantum or (1e-4 if whole or top > 300 else 1.0)
    small = whole and frame.quantum is None and float(data.max()) <= 255
    if small or middle * quantum > 4 or (quantum == 1 and top > 4):
        raise InputError(f"{_name(frame)} has values up to {top:g}, median {middle:g}; {WANTED}")
    return quantum


def _darkest(values: Raw, seen: Booleans) -> float:
    """The 1st percentile of the darkest band, in digital numbers; infinite without data.

    0 is left out: at the edge of the swath it is the nodata of single bands.
    """
    bands = [band[band != 0] for band in values[:, seen]]
    return min((float(np.percentile(band, 1)) for band in bands if band.size), default=np.inf)


def _offsets(frames: Sequence[Frame], darkest: Sequence[float]) -> tuple[list[float], list[str]]:
    notes: list[str] = []
    unstated = [i for i, f in enumerate(frames) if f.offset is None and f.date >= OFFSET_FROM]
    offsets = [0.0 if frame.offset is None else frame.offset for frame in frames]
    for i, frame in enumerate(frames):
        if offsets[i] < 0 and darkest[i] + offsets[i] < -500:
            notes.append(
                f"{_name(frame)} states the offset {offsets[i]:g}, but its darkest pixels are "
                f"{darkest[i]:g}: it was already added"
            )
            offsets[i] = 0.0
    if unstated:
        plain = [d for f, d in zip(frames, darkest, strict=True) if f.date < OFFSET_FROM]
        plain = [d for d in plain if d < CLOUDED]
        lowest = min(darkest[i] for i in unstated)
        # where older images show how dark this ground is, it need not be dark
        limit = min(plain) + 500 if plain else 950.0
        shift = OFFSET if limit <= lowest < np.inf else 0.0
        for i in unstated:
            offsets[i] = shift
        notes.append(
            f"{len(unstated)} images since {OFFSET_FROM} state no offset; their darkest pixels are "
            f"{lowest:g}, so {'-1000 was added' if shift else 'it was already added'}"
        )
    stated = sum(1 for f, o in zip(frames, offsets, strict=True) if f.offset is not None and o)
    if stated:
        notes.append(f"added the offset that {stated} images state")
    return offsets, notes


def _name(frame: Frame) -> str:
    return Path(frame.source).name
