"""Sen2Venµs in miniature: one site as the first version has it, one as the second."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from odc.geo.geobox import GeoBox
from rasterio import Affine

from miniatures.scenery import coarse, cut_short, fine
from sitsr.datasets.rasters import write_image

GROUPS = {"b2b3b4b8": (10, ("B02", "B03", "B04", "B08")), "b5b6b7b8a": (20, ("B05", "B06", "B07"))}
GROUPS["b5b6b7b8a"] = (20, (*GROUPS["b5b6b7b8a"][1], "B8A"))
FINE = (40, 56)
"""Rows and columns of a patch of 5 m, in place of 256 × 256."""
FIRST, SECOND, TILE = "FR-LQ1", "ARM", "31TGK"
DAYS = ("2019-07-21", "2018-04-03")
COUNT = 3
"""Patches a date of the first version."""
EPSG, WEST, NORTH = 32631, 699_960.0, 4_900_000.0

DEFECTS = frozenset(
    {
        "rows and columns are swapped",
        "nodata",
        "no map of the patches",
        "a map of other patches",
        "another number of patches",
        "a tensor is cut short",
        "a tensor runs a command",
        "a tensor of the older form",
        "an archive is cut short",
        "a path leads outside",
        "a path of a tensor leads outside",
        "a row without a path",
        "unpacked archives",
    }
)


class _Command:
    def __init__(self, leaves: Path) -> None:
        self.leaves = leaves

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.leaves}'",)


def make_sen2venus(folder: Path, *, defects: frozenset[str] = frozenset()) -> None:
    """Two dates of COUNT patches, then three patches of one date each with archives of their own.

    A hostile tensor would leave a file OWNED in the folder.
    """
    assert defects <= DEFECTS, defects - DEFECTS
    _first(folder / FIRST, defects)
    _second(folder / SECOND, defects)


def _patch(number: int, group: str, defects: frozenset[str]) -> dict[int, npt.NDArray[Any]]:
    """By the side of a pixel: [4, H, W] digital numbers of the patch of this number."""
    side, bands = GROUPS[group]
    image = fine(number % 4, bands, FINE, (9 * number, 11 * number))
    pair = {5: image, side: coarse(image, side // 5)}
    dn = {at: np.round(10_000 * each).astype(np.int16) for at, each in pair.items()}
    if "rows and columns are swapped" in defects:
        dn[side] = dn[side].transpose(0, 2, 1).copy()
    if "nodata" in defects:
        dn[side][1, 0, :2] = dn[5][2, -1, -3:] = -10_000
    return dn


def _first(folder: Path, defects: frozenset[str]) -> None:
    folder.mkdir(parents=True)
    columns = ["vns_site", "date", "nb_patches"]
    columns += [f"tensor_{at}m_{g}" for g, (side, _) in GROUPS.items() for at in ("05", side)]
    lines = ["\t".join(columns)]
    for k, day in enumerate(DAYS):
        stem = f"{FIRST}_{TILE}_{day}"
        told = [FIRST, day, str(COUNT + ("another number of patches" in defects))]
        for group, (side, _) in GROUPS.items():
            patches = [_patch(COUNT * k + n, group, defects) for n in range(COUNT)]
            for at in (5, side):
                name = f"{stem}_{at:02d}m_{group}.pt"
                stack = torch.from_numpy(np.stack([patch[at] for patch in patches]))
                older = "a tensor of the older form" in defects
                torch.save(stack, folder / name, _use_new_zipfile_serialization=not older)
                told.append("../" + name if "a path of a tensor leads outside" in defects else name)
        lines.append("\t".join(told))
        if "no map of the patches" not in defects:
            _map(
                folder / f"{stem}_patches.gpkg", k, 64 if "a map of other patches" in defects else 0
            )
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    broken = folder / f"{FIRST}_{TILE}_{DAYS[0]}_10m_b2b3b4b8.pt"
    if "a tensor is cut short" in defects:
        cut_short(broken)
    if "a tensor runs a command" in defects:
        torch.save(_Command(folder.parent / "OWNED"), broken)


def _map(path: Path, number: int, wider: int) -> None:
    """A GeoPackage with one rectangle a patch, in their order."""
    height, width = (5 * n for n in FINE)
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER PRIMARY KEY,"
            " organization TEXT, organization_coordsys_id INTEGER, definition TEXT);"
            "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT,"
            " geometry_type_name TEXT, srs_id INTEGER, z TINYINT, m TINYINT);"
            "CREATE TABLE patches (fid INTEGER PRIMARY KEY, geom BLOB);"
        )
        database.execute(
            "INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, 'EPSG', ?, '')", ("", EPSG, EPSG)
        )
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('patches','geom','POLYGON',?,0,0)", (EPSG,)
        )
        for n in range(COUNT):
            west, north = WEST + width * (COUNT * number + n), NORTH
            east, south = west + width + wider, north - height
            ring = [(west, north), (east, north), (east, south), (west, south), (west, north)]
            body = struct.pack("<BII", 1, 3, 1) + struct.pack("<I", len(ring))
            body += b"".join(struct.pack("<2d", *corner) for corner in ring)
            head = struct.pack("<2sBBi4d", b"GP", 0, 0b11, EPSG, west, east, south, north)
            database.execute("INSERT INTO patches (geom) VALUES (?)", (head + body,))
    database.close()


def _second(folder: Path, defects: frozenset[str]) -> None:
    folder.mkdir(parents=True)
    columns = [f"{group}_{at}m" for group, (side, _) in GROUPS.items() for at in ("05", side)]
    rows = []
    for number in range(3):
        row = []
        for group, (side, bands) in GROUPS.items():
            for at in (5, side):
                dn = _patch(number, group, defects)[at]
                kind = f"{group}_{at:02d}m"
                archive = f"{SECOND}_{DAYS[0]}_{TILE}_{kind}"
                inside = f"{group}/{at:02d}m/{SECOND}_{number}_{DAYS[0]}_{TILE}_{kind}.tif"
                transform = Affine(at, 0, WEST + 5 * FINE[1] * number, 0, -at, NORTH)
                place = GeoBox(dn.shape[1:], transform, f"EPSG:{EPSG}")
                path = folder / archive / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, dn, place, bands)
                packed = "" if "unpacked archives" in defects else ".zip"
                row.append(f"{archive}{packed}/{inside}")
        rows.append(row)
    if "unpacked archives" not in defects:
        for unpacked in sorted(path for path in folder.iterdir() if path.is_dir()):
            _archive(unpacked)
            if "an archive is cut short" in defects:
                cut_short(unpacked.with_suffix(".zip"))
    if "a path leads outside" in defects:
        rows[1][0] = "../" + rows[1][0]
    if "a row without a path" in defects:
        rows[1] = [""] * len(rows[1])
    lines = ["\t".join(["", *columns])]
    lines += ["\t".join([str(number), *row]) for number, row in enumerate(rows)]
    (folder / "index.csv").write_text("\n".join(lines) + "\n")


def _archive(folder: Path) -> None:
    """Put a folder into an archive of its name."""
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.tif")):
            archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder)
