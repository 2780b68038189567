"""A web server on loopback that misbehaves on request."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Behaviour:
    """What the server does; `asked` are the ranges that it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path."""
    tag: str = '"one"'
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers breaks off."""
    stalls: int = 0
    fails: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    off: int = 0
    """By which the range that is answered is another than the one asked for."""
    says: int | None = None
    """The length that it states."""
    asked: list[str | None] = field(default_factory=list)
    pages: dict[str, Any] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        does: Behaviour = self.server.does  # type: ignore[attr-defined]
        self.close_connection = True
        if self.path in does.pages:
            self._answer(200, json.dumps(does.pages[self.path]).encode(), {})
            return
        asked = self.headers.get("Range")
        does.asked.append(asked)
        if does.fails:
            self._answer(does.fails.pop(0), b"", {})
            return
        held = does.files[self.path]
        first = int(re.findall(r"\d+", asked)[0]) if asked and does.ranges else 0
        if first and self.headers.get("If-Range", does.tag) != does.tag:
            first = 0
        if first > len(held):
            self._answer(416, b"", {})
            return
        body = held[first + does.off if first else 0 :]
        headers = {"ETag": does.tag}
        if first:
            total = len(held)
            headers["Content-Range"] = f"bytes {first + does.off}-{total - 1}/{total}"
        self._answer(206 if first else 200, body, headers, does)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], does: Behaviour | None = None
    ) -> None:
        self.send_response(status)
        stated = does.says if does and does.says is not None else len(body)
        for name, value in {"Content-Length": str(stated), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if does and does.stalls:
            does.stalls -= 1
            self.wfile.write(body[:1000])
            self.wfile.flush()
            time.sleep(1.0)
            return
        self.wfile.write(body[: does.breaks.pop(0)] if does and does.breaks else body)


@contextmanager
def serving() -> Iterator[tuple[str, Behaviour]]:
    """Its address, and what it does."""
    held = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.daemon_threads = True
    held.does = Behaviour()  # type: ignore[attr-defined]
    thread = threading.Thread(target=held.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{held.server_port}", held.does  # type: ignore[attr-defined]
    held.shutdown()
    held.server_close()
    thread.join()
