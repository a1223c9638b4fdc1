"""Cutting a request's body into messages, as bytes, so that one bad message never costs the others.

A body that any JSON parser takes would be easy; but one lone surrogate, a NaN or a thousand brackets make a parser
refuse all of it. So the body is cut by its brackets and strings alone, and each message is judged for itself. Only what
leaves open where a message begins or ends is refused as a whole.

Most bodies are cut by a guess that is cheap (`cut_quickly`): a message ends where `}, {` stands. A wrong guess shows,
since JSON has one meaning: when every slice and the rest are JSON, the guess was right. `cut` needs no guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from analytics_platform.errors import AnalyticsError

BATCH = "batch"

_BOM = b"\xef\xbb\xbf"
_QUOTE = ord('"')
_OPEN = {ord("{"): ord("}"), ord("["): ord("]")}

_BLANKS = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb'[^\s"{}\[\],:]++')
# Everything up to the next bracket that is in no string; or a quote that opens a string without an end.
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]"])', re.DOTALL)

# What stands before and after the messages in the batches of all known clients: flat members with plain strings.
_FLAT = rb'"[^"\\]*+"\s*+:\s*+(?:"[^"\\]*+"|null|true|false|[-+.0-9eE]++)\s*+'
_HEAD = re.compile(rb"\s*+\{\s*+(?:" + _FLAT + rb',\s*+)*+"batch"\s*+:\s*+\[\s*+')
_TAIL = re.compile(rb"\]\s*+(?:,\s*+" + _FLAT + rb")*+\}\s*+\Z")
_BETWEEN = re.compile(rb"\}\s*+,\s*+\{")


class EnvelopeError(AnalyticsError):
    """It cannot be told where the messages of a body begin and end, or what the request says of them."""


class TooManyMessagesError(AnalyticsError):
    """A batch has more messages than a request may bring."""


class Cut(NamedTuple):
    """A body taken apart: what it says besides its messages, and the bytes of each message."""

    envelope: dict[str, Any]
    messages: list[bytes]


class _Member(NamedTuple):
    key: str
    start: int
    end: int


def cut_quickly(body: bytes) -> Cut | None:
    """A batch cut by a guess; None when there is none. It is right if every message is JSON."""
    head = _HEAD.match(body)
    close = body.rfind(b"]")
    if head is None or close < head.end() or _TAIL.match(body, close) is None:
        return None
    rest = body[: head.end()] + body[close:]
    if rest.count(b'"batch"') != 1:
        return None
    try:
        envelope = orjson.loads(rest)
    except orjson.JSONDecodeError:
        return None
    return Cut(envelope, _guessed(body, head.end(), close))


def cut(body: bytes, max_messages: int) -> Cut:
    """A batch cut by its brackets and strings; a message may be anything between two commas.

    Raises:
        EnvelopeError: the body is no object with one list `batch`, or does not end.
        TooManyMessagesError: `batch` has more than `max_messages`.
    """
    body = body.removeprefix(_BOM)
    found = [member for member in _members(body) if member.key == BATCH]
    if len(found) != 1:
        detail = "is missing" if not found else "stands there more than once"
        raise EnvelopeError(f"batch: {detail}; send one list of messages under this name")
    _, start, end = found[0]
    if body[start : start + 1] != b"[":
        raise EnvelopeError("batch: is no list; send a list of messages, also for one")
    messages = cut_list(body, start, max_messages)
    return Cut(_parsed(body[: start + 1] + body[end - 1 :]), messages)


def cut_list(body: bytes, start: int, max_messages: int) -> list[bytes]:
    """The bytes of each element of the list that opens at `start`; for exceptions see `cut`."""
    messages: list[bytes] = []
    position = _blank(body, start + 1)
    while body[position : position + 1] != b"]":
        end = _end_of_value(body, position)
        if len(messages) >= max_messages:
            raise TooManyMessagesError(f"batch: has more than {max_messages:,} messages; send smaller batches")
        messages.append(body[position:end])
        position = _after_comma(body, end, b"]")
    return messages


def cut_array(body: bytes, max_messages: int) -> list[bytes]:
    """A body that is a list of messages, or one message alone; for exceptions see `cut`."""
    body = body.removeprefix(_BOM)
    start = _blank(body, 0)
    end = _end_of_value(body, start)
    if _blank(body, end) != len(body):
        raise EnvelopeError("the body goes on after its end; send one JSON value")
    if body[start : start + 1] == b"[":
        return cut_list(body, start, max_messages)
    return [body[start:end]]


def cut_object(body: bytes) -> bytes:
    """A body that is one message, without the blanks around it; raises `EnvelopeError` when it is no whole object."""
    body = body.removeprefix(_BOM)
    for _ in _members(body):
        pass
    return body.strip()


def text_member(message: bytes, name: str) -> str | None:
    """A member of an object that is text, also where the object is no JSON beyond its brackets and strings."""
    try:
        found = [member for member in _members(message) if member.key == name]
    except EnvelopeError:
        return None
    if not found:
        return None
    try:
        value = orjson.loads(message[found[-1].start : found[-1].end])
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, str) else None


def _guessed(body: bytes, start: int, end: int) -> list[bytes]:
    messages: list[bytes] = []
    for between in _BETWEEN.finditer(body, start, end):
        messages.append(body[start : between.start() + 1])
        start = between.end() - 1
    last = body[start:end].rstrip()
    return [*messages, last] if last else messages


def _members(body: bytes) -> Iterator[_Member]:
    """The members of the object that is all of the body, with the span of each value."""
    position = _blank(body, 0)
    if body[position : position + 1] != b"{":
        raise EnvelopeError("the body is no JSON object")
    position = _blank(body, position + 1)
    while body[position : position + 1] != b"}":
        key = _STRING.match(body, position)
        if key is None:
            raise EnvelopeError(f"byte {position + 1}: a name in quotes is missing")
        position = _blank(body, key.end())
        if body[position : position + 1] != b":":
            raise EnvelopeError(f"byte {position + 1}: a colon is missing")
        start = _blank(body, position + 1)
        end = _end_of_value(body, start)
        yield _Member(_name(key.group()), start, end)
        position = _after_comma(body, end, b"}")
    if _blank(body, position + 1) != len(body):
        raise EnvelopeError("the body goes on after its end; send one JSON value")


def _after_comma(body: bytes, position: int, close: bytes) -> int:
    """Where the next member or element begins, or where the closing bracket stands."""
    position = _blank(body, position)
    sign = body[position : position + 1]
    if sign == b",":
        return _blank(body, position + 1)
    if sign == close:
        return position
    raise EnvelopeError(f"byte {position + 1}: a comma or a closing bracket is missing")


def _end_of_value(body: bytes, start: int) -> int:
    sign = body[start : start + 1]
    if sign in (b"{", b"["):
        return _end_of_nested(body, start)
    found = (_STRING if sign == b'"' else _SCALAR).match(body, start)
    if found is None:
        raise EnvelopeError(f"byte {start + 1}: a value is missing or has no end")
    return found.end()


def _end_of_nested(body: bytes, start: int) -> int:
    """Behind the bracket that closes the one at `start`, however deep it is in between."""
    expected = bytearray()
    for token in _BRACKET.finditer(body, start):
        sign = body[token.end() - 1]
        closing = _OPEN.get(sign)
        if closing is not None:
            expected.append(closing)
        elif sign == _QUOTE:
            raise EnvelopeError(f"byte {token.end()}: a text has no end")
        elif expected.pop() != sign:
            raise EnvelopeError(f"byte {token.end()}: this bracket closes none that is open")
        if not expected:
            return token.end()
    raise EnvelopeError("the body ends within a message; send all of it")


def _blank(body: bytes, position: int) -> int:
    found = _BLANKS.match(body, position)
    return found.end() if found else position


def _name(quoted: bytes) -> str:
    """A member's name; one that is no text is nobody's."""
    try:
        return str(orjson.loads(quoted))
    except orjson.JSONDecodeError:
        return ""


def _parsed(rest: bytes) -> dict[str, Any]:
    try:
        envelope: dict[str, Any] = orjson.loads(rest)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError(f"what stands beside the batch is no JSON ({error.msg}); send JSON in UTF-8") from error
    return envelope
