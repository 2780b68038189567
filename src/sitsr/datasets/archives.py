"""Archives on disk as plain arrays, one record a site, whatever their habits are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox

from sitsr.clouds import clear_sky
from sitsr.series import Booleans, Floats, InputError

BANDS = ("B02", "B03", "B04", "B08")
L2A_BANDS = (
    *("B01", "B02", "B03", "B04", "B05", "B06"),
    *("B07", "B08", "B8A", "B09", "B11", "B12"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """Images of one site at full resolution, as reflectance."""

    site: str
    images: Floats
    """[T, C, H, W] reflectance, in order of time as far as known."""
    clear: Booleans
    """[T, H, W] True where the ground is seen."""
    dates: tuple[date, ...] | None
    """T acquisition days, or None where only their order is known."""
    grid: GeoBox
    trusted: tuple[bool, ...] = (True, True, True, True)
    """Bands that are sharp enough to learn from at full resolution."""
    bands: tuple[str, ...] = BANDS
    """C names: the four bands of 10 m, of which training is made, or what a series has."""


def read_austria(folder: Path, sites: Sequence[str] | None = None) -> list[Archive]:
    """Sites of eight Sentinel-2 L2A images each, no dates, order chronological (12 bands, 10 m).

    Images that lie elsewhere than most of their site are left out.
    """
    found = sorted(path.name for path in _existing(folder).glob("site*"))
    _known(sites, found, folder)
    return [_read_site(folder / site) for site in (found if sites is None else sites)]


def _read_site(folder: Path) -> Archive:
    paths = sorted(folder.glob("*.tif"))
    places = {path: _grid_of(path) for path in paths}
    grid, _ = Counter(places.values()).most_common(1)[0]
    stack = np.stack([_read(path) for path in paths if places[path] == grid])
    dn = stack.astype(np.float32)
    images = dn / np.float32(10_000)
    clear = clear_sky(images, L2A_BANDS) & (stack > 0).any(1)
    chosen = [L2A_BANDS.index(band) for band in BANDS]
    return Archive(folder.name, images[:, chosen], clear, None, grid)


def read_flanders(folder: Path) -> list[Archive]:
    """One patch of fields, Sentinel-2 L2A on 118 dates with its scene classes (netCDF)."""
    import xarray as xr

    fine, coarse = (
        xr.open_dataset(only(folder, f"S2_L2A_{size}m_*.nc"), mask_and_scale=False)
        for size in (10, 20)
    )
    with fine, coarse:
        dn = np.stack([fine[band].values for band in BANDS], 1)
        classes = coarse["SCL"].values.repeat(2, 1).repeat(2, 2)
        days, grid = cube_days(fine), cube_grid(fine)
    # 4 vegetation, 5 bare soil, 6 water, 7 unclassified (Sen2Cor scene classification)
    clear = np.isin(classes, (4, 5, 6, 7)) & (dn > 0).all(1)
    keep = first_of_each_day(days)
    return [
        Archive(
            "flanders",
            (dn[keep] / np.float32(10_000)).astype(np.float32),
            clear[keep],
            tuple(days[k] for k in keep),
            grid,
        )
    ]


def cube_days(cube: Any) -> tuple[date, ...]:
    """Days of the timestamps of a flanders cube."""
    return tuple(date.fromisoformat(str(day)[:10]) for day in cube["timestamp"].values)


def cube_grid(cube: Any) -> GeoBox:
    """The grid of 10 m under a flanders cube, whose x and y are centres of pixels."""
    west, north = float(cube["x"][0]) - 5, float(cube["y"][0]) + 5
    shape = cube.sizes["y"], cube.sizes["x"]
    return GeoBox(shape, rasterio.Affine(10, 0, west, 0, -10, north), "EPSG:32631")


def read_theia(folder: Path) -> list[Archive]:
    """One forest patch in Theia's L2A layout; B8A (20 m) stands in for the missing B08.

    B8A is not trusted at full resolution, but right once degraded to 40 m.
    """
    products, days = [], []
    for product in sorted(_existing(folder).glob("SENTINEL2*")):
        paths = [
            next(product.glob(f"*_FRE_{band}.tif"), None) for band in ("B2", "B3", "B4", "B8A")
        ]
        mask = next(product.glob("MASKS/*_CLM_R2.tif"), None)
        if mask is None or None in paths:
            continue
        *visible, near = (_read(path)[0] for path in paths if path is not None)
        dn = np.stack([*visible, near.repeat(2, 0).repeat(2, 1)])
        clear = (_read(mask)[0].repeat(2, 0).repeat(2, 1) == 0) & (dn > -10_000).all(0)
        products.append((dn.astype(np.float32) / 10_000, clear))
        stamp = re.search(r"_(\d{8})-", product.name)
        days.append(date.fromisoformat(stamp[1] if stamp else ""))
    if not products:
        raise InputError(f"{folder} holds no Theia product with B2, B3, B4, B8A and a cloud mask")
    keep = first_of_each_day(days)
    images, clear_all = (np.stack([product[part] for product in products])[keep] for part in (0, 1))
    grid = _grid_of(next(folder.glob("SENTINEL2*/*_FRE_B2.tif")))
    dates = tuple(days[k] for k in keep)
    trusted = (True, True, True, False)
    return [Archive("theia", images, clear_all, dates, grid, trusted)]


def read_naip(folder: Path, cities: Sequence[str] | None = None) -> dict[str, dict[int, Floats]]:
    """Aerial chips by place and year: {"city/id": {year: [4, 64, 64] blue, green, red, NIR}}.

    Display values from 0 to 1, not reflectance.
    """
    found = sorted(path.name for path in _existing(folder).iterdir() if path.is_dir())
    _known(cities, found, folder)
    places: dict[str, dict[int, Floats]] = {}
    for city in found if cities is None else cities:
        for path in sorted((folder / city).glob("*.tif")):
            place, year = path.stem.split("_")
            chip = _read(path)[[2, 1, 0, 3]].astype(np.float32) / np.float32(255)
            places.setdefault(f"{city}/{place}", {})[int(year)] = chip
    return places


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder} is not there; give the folder that holds it with --data")
    return folder


def _known(names: Iterable[str] | None, found: Sequence[str], folder: Path) -> None:
    missing = sorted(set(names or ()) - set(found))
    if missing:
        raise InputError(
            f"{folder} does not hold {', '.join(missing)}; it holds {', '.join(found)}"
        )


def only(folder: Path, pattern: str) -> Path:
    """The one file of a folder that is called so; InputError where there are none or more."""
    found = list(_existing(folder).glob(pattern))
    if len(found) != 1:
        raise InputError(f"{folder} holds {len(found)} files like {pattern}; it should hold one")
    return found[0]


def first_of_each_day(days: Sequence[date]) -> list[int]:
    """Positions of the images that are the first of their day."""
    return [k for k, day in enumerate(days) if day not in days[:k]]


def _read(path: Path) -> npt.NDArray[Any]:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def _grid_of(path: Path) -> GeoBox:
    with rasterio.open(path) as file:
        return GeoBox.from_rio(file)
