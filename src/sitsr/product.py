"""What users hold: super-resolve a series, keep the result.

series = sitsr.open_series("SERIES")
result = sitsr.super_resolve(series, date="2021-07-18", samples=8)
result.save("result/")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date as Date
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sitsr.series import NEVER, InputError, Series, SuperResolved

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from sitsr.scenes import Area


Progress = Callable[[int, int], None]
"""Called with (parts done, parts in all)."""


@dataclass(frozen=True, eq=False)
class Result:
    """A super-resolved image together with the series it was made from."""

    series: Series
    estimate: SuperResolved

    def save(self, folder: str | PathLike[str], progress: Progress | None = None) -> Path:
        """Write GeoTIFFs, preview, STAC item and report as this folder; give the folder back.

        The folder appears whole or not at all. A former result there is replaced; a folder that
        holds anything else is refused. What is in it: ``sitsr.scenes.write``.
        """
        from sitsr.report import write_report
        from sitsr.scenes.write import aside, write_files

        with aside(Path(folder)) as temporary:
            # The report first: the STAC item lists what lies beside it.
            write_report(self.estimate, self.series, temporary / "report.html")
            write_files(self.estimate, self.series, temporary, progress)
        return Path(folder)

    def within(self, area: Area | None) -> Result:
        """The same with nothing outside an area's polygons; None, or a box, is all of it."""
        if area is None or not area.masked:
            return self
        made = self.estimate
        fine, coarse = ~area.inside(made.grid), ~area.inside(self.series.grid)
        nothing = np.float32(np.nan)
        kept = replace(
            made,
            mean=np.where(fine, nothing, made.mean),
            spread=np.where(fine, nothing, made.spread),
            samples=np.where(fine, nothing, made.samples),
            clear_count=np.where(coarse, np.int16(0), made.clear_count),
            nearest_days=np.where(coarse, np.int16(NEVER), made.nearest_days),
        )
        return replace(self, estimate=kept)

    def to_xarray(self) -> xr.Dataset:
        """The estimate as a Dataset on one grid, that of the fine pixels.

        sr            (band, y, x)          reflectance; NaN where never seen
        spread        (band, y, x)          standard deviation of the expected error, reflectance
        samples       (sample, band, y, x)  reflectance, where samples were asked for
        clear_count   (y, x)                number of dates on which the ground was seen
        nearest_days  (y, x)                days from the target to the nearest of them; NaN if none

        The last two are known for the input's pixels and repeated for the fine ones within, so
        that they can be used with `where` at once. `spatial_ref` holds the CRS, `time` the target
        date, the attribute `provenance` how all was made, as JSON.
        """
        import xarray as xr

        made = self.estimate
        days = made.nearest_days.astype(np.float32)
        days[made.nearest_days == NEVER] = np.nan
        image = ("band", "y", "x")
        variables: dict[str, Any] = {
            "sr": (image, made.mean, {"long_name": "reflectance", "units": "1"}),
            "spread": (image, made.spread, {"long_name": "expected error", "units": "1"}),
            "clear_count": (image[1:], self._fine(made.clear_count), {"units": "1"}),
            "nearest_days": (image[1:], self._fine(days), {"units": "days"}),
        }
        if len(made.samples):
            about = {"long_name": "sample of reflectance", "units": "1"}
            variables["samples"] = (("sample", *image), made.samples, about)
        for _, _, about in variables.values():
            about["grid_mapping"] = "spatial_ref"
        return xr.Dataset(
            variables,
            coords={
                **place(made.grid),
                "band": list(made.bands),
                "time": np.datetime64(made.target, "ns"),
            },
            attrs={"target": f"{made.target}", "provenance": self._provenance()},
        )

    def _fine(self, coarse: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        scale = self.estimate.scale
        return coarse.repeat(scale, axis=0).repeat(scale, axis=1)

    def _provenance(self) -> str:
        from sitsr.scenes.write.provenance import provenance

        return json.dumps(provenance(self.estimate))


def super_resolve(  # noqa: PLR0913  (all but two are named by the caller)
    series: Series | str | PathLike[str] | xr.Dataset | xr.DataArray,
    date: Date | str,
    *,
    samples: int = 4,
    steps: int | None = None,
    seed: int = 0,
    tile: int | None = None,
    psf: float | Sequence[float] | None = None,
    device: str = "auto",
    weights: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Result:
    """The ground at a date, finer than it was seen.

    series    or whatever ``sitsr.open_series`` can open
    date      the day asked for, as "YYYY-MM-DD" or a date; it need not be one of the series
    samples   images to draw besides the best estimate, each as likely as the others
    steps     evaluations of the network for each sample; None is what the weights were made for
    seed      the same seed gives the same samples
    tile      side of the parts worked on at once, input pixels: changes memory and time, never the
              result; None is the usual size
    psf       the sensor's point-spread function, standard deviation in pixels of the series, one
              number or one a band; None is Sentinel-2's, as the weights were made for. Smaller
              sharpens less
    device    "auto", "cpu", "cuda" …
    weights   a file of weights; None is the one that comes with the package
    progress  called with (tiles done, tiles in all)
    """
    target = day(date)
    from sitsr import inference, scenes
    from sitsr.model import bundled_weights, fingerprint, open_model

    if not isinstance(series, Series):
        series = scenes.open_series(series)
    usual = inference.Settings()
    settings = replace(
        usual,
        samples=samples,
        seed=seed,
        steps=steps,
        tile=usual.tile if tile is None else tile,
        psf=(psf,) if isinstance(psf, int | float) else None if psf is None else tuple(psf),
    )
    path = Path(weights) if weights is not None else bundled_weights()
    model = open_model(path, device)
    estimate = inference.super_resolve(series, target, model, settings, progress)
    told = {"weights": path.name, "weights_sha256": fingerprint(path)}
    return Result(series, replace(estimate, provenance={**estimate.provenance, **told}))


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
    axis = {"units": "m", "crs": str(grid.crs)}
    return {
        "y": ("y", f + e * (np.arange(rows) + 0.5), axis | {"axis": "Y"}),
        "x": ("x", c + a * (np.arange(cols) + 0.5), axis | {"axis": "X"}),
        "spatial_ref": ((), grid.crs.epsg or 0, about),
    }


def day(date: Date | str) -> Date:
    """The day that was meant."""
    if isinstance(date, datetime):
        return date.date()
    if isinstance(date, Date):
        return date
    try:
        return Date.fromisoformat(date)
    except (ValueError, TypeError):
        raise InputError(
            f"{date!r} is not a date; write it as YYYY-MM-DD, such as 2021-07-18"
        ) from None
