"""From rows to a page: means over sites with their intervals, and differences pair by pair.

The unit is the site: pairs of one site share its ground, its weather and its season, so they are
averaged first, and the bootstrap draws sites (Efron & Tibshirani 1993, percentile interval, 95 %).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sitsr.evaluation.rows import Row
from sitsr.evaluation.scoring import REAL
from sitsr.series import InputError

DRAWS = 10_000

COLUMNS = {  # name: (heading, digits)
    "psnr": ("PSNR, dB", 2),
    "psnr_contrast": ("PSNR at equal contrast, dB", 2),
    "ssim": ("SSIM", 4),
    "mae": ("MAE", 5),
    "crps": ("CRPS", 5),
    "detail": ("detail", 3),
    "consistency": ("consistency", 5),
    "sample_psnr": ("PSNR of a sample, dB", 2),
    "coverage90": ("coverage of 90 %", 3),
    "spread_skill": ("spread–skill", 2),
    "seconds": ("seconds", 2),
}

DIFFERENCES = ("psnr", "ssim", "mae", "crps", "detail")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over sites and its 95 % bootstrap interval."""

    mean: float
    low: float
    """NaN, as high, if there are fewer than two sites."""
    high: float
    sites: int

    def text(self, digits: int, sign: str = "") -> str:
        """As it stands in a table: "28.31 [27.90, 28.72]"."""
        if not self.sites:
            return "–"
        mean = f"{self.mean:{sign}.{digits}f}"
        if self.sites == 1:
            return mean
        return f"{mean} [{self.low:{sign}.{digits}f}, {self.high:{sign}.{digits}f}]"


def across_sites(values: Iterable[tuple[str, float]], seed: int) -> Interval:
    """The mean over sites of (site, value), pairs of a site averaged first; NaN is left out.

    One seed draws the same sites for every metric and system, so that intervals compare.
    """
    by_site: dict[str, list[float]] = defaultdict(list)
    for site, value in values:
        if not math.isnan(value):
            by_site[site].append(value)
    means = np.array([np.mean(by_site[site]) for site in sorted(by_site)])
    count = len(means)
    if count < 2:
        return Interval(float(means[0]) if count else math.nan, math.nan, math.nan, count)
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    low, high = np.percentile(means[drawn].mean(axis=1), [2.5, 97.5])
    return Interval(float(means.mean()), float(low), float(high), count)


def paired(
    rows: Sequence[Row], system_a: str, system_b: str, metric: str, seed: int = 0
) -> Interval:
    """By how much the metric of system_a exceeds that of system_b on the same pairs."""
    kinds = sorted({row.kind for row in rows})
    if len(kinds) > 1:
        raise InputError(f"rows hold {', '.join(kinds)}, which do not average; give one kind")
    ours, theirs = _by_pair(rows, system_a), _by_pair(rows, system_b)
    if ours.keys() != theirs.keys():
        raise InputError(
            f"{system_a} has {len(ours)} pairs and {system_b} {len(theirs)}, not the same ones; "
            "evaluate both on the same pairs"
        )
    differences = [
        (row.site, _value(row, metric) - _value(theirs[pair], metric)) for pair, row in ours.items()
    ]
    return across_sites(differences, seed)


def table(rows: Sequence[Row], against: str, seed: int) -> str:
    """The rows as Markdown: a section for each kind of pair, which are never averaged together.

    A line a system, means over sites with intervals; the paired differences from the system
    ``against``; PSNR site by site. Real pairs are too few for a mean: one line a pair and system.
    """
    if not rows:
        raise InputError("there are no rows to make a table of; evaluate a pair first")
    sections = []
    for kind in dict.fromkeys(row.kind for row in rows):
        here = [row for row in rows if row.kind == kind]
        sites, pairs = len({row.site for row in here}), len({row.pair for row in here})
        parts = [f"## {kind} ({_count(sites, 'site')}, {_count(pairs, 'pair')})"]
        if kind == REAL:
            parts += [_pair_by_pair(here)]
        else:
            parts += [_means(here, seed), _differences(here, against, seed), _site_by_site(here)]
        sections += parts
    return "\n\n".join(sections) + "\n"


def _means(rows: Sequence[Row], seed: int) -> str:
    shown = _shown(rows)
    lines = []
    for system, own in _by_system(rows).items():
        means = [
            across_sites(((row.site, _value(row, name)) for row in own), seed) for name in shown
        ]
        texts = [mean.text(COLUMNS[name][1]) for name, mean in zip(shown, means, strict=True)]
        lines.append([system, *texts])
    headings = [COLUMNS[name][0] for name in shown]
    return "Mean over sites [95 % interval]\n\n" + _markdown(["system", *headings], lines)


def _differences(rows: Sequence[Row], against: str, seed: int) -> str:
    systems = _by_system(rows)
    if against not in systems:
        raise InputError(f"no row is of {against}; compare with one of {', '.join(systems)}")
    shown = [name for name in DIFFERENCES if name in _shown(rows)]
    lines = [
        [
            system,
            *(
                paired(rows, system, against, name, seed).text(COLUMNS[name][1], "+")
                for name in shown
            ),
        ]
        for system in systems
        if system != against
    ]
    headings = [COLUMNS[name][0] for name in shown]
    return f"Difference from {against} on the same pairs [95 % interval]\n\n" + _markdown(
        ["system", *headings], lines
    )


def _site_by_site(rows: Sequence[Row]) -> str:
    systems = _by_system(rows)
    lines = []
    for site in dict.fromkeys(row.site for row in rows):
        own = [[_value(row, "psnr") for row in systems[s] if row.site == site] for s in systems]
        lines.append([site, *(_number(float(np.mean(v)) if v else math.nan, 2) for v in own)])
    return "PSNR by site, dB\n\n" + _markdown(["site", *systems], lines)


def _pair_by_pair(rows: Sequence[Row]) -> str:
    shown = _shown(rows)
    lines = [
        [
            f"{row.pair} ({row.site})",
            row.system,
            *(_number(_value(row, name), COLUMNS[name][1]) for name in shown),
        ]
        for row in sorted(rows, key=lambda row: row.pair)
    ]
    return _markdown(["pair (site)", "system", *(COLUMNS[name][0] for name in shown)], lines)


def _shown(rows: Sequence[Row]) -> list[str]:
    """The columns that say something about any row."""
    return [name for name in COLUMNS if any(not math.isnan(_value(row, name)) for row in rows)]


def _value(row: Row, metric: str) -> float:
    if metric == "seconds":
        return row.seconds
    return row.figures.get(metric, math.nan)


def _by_system(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.system, []).append(row)
    return groups


def _by_pair(rows: Sequence[Row], system: str) -> dict[int, Row]:
    own = {row.pair: row for row in rows if row.system == system}
    if not own:
        raise InputError(
            f"no row is of {system}; give one of {', '.join(sorted({row.system for row in rows}))}"
        )
    return own


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *lines))
