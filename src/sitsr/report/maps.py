"""The maps of a report: how sure, how often seen, how long ago."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sitsr.report.pictures import coloured, data_uri, gradient, shrunk
from sitsr.series import NEVER, SuperResolved

SIDE = 640
"""Pixels along the longer side of a map."""


def maps(estimate: SuperResolved) -> str:
    """Three maps side by side, each with its colours and units."""
    spread = mean_spread(estimate)
    count = estimate.clear_count.astype(np.float32)
    most = max(int(count.max()), 1)
    days = np.where(estimate.nearest_days == NEVER, np.nan, np.abs(estimate.nearest_days * 1.0))
    longest = max(_largest(days, 100), 1)
    high = _largest(spread, 98)
    return "".join(
        [
            _map(
                "Uncertainty",
                coloured_map(spread, 0, high, "magma"),
                "magma",
                ("0", f"{high:.3f} reflectance or more"),
                "Standard deviation of the error expected of a pixel, mean over bands.",
            ),
            _map(
                "Clear dates",
                coloured_map(np.where(count > 0, count, np.nan), 0, most, "viridis"),
                "viridis",
                ("0", f"{most} {'date' if most == 1 else 'dates'}"),
                "Number of dates on which the ground was seen.",
            ),
            _map(
                "Nearest clear look",
                coloured_map(days, 0, longest, "cividis_r"),
                "cividis_r",
                ("the day itself", f"{longest:.0f} days away"),
                "Days between the date asked for and the nearest clear look, before or after.",
            ),
        ]
    )


def mean_spread(
    estimate: SuperResolved, window: tuple[slice, ...] = (slice(None), slice(None))
) -> npt.NDArray[np.float32]:
    """[scale·H, scale·W] spread, mean over bands, reflectance, or a part; NaN where never seen."""
    spread: npt.NDArray[np.float32] = estimate.spread[:, *window].mean(axis=0)
    return np.where(np.isfinite(estimate.mean[0][window]), spread, np.float32(np.nan))


def coloured_map(values: npt.NDArray[np.float32], low: float, high: float, colours: str) -> str:
    """The values as a small picture in a data URI."""
    return data_uri(coloured(shrunk(values, SIDE), low, high, colours), "PNG")


def _map(name: str, picture: str, colours: str, ends: tuple[str, str], meaning: str) -> str:
    low, high = ends
    return (
        f'<div class="card"><h3>{name}</h3><img class="pixels" src="{picture}" alt="Map: {name}">'
        f'<div class="scale" style="background: {gradient(colours)}"></div>'
        f'<div class="ends"><span>{low}</span><span>{high}</span></div><p>{meaning}</p></div>'
    )


def _largest(values: npt.NDArray[np.float32], percent: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, percent)) if known.size else 0.0
