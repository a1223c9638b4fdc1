"""HTTP around the collector: Segment's paths in both families, the webhook, health, metrics, and a true OpenAPI.

Handlers take the raw body: what a client sends is cut and judged message by message, never as a whole. Answers are as
Segment's clients need them (docs/architecture.md): 200 with exactly `{"success":true}`, whole-number `Retry-After`,
`code` and `message` with every error, and no redirect, since some clients take that for success.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from itertools import count
from time import perf_counter
from typing import Any, NamedTuple

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from analytics_platform.intake.collector import api_docs
from analytics_platform.intake.collector.limits import ClientGoneError
from analytics_platform.intake.collector.logs import log_info
from analytics_platform.intake.collector.reception import Arrival, Collector, Taken
from analytics_platform.intake.collector.refusals import Code, RequestRefusedError
from analytics_platform.intake.collector.requests import BATCH_PATHS, CALL_PATHS
from analytics_platform.intake.collector.webhook import SIGNATURE

_log = structlog.get_logger("collector")

_JSON = "application/json"
_SUCCESS = b'{"success":true}'
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PROCESS = uuid.uuid4().hex[:16]
_NUMBERS = count(1)
"""Ids of requests: asking the system for random bytes each time would cost more than judging an event."""

_EXPOSED = ("Retry-After", "X-Request-Id")
_PREFLIGHT_SECONDS = 24 * 60 * 60
_GONE = 499
"""The client went away before its request ended; nobody reads this answer, the logs do."""

_Take = Callable[[Request, Arrival], Awaitable[Taken]]
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _RawRoute(APIRoute):
    """A route whose handler takes the request and gives the response, with nothing read or validated in between."""

    def get_route_handler(self) -> _Handler:
        """The handler itself."""
        handler: _Handler = self.endpoint
        return handler


class _Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: int | None = None


def create_app(collector: Collector) -> FastAPI:
    """The ASGI application of a collector."""
    app = FastAPI(
        title="Analytics collector",
        summary="Segment's HTTP tracking API with durable acknowledgement",
        version="1",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # /metrics and the logs tell
    )
    app.router.route_class = _RawRoute
    tracking = _tracking(collector)
    for path, (endpoint, docs) in tracking.items():
        app.post(path, name=path, **docs)(endpoint.handle)
        app.post(f"{path}/", include_in_schema=False)(endpoint.handle)
    _add_operations(app, collector)
    _add_errors(app, collector)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["POST"],
        allow_headers=["*"],
        allow_credentials=True,  # sendBeacon always asks for it; no cookie means anything here
        expose_headers=_EXPOSED,
        max_age=_PREFLIGHT_SECONDS,
    )
    handlers = {path: endpoint.handle for path, (endpoint, _) in tracking.items()}
    app.add_middleware(_ShortWay, handlers=handlers)
    return app


class _ShortWay:
    """Hands a tracking request to its handler at once.

    Going through all routes and middlewares takes longer than judging an event; everything else still does.
    """

    def __init__(self, app: ASGIApp, handlers: Mapping[str, _Handler]) -> None:
        self._app, self._handlers = app, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)


def _tracking(collector: Collector) -> dict[str, tuple[_Endpoint, dict[str, Any]]]:
    """The tracking paths: what takes a request, and what the OpenAPI says of it."""

    async def batch(_: Request, arrival: Arrival) -> Taken:
        return await collector.take_batch(arrival)

    async def webhook(request: Request, arrival: Arrival) -> Taken:
        return await collector.take_webhook(arrival, request.headers.get(SIGNATURE))

    found: dict[str, tuple[_Take, dict[str, Any]]] = {f"/v1/{name}": (batch, api_docs.BATCH) for name in BATCH_PATHS}
    for name, call_type in CALL_PATHS.items():
        found[f"/v1/{name}"] = (_call_taker(collector, call_type), api_docs.call(call_type))
    found["/v1/webhook"] = (webhook, api_docs.WEBHOOK)
    return {path: (_Endpoint(collector, path, take), docs) for path, (take, docs) in found.items()}


def _call_taker(collector: Collector, call_type: str) -> _Take:
    return lambda _, arrival: collector.take_call(arrival, call_type)


class _Endpoint:
    """What all tracking paths do around their own way of taking a request in."""

    def __init__(self, collector: Collector, route: str, take: _Take) -> None:
        self._collector, self._route, self._take = collector, route, take
        self._counters: dict[int, Counter] = {}

    async def handle(self, request: Request) -> Response:
        """Read the body within bounds, take it in, answer, count and log."""
        collector, body = self._collector, self._collector.new_body()
        received_at, started = collector.clock(), perf_counter()
        taken: Taken | None = None
        refusal: RequestRefusedError | None = None
        headers = dict(request.scope["headers"])
        try:
            data = await body.read(request.receive, _text(headers.get(b"content-encoding")))
            taken = await self._take(request, Arrival(data, received_at, _text(headers.get(b"authorization"))))
            answer = _answer_to(taken)
        except RequestRefusedError as error:
            refusal, answer = error, _refusal_of(error)
        except ClientGoneError:
            answer = _Answer(_GONE, b"")
        finally:
            body.release()
        seconds = perf_counter() - started
        self._count(answer, refusal, seconds)
        request_id = _request_id(_text(headers.get(b"x-request-id")))
        self._write_log(request_id, answer, taken, refusal, seconds)
        return _response(answer, request_id, _text(headers.get(b"origin")))

    def _count(self, answer: _Answer, refusal: RequestRefusedError | None, seconds: float) -> None:
        metrics = self._collector.metrics
        counter = self._counters.get(answer.status)
        if counter is None:
            counter = self._counters[answer.status] = metrics.requests.labels(self._route, str(answer.status))
        counter.inc()
        metrics.request_seconds.observe(seconds)
        if refusal is not None:
            metrics.refused.labels(refusal.code.value).inc()

    def _write_log(
        self,
        request_id: str,
        answer: _Answer,
        taken: Taken | None,
        refusal: RequestRefusedError | None,
        seconds: float,
    ) -> None:
        said: dict[str, Any] = {"request_id": request_id, "route": self._route, "status": answer.status}
        if taken is not None:
            said |= {"tenant": taken.key.tenant, "key": taken.key.source, "events": taken.events}
            said["dead_letters"] = len(taken.refused)
        if refusal is not None:
            said["code"] = refusal.code.value
        said["ms"] = round(seconds * 1000, 3)
        log_info("request", said)


def _add_operations(app: FastAPI, collector: Collector) -> None:
    async def healthz(_: Request) -> Response:
        return _json(200, b'{"status":"ok"}')

    async def readyz(_: Request) -> Response:
        problem = collector.problem()
        if problem is None:
            return _json(200, b'{"status":"ready"}')
        return _json(503, orjson.dumps({"code": Code.UNAVAILABLE, "message": problem}))

    async def metrics(_: Request) -> Response:
        return Response(collector.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.get("/healthz", **api_docs.HEALTH)(healthz)
    app.get("/readyz", **api_docs.READINESS)(readyz)
    app.get("/metrics", **api_docs.METRICS)(metrics)


def _add_errors(app: FastAPI, collector: Collector) -> None:
    async def wrong_route(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = Code.METHOD_NOT_ALLOWED if error.status_code == 405 else Code.NOT_FOUND
        collector.metrics.refused.labels(code.value).inc()
        text = "this path is known with another method" if code is Code.METHOD_NOT_ALLOWED else "no such path"
        return _json(error.status_code, _problem(code, text), dict(error.headers or {}))

    async def failed(_: Request, error: Exception) -> Response:
        collector.metrics.refused.labels(Code.INTERNAL_ERROR.value).inc()
        _log.error("request failed", error=type(error).__name__)
        return _json(500, _problem(Code.INTERNAL_ERROR, "the collector failed; nothing was taken in, send again"))

    app.add_exception_handler(HTTPException, wrong_route)
    app.add_exception_handler(Exception, failed)


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _answer_to(taken: Taken) -> _Answer:
    if not taken.refused:
        return _Answer(200, _SUCCESS)
    refused = [{"messageId": each.message_id, "code": each.code} for each in taken.refused]
    return _Answer(200, orjson.dumps({"success": True, "rejected": refused}))


def _refusal_of(error: RequestRefusedError) -> _Answer:
    return _Answer(error.status, _problem(error.code, str(error)), error.retry_after_seconds)


def _problem(code: Code, text: str) -> bytes:
    return orjson.dumps({"success": False, "code": code, "message": text})


def _request_id(given: str | None) -> str:
    """The id that a proxy in front gave the request, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else f"{_PROCESS}-{next(_NUMBERS):x}"


def _response(answer: _Answer, request_id: str, origin: str | None) -> Response:
    headers = {"x-request-id": request_id}
    if origin is not None:  # as the CORS middleware does for all other paths
        headers["access-control-allow-origin"] = origin
        headers["access-control-allow-credentials"] = "true"
        headers["access-control-expose-headers"] = ", ".join(_EXPOSED)
        headers["vary"] = "Origin"
    if answer.retry_after is not None:
        headers["retry-after"] = str(answer.retry_after)
    return _json(answer.status, answer.body, headers)


def _json(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status_code=status, headers=headers, media_type=_JSON)
