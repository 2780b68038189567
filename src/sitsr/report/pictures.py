"""Pictures as text, so that they can lie inside a page; numbers as colours."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

COLOURS = 255
"""Steps of a colour map; the 256th entry of a palette is the transparent one."""


def data_uri(picture: Image.Image, form: str, quality: int = 88) -> str:
    """The picture as PNG, or as JPEG of this quality, in a data URI."""
    buffer = BytesIO()
    if form == "JPEG":
        # Subsampled colour would smear the very detail that the page is there to show.
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        picture.save(buffer, "PNG", optimize=True)
    return f"data:image/{form.lower()};base64,{b64encode(buffer.getvalue()).decode()}"


def coloured(
    values: npt.NDArray[np.floating[Any]], low: float, high: float, colours: str
) -> Image.Image:
    """[H, W] values from low to high in matplotlib's colours of this name; NaN is transparent."""
    from PIL import Image

    place = np.clip((values - low) / max(high - low, 1e-12), 0, 1) * (COLOURS - 1)
    picture = Image.fromarray(np.nan_to_num(np.rint(place), nan=COLOURS).astype(np.uint8))
    picture.putpalette(bytes(palette(colours, COLOURS).ravel()) + bytes(3))
    picture.info["transparency"] = COLOURS
    return picture


def shrunk(values: npt.NDArray[np.floating[Any]], side: int) -> npt.NDArray[np.floating[Any]]:
    """The values with at most `side` along the longer side: means over what is not NaN."""
    from PIL import Image

    rows, cols = values.shape
    factor = side / max(rows, cols)
    if factor >= 1:
        return values
    shape = max(1, round(cols * factor)), max(1, round(rows * factor))
    known = np.isfinite(values)
    sums, shares = (
        np.asarray(Image.fromarray(part.astype(np.float32)).resize(shape, Image.Resampling.BOX))
        for part in (np.where(known, values, 0), known)
    )
    return np.where(shares > 0, sums / np.maximum(shares, 1e-6), np.nan)


def gradient(colours: str) -> str:
    """The same colours as a CSS gradient, low on the left."""
    stops = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in palette(colours, 17))
    return f"linear-gradient(90deg, {', '.join(stops)})"


def palette(colours: str, steps: int) -> npt.NDArray[np.uint8]:
    """[steps, 3] red, green and blue of matplotlib's colour map of this name."""
    from matplotlib import colormaps

    table: npt.NDArray[np.uint8] = colormaps[colours](np.linspace(0, 1, steps), bytes=True)[:, :3]
    return table
