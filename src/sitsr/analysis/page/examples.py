"""A few pairs to look at: what was seen, the reference, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from sitsr.analysis.measuring import Example, Measured
from sitsr.report.panels import figure, order, picture, stretch
from sitsr.report.pictures import coloured, data_uri, gradient
from sitsr.scenes.write.pictures import NATURAL

COLOURS = "RdBu_r"


def examples(measured: Sequence[Measured]) -> str:
    """Each as a row of pictures in one stretch, and the difference in colours."""
    return "".join(_shown(each.example) for each in measured if each.example is not None)


def _shown(example: Example) -> str:
    if not np.isfinite(example.seen[order(example.bands)]).any():
        return ""
    low, high = stretch(example.seen, example.bands)
    known = example.difference[np.isfinite(example.difference)]
    most = max(float(np.percentile(np.abs(known), 99)), 1e-3) if known.size else 1e-3
    rms = f"rms {np.sqrt(np.mean(known.astype(np.float64) ** 2)):.4f}" if known.size else ""
    named = ", ".join(NATURAL) if order(example.bands) != [0, 0, 0] else example.bands[0]
    figures = [
        figure(picture(example.seen, example.bands, low, high), "series, nearest clear date"),
        figure(picture(example.reference, example.bands, low, high), "reference, harmonised"),
        figure(
            data_uri(coloured(example.difference, -most, most, COLOURS), "PNG"),
            "reference, degraded, minus series",
            rms,
        ),
        f'<div class="legend"><div class="scale" style="background: {gradient(COLOURS)}"></div>'
        f'<div class="ends"><span>−{most:.3f}</span><span>{most:.3f}</span></div>'
        "<p>Reflectance, mean over bands; red where the reference is brighter.</p></div>",
    ]
    rows, cols = example.seen.shape[1:]
    return (
        f'<div class="card"><h4>{escape(example.site)}, {escape(example.patch)}</h4>'
        f'<p class="note">{escape(named)}; black to white is reflectance {low:.3f} to {high:.3f}. '
        f"Shown: {rows} × {cols} low-resolution pixels in the middle, the reference "
        f'{example.scale} times finer.</p><div class="panels">{"".join(figures)}</div></div>'
    )
