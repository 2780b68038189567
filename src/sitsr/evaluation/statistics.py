"""What scores at a few sites say: intervals, paired differences, and what cannot be resolved.

The unit is the site: patches of one site share its ground, its weather and its season. So seeds of
a patch are averaged first, then patches of a site, and sites weigh the same however many patches
they have. A difference is told in four ways: its bootstrap interval (how large), Wilcoxon's test
with Holm's correction (is it confirmed), two one-sided tests (is it too small to matter), and the
smallest difference that these sites could have shown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from sitsr.evaluation.measures import Measure, measure
from sitsr.evaluation.rows import Row
from sitsr.series import InputError

DRAWS = 10_000
LEVEL = 0.05  # of every test, and what every interval leaves out
POWER = 0.8  # how often a difference must be found to be called resolvable

Doubles = npt.NDArray[np.float64]
Scores = dict[tuple[str, str], float]
"""Score of each patch, (site, patch): value."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over sites and its 95 % interval."""

    mean: float
    low: float
    """NaN, as high, if there are fewer than two sites or a site is infinite."""
    high: float
    sites: int

    def text(self, digits: int, sign: str = "") -> str:
        """As it stands in a table: "28.31 [27.90, 28.72]"; sign "+" shows the sign of all three."""
        if math.isnan(self.mean):
            return "–"
        form = f"{sign}z.{digits}f"
        if math.isnan(self.low):
            return f"{self.mean:{form}}"
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One system against another in one measure."""

    metric: str
    system: str
    against: str
    difference: Interval
    """System minus against; of a measure with an ideal, by how much farther from it sites are."""
    p: float
    """Wilcoxon's signed-rank test on site means: two-sided, exact; 1 if all are equal."""
    p_holm: float
    """The same, corrected for the family it was declared in."""
    margin: float
    """A difference smaller than this does not matter, in the measure's unit; 0 if none is set."""
    p_equivalent: float
    """That of two one-sided t-tests against the margin, not corrected; NaN without a margin."""
    resolvable: float
    """The smallest true difference that sites as many and as unlike would show 8 times of 10."""

    @property
    def smallest_p(self) -> float:
        """What Wilcoxon's test can reach at all with these sites: all of them of one sign."""
        return 2.0 ** (1 - self.difference.sites)

    @property
    def confirmed(self) -> bool:
        """Whether the difference stands after correction for the whole declared family."""
        return self.p_holm < LEVEL

    @property
    def verdict(self) -> str:
        """Better or worse if the interval excludes 0, equivalent by p_equivalent, or both."""
        side = _side(self.difference, measure(self.metric))
        negligible = self.p_equivalent < LEVEL
        if side:
            return f"{side}, but by less than matters" if negligible else side
        if negligible:
            return "equivalent"
        if self.difference.low == self.difference.high:
            return "identical"
        return f"not resolvable with {self.difference.sites} sites"


def across_sites(values: Iterable[tuple[str, str, float]], seed: int) -> Interval:
    """The mean over sites of (site, patch, value), with a 95 % interval by hierarchical bootstrap.

    Values of one patch (its seeds) are averaged; a patch that holds NaN is left out, so compare
    only what is NaN on the same patches (``lacking`` counts). 10 000 times, sites are drawn, and
    patches within each of them; one seed draws the same sites for every metric and system.

    Percentiles are too narrow where sites are few, so they are taken further out, at
    Φ(-√(n/(n-1)) t) with Student's t of n-1 degrees (Hesterberg 2015, expanded percentile).
    Below 6 sites even the range of site means misses the truth 2^(1-n) of the time, more than 5 %,
    and no percentile helps: there the interval is Student's.
    """
    sites = _by_site(_averaged(values))
    means = np.array([patches.mean() for patches in sites.values()])
    count = len(means)
    if count < 2 or not np.isfinite(means).all():
        return Interval(_mean(means.tolist()), math.nan, math.nan, count)
    mean, far = float(means.mean()), float(stats.t.isf(LEVEL / 2, count - 1))
    if 2.0 ** (1 - count) > LEVEL:
        half = far * float(means.std(ddof=1)) / math.sqrt(count)
        return Interval(mean, mean - half, mean + half, count)
    tail = float(stats.norm.sf(math.sqrt(count / (count - 1)) * far))
    low, high = np.quantile(_drawn_means(list(sites.values()), seed), [tail, 1 - tail])
    return Interval(mean, float(low), float(high), count)


def compare(rows: Sequence[Row], system: str, against: str, metric: str, seed: int) -> Comparison:
    """The system against another on the same patches.

    Refused in one line: rows of several kinds, an unknown system or measure, fewer than two
    sites, patches or numbers that only one of the two has.
    """
    measured = directional(metric)
    ours, theirs = _matched(rows, system, against, metric)
    differences = _differences(ours, theirs, measured)
    sites = _site_means(differences)
    if len(sites) < 2:
        raise InputError(f"{metric} of {system} is known at 1 site; score two or more to compare")
    margin = measured.margin
    if measured.relative:
        others = _site_means((*key, value) for key, value in theirs.items())
        margin *= abs(_mean(others.tolist()))
    p = wilcoxon(sites)
    return Comparison(
        metric=metric,
        system=system,
        against=against,
        difference=across_sites(differences, seed),
        p=p,
        p_holm=p,
        margin=margin,
        p_equivalent=equivalence(sites, margin),
        resolvable=resolvable(sites),
    )


def family(
    rows: Sequence[Row], pairs: Sequence[tuple[str, str, str]], seed: int, unscored: int = 0
) -> list[Comparison]:
    """Each (system, against, metric) compared, with Holm's correction over all of them.

    ``unscored`` comparisons were declared too but could not be made: they count as p = 1.
    """
    made = [compare(rows, *pair, seed) for pair in dict.fromkeys(pairs)]
    corrected = holm([each.p for each in made] + [1.0] * unscored)
    return [replace(each, p_holm=p) for each, p in zip(made, corrected, strict=False)]


def win_rate(
    rows: Sequence[Row], system: str, against: str, metric: str, sites: int, seed: int
) -> float:
    """Share of the subsets of so many sites in which the system's mean is better; a tie is half.

    1 or 0 if the ranking does not depend on which sites were scored. Every subset is counted, or
    10 000 random ones if there are more.
    """
    measured = directional(metric)
    ours, theirs = _matched(rows, system, against, metric)
    gains = _sign(measured) * _site_means(_differences(ours, theirs, measured))
    if not 1 <= sites <= len(gains):
        raise InputError(f"sites must lie in 1 … {len(gains)}, those that were scored, not {sites}")
    if math.comb(len(gains), sites) <= DRAWS:
        chosen = np.array(list(combinations(range(len(gains)), sites)))
    else:
        orders = np.random.default_rng(seed).random((DRAWS, len(gains))).argsort(axis=1)
        chosen = orders[:, :sites]
    return float(np.mean((np.sign(gains[chosen].mean(axis=1)) + 1) / 2))


def wilcoxon(differences: Doubles) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945), exact with ties too; 1 if all are 0.

    Zeros are left out and ties share their ranks. Of the 2^n equally likely signs of the n ranks,
    the share whose sum of positive ranks is as far out as this one, by counting sums.
    """
    nonzero = differences[differences != 0]
    # Twice the ranks, so that the half ranks of ties are whole numbers.
    ranks = np.rint(2 * stats.rankdata(np.abs(nonzero))).astype(int)
    share = np.zeros(ranks.sum() + 1)
    share[0] = 1.0
    for rank in ranks:
        share[rank:] = (share[rank:] + share[: len(share) - rank]) / 2
        share[:rank] /= 2
    here = int(ranks[nonzero > 0].sum())
    return min(1.0, 2 * float(min(share[: here + 1].sum(), share[here:].sum())))


def holm(p: Sequence[float]) -> list[float]:
    """The step-down correction of Holm 1979: each p times how many are not below it."""
    corrected, least = [1.0] * len(p), 0.0
    for done, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        least = max(least, min(1.0, (len(p) - done) * p[index]))
        corrected[index] = least
    return corrected


def equivalence(differences: Doubles, margin: float) -> float:
    """The larger p of two one-sided t-tests that the mean lies within ± margin (Schuirmann 1987).

    NaN without a margin. 1 if a difference is infinite. Where all sites differ alike, 0 if that
    is within the margin and 1 if not.
    """
    if not margin > 0:
        return math.nan
    if not np.isfinite(differences).all():
        return 1.0
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    return float(stats.t.sf((margin - abs(mean)) / error, len(differences) - 1))


def resolvable(differences: Doubles) -> float:
    """The smallest true mean that a two-sided t-test at 5 % finds with a power of 80 %.

    For as many sites as there are differences and as unlike, in their unit; by the noncentral t
    distribution (Cohen 1988, §2), whose far tail adds less than a millionth there.
    """
    free = len(differences) - 1
    if not np.isfinite(differences).all():
        return math.nan
    critical = float(stats.t.isf(LEVEL / 2, free))

    def missed(shift: float) -> float:
        return float(special.nctdtr(free, shift, critical)) - (1 - POWER)

    errors = optimize.brentq(missed, 0.0, 5 * critical)
    return float(errors) * float(differences.std(ddof=1)) / math.sqrt(free + 1)


def scores(rows: Sequence[Row], system: str, metric: str) -> Scores:
    """The system's score on every patch, seeds averaged; NaN where a seed has none."""
    own = [row for row in rows if row.system == system]
    if not own:
        near = get_close_matches(system, systems(rows), n=1, cutoff=0.0)
        raise InputError(f"no row is of {system}; " + "".join(f"did you mean {n}?" for n in near))
    return _averaged((row.site, row.patch, row.figures.get(metric, math.nan)) for row in own)


def lacking(rows: Sequence[Row], metric: str) -> dict[str, int]:
    """Systems without a number on some patches where another has one, and on how many."""
    told = {system: _known(scores(rows, system, metric)) for system in systems(rows)}
    known = set().union(*told.values())
    return {system: len(known - own) for system, own in told.items() if known - own}


def systems(rows: Iterable[Row]) -> list[str]:
    """Every system, in the order of its first row."""
    return list(dict.fromkeys(row.system for row in rows))


def check_complete(rows: Sequence[Row]) -> None:
    """Refuse rows of several kinds, and systems that were not scored on the same patches."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    if len(kinds) > 1:
        raise InputError(f"rows hold {', '.join(kinds)}, which do not average; give one kind")
    patches: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        patches[row.system].add((row.site, row.patch))
    everything = set().union(*patches.values())
    for system, own in patches.items():
        if lost := everything - own:
            raise InputError(
                f"{system} lacks {_named(lost, own)}, which other systems have; "
                "score every system on the same patches"
            )


def directional(metric: str) -> Measure:
    """The measure of this name, refused if neither way is better."""
    measured = measure(metric)
    if measured.better == "tells":
        raise InputError(f"{metric} has no better or worse; compare in another measure, as psnr")
    return measured


def _matched(rows: Sequence[Row], system: str, against: str, metric: str) -> tuple[Scores, Scores]:
    """Scores of both on the patches that have one; refused if only one of the two has one."""
    ours, theirs = scores(rows, system, metric), scores(rows, against, metric)
    both = [row for row in rows if row.system in (system, against)]
    check_complete(both)
    for name, count in lacking(both, metric).items():
        raise InputError(
            f"{metric} of {name} is NaN on {count} of {len(ours)} patches where the other one of "
            f"{system} and {against} has a number; score both there"
        )
    known = sorted(_known(ours))
    if not known:
        raise InputError(f"no patch has {metric} of {system} and {against}; score it first")
    return {key: ours[key] for key in known}, {key: theirs[key] for key in known}


def _differences(ours: Scores, theirs: Scores, measured: Measure) -> list[tuple[str, str, float]]:
    """System minus against, patch by patch; or distance from the ideal, site by site.

    How far a patch is from the ideal is mostly its own chance; calibration belongs to many.
    """
    if measured.better == "ideal":
        ours, theirs = (
            {(site, ""): float(each.mean()) for site, each in _by_site(scored).items()}
            for scored in (ours, theirs)
        )
    return [
        # Both infinite is no difference, though infinity minus infinity is NaN.
        (*key, 0.0 if value == theirs[key] else _sign(measured) * measured.gain(value, theirs[key]))
        for key, value in ours.items()
    ]


def _known(values: Scores) -> set[tuple[str, str]]:
    return {patch for patch, value in values.items() if not math.isnan(value)}


def _sign(measured: Measure) -> int:
    """Of a difference for the better."""
    return 1 if measured.better == "higher" else -1


def _side(difference: Interval, measured: Measure) -> str:
    """ "better" or "worse" where the interval excludes 0, else nothing."""
    if difference.low <= 0 <= difference.high or math.isnan(difference.low):
        return ""
    return "better" if difference.low * _sign(measured) > 0 else "worse"


def _averaged(values: Iterable[tuple[str, str, float]]) -> Scores:
    """One value a patch."""
    seeds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for site, patch, value in values:
        seeds[site, patch].append(value)
    return {key: _mean(each) for key, each in seeds.items()}


def _by_site(values: Mapping[tuple[str, str], float]) -> dict[str, Doubles]:
    """Values of the patches of each site, sites and patches in order of name, without NaN."""
    groups: dict[str, list[float]] = defaultdict(list)
    for (site, _), value in sorted(values.items()):
        if not math.isnan(value):
            groups[site].append(value)
    return {site: np.array(each) for site, each in groups.items()}


def _site_means(values: Iterable[tuple[str, str, float]]) -> Doubles:
    """[sites] seeds averaged, then patches."""
    return np.array([patches.mean() for patches in _by_site(_averaged(values)).values()])


def _mean(values: Sequence[float]) -> float:
    """NaN for no value at all, and for infinities of both signs."""
    return sum(values) / len(values) if values else math.nan


def _drawn_means(sites: Sequence[Doubles], seed: int) -> Doubles:
    """[DRAWS] means of sites drawn with replacement, and of patches drawn within each of them."""
    times = _times(tuple(map(len, sites)), seed)
    parts = (drawn @ patches / len(patches) for patches, drawn in zip(sites, times, strict=True))
    return np.asarray(sum(parts) / len(sites))


@lru_cache(maxsize=2)
def _times(patches: tuple[int, ...], seed: int) -> tuple[npt.NDArray[np.uint16], ...]:
    """[DRAWS, patches] for every site: how often each of its patches was drawn, sites first."""
    chance = np.random.default_rng(seed)
    count = len(patches)
    sites = chance.multinomial(count, np.full(count, 1 / count), DRAWS)
    return tuple(
        chance.multinomial(sites[:, site] * size, np.full(size, 1 / size)).astype(np.uint16)
        for site, size in enumerate(patches)
    )


def _named(lost: Iterable[tuple[str, str]], own: Iterable[tuple[str, str]]) -> str:
    """What is lost, as a message says it: whole sites if any are, else patches; three by name."""
    kept = {site for site, _ in own}
    sites = sorted({f"site {site}" for site, _ in lost if site not in kept})
    names = sites or sorted(f"patch {patch} of {site}" for site, patch in lost)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
