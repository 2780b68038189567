"""How an estimate was made, in forms that files can hold."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sitsr.series import SuperResolved

CREDIT = "contains modified Copernicus Sentinel data"
"""What the licence of the data asks to be said wherever they are shown."""


def provenance(estimate: SuperResolved) -> dict[str, Any]:
    """The estimate's provenance as strict JSON can hold it: no NaN, no types but JSON's."""
    text = json.dumps(estimate.provenance, default=str)
    return dict(json.loads(text, parse_constant=lambda nan_or_infinity: None))


def provenance_tags(estimate: SuperResolved) -> dict[str, str]:
    """What a GeoTIFF says about how it was made."""
    return {
        "TIFFTAG_SOFTWARE": f"sitsr {software_version(estimate)}",
        "TIFFTAG_DATETIME": f"{estimate.target:%Y:%m:%d} 00:00:00",
        "TIFFTAG_COPYRIGHT": CREDIT,
        "PROVENANCE": json.dumps(provenance(estimate), ensure_ascii=False),
    }


def software_version(estimate: SuperResolved) -> str:
    """The version that made the estimate, or the one at work if it does not say."""
    try:
        return str(estimate.provenance.get("version") or version("sitsr"))
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
