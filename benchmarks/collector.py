"""What an acknowledged event costs, beside a server that does nothing: `python -m benchmarks.collector`.

Four servers, with the same uvicorn settings, take the same requests from a generator in a process of its own, in turns:

- bare: an ASGI function that reads the body and answers 200. No design can be cheaper.
- idiomatic: FastAPI with typed bodies (pydantic models of Segment's batch) that answers 200. It keeps nothing.
- typed plan: the same with each event's properties typed by the plan's generated models, as the gate checks them, and
  one synced append per request, so that its 200 is worth as much.
- collector: `analytics collector` as it is deployed, with its spool and its shipping.

Events a second per core are events by CPU seconds of the server's process, all threads, user and system; so what else
the machine does shows in the latencies alone. Medians of the rounds are reported.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, cast

import orjson
import psutil
import uvicorn
import uvloop

from analytics_platform.http_service import server_config
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from benchmarks.messages import message

MIN_OF_BARE = 0.15
MIN_OF_IDIOMATIC = 2.0
MAX_P99_MS = 50.0

_TENANT = "brabant-rental"
_KEY = f"demo-{_TENANT}-server"
_CONNECTIONS = 32
_ROUNDS = 5
_SECONDS = 2.0
_WARM_UP_SECONDS = 0.5
_BODIES = 64
_END_OF_HEAD = b"\r\n\r\n"

_Serve = Callable[[Path, Connection], None]


@dataclass(frozen=True)
class Round:
    """One server under load for a while: requests answered, CPU seconds of the server, wall seconds, latencies."""

    requests: int
    cpu: float
    wall: float
    p50_ms: float
    p99_ms: float


def _serve_bare(folder: Path, ready: Connection) -> None:
    del folder

    async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        assert scope["type"] == "http"
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"16")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"success":true}'})

    _run(app, ready)


def _serve_idiomatic(folder: Path, ready: Connection) -> None:
    from benchmarks.typed_bodies import loose_app

    del folder
    _run(loose_app(), ready)


def _serve_typed_plan(folder: Path, ready: Connection) -> None:
    from benchmarks.typed_bodies import planned_app

    _run(planned_app(folder / "events.ndjson"), ready)


def _run(app: object, ready: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    ready.send(listener.getsockname()[1])
    uvicorn.Server(server_config(app)).run([listener])


def _serve_collector(folder: Path, ready: Connection) -> None:
    from analytics_platform.intake.collector.logs import configure_logs
    from analytics_platform.intake.collector.service import serve_collector

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    configure_logs()
    settings = Settings(home=folder, collector_events_per_second=10_000_000)
    store = LocalStore(settings.lake_root)
    serve_collector(settings, store, "127.0.0.1", 0, on_listening=lambda url: ready.send(int(url.rpartition(":")[2])))


SERVERS: dict[str, _Serve] = {
    "bare": _serve_bare,
    "idiomatic": _serve_idiomatic,
    "typed plan": _serve_typed_plan,
    "collector": _serve_collector,
}


@contextmanager
def _serving(serve: _Serve, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server in a process of its own; its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(folder, theirs))
    process.start()
    theirs.close()
    try:
        yield ours.recv(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.join(60)


def _bodies(events: int) -> list[bytes]:
    """Requests as the Python client sends them, each with ids of its own."""
    random, now = Random(events), datetime.now(UTC)
    return [
        orjson.dumps(
            {
                "batch": [message(random, _TENANT, now) for _ in range(events)],
                "sentAt": now.isoformat(),
                "writeKey": _KEY,
            }
        )
        for _ in range(_BODIES)
    ]


def _requests(events: int) -> list[bytes]:
    head = (
        b"POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: analytics-python/2.4.0\r\nAccept: */*\r\n"
        b"Content-Type: application/json\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n"
    )
    from base64 import b64encode

    key = b64encode(f"{_KEY}:".encode())
    return [head % (key, len(body)) + body for body in _bodies(events)]


class _Client(asyncio.Protocol):
    """One connection that sends the next request as soon as the answer to the last is there."""

    def __init__(self, requests: list[bytes], offset: int, until: float, latencies: list[float]) -> None:
        self._requests, self._next, self._until, self._latencies = requests, offset, until, latencies
        self._received = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's derives from no class of asyncio
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_END_OF_HEAD)
        if not end or len(body) < _content_length(head):
            return
        if not head.startswith(b"HTTP/1.1 200 ") or body != b'{"success":true}':
            self._fail(RuntimeError(self._received[:500].decode("latin-1")))
            return
        now = time.perf_counter()
        self._latencies.append(now - self._sent_at)
        self._received = b""
        if now < self._until:
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._next = (self._next + 1) % len(self._requests)
        self._sent_at = time.perf_counter()
        self._transport.write(self._requests[self._next])

    def _fail(self, error: Exception) -> None:
        self.done.set_exception(error)
        self._transport.close()


def _content_length(head: bytes) -> int:
    start = head.lower().index(b"content-length:") + len(b"content-length:")
    return int(head[start:].partition(b"\r\n")[0])


async def _load(port: int, requests: list[bytes], seconds: float) -> list[float]:
    """Latencies of all requests that some connections make in a while."""
    loop, latencies = asyncio.get_running_loop(), list[float]()
    until = time.perf_counter() + seconds
    made = [
        await loop.create_connection(
            lambda number=number: _Client(requests, number * 7, until, latencies), "127.0.0.1", port
        )
        for number in range(_CONNECTIONS)
    ]
    await asyncio.gather(*(client.done for _, client in made))
    return latencies


def _generate(port: int, pid: int, events: int, seconds: float, answer: Connection) -> None:
    """The generator's process: warm up, then measure."""
    requests, server = _requests(events), psutil.Process(pid)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_load(port, requests, _WARM_UP_SECONDS))
        before, started = server.cpu_times(), time.perf_counter()
        latencies = sorted(runner.run(_load(port, requests, seconds)))
        wall, after = time.perf_counter() - started, server.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    answer.send(Round(len(latencies), cpu, wall, p50 * 1000, p99 * 1000))


def _measured(serve: _Serve, folder: Path, events: int, seconds: float) -> Round:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with _serving(serve, folder) as (port, process):
        generator = context.Process(target=_generate, args=(port, process.pid, events, seconds, theirs))
        generator.start()
        theirs.close()
        try:
            found: Round = ours.recv()
        finally:
            generator.join(60)
    return found


def _median(rounds: list[Round], of: Callable[[Round], float]) -> float:
    return statistics.median(of(each) for each in rounds)


def _told(name: str, rounds: list[Round], events: int) -> None:
    per_core = _median(rounds, lambda each: each.requests * events / each.cpu)
    per_second = _median(rounds, lambda each: each.requests * events / each.wall)
    busy = _median(rounds, lambda each: each.cpu / each.wall)
    p50, p99 = _median(rounds, lambda each: each.p50_ms), _median(rounds, lambda each: each.p99_ms)
    print(
        f"  {name:<11}{per_core:>11,.0f} events/s per core  {per_second:>11,.0f} events/s  "
        f"{busy:4.2f} cores  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
    )


def run(events: int, rounds: int, seconds: float) -> bool:
    """Measure requests of so many events, print, and say whether all bars hold."""
    taken: dict[str, list[Round]] = {name: [] for name in SERVERS}
    for _ in range(rounds):
        for name, serve in SERVERS.items():
            with TemporaryDirectory(prefix="analytics-bench-") as folder:
                taken[name].append(_measured(serve, Path(folder), events, seconds))
    print(f"{events} events a request, {_CONNECTIONS} connections, medians of {rounds} rounds")
    for name, found in taken.items():
        _told(name, found, events)
    cost = {name: _median(found, lambda each: each.cpu / each.requests) for name, found in taken.items()}
    of_bare, of_idiomatic = cost["bare"] / cost["collector"], cost["idiomatic"] / cost["collector"]
    of_planned, p99 = cost["typed plan"] / cost["collector"], _median(taken["collector"], lambda each: each.p99_ms)
    held = of_bare >= MIN_OF_BARE and of_idiomatic >= MIN_OF_IDIOMATIC and p99 <= MAX_P99_MS
    print(
        f"  collector: {of_bare:.1%} of bare (at least {MIN_OF_BARE:.0%}), {of_idiomatic:.2f} x idiomatic "
        f"(at least {MIN_OF_IDIOMATIC:g}), {of_planned:.2f} x typed plan, p99 {p99:.1f} ms (at most {MAX_P99_MS:g})"
    )
    return held


def main() -> int:
    """Command line: exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    arguments = parser.parse_args()
    held = [run(events, arguments.rounds, arguments.seconds) for events in arguments.events]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
