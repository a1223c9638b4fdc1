"""A local HTTP server that speaks the calls of Segment's Public API that we make, and refuses what Segment refuses.

Shapes are those of @segment/public-api-sdk-typescript 47.0.0. `faults` says what befalls the next requests that match
`METHOD path-prefix`: a status, once each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from served import in_a_thread

TOKEN = "sgp_public-api-token"
MASK = "•"
PAGE = 7  # the server's largest page, so that a small workspace has several
WEBHOOK = "614a3c7d791c91c41bae7599"
SOURCE_TYPES = [{"id": f"type-{number}", "slug": f"other-{number}"} for number in range(9)] + [
    {"id": "IqDTy1TpoU", "slug": "javascript"},
    {"id": "type-http", "slug": "http-api"},
]

Json = dict[str, Any]


class RefusedError(Exception):
    """A refusal with its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class SegmentServer(ThreadingHTTPServer):
    """A workspace in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, Any]] = []
        self.faults: list[tuple[str, int, dict[str, str]]] = []
        self.plans: list[Json] = []
        self.rules: dict[str, list[Json]] = {}
        self.connected: dict[str, list[str]] = {}
        self.sources: list[Json] = []
        self.destinations: list[Json] = []
        self.subscriptions: list[Json] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [request for request in self.requests if request[0] != "GET"]

    def fail(self, what: str, status: int, **headers: str) -> None:
        self.faults.append((what, status, {name.replace("_", "-"): text for name, text in headers.items()}))

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Json:
        for verb, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                return handler(self, body, query, *match.groups())
        raise RefusedError(404, "Resource not found")


def found(collection: list[Json], identity: str) -> Json:
    for each in collection:
        if each["id"] == identity:
            return each
    raise RefusedError(404, "Resource not found")


def page(name: str, rows: list[Json], query: dict[str, str]) -> Json:
    if "pagination.count" not in query or not 1 <= int(query["pagination.count"]) <= 200:
        raise RefusedError(422, "pagination.count must be between 1 and 200")
    start = int(query.get("pagination.cursor", "0"))
    end = start + min(PAGE, int(query["pagination.count"]))
    later = str(end) if end < len(rows) else None
    pagination = {"current": str(start), "next": later, "totalEntries": len(rows)}
    return {name: rows[start:end], "pagination": pagination}


def create_plan(server: SegmentServer, body: Any, query: Json) -> Json:
    if set(body) - {"name", "description", "type"} or body.get("type") != "LIVE":
        raise RefusedError(422, "type must be LIVE")
    plan = {**body, "id": f"tp_{len(server.plans)}", "slug": "plan"}
    server.plans.append(plan)
    server.rules[plan["id"]], server.connected[plan["id"]] = [], []
    return {"trackingPlan": plan}


def update_plan(server: SegmentServer, body: Any, query: Json, identity: str) -> Json:
    found(server.plans, identity).update(body)
    return {"status": "SUCCESS"}


def take_rules(server: SegmentServer, body: Any, identity: str, replace: bool) -> Json:
    found(server.plans, identity)
    if len(body["rules"]) > 200:
        raise RefusedError(422, "rules must contain at most 200 elements")
    for rule in body["rules"]:
        if rule["type"] != "TRACK" or not rule["key"] or "draft-07" not in rule["jsonSchema"]["$schema"]:
            raise RefusedError(422, "rules.jsonSchema is not valid")
    kept = {} if replace else {(rule["type"], rule["key"], rule["version"]): rule for rule in server.rules[identity]}
    stamped = {"createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z"}
    kept |= {(rule["type"], rule["key"], rule["version"]): {**rule, **stamped} for rule in body["rules"]}
    server.rules[identity] = list(kept.values())
    return {"status": "SUCCESS"}


def connect(server: SegmentServer, body: Any, query: Json, identity: str) -> Json:
    found(server.sources, body["sourceId"])
    if body["sourceId"] not in server.connected[identity]:
        server.connected[identity].append(body["sourceId"])
    return {"status": "SUCCESS"}


def create_source(server: SegmentServer, body: Any, query: Json) -> Json:
    if any(source["slug"] == body["slug"] for source in server.sources):
        raise RefusedError(422, "slug is taken")
    if body["metadataId"] not in {each["id"] for each in SOURCE_TYPES} or set(body) != {
        "slug",
        "enabled",
        "metadataId",
    }:
        raise RefusedError(422, "metadataId is unknown")
    source = {"id": f"src_{len(server.sources)}", "writeKeys": ["k"], **body}
    server.sources.append(source)
    return {"source": source}


def create_destination(server: SegmentServer, body: Any, query: Json) -> Json:
    found(server.sources, body["sourceId"])
    if body["metadataId"] != WEBHOOK:
        raise RefusedError(422, "metadataId is unknown")
    destination = {"id": f"dest_{len(server.destinations)}", **body}
    server.destinations.append(destination)
    return {"destination": shown(destination)}


def shown(destination: Json) -> Json:
    secret = destination["settings"]["sharedSecret"]
    return {**destination, "settings": {"sharedSecret": MASK * 10 + secret[-4:]}}


def connected_destinations(server: SegmentServer, body: Any, query: Json, identity: str) -> Json:
    rows = [shown(each) for each in server.destinations if each["sourceId"] == identity]
    return page("destinations", rows, query)


def update(name: str, collection: Callable[[SegmentServer], list[Json]]) -> Callable[..., Json]:
    def handler(server: SegmentServer, body: Any, query: Json, identity: str) -> Json:
        each = found(collection(server), identity)
        each.update(body)
        return {name: each}

    return handler


def create_subscription(server: SegmentServer, body: Any, query: Json, destination: str) -> Json:
    found(server.destinations, destination)
    if set(body) != {"name", "actionId", "trigger", "enabled", "settings"} or body["actionId"] != "action-send":
        raise RefusedError(422, "actionId is unknown")
    subscription = {"id": f"sub_{len(server.subscriptions)}", "destinationId": destination, **body}
    server.subscriptions.append(subscription)
    return {"destinationSubscription": subscription}


def update_subscription(server: SegmentServer, body: Any, query: Json, destination: str, identity: str) -> Json:
    subscription = found(server.subscriptions, identity)
    subscription.update(body["input"])
    return {"subscription": subscription}


def subscriptions(server: SegmentServer, body: Any, query: Json, destination: str) -> Json:
    return page("subscriptions", [each for each in server.subscriptions if each["destinationId"] == destination], query)


def connected_sources(server: SegmentServer, body: Any, query: Json, plan: str) -> Json:
    return page("sources", [found(server.sources, identity) for identity in server.connected[plan]], query)


def webhook_type(server: SegmentServer, body: Any, query: Json) -> Json:
    return {"destinationMetadata": {"id": WEBHOOK, "actions": [{"id": "action-send", "slug": "send"}]}}


ROUTES: list[tuple[str, str, Callable[..., Json]]] = [
    ("GET", "/tracking-plans", lambda server, body, query: page("trackingPlans", server.plans, query)),
    ("POST", "/tracking-plans", create_plan),
    ("PATCH", "/tracking-plans/([^/]+)", update_plan),
    ("GET", "/tracking-plans/([^/]+)/rules", lambda s, body, query, plan: page("rules", s.rules[plan], query)),
    ("PUT", "/tracking-plans/([^/]+)/rules", lambda s, body, query, plan: take_rules(s, body, plan, replace=True)),
    ("PATCH", "/tracking-plans/([^/]+)/rules", lambda s, body, query, plan: take_rules(s, body, plan, replace=False)),
    ("GET", "/tracking-plans/([^/]+)/sources", connected_sources),
    ("POST", "/tracking-plans/([^/]+)/sources", connect),
    ("GET", "/sources", lambda server, body, query: page("sources", server.sources, query)),
    ("POST", "/sources", create_source),
    ("PATCH", "/sources/([^/]+)", update("source", lambda server: server.sources)),
    ("GET", "/sources/([^/]+)/connected-destinations", connected_destinations),
    ("POST", "/destinations", create_destination),
    ("PATCH", "/destinations/([^/]+)", update("destination", lambda server: server.destinations)),
    ("GET", "/destinations/([^/]+)/subscriptions", subscriptions),
    ("POST", "/destinations/([^/]+)/subscriptions", create_subscription),
    ("PATCH", "/destinations/([^/]+)/subscriptions/([^/]+)", update_subscription),
    ("GET", "/catalog/sources", lambda server, body, query: page("sourcesCatalog", SOURCE_TYPES, query)),
    ("GET", f"/catalog/destinations/{WEBHOOK}", webhook_type),
]


class _Handler(BaseHTTPRequestHandler):
    server: SegmentServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: two would wait for each other
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        self.server.requests.append((self.command, url.path, body))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            self._befall(url.path)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise RefusedError(401, "Unauthorized")
            if ("/subscriptions" in url.path) != ("v1alpha" in self.headers["Accept"]):
                raise RefusedError(404, "no such version of this endpoint")
            self._reply(200, {"data": self.server.answer(self.command, url.path, query, body)})
        except RefusedError as refused:
            self._reply(refused.status, {"errors": [{"type": "RequestError", "message": refused.message}]})

    do_GET = do_POST = do_PUT = do_PATCH = _handle  # noqa: N815

    def _befall(self, path: str) -> None:
        for fault in self.server.faults:
            what, status, headers = fault
            if f"{self.command} {path}".startswith(what):
                self.server.faults.remove(fault)
                self._headers = headers
                raise RefusedError(status, "as it was told")

    _headers: Mapping[str, str] = MappingProxyType({})

    def _reply(self, status: int, answer: Json) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in self._headers.items():
            self.send_header(name, value)
        self._headers = MappingProxyType({})
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Requests are recorded, not printed."""


def reset_in(seconds: int) -> str:
    """The header X-RateLimit-Reset as Segment writes it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@contextmanager
def segment_server() -> Iterator[SegmentServer]:
    server = SegmentServer()
    with in_a_thread(server):
        yield server
