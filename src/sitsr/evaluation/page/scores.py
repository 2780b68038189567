"""The rows of one kind of pairs as charts need them: by system, seeds of a patch averaged."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.rows import Row
from sitsr.evaluation.statistics import Interval, across_sites
from sitsr.evaluation.study import Role, Study

Place = tuple[str, str]
"""A site and a patch within it."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What every system scored on one kind of pairs."""

    kind: str
    study: Study
    rows: Sequence[Row]
    """Of this kind alone."""
    by_system: Mapping[str, Mapping[str, Mapping[Place, float]]]
    """System, measure, place: the mean over seeds; what cannot be told is not there."""

    @property
    def systems(self) -> list[str]:
        """Everybody with a row, in the order of the tables."""
        return list(self.by_system)

    @property
    def sites(self) -> list[str]:
        """In the order in which they appear."""
        return list(dict.fromkeys(row.site for row in self.rows))

    @property
    def patches(self) -> list[Place]:
        """In the order in which they appear."""
        return list(dict.fromkeys((row.site, row.patch) for row in self.rows))

    @property
    def several(self) -> bool:
        """Whether there are sites enough for a mean over them; one site is shown pair by pair."""
        return len(self.sites) > 1

    def role(self, system: str) -> Role:
        """What a system is here for; one that the study does not name competes."""
        return self.study.roles.get(system, "system")

    def values(self, system: str, metric: str) -> Mapping[Place, float]:
        """What is known of a measure, by place."""
        return self.by_system.get(system, {}).get(metric, {})

    def has(self, metric: str) -> bool:
        """Whether anybody has a number for it."""
        return any(self.values(system, metric) for system in self.systems)

    def differences(self, system: str, metric: str) -> dict[Place, float]:
        """By how much the system exceeds the study's baseline, where both have a number."""
        ours, theirs = self.values(system, metric), self.values(self.study.against, metric)
        return {place: ours[place] - theirs[place] for place in ours if place in theirs}

    def interval(self, values: Mapping[Place, float]) -> Interval:
        """The mean over sites and its interval; without one where there is a single site."""
        return across_sites(((*place, value) for place, value in values.items()), self.study.seed)

    def known(self, metric: str) -> set[Place]:
        """Where anybody has a number for it."""
        return {place for system in self.systems for place in self.values(system, metric)}

    def complete(self, system: str, metric: str) -> bool:
        """Whether a system has a number wherever anybody has: a mean over fewer would mislead."""
        return len(self.values(system, metric)) == len(self.known(metric)) > 0

    def mean(self, system: str, metric: str) -> float:
        """The mean over sites, patches of a site averaged first; NaN if a patch is lacking."""
        if not self.complete(system, metric):
            return math.nan
        return average(by_site(self.values(system, metric)).values())

    def ranked(self, metric: str) -> list[str]:
        """Systems that have a number for it wherever anybody has, best first."""
        of = MEASURES[metric]
        known = [system for system in self.systems if self.complete(system, metric)]
        return sorted(known, key=lambda system: -of.gain(self.mean(system, metric), of.ideal))

    def sampling(self) -> list[str]:
        """Systems that draw samples, in the order of the tables."""
        return [system for system in self.systems if self.values(system, "coverage90")]


def kinds(study: Study) -> list[Scores]:
    """The study's rows, one kind of pairs after the other, which are never averaged together."""
    return [
        gathered(kind, study, [row for row in study.rows if row.kind == kind])
        for kind in dict.fromkeys(row.kind for row in study.rows)
    ]


def gathered(kind: str, study: Study, rows: Sequence[Row]) -> Scores:
    """Rows of one kind by system, measure and place, systems in the order of the study."""
    found: dict[str, dict[str, dict[Place, list[float]]]] = {}
    for row in rows:
        measures = found.setdefault(row.system, defaultdict(lambda: defaultdict(list)))
        for metric, value in row.figures.items():
            if math.isfinite(value):
                measures[metric][row.site, row.patch].append(value)
    order = [name for name in study.roles if name in found]
    order += [name for name in found if name not in order]
    tidy = {
        system: {
            metric: {place: average(values) for place, values in places.items()}
            for metric, places in found[system].items()
        }
        for system in order
    }
    return Scores(kind, study, rows, tidy)


def by_site(values: Mapping[Place, float]) -> dict[str, float]:
    """The mean over the patches of each site."""
    groups: dict[str, list[float]] = defaultdict(list)
    for (site, _), value in values.items():
        groups[site].append(value)
    return {site: average(group) for site, group in groups.items()}


def average(values: Iterable[float]) -> float:
    """The mean, NaN of nothing."""
    known = list(values)
    return math.fsum(known) / len(known) if known else math.nan
