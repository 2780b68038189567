"""Patches to look at: what was seen, what was made of it, what was there, and how wrong it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import numpy as np
import numpy.typing as npt

from sitsr import metrics
from sitsr.evaluation.study import Example, Study
from sitsr.report.panels import figure, middle, order, picture, stretch
from sitsr.report.pictures import coloured, data_uri, gradient
from sitsr.scenes.write.pictures import NATURAL
from sitsr.series import Floats

COLOURS = "magma"
SIDES = (512, 384, 256, 192, 128, 96, 64)
"""Pixels along a side of what is shown, from the middle of a patch; as many as fit."""
ROOM = 3_000_000
"""Characters that all pictures of a page may take."""


def examples(study: Study) -> Mapping[str, str]:
    """The examples of each kind as HTML, as large as a page of 4 MB allows."""
    made: dict[str, str] = {}
    for side in SIDES:
        made = {
            kind: "".join(shown(each, study, side) for each in study.examples if each.kind == kind)
            for kind in dict.fromkeys(each.kind for each in study.examples)
        }
        if sum(map(len, made.values())) <= ROOM:
            break
    return made


def shown(example: Example, study: Study, side: int) -> str:
    """One patch as a row of pictures in one stretch, and two maps in one scale."""
    scale = example.reference.shape[1] // example.seen.shape[1]
    coarse, fine = middle(example.seen.shape[1:], scale, side)
    low, high = stretch(example.seen[:, *coarse], example.bands)
    clear = example.clear[fine]
    reference = np.where(clear, example.reference[:, *fine], np.nan)

    def colour(image: Floats) -> str:
        return picture(image, example.bands, low, high)

    figures = [figure(colour(example.seen[:, *coarse]), "Sentinel-2")]
    figures += [
        figure(colour(image[:, *fine]), name, quality(image, example))
        for name, image in example.images.items()
    ]
    figures.append(figure(colour(reference), "reference"))
    return (
        f'<div class="card"><h4>{escape(example.which)}: {escape(example.site)}, '
        f"{escape(example.patch)}</h4><p class='note'>{_told(example, low, high, fine)}</p>"
        f'<div class="panels">{"".join(figures)}{_maps(example, study, fine)}</div></div>'
    )


def error_of(example: Example, study: Study) -> tuple[str, Floats] | None:
    """The main system's mean by name, and its error [scale·H, scale·W], rms over bands."""
    known = [name for name in example.images if name != study.against]
    name = next((name for name in known if name.startswith(study.main)), next(iter(known), None))
    if name is None:
        return None
    squared = (example.images[name] - example.reference) ** 2
    return name, np.where(example.clear, np.sqrt(squared.mean(axis=0)), np.float32(np.nan))


def quality(image: Floats, example: Example) -> str:
    """What one image scores over the whole example, shown or not."""
    known = example.clear & np.isfinite(image).all(axis=0)
    if not known.any():
        return "no clear pixel"
    value = metrics.psnr(image, example.reference, known)
    return f"PSNR {value:.2f} dB" if math.isfinite(value) else "identical to the reference"


def _told(example: Example, low: float, high: float, fine: tuple[slice, slice]) -> str:
    named = ", ".join(NATURAL) if order(example.bands) != [0, 0, 0] else example.bands[0]
    told = f"{escape(named)}; black to white is reflectance {low:.3f} to {high:.3f} everywhere."
    rows, cols = (part.stop - part.start for part in fine)
    if (rows, cols) == example.clear.shape:
        return told
    return f"{told} Shown: the middle {rows} × {cols} pixels; the figures are of the whole patch."


def _maps(example: Example, study: Study, fine: tuple[slice, slice]) -> str:
    found = error_of(example, study)
    if found is None:
        return ""
    name, error = found
    maps = {f"absolute error of {name}": error}
    if example.spread is not None:
        spread = np.where(example.clear, example.spread, np.float32(np.nan))
        maps["uncertainty: spread of the samples"] = spread
    high = largest(maps[f"absolute error of {name}"])
    figures = "".join(
        figure(data_uri(coloured(values[fine], 0, high, COLOURS), "PNG"), title, _rms(values))
        for title, values in maps.items()
    )
    return (
        f'{figures}<div class="legend">'
        f'<div class="scale" style="background: {gradient(COLOURS)}"></div>'
        f'<div class="ends"><span>0</span><span>{high:.3f} or more</span></div>'
        "<p>Reflectance, root mean square over bands; one scale for both maps.</p></div>"
    )


def _rms(values: npt.NDArray[np.float32]) -> str:
    known = values[np.isfinite(values)]
    return (
        f"rms {math.sqrt(float(np.mean(known.astype(np.float64) ** 2))):.4f}" if known.size else ""
    )


def largest(values: npt.NDArray[np.float32]) -> float:
    """The 99th percentile of what is known: the end of the colour scale."""
    known = values[np.isfinite(values)]
    return max(float(np.percentile(known, 99)), 1e-3) if known.size else 1e-3
