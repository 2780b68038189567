"""From the products in a folder to the frames of one series: found, parsed, brought together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rasterio.errors import RasterioIOError

from sitsr.scenes.frames import Frame
from sitsr.scenes.names import level_in
from sitsr.series import InputError

DEEP = 2
"""Folders below the one that is given in which products are looked for."""
VISIBLE = {"B02", "B03", "B04"}
"""Without these bands an image is of no use."""

Answer = TypeVar("Answer")


def find_products(
    path: Path, is_one: Callable[[Path], bool], deep: int = DEEP
) -> tuple[list[Path], list[str]]:
    """The products in a folder and in those below it, and what was left aside.

    A product that is there as a folder and as a zip counts once, as the folder.
    """
    found = list(_find(path, is_one, deep))
    folders = {_bare(each): each.name for each in found if each.is_dir()}
    twice = [each for each in found if each.is_file() and _bare(each) in folders]
    notes = [f"{each.name} was not read, as {folders[_bare(each)]} is the same" for each in twice]
    return [each for each in found if each not in twice], notes


def _bare(path: Path) -> str:
    return path.name.removesuffix(".zip").removesuffix(".SAFE")


def _find(path: Path, is_one: Callable[[Path], bool], deep: int) -> Iterator[Path]:
    if is_one(path):
        yield path
    elif deep and path.is_dir():
        for below in sorted(path.iterdir()):
            if not below.name.startswith("."):
                yield from _find(below, is_one, deep - 1)


def gather(
    paths: Iterable[Path], parse: Callable[[Path], Answer], skip_unreadable: bool
) -> tuple[list[Answer], list[str]]:
    """What each path is parsed into; those that cannot be are left out, if allowed, and noted."""
    answers, notes, tried = [], [], 0
    for path in paths:
        tried += 1
        try:
            answers.append(parse(path))
        except (InputError, RasterioIOError) as refused:
            why = str(refused).partition("\n")[0]
            if skip_unreadable:
                notes.append(f"left out {path.name}: {why}")
            elif isinstance(refused, InputError):
                raise
            else:
                raise InputError(
                    f"{path.name} cannot be read ({why}); get it again or remove it, or skip what "
                    "is unreadable (--skip-unreadable)"
                ) from refused
    if not answers:
        raise InputError(
            f"none of the {tried} products can be read: {notes[0].removeprefix('left out ')}"
        )
    return answers, notes


def check_level(frames: Sequence[Frame], levels: Sequence[str]) -> None:
    """All frames must be of one processing level; levels: "" where it is not known."""
    known = [(f, level) for f, level in zip(frames, levels, strict=True) if level]
    for frame, level in known:
        if level != known[0][1]:
            raise InputError(
                f"{Path(known[0][0].source).name} is {known[0][1]} but {Path(frame.source).name} "
                f"is {level}; give one processing level, best L2A"
            )


def levels_by_name(frames: Sequence[Frame]) -> list[str]:
    """The processing level that the name of each frame's source states."""
    return [level_in(Path(frame.source).name) for frame in frames]


def with_common_bands(
    frames: Sequence[Frame], skip_unreadable: bool
) -> tuple[list[Frame], list[str]]:
    """The frames with the bands that all of them have, in the order of the first; what was left.

    A frame without B02, B03, B04, or without B08 where others have it, is refused or left out.
    """
    needed = VISIBLE | ({"B08"} & {band for frame in frames for band in frame.bands})
    kept, notes = [], []
    for frame in frames:
        lacking = ", ".join(sorted(needed - set(frame.bands)))
        name = Path(frame.source).name
        if not lacking:
            kept.append(frame)
        elif skip_unreadable:
            notes.append(f"left out {name}, which has no {lacking}")
        else:
            raise InputError(
                f"{name} has {', '.join(frame.bands)} but no {lacking}; give images that hold "
                "these bands, or skip those that do not (--skip-unreadable)"
            )
    if not kept:
        raise InputError(f"none of the {len(frames)} images has {', '.join(sorted(needed))}")
    bands = [b for b in kept[0].bands if all(b in frame.bands for frame in kept)]
    odd = sorted({band for frame in kept for band in frame.bands} - set(bands))
    if odd:
        notes.append(f"not all images have {', '.join(odd)}, which no image is read with")
    notes.append(f"bands read as {', '.join(bands)}")
    return [with_bands(frame, bands) for frame in kept], notes


def with_bands(frame: Frame, bands: Sequence[str]) -> Frame:
    """The frame with these of its bands, in this order."""
    chosen = [frame.bands.index(band) for band in bands]
    return replace(
        frame,
        bands=tuple(bands),
        indexes=tuple(frame.indexes[i] for i in chosen),
        files=tuple(frame.files[i] for i in chosen) if frame.files else (),
    )
