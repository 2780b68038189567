"""Which pixels show the ground: a spectral and temporal rule, without training.

Every pixel of every image gets one of six classes. The rule looks at the pixel's spectrum, at the
same pixel on the other dates and at a small window around it, never at the image as a whole, so the
classes do not depend on how a scene was cut (beyond ``REACH`` pixels) or on the order of the dates.

Bright cloud, snow    Braaten, Cohen & Yang (2015), "Automated cloud and cloud shadow
                      identification in Landsat MSS imagery for temperate ecosystems", Remote
                      Sensing of Environment 169; snow by the normalised difference snow index of
                      Hall, Riggs & Salomonson (1995), Remote Sensing of Environment 54.
Haze, thin cloud      the haze-optimised transform of Zhang, Guindon & Cihlar (2002), Remote
                      Sensing of Environment 82, with the slope of Fmask (Zhu & Woodcock 2012,
                      Remote Sensing of Environment 118), compared with the pixel's own clear dates.
Cloud above vapour    the water-vapour band B09 is corrected for the whole column of air; what
                      floats above part of that column comes out brighter in B09 than in B8A.
Shadow                near infrared (and short-wave infrared) far below the pixel's usual value,
                      near a cloud: differences between dates after Candra, Phinn & Scarth (2020),
                      International Archives of the Photogrammetry XLIII-B3.

Thresholds are in surface reflectance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sitsr.series import Booleans, Floats, InputError

Classes = npt.NDArray[np.uint8]


class Sky(IntEnum):
    """What a pixel shows."""

    NODATA = 0
    CLEAR = 1
    CLOUD = 2
    HAZE = 3
    SHADOW = 4
    SNOW = 5


GROW = 3
"""Pixels by which clouds are grown, for their thin rims."""
SMOOTH = 20
"""Half width in pixels of the window over which haze is averaged: haze has no fine detail."""
FAR = 100
"""Pixels within which a shadow must have a cloud: 1 km."""
REACH = FAR + GROW + SMOOTH + 3
"""How far a class can depend on its surroundings, in pixels (with the default ``grow``)."""

ENOUGH = 4
"""Dates that a pixel must be seen on before they are compared with each other."""


def clear_sky(images: Floats, bands: Sequence[str], *, grow: int = GROW) -> Booleans:
    """[T, H, W] True where the ground is seen: no cloud, haze, shadow, snow, nodata.

    images  [T, C, H, W] surface reflectance; NaN, or 0 in all bands, is nodata
    bands   C names; needs B02, B03, B04 and B08 (or B8A) and uses B09, B8A and B11 where present
    grow    pixels by which clouds are grown
    """
    return np.asarray(classify(images, bands, grow=grow) == Sky.CLEAR)


def classify(images: Floats, bands: Sequence[str], *, grow: int = GROW) -> Classes:
    """[T, H, W] the ``Sky`` class of every pixel; arguments as for ``clear_sky``.

    Without B11 snow cannot be told from cloud and is called cloud.
    """
    band = _by_name(images, bands)
    seen = np.isfinite(images).all(1) & (images != 0).any(1)
    snow = _snow(band) & seen
    cloud = _cloud(band, seen) & seen & ~snow
    haze = _haze(band, seen & ~cloud & ~snow)
    cloud = grown(_without_specks(cloud | _above_vapour(band, seen)) & ~snow, grow)
    shadow = _shadow(band, seen & ~cloud & ~snow, cloud)
    classes = np.full(seen.shape, Sky.CLEAR, np.uint8)
    for kind, where in [
        (Sky.SHADOW, shadow),
        (Sky.HAZE, haze),
        (Sky.CLOUD, cloud),
        (Sky.SNOW, snow),
        (Sky.NODATA, ~seen),
    ]:
        classes[where] = kind
    return classes


def _by_name(images: Floats, bands: Sequence[str]) -> dict[str, Floats]:
    if images.ndim != 4 or images.shape[1] != len(bands):
        raise InputError(
            f"images has shape {list(images.shape)}, but {len(bands)} bands ask for [T, C, H, W] "
            f"with C = {len(bands)}"
        )
    finite = np.nan_to_num(images, posinf=0.0, neginf=0.0)
    band = {name: finite[:, index] for index, name in enumerate(bands)}
    if "B08" not in band and "B8A" in band:
        band["B08"] = band["B8A"]
    missing = [name for name in ("B02", "B03", "B04", "B08") if name not in band]
    if missing:
        raise InputError(
            f"the cloud rule needs B02, B03, B04 and B08, but {', '.join(missing)} is missing; "
            "give images that hold them, or a mask"
        )
    return band


def _snow(band: Mapping[str, Floats]) -> Booleans:
    if "B11" not in band:
        return np.zeros(band["B03"].shape, bool)
    bright = (band["B03"] > 0.15) & (band["B08"] > 0.11)
    return bright & (_contrast(band["B03"], band["B11"]) > 0.4)


def _cloud(band: Mapping[str, Floats], seen: Booleans) -> Booleans:
    """Bright and not redder than green, or far brighter than this land usually is; but not what
    stands there, as bright, on most dates."""
    green, red = band["B03"], band["B04"]
    bright = ((green > 0.175) & (green > red)) | (green > 0.39)
    if "B11" in band:
        bright &= band["B11"] > 0.08  # water under glint or foam stays
    usual, enough = _quantile(band["B02"], seen, 0.2)
    was_land = _quantile(band["B08"], seen, 0.2)[0] > 0.1
    bright |= enough & was_land & (band["B02"] > usual + 0.12)
    standing = enough & (usual < 0.3) & (band["B02"] < usual + 0.05)
    return bright & ~standing


def _above_vapour(band: Mapping[str, Floats], seen: Booleans) -> Booleans:
    if "B09" not in band or "B8A" not in band:
        return np.zeros(seen.shape, bool)
    coarse = {name: _smooth(band[name], seen, 6) for name in ("B02", "B8A", "B09")}  # B09 sees 60 m
    return seen & (coarse["B02"] > 0.07) & (coarse["B09"] > 1.25 * coarse["B8A"] + 0.02)


def _haze(band: Mapping[str, Floats], candidates: Booleans) -> Booleans:
    """Brighter in blue, and bluer, than the same ground on its clear dates; with few dates, bluer
    than any ground. Water changes its colour by itself, so haze above it is known by its shores."""
    transform = band["B02"] - 0.5 * band["B04"]
    land = candidates & (band["B08"] > band["B03"])
    if "B11" in band:
        land &= _contrast(band["B03"], band["B11"]) < 0.2  # a little snow makes ground bluer
    risen = np.ones(candidates.shape, bool)
    for layer, step in ((transform, 0.010), (band["B02"], 0.015)):
        usual, enough = _quantile(layer, land, 0.33)
        risen &= enough & (_smooth(layer - usual, land & enough, SMOOTH) > step)
    alone = _smooth(transform, land, SMOOTH) > 0.04
    return candidates & (risen | (~enough & alone))


def _shadow(band: Mapping[str, Floats], candidates: Booleans, cloud: Booleans) -> Booleans:
    """Dark in the infrared, and near a cloud or very dark; but not water."""
    near = grown(cloud, FAR)
    fallen = candidates & (band["B08"] > band["B03"])
    for layer in (band[name] for name in ("B08", "B11") if name in band):
        usual, enough = _quantile(layer, candidates, 0.5)
        darker = (usual > 0.1) & (layer < np.where(near, 0.6, 0.4) * usual)
        dark = near & (layer < 0.12) & (band["B03"] < 0.06)
        fallen &= np.where(enough, darker, dark)
    return grown(_without_specks(fallen), 2) & candidates


def _quantile(values: Floats, valid: Booleans, share: float) -> tuple[Floats, Booleans]:
    """Over time, of the valid values: [H, W] the value that share of them do not exceed, and
    whether there were enough of them."""
    ordered = np.sort(np.where(valid, values, np.inf), axis=0)
    count = valid.sum(0)
    rank = np.floor(share * np.maximum(count - 1, 0)).astype(np.intp)
    found = np.take_along_axis(ordered, rank[None], 0)[0]
    enough = count >= ENOUGH
    return np.where(enough, found, 0.0).astype(np.float32), enough


def _smooth(values: Floats, valid: Booleans, half: int, least: float = 0.05) -> Floats:
    """The mean of the valid values within half pixels (square window); 0 where these are
    not at least that share of the window."""
    size = (1, 2 * half + 1, 2 * half + 1)
    total = ndimage.uniform_filter(
        np.where(valid, values, 0).astype(np.float64), size, mode="constant"
    )
    weight = ndimage.uniform_filter(valid.astype(np.float64), size, mode="constant")
    some = weight > least
    return np.where(some, total / np.where(some, weight, 1), 0).astype(np.float32)


def _without_specks(flags: Booleans) -> Booleans:
    """Only what is at least three pixels wide: a roof is no cloud."""
    return np.asarray(ndimage.binary_opening(flags, np.ones((1, 3, 3), bool)), bool)


def grown(flags: Booleans, pixels: int) -> Booleans:
    """[T, H, W] also what lies within so many rows and columns of a flag."""
    side = 2 * pixels + 1
    return np.asarray(ndimage.maximum_filter(flags, (1, side, side), mode="constant"), bool)


def _contrast(one: Floats, other: Floats) -> Floats:
    total = one + other
    return np.where(total > 0, (one - other) / np.where(total > 0, total, 1), 0).astype(np.float32)
