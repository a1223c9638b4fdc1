"""A local HTTP server in the collector's place: records what it takes, and fails as it is told.

A script says what happens to the next requests, one word each: `ok`, a status, `cut` (the connection ends before the
request is read), `lost` (taken, but the answer does not arrive). After the script all is well.
"""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from served import in_a_thread


class RecordingServer(ThreadingHTTPServer):
    """Records messages by the write key that they came with."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[str | int] = []
        self.retry_after: int | None = None
        self.refused_ids: set[str] = set()
        self.rejected_ids: set[str] = set()
        self.requests: list[tuple[str, list[dict[str, Any]]]] = []
        self.taken: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def taken_ids(self) -> list[str]:
        return [message["messageId"] for message in self.taken]

    def first_of_each(self) -> list[dict[str, Any]]:
        """What stays after de-duplication; a second message of an id must say the same."""
        kept: dict[str, dict[str, Any]] = {}
        for message in self.taken:
            assert kept.setdefault(message["messageId"], message) == message, "an id was sent with two payloads"
        return list(kept.values())


class _Handler(BaseHTTPRequestHandler):
    server: RecordingServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        with self.server.lock:
            what = self.server.script.pop(0) if self.server.script else "ok"
        if what == "cut":
            self._hang_up()
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        key = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode().rstrip(":")
        batch = json.loads(body)["batch"]
        self._answer(what, key, batch)

    def _answer(self, what: str | int, key: str, batch: list[dict[str, Any]]) -> None:
        ids = {message["messageId"] for message in batch}
        with self.server.lock:
            self.server.requests.append((key, batch))
            if what == "ok" and ids & self.server.refused_ids:
                what = 400
            if what in ("ok", "lost"):
                self.server.taken += batch
        if what == "lost":
            self._hang_up()
        elif what == "ok":
            rejected = [{"messageId": each, "code": "schema_violation"} for each in ids & self.server.rejected_ids]
            self._reply(200, {"success": True} | ({"rejected": rejected} if rejected else {}))
        else:
            self._reply(int(what), {"code": "refused", "message": "as the script says"})

    def _reply(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status in (429, 503) and self.server.retry_after is not None:
            self.send_header("Retry-After", str(self.server.retry_after))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Tests read what was recorded."""


@contextmanager
def recording_server() -> Iterator[RecordingServer]:
    """A running server on a free port."""
    server = RecordingServer()
    with in_a_thread(server):
        yield server
