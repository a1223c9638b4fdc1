"""`http.request` for each request that an ASGI application answers (FastAPI, Starlette).

Pure ASGI: the request is neither read nor changed, and what it costs the request is two clock readings and a place in a
queue; a thread makes the events and gives them to the tracker. When the queue is full the event is dropped and counted.
The route is always the template that matched, never the URL, which may carry personal data.
"""

import logging
import queue
import random
import re
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from analytics_platform.errors import AnalyticsError
from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.complaints import Complaints
from analytics_platform.tracking.models import HttpRequest
from analytics_platform.tracking.plan import ID_PATTERN

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

UNMATCHED = "(unmatched)"
"""The route of a request that no route of the application matches."""

_LOG = logging.getLogger(__name__)
_ID = re.compile(ID_PATTERN)
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_SERVER_ERROR = 500
_CLIENT_CLOSED = 499


class Caller(NamedTuple):
    """Whose request it is, as the application knows; ``caller_ref`` is the pseudonym of a user or service."""

    tenant: str
    project: str | None = None
    caller_ref: str | None = None


@dataclass
class RequestCounters:
    """What became of the requests; ``wrong`` ones made no event, such as for a caller_ref that is no pseudonym."""

    noted: int = 0
    dropped: int = 0
    without_tenant: int = 0
    excluded: int = 0
    sampled_out: int = 0
    wrong: int = 0


class AnalyticsMiddleware:
    """Notes each request of the application that it wraps.

    Args:
        app: the application.
        tracker: sends the events.
        identify: says whose request it is, given the ASGI scope once the answer is out (what a handler put into
            `request.state` is in ``scope["state"]``); None where that is nobody's, and nothing is sent. Called on the
            event loop, so it must not block.
        exclude: templates of routes that are not noted, such as ``/healthz``.
        sample_rate: share of requests that are noted, 0 to 1.
        max_waiting: requests that wait for the thread; what comes beyond is dropped and counted.
        counters: where to count, for an application that wants to look.
    """

    def __init__(
        self,
        app: Application,
        *,
        tracker: Tracker,
        identify: Callable[[Scope], Caller | None],
        exclude: Collection[str] = (),
        sample_rate: float = 1.0,
        max_waiting: int = 10_000,
        counters: RequestCounters | None = None,
    ) -> None:
        self.app = app
        self.counters = counters or RequestCounters()
        self._identify = identify
        self._exclude = frozenset(exclude)
        self._sample_rate = sample_rate
        self._complaints = Complaints(_LOG)
        self._sender = _Sender(tracker, self.counters, self._complaints, max_waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; note what is HTTP."""
        if scope["type"] == "lifespan":
            await self.app(scope, self._drained_before_shutdown(receive), send)
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self._sample_rate < 1.0 and random.random() >= self._sample_rate:  # noqa: S311 - no secret
            self.counters.sampled_out += 1
            await self.app(scope, receive, send)
        else:
            await self._observed(scope, receive, send)

    async def _observed(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange()

        async def observed_send(message: Message) -> None:
            exchange.sees(message)
            await send(message)
            # An error may still be raised behind a 500, and has the class that is wanted.
            if exchange.ends_with(message) and exchange.status < _SERVER_ERROR:
                self._note(scope, exchange)

        try:
            await self.app(scope, receive, observed_send)
        except BaseException as error:
            exchange.fails_with(error)
            raise
        finally:
            self._note(scope, exchange)

    def _note(self, scope: Scope, exchange: "_Exchange") -> None:
        """Put the exchange into the queue, once, whatever happens."""
        if exchange.noted:
            return
        exchange.noted = True
        try:
            route = route_template(scope)
            if route in self._exclude:
                self.counters.excluded += 1
                return
            caller = self._identify(scope)
        except Exception:  # noqa: BLE001 - whatever the application's callable does, the request goes on
            self.counters.wrong += 1
            self._complaints.tell("a request was not noted", with_traceback=True)
            return
        if caller is None:
            self.counters.without_tenant += 1
            return
        self._sender.put(_Noted(scope["method"], scope["headers"], route, caller, exchange))

    def _drained_before_shutdown(self, receive: Receive) -> Receive:
        async def drained() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                # The application may close the tracker while it shuts down.
                self._sender.drain()
            return message

        return drained


class _Exchange:
    """One request's answer, as it passes."""

    __slots__ = ("at", "ended", "error_class", "noted", "started", "status")

    def __init__(self) -> None:
        self.at = datetime.now(UTC)
        self.started = time.perf_counter()
        self.ended: float | None = None
        self.status = 0
        self.error_class: str | None = None
        self.noted = False

    def sees(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]

    def ends_with(self, message: Message) -> bool:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last or message["type"] == "http.response.pathsend":
            self.ended = time.perf_counter()
        return self.ended is not None

    def fails_with(self, error: BaseException) -> None:
        self.error_class = type(error).__name__
        if not self.status:
            self.status = _SERVER_ERROR if isinstance(error, Exception) else _CLIENT_CLOSED


class _Noted(NamedTuple):
    """What the thread makes an event of."""

    method: str
    headers: Iterable[tuple[bytes, bytes]]
    route: str
    caller: Caller
    exchange: _Exchange


class _Sender:
    """The queue and its thread, which starts with the first request of a process."""

    def __init__(self, tracker: Tracker, counters: RequestCounters, complaints: Complaints, max_waiting: int) -> None:
        self._tracker = tracker
        self._complaints = complaints
        self._counters = counters
        self._queue: queue.Queue[_Noted] = queue.Queue(max_waiting)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, noted: _Noted) -> None:
        if noted.exchange.ended is None:
            _end_early(noted.exchange)
        try:
            self._queue.put_nowait(noted)
        except queue.Full:
            self._counters.dropped += 1
            return
        self._counters.noted += 1
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def drain(self, timeout: float = 5.0) -> None:
        """Wait until the tracker has all that waits here."""
        deadline = time.monotonic() + timeout
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks and (left := deadline - time.monotonic()) > 0:
                self._queue.all_tasks_done.wait(left)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="analytics-requests", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            noted = self._queue.get()
            try:
                self._emit(noted)
            except AnalyticsError as error:
                self._counters.wrong += 1
                self._complaints.tell(f"a request was not noted: {error}")
            except Exception:  # noqa: BLE001 - the thread must live for the requests to come
                self._counters.wrong += 1
                self._complaints.tell("a request was not noted", with_traceback=True)
            finally:
                self._queue.task_done()

    def _emit(self, noted: _Noted) -> None:
        exchange, caller = noted.exchange, noted.caller
        headers = dict(noted.headers)
        trace = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
        event = HttpRequest(
            tenant_id=caller.tenant,
            project_id=caller.project,
            request_id=_request_id(headers),
            method=noted.method if noted.method in _METHODS else "OTHER",
            route=noted.route,
            status=exchange.status,
            duration_ms=round(((exchange.ended or exchange.started) - exchange.started) * 1000, 3),
            trace_id=trace[1].decode() if trace else None,
            caller_ref=caller.caller_ref,
            error_class=exchange.error_class,
        )
        self._tracker.emit(event, user_id=caller.caller_ref, at=exchange.at)


def _end_early(exchange: _Exchange) -> None:
    """An answer that was cut off: by an error, by the client, or by an application that never answered."""
    exchange.ended = time.perf_counter()
    if exchange.error_class is None:
        exchange.error_class = "ClientDisconnected" if exchange.status else "NoResponse"
    exchange.status = exchange.status or _SERVER_ERROR


def _request_id(headers: MutableMapping[bytes, bytes]) -> str:
    """The id that a proxy gave the request, where it is one; else a new one."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _ID.fullmatch(given) else uuid4().hex


def route_template(scope: Scope) -> str:
    """The template of the route that took a request, mounts included; `UNMATCHED` where none did."""
    mounted = _mount_template(scope)
    if mounted is None:
        return UNMATCHED
    path = _own_template(scope)
    if path is None:
        return f"{mounted}/{{path}}" if mounted else UNMATCHED
    return mounted + path or "/"


def _own_template(scope: Scope) -> str | None:
    """The template within the innermost router; None where that is a mount, or nothing."""
    # FastAPI keeps the prefixes of included routers beside the route.
    included = scope.get("fastapi", {}).get("effective_route_context")
    route = included or scope.get("route") or _route_of_endpoint(scope)
    found = getattr(route, "path_format", None)
    return None if found is None or _is_mount(route) else str(found)


def _route_of_endpoint(scope: Scope) -> object | None:
    """The plain route that FastAPI took without naming it (such as that of its own documentation)."""
    endpoint = scope.get("endpoint")
    routes = getattr(scope.get("app"), "routes", ())
    return next((each for each in routes if endpoint and getattr(each, "endpoint", None) is endpoint), None)


def _mount_template(scope: Scope) -> str | None:
    """The templates of the mounts on the way; "" where there are none, None where they cannot be told.

    A mount leaves its raw path in `root_path`, with whatever stood for its parameters.
    """
    raw = scope["root_path"][len(scope["app_root_path"]) :] if "app_root_path" in scope else ""
    routes, template = getattr(scope.get("router"), "routes", ()), ""
    while raw:
        found = ((each, each.path_regex.match(f"{raw}/")) for each in routes if _is_mount(each))
        mount, match = next(((mount, match) for mount, match in found if match), (None, None))
        if mount is None or match is None:
            return None
        rest = match["path"]
        raw = f"/{rest}".rstrip("/")
        template += mount.path_format.removesuffix("/{path}")
        routes = mount.routes
    return template


def _is_mount(route: object) -> bool:
    return hasattr(route, "path_regex") and not hasattr(route, "endpoint")
