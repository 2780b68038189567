"""A product as one Zarr cube (version 2, CF attributes): all target dates, on the fine grid.

    sr            (time, band, y, x)          reflectance; NaN where never seen
    spread        (time, band, y, x)          standard deviation of the expected error, reflectance
    samples       (time, sample, band, y, x)  reflectance, where samples were asked for
    clear_count   (time, y, x)                number of dates on which the ground was seen
    nearest_days  (time, y, x)                days from the target to the nearest of them
    support       (time, y, x)                class of support

The last three are known for the input's pixels and repeated for the fine ones within.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from sitsr.scenes.write.about import CREDIT, About, provenance, software_version
from sitsr.scenes.write.mosaic import Blocks
from sitsr.scenes.write.rasters import Raster, layout
from sitsr.series import NEVER, SUPPORT, SuperResolved

if TYPE_CHECKING:
    import pystac
    import xarray as xr

CUBE = "cube.zarr"
CHUNK = 1024
"""Side of a chunk, fine pixels."""

MEANINGS: dict[str, dict[str, Any]] = {
    "sr": {"long_name": "reflectance", "units": "1"},
    "spread": {"long_name": "expected error", "units": "1"},
    "samples": {"long_name": "sample of reflectance", "units": "1"},
    "clear_count": {"long_name": "dates on which the ground was seen", "units": "1"},
    "nearest_days": {"long_name": "days to the nearest clear look", "units": "day"},
    "support": {
        "long_name": "support of the target date",
        "flag_values": np.arange(len(SUPPORT), dtype=np.uint8),
        "flag_meanings": " ".join(name.replace(" ", "_") for name in SUPPORT),
    },
}
"""CF attributes of each variable."""

AXES: dict[str, tuple[str, ...]] = {
    "sr": ("band", "y", "x"),
    "spread": ("band", "y", "x"),
    "samples": ("sample", "band", "y", "x"),
    "clear_count": ("y", "x"),
    "nearest_days": ("y", "x"),
    "support": ("y", "x"),
}
"""Of each variable at one date."""

UNSEEN: dict[str, np.generic] = {
    "sr": np.float32(np.nan),
    "spread": np.float32(np.nan),
    "samples": np.float32(np.nan),
    "clear_count": np.int16(0),
    "nearest_days": np.float32(np.nan),
    "support": np.uint8(0),
}
"""What each variable is where nothing was ever seen, and its type."""


def variables_of(made: SuperResolved) -> dict[str, np.ndarray[Any, Any]]:
    """An estimate's variables on its fine grid, along AXES; samples only where there are any."""

    def fine(coarse: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return coarse.repeat(made.scale, axis=0).repeat(made.scale, axis=1)

    days = made.nearest_days.astype(np.float32)
    days[made.nearest_days == NEVER] = np.nan
    samples = {"samples": made.samples} if len(made.samples) else {}
    return {
        "sr": made.mean,
        "spread": made.spread,
        **samples,
        "clear_count": fine(made.clear_count),
        "nearest_days": fine(days),
        "support": fine(made.support),
    }


def dataset(
    values: Mapping[str, Any],
    grid: GeoBox,
    bands: Sequence[str],
    targets: date | Sequence[date],
    told: dict[str, Any],
) -> xr.Dataset:
    """Variables as a Dataset with its coordinates and what they mean.

    values   along AXES for one target date; for a sequence of them each with time in front
    grid     the fine one
    told     the provenance
    """
    import xarray as xr

    days, front = ([targets], ()) if isinstance(targets, date) else (targets, ("time",))
    times = np.array(days, "datetime64[ns]")
    return xr.Dataset(
        {
            name: ((*front, *AXES[name]), array, MEANINGS[name] | {"grid_mapping": "spatial_ref"})
            for name, array in values.items()
        },
        coords={**place(grid), "band": list(bands), "time": (front, times if front else times[0])},
        attrs={
            "target": ", ".join(f"{day}" for day in days),
            "provenance": json.dumps(provenance(told)),
        },
    )


def variable_of(raster: Raster) -> str:
    """The variable that a raster of the layout becomes, or a part of."""
    stem = Path(raster.href).stem
    return {"uncertainty": "spread"}.get(stem, "samples" if stem.startswith("sample_") else stem)


def make_cube(path: Path, products: Sequence[About]) -> None:
    """An empty cube for products of one scene at several dates; what is there is kept."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.draft")
    cube, encoding = template(products)
    cube.to_zarr(
        draft, mode="w", compute=False, encoding=encoding, zarr_format=2, consolidated=True
    )
    draft.rename(path)


def template(products: Sequence[About]) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """The cube without its pixels, and how they are stored."""
    import dask.array as da
    import xarray as xr

    first = products[0]
    rows, cols = first.fine.shape
    chunk = min(CHUNK, rows), min(CHUNK, cols)
    variables: dict[str, Any] = {}
    encoding: dict[str, dict[str, Any]] = {}
    for raster in layout(first.bands, min(first.samples, 1)):
        name = variable_of(raster)
        front: dict[str, int] = {"time": len(products)}
        if name == "samples":
            front["sample"] = first.samples
        if raster.scale:
            front["band"] = len(first.bands)
        shape, dims = (*front.values(), rows, cols), (*front, "y", "x")
        parts = (*(n if axis == "band" else 1 for axis, n in front.items()), *chunk)
        kind = np.float32 if raster.nodata is not None else raster.dtype
        about = MEANINGS[name] | {"grid_mapping": "spatial_ref"}
        variables[name] = (dims, da.zeros(shape, dtype=kind, chunks=parts), about)
        encoding[name] = {"dtype": raster.dtype, "chunks": parts}
        if raster.nodata is not None:
            encoding[name] |= {"_FillValue": np.dtype(raster.dtype).type(raster.nodata)}
        if raster.scale:
            encoding[name]["scale_factor"] = raster.scale
    days = np.array([np.datetime64(product.target, "ns") for product in products])
    coords = {**place(first.fine), "band": list(first.bands), "time": days}
    return xr.Dataset(variables, coords=coords, attrs=_told(products)), encoding


def _told(products: Sequence[About]) -> dict[str, str]:
    """How all of the cube was made; how each date is served, by date."""
    served = {f"{p.target}": p.provenance.get("served") for p in products}
    made = {**provenance(products[0].provenance), "served": served}
    return {
        "Conventions": "CF-1.10",
        "title": "Super-resolved Sentinel-2 reflectance",
        "source": f"sitsr {software_version(products[0].provenance)}",
        "copyright": CREDIT,
        "provenance": json.dumps(made, ensure_ascii=False),
    }


def add_to_cube(path: Path, number: int, product: About, blocks: Blocks) -> None:
    """Write the blocks of one product as that date of the cube."""
    import zarr

    cube = zarr.open_group(path, mode="r+", zarr_format=2)
    for raster in layout(product.bands, product.samples):
        array: Any = cube[variable_of(raster)]
        front: tuple[int, ...] = (number,)
        if variable_of(raster) == "samples":
            front = number, int(Path(raster.href).stem.removeprefix("sample_")) - 1
        for core, place_of_block in blocks:
            with rasterio.open(place_of_block / raster.href) as file:
                stored = file.read() if raster.scale else file.read(1)
            if not raster.fine:
                stored = stored.repeat(product.scale, 0).repeat(product.scale, 1)
            window = core.window(product.scale)
            array[(*front, *((slice(None),) if raster.scale else ()), *window)] = stored


def cube_asset(href: str) -> pystac.Asset:
    """The entry of the cube in an item."""
    import pystac

    return pystac.Asset(
        href,
        title="All rasters as one cube",
        media_type="application/vnd.zarr; version=2",
        roles=["data"],
    )


def place(grid: GeoBox) -> dict[str, Any]:
    """Coordinates: the centres of rows and columns, and the CRS as CF, GDAL and rioxarray read it.

    odc.geo.xr makes the like, but needs dask.
    """
    assert grid.crs is not None  # a series never lacks one
    a, _, c, _, e, f = grid.transform[:6]
    rows, cols = grid.shape
    about = {
        **grid.crs.proj.to_cf(),
        "spatial_ref": grid.crs.to_wkt(),
        "GeoTransform": " ".join(f"{number!r}" for number in (c, a, 0.0, f, 0.0, e)),
    }

    def axis(name: str) -> dict[str, str]:
        standard = f"projection_{name}_coordinate"
        return {"axis": name.upper(), "standard_name": standard, "units": "m", "crs": f"{grid.crs}"}

    return {
        "y": ("y", f + e * (np.arange(rows) + 0.5), axis("y")),
        "x": ("x", c + a * (np.arange(cols) + 0.5), axis("x")),
        "spatial_ref": ((), grid.crs.epsg or 0, about),
    }
