"""MuS2 in miniature: two scenes of one tile, in JPEG 2000, with masks that exclude."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from miniatures.scenery import coarse, cut_short, fine, write_plain

ROWS, COLS, SCALE = 22, 30, 3
PARTNERS = {"b2": ("B02", 1), "b3": ("B03", 2), "b4": ("B04", 4), "b8": ("B08", 6)}
SCENES = ("0_31UFT_18SEP051050-2AS_R1C1-052", "0_31UFT_10JUL291103-2AS_R2C3-052")
SENSED = ("20180825T105031", "20180701T105031", "20181004T105029", "20180716T105029")
"""In an order that is not that of time."""
SHOWN = (3, 1, 2, 0)
"""The clear day of the bundled series that each shows; WorldView-2 shows the last."""
CLOUD = 1
"""Number of the date that is clouded in its upper left part."""

DEFECTS = frozenset(
    {
        "no masks",
        "a mask is white",
        "a mask of another size",
        "a date is missing in one band",
        "a name without a date",
        "no clouds",
        "nothing says where it lies",
        "an image lies elsewhere",
        "an image is cut short",
        "rows and columns are swapped",
        "references are floats",
        "a later baseline",
        "two products of one day",
    }
)


def make_mus2(folder: Path, *, defects: frozenset[str] = frozenset()) -> None:
    """Two scenes of four dates: one that WorldView-2 saw in between, one that it saw years ago."""
    assert defects <= DEFECTS, defects - DEFECTS
    for number, name in enumerate(SCENES):
        _scene(folder / "image_data" / name, number, defects)
        if "no masks" not in defects:
            _masks(folder / "masks" / "final_masks", name, defects)
    lrs = folder / "image_data" / SCENES[0] / "b3" / "lrs"
    some = sorted(lrs.iterdir())[1]
    if "a date is missing in one band" in defects:
        some.unlink()
    if "an image is cut short" in defects:
        cut_short(some)
    if "an image lies elsewhere" in defects:
        _jp2(some, np.ones((1, ROWS, COLS), np.uint16), 10, 700_010)


def _scene(folder: Path, number: int, defects: frozenset[str]) -> None:
    corner, whole = (8 * number, 11 * number), (SCALE * ROWS, SCALE * COLS)
    for k, sensed in enumerate(SENSED):
        baseline = "N0400" if "a later baseline" in defects else "N0208"
        name = f"S2A_MSIL2A_{sensed}_{baseline}_R051_T31UFT_20201{k}07T123456"
        if "a name without a date" in defects and k == 2:
            name = "S2A_MSIL2A"
        names = [name, name + "B"] if "two products of one day" in defects and not k else [name]
        for each in names:
            _date(folder, each, k, corner, defects)
    for band, partner in PARTNERS.values():
        image = fine(3, (band,), whole, corner)
        stretched = 255 * (image - image.min()) / np.ptp(image)
        kind = np.float32 if "references are floats" in defects else np.uint8
        write_plain(folder / "hr_resized" / f"mul_band_{partner}.tiff", stretched.astype(kind))


def _date(
    folder: Path, name: str, k: int, corner: tuple[int, int], defects: frozenset[str]
) -> None:
    side = None if "nothing says where it lies" in defects else 10
    whole = (SCALE * ROWS, SCALE * COLS)
    for b, (band, _) in PARTNERS.items():
        image = coarse(fine(SHOWN[k], (band,), whole, corner), SCALE)
        added = 1000 if "a later baseline" in defects else 0
        dn = np.round(10_000 * image + added).astype(np.uint16)
        if "rows and columns are swapped" in defects:
            dn = dn.transpose(0, 2, 1)
        _jp2(folder / b / "lrs" / f"{name}.jp2", dn, side, 700_000)
    percent = np.zeros((1, ROWS // 2, COLS // 2), np.uint8)
    if k == CLOUD:
        percent[:, :4, :7] = 90
    if "no clouds" not in defects:
        _jp2(folder / "CLD" / "20m" / f"{name}.jp2", percent, side and 20, 700_000)


def _masks(folder: Path, scene: str, defects: frozenset[str]) -> None:
    for k, band in enumerate(PARTNERS):
        rows = SCALE * ROWS - (1 if "a mask of another size" in defects else 0)
        mask = np.zeros((1, rows, SCALE * COLS), np.uint8)
        mask[:, 5 * k : 5 * k + 5, 40:] = 255
        if "a mask is white" in defects and band == "b3":
            mask[:] = 255
        write_plain(folder / f"final_masks_{band}" / f"mask_{scene}.png", mask, "PNG")


def _jp2(path: Path, image: npt.NDArray[Any], side: int | None, west: float) -> None:
    """Lossless, with or without its ground."""
    place: dict[str, Any] = {}
    if side:
        transform = rasterio.Affine(side, 0, west, 0, -side, 5_600_000)
        place = {"crs": "EPSG:32631", "transform": transform}
    write_plain(path, image, "JP2OpenJPEG", **place, quality=100, reversible="YES")
