"""What the FastAPI middleware costs a request: the same application without it, in the same run.

Run: `python -m benchmarks.middleware [requests]`. Prints microseconds per request, with and without; the events go to a
sink in a process of its own. Three measures: over HTTP on one connection that waits for each answer (what a caller sees
when the service is idle enough); the event loop when it only calls an empty route, without HTTP (the harshest that
there is, since the thread that makes the events competes for the interpreter); and the CPU of the whole process, with
that thread and Segment's client. Rounds alternate, and the median is shown.
"""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import socket
import statistics
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn
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


def watch(app: FastAPI, tracker: Tracker, requests: int) -> FastAPI:
    """The application with the middleware."""
    app.add_middleware(
        AnalyticsMiddleware,
        tracker=tracker,
        identify=lambda _: Caller("t1", "show-1", "caller-1"),
        max_waiting=10 * requests,
    )
    return app


def serve_application(ports: multiprocessing.Queue[int], sink: int | None) -> None:
    """Serve the application over HTTP, with the middleware where there is a sink."""
    app = application()
    if sink is not None:
        watch(app, Tracker(f"http://127.0.0.1:{sink}", {"t1": "key"}), 1000)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    ports.put(listening.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run([listening])


def over_http(sink: int, requests: int) -> tuple[float, float]:
    """Median microseconds of a request without and with the middleware, taken in turns."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    connections, processes = [], []
    for where in (None, sink):
        processes.append(multiprocessing.Process(target=serve_application, args=(ports, where), daemon=True))
        processes[-1].start()
        connections.append(http.client.HTTPConnection("127.0.0.1", ports.get()))
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(requests):
        for connection, times in zip(connections, taken, strict=True):
            started = time.perf_counter()
            connection.request("GET", f"/bookings/{number}")
            connection.getresponse().read()
            times.append((time.perf_counter() - started) * 1e6)
    for process in processes:
        process.terminate()
    return statistics.median(taken[0]), statistics.median(taken[1])


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


def tell(measure: str, without: float, with_it: float) -> None:
    """Print one measure."""
    print(f"{measure:18} {without:7.1f} us without, {with_it:7.1f} us with, {with_it / without:.2f} times")


def main(requests: int) -> None:
    """Print one line per measure."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    sink = multiprocessing.Process(target=serve, args=(ports,), daemon=True)
    sink.start()
    port = ports.get()
    tell("over HTTP", *over_http(port, requests))
    tracker = Tracker(f"http://127.0.0.1:{port}", {"t1": "key"}, max_waiting=10 * requests)
    bare, watched = application(), watch(application(), tracker, requests)
    rounds = [(measured(bare, requests, None), measured(watched, requests, tracker)) for _ in range(ROUNDS)]
    for index, name in enumerate(("on the event loop", "CPU of the process")):
        tell(name, *(statistics.median(pair[which][index] for pair in rounds) for which in (0, 1)))
    tracker.close()
    print(f"events: {tracker.counters.emitted} emitted, {tracker.counters.dropped} dropped")
    sink.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
