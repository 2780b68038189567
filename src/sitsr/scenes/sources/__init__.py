"""What a series is read from; each kind of source is a function that gives frames.

safe       SAFE products of Sentinel-2, L2A and L1C, as folders or zips
theia      Theia's L2A products, as folders or zips
bands      a folder for each image, with a GeoTIFF for each band
geotiffs   a folder of dated GeoTIFFs, all bands of an image in one file
cubes      Zarr and netCDF, or xarray's Dataset or DataArray
stac       STAC items, catalogues, collections and APIs

``recognise`` tells which of them a path is, by names only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sitsr.scenes.frames import Frame
from sitsr.scenes.sources.bands import is_bands, parse_bands
from sitsr.scenes.sources.collecting import find_products
from sitsr.scenes.sources.geotiffs import parse_folder
from sitsr.scenes.sources.safe import is_safe, parse_products
from sitsr.scenes.sources.theia import is_theia, parse_theia
from sitsr.series import InputError

__all__ = ["Parse", "is_cube", "recognise"]

NETCDF = (".nc", ".nc4", ".cdf")
ZARR = (".zgroup", ".zmetadata", "zarr.json")
"""Files that make a folder a Zarr store."""
KINDS = "GeoTIFFs, SAFE or Theia products, files of bands, or one Zarr or netCDF cube"


class Parse(Protocol):
    """The frames of a path, and what was assumed about them."""

    def __call__(
        self,
        folder: Path,
        /,
        *,
        names: Sequence[str] | None = None,
        skip_unreadable: bool = False,
        assume_crs: Any = None,
    ) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
        """For the arguments see ``geotiffs.parse_folder``."""


def recognise(path: Path) -> Parse:
    """What parses a path: decided by its name and the names in it, two folders deep."""
    if not path.exists():
        raise InputError(f"{path} does not exist; give a folder of {KINDS}")
    if is_cube(path):
        return _parse_cube_at
    if path.is_file() and path.suffix.lower() in (".tif", ".tiff"):
        return parse_folder  # which says that one image is no series
    products = [
        parse
        for is_one, parse in ((is_safe, parse_products), (is_theia, parse_theia))
        if find_products(path, is_one)[0]
    ]
    if len(products) > 1:
        raise InputError(
            f"{path} holds SAFE products and Theia's, which differ in how they were corrected; "
            "give one kind"
        )
    if products:
        return products[0]
    if path.is_dir() and is_bands(path):
        return parse_bands
    if path.is_dir() and any(_is_tiff(each) for each in path.iterdir()):
        return parse_folder
    raise InputError(f"{path} {_held(path)}; give a folder of {KINDS}")


def is_cube(path: Path) -> bool:
    """Whether a path is a cube by its name: a netCDF file, a Zarr folder."""
    if path.is_dir():
        return path.suffix == ".zarr" or any((path / name).exists() for name in ZARR)
    return path.suffix.lower() in NETCDF


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff") and not path.name.startswith(".")


def _held(path: Path) -> str:
    if path.is_file():
        return f"is a file of no kind that is read ({path.suffix or 'no ending'})"
    names = sorted(each.name for each in path.iterdir())
    return f"holds {', '.join(names[:3]) or 'nothing'}, no GeoTIFF, product or cube"


def _parse_cube_at(
    folder: Path,
    /,
    *,
    names: Sequence[str] | None = None,
    skip_unreadable: bool = False,
    assume_crs: Any = None,
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    from sitsr.scenes.sources.cubes import open_cube, parse_cube  # xarray takes a while to import

    return parse_cube(open_cube(folder), assume_crs=assume_crs)
