"""Pictures in a row, all in one stretch, each with its name; and cards to put them in."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np

from sitsr.report.pictures import data_uri
from sitsr.scenes.write.pictures import NATURAL, fit
from sitsr.series import Floats

GREY = 0.5
"""Where nothing is known, between the ends of the stretch."""
SMALL = 64
"""Up to so many pixels along a side, a PNG is the smaller picture, and exact."""


def middle(
    shape: tuple[int, ...], scale: int, side: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of the middle, of low and of high resolution; at most side fine pixels."""
    most = max(side // scale, 1)
    first = [max(0, (length - most) // 2) for length in shape]
    coarse = tuple(slice(a, min(a + most, n)) for a, n in zip(first, shape, strict=True))
    fine = tuple(slice(part.start * scale, part.stop * scale) for part in coarse)
    return (coarse[0], coarse[1]), (fine[0], fine[1])


def stretch(image: Floats, bands: Sequence[str]) -> tuple[float, float]:
    """Reflectance from the 1st to the 99th percentile of the colours shown, at least 0.02 apart."""
    low, high = (float(end) for end in np.nanpercentile(image[order(bands)], [1, 99]))
    return low, max(high, low + 0.02)


def order(bands: Sequence[str]) -> list[int]:
    """Where red, green and blue stand; the first band thrice if one of them is missing."""
    natural = all(band in bands for band in NATURAL)
    return [bands.index(band) for band in NATURAL] if natural else [0, 0, 0]


def picture(image: Floats, bands: Sequence[str], low: float, high: float) -> str:
    """Reflectance [C, H, W] as a picture in a data URI."""
    shares = np.nan_to_num(np.clip((image[order(bands)] - low) / (high - low), 0, 1), nan=GREY)
    pixels = np.ascontiguousarray(np.rint(np.moveaxis(shares, 0, -1) * 255).astype(np.uint8))
    side = max(pixels.shape)
    if side <= SMALL:
        return data_uri(fit(pixels, side), "PNG")
    buffer = BytesIO()
    # Not optimised: Pillow gives up on an optimised JPEG of a picture as rough as a sample may be.
    fit(pixels, side).save(buffer, "JPEG", quality=90, subsampling=0)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"


def figure(uri: str, name: str, told: str = "") -> str:
    """A picture with its name and a figure."""
    below = f"<span>{escape(told)}</span>" if told else ""
    return (
        f'<figure><img class="pixels" src="{uri}" alt="{escape(name)}">'
        f"<figcaption>{escape(name)}{below}</figcaption></figure>"
    )


def card(heading: str, chart: str, note: str = "") -> str:
    """A chart with its heading, and a note under it that is HTML already."""
    below = f'<p class="note">{note}</p>' if note else ""
    return f'<div class="card"><h4>{escape(heading)}</h4>{chart}{below}</div>'
