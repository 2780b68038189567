"""What to look for in a catalogue, and the public ones by short name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from sitsr.series import InputError


class Endpoint(NamedTuple):
    """A public API and the collection in it that holds Sentinel-2 L2A."""

    url: str
    collection: str


ENDPOINTS = {
    "earth-search": Endpoint("https://earth-search.aws.element84.com/v1", "sentinel-2-l2a"),
    "earth-search-c1": Endpoint("https://earth-search.aws.element84.com/v1", "sentinel-2-c1-l2a"),
    "planetary-computer": Endpoint(
        "https://planetarycomputer.microsoft.com/api/stac/v1", "sentinel-2-l2a"
    ),
    "cdse": Endpoint("https://stac.dataspace.copernicus.eu/v1", "sentinel-2-l2a"),
    "digital-earth-africa": Endpoint("https://explorer.digitalearth.africa/stac", "s2_l2a"),
    "brazil-data-cube": Endpoint("https://data.inpe.br/bdc/stac/v1", "S2_L2A-1"),
}


@dataclass(frozen=True, slots=True)
class Search:
    """Which images of a catalogue are wanted."""

    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; images that touch it are taken."""
    dates: tuple[date | None, date | None] = (None, None)
    """The first day and the last, both of them wanted; None leaves an end open."""
    max_cloud: float | None = None
    """Share of an image that may be under cloud by its metadata, 0 to 1. An image that does not say
    is kept."""
    collection: str | None = None
    """Of a catalogue that holds several."""
    limit: int = 1000
    """Items that may be looked at; a catalogue that hands out more is refused."""

    def __post_init__(self) -> None:
        _check_box(self.bbox)
        first, last = self.dates
        if first and last and first > last:
            raise InputError(f"the dates go from {first} to {last}; give the earlier one first")
        if self.max_cloud is not None and not 0 <= self.max_cloud <= 1:
            raise InputError(f"max_cloud is {self.max_cloud:g}; give a share of the image, 0 to 1")
        if self.limit < 1:
            raise InputError(f"limit is {self.limit}; give 1 or more")

    @property
    def interval(self) -> str | None:
        """The dates as an API is asked for them; None for all."""
        first, last = self.dates
        return f"{first or '..'}/{last or '..'}" if first or last else None

    def wants(self, day: date, cloud: float | None, box: Any) -> bool:
        """Whether an image of this day, share of cloud and box in degrees is looked for."""
        first, last = self.dates
        return (
            (first or day) <= day <= (last or day)
            and (self.max_cloud is None or cloud is None or cloud <= self.max_cloud)
            and (self.bbox is None or not box or _touch(self.bbox, box))
        )


def _check_box(box: tuple[float, float, float, float] | None) -> None:
    if box is None:
        return
    west, south, east, north = box
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InputError(
            f"bbox is {west:g},{south:g},{east:g},{north:g}; give west,south,east,north in degrees"
        )


def _touch(a: Any, b: Any) -> bool:
    """Whether boxes overlap; of a box with heights the third and the last number are left out."""
    if len(b) == 6:
        b = (b[0], b[1], b[3], b[4])
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])
