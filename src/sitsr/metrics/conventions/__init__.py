"""Other projects' figures by their own conventions, so that published tables can be met.

    estimate, reference   [C, H, W]  reflectance
    clear                 [H, W]     True where the reference is valid
    lr                    [C, h, w]  reflectance: the input image nearest to the date

Each is that project's own, to 1e-6 where all is clear, with what we hold to be faults: none
compares with another, nor with the figures of this package. docs/conventions.md says how they
differ, and what the difference does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sitsr.metrics.checks import Reals
from sitsr.metrics.conventions.breizhsr import Breizhsr, breizhsr
from sitsr.metrics.conventions.histograms import match_histogram
from sitsr.metrics.conventions.mus2 import mus2_cpsnr, mus2_cssim
from sitsr.metrics.conventions.probav import probav_cpsnr, probav_score
from sitsr.metrics.conventions.worldstrat import (
    Worldstrat,
    worldstrat_as_intended,
    worldstrat_as_published,
)
from sitsr.series import Booleans, InputError

__all__ = [
    "CONVENTIONS",
    "Breizhsr",
    "Worldstrat",
    "breizhsr",
    "conventions",
    "match_histogram",
    "mus2_cpsnr",
    "mus2_cssim",
    "probav_cpsnr",
    "probav_score",
    "worldstrat_as_intended",
    "worldstrat_as_published",
]

CONVENTIONS = ("probav", "mus2", "worldstrat", "breizhsr")


def conventions(
    estimate: Reals,
    reference: Reals,
    clear: Booleans,
    lr: Reals,
    names: Sequence[str] = CONVENTIONS,
    rgb: tuple[int, ...] = (2, 1, 0),
) -> dict[str, float]:
    """Every figure of the named conventions, such as probav_cpsnr or worldstrat_psnr_published.

    probav and mus2 are of all bands, worldstrat and breizhsr of the three that ``rgb`` names as
    red, green and blue: by default the third, second and first, as in B02 B03 B04.
    """
    if unknown := [name for name in names if name not in CONVENTIONS]:
        raise InputError(
            f"{', '.join(unknown)}: not a convention; choose from {', '.join(CONVENTIONS)}"
        )
    if any(not 0 <= band < min(len(estimate), len(lr)) for band in rgb) or len(rgb) != 3:
        raise InputError(f"rgb {rgb} must name three bands of {len(lr)}, from 0 on")
    colours = list(rgb)
    three = (estimate[colours], reference[colours], clear)
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "probav": lambda: {"probav_cpsnr": probav_cpsnr(estimate, reference, clear)},
        "mus2": lambda: {
            "mus2_cpsnr": mus2_cpsnr(estimate, reference, clear),
            "mus2_cssim": mus2_cssim(estimate, reference, clear),
        },
        "worldstrat": partial(_worldstrat, *three),
        "breizhsr": lambda: _named("breizhsr_{}", breizhsr(*three, lr[colours])),
    }
    return {key: value for name in names for key, value in ways[name]().items()}


def _worldstrat(estimate: Reals, reference: Reals, clear: Booleans) -> dict[str, float]:
    published = worldstrat_as_published(estimate, reference, clear)
    intended = worldstrat_as_intended(estimate, reference, clear)
    return _named("worldstrat_{}_published", published) | _named("worldstrat_{}_intended", intended)


def _named(pattern: str, figures: Worldstrat | Breizhsr) -> dict[str, float]:
    return {pattern.format(name): value for name, value in figures._asdict().items()}
