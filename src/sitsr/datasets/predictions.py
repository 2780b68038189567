"""What a system made of the pairs, on disk: GeoTIFFs of reflectance, one folder a system.

FOLDER/KIND/SITE/PATCH.tif             the best single estimate
                 PATCH_sample_0.tif    members of an ensemble, if there are any
"""

from __future__ import annotations

import re
from pathlib import Path
from secrets import token_hex

import numpy as np

from sitsr.datasets.exchange import fine_grid, place
from sitsr.datasets.pairs import Task
from sitsr.datasets.rasters import read_image, write_image
from sitsr.series import Floats, InputError


def write_prediction(folder: Path, task: Task, mean: Floats, samples: Floats | None = None) -> Path:
    """Write a mean [C, scale·H, scale·W] and samples [M, ...] where a comparison looks for them.

    What an earlier prediction of this task left is removed. Gives the path of the mean.
    """
    path = _prediction(folder, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    for former in (path, *_members(path).values()):
        former.unlink(missing_ok=True)
    members = () if samples is None else samples
    for number, member in enumerate(members):
        _write_aside(path.with_name(f"{path.stem}_sample_{number}.tif"), member, task)
    # The mean comes last: where it lies, its members do.
    _write_aside(path, mean, task)
    return path


def _write_aside(path: Path, image: Floats, task: Task) -> None:
    aside = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        write_image(aside, image, fine_grid(task), task.series.bands)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_prediction(folder: Path, task: Task) -> tuple[Floats, Floats]:
    """A mean [C, scale·H, scale·W] and samples [M, ...] of a task, NaN where nodata; M may be 0.

    Integers count by the file's own scale and offset, else by 1e-4. InputError where a file is
    missing or cannot be read, lies on another grid, or has other bands.
    """
    path = _prediction(folder, task)
    if not path.is_file():
        held = sum("_sample_" not in each.stem for each in folder.rglob("*.tif"))
        raise InputError(
            f"no prediction for {task.patch} of {task.site}: {path} is missing (predictions "
            f"there: {held}); predict every pair, so that all systems are compared on the same"
        )
    members = _members(path)
    if members and sorted(members) != list(range(min(members), min(members) + len(members))):
        raise InputError(
            f"{path.stem} has the samples {', '.join(map(str, sorted(members)))}, and some in "
            "between are missing; write all of them"
        )
    paths = [path, *(members[number] for number in sorted(members))]
    mean, *samples = (read_image(each, fine_grid(task), task.series.bands) for each in paths)
    return mean, np.stack(samples) if samples else np.empty((0, *mean.shape), np.float32)


def _prediction(folder: Path, task: Task) -> Path:
    where = folder / place(task.kind, task.site, task.patch)
    return where.with_name(f"{where.name}.tif")


def _members(path: Path) -> dict[int, Path]:
    """PATCH_sample_0.tif and so on beside PATCH.tif, by their numbers."""
    pattern = re.compile(re.escape(path.stem) + r"_sample_(\d+)")
    found = ((pattern.fullmatch(each.stem), each) for each in path.parent.glob("*_sample_*.tif"))
    return {int(match[1]): each for match, each in found if match}
