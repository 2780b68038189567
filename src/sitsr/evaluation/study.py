"""What an evaluation leaves: the scores of every entrant, and what it takes to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sitsr.evaluation.rows import Row
from sitsr.series import Booleans, Floats

Role = Literal["baseline", "system", "control", "oracle"]
"""An oracle is shown the reference: it says how much room there is, and competes with nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One patch to look at."""

    kind: str
    site: str
    patch: str
    which: str
    """"best", "median" or "worst" of the main system, by its gain over the baseline."""
    bands: tuple[str, ...]
    seen: Floats
    """[C, H, W] reflectance, Sentinel-2 on the clear date nearest to the target."""
    reference: Floats
    """[C, scale·H, scale·W] reflectance, aligned if it is of another sensor."""
    clear: Booleans
    """[scale·H, scale·W]"""
    images: Mapping[str, Floats]
    """[C, scale·H, scale·W] by name: the baseline, the main system's mean, one of its samples."""
    spread: Floats | None
    """[scale·H, scale·W] standard deviation over the samples, root mean square over bands."""


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Everything a report needs."""

    rows: Sequence[Row]
    roles: Mapping[str, Role]
    """Every entrant by name, in the order of the tables."""
    controls: Mapping[str, str]
    """Negative control: the system that it was made from."""
    against: str
    """The baseline that differences are taken from."""
    main: str
    """The system that the study is about: controls are made from it, examples show it."""
    family: Sequence[tuple[str, str, str]]
    """The declared comparisons: (system, against, metric)."""
    configuration: Mapping[str, Any]
    """What makes the scores: versions, weights, data, seeds, protocol; ready for JSON."""
    seed: int = 0
    """Of the bootstrap."""
    examples: Sequence[Example] = field(default_factory=tuple)
