"""A STAC API of this machine: stac-fastapi over a database, beside the files that its items name.

    python stac_api.py CATALOGUE

loads the items of a static catalogue into SQLite, serves them with paging and queries, serves the
catalogue's folder under /files with ranges, and prints its address. /served tells how many bytes
of which file went out.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import uvicorn
from fastapi import FastAPI
from stac_fastapi.api.app import StacApi
from stac_fastapi.api.models import create_get_request_model, create_post_request_model
from stac_fastapi.extensions.pagination import TokenPaginationExtension
from stac_fastapi.extensions.query import QueryExtension
from stac_fastapi.types.config import ApiSettings
from stac_fastapi.types.core import BaseCoreClient
from stac_fastapi.types.errors import NotFoundError
from stac_fastapi.types.search import BaseSearchGetRequest, BaseSearchPostRequest
from starlette.staticfiles import StaticFiles

EXTENSIONS = [QueryExtension(), TokenPaginationExtension()]
COLUMNS = "id, collection, moment, west, south, east, north, cloud, document"
TOLD = ("title", "description", "landing_id", "version")
SIGNS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "eq": "="}


def load(top: Path, base: str) -> tuple[sqlite3.Connection, dict[str, Any]]:
    """The items of a static catalogue, their links to files made absolute; and its collections."""
    base_of = {top.parent: base}
    table = sqlite3.connect(":memory:", check_same_thread=False)
    table.execute(f"create table items ({COLUMNS})")
    collections = {}
    for path in sorted(top.parent.glob("*/collection.json")):
        collection = json.loads(path.read_text())
        collections[collection["id"]] = {**collection, "links": []}
        for held in sorted(path.parent.glob("*/*.json")):
            item = json.loads(held.read_text())
            folder = f"{base_of[top.parent]}/files/{held.parent.relative_to(top.parent)}/"
            for asset in item["assets"].values():
                if "://" not in asset["href"]:
                    asset["href"] = folder + asset["href"].removeprefix("./")
            item["links"] = []
            told = item["properties"]
            row = (item["id"], item["collection"], told["datetime"], *item["bbox"])
            table.execute(
                f"insert into items values ({', '.join('?' * 9)})",
                (*row, told.get("eo:cloud_cover"), json.dumps(item)),
            )
    return table, collections


class Backend(BaseCoreClient):
    """What stac-fastapi asks of a backend, answered by SQL."""

    table: ClassVar[sqlite3.Connection]
    collections: ClassVar[dict[str, Any]]

    def post_search(self, search_request: Any, **kwargs: Any) -> Any:
        asked = search_request.model_dump(exclude_none=True)
        return self._page(asked, kwargs["request"])

    def get_search(self, **asked: Any) -> Any:
        request = asked.pop("request")
        if isinstance(asked.get("query"), str):
            asked["query"] = json.loads(asked["query"])
        return self._page({k: v for k, v in asked.items() if v is not None}, request)

    def item_collection(self, collection_id: str, **asked: Any) -> Any:
        return self.get_search(collections=[collection_id], **asked)

    def get_item(self, item_id: str, collection_id: str, **kwargs: Any) -> Any:
        where = {"ids": [item_id], "collections": [collection_id]}
        found = self._page(where, kwargs["request"])["features"]
        if not found:
            raise NotFoundError(item_id)
        return found[0]

    def all_collections(self, **kwargs: Any) -> Any:
        held = [self.get_collection(name, **kwargs) for name in self.collections]
        return {"collections": held, "links": []}

    def get_collection(self, collection_id: str, **kwargs: Any) -> Any:
        if collection_id not in self.collections:
            raise NotFoundError(collection_id)
        base = str(kwargs["request"].base_url)
        items = f"{base}collections/{collection_id}/items"
        links = [
            {"rel": "root", "href": base, "type": "application/json"},
            {"rel": "items", "href": items, "type": "application/geo+json"},
        ]
        return {**self.collections[collection_id], "links": links}

    def _page(self, asked: dict[str, Any], request: Any) -> Any:
        start, limit = int(asked.get("token") or 0), int(asked.get("limit") or 10)
        wheres, values = zip(*conditions(asked), strict=True)
        rows = self.table.execute(
            f"select document from items where {' and '.join(wheres)} "
            "order by moment desc, id limit ? offset ?",
            [*(value for group in values for value in group), limit + 1, start],
        ).fetchall()
        features = [json.loads(document) for (document,) in rows[:limit]]
        base = str(request.base_url)
        for item in features:
            own = f"{base}collections/{item['collection']}/items/{item['id']}"
            item["links"] = [{"rel": "self", "href": own, "type": "application/geo+json"}]
        links = []
        if len(rows) > limit:
            body = {"token": str(start + limit)}
            more = {"rel": "next", "href": f"{base}search", "method": "POST", "merge": True}
            links = [{**more, "body": body, "type": "application/geo+json"}]
        return {"type": "FeatureCollection", "features": features, "links": links}


def conditions(asked: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """What a search asks for, as SQL."""
    yield "1", []
    for key, column in (("ids", "id"), ("collections", "collection")):
        if asked.get(key):
            yield f"{column} in ({', '.join('?' * len(asked[key]))})", list(asked[key])
    if asked.get("bbox"):
        west, south, east, north = asked["bbox"]
        overlap = "west <= ? and east >= ? and south <= ? and north >= ?"
        yield overlap, [east, west, north, south]
    if asked.get("datetime"):
        moments = str(asked["datetime"]).split("/")
        first, last = moments[0], moments[-1]
        yield "moment >= ?", ["" if first in ("", "..") else first]
        yield "moment <= ?", ["9" if last in ("", "..") else last]
    for signs in [(asked.get("query") or {}).get("eo:cloud_cover") or {}]:
        for sign, value in signs.items():
            yield f"cloud {SIGNS[sign]} ?", [value]


class Counted:
    """An application whose files are weighed as they go out."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.bytes: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if not path.startswith("/files/"):
            await self.app(scope, receive, send)
            return
        self.bytes.setdefault(path, 0)

        async def weighed(message: Any) -> None:
            self.bytes[path] += len(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, weighed)


def main(folder: Path) -> None:
    """Serve until killed."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    Backend.table, Backend.collections = load(folder / "catalog.json", base)
    app = FastAPI(openapi_url="/api", docs_url="/api.html")
    api = StacApi(
        settings=ApiSettings(**{f"stac_fastapi_{what}": "tiny" for what in TOLD}),
        app=app,
        client=Backend(extensions=EXTENSIONS),
        extensions=EXTENSIONS,
        search_get_request_model=create_get_request_model(EXTENSIONS, BaseSearchGetRequest),
        search_post_request_model=create_post_request_model(EXTENSIONS, BaseSearchPostRequest),
    )
    counted = Counted(api.app)
    app.get("/served")(lambda: counted.bytes)
    app.mount("/files", StaticFiles(directory=folder))
    print(base, flush=True)
    config = uvicorn.Config(counted, log_level="warning")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
