"""What is wrong with a data set: found and listed, never mended here.

Of the splits      leaking split, shared ground, repeated pair
Of a pair's files  unreadable, and what its reader had to mend: constant revisit, duplicate revisit,
                   empty revisit, missing mask, missing date, dates disagree, black bars
Of its pixels      duplicate revisit, constant revisit, black bars, misregistered reference,
                   misregistered date, radiometric outlier, reference far in time

Pairs are read one at a time and forgotten; of each only a few numbers stay.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from sitsr.datasets.harmonise import HARMONISERS, Linear
from sitsr.datasets.pairs import Pair, Source
from sitsr.datasets.registration import SURE, shift_of_reference, shifts_of_dates
from sitsr.datasets.splits import overlapping
from sitsr.series import Floats, InputError, Series

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Limits:
    """Beyond what something is reported."""

    shift: float = 1.0
    """Of a reference from its series, low-resolution pixels."""
    date_shift: float = 1.0
    """Of a date from the others, pixels. Sentinel-2's own goal is 0.3 between two dates."""
    days: int = 365
    """From the reference to the nearest clear date."""
    dark: float = -0.02
    bright: float = 1.2
    """Reflectance of clear ground; snow and salt reach 1."""
    share: float = 0.01
    """Of the clear pixels that may lie beyond."""
    gain: float = 3.0
    """Between a reference and its series, or one over it, beside the median of the data set."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    check: str
    """Its name, one of those above."""
    site: str
    patch: str
    said: str
    """What was found, in one line."""


def check_sources(
    sources: Sequence[Source],
    limits: Limits = Limits(),
    progress: Progress = lambda done, total: None,
) -> Iterator[Finding]:
    """Findings about the splits, then about each pair; progress is told (pairs done, in all)."""
    yield from _of_splits(sources)
    gains: dict[Source, Floats] = {}
    for done, source in enumerate(sources):
        progress(done, len(sources))
        try:
            pair = source.load()
        except InputError as error:
            yield Finding("unreadable", source.site, source.patch, str(error))
            continue
        for check, said in _of_pair(pair, limits):
            yield Finding(check, source.site, source.patch, said)
        if (gain := _gain(pair)) is not None:
            gains[source] = gain
    progress(len(sources), len(sources))
    yield from _outliers(gains, limits)


def report(findings: Sequence[Finding], pairs: int, out: Path) -> None:
    """Write findings as JSON, aside and then in place."""
    count = Counter(each.check for each in findings)
    told = {
        "pairs": pairs,
        "found": dict(sorted(count.items())),
        "findings": [asdict(each) for each in findings],
    }
    aside = out.with_name(out.name + ".part")
    aside.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(out)


# ------------------------------------------------------------- splits


def _of_splits(sources: Sequence[Source]) -> Iterator[Finding]:
    splits, named = defaultdict(set), Counter[tuple[str, str, str]]()
    for each in sources:
        named[each.kind, each.site, each.patch] += 1
        if each.split is not None:
            splits[each.site].add(each.split)
    for site, found in sorted(splits.items()):
        if len(found) > 1:
            yield Finding("leaking split", site, "", f"is in {' and '.join(sorted(found))}")
    for one, other in overlapping(sources):
        if one.split != other.split and one.site != other.site and one.split and other.split:
            said = f"{one.split} shares ground with {other.site}, {other.patch} ({other.split})"
            yield Finding("shared ground", one.site, one.patch, said)
    for (kind, site, patch), times in sorted(named.items()):
        if times > 1:
            yield Finding("repeated pair", site, patch, f"is there {times} times as {kind}")


# ------------------------------------------------------------- pixels

Found = Iterator[tuple[str, str]]


def _of_pair(pair: Pair, limits: Limits) -> Found:
    yield from ((fault.check, fault.said) for fault in pair.faults)
    yield from _revisits(pair.series)
    if not any(fault.check == "black bars" for fault in pair.faults):
        yield from _bars(pair)
    yield from _values(pair.series, limits)
    yield from _days(pair, limits)
    yield from _reference_shift(pair, limits)
    yield from _date_shifts(pair.series, limits)


def _revisits(series: Series) -> Found:
    images, dates = series.images, series.dates
    for day, image, clear in zip(dates, images, series.clear, strict=True):
        if clear.any() and (image == image[:, :1, :1]).all():
            yield "constant revisit", f"every pixel of {day} has one value"
    for one, other in combinations(range(len(dates)), 2):
        both = series.clear[one] & series.clear[other]
        if both.any() and (images[one][:, both] == images[other][:, both]).all():
            yield "duplicate revisit", f"{dates[other]} shows the same pixels as {dates[one]}"


def _bars(pair: Pair) -> Found:
    """Lines at the border of a reference that are black all along, in every band."""
    black = (pair.reference == 0).all(0) & ~pair.clear
    if black.all():
        yield "black bars", "the reference is black"
        return
    sides = {"above": black, "below": black[::-1], "left": black.T, "right": black.T[::-1]}
    widths = {name: int(np.argmin(lines.all(1))) for name, lines in sides.items()}
    if told := ", ".join(f"{name} {width}" for name, width in widths.items() if width):
        yield "black bars", f"of the reference, pixels: {told}"


def _values(series: Series, limits: Limits) -> Found:
    for day, image, clear in zip(series.dates, series.images, series.clear, strict=True):
        ground = image[:, clear]
        if not ground.size:
            continue
        beyond = float(((ground < limits.dark) | (ground > limits.bright)).mean())
        if beyond > limits.share:
            said = f"{100 * beyond:.0f} % of the clear pixels of {day} are no reflectance"
            yield "radiometric outlier", said


def _days(pair: Pair, limits: Limits) -> Found:
    days = [abs(d) for d in pair.series.days_from(pair.target)[pair.series.clear.any((1, 2))]]
    if days and min(days) > limits.days:
        yield "reference far in time", f"{min(days):.0f} days from the nearest clear date"


def _reference_shift(pair: Pair, limits: Limits) -> Found:
    if pair.at_sensor:
        return
    try:
        shift = shift_of_reference(pair, 2 * limits.shift + 1)
    except InputError:
        return  # too little is clear to tell
    down, right = shift.low
    if math.hypot(down, right) > limits.shift:
        said = f"has to move {down:+.2f} rows and {right:+.2f} columns of the series to lie on it"
        yield "misregistered reference", said


def _date_shifts(series: Series, limits: Limits) -> Found:
    if len(series.dates) < 2:
        return
    for day, shift in shifts_of_dates(series, limit=2 * limits.date_shift + 1).items():
        far = math.hypot(shift.rows, shift.cols) > limits.date_shift
        if far and shift.correlation >= SURE and not shift.at_limit:
            said = f"{day} lies {shift.rows:+.2f} rows and {shift.cols:+.2f} columns off"
            yield "misregistered date", said


def _gain(pair: Pair) -> Floats | None:
    """[C] logarithms of the gain of the reference; None where it cannot be told."""
    if pair.at_sensor:
        return None
    try:
        fitted = HARMONISERS["gain"](pair)
    except InputError:
        return None
    assert isinstance(fitted, Linear)
    return np.asarray(np.log(np.maximum(fitted.gain, 1e-3)), np.float32)


def _outliers(gains: dict[Source, Floats], limits: Limits) -> Iterator[Finding]:
    """Pairs whose gain is unlike that of others of as many bands."""
    alike: dict[int, list[Source]] = defaultdict(list)
    for source, gain in gains.items():
        alike[len(gain)].append(source)
    for group in alike.values():
        usual = np.median([gains[each] for each in group], axis=0)
        for source in group:
            apart = np.abs(gains[source] - usual)
            if apart.max() > math.log(limits.gain):
                times = math.exp(gains[source][apart.argmax()] - usual[apart.argmax()])
                said = f"the reference needs {times:.2g} times the gain of the others in a band"
                yield Finding("radiometric outlier", source.site, source.patch, said)
