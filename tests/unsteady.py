"""A server on this machine that serves files as badly as it is told to."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SILENCE = 0.3
"""Seconds that a client of the tests waits; the server stalls for longer."""


@dataclass
class Served:
    """A file, and what goes wrong at the requests for it, one after the other."""

    content: bytes
    mishaps: list[str] = field(default_factory=list)
    """"break N": N bytes come. "stall N": N bytes come, and then nothing. "whole": no range is
    known of. "elsewhere": another range than was asked for. "nowhere": a range without a place.
    "corrupt": a bit is another. "long N": N bytes more are promised than come. "short N": N bytes
    less are promised. "swap": the file is another from now on. "swap N": and N bytes of it come.
    "503", "404", "429": said instead. "unmarked": no entity tag. "unmeasured": no length.
    "gzip": claims to be compressed."""


@dataclass
class Unsteady:
    """What is served, and what was asked for."""

    base: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Paths with the ranges that were asked for."""

    def put(self, path: str, content: bytes, *mishaps: str) -> str:
        """Serve a file; its address."""
        self.files[path] = Served(content, list(mishaps))
        return self.base + path

    def ranges(self, path: str) -> list[str | None]:
        """What of a file was asked for, request by request."""
        return [asked for name, asked in self.asked if name == path]

    def put_zenodo(self, number: str, files: dict[str, bytes], **changes: Any) -> None:
        """A record of Zenodo with these files; changes are of its entries by file."""
        entries = []
        for name, content in files.items():
            path = f"/api/records/{number}/files/{name}/content"
            if path not in self.files:
                self.put(path, content)
            entry = {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{md5(content)}",
                "links": {"self": self.base + path},
            }
            entries.append({**entry, **changes.get(name, {})})
        record = {"id": number, "metadata": {"license": {"id": "cc-by-4.0"}}, "files": entries}
        self.put(f"/api/records/{number}", json.dumps(record).encode())

    def put_dataverse(self, doi: str, files: dict[str, bytes]) -> None:
        """A record of Dataverse with these files."""
        entries = []
        for number, (name, content) in enumerate(files.items(), start=7):
            self.put(f"/api/access/datafile/{number}", content)
            told = {"id": number, "filename": name, "filesize": len(content), "md5": md5(content)}
            entries.append({"label": name, "dataFile": told})
        version = {"license": {"name": "CC0 1.0"}, "files": entries}
        record = {"status": "OK", "data": {"latestVersion": version}}
        path = f"/api/datasets/:persistentId/?persistentId={doi}"
        self.put(path, json.dumps(record).encode())


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@contextmanager
def unsteady() -> Iterator[Unsteady]:
    """The server, on a port of its own, until the end of the context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, told)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that hang up are the point

    server = Quiet(("127.0.0.1", 0), Handler)
    told = Unsteady(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, told: Unsteady) -> None:
    asked = handler.headers.get("Range")
    told.asked.append((handler.path, asked))
    served = told.files.get(handler.path)
    mishap, _, number = (served.mishaps.pop(0) if served and served.mishaps else "").partition(" ")
    if served is None or mishap.isdigit():  # "404"
        _head(handler, int(mishap or 404), {"Content-Length": "0"})
        return
    if mishap == "swap":
        served.content = bytes(reversed(served.content))
    content, tag = served.content, f'"{md5(served.content)}"'
    start = 0 if mishap == "whole" or not asked else int(asked[len("bytes=") : -1])
    if handler.headers.get("If-Range") not in (None, tag):
        start = 0
    if start >= len(content) > 0:
        _head(handler, 416, {"Content-Length": "0", "Content-Range": f"bytes */{len(content)}"})
        return
    _send(handler, content, tag, start, mishap, int(number or 0))


def _send(
    handler: BaseHTTPRequestHandler, content: bytes, tag: str, start: int, mishap: str, number: int
) -> None:
    """The bytes from start on, as well as the mishap lets them come."""
    body = content[start:]
    if mishap == "corrupt":
        body = bytes([body[0] ^ 1]) + body[1:]
    promised = len(body) + {"long": number, "short": -number}.get(mishap, 0)
    at = start + (mishap == "elsewhere")
    headers = {
        "Content-Length": str(promised),
        "ETag": tag,
        "Content-Range": f"bytes {at}-{len(content) - 1}/{len(content)}",
        "Content-Encoding": "gzip",
    }
    absent = {"unmarked": "ETag", "unmeasured": "Content-Length", "nowhere": "Content-Range"}
    headers.pop(absent.get(mishap, ""), None)
    if mishap != "gzip":
        del headers["Content-Encoding"]
    if not start:
        del headers["Content-Range"]
    _head(handler, 206 if start else 200, headers)
    cut = mishap in ("break", "stall") or (mishap == "swap" and number)
    handler.wfile.write(body[: number if cut else promised])
    if mishap == "stall":
        handler.wfile.flush()
        time.sleep(3 * SILENCE)
    handler.close_connection = bool(cut) or mishap in ("long", "unmeasured")


def _head(handler: BaseHTTPRequestHandler, code: int, headers: dict[str, str]) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
