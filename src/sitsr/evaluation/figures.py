"""Pictures of a pair: what was seen, what systems make of it, what was there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sitsr.baselines import nearest
from sitsr.report.aside import written_aside
from sitsr.series import Floats, InputError

if TYPE_CHECKING:
    from sitsr.datasets import Pair

NATURAL = ("B04", "B03", "B02")
GREY = 0.5  # where the reference is not valid


def comparison_figure(pair: Pair, estimates: Mapping[str, Floats], path: str | Path) -> None:
    """A PNG of Sentinel-2, each estimate [C, scale·H, scale·W] and the reference, side by side.

    Natural colour, with one stretch for all panels, taken from the Sentinel-2 image and printed
    above them. A real pair should be prepared first.
    """
    from matplotlib.figure import Figure

    missing = [band for band in NATURAL if band not in pair.series.bands]
    if missing:
        raise InputError(
            f"natural colour needs {', '.join(NATURAL)}, but the series lacks {', '.join(missing)}"
        )
    order = [pair.series.bands.index(band) for band in NATURAL]
    seen = nearest(pair.series, pair.target)[order]
    low, high = (float(limit) for limit in np.percentile(seen, [1, 99]))
    high = max(high, low + 0.01)
    reference = np.where(pair.clear, pair.reference[order], low + GREY * (high - low))
    chosen = {name: image[order] for name, image in estimates.items()}
    panels = {"Sentinel-2": seen, **chosen, "reference": reference}
    rows, cols = pair.clear.shape
    figure = Figure(figsize=(3.4 * len(panels), 3.4 * rows / cols + 0.7), layout="constrained")
    figure.suptitle(
        f"{pair.site}, {pair.target}, {pair.kind}; reflectance {low:.3f} to {high:.3f}", fontsize=9
    )
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, image) in zip(axes, panels.items(), strict=True):
        stretched = np.clip((image - low) / (high - low), 0, 1)
        axis.imshow(np.moveaxis(np.nan_to_num(stretched, nan=GREY), 0, -1), interpolation="nearest")
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    with written_aside(Path(path)) as aside:
        figure.savefig(aside, dpi=200, format="png")
