"""Frames: everything about one image but its pixels.

Whatever a source looks like, reading it begins with a function that gives frames
(``sitsr.scenes.sources``). Nothing above knows how files are called or where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from odc.geo.geobox import GeoBox


@dataclass(frozen=True, slots=True)
class Cover:
    """A raster in which the source itself says where the ground is seen."""

    file: str
    """Path or address, as GDAL opens it. Its grid may be coarser than the image's."""
    kind: str = "SCL"
    """How its values are to be read: a name of ``sitsr.scenes.covers.COVERS``."""
    index: int = 1
    """Number of the band in the file, from 1."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image, before its pixels are read."""

    source: str
    """Where it comes from, for messages and records: a path, an address, a cube and a date."""
    date: date
    bands: tuple[str, ...]
    """Sentinel-2's names."""
    indexes: tuple[int, ...]
    """For each band its number in its file, from 1."""
    grid: GeoBox
    """Of the finest bands; a file of a coarser grid is enlarged when it is read."""
    nodata: float | None = None
    quantum: float | None = None
    """Reflectance per digital number, where the source states it."""
    offset: float | None = None
    """Added to digital numbers before they are multiplied by quantum, where the source states
    it."""
    cover: Cover | None = None
    """Where the source says what is clear, if it does."""
    files: tuple[str, ...] = ()
    """For each band its file, as GDAL opens it; none where `source` holds all of them."""
    cloud: float | None = None
    """Share of the image under cloud by the source's metadata, 0 to 1; None if it does not say."""
    decided: tuple[str, ...] = ()
    """What was decided about this image when its metadata were read, one sentence each."""

    @property
    def paths(self) -> tuple[str, ...]:
        """For each band the file that holds it."""
        return self.files or (self.source,) * len(self.bands)
