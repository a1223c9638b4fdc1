"""Recorded HTTP requests of real clients (`tests/fixtures/captures`), taken apart as a collector would."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

CAPTURES = Path(__file__).parents[1] / "fixtures" / "captures"


class CapturedMessage(NamedTuple):
    """A message as it left the client, with the write key of its request and the request's `sentAt` put into it."""

    capture: str
    write_key: str
    message: dict[str, Any]


def captured_messages(folder: Path = CAPTURES) -> Iterator[CapturedMessage]:
    """Every message of every request, retries included."""
    for path in sorted(folder.glob("*.json")):
        for request in json.loads(path.read_text())["requests"]:
            yield from _messages(path.stem, request)


def _messages(capture: str, request: dict[str, Any]) -> Iterator[CapturedMessage]:
    body = request["body"]
    key = body.get("writeKey") or _basic_user(request["headers"])
    shared = {"sentAt": body["sentAt"]} if "sentAt" in body else {}
    for message in body.get("batch", [body]):
        yield CapturedMessage(capture, key, message | shared)


def _basic_user(headers: dict[str, str]) -> str:
    """The user of HTTP Basic authentication; clients send the write key there, with and without a colon."""
    scheme, _, encoded = headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(encoded).decode().partition(":")[0]
