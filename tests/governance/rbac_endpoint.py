"""A local HTTP server that answers as a product's RBAC endpoint does, or as one that is out of order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from served import in_a_thread

TOKEN = "a-bearer-token"


class RbacServer(ThreadingHTTPServer):
    """Answers `body` with `status` to whoever has the token."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.body = b"{}"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/memberships"


class _Handler(BaseHTTPRequestHandler):
    server: RbacServer

    def do_GET(self) -> None:
        refused = self.headers.get("Authorization") != f"Bearer {TOKEN}"
        status = 401 if refused else self.server.status
        body = b'{"error": "who are you?"}' if refused else self.server.body
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name for it
        del format, args


@contextmanager
def rbac_server() -> Iterator[RbacServer]:
    server = RbacServer()
    with in_a_thread(server):
        yield server
