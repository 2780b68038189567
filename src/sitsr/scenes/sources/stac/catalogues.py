"""From a place to its STAC items: an API, a static catalogue or collection, items in a file.

Every wait and every walk has an end: requests time out and are tried again a few times, a catalogue
that hands out more than ``Search.limit`` items is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pystac
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from urllib3.util import Retry

from sitsr.scenes.sources.stac.addresses import is_url, resolved
from sitsr.scenes.sources.stac.search import ENDPOINTS, Search
from sitsr.series import InputError

TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""
RETRIES = 3
TOGETHER = 8
"""Requests at a time."""
STAC_ERRORS = (pystac.STACError, pystac.STACTypeError)
PAGE = 100
"""Items asked for at a time."""

Document = dict[str, Any]


def find_items(place: str, search: Search) -> list[pystac.Item]:
    """The items of a place that are looked for; each knows where it was read from.

    place    address of an API, a catalogue, a collection or an item; name of an API
             (``ENDPOINTS``); path of a file with one of these or with an ItemCollection; folder of
             a catalogue
    """
    address, collection = _where(place, search)
    with plainly(address), reader() as io, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about conformance that is not needed
        document = io.read_json(address)
        kind = _kind(document)
        api = _api_of(document, address)
        if api is not None:
            root, held = api
            found = _searched(root, search, collection or held, io)
        elif kind == "Feature":
            found = [_item(document, address)]
        elif kind == "FeatureCollection":
            _check_whole(document, address)
            found = [_item(feature, address) for feature in document["features"]]
        elif kind in ("Catalog", "Collection"):
            found = _walked(document, address, search, io)
        else:
            raise InputError(
                f'{address} is JSON of type "{kind}"; wanted a STAC item, catalogue or collection, '
                "an ItemCollection, or a STAC API"
            )
        return [item for item in found if _wanted(item, search, collection)]


@contextmanager
def reader() -> Iterator[StacApiIO]:
    """What reads documents, with time limits and retries; its connections end with the context."""
    again = Retry(
        total=RETRIES,
        backoff_factor=0.3,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,  # a search by POST changes nothing and may be asked again
        raise_on_status=False,
    )
    io = StacApiIO(timeout=TIMEOUT, max_retries=again)
    with io.session:
        yield io


@contextmanager
def plainly(address: str) -> Iterator[None]:
    """What goes wrong here is said in one line."""
    try:
        yield
    except InputError:
        raise
    except APIError as error:
        raise InputError(_why(address, error)) from error
    except FileNotFoundError as error:
        raise InputError(f"{address} does not exist; give a STAC document") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{address} cannot be read ({error}); give a STAC document") from error
    except RecursionError:
        raise InputError(f"{address} is nested too deeply; give a STAC document") from None
    except (ValueError, KeyError, TypeError, AttributeError, *STAC_ERRORS) as error:
        what = str(error).partition("\n")[0][:120]
        raise InputError(f"{address} is no proper STAC ({what}); give a STAC document") from error


def _why(address: str, error: APIError) -> str:
    code, text = getattr(error, "status_code", None), str(error)
    if code is not None:
        hint = "try again later, or another catalogue" if code >= 500 else "mend the address"
        return f"{address} answered with status {code}; {hint}"
    if "timed out" in text:
        return (
            f"{address} did not answer within {TIMEOUT[1]:g} s, {RETRIES + 1} times over; "
            "try again later, or another catalogue"
        )
    if "codec" in text:
        return f"{address} cannot be read ({text[:60]}); give a STAC document"
    return f"{address} cannot be reached; check the address and the network"


def _where(place: str, search: Search) -> tuple[str, str | None]:
    """The address or path of the top document, and the collection that is wanted."""
    if is_url(place):
        return place, search.collection
    path = Path(place)
    if place in ENDPOINTS and not path.exists():
        endpoint = ENDPOINTS[place]
        return endpoint.url, search.collection or endpoint.collection
    if path.is_dir():
        held = [path / name for name in ("catalog.json", "collection.json")]
        path = next((top for top in held if top.is_file()), held[0])
    return str(path.absolute()), search.collection


def _kind(document: Any) -> str:
    if not isinstance(document, dict):
        return type(document).__name__
    return str(document.get("type") or ("Catalog" if "links" in document else None))


def _links(document: Document, *rels: str) -> list[str]:
    return [link["href"] for link in document.get("links", []) if link.get("rel") in rels]


def _api_of(document: Document, address: str) -> tuple[str, str | None] | None:
    """The root of the API that a document is the root or a collection of, and the collection."""
    if _kind(document) not in ("Catalog", "Collection") or not is_url(address):
        return None
    if "conformsTo" in document or _links(document, "search"):
        return address, None
    roots = _links(document, "root")
    if _kind(document) == "Collection" and _links(document, "items") and roots:
        return resolved(roots[0], address), document["id"]
    return None


def _searched(
    root: str, search: Search, collection: str | None, io: StacApiIO
) -> list[pystac.Item]:
    client = Client.open(root, stac_io=io)
    asks_clouds = search.max_cloud is not None and client.conforms_to("QUERY")
    pages = client.search(
        collections=[collection] if collection else None,
        bbox=search.bbox,
        datetime=search.interval,
        query={"eo:cloud_cover": {"lte": 100 * (search.max_cloud or 0)}} if asks_clouds else None,
        limit=min(PAGE, search.limit),
    ).pages_as_dicts()
    found: dict[tuple[str, str], pystac.Item] = {}
    for page in pages:
        before = len(found)
        for feature in page["features"]:
            found[str(feature.get("collection")), feature["id"]] = _item(feature, root)
        if len(found) == before:
            raise InputError(
                f"{root} hands out the same items page after page; try again later, or another "
                "catalogue"
            )
        _check_limit(root, len(found), search)
    return list(found.values())


def _walked(top: Document, address: str, search: Search, io: StacApiIO) -> list[pystac.Item]:
    root = None if is_url(address) else Path(address).parent
    seen, items, level = {address}, list[pystac.Item](), [(top, address)]
    with ThreadPoolExecutor(TOGETHER) as pool:
        while level:
            hrefs = []
            for document, base in level:
                if _kind(document) == "Feature":
                    items.append(_item(document, base))
                else:
                    held = _links(document, "item", "child")
                    hrefs += [resolved(href, base, root) for href in held]
            hrefs = [href for href in dict.fromkeys(hrefs) if href not in seen]
            seen.update(hrefs)
            _check_limit(address, len(seen) - 1, search)
            level = list(zip(pool.map(io.read_json, hrefs), hrefs, strict=True))
    return items


def _check_whole(document: Document, address: str) -> None:
    if is_url(address) and _links(document, "next"):
        raise InputError(
            f"{address} is the first page of a search; give the API's root, and what to look for "
            "as a search"
        )


def _check_limit(address: str, count: int, search: Search) -> None:
    if count > search.limit:
        raise InputError(
            f"{address} holds more than {search.limit} items that may be wanted; narrow the search "
            "by bbox, dates or cloud, or raise the limit"
        )


def _item(document: Document, address: str) -> pystac.Item:
    """An item that knows where it was read from; features of the web by their own address."""
    own = next(iter(_links(document, "self")), "")
    base = own if is_url(address) and is_url(own) else address
    return pystac.Item.from_dict(document, href=base, migrate=False)


def _wanted(item: pystac.Item, search: Search, collection: str | None) -> bool:
    if collection and item.collection_id and item.collection_id != collection:
        return False
    return search.wants(day_of(item), cloud_of(item), item.bbox)


def day_of(item: pystac.Item) -> date:
    """The day of an item; of those that span a time, the first."""
    moment = item.datetime or item.common_metadata.start_datetime
    if moment is None:
        raise InputError(f"{item.id} states no datetime; mend the item")
    return moment.date()


def cloud_of(item: pystac.Item) -> float | None:
    """The share of an item under cloud, 0 to 1, where it says so."""
    percent = item.properties.get("eo:cloud_cover")
    return float(percent) / 100 if isinstance(percent, int | float) else None
