"""How GDAL is to open files that lie on the network: in one place, for parsing and for reading.

What the user has set in the process's environment stands.

GDAL_DISABLE_READDIR_ON_OPEN   EMPTY_DIR: ask for the file only, not for its folder or side-cars
                               (``open_raster`` asks for them where it has to)
GDAL_INGESTED_BYTES_AT_OPEN    a header comes in one request
GDAL_HTTP_MERGE_...            blocks that lie side by side come in one request
GDAL_HTTP_TIMEOUT, ...         a server that is silent or slow ends in an error, not in waiting
GDAL_HTTP_MAX_RETRY            429, 500, 502, 503 and 504 are tried again, with growing pauses
AWS_NO_SIGN_REQUEST            public buckets without an account; only where no keys are at hand

CPL_VSIL_CURL_ALLOWED_EXTENSIONS is left alone: it would refuse signed addresses, which end in
their signature, and EMPTY_DIR already spares the requests that it is there to spare.
"""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioIOError

NETWORK = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_LOW_SPEED_TIME": "20",  # seconds under ...
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",  # ... bytes a second
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
}
ACCOUNTS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_NO_SIGN_REQUEST")
"""Any of these in the environment says how to reach a bucket."""

REMOTE = re.compile(r"/vsi(curl|s3|gs|az)[/?]|https?://")
RASTERS = {"GTiff", "COG", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID", "JPEG2000"}
"""GDAL's names of what bands and masks may be."""
OTHER_FORMAT = "not recognized as"
"""What GDAL says where a driver is not the one."""


def is_remote(path: str) -> bool:
    """Whether a path, as GDAL opens it, leads to the network."""
    return bool(REMOTE.search(path))


def gdal_environment(path: str = "/vsicurl/") -> dict[str, str]:
    """What to give to ``rasterio.Env`` while this file is opened and read.

    It holds for the thread that enters it only. A local file keeps its side-cars (.aux.xml, .tfw).
    """
    if not is_remote(path):
        return {}
    wanted = dict(NETWORK)
    kept = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()
    if not kept.exists() and not any(name in os.environ for name in ACCOUNTS):
        wanted["AWS_NO_SIGN_REQUEST"] = "YES"
    return {name: value for name, value in wanted.items() if name not in os.environ}


def open_raster(path: str | PathLike[str]) -> Any:
    """A raster, open for reading, within ``gdal_environment``. It may warn of having no place
    (NotGeoreferencedWarning): filters for warnings belong to whoever starts the threads.

    It is opened with drivers that open no further files: a virtual raster (VRT) could name any.
    What a file is, its content says: there are JPEG 2000 files called .tif.
    """
    path = str(path)
    if not is_remote(path):
        return _open_local(path)
    file = _open_remote(path)
    if file.transform.is_identity:  # what says where it lies may lie beside it
        file.close()
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"):
            file = _open_remote(path)
    return file


def _open_local(path: str) -> Any:
    file = rasterio.open(path)
    if file.driver not in RASTERS:
        file.close()
        raise RasterioIOError(f"it is {file.driver}, not GeoTIFF or JPEG 2000")
    return file


def _open_remote(path: str) -> Any:
    try:
        return rasterio.open(path, driver="GTiff")
    except RasterioIOError as error:
        if OTHER_FORMAT not in str(error):
            raise
        return rasterio.open(path, driver="JP2OpenJPEG")
