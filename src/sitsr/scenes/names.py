"""What names say: dates, bands, processing levels and baselines."""

from __future__ import annotations

import re
from datetime import date

L2A = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
L1C = (*L2A[:10], "B10", *L2A[10:])

COMMON_NAMES = {
    **{"coastal": "B01", "blue": "B02", "green": "B03", "red": "B04"},
    **{"rededge1": "B05", "rededge2": "B06", "rededge3": "B07", "rededge": "B05"},
    **{"rededge071": "B05", "rededge075": "B06", "rededge078": "B07"},
    **{"nir": "B08", "nir08": "B8A", "nir09": "B09", "cirrus": "B10"},
    **{"swir16": "B11", "swir22": "B12", "swir1": "B11", "swir2": "B12", "scl": "SCL"},
}

DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_]?)(\d\d)\2(\d\d)(?=T?\d{6}(?!\d)|\D|$)")
BASELINE = re.compile(r"_N(0\d)(\d\d)_")
LEVEL = re.compile(r"(?:^|[^A-Z0-9])(?:MSI)?L(1C|2A)(?=[^A-Z0-9]|$)")
TOOLBOX = 99
"""The baseline that Sen2Cor states where users run it (N9999): it tells nothing."""
BAND = re.compile(r"B?(?:and)?[ _]?0?(\d{1,2}|8A)(?:_\d\dm)?", re.IGNORECASE)


def find_date(text: str) -> date | None:
    """The first date written in a text."""
    for found in DATE.finditer(text):
        try:
            return date(int(found[1]), int(found[3]), int(found[4]))
        except ValueError:
            continue
    return None


def band_name(text: str) -> str | None:
    """Sentinel-2's own name for a band: "b2", "Band 2", "B02_10m" and "blue" are "B02"."""
    text = text.strip()
    if text.lower() in COMMON_NAMES:
        return COMMON_NAMES[text.lower()]
    found = BAND.fullmatch(text)
    if not found:
        return None
    name = "B" + found[1].upper().zfill(2)
    return name if name in L1C else None


def baseline_in(stem: str) -> str:
    """The processing baseline in a product's name, such as 04.00; empty where there is none."""
    found = BASELINE.search(stem)
    return f"{found[1]}.{found[2]}" if found else ""


def level_in(name: str) -> str:
    """The processing level in a product's name, "L1C" or "L2A"; empty where there is none."""
    found = LEVEL.search(name)
    return f"L{found[1]}" if found else ""


def offset_of_baseline(baseline: str) -> float | None:
    """-1000 from processing baseline 04.00 on, 0 before; None where it is not a baseline."""
    try:
        number = float(baseline)
    except ValueError:
        return None
    if not number < TOOLBOX:
        return None
    return -1000.0 if number >= 4 else 0.0
