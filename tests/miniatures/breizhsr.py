"""BreizhSR in miniature: two pickled tables and the rasters that they name."""

from __future__ import annotations

import os
import pickle
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from odc.geo.geobox import GeoBox

from miniatures.scenery import coarse, cut_short, fine, write_plain
from sitsr.datasets.rasters import write_image

RED_GREEN_BLUE = ("B04", "B03", "B02")
ROWS, COLS, SCALE = 21, 27, 4
TARGET = date(2018, 7, 12)
KEYS = (23, -41, 3, -8)
"""Days from SPOT-6 to each image of Sentinel-2, in the order of the dictionary."""

PATCHES = {
    "train": [(251_000.0, 6_790_500.0, "train"), (252_300.0, 6_790_500.0, "val")],
    "test": [(281_000.0, 6_812_000.0, "test")],
}
ONE = 7
"""Row of the first patch, which bears the faults of a single row."""

DEFECTS = frozenset(
    {
        "keys count towards SPOT-6",
        "keys without a sign",
        "a row's dates mirror each other",
        "all dates mirror each other",
        "a row's dates are another's",
        "all dates are another's",
        "dates are padded",
        "one image under two dates",
        "no images",
        "no split",
        "rows and columns are swapped",
        "an image begins a pixel off",
        "an image lies between pixels",
        "a path leads outside",
        "a raster is cut short",
        "a table is cut short",
        "a table runs a command",
        "a table of pandas 1",
    }
)


OF_A_ROW = frozenset(
    {
        "a row's dates mirror each other",
        "a row's dates are another's",
        "one image under two dates",
        "no images",
        "rows and columns are swapped",
        "an image begins a pixel off",
        "an image lies between pixels",
        "a path leads outside",
    }
)
"""Faults of the first row only."""


class _Command:
    def __init__(self, leaves: Path) -> None:
        self.leaves = leaves

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.leaves}'",)


def make_breizhsr(folder: Path, *, defects: frozenset[str] = frozenset()) -> None:
    """Three patches of four images; a hostile table would leave a file OWNED in the folder."""
    assert defects <= DEFECTS, defects - DEFECTS
    for table, patches in PATCHES.items():
        rows = [
            _patch(folder, f"{table}_{n}", n, place, defects if first else defects - OF_A_ROW)
            for n, place in enumerate(patches)
            for first in [(table, n) == ("train", 0)]
        ]
        frame = pd.DataFrame({name: _objects([row[name] for row in rows]) for name in rows[0]})
        frame = frame.astype({"x": float, "y": float})
        frame.index = pd.Index([ONE + 5 * n for n in range(len(rows))])
        frame.columns = pd.Index(list(rows[0]), dtype=object)
        if "no split" in defects:
            frame = frame.drop(columns="split")
        if "all dates are another's" in defects:
            frame["dates_sen2"] = _objects([[date(2019, 1, 1)]] * len(rows))
        (folder / f"dataset_{table}.pkl").write_bytes(_pickled(frame, folder, defects))
    if "a raster is cut short" in defects:
        cut_short(folder / "SPOT6" / "train_0.tif")
    if "a table is cut short" in defects:
        cut_short(folder / "dataset_train.pkl")


def _objects(values: list[Any]) -> Any:
    """A column as pandas kept texts, lists and dictionaries before its third version."""
    column = np.empty(len(values), object)
    column[:] = values
    return pd.Series(column, dtype=object).array


def _pickled(frame: pd.DataFrame, folder: Path, defects: frozenset[str]) -> bytes:
    if "a table runs a command" in defects:
        return pickle.dumps(_Command(folder / "OWNED"))
    if "a table of pandas 1" not in defects:
        return pickle.dumps(frame, protocol=4)
    old = pickle.dumps(frame, protocol=2)
    renamed = {
        b"cnumpy._core.multiarray\n": b"cnumpy.core.multiarray\n",
        b"cpandas\nDataFrame\n": b"cpandas.core.frame\nDataFrame\n",
        b"cpandas\nIndex\n": b"cpandas.core.indexes.numeric\nInt64Index\n",
        b"cpandas._libs.internals\n_unpickle_": b"cpandas.core.internals.blocks\nnew_",
    }
    for new, name in renamed.items():
        assert new in old
        old = old.replace(new, name)
    return old


def _patch(
    folder: Path, name: str, number: int, place: tuple[float, float, str], defects: frozenset[str]
) -> dict[str, Any]:
    x, y, split = place
    spot = f"SPOT6/{name}.tif"
    image = fine(3, RED_GREEN_BLUE, (SCALE * ROWS, SCALE * COLS), (9 * number, 5 * number))
    _write(folder / spot, np.round(255 * np.clip(image, 0, 1)).astype(np.uint8), None)
    mirrored = {"a row's dates mirror each other", "all dates mirror each other"} & defects
    days = () if "no images" in defects else (8, -8) if mirrored else KEYS
    paths = {}
    for k, key in enumerate(days):
        path = paths[key] = f"S2/{name}/{TARGET + timedelta(days=key)}.tif"
        whole = fine(k, RED_GREEN_BLUE, (SCALE * ROWS, SCALE * COLS), (9 * number, 5 * number))
        dn = np.round(10_000 * coarse(whole, SCALE)).astype(np.int16)
        if "rows and columns are swapped" in defects:
            dn = dn.transpose(0, 2, 1)
        west = None
        if {"an image begins a pixel off", "an image lies between pixels"} & defects:
            west = x
        if "an image begins a pixel off" in defects and k == 2:
            west, dn = x + 10, dn[..., 1:]
        if "an image lies between pixels" in defects and k == 2:
            west = x + 4
        _write(folder / path, dn, west)
    if "one image under two dates" in defects:
        paths[KEYS[0]] = paths[KEYS[1]]
    if "a path leads outside" in defects:
        paths[KEYS[0]] = "../" + paths[KEYS[0]]
    return {
        "spot6_image": spot,
        "sen2_acquisitions": _keyed(paths, defects),
        "dates_spot6": TARGET,
        "dates_sen2": _dates(tuple(paths), defects),
        "split": split,
        "x": x,
        "y": y,
    }


def _keyed(paths: dict[int, str], defects: frozenset[str]) -> dict[int, str]:
    if "keys count towards SPOT-6" in defects:
        return {-key: path for key, path in paths.items()}
    if "keys without a sign" in defects:
        return {abs(key): path for key, path in paths.items()}
    return paths


def _dates(keys: tuple[int, ...], defects: frozenset[str]) -> list[date]:
    late = 1 if "a row's dates are another's" in defects else 0
    days = [TARGET + timedelta(days=key + late) for key in keys]
    return [*days[::-1], *[days[-1]] * 3] if "dates are padded" in defects else days


def _write(path: Path, image: Any, west: float | None) -> None:
    if west is None:
        write_plain(path, image)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = GeoBox(image.shape[1:], rasterio.Affine(10, 0, west, 0, -10, 6_790_000), "EPSG:2154")
    write_image(path, image, grid, ("red", "green", "blue"))
