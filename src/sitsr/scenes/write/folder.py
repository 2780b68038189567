"""The folder of a product: whose it is, and how it appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from secrets import token_hex

from sitsr.series import InputError

RECORDS = ("item.json", "collection.json")
"""What says of a folder that it is a product: of one date, of several."""
OURS = frozenset(
    {
        *("sr.tif", "uncertainty.tif", "clear_count.tif", "nearest_days.tif", "support.tif"),
        *("sr.qml", "uncertainty.qml", "clear_count.qml", "nearest_days.qml", "support.qml"),
        *("samples", "cube.zarr", "preview.png", "thumbnail.png", "report.html"),
        *RECORDS,
    }
)
"""Every name that a product may hold, besides the folders of its dates."""


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A new folder beside this one, which takes its place when all went well.

    On any error it is removed, and what stood at `folder` before stands there still.
    """
    folder = Path(folder)
    check_free(folder)
    # The real place, so that a link to a folder on another disk still ends in a plain rename.
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    product = place.with_name(f".{place.name}.{token_hex(4)}")
    former = product.with_name(f"{product.name}.former")
    product.mkdir()
    try:
        yield product
        exchange(place, product, former)
    finally:
        for left in (product, former):
            shutil.rmtree(left, ignore_errors=True)


def check_free(folder: Path) -> None:
    """Refuse a place that is neither free, nor an empty folder, nor a former product."""
    folder = Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder that is new or empty")
    held = sorted(path.name for path in folder.iterdir())
    if held and not is_product(folder):
        raise InputError(
            f"{folder} holds {_some(held)}, which is no former result; "
            "name a folder that is new or empty"
        )
    foreign = [name for name in held if not _is_ours(folder / name)]
    if foreign:
        raise InputError(
            f"{folder} holds a former result, but {_some(foreign)} as well, which would be lost; "
            "move it away, or name another folder"
        )


def is_product(folder: Path) -> bool:
    """Whether an earlier run wrote this folder."""
    return any(_tells_of_us(folder / name) for name in RECORDS)


def _tells_of_us(record: Path) -> bool:
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        return "sitsr" in told.get("properties", told)["processing:software"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def exchange(place: Path, product: Path, former: Path) -> None:
    """Put the product in its place; what stood there goes to `former`, or back if that fails."""
    occupied = place.exists()
    if occupied:
        place.rename(former)
    try:
        product.rename(place)
    except BaseException:
        if occupied:
            former.rename(place)
        raise


def _is_ours(path: Path) -> bool:
    # Programs that look at rasters leave their statistics beside them.
    return path.name.removesuffix(".aux.xml") in OURS or (_is_date(path.name) and is_product(path))


def _is_date(name: str) -> bool:
    try:
        return f"{date.fromisoformat(name)}" == name
    except ValueError:
        return False


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
