"""Where the ground lies, what it is, and how the splits share it out."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from sitsr.analysis.page import charts, words
from sitsr.analysis.rows import SourceRow
from sitsr.report import svg
from sitsr.report.panels import card

HUES = ("system", "oracle", "control", "baseline")
MOST_CLASSES = 12
"""Classes of a tag that get a line of their own."""
HIGHEST = 340
"""Units that a map may be high."""
NAMED = 20
"""Sites in two splits that are named."""


def where(sources: Sequence[SourceRow]) -> str:
    """Map, classes by split, and sites that two splits share."""
    parts = [
        words.note(
            "A mark is a site, at the middle of the ground its pairs cover; its colour is the "
            "split. Close sites in different splits share their landscape, if not their pixels."
        ),
        words.pair(card("Sites", _map(sources)), card("Splits", _splits(sources))),
    ]
    tags = _tags(sources)
    if tags:
        parts.append(
            words.note(
                "Pairs by class and split. A class that one split lacks is not tested there; the "
                "share is that of the class within the split."
            )
        )
        parts.append(words.pair(*(card(name, _classes(sources, name)) for name in tags)))
    else:
        parts.append(words.note("The data set says nothing of land cover, climate or the like."))
    return "".join(parts)


def shared_sites(sources: Sequence[SourceRow]) -> dict[str, tuple[str, ...]]:
    """Sites that lie in two splits or more, and which."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in sources:
        if row.split:
            found[row.site].add(row.split)
    return {site: tuple(sorted(each)) for site, each in sorted(found.items()) if len(each) > 1}


def _hues(sources: Sequence[SourceRow]) -> dict[str, str]:
    """A colour a split, the largest first; all beyond the third share the last one."""
    known = Counter(row.split or "no split" for row in sources)
    order = sorted(known, key=lambda name: (-known[name], name))
    return {name: HUES[min(n, len(HUES) - 1)] for n, name in enumerate(order)}


def _map(sources: Sequence[SourceRow]) -> str:
    sites = _sites([row for row in sources if math.isfinite(row.west)])
    unknown = sum(not math.isfinite(row.west) for row in sources)
    if not sites:
        return words.note("The data set does not say where its ground lies.")
    lon, lat, high = _frame([place[0] for place in sites], [place[1] for place in sites])
    hues = _hues(sources)
    marks = [
        svg.mark(
            hues[split], lon.at(x), lat.at(y), f"{site}, {split}: {x:.3f}, {y:.3f}", 3.2, "dot"
        )
        for x, y, site, split in sites
    ]
    shown = {split: hues[split] for split in hues if any(place[3] == split for place in sites)}
    told = words.note(f"{words.count(unknown, 'pair')} without a place.") if unknown else ""
    drawn = svg.chart(high + 34, [_graticule(lon, lat), *marks], "Map of the sites")
    return drawn + charts.legend(shown) + told


def _sites(rows: Sequence[SourceRow]) -> list[tuple[float, float, str, str]]:
    """Longitude, latitude, site and split of each."""
    found: dict[tuple[str, str], list[SourceRow]] = defaultdict(list)
    for row in rows:
        found[row.site, row.split or "no split"].append(row)
    return [
        (
            (min(row.west for row in held) + max(row.east for row in held)) / 2,
            (min(row.south for row in held) + max(row.north for row in held)) / 2,
            *place,
        )
        for place, held in sorted(found.items())
    ]


def _frame(lons: Sequence[float], lats: Sequence[float]) -> tuple[svg.Axis, svg.Axis, float]:
    """Axes on which a degree is as long both ways at the middle latitude, and the height."""
    middle = (min(lats) + max(lats)) / 2
    shrink = max(math.cos(math.radians(middle)), 0.2)
    left, top, right = 60, 12, svg.WIDE - 20
    wide = max(1.2 * (max(lons) - min(lons)), 0.1)
    tall = max(1.2 * (max(lats) - min(lats)), 0.1 * shrink)
    unit = min((right - left) / (wide * shrink), HIGHEST / tall)  # units a degree of latitude
    tall = max(tall, 0.4 * (right - left) / unit)
    wide = (right - left) / (unit * shrink)
    centre = (min(lons) + max(lons)) / 2
    high = top + tall * unit
    return (
        svg.Axis(centre - wide / 2, centre + wide / 2, left, right),
        svg.Axis(middle - tall / 2, middle + tall / 2, high, top),
        high,
    )


def _graticule(lon: svg.Axis, lat: svg.Axis) -> str:
    left, right, top, bottom = lon.start, lon.stop, lat.stop, lat.start
    meridians = (
        svg.line(lon.at(tick), top, lon.at(tick), bottom, "grid")
        + svg.text(lon.at(tick), bottom + 16, _degrees(lon, tick, "EW"), "tick", "middle")
        for tick in lon.ticks()
        if abs(tick) <= 180
    )
    parallels = (
        svg.line(left, lat.at(tick), right, lat.at(tick), "grid")
        + svg.text(left - 6, lat.at(tick) + 4, _degrees(lat, tick, "NS"), "tick", "end")
        for tick in lat.ticks()
        if abs(tick) <= 90
    )
    return "".join([*meridians, *parallels])


def _degrees(axis: svg.Axis, tick: float, sides: str) -> str:
    return f"{axis.label(abs(tick))}° {sides[0] if tick >= 0 else sides[1]}"


def _splits(sources: Sequence[SourceRow]) -> str:
    pairs = Counter(row.split or "no split" for row in sources)
    sites: dict[str, set[str]] = defaultdict(set)
    for row in sources:
        sites[row.split or "no split"].add(row.site)
    lines = [
        [name, f"{pairs[name]}", f"{len(sites[name])}", f"{100 * pairs[name] / len(sources):.1f} %"]
        for name in _hues(sources)
    ]
    drawn = words.table(["split", "pairs", "sites", "share of pairs"], lines)
    shared = shared_sites(sources)
    if not shared:
        return drawn + words.note("No site is in two splits.")
    named = [f"{site} ({', '.join(each)})" for site, each in list(shared.items())[:NAMED]]
    more = f" and {len(shared) - NAMED} more" if len(shared) > NAMED else ""
    told = f"{words.count(len(shared), 'site')} in two splits or more: {', '.join(named)}{more}."
    return drawn + words.note(told)


def _tags(sources: Sequence[SourceRow]) -> list[str]:
    return sorted({name for row in sources for name in json.loads(row.tags)})


def _classes(sources: Sequence[SourceRow], name: str) -> str:
    """How many pairs of each class each split has."""
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for row in sources:
        told: Mapping[str, str] = json.loads(row.tags)
        held[told.get(name, "not told")][row.split or "no split"] += 1
    order = sorted(held, key=lambda each: (-held[each].total(), each))
    groups = {each: held[each] for each in order[:MOST_CLASSES]}
    if rest := order[MOST_CLASSES:]:
        groups[f"{len(rest)} others"] = sum((held[each] for each in rest), Counter())
    splits = list(_hues(sources))
    whole = Counter(row.split or "no split" for row in sources)
    lines = [
        [each, *(_share(counts[split], whole[split]) for split in splits)]
        for each, counts in groups.items()
    ]
    return words.table(["class", *splits], lines)


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.0f} %)"
