"""What the OpenAPI says of the collector's paths. Bodies are read raw, so nothing here validates anything."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from analytics_platform.intake.collector.refusals import STATUS, Code
from analytics_platform.intake.outcomes import Reason


class RefusedMessage(BaseModel):
    """A message that was kept as a dead letter."""

    messageId: str | None  # noqa: N815 - Segment's name
    code: Reason


class Success(BaseModel):
    """All messages are durable; those that are listed as dead letters."""

    success: Literal[True]
    rejected: list[RefusedMessage] | None = Field(default=None, description="Absent when there is none.")


class Problem(BaseModel):
    """Nothing of the request was taken in."""

    success: Literal[False]
    code: Code
    message: str


class Status(BaseModel):
    """How the process is."""

    status: str


class NotReady(BaseModel):
    """Why no event can be acknowledged now."""

    code: Code
    message: str


_RETRY_AFTER = {"Retry-After": {"description": "Whole seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_SUMMARIES = {
    400: "The messages of the body cannot be told apart, or the encoding is unknown.",
    401: "The write key or signature is missing, unknown, revoked, or header and body disagree.",
    408: "The body did not end in time.",
    413: "The body is too large as sent or as inflated, or the batch has too many messages or becomes too much.",
    429: "The write key has sent too many events.",
    503: "Events cannot be made durable now.",
}

_MESSAGE: dict[str, Any] = {
    "type": "object",
    "description": "A message of Segment's specification.",
    "properties": {
        "type": {"type": "string", "enum": ["track", "identify", "page", "screen", "group", "alias"]},
        "messageId": {"type": "string", "maxLength": 256},
        "event": {"type": "string"},
        "userId": {"type": ["string", "integer", "null"]},
        "anonymousId": {"type": ["string", "null"]},
        "timestamp": {"type": "string", "format": "date-time"},
        "sentAt": {"type": "string", "format": "date-time"},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object"},
        "writeKey": {"type": "string"},
    },
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "items": _MESSAGE},
        "sentAt": {"type": "string", "format": "date-time"},
        "context": {"type": "object"},
        "integrations": {"type": "object"},
        "writeKey": {"type": "string"},
    },
}
_WEBHOOK: dict[str, Any] = {"anyOf": [_MESSAGE, {"type": "array", "items": _MESSAGE, "minItems": 1}]}


def _tracking(summary: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "response_model": Success,
        "responses": _refusals(),
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": body}, "text/plain": {"schema": {"type": "string"}}},
            },
            "parameters": [
                _header("Authorization", "Basic, with the write key as user; or `writeKey` stands in the body."),
                _header("Content-Encoding", "`gzip` or absent."),
            ],
        },
        "tags": ["tracking"],
    }


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def _refusals() -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted(set(STATUS.values()) & set(_SUMMARIES)):
        found[status] = {"model": Problem, "description": _SUMMARIES[status]}
        if status in (429, 503):
            found[status]["headers"] = _RETRY_AFTER
    return found


def call(call_type: str) -> dict[str, Any]:
    """A path that takes one message of a type."""
    return _tracking(f"One {call_type} call", _MESSAGE)


BATCH = _tracking("Messages of any type", _BATCH)
WEBHOOK = _tracking("What Segment's webhook destination sends, signed in X-Signature", _WEBHOOK)

HEALTH: dict[str, Any] = {"summary": "Is the process alive?", "response_model": Status, "tags": ["operations"]}
READINESS: dict[str, Any] = {
    "summary": "Can events be acknowledged?",
    "response_model": Status,
    "responses": {503: {"model": NotReady, "description": "They cannot; the message says why."}},
    "tags": ["operations"],
}
METRICS: dict[str, Any] = {
    "summary": "Prometheus' text format",
    "responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    "tags": ["operations"],
}
