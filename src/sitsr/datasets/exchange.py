"""Pairs on disk, so that any program can take part in a comparison.

    FOLDER/KIND/SITE/PATCH/pair.json                    what is asked, in words and numbers
                           series/2021-07-18.tif        reflectance, one file a date
                           series/2021-07-18_clear.tif  1 where the ground is seen
                           reference.tif                what the ground looked like
                           reference_clear.tif          1 where that may be scored

What ``export_pairs`` wrote reads back bit for bit. A user's own pairs need less: ``read_pairs``
says what.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets.pairs import OTHER_SENSOR, PUBLISHED, REAL, Pair, Source, Task
from sitsr.datasets.rasters import grid_of, opened, read_image, read_mask, write_image
from sitsr.scenes import open_series
from sitsr.scenes.names import band_name, find_date
from sitsr.scenes.units import where_seen
from sitsr.scenes.write.folder import exchange
from sitsr.series import Booleans, Floats, InputError, Series

FORMAT = "sitsr pair 1"
"""Says in pair.json that the files are exactly as ``export_pairs`` writes them."""


def safe_name(text: str) -> str:
    """A name as a folder or file may bear it: letters, digits, "_", "-" and "."; else "-"."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "unnamed"


def fine_grid(task: Task) -> GeoBox:
    """The grid of an estimate: the ground of the series, with pixels scale times smaller."""
    return task.series.grid.zoom_out(1 / task.scale)


# ------------------------------------------------------------- writing


def export_pairs(
    sources: Sequence[Source],
    folder: Path,
    progress: Callable[[int, int], object] = lambda done, total: None,
    *,
    split: str | None = None,
    licence: str | None = None,
) -> None:
    """Write pairs into a folder, which appears whole or not at all; a former export is replaced.

    progress is told (pairs done, pairs in all). split and licence are noted in every pair.json.
    InputError where the folder holds anything else, and where two pairs would share a folder.
    """
    if not sources:
        raise InputError("there are no pairs to export; choose a split that has some")
    places = [place(source.kind, source.site, source.patch) for source in sources]
    # File systems differ in whether they tell capitals apart.
    count = Counter(str(each).casefold() for each in places)
    if shared := [str(each) for each in places if count[str(each).casefold()] > 1]:
        raise InputError(
            f"{len(shared)} pairs would be written to {shared[0]}; "
            "give every pair of a site a name of its own"
        )
    _check_free(folder)
    real = folder.resolve()
    real.parent.mkdir(parents=True, exist_ok=True)
    aside = real.with_name(f".{real.name}.{token_hex(4)}")
    former = aside.with_name(f"{aside.name}.former")
    try:
        for done, (source, where) in enumerate(zip(sources, places, strict=True)):
            progress(done, len(sources))
            _write_pair(source.load(), aside / where, split, licence)
        progress(len(sources), len(sources))
        exchange(real, aside, former)
    finally:
        for left in (aside, former):
            shutil.rmtree(left, ignore_errors=True)


def _check_free(folder: Path) -> None:
    """Refuse a place that is neither free nor empty nor holds a former export alone."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder that is new or empty")
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    pairs = {path.parent for path in files if path.name == "pair.json"}
    pairs = {pair for pair in pairs if _json(pair / "pair.json").get("format") == FORMAT}
    names = ("pair.json", "reference.tif", "reference_clear.tif")
    for path in files:
        whole = path.parent in pairs and path.name in names
        part = path.parent.parent in pairs and path.parent.name == "series"
        if not whole and not (part and path.suffix == ".tif"):
            raise InputError(
                f"{folder} holds {path.relative_to(folder)}, which is no former export and would "
                "be lost; name a folder that is new or empty"
            )


def place(kind: str, site: str, patch: str) -> Path:
    """KIND/SITE/PATCH, where a pair lies in its folder and a prediction (plus .tif) in its own."""
    return Path(safe_name(kind), safe_name(site), safe_name(patch))


def _write_pair(pair: Pair, folder: Path, split: str | None, licence: str | None) -> None:
    series = pair.series
    grid = series.grid if pair.at_sensor else fine_grid(pair)
    (folder / "series").mkdir(parents=True)
    for day, image, clear in zip(series.dates, series.images, series.clear, strict=True):
        _write_masked(folder / "series" / f"{day}.tif", image, clear, series.grid, series.bands)
    _write_masked(folder / "reference.tif", pair.reference, pair.clear, grid, series.bands)
    told = {
        **{"format": FORMAT, "kind": pair.kind, "site": pair.site, "patch": pair.patch},
        **{"target": str(pair.target), "scale": pair.scale, "bands": series.bands},
        **{"sensor_sigma": pair.sensor_sigma, "split": split, "licence": licence},
        "history": series.history,
    }
    known = {name: value for name, value in told.items() if value is not None}
    text = json.dumps(known, indent=1, ensure_ascii=False) + "\n"
    (folder / "pair.json").write_text(text, encoding="utf-8")


def _write_masked(
    path: Path, image: Floats, clear: Booleans, grid: GeoBox, bands: Sequence[str]
) -> None:
    write_image(path, image, grid, bands)
    write_image(_mask_beside(path), clear[None].astype(np.uint8), grid, ("clear",))


def _mask_beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}_clear.tif")


# ------------------------------------------------------------- reading pairs


@dataclass(frozen=True, slots=True)
class _Card:
    """What a pair.json says, with what its place says where it is silent."""

    folder: Path
    exact: bool
    """Whether the files are as ``export_pairs`` writes them."""
    kind: str
    site: str
    patch: str
    target: date
    scale: int
    bands: tuple[str, ...] | None
    sensor_sigma: tuple[float, ...] | None
    split: str | None
    history: tuple[str, ...]


def read_pairs(folder: Path, split: str | None = None) -> list[Source]:
    """The pairs under a folder, of one split or of all; only what pair.json says is read now.

    A pair that ``export_pairs`` wrote comes back as it was; only its series names the files as its
    sources. A user's own pair is a folder with

        pair.json       {"target": "2021-07-18", "scale": 4} at least; also "bands" (else those that
                        reference.tif describes, else all), "kind" (else "real pair"), "site" and
                        "patch" (else from the folders SITE/PATCH), "sensor_sigma", "split"
        series/         what ``sitsr.open_series`` takes
        reference.tif   scale times the rows and columns of the series, on the same ground, or on
                        its grid; integers by the file's own scale, else 8 bits as 0 to 1 (for real
                        pairs only) and 16 bits as 1e-4; not scored where nodata, or where
                        reference_clear.tif is 0

    InputError where there are no pairs, no such split, or a pair.json that says too little.
    """
    cards = [_card(path, folder) for path in sorted(folder.rglob("pair.json"))]
    if not cards:
        raise InputError(
            f"there is no pair.json in {folder} or below; give a folder of pairs (docs/pairs.md)"
        )
    keys = Counter((card.kind, card.site, card.patch) for card in cards)
    (kind, site, patch), most = keys.most_common(1)[0]
    if most > 1:
        raise InputError(
            f"{most} pairs in {folder} are called {kind}, {site}, {patch}; "
            'give each a "patch" of its own in pair.json'
        )
    chosen = [card for card in cards if split is None or card.split == split]
    if not chosen:
        held = sorted({card.split for card in cards if card.split})
        there = f"it holds {', '.join(held)}" if held else 'no pair names one: choose "all"'
        raise InputError(f"{folder} has no split {split}; {there}")
    return [
        Source(card.kind, card.site, card.patch, partial(_load, card), card.split)
        for card in chosen
    ]


def _card(path: Path, root: Path) -> _Card:
    told = _json(path)
    form = told.get("format")
    if form not in (None, FORMAT):
        raise InputError(f'{path} has the format "{form}"; wanted "{FORMAT}", or none')
    around = path.parent.relative_to(root).parts
    site = told.get("site") or (around[-2] if len(around) > 1 else None)
    if not site:
        raise InputError(
            f'{path} names no site, the unit of all statistics; write "site", or lay the pair in '
            "folders SITE/PATCH"
        )
    target, scale = _asked(path, told)
    bands, sigma = (_list(path, told, name) for name in ("bands", "sensor_sigma"))
    return _Card(
        folder=path.parent,
        exact=form == FORMAT,
        kind=str(told.get("kind", REAL)),
        site=str(site),
        patch=str(told.get("patch", path.parent.resolve().name)),
        target=target,
        scale=scale,
        bands=bands and tuple(map(str, bands)),
        sensor_sigma=sigma and tuple(map(float, sigma)),
        split=told.get("split"),
        history=tuple(told.get("history", ())),
    )


def _asked(path: Path, told: dict[str, Any]) -> tuple[date, int]:
    """Target date and scale."""
    day, scale = told.get("target"), told.get("scale")
    if not isinstance(scale, int) or scale < 1:
        raise InputError(f"{path} has the scale {scale!r}; write a whole number, such as 4")
    try:
        return date.fromisoformat(str(day)), scale
    except ValueError:
        raise InputError(
            f'{path} has the target {day!r}; write a date, such as "2021-07-18"'
        ) from None


def _list(path: Path, told: dict[str, Any], name: str) -> tuple[Any, ...] | None:
    """What is told by this name, if anything is."""
    value, kind = told.get(name), str if name == "bands" else (int, float)
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(v, kind) for v in value):
        raise InputError(f"{path} has the {name} {value!r}; write a list, one for each band")
    return tuple(value)


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise InputError(f'{path} holds a {type(told).__name__}; wanted {{"target": ...}}')
    return told


def _load(card: _Card) -> Pair:
    try:
        return _loaded(card)
    except InputError as error:
        raise InputError(f"{card.folder}: {error}") from error


def _loaded(card: _Card) -> Pair:
    path = card.folder / "reference.tif"
    if not path.is_file():
        raise InputError("there is no reference.tif; a pair needs what its estimates are held to")
    series = _exported(card) if card.exact else _any_series(card, path)
    task = Task(series, card.target, card.scale, card.site, card.patch, card.kind)
    reference, clear = _reference(path, task)
    sigma = card.sensor_sigma or _usual_sigma(series.bands)
    if len(sigma) != len(series.bands):
        raise InputError(
            f"sensor_sigma has {len(sigma)} numbers for the {len(series.bands)} bands "
            f"{', '.join(series.bands)}; write one for each"
        )
    return Pair(
        *(series, task.target, task.scale, task.site, task.patch, task.kind),
        *(reference, clear, sigma),
    )


def _usual_sigma(bands: Sequence[str]) -> tuple[float, ...]:
    if unknown := [band for band in bands if band not in SENTINEL2_SIGMA]:
        raise InputError(
            f"the sensor's point-spread function in {', '.join(unknown)} is not known; write "
            '"sensor_sigma" in pair.json, a standard deviation in low-resolution pixels a band'
        )
    return tuple(SENTINEL2_SIGMA[band] for band in bands)


def _exported(card: _Card) -> Series:
    """The series that ``export_pairs`` wrote, bit for bit."""
    found = sorted((card.folder / "series").glob("*.tif"))
    paths = [path for path in found if not path.stem.endswith("_clear")]
    days = [day for path in paths if (day := find_date(path.stem))]
    if not paths or len(days) < len(paths) or card.bands is None:
        raise InputError(
            f'bands, or files series/DATE.tif, are missing, which the format "{FORMAT}" has; '
            "export it again, or leave the format out of pair.json"
        )
    with opened(paths[0]) as file:
        grid = grid_of(file)
    return Series(
        images=np.stack([read_image(path, grid, card.bands) for path in paths]),
        clear=np.stack([read_mask(_mask_beside(path), grid) for path in paths]),
        dates=tuple(days),
        bands=card.bands,
        grid=grid,
        sources=tuple(str(path) for path in paths),
        history=card.history,
    )


def _any_series(card: _Card, reference: Path) -> Series:
    series = open_series(card.folder / "series", bands=card.bands)
    with opened(reference) as file:
        described = tuple(filter(None, (band_name(text or "") for text in file.descriptions)))
    return series.select(card.bands or described or series.bands)


def _reference(path: Path, task: Task) -> tuple[Floats, Booleans]:
    """[C, ...] what an estimate is held to, and where."""
    coarse, fine = task.series.grid, fine_grid(task)
    with opened(path) as file:
        shape = file.shape
    if shape not in (tuple(coarse.shape), tuple(fine.shape)):
        raise InputError(
            f"{path.name} is {_size(shape)} pixels, its series {_size(coarse.shape)} and the scale "
            f"{task.scale}; wanted {_size(fine.shape)} over the same ground"
        )
    grid = coarse if shape == coarse.shape else fine
    display = task.kind in (*OTHER_SENSOR, PUBLISHED)
    image = read_image(path, grid, task.series.bands, display=display)
    if not _mask_beside(path).is_file():
        return np.nan_to_num(image, nan=0), where_seen(image, None)
    return image, read_mask(_mask_beside(path), grid) & np.isfinite(image).all(0)


def _size(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
