"""Reflectance as pictures to look at, always with the same stretch.

Natural colour is B04, B03, B02; reflectance 0 … 0.3 becomes 0 … 255 by (reflectance / 0.3)^(2/3),
so that dark forest can be told from water and two pictures can be compared. Gray is unknown.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sitsr.series import Floats, Series, SuperResolved

if TYPE_CHECKING:
    from PIL import Image

Picture = npt.NDArray[np.uint8]

NATURAL = ("B04", "B03", "B02")
BRIGHTEST, EXPONENT = 0.3, 2 / 3
GRAY = 128
"""Where nothing is known, in all three colours."""
ENOUGH = 0.8
"""The share of its place that an image must show clearly to stand for a series."""


def natural_colour(image: Floats, bands: tuple[str, ...]) -> Picture:
    """[H, W, 3] picture of reflectance [C, H, W]; the first band in gray if a colour is missing."""
    chosen = NATURAL if set(NATURAL) <= set(bands) else (bands[0],) * 3
    picture = np.empty((*image.shape[1:], 3), np.uint8)
    for colour, band in enumerate(chosen):
        plane = np.clip(image[bands.index(band)] / BRIGHTEST, 0, 1) ** EXPONENT * 255
        picture[..., colour] = np.nan_to_num(np.rint(plane), nan=GRAY)
    return picture


def clearest_near(series: Series, target: date) -> int:
    """Index of the date that shows best what was seen: near the target, and clear.

    The nearest of those dates on which at least 80 % of the place is clear, the earlier of two
    equally near; if there is none, the clearest.
    """
    share = series.clear.mean((1, 2))
    days = np.abs(series.days_from(target))
    fair = share >= ENOUGH
    return int(np.where(fair, days, np.inf).argmin() if fair.any() else share.argmax())


def as_seen(series: Series, index: int) -> Floats:
    """[C, H, W] reflectance of one date as the sensor saw it, clouds and all; NaN if not read."""
    image = series.images[index]
    unread = ~series.clear[index] & (image == 0).all(axis=0)
    return np.where(unread, np.float32(np.nan), image)


def fit(picture: Picture, side: int) -> Image.Image:
    """The picture as a PIL image whose longer side has no more pixels than this."""
    from PIL import Image

    rows, cols = picture.shape[:2]
    whole = Image.fromarray(picture)
    if max(rows, cols) <= side:
        return whole
    shrink = side / max(rows, cols)
    return whole.resize(
        (max(1, round(cols * shrink)), max(1, round(rows * shrink))), Image.Resampling.BOX
    )


def write_preview(path: Path, estimate: SuperResolved, series: Series, side: int = 1200) -> None:
    """The nearest clear input, its pixels left square, beside the result; PNG.

    Each picture has at most `side` pixels along its longer side.
    """
    from PIL import Image

    seen = natural_colour(as_seen(series, clearest_near(series, estimate.target)), series.bands)
    right = fit(natural_colour(estimate.mean, estimate.bands), side)
    left = Image.fromarray(seen).resize(
        right.size,
        Image.Resampling.NEAREST if right.width >= seen.shape[1] else Image.Resampling.BOX,
    )
    gap = 8
    both = Image.new("RGB", (2 * right.width + gap, right.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (right.width + gap, 0))
    both.save(path, optimize=True)


def write_thumbnail(path: Path, raster: Path, side: int = 640) -> None:
    """All of a raster of reflectance in natural colour; PNG of at most `side` pixels.

    It is read as small as it is shown, from the overviews, whatever the size of the file.
    """
    import rasterio

    with rasterio.open(raster) as file:
        shrink = min(1.0, side / max(file.shape))
        shape = tuple(max(1, round(length * shrink)) for length in file.shape)
        stored = file.read(out_shape=(file.count, *shape), masked=True)
        image = (stored * np.float32(file.scales[0])).filled(np.nan).astype(np.float32)
        bands = file.descriptions
    fit(natural_colour(image, bands), side).save(path, optimize=True)
