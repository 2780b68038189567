"""What may be claimed: whether an ensemble is calibrated, and whether the measures can be trusted.

A measure that a negative control beats is no evidence for anybody: a control is made from a system
by destroying something that should matter, so a fair measure must find it worse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sitsr.evaluation.measures import MEASURES, Measure, measure
from sitsr.evaluation.rows import Row
from sitsr.evaluation.statistics import (
    Interval,
    across_sites,
    check_complete,
    compare,
    lacking,
    scores,
    systems,
)
from sitsr.metrics.ensembles import FEWEST_SITES, rank_test
from sitsr.series import InputError

Outcome = Literal["caught", "rewarded", "not told apart"]

PROMISES = ("coverage50", "coverage80", "coverage90", "spread_skill")
"""What a calibrated ensemble gets right; each has an ideal and a margin. Less is over-confident."""
STRICT = ("distortion", "ensemble")
"""Families whose measures are proper: no system can gain in them by inventing."""
UNITS = ("dB", "°", "m")
UNFIT = ("cost", "alignment")
"""Families in which a control is as good as what it was made from, or says nothing."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far an ensemble is right about how unsure it is."""

    system: str
    coverage50: Interval
    """Share of the truth in the central half of the samples; 0.5 is right."""
    coverage80: Interval
    coverage90: Interval
    spread_skill: Interval
    """Spread over error; 1 is right, less is over-confident."""
    sample_drop: Interval
    """PSNR of the mean over that of a sample, dB; 3.01 for endless draws of the true posterior."""
    p_rank: float
    """That ranks so uneven come from a calibrated ensemble; NaN without rank counts, or with too
    few sites."""

    @property
    def verdict(self) -> str:
        """In words, over the three coverages and the spread–skill ratio.

        "calibrated" if all four intervals lie within the margin around the ideal: it was shown,
        not just not refuted. "over-confident" or "under-confident" if an interval that does not
        lie within excludes the ideal by that side; both may be. Else "not resolvable".
        """
        intervals = [(getattr(self, name), measure(name)) for name in PROMISES]
        open_ones = [each for each in intervals if not _within(*each)]
        over = any(each.high < measured.ideal for each, measured in open_ones)
        under = any(each.low > measured.ideal for each, measured in open_ones)
        if not open_ones:
            return "calibrated"
        if over and under:
            return "over-confident in part, under-confident in part"
        if over or under:
            return "over-confident" if over else "under-confident"
        return f"not resolvable with {number_of(self.coverage90.sites, 'site')}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one measure says of one negative control."""

    control: str
    made_from: str
    measure: str
    difference: Interval
    """Control minus what it was made from, in the measure's unit."""
    verdict: Outcome


def calibration(rows: Sequence[Row], system: str, seed: int) -> Calibration:
    """The system's calibration on rows of one kind; refused if it draws no samples.

    The rank test takes what the rows hold as rank_00, rank_01, …, summed over each site.
    """
    check_complete(rows)
    for name in PROMISES:
        if holes := lacking(rows, name).get(system):
            raise InputError(
                f"{name} of {system} is NaN on {number_of(holes, 'patch')} where another system "
                "has a number; draw samples there, or choose another system"
            )
    named = {name: _interval(rows, system, name, seed) for name in (*PROMISES, "sample_drop")}
    if not named["coverage90"].sites:
        raise InputError(f"{system} has no coverage on any patch; it takes samples to have one")
    return Calibration(system, **named, p_rank=_rank_p(rows, system))


def rewarded(rows: Sequence[Row], controls: Mapping[str, str], seed: int) -> list[Finding]:
    """Every control (by name, with the system it was made from) in every measure both have.

    "caught" if it is worse, with an interval that excludes 0, "rewarded" if it is better so. Only
    measures in which one way is better: to be calibrated is no merit by itself (a climatology
    is), and cost is not what a control destroys. A measure that only one of the two has on some
    patches is left out: what a table says of gaps holds for it. One interval in twenty errs.
    """
    findings = []
    for control, made_from in controls.items():
        both = [row for row in rows if row.system in (control, made_from)]
        for name in _fair(both, control, made_from):
            compared = compare(both, control, made_from, name, seed)
            outcome = _outcome(compared.verdict)
            findings.append(Finding(control, made_from, name, compared.difference, outcome))
    return findings


def warnings(findings: Sequence[Finding]) -> list[str]:
    """A sentence for each measure that rewards a control, and each control that none catches."""
    told = [_praise(each) for each in findings if each.verdict == "rewarded"]
    for control, made_from in dict.fromkeys((each.control, each.made_from) for each in findings):
        strict = [
            each
            for each in findings
            if each.control == control and measure(each.measure).family in STRICT
        ]
        if strict and not any(each.verdict == "caught" for each in strict):
            told.append(
                f"{control} is not found worse than {made_from} by any distortion or ensemble "
                "measure: on these pairs, what was taken from it carries nothing that can be "
                f"resolved with {number_of(strict[0].difference.sites, 'site')}."
            )
    return told


def comparable(rows: Sequence[Row], system: str, against: str, metric: str) -> bool:
    """Whether both were scored in the measure on the same patches, of two or more sites."""
    both = [row for row in rows if row.system in (system, against)]
    if {system, against} != set(systems(both)) or lacking(both, metric):
        return False
    told = scores(both, system, metric)
    return len({site for (site, _), value in told.items() if not math.isnan(value)}) > 1


def number_of(count: int, noun: str) -> str:
    """As a sentence says it: "1 site", "3 patches"."""
    plural = noun + ("es" if noun.endswith("ch") else "s")
    return f"{count} {noun if count == 1 else plural}"


def _within(interval: Interval, measured: Measure) -> bool:
    low, high = measured.ideal - measured.margin, measured.ideal + measured.margin
    return low <= interval.low and interval.high <= high


def _interval(rows: Sequence[Row], system: str, metric: str, seed: int) -> Interval:
    told = scores(rows, system, metric)
    return across_sites(((*key, value) for key, value in told.items()), seed)


def _rank_p(rows: Sequence[Row], system: str) -> float:
    """Of the rank counts summed over each site; NaN if there are none, or too few sites."""
    by_site: dict[str, list[list[float]]] = {}
    for row in rows:
        names = sorted(name for name in row.figures if re.fullmatch(r"rank_\d+", name))
        counts = [row.figures[name] for name in names if not math.isnan(row.figures[name])]
        if row.system == system and counts:
            by_site.setdefault(row.site, []).append(counts)
    sizes = {len(counts) for site in by_site.values() for counts in site}
    if len(sizes) > 1:
        members = " and ".join(str(size - 1) for size in sorted(sizes))
        raise InputError(f"{system} drew {members} samples; score it with one number of samples")
    if len(by_site) < FEWEST_SITES:
        return math.nan
    return rank_test(np.array([np.sum(counts, axis=0) for counts in by_site.values()]))


def _fair(rows: Sequence[Row], control: str, made_from: str) -> list[str]:
    """Measures with a better way that both have on the same patches."""
    return [
        name
        for name, measured in MEASURES.items()
        if measured.better in ("higher", "lower")
        and measured.family not in UNFIT
        and comparable(rows, control, made_from, name)
    ]


def _praise(finding: Finding) -> str:
    """By how much the control came out better, whichever way better is."""
    measured, moved = measure(finding.measure), finding.difference
    if measured.better == "lower":
        moved = Interval(-moved.mean, -moved.high, -moved.low, moved.sites)
    name, _, unit = measured.heading.partition(", ")
    said = f"{name} (in {unit})" if unit in UNITS else measured.heading
    return (
        f"{said} rewards {finding.control} over {finding.made_from} by "
        f"{moved.text(measured.digits)}: do not read it alone."
    )


def _outcome(verdict: str) -> Outcome:
    if verdict.startswith("worse"):
        return "caught"
    return "rewarded" if verdict.startswith("better") else "not told apart"
