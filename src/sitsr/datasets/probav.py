"""PROBA-V: many images of 300 m with one of 100 m, by one satellite; the set of ESA's challenge.

    train/RED/imgset0000/LR000.png …    128 × 128 pixels of 300 m, 14-bit numbers in 16 bits
                         QM000.png …    what of each is clear: above 0
                         HR.png         384 × 384 pixels of 100 m
                         SM.png         what of it is clear
    train/NIR/imgset0594 …              the other band, of other ground
    test/RED, test/NIR                  the same without HR: the organisers kept it
    norm.csv                            imgset0000 and the cPSNR of the challenge's baseline

Märtens et al. 2019, "Super-resolution of PROBA-V images using convolutional neural networks"
(arXiv:1907.01821). The images of a set were taken within 30 days and lie up to a pixel apart, as
they are meant to; the score allows for that (``sitsr.metrics.conventions``: probav), so nothing is
registered here. Reflectance is the number over the most that 14 bits hold, which is the unit that
``probav_cpsnr`` expects.

Neither dates nor an order of the images are told. They are laid a day apart, the clearest first,
which is the date asked for: whatever the files are numbered, the series is the same, and what is
near in its made-up time is what shows most of the ground. A model that looks at dates learns
nothing true from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sitsr.datasets.pairs import PUBLISHED, Pair, Source
from sitsr.datasets.places import made_up_grid
from sitsr.datasets.rasters import opened
from sitsr.series import Floats, InputError, Series

SCALE = 3

SIDE = 300
"""Metres of a pixel of the series."""

MOST = 2**14 - 1
"""The number that stands for reflectance 1."""

BANDS = {"RED": "B04", "NIR": "B08"}
"""The bands of Sentinel-2 that PROBA-V's stand for, by the folders they lie in."""

SPLITS = ("train", "test")

DAY = date(2016, 1, 1)
"""Stands for the day of the clearest image."""

SIGMA = 0.5
"""Point-spread function in pixels of 300 m. Not published with the set: a modulation transfer of
0.29 at Nyquist is taken for it."""

Raw = npt.NDArray[Any]


def is_probav(folder: Path) -> bool:
    """Whether a folder is laid out as the data set is."""
    return any(next(folder.glob(f"{split}/*/imgset*"), None) for split in SPLITS)


def read_probav(folder: Path, split: str | None = None) -> list[Source]:
    """The image sets of a split ("train", "test") or of both, one band each; no image is read now.

    Sets without HR.png are left out, which are all of the published test set. InputError where no
    set is left, or there is no such split.
    """
    if split not in (None, *SPLITS):
        raise InputError(f"{split} is not a split of PROBA-V; choose from {', '.join(SPLITS)}")
    if not is_probav(folder):
        raise InputError(f"{folder} is not PROBA-V: it should hold train/RED/imgset0000 and so on")
    norms = _norms(folder / "norm.csv")
    sources = [
        _source(path, part, norms)
        for part in SPLITS
        if split in (None, part)
        for colour in BANDS
        for path in sorted((folder / part / colour).glob("imgset*"))
        if (path / "HR.png").is_file()
    ]
    if not sources:
        raise InputError(
            f"{folder} has no set with an HR.png{f' in {split}' if split else ''}; the test sets "
            "were published without: choose train"
        )
    return sources


def _source(path: Path, split: str, norms: dict[str, str]) -> Source:
    told = {"band": path.parent.name}
    if norm := norms.get(path.name):
        told["norm"] = norm
    # The regions (74 of them) are not named: a set is the smallest place that is.
    return Source(PUBLISHED, path.name, path.parent.name, partial(_pair, path), split, tags=told)


def _norms(path: Path) -> dict[str, str]:
    """cPSNR of the baseline in dB, as text, by image set; nothing where the file is missing."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); get it again") from error
    found = re.findall(r"^(imgset\d+)[\s,;]+(\d+\.?\d*)\s*$", text, re.MULTILINE)
    return dict(found)


def _pair(folder: Path) -> Pair:
    shown = sorted(_images(folder), key=lambda each: (-int(each[1].sum()), each[0].tobytes()))
    if not shown:
        raise InputError(f"{folder} has no LR000.png and so on; get it again")
    reference = _band(folder / "HR.png")
    clear = _band(folder / "SM.png") > 0
    shape = shown[0][0].shape
    fine = (SCALE * shape[0], SCALE * shape[1])
    for name, wanted, layers in (
        ("HR.png and SM.png", fine, (reference, clear)),
        ("all LR and QM", shape, [layer for image, seen, _ in shown for layer in (image, seen)]),
    ):
        if odd := next((layer.shape for layer in layers if layer.shape != wanted), None):
            found, sought = (f"{rows} × {cols}" for rows, cols in (odd, wanted))
            raise InputError(f"{folder}: {found} pixels; wanted {sought} for {name}: get it again")
    digits = re.sub(r"\D", "", folder.name) or "0"
    series = Series(
        images=np.stack([_reflectance(image) for image, _, _ in shown])[:, None],
        clear=np.stack([seen for _, seen, _ in shown]),
        dates=tuple(DAY + timedelta(days=k) for k in range(len(shown))),
        bands=(BANDS[folder.parent.name],),
        grid=made_up_grid(shape, SIDE, int(digits)),
        sources=tuple(source for _, _, source in shown),
        history=("The dates are made up: the clearest image first, a day between them.",),
    )
    task = (series, DAY, SCALE, folder.name, folder.parent.name, PUBLISHED)
    return Pair(*task, _reflectance(reference)[None], clear, (SIGMA,))


def _reflectance(numbers: Raw) -> Floats:
    return np.asarray(numbers / np.float32(MOST), np.float32)


def _images(folder: Path) -> Iterator[tuple[Raw, Raw, str]]:
    """[H, W] numbers, where they are clear, and the name of each image."""
    for path in sorted(folder.glob("LR*.png")):
        yield _band(path), _band(path.with_name(f"QM{path.stem[2:]}.png")) > 0, str(path)


def _band(path: Path) -> Raw:
    with opened(path) as file:
        if file.count != 1:
            raise InputError(f"{path} has {file.count} bands; wanted one")
        return np.asarray(file.read(1))
