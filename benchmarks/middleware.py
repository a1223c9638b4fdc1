"""What the FastAPI middleware costs a request: the same application without it, in the same run.

Run: `python -m benchmarks.middleware [requests]`. The application is called as a server would call it, without HTTP, so
that the ratio is the harshest there is; the events go to a sink in a process of its own. Prints microseconds per
request: on the event loop (what a caller waits), and CPU of the whole process (with the thread that makes the events
and Segment's client). Rounds alternate, and the median is shown.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fastapi import FastAPI

from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.middleware import AnalyticsMiddleware, Caller

ROUNDS = 7
ANSWER = b'{"success":true}'


class Sink(BaseHTTPRequestHandler):
    """Takes every batch."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read and acknowledge."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def serve(ports: multiprocessing.Queue[int]) -> None:
    """Run the sink and tell its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    ports.put(server.server_address[1])
    server.serve_forever()


def application() -> FastAPI:
    """One route, as small as routes get."""
    app = FastAPI()

    @app.get("/bookings/{booking_id}")
    async def booking(booking_id: str) -> dict[str, str]:
        return {"booking_id": booking_id}

    return app


async def call(app: Any, requests: int) -> None:
    """Call the application so many times, one after the other."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        return None

    for number in range(requests):
        path = f"/bookings/{number}"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"x-request-id", b"req-1")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await app(scope, receive, send)


def measured(app: Any, requests: int, tracker: Tracker | None) -> tuple[float, float]:
    """Microseconds per request: on the loop, and CPU of the process until all events are sent."""
    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(call(app, requests))
    on_loop = time.perf_counter() - wall
    if tracker is not None:
        time.sleep(0.05)
        tracker.flush(60)
    return on_loop / requests * 1e6, (time.process_time() - cpu) / requests * 1e6


def main(requests: int) -> None:
    """Print one line per measure."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    sink = multiprocessing.Process(target=serve, args=(ports,), daemon=True)
    sink.start()
    tracker = Tracker(f"http://127.0.0.1:{ports.get()}", {"t1": "key"}, max_waiting=10 * requests)
    bare, watched = application(), application()
    watched.add_middleware(
        AnalyticsMiddleware,
        tracker=tracker,
        identify=lambda _: Caller("t1", "show-1", "caller-1"),
        max_waiting=10 * requests,
    )
    rounds = [(measured(bare, requests, None), measured(watched, requests, tracker)) for _ in range(ROUNDS)]
    for index, name in enumerate(("on the event loop", "CPU of the process")):
        without = statistics.median(pair[0][index] for pair in rounds)
        with_it = statistics.median(pair[1][index] for pair in rounds)
        print(f"{name:19} {without:7.1f} us without, {with_it:7.1f} us with, {with_it / without:.2f} times")
    tracker.close()
    print(f"events: {tracker.counters.emitted} emitted, {tracker.counters.dropped} dropped")
    sink.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
