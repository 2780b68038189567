"""An area of interest: a box or a polygon in degrees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry, box, multigeom
from rasterio.features import rasterize
from rasterio.warp import transform_geom

from sitsr.series import Booleans, InputError

MOST_BYTES = 50_000_000
"""Of a file of polygons."""


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """What of the ground is wanted."""

    shape: Geometry
    """In degrees, EPSG:4326."""
    masked: bool
    """Whether what lies in the bounding box but outside the shape is left out."""

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        west, south, east, north = self.shape.boundingbox.bbox
        return west, south, east, north

    def inside(self, grid: GeoBox) -> Booleans:
        """[H, W] True for pixels that the area touches."""
        if not self.masked:
            return np.ones(grid.shape, bool)
        there = transform_geom("EPSG:4326", str(grid.crs), self.shape.json)
        flags: Any = rasterize(
            [(there, 1)],
            out_shape=tuple(grid.shape),
            transform=grid.transform,
            all_touched=True,
            dtype="uint8",
        )
        return np.asarray(flags, bool)


def area_of_box(text: str) -> Area:
    """ "west,south,east,north" in degrees."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f'bbox is "{text}"; give west,south,east,north in degrees') from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InputError(f"bbox is {text}; give west < east, south < north, in degrees")
    return Area(box(west, south, east, north, "EPSG:4326"), masked=False)


def area_of_file(path: Path) -> Area:
    """The polygons of a GeoJSON file (RFC 7946: degrees)."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than 50 MB; give a simpler area")
        told = json.loads(path.read_text(encoding="utf-8"))
        shapes = [Geometry(shape, "EPSG:4326") for shape in _shapes(told)]
    except OSError as error:
        raise InputError(f"{path} cannot be read; give a GeoJSON file") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no GeoJSON; give polygons in degrees as GeoJSON") from error
    polygons = [each for shape in shapes for each in _parts(shape)]
    if not polygons:
        raise InputError(f"{path} holds no polygon; give polygons in degrees as GeoJSON")
    west, south, east, north = (shape := multigeom(polygons)).boundingbox.bbox
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise InputError(f"{path} is not in degrees; GeoJSON is longitude, latitude")
    return Area(shape, masked=True)


def _shapes(told: Any) -> list[Any]:
    kind = told["type"]
    if kind == "FeatureCollection":
        return [feature["geometry"] for feature in told["features"] if feature["geometry"]]
    return [told["geometry"] if kind == "Feature" else told]


def _parts(shape: Geometry) -> list[Geometry]:
    if shape.geom_type == "MultiPolygon":
        return list(shape.geoms)
    return [shape] if shape.geom_type == "Polygon" else []
