"""Two small places at full size: what was seen, what was made of it, what else it might be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from sitsr.report.maps import mean_spread
from sitsr.report.pictures import coloured, data_uri
from sitsr.scenes.write.pictures import as_seen, natural_colour
from sitsr.series import Floats, Series, SuperResolved

SIDE = 32
"""Pixels of the input along a side of a place."""
NOTE = (
    "Every pixel as it is in the files. Where the samples agree, the detail is well supported by "
    "what was seen; where they differ, each is one guess among several."
)


def rows(estimate: SuperResolved, series: Series, chosen: int) -> str:
    """The place with the most new detail and one with a large spread, as rows of panels."""
    detail, doubt = new_detail(estimate), np.nan_to_num(mean_spread(estimate))
    first = busiest(detail, estimate.scale, SIDE)
    doubt[fine(first, estimate.scale)] = 0  # elsewhere, so that two places are shown
    second = busiest(doubt, estimate.scale, SIDE)
    return "".join(
        f'<h3>{name}</h3><div class="panels">{panels(estimate, series, chosen, place)}</div>'
        for name, place in (
            ("Where most detail was added", first),
            ("Elsewhere, where the estimate is least sure", second),
        )
    )


def panels(estimate: SuperResolved, series: Series, chosen: int, place: tuple[slice, slice]) -> str:
    """Pictures of one place, given by rows and columns of the input."""
    inner = fine(place, estimate.scale)
    spread = mean_spread(estimate, inner)
    largest = float(np.nan_to_num(spread).max())

    def picture(image: Floats, window: tuple[slice, ...], bands: tuple[str, ...]) -> str:
        from PIL import Image

        return data_uri(Image.fromarray(natural_colour(image[:, *window], bands)), "PNG")

    shown = [
        (
            picture(as_seen(series, chosen), place, series.bands),
            f"Sentinel-2, {series.dates[chosen]}",
        ),
        (picture(estimate.mean, inner, estimate.bands), "Best estimate"),
        *(
            (picture(sample, inner, estimate.bands), f"Sample {number}")
            for number, sample in enumerate(estimate.samples[:2], start=1)
        ),
        (
            data_uri(coloured(spread, 0, largest, "magma"), "PNG"),
            f"Uncertainty, 0 … {largest:.3f} reflectance",
        ),
    ]
    return "".join(
        f'<figure><img class="pixels" src="{uri}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for uri, caption in shown
    )


def fine(place: tuple[slice, slice], scale: int) -> tuple[slice, ...]:
    """The rows and columns of the fine pixels within these of the input."""
    return tuple(slice(part.start * scale, part.stop * scale) for part in place)


def new_detail(estimate: SuperResolved) -> npt.NDArray[np.float32]:
    """[scale·H, scale·W] how far the estimate departs from the mean of its input pixel."""
    image = np.nan_to_num(estimate.mean.mean(axis=0))
    s, (high, wide) = estimate.scale, image.shape
    blocks = image.reshape(high // s, s, wide // s, s)
    away: npt.NDArray[np.float32] = np.abs(blocks - blocks.mean((1, 3), keepdims=True))
    return away.reshape(high, wide)


def busiest(score: npt.NDArray[np.float32], scale: int, side: int) -> tuple[slice, slice]:
    """Rows and columns of the input, `side` of each, where the score [scale·H, scale·W] is most."""
    high, wide = (length // scale for length in score.shape)
    coarse = score.reshape(high, scale, wide, scale).mean((1, 3))
    side = min(side, high, wide)
    sums = uniform_filter(coarse, side, mode="constant", origin=-(side // 2))
    inside = sums[: high - side + 1, : wide - side + 1]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(top), int(top) + side), slice(int(left), int(left) + side)
