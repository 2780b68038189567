"""Super-resolution of satellite image time series: Sentinel-2 at 2.5 m, at any date asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sitsr.product import Result, produce, super_resolve
    from sitsr.scenes import open_scene, open_series
    from sitsr.series import InputError, Series, SuperResolved

__all__ = [
    "InputError",
    "Result",
    "Series",
    "SuperResolved",
    "open_scene",
    "open_series",
    "produce",
    "super_resolve",
]

_HOMES = {
    "InputError": "series",
    "Series": "series",
    "SuperResolved": "series",
    "Result": "product",
    "open_scene": "scenes",
    "open_series": "scenes",
    "produce": "product",
    "super_resolve": "product",
}

try:
    __version__ = _version("sitsr")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0.0.0"


def __getattr__(name: str) -> Any:
    # Public names are looked up when first used: `import sitsr` and `sitsr --help` stay instant.
    if name in _HOMES:
        return getattr(import_module(f"sitsr.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sitsr' has no attribute {name!r}")
