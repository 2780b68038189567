"""Options of commands that read a scene, from text to what the library takes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitsr.scenes import Masking, Selection


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
