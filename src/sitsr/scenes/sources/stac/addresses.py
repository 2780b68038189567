"""Where a link or an asset of a STAC document leads, and how GDAL opens it.

What was read from the network may lead to the network only: a remote item must not have local files
read. In a local catalogue, relative links stay inside its folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pystac.utils import make_absolute_href

from sitsr.series import InputError

NETWORK = {"http": "/vsicurl/", "https": "/vsicurl/", "s3": "/vsis3/", "gs": "/vsigs/"}
"""Schemes that GDAL reads, and how."""
INSIDE = re.compile(r"(.+?\.zip)(?:/|!/?)(.+)", re.IGNORECASE)
"""An archive, and what is in it."""
PLANETARY_COMPUTER = "planetarycomputer.microsoft.com"
SIGNED_HOSTS = ".blob.core.windows.net"


def is_url(text: str) -> bool:
    """Whether this is an address on the web."""
    return text.lower().startswith(("http://", "https://"))


def resolved(href: str, base: str, root: Path | None = None) -> str:
    """An address or a local path, in full, of a link as it stands in the document at base.

    root    the folder that relative links of a local catalogue may not leave
    """
    full = make_absolute_href(href, base)
    scheme = urlsplit(full).scheme.lower()
    if scheme in NETWORK:
        return full
    if is_url(base):
        raise InputError(
            f"{base} names {href}, which is not on the network; a remote item may not have local "
            "files read: download the catalogue with its files, if you trust it"
        )
    if full.startswith("/vsi"):
        return full
    path = unquote(urlsplit(full).path) if scheme == "file" else full
    path = os.path.normpath(path)
    relative = not os.path.isabs(href) and not href.lower().startswith("file:")
    if relative and root is not None and not Path(path).is_relative_to(root):
        raise InputError(
            f"{base} names {href}, which leads out of {root}; give the folder that holds it all"
        )
    return path


def opened(full: str, collection: str | None = None) -> str:
    """How GDAL opens a resolved address or path.

    collection    of the Planetary Computer, for what lies there and has to be signed
    """
    if full.startswith("/vsi"):
        return full
    archive = INSIDE.fullmatch(urlsplit(full)._replace(query="", fragment="").geturl())
    if archive:
        if ".." in archive[2].split("/"):
            raise InputError(f"{full} leads out of its archive; mend the item")
        return f"/vsizip/{opened(archive[1])}/{archive[2]}"
    scheme = urlsplit(full).scheme.lower()
    if scheme not in NETWORK:
        return full
    if collection is not None and is_url(full):
        return signed(full, collection)
    return NETWORK[scheme] + (full if is_url(full) else full.split("://", 1)[1])


def signed(href: str, collection: str) -> str:
    """How GDAL opens a file of the Planetary Computer.

    GDAL fetches one token for the collection and renews it when it expires, which a token in the
    address could not be during a run of hours (VSICURL_PC_SAS_TOKEN_URL: where from).
    """
    if not (urlsplit(href).hostname or "").endswith(SIGNED_HOSTS) or "sig=" in href:
        return NETWORK["https"] + href
    return f"/vsicurl?pc_url_signing=yes&pc_collection={collection}&url={quote(href, safe='')}"
