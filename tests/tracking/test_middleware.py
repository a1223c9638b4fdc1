"""The middleware on a real FastAPI application and server: each request once, as template, and never in its way."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from recording_server import RecordingServer
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.middleware import UNMATCHED, AnalyticsMiddleware, Caller, RequestCounters, Scope

TENANT = Caller("t1", "show-1", "caller-1")


class OddError(Exception):
    """What a handler raises."""


def echo(name: str) -> str:
    return name


def fails(name: str) -> None:
    raise OddError(name)


def refuses() -> None:
    raise HTTPException(409)


async def streams() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"part"
            await asyncio.sleep(0.02)

    return StreamingResponse(parts())


async def endless() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"part" * 1000
            await asyncio.sleep(0.005)

    return StreamingResponse(parts())


async def breaks() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"part"
        raise OddError

    return StreamingResponse(parts())


def later(background: BackgroundTasks) -> str:
    background.add_task(time.sleep, 0.3)
    return "now"


def later_fails(background: BackgroundTasks) -> str:
    background.add_task(fails, "later")
    return "now"


async def hello_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def product_app() -> FastAPI:
    app, bookings, warehouse = FastAPI(), APIRouter(prefix="/bookings"), FastAPI()
    for handler in (refuses, streams, endless, breaks, later, later_fails):
        app.add_api_route(f"/{handler.__name__}", handler)
    app.add_api_route("/fails/{name}", fails)
    app.add_api_websocket_route("/socket", hello_socket)
    bookings.add_api_route("/{name}", echo)
    app.include_router(bookings, prefix="/v1")
    warehouse.add_api_route("/items/{name}", echo)
    app.mount("/warehouses/{warehouse}", warehouse)
    return app


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application on a real server."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Watched:
    """A served application with what its middleware sent."""

    def __init__(self, server: RecordingServer, tracker: Tracker, address: str, counters: RequestCounters) -> None:
        self.server, self.tracker, self.address, self.counters = server, tracker, address, counters
        self.client = httpx.Client(base_url=address, timeout=5)

    def events(self, expected: int = 1) -> list[dict[str, Any]]:
        """The properties of the events that arrived, once so many have."""
        deadline = time.monotonic() + 5
        while len(self.server.taken) < expected and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.server.taken) == expected
        return [message["properties"] for message in self.server.taken]


@contextmanager
def watched(server: RecordingServer, app: Any = None, **options: Any) -> Iterator[Watched]:
    counters = RequestCounters()
    identify: Callable[[Scope], Caller | None] = options.pop("identify", lambda _: TENANT)
    app = app or product_app()
    with Tracker(server.address, {"t1": "key-1"}, upload_interval=0.02) as tracker:
        app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=identify, counters=counters, **options)
        with served(app) as address:
            seen = Watched(server, tracker, address, counters)
            with seen.client:
                yield seen


def test_a_request_is_one_event_with_the_template_of_its_route(server: RecordingServer) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"X-Request-ID": "req-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    with watched(server) as app:
        answer = app.client.get("/v1/bookings/jan@example.org?mail=jan@example.org", headers=headers)
        (event,) = app.events()

    assert answer.json() == "jan@example.org"
    assert event.pop("duration_ms") > 0
    assert event == {
        "schema_version": 1,
        "tenant_id": "t1",
        "project_id": "show-1",
        "request_id": "req-1",
        "method": "GET",
        "route": "/v1/bookings/{name}",
        "status": 200,
        "trace_id": trace,
        "caller_ref": "caller-1",
    }
    assert "example.org" not in str(server.taken)


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/nobody/knows/jan@example.org", UNMATCHED, 404),
        ("/warehouses/jan@example.org/items/7", "/warehouses/{warehouse}/items/{name}", 200),
        ("/warehouses/w1/nothing", "/warehouses/{warehouse}/{path}", 404),
        ("/openapi.json", "/openapi.json", 200),
        ("/refuses", "/refuses", 409),
        ("/refuses/", UNMATCHED, 307),
        ("/streams", "/streams", 200),
    ],
)
def test_no_raw_path_is_ever_sent(server: RecordingServer, path: str, route: str, status: int) -> None:
    with watched(server) as app:
        assert app.client.get(path).status_code == status
        (event,) = app.events()

    assert (event["route"], event["status"]) == (route, status)
    assert "error_class" not in event
    assert "example.org" not in str(server.taken)


def test_starlettes_own_routes_and_mounts_are_told_alike(server: RecordingServer) -> None:
    def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    inner = [Route("/deep/{name}", hello)]
    app = Starlette(routes=[Route("/plain/{name}", hello), Mount("/a", routes=[Mount("/{b}", routes=inner)])])
    with watched(server, app) as seen:
        seen.client.get("/plain/x")
        seen.client.get("/a/secret/deep/x")
        events = seen.events(2)

    assert [event["route"] for event in events] == ["/plain/{name}", "/a/{b}/deep/{name}"]


def test_a_wrong_method_is_told_with_its_route_and_an_invented_one_is_no_text_of_the_callers(
    server: RecordingServer,
) -> None:
    with watched(server) as app:
        app.client.request("DELETE", "/refuses")
        app.client.request("PROPFIND", "/refuses")
        events = app.events(2)

    assert [(event["method"], event["route"], event["status"]) for event in events] == [
        ("DELETE", "/refuses", 405),
        ("OTHER", "/refuses", 405),
    ]


def test_an_exception_is_raised_on_and_its_class_is_told() -> None:
    server_error = pytest.raises(OddError, match="why")
    tracker = Tracker("http://127.0.0.1:9", {"t1": "k"})
    counters = RequestCounters()
    app = product_app()
    app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=lambda _: TENANT, counters=counters)
    with TestClient(app) as client, server_error:
        client.get("/fails/why")
    tracker.close(0.1)

    assert counters.noted == 1


@pytest.mark.parametrize(("path", "status", "error"), [("/fails/x", 500, "OddError"), ("/breaks", 200, "OddError")])
def test_the_class_of_an_error_is_told_and_never_its_text(
    server: RecordingServer, path: str, status: int, error: str
) -> None:
    with watched(server) as app:
        try:
            assert app.client.get(path).status_code == status
        except httpx.RemoteProtocolError:
            assert path == "/breaks"
        (event,) = app.events()

    assert (event["status"], event["error_class"]) == (status, error)


def test_outside_of_all_the_class_of_an_error_behind_a_500_is_still_told(server: RecordingServer) -> None:
    with Tracker(server.address, {"t1": "k"}, upload_interval=0.02) as tracker:
        app = AnalyticsMiddleware(product_app(), tracker=tracker, identify=lambda _: TENANT)
        with served(app) as address:
            assert httpx.get(f"{address}/fails/x").status_code == 500
    (message,) = server.taken

    assert (message["properties"]["route"], message["properties"]["error_class"]) == ("/fails/{name}", "OddError")


def test_a_stream_lasts_to_its_end_and_a_background_task_does_not_count(server: RecordingServer) -> None:
    with watched(server) as app:
        app.client.get("/streams")
        app.client.get("/later")
        streamed, later = app.events(2)

    assert streamed["duration_ms"] >= 40
    assert later["duration_ms"] < 300


def test_a_background_task_that_fails_is_not_a_second_event(server: RecordingServer) -> None:
    with watched(server) as app:
        assert httpx.get(f"{app.address}/later_fails").status_code == 200
        app.client.get("/refuses")
        events = app.events(2)

    assert [(event["route"], event["status"]) for event in events] == [("/later_fails", 200), ("/refuses", 409)]


def test_a_client_that_hangs_up_is_told_once(server: RecordingServer) -> None:
    with watched(server) as app:
        with app.client.stream("GET", "/endless") as answer:
            next(answer.iter_bytes())
        (event,) = app.events()

    assert (event["route"], event["status"]) == ("/endless", 200)
    assert event["error_class"] in {"ClientDisconnected", "ClientDisconnect", "CancelledError"}


def test_websockets_and_lifespan_pass_untouched(server: RecordingServer) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        seen.append("up")
        yield
        seen.append("down")

    app = product_app()
    app.router.lifespan_context = lifespan
    counters = RequestCounters()
    with Tracker(server.address, {"t1": "k"}, upload_interval=0.02) as tracker:
        app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=lambda _: TENANT, counters=counters)
        with TestClient(app) as client, client.websocket_connect("/socket") as websocket:
            assert websocket.receive_text() == "hello"

    assert seen == ["up", "down"]
    assert (counters, server.taken) == (RequestCounters(), [])


def test_a_tracker_that_the_application_closes_at_shutdown_has_every_event(server: RecordingServer) -> None:
    tracker = Tracker(server.address, {"t1": "k"}, upload_interval=0.02)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        tracker.close()

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/x", lambda: "x")
    app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=lambda _: TENANT)
    with TestClient(app) as client:
        for _ in range(200):
            client.get("/x")

    assert len(server.taken) == 200


def test_what_a_handler_says_of_the_caller_is_known_afterwards(server: RecordingServer) -> None:
    app = FastAPI()

    @app.get("/who/{name}")
    def who(request: Request, name: str) -> None:
        request.state.caller = Caller("t1", None, name)

    with watched(server, app, identify=lambda scope: scope["state"].get("caller")) as seen:
        seen.client.get("/who/caller-7")
        seen.client.get("/nowhere")
        (event,) = seen.events()

    assert event["caller_ref"] == "caller-7"
    assert seen.counters.without_tenant == 1


def test_a_callable_that_fails_or_names_no_pseudonym_breaks_no_request(
    server: RecordingServer, caplog: pytest.LogCaptureFixture
) -> None:
    def identify(scope: Scope) -> Caller:
        if scope["path"] == "/streams":
            raise OddError
        return Caller("t1", None, "jan@example.org")

    caplog.set_level(logging.ERROR)
    with watched(server, identify=identify) as app:
        assert app.client.get("/streams").status_code == 200
        assert app.client.get("/refuses").status_code == 409

    assert app.counters.wrong == 2
    assert server.taken == []
    assert "caller_ref" in caplog.text
    assert "jan@example.org" not in caplog.text


def test_excluded_routes_and_the_rest_of_a_sample_are_counted_and_not_sent(server: RecordingServer) -> None:
    with watched(server, exclude={"/refuses"}) as app:
        app.client.get("/refuses")
        app.client.get("/v1/bookings/1")
        assert [event["route"] for event in app.events()] == ["/v1/bookings/{name}"]
    assert app.counters.excluded == 1

    with watched(server, sample_rate=0.0) as app:
        app.client.get("/refuses")
    assert app.counters.sampled_out == 1


def test_with_the_collector_away_and_the_queue_full_requests_go_on_and_what_is_dropped_is_counted() -> None:
    with socket.socket() as silent:  # connections are taken by the kernel and never answered
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        tracker = Tracker(f"http://127.0.0.1:{silent.getsockname()[1]}", {"t1": "k"}, max_waiting=5)
        counters = RequestCounters()
        app = product_app()
        app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=lambda _: TENANT, counters=counters)
        with TestClient(app) as client:
            client.get("/refuses")
            time.sleep(0.7)  # until the first request is on its way, and waits for its answer
            assert {client.get("/refuses").status_code for _ in range(50)} == {409}
        tracker.close(timeout=0.1)

    assert counters.noted == 51
    assert tracker.counters.dropped > 0
