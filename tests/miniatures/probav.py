"""PROBA-V in miniature: two image sets to learn from, and one whose reference was kept back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from miniatures.scenery import coarse, cut_short, fine, write_plain
from sitsr.series import Floats

ROWS, COLS, SCALE = 20, 32, 3
SETS = (("train", "RED", 12), ("train", "NIR", 601), ("test", "RED", 1160))
IMAGES = 5
MOST = 2**14 - 1

DEFECTS = frozenset(
    {
        "images are numbered otherwise",
        "a mask is missing",
        "an image is cut short",
        "rows and columns are swapped",
        "an image of another size",
        "no norms",
        "no references",
        "an image of three bands",
    }
)


def make_probav(folder: Path, *, defects: frozenset[str] = frozenset()) -> None:
    """Three sets of five images, each a little aside of the others and clouded in part."""
    assert defects <= DEFECTS, defects - DEFECTS
    lines = []
    for split, colour, number in SETS:
        place = folder / split / colour / f"imgset{number:04d}"
        kept = split == "test" or "no references" in defects
        _set(place, {"RED": "B04", "NIR": "B08"}[colour], kept, defects)
        lines.append(f"imgset{number:04d} {40 + number / 100:.4f}")
    if "no norms" not in defects:
        (folder / "norm.csv").write_text("\n".join(lines) + "\n")
    first = folder / "train" / "RED" / "imgset0012"
    if "a mask is missing" in defects:
        (first / "QM002.png").unlink()
    if "an image is cut short" in defects:
        cut_short(first / "LR003.png")
    if "an image of another size" in defects:
        write_plain(first / "LR001.png", np.ones((1, ROWS - 1, COLS), np.uint16), "PNG")
    if "an image of three bands" in defects:
        write_plain(first / "LR001.png", np.ones((3, ROWS, COLS), np.uint16), "PNG")


def _set(folder: Path, band: str, kept: bool, defects: frozenset[str]) -> None:
    whole = (SCALE * ROWS, SCALE * COLS)
    order = list(range(IMAGES))
    if "images are numbered otherwise" in defects:
        order = order[2:] + order[:2]
    for number, k in enumerate(order):
        image = coarse(fine(1, (band,), whole, (10 + k % 3, 9 + k % 2)), SCALE)
        clear = np.ones((1, ROWS, COLS), np.uint8)
        clear[:, : 3 * ((k + 3) % IMAGES), : 4 + k] = 0
        if "rows and columns are swapped" in defects:
            image, clear = image.transpose(0, 2, 1), clear.transpose(0, 2, 1)
        _write(folder / f"LR{number:03d}.png", image)
        write_plain(folder / f"QM{number:03d}.png", 255 * clear, "PNG")
    if not kept:
        _write(folder / "HR.png", fine(1, (band,), whole, (10, 9)))
    clear = np.full((1, *whole), 255, np.uint8)
    clear[:, :5, -7:] = 0
    write_plain(folder / "SM.png", clear, "PNG")


def _write(path: Path, image: Floats) -> None:
    write_plain(path, np.round(MOST * np.clip(image, 0, 1)).astype(np.uint16), "PNG")
