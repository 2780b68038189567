"""Splits that do not leak: ground that is tested on, or lies near it, is never trained on.

Neighbouring patches share weather, season and land use, and often pixels. So a site is never
divided, sites whose ground lies nearer than a buffer go together, and where a data set publishes
splits that break this, what is in the way leaves training, never testing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sitsr.datasets.pairs import Source
from sitsr.series import InputError

STRICTEST = ("test", "validation", "train")
"""Who keeps ground that two splits lay claim to: the first of them."""

SHARES: Mapping[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}

DEGREE = 111.32
"""Kilometres of a degree of latitude."""

Bounds = tuple[float, float, float, float]


class Grouped(NamedTuple):
    """Sources with splits that do not leak."""

    kept: list[Source]
    left_out: list[Source]
    """Those that lie in, or too near to, the ground of a stricter split."""


def split_by_area(
    sources: Sequence[Source],
    shares: Mapping[str, float] = SHARES,
    *,
    buffer: float = 0.0,
    seed: int = 0,
) -> Grouped:
    """Sources with new splits: whole areas, drawn until every split has its share of the pairs.

    An area is all sites that lie nearer to each other than the buffer, in kilometres, one by one.
    The same seed gives the same splits, in whatever order the sources come. InputError where shares
    do not sum to one, or there are fewer areas than splits.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise InputError(f"shares are {dict(shares)}; give shares above 0 that sum to 1")
    areas = areas_of(sources, buffer)
    names: dict[int, str] = {}
    for area, source in zip(areas.tolist(), sources, strict=True):
        names[area] = min(names.get(area, source.site), source.site)
    wanted = [name for name, share in shares.items() if share > 0]
    if len(names) < len(wanted):
        raise InputError(
            f"{len(names)} areas cannot be divided into {', '.join(wanted)}; "
            "give fewer splits or a smaller buffer"
        )

    def lot(area: int) -> bytes:
        return hashlib.sha256(f"{seed} {names[area]}".encode()).digest()

    count = dict.fromkeys(wanted, 0)
    chosen = {}
    for number, area in enumerate(sorted(names, key=lot)):
        # First one area each, then whoever is furthest below its share.
        poorest = min(wanted, key=lambda name: count[name] / shares[name])
        split = wanted[::-1][number] if number < len(wanted) else poorest
        chosen[area] = split
        count[split] += int((areas == area).sum())
    kept = [replace(each, split=chosen[area]) for each, area in zip(sources, areas, strict=True)]
    return Grouped(kept, [])


def without_leaks(sources: Sequence[Source], *, buffer: float = 0.0) -> Grouped:
    """Sources in their own splits, but for those in the way of a stricter one.

    Left out are sources of a site, or nearer in kilometres than the buffer to ground, that a
    stricter split holds: test before validation before train. Sources without a split are kept.
    """
    boxes = _boxes(sources)
    sites = np.array([each.site for each in sources])
    splits = np.array([each.split or "" for each in sources])
    stays = np.ones(len(sources), bool)
    for rank, strict in enumerate(STRICTEST):
        held = np.flatnonzero(stays & (splits == strict))
        for looser in STRICTEST[rank + 1 :]:
            asked = np.flatnonzero(stays & (splits == looser))
            near = np.isin(sites[asked], sites[held])
            near |= _near(boxes[asked], boxes[held], buffer).any(1)
            stays[asked[near]] = False
    kept = [each for each, stay in zip(sources, stays, strict=True) if stay]
    out = [each for each, stay in zip(sources, stays, strict=True) if not stay]
    return Grouped(kept, out)


def overlapping(sources: Sequence[Source]) -> Iterator[tuple[Source, Source]]:
    """Pairs of sources whose ground overlaps, each once, in the order of the list."""
    boxes = _boxes(sources)
    for start in range(0, len(boxes), 1000):
        one, other = np.nonzero(_near(boxes[start : start + 1000], boxes, 0.0))
        for k, m in zip((one + start).tolist(), other.tolist(), strict=True):
            if k < m:
                yield sources[k], sources[m]


def areas_of(sources: Sequence[Source], buffer: float = 0.0) -> npt.NDArray[np.int32]:
    """[N] the number of the area that each source lies in."""
    boxes = _boxes(sources)
    _, sites = np.unique([each.site for each in sources], return_inverse=True)
    pairs = [np.stack([np.arange(len(sites)), len(sites) + sites])]  # each with its site
    for start in range(0, len(boxes), 1000):
        one, other = np.nonzero(_near(boxes[start : start + 1000], boxes, buffer))
        pairs.append(np.stack([one + start, other]))
    linked = np.concatenate(pairs, axis=1)
    size = len(sites) + len(set(sites))
    graph = coo_array((np.ones(linked.shape[1]), (linked[0], linked[1])), shape=(size, size))
    _, areas = connected_components(graph, directed=False)
    return np.asarray(areas[: len(sites)], np.int32)


def _boxes(sources: Sequence[Source]) -> npt.NDArray[np.float64]:
    """[N, 4] west, south, east, north; NaN where it is not known, which is near to nothing."""
    nowhere: Bounds = (np.nan,) * 4
    return np.array([each.bounds or nowhere for each in sources], float).reshape(-1, 4)


def _near(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], buffer: float
) -> npt.NDArray[np.bool_]:
    """[M, N] whether two boxes overlap or lie nearer than the buffer, kilometres.

    On a sphere and for gaps that are small beside it; across the date line nothing is near.
    """
    west, south, east, north = one.T[:, :, None]
    left, bottom, right, top = other.T[:, None, :]
    across, down = np.maximum(west - right, left - east), np.maximum(south - top, bottom - north)
    middle = np.deg2rad((south + north + bottom + top) / 4)
    # Boxes that share an edge are neighbours on the ground; they touch, but do not overlap.
    apart = np.hypot(across.clip(0) * np.cos(middle), down.clip(0)) * DEGREE
    overlap = (across < 0) & (down < 0)
    return np.asarray(overlap | (apart < buffer), bool)
