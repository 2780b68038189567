"""Patches to look at: what was seen, what was made of it, what was there, and how wrong it was."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

import numpy as np
import numpy.typing as npt

from sitsr import metrics
from sitsr.evaluation.study import Example, Study
from sitsr.report.pictures import coloured, data_uri, gradient
from sitsr.scenes.write.pictures import fit
from sitsr.series import Floats

NATURAL = ("B04", "B03", "B02")
GREY = 0.5
"""Where nothing is known, between the ends of the stretch."""
COLOURS = "magma"
SIDES = (512, 384, 256, 192, 128, 96, 64)
"""Pixels along a side of what is shown, from the middle of a patch; as many as fit."""
ROOM = 3_000_000
"""Characters that all pictures of a page may take."""
SMALL = 64
"""Up to so many pixels along a side, a PNG is the smaller picture, and exact."""


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


def quality(image: Floats, example: Example) -> str:
    """What one image scores over the whole example, shown or not."""
    known = example.clear & np.isfinite(image).all(axis=0)
    if not known.any():
        return "no clear pixel"
    value = metrics.psnr(image, example.reference, known)
    return f"PSNR {value:.2f} dB" if math.isfinite(value) else "identical to the reference"


def figure(uri: str, name: str, told: str = "") -> str:
    """A picture with its name and a figure."""
    below = f"<span>{escape(told)}</span>" if told else ""
    return (
        f'<figure><img class="pixels" src="{uri}" alt="{escape(name)}">'
        f"<figcaption>{escape(name)}{below}</figcaption></figure>"
    )


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
