"""Options of commands that read a scene, from text to what the library takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitsr.inference import Form, Job
    from sitsr.scenes import Masking, Selection

MOST_TARGETS = 1000
"""Target dates of one run; ``--every 1d`` over three years is about as many."""


def day(text: str) -> date:
    """A date as 2021-07-18."""
    from sitsr.series import InputError

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text} is not a date; write it as 2021-07-18") from error


def whole(name: str, text: str) -> int:
    """A whole number."""
    from sitsr.series import InputError

    try:
        return int(text)
    except ValueError as error:
        raise InputError(f"{name} is {text}, but should be a whole number") from error


def selection(
    bbox: str | None,
    aoi: Path | None,
    dates: str | None,
    max_cloud: float | None,
    bands: tuple[str, ...] | None,
) -> Selection:
    """Of --bbox, --aoi, --dates, --max-cloud (per cent), and the bands that will be used."""
    from sitsr.scenes import Selection, area_of_box, area_of_file
    from sitsr.series import InputError

    if bbox and aoi:
        raise InputError("both --bbox and --aoi are given; give one of them")
    if max_cloud is not None and not 0 <= max_cloud <= 100:
        raise InputError(f"max-cloud is {max_cloud:g}; give per cent, 0 to 100")
    area = area_of_box(bbox) if bbox else area_of_file(aoi) if aoi else None
    return Selection(area, _between(dates), None if max_cloud is None else max_cloud / 100, bands)


def bands_of(weights: Path | None) -> tuple[str, ...]:
    """The bands that weights, or those of the package, are made for."""
    from sitsr.model import open_model

    return open_model(weights, "cpu").card.bands


def masking(cloud_classes: str | None, dilate: int, source_mask: bool) -> Masking:
    """Of --cloud-classes, --dilate and --source-mask."""
    from sitsr.scenes import Masking

    usual = Masking()
    chosen = usual.cloud_classes
    if cloud_classes is not None:
        chosen = tuple(whole("cloud-classes", part) for part in cloud_classes.split(",") if part)
    return Masking(cloud_classes=chosen, dilate=dilate, trusted=source_mask)


def targets(asked: Sequence[date], every: str | None, acquired: Sequence[date]) -> list[date]:
    """Of --date and --every ("10d"): from the first acquisition to the last."""
    from sitsr.series import InputError

    chosen = set(asked)
    if every is not None:
        step = every.removesuffix("d")
        if not step.isdecimal() or int(step) < 1:
            raise InputError(f"every is {every}; write it as 10d")
        count = (acquired[-1] - acquired[0]).days // int(step) + 1
        chosen |= {acquired[0] + timedelta(days=int(step) * number) for number in range(count)}
    if not chosen:
        raise InputError("no target date; give --date 2021-07-18 (again for more), or --every 10d")
    if len(chosen) > MOST_TARGETS:
        raise InputError(f"{len(chosen)} target dates; give at most {MOST_TARGETS} a run")
    return sorted(chosen)


def form(text: str) -> Form:
    """ "cog" or "zarr"."""
    from sitsr.series import InputError

    if text == "cog":
        return "cog"
    if text == "zarr":
        return "zarr"
    raise InputError(f"format is {text}; give cog or zarr")


def told(job: Job, out: Path) -> str:
    """What was made, and where it is."""
    from sitsr.inference import how_served

    if len(job.targets) > 1:
        return f"{len(job.targets)} dates\n{out / 'collection.json'}"
    target = job.targets[0]
    served = how_served(job.scene.dates, target)
    return "\n".join([f"{target}: {served}.", *(f"{path}" for path in files(out))])


def files(out: Path) -> list[Path]:
    """What of a product to look at first."""
    return [out / name for name in ("sr.tif", "cube.zarr", "report.html") if (out / name).exists()]


def _between(text: str | None) -> tuple[date | None, date | None]:
    """ "2021-01-01/2021-12-31"; either side may be empty or "..", which is open."""
    from sitsr.series import InputError

    if text is None:
        return None, None
    parts = text.split("/")
    if len(parts) != 2:
        raise InputError(f"dates is {text}; write it as 2021-01-01/2021-12-31")
    first, last = (None if part in ("", "..") else day(part) for part in parts)
    return first, last
