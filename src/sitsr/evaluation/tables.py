"""From rows to a page of Markdown: a section for each kind of pair, which are never averaged.

Means over sites with intervals, differences with verdicts, the declared comparisons and what so
many sites can resolve, calibration, negative controls, and the first measure site by site. A dash
is never silent: a note says which system lacks which measure on how many patches.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sitsr.datasets import PUBLISHED, REAL
from sitsr.evaluation.measures import MEASURES, measure
from sitsr.evaluation.rows import Row
from sitsr.evaluation.statistics import (
    LEVEL,
    Comparison,
    across_sites,
    check_complete,
    compare,
    family,
    lacking,
    scores,
    systems,
)
from sitsr.evaluation.verdicts import (
    PROMISES,
    calibration,
    comparable,
    number_of,
    rewarded,
    warnings,
)
from sitsr.series import InputError

WIDE = 12
"""The most measures that stand side by side in one table."""
FIRST = (
    *("cpsnr", "psnr", "cssim", "ssim", "mae", "sam", "consistency", "detail", "texture"),
    *("crps", "energy", "coverage90", "spread_skill", "flicker"),
)
"""Measures that come first, in this order; those of which no row tells anything are left out."""
DIFFERENCES = ("cpsnr", "psnr", "ssim", "mae", "detail", "texture", "crps", "consistency")
"""Measures in which every system is compared with the baseline."""

Holes = Mapping[str, Mapping[str, int]]
"""By measure: systems without a number where another has one, and on how many patches."""
Declared = tuple[str, str, str]
"""A comparison that was declared: system, against, metric."""


def table(
    rows: Sequence[Row],
    against: str,
    controls: Mapping[str, str],
    family: Sequence[Declared],
    seed: int,
) -> str:
    """The rows as Markdown, systems in the order of their first row.

    Differences are taken from the system ``against``; ``controls`` gives for each negative
    control the system it was made from; ``family`` is what was declared before scoring. Real
    pairs, and kinds of fewer than two sites, are listed pair by pair, without a mean. Systems
    that were not scored on the same patches are refused.
    """
    if not rows:
        raise InputError("there are no rows to make a table of; evaluate a pair first")
    for name in (against, *controls, *controls.values(), *(n for pair in family for n in pair[:2])):
        scores(rows, name, FIRST[0])  # refuses a name that no row has
    sections = []
    for kind in dict.fromkeys(row.kind for row in rows):
        here = [row for row in rows if row.kind == kind]
        check_complete(here)
        sections.append(_heading(here))
        judged_alone = kind.startswith(REAL) and kind != PUBLISHED
        if judged_alone or len({row.site for row in here}) < 2:
            sections += _pair_by_pair(here)
        else:
            sections += _section(here, against, controls, family, seed)
    return "\n\n".join(part for part in sections if part) + "\n"


def _heading(rows: Sequence[Row]) -> str:
    sites = len({row.site for row in rows})
    counts = [number_of(sites, "site"), number_of(len(_told(rows, None)), "patch")]
    seeds = len({row.seed for row in rows})
    counts += [number_of(seeds, "seed")] if seeds > 1 else []
    return f"## {rows[0].kind} ({', '.join(counts)})"


def _section(
    rows: Sequence[Row],
    against: str,
    controls: Mapping[str, str],
    declared: Sequence[Declared],
    seed: int,
) -> list[str]:
    shown = _shown(rows)
    holes = {name: lacking(rows, name) for name in shown}
    possible = [pair for pair in dict.fromkeys(declared) if comparable(rows, *pair)]
    impossible = [pair for pair in dict.fromkeys(declared) if pair not in possible]
    made = family(rows, possible, seed, unscored=len(impossible))
    return [
        *_means(rows, shown, holes, seed),
        _notes(rows, holes),
        *_differences(rows, against, made, seed),
        *_declared(made, impossible),
        *_calibration(rows, holes, seed),
        *_controls(rows, controls, seed),
        *_site_by_site(rows, shown[0]),
    ]


def _means(rows: Sequence[Row], shown: Sequence[str], holes: Holes, seed: int) -> list[str]:
    parts = ["### Mean over sites [95 % interval]"]
    for names in _chunks(shown):
        lines = []
        for system in systems(rows):
            cells = [
                "–" if system in holes[name] else _mean(rows, system, name, seed) for name in names
            ]
            lines.append([system, *cells])
        parts.append(_markdown(["system", *_headings(names)], lines))
    return parts


def _mean(rows: Sequence[Row], system: str, metric: str, seed: int) -> str:
    told = scores(rows, system, metric)
    interval = across_sites(((*key, value) for key, value in told.items()), seed)
    return interval.text(MEASURES[metric].digits)


def _notes(rows: Sequence[Row], holes: Holes) -> str:
    """Which measures stand on fewer patches than there are, and which systems lack one."""
    whole = _told(rows, None)
    alike: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name in holes:
        if (told := _told(rows, name)) != whole:
            sites = len({site for site, _ in told})
            alike[len(told), sites].append(MEASURES[name].heading)
    lines = [
        f"- Of {len(whole)} patches, {patches} of {number_of(sites, 'site')} tell: "
        + "; ".join(headings)
        for (patches, sites), headings in alike.items()
    ]
    gaps: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name, lost in holes.items():
        for system, count in lost.items():
            gaps[system, count].append(MEASURES[name].heading)
    lacks: dict[tuple[int, str], list[str]] = defaultdict(list)
    for (system, count), headings in gaps.items():
        lacks[count, "; ".join(headings)].append(system)
    lines += [
        f"- A dash, for no number on {number_of(count, 'patch')} where another system has one "
        f"(no mean is taken over the rest): {', '.join(names)} in {headings}"
        for (count, headings), names in lacks.items()
    ]
    return "\n".join(lines)


def _told(rows: Sequence[Row], metric: str | None) -> set[tuple[str, str]]:
    """Patches, (site, patch), on which any system has the measure; all of them for None."""
    return {
        (row.site, row.patch)
        for row in rows
        if metric is None or not math.isnan(row.figures.get(metric, math.nan))
    }


def _differences(
    rows: Sequence[Row], against: str, made: Sequence[Comparison], seed: int
) -> list[str]:
    if against not in systems(rows):
        return [f"{against} was not scored on these pairs, so no differences from it are shown."]
    shown = [name for name in DIFFERENCES if comparable(rows, against, against, name)]
    known = {(each.system, each.against, each.metric): each for each in made}
    lines = []
    for system in systems(rows):
        pairs = [(system, against, name) for name in shown]
        cells = [
            _difference(known.get(pair) or compare(rows, *pair, seed), pair in known)
            if comparable(rows, *pair)
            else "–"
            for pair in pairs
        ]
        lines += [[system, *cells]] if system != against else []
    return [
        f"### Difference from {against} on the same patches [95 % interval]",
        _markdown(["system", *_headings(shown)], lines),
    ]


def _difference(compared: Comparison, declared: bool) -> str:
    """As "+1.76 [1.48, 2.04] better, p_holm 0.031"; the p only of what was declared."""
    text = compared.difference.text(MEASURES[compared.metric].digits, "+")
    verdict = compared.verdict.partition(" with ")[0]
    return f"{text} {verdict}" + (f", p_holm {_p(compared.p_holm)}" if declared else "")


def _declared(made: Sequence[Comparison], impossible: Sequence[Declared]) -> list[str]:
    """The family, with Holm's correction, equivalence and what the sites can resolve."""
    count = len(made) + len(impossible)
    if not count:
        return []
    headings = ["system", "against", "measure", "difference [95 % interval]", "verdict"]
    headings += ["p", "p_holm", "margin", "p_equivalent", "resolvable"]
    lines = [_declared_line(each) for each in made]
    for system, against, name in impossible:
        verdict = "not scored on the same patches"
        lines.append([system, against, measure(name).heading, "–", verdict, "–", "1.000", *"–––"])
    return ["### Declared comparisons", _markdown(headings, lines, words=5), _reach(made, count)]


def _declared_line(each: Comparison) -> list[str]:
    measured = MEASURES[each.metric]
    clear = each.verdict.startswith(("better", "worse"))
    margin = "–" if math.isnan(each.p_equivalent) else f"{each.margin:.{measured.digits}f}"
    return [
        each.system,
        each.against,
        measured.heading,
        each.difference.text(measured.digits, "+"),
        each.verdict + (", confirmed" if each.confirmed and clear else ""),
        *(_p(each.p), _p(each.p_holm), margin, _p(each.p_equivalent)),
        _number(each.resolvable, measured.digits),
    ]


def _reach(made: Sequence[Comparison], count: int) -> str:
    """What these columns mean, and what no result could have changed."""
    text = (
        f"p is Wilcoxon's over site means; p_holm corrects it for {number_of(count, 'comparison')} "
        "of this kind of pair. p_equivalent is that of two one-sided t-tests against the margin. "
        "Resolvable is the smallest true difference that sites as many and as unlike would show "
        "8 times of 10."
    )
    if count > len(made):
        text += " What was not scored on the same patches of two sites counts as p = 1."
    if not made:
        return text
    sites = max(each.difference.sites for each in made)
    least = min(each.smallest_p for each in made)
    text += f" With {number_of(sites, 'site')} no p can lie below {_p(least)}"
    if least * count < LEVEL:
        return text + "."
    return text + (
        f", which corrected is {_p(min(1.0, least * count))}: none of these can be confirmed, "
        "whatever the scores. Score more sites, or declare fewer comparisons."
    )


def _calibration(rows: Sequence[Row], holes: Holes, seed: int) -> list[str]:
    columns = [name for name in (*PROMISES, "sample_drop") if name in holes]
    lines = []
    for system in systems(rows):
        if not comparable(rows, system, system, "coverage90"):
            continue
        if any(system in holes[name] for name in columns):
            lines.append([system, "not judged: some patches lack a number", *["–"] * 6])
            continue
        told = calibration(rows, system, seed)
        intervals = [
            getattr(told, name).text(MEASURES[name].digits) for name in (*PROMISES, "sample_drop")
        ]
        lines.append([system, told.verdict, *intervals, _p(told.p_rank)])
    if not lines:
        return []
    headings = ["system", "verdict", *_headings((*PROMISES, "sample_drop")), "rank p"]
    return [
        "### Calibration",
        _markdown(headings, lines, words=2),
        "Calibrated: all three coverages and the spread–skill ratio lie, with their intervals, "
        "within the margin around what they should be. The mean of a perfect sampler is 3.01 dB "
        "above its samples. Rank p: that ranks so uneven come from a calibrated ensemble.",
    ]


def _controls(rows: Sequence[Row], controls: Mapping[str, str], seed: int) -> list[str]:
    here = set(systems(rows))
    present = {name: made for name, made in controls.items() if {name, made} <= here}
    findings = rewarded(rows, present, seed)
    lines = []
    for control, made_from in controls.items():
        own = [each for each in findings if each.control == control]
        lists = [
            ", ".join(each.measure for each in own if each.verdict == verdict) or "–"
            for verdict in ("caught", "rewarded", "not told apart")
        ]
        if control not in present:
            lists[0] = "not scored on these pairs"
        lines.append([control, made_from, *lists])
    if not lines:
        return []
    headings = ["control", "made from", "worse in", "better in", "not told apart in"]
    beware = [f"> **Beware:** {sentence}" for sentence in warnings(findings)]
    return ["### Negative controls", _markdown(headings, lines, words=5), "\n>\n".join(beware)]


def _site_by_site(rows: Sequence[Row], metric: str) -> list[str]:
    lines = []
    for site in dict.fromkeys(row.site for row in rows):
        here = [row for row in rows if row.site == site]
        gaps = lacking(here, metric)
        cells = ["–" if name in gaps else _mean(here, name, metric, 0) for name in systems(rows)]
        lines.append([site, *cells])
    return [
        f"### {MEASURES[metric].heading}, site by site",
        _markdown(["site", *systems(rows)], lines),
    ]


def _pair_by_pair(rows: Sequence[Row]) -> list[str]:
    """Every score, seeds averaged: too few independent places for a mean."""
    parts = ["Pair by pair, without a mean: tiles of one place are one site, no sample of sites."]
    for names in _chunks(_shown(rows)):
        told = {
            (system, name): scores(rows, system, name) for system in systems(rows) for name in names
        }
        lines = [
            [
                f"{patch} ({site})",
                system,
                *(_number(told[system, n][site, patch], MEASURES[n].digits) for n in names),
            ]
            for site, patch in dict.fromkeys((row.site, row.patch) for row in rows)
            for system in systems(rows)
        ]
        parts.append(_markdown(["patch (site)", "system", *_headings(names)], lines, words=2))
    return parts


def _shown(rows: Sequence[Row]) -> list[str]:
    """Measures of which any row tells something, the first ones first."""
    order = dict.fromkeys((*FIRST, *MEASURES))
    told = {name for row in rows for name, value in row.figures.items() if not math.isnan(value)}
    if not (shown := [name for name in order if name in told]):
        raise InputError("no row holds a measure; score with one of " + ", ".join(FIRST))
    return shown


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The first table as wide as may be, the rest in tables of about one width."""
    yield names[:WIDE]
    rest = names[WIDE:]
    tables = math.ceil(len(rest) / WIDE)
    yield from (
        rest[len(rest) * k // tables : len(rest) * (k + 1) // tables] for k in range(tables)
    )


def _headings(names: Iterable[str]) -> list[str]:
    return [MEASURES[name].heading for name in names]


def _p(p: float) -> str:
    """A p-value to three decimals."""
    return "<0.001" if p < 0.0005 else _number(p, 3)


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:z.{digits}f}"


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]], words: int = 1) -> str:
    """The first ``words`` columns hold words, the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(headings) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *lines))
