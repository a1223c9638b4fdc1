"""The part of Google Cloud Storage's JSON API that the store asks for, over HTTP: objects with generations.

Not Google's own: what it proves is that requests and answers are as the API documents them
(https://cloud.google.com/storage/docs/json_api/v1), also when an answer is lost.
"""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from served import in_a_thread

PAGE = 3
"""Objects in a page of a listing: few, so that every listing has several."""


@dataclass
class Bucket:
    """Objects by name, and the faults that the next requests meet: a status, or None to apply and then hang up."""

    objects: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    faults: list[int | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    generation: int = 0


@contextmanager
def gcs_server() -> Iterator[tuple[str, Bucket]]:
    """A server on a free port, with its one bucket."""
    bucket = Bucket()
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}", bucket


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(lambda query: self._insert(query, body))

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, act: Callable[[dict[str, str]], tuple[int, bytes, str]]) -> None:
        with self.bucket.lock:
            fault = self.bucket.faults.pop(0) if self.bucket.faults else 0
            if fault:
                status, body, kind = (
                    fault,
                    b'{"error": {"code": %d, "message": "asked for"}}' % fault,
                    "application/json",
                )
            else:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                status, body, kind = act(query)
        if fault is None:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _insert(self, query: dict[str, str], body: bytes) -> tuple[int, bytes, str]:
        assert query["uploadType"] == "multipart"
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        described, content = message_from_bytes(head + body).get_payload()  # type: ignore[misc]
        told = json.loads(described.get_payload())  # type: ignore[union-attr]
        data = content.get_payload(decode=True)  # type: ignore[union-attr]
        if query.get("ifGenerationMatch") == "0" and told["name"] in self.bucket.objects:
            return 412, b'{"error": {"code": 412, "message": "conditionNotMet"}}', "application/json"
        self.bucket.generation += 1
        resource = {
            "kind": "storage#object",
            "name": told["name"],
            "bucket": "lake",
            "generation": str(self.bucket.generation),
            "metadata": told.get("metadata", {}),
            "size": str(len(data)),
            "updated": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "crc32c": base64.b64encode(struct.pack(">I", google_crc32c.value(data))).decode(),
        }
        self.bucket.objects[told["name"]] = (resource, data)
        return 200, json.dumps(resource).encode(), "application/json"

    def _read(self, query: dict[str, str]) -> tuple[int, bytes, str]:
        path = urlsplit(self.path).path
        if path.endswith("/b/lake/o"):
            return self._page(query)
        found = self.bucket.objects.get(self._name())
        if found is None:
            return 404, b'{"error": {"code": 404, "message": "Not Found"}}', "application/json"
        resource, data = found
        if query.get("alt") == "media":
            return 200, data, "application/octet-stream"
        return 200, json.dumps(resource).encode(), "application/json"

    def _page(self, query: dict[str, str]) -> tuple[int, bytes, str]:
        names = sorted(name for name in self.bucket.objects if name.startswith(query.get("prefix", "")))
        names = [name for name in names if name > query.get("pageToken", "")]
        answer: dict[str, Any] = {"kind": "storage#objects", "items": [self.bucket.objects[n][0] for n in names[:PAGE]]}
        if len(names) > PAGE:
            answer["nextPageToken"] = names[PAGE - 1]
        return 200, json.dumps(answer).encode(), "application/json"

    def _delete(self, query: dict[str, str]) -> tuple[int, bytes, str]:
        del query
        if self.bucket.objects.pop(self._name(), None) is None:
            return 404, b'{"error": {"code": 404, "message": "Not Found"}}', "application/json"
        return 204, b"", "application/json"

    def _name(self) -> str:
        return unquote(urlsplit(self.path).path.rpartition("/o/")[2])
