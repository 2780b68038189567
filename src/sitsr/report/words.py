"""What a report says in words and numbers."""

from __future__ import annotations

from datetime import date
from pathlib import PurePath
from typing import Any

import numpy as np
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from sitsr.report.maps import mean_spread
from sitsr.report.timeline import signed_days
from sitsr.scenes.write.about import provenance, software_version
from sitsr.scenes.write.pictures import BRIGHTEST, NATURAL
from sitsr.series import NEVER, Integers, Series, SuperResolved


def day(when: date) -> str:
    """18 July 2021"""
    return f"{when.day} {when:%B %Y}"


def metres(grid: GeoBox) -> str:
    """2.5 m"""
    return f"{grid.transform.a:.4g} m"


def place(grid: GeoBox) -> str:
    """The centre in degrees: 42.3456° N, 2.8123° E"""
    assert grid.crs is not None  # a series never lacks one
    west, south, east, north = grid.extent.boundingbox
    to_degrees = grid.crs.transformer_to_crs(CRS("EPSG:4326"))
    (lon,), (lat,) = to_degrees(np.array([(west + east) / 2]), np.array([(south + north) / 2]))
    return f"{abs(lat):.4f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.4f}° {'E' if lon >= 0 else 'W'}"


def size(grid: GeoBox) -> str:
    """West–east by north–south: 3.8 km × 3.2 km"""
    rows, cols = (side * grid.transform.a / 1000 for side in grid.shape)
    return f"{cols:.3g} km × {rows:.3g} km"


def extent(grid: GeoBox, whole: GeoBox | None) -> str:
    """The size, and if it is a part only, of what: 5.12 km × 5.12 km in the middle of a scene …"""
    if whole is None or size(whole) == size(grid):
        return size(grid)
    return f"{size(grid)} in the middle of a scene of {size(whole)}; the files hold all of it"


def percent(share: float) -> str:
    """A share that is never rounded to nothing, nor to all."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    if 0.999 < share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def facts(estimate: SuperResolved, series: Series) -> list[tuple[str, str]]:
    """The five numbers to know first, each with its meaning."""
    near = nearest(estimate)
    spread = mean_spread(estimate)
    known = spread[np.isfinite(spread)]
    return [
        (metres(estimate.grid), f"pixel, from {metres(series.grid)}"),
        (
            f"{np.median(estimate.clear_count):.0f} of {len(series.dates)}",
            "dates clear, at the median pixel",
        ),
        (
            signed_days(int(np.median(near))) if near.size else "never",
            "nearest clear look, at the median pixel",
        ),
        (f"{known.mean():.4f}" if known.size else "none", "mean uncertainty, reflectance"),
        (percent(never_seen(estimate)), "of the area never seen clearly"),
    ]


def compare_note(estimate: SuperResolved, series: Series, chosen: int) -> str:
    """What the two pictures of the slider are."""
    natural = set(NATURAL) <= set(series.bands)
    shown = f"natural colour ({', '.join(NATURAL)})" if natural else f"gray ({series.bands[0]})"
    colours = f"{shown}, reflectance 0 to {BRIGHTEST}"
    when = signed_days((series.dates[chosen] - estimate.target).days)
    return (
        f"Drag, or use the arrow keys. Left: the nearest clear Sentinel-2 image ({when}), "
        f"its pixels as they are. Right: the super-resolved image. Both in {colours}."
    )


def served(estimate: SuperResolved, series: Series) -> list[str]:
    """How the date was served: from which days, and how far they lie from it."""
    target, near = estimate.target, nearest(estimate)
    told = str(provenance(estimate.provenance).get("served") or "")
    sentences = [told[0].upper() + told[1:] + ("" if told.endswith(".") else ".")] if told else []
    if target in series.dates:
        share = float((estimate.nearest_days == 0).mean())
        sentences.append(f"{percent(share)} of the area was seen clearly on {day(target)} itself.")
    else:
        sentences.append(f"There is no image of {day(target)} itself.")
    if near.size:
        away = np.abs(near)
        sentences.append(
            f"Where the ground was seen at all, the nearest clear look lies {np.median(away):.0f} "
            f"days away at the median pixel, and {away.max()} days at most."
        )
    if not series.dates[0] <= target <= series.dates[-1]:
        end = series.dates[0] if target < series.dates[0] else series.dates[-1]
        sentences.append(
            f"The date lies outside the series, whose {'first' if target < end else 'last'} image "
            f"is of {day(end)}: what changed between them is not known."
        )
    if unseen := never_seen(estimate):
        sentences.append(f"{percent(unseen)} of the area was never seen clearly and is left empty.")
    return sentences


def strip_note(series: Series) -> str:
    """What the strip of pictures shows."""
    count = len(series.dates)
    images = "The one image" if count == 1 else f"All {count} images"
    return (
        f"{images} of the series; pink lies over what is not clear. On the line, a dot is the "
        "fuller the more was clear."
    )


def numbers(estimate: SuperResolved, series: Series) -> list[tuple[str, str]]:
    """The table: what was asked, with what it was made, what came out."""
    told = provenance(estimate.provenance)
    rows, cols = estimate.grid.shape
    used = [
        ("Model", told.get("model")),
        ("Weights", told.get("weights")),
        ("SHA-256 of the weights", told.get("weights_sha256")),
        ("Samples", told.get("samples", len(estimate.samples))),
        ("Steps of the sampler", told.get("steps")),
        ("Seed", told.get("seed")),
        ("Mended to agree with what was seen", told.get("consistent")),
        ("Departure from what was seen", told.get("consistency")),
    ]
    return [
        ("Date", f"{estimate.target}"),
        ("Grid", f"{estimate.grid.crs}, {size(estimate.grid)}"),
        ("Pixels", f"{cols} × {rows} of {metres(estimate.grid)}"),
        ("Input", f"{len(series.dates)} images, {series.dates[0]} to {series.dates[-1]}"),
        ("Bands", ", ".join(estimate.bands)),
        *((name, plain(value)) for name, value in used if value is not None),
        *((f"Mean uncertainty, {band}", value) for band, value in spreads(estimate)),
        ("Never seen clearly", percent(never_seen(estimate))),
        ("Software", f"sitsr {software_version(estimate.provenance)}"),
    ]


def spreads(estimate: SuperResolved) -> list[tuple[str, str]]:
    """Mean spread of each band where it is known, reflectance."""
    known = np.isfinite(estimate.mean) & np.isfinite(estimate.spread)
    return [
        (band, f"{spread[here].mean():.4f}" if here.any() else "none")
        for band, spread, here in zip(estimate.bands, estimate.spread, known, strict=True)
    ]


def limits(estimate: SuperResolved) -> list[str]:
    """What the result can not do, in plain words."""
    coarse = f"{estimate.grid.transform.a * estimate.scale:.4g} m"
    return [
        f"The sensor's pixels measure {coarse}. What is finer was not seen: it is inferred, from "
        "small shifts between the dates and from what other places look like. It is likely, not "
        "certain.",
        "Do not take a single building, tree or path in this image alone as proof that it is "
        "there, nor its absence as proof that it is not.",
        "Where the day itself was cloudy, the ground is inferred from other dates. A change that "
        "no clear image saw cannot be in the result.",
        "Clouds, shadows and haze that were taken for clear ground leave their traces.",
        "Uncertainty is what the model expects of its own error, learnt where the truth was "
        "known; on ground unlike that, the error may be larger.",
        "Stored reflectance lies between 0 and 6.5534: what lies below 0, as happens over dark "
        "water, is stored as 0.",
    ]


def plain(value: Any) -> str:
    """A value of the provenance as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(plain(part) for part in value)
    text = str(value)
    return PurePath(text).name if text.startswith("/") else text


def nearest(estimate: SuperResolved) -> Integers:
    """Signed days to the nearest clear date of every pixel that has one."""
    near: Integers = estimate.nearest_days[estimate.nearest_days != NEVER]
    return near


def never_seen(estimate: SuperResolved) -> float:
    """Share of the area that no date saw clearly."""
    return float((estimate.clear_count == 0).mean())
