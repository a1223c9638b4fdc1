"""The envelope of a Segment message: its bytes, bounds, ids and times, whatever the plan says of its properties."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from analytics_platform.intake.outcomes import Reason

CALL_TYPES = frozenset({"track", "page", "screen", "identify", "group", "alias"})

MAX_EVENT_BYTES = 32 * 1024
# Beyond this a line is not even parsed; up to it, an oversized message is, so that its owner can be told.
MAX_PARSED_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_PROPERTIES = 1_000
MAX_ID_CHARACTERS = 256

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""None of them is printable, which Python tells faster than a pattern does."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_KEYS_REMEMBERED = 2_000

_MOMENTS = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
# What is stamped on a message on its way, or is read from it alone: neither a part of it nor of `extra`.
_STAMPED = ("type", "event", "messageId", "writeKey", *_MOMENTS)
# What a batch may say for all its messages and each message for itself.
_MERGED = frozenset({"context", "integrations"})
# The browser's client counts its retries here.
_RESTAMPED = "_metadata"


class Refusal(Exception):  # noqa: N818 - an outcome, not a fault; it never leaves the gate
    """A message cannot be admitted."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class Times:
    """The four times of a message, in UTC: when it happened (corrected), as the producer said, sent, received."""

    event_at: datetime
    original: datetime | None
    sent_at: datetime | None
    received_at: datetime


@dataclass(slots=True)
class Parts:
    """What of a message may hold identifiers, as the landing names it; `extra` is all that has no column of its own."""

    message_id: str
    user_id: str | None
    anonymous_id: str | None
    properties: dict[str, Any] | None
    context: dict[str, Any] | None
    traits: dict[str, Any] | None
    extra: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Shared:
    """What a request says once for all its messages, weighed once for all of them.

    It counts with each message as if that had said it. What is more than a message may have is not put into any: it
    would be repeated in each, and each is refused for it.

    Attributes:
        kept: what messages and their dead letters get of it: all, or beyond the bounds the short texts alone.
        size: bytes that it adds to each message; short texts (sentAt, type) are stamps and add none.
        depth: levels of a message that says this alone.
        properties: of such a message.
        is_whole: whether `kept` is all of it.
    """

    kept: Mapping[str, Any]
    size: int = 0
    depth: int = 1
    properties: int = 0
    is_whole: bool = True

    @property
    def kept_bytes(self) -> int:
        """What it adds to each dead letter."""
        return self.size if self.is_whole else 0


def weighed(said: Mapping[str, Any] | Shared | None) -> Shared:
    """What a request says for all its messages with its weight; what has been weighed stays as it is."""
    if isinstance(said, Shared):
        return said
    said = said or {}
    short = {name: value for name, value in said.items() if isinstance(value, str) and len(value) <= MAX_ID_CHARACTERS}
    if len(short) == len(said):
        return Shared(short)
    heavy = {name: value for name, value in said.items() if name not in short}
    depth, properties = measured(heavy)
    # What nests deeper cannot always be written; each level has its two brackets at least.
    size = len(orjson.dumps(heavy)) if depth <= MAX_DEPTH else 2 * depth
    is_whole = size <= MAX_EVENT_BYTES and depth <= MAX_DEPTH and properties <= MAX_PROPERTIES
    return Shared(said if is_whole else short, size, depth, properties, is_whole)


NOTHING_SHARED = weighed(None)


def parsed(raw: bytes) -> dict[str, Any]:
    """The message as an object; refuses what is no JSON, no UTF-8, or no object."""
    if len(raw) > MAX_PARSED_BYTES:
        raise Refusal(Reason.TOO_LARGE, _too_large(len(raw)))
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _unreadable(raw, error) from error
    if not isinstance(message, dict):
        raise Refusal(Reason.INVALID_ENVELOPE, "a message is a JSON object; write one object per line")
    return message


def complete(message: dict[str, Any], shared: Mapping[str, Any]) -> None:
    """Put into a message what its request said once for all of them.

    `type` and `sentAt` are the request's to tell; of `context` and `integrations` each message's own entries count
    before the request's.
    """
    for name, value in shared.items():
        own = message.get(name) if name in _MERGED else None
        if own is None:
            message[name] = value
        elif isinstance(own, dict) and isinstance(value, dict):
            message[name] = value | own


def bounded(raw: bytes, message: dict[str, Any], shared: Shared) -> None:
    """Refuse what nests too deep or has too many properties; only suspects are walked.

    Args:
        raw: the message's own bytes.
        message: the same with what its request said for all.
        shared: that.
    """
    own_properties = MAX_PROPERTIES - shared.properties
    is_small = len(raw) <= own_properties or raw.count(b":") <= own_properties
    lists = raw.count(b"[") if b"[" in raw else 0  # most have none, and to look is ten times faster than to count
    if is_small and raw.count(b"{") + lists <= MAX_DEPTH and shared.is_whole:
        return
    depth, properties = measured(message)
    depth, properties = max(depth, shared.depth), max(properties, shared.properties)
    if depth > MAX_DEPTH:
        raise Refusal(Reason.TOO_COMPLEX, f"the message nests {depth} levels deep; {MAX_DEPTH} are allowed, flatten it")
    if properties > MAX_PROPERTIES:
        detail = f"the message has {properties} properties; {MAX_PROPERTIES} are allowed, send what is measured only"
        raise Refusal(Reason.TOO_COMPLEX, detail)


def sized(raw: bytes, shared: Shared) -> None:
    """Refuse a message that is beyond the bound of one event with what its request said for all."""
    if len(raw) + shared.size > MAX_EVENT_BYTES:
        raise Refusal(Reason.TOO_LARGE, _too_large(len(raw), shared.size))


def call_type(message: dict[str, Any]) -> str:
    """The kind of call."""
    kind = message.get("type")
    if isinstance(kind, str) and kind in CALL_TYPES:
        return kind
    if kind is None and isinstance(message.get("batch"), list):
        detail = "batch: this is a request with many messages; write each message on a line of its own"
        raise Refusal(Reason.INVALID_ENVELOPE, detail)
    raise Refusal(Reason.INVALID_ENVELOPE, f"type: write one of {', '.join(sorted(CALL_TYPES))}")


def message_id(message: dict[str, Any]) -> str:
    """The id that de-duplication goes by."""
    found = _identifier(message.get("messageId"), "messageId")
    if not found:
        raise Refusal(Reason.INVALID_ENVELOPE, "messageId: missing; send an id that stays the same when retried")
    return found


def person(found: object, name: str) -> str | None:
    """A user's or device's id that stands under a name; null and absent are the same, a number is its digits."""
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return _identifier(found, name)


def nested(found: object, name: str) -> dict[str, Any] | None:
    """The object that stands under a name; null and absent are the same."""
    if found is None or isinstance(found, dict):
        return found
    raise Refusal(Reason.INVALID_ENVELOPE, f"{name}: must be a JSON object")


def moment(message: dict[str, Any], name: str) -> datetime | None:
    """A time in UTC; null and absent are the same."""
    text = message.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is UTC else _in_utc(found)
    except (TypeError, ValueError, OverflowError):
        detail = f"{name}: write an RFC 3339 time with offset, as 2026-01-31T09:30:00Z"
        raise Refusal(Reason.INVALID_ENVELOPE, detail) from None


def times(message: dict[str, Any], taken_in_at: datetime, *, is_import: bool, corrects: bool) -> Times:
    """The four times of a message.

    Over HTTP `taken_in_at` is the time of receipt; an import keeps the one that the message carries (else when it was
    sent, else when it happened), so that a file gives the same bytes whenever it is imported. `corrects` asks for the
    skew of a clock that is not ours to be taken out, `receivedAt - (sentAt - timestamp)`; a message with an
    `originalTimestamp` has that behind it.
    """
    stated, original = moment(message, "timestamp"), moment(message, "originalTimestamp")
    sent_at, carried = moment(message, "sentAt"), moment(message, "receivedAt")
    happened = stated or original or (sent_at or carried if is_import else taken_in_at)
    if happened is None:
        raise Refusal(Reason.INVALID_ENVELOPE, "timestamp: missing; send when it happened, in RFC 3339 with offset")
    received_at = (carried or sent_at or happened) if is_import else taken_in_at
    event_at = happened
    if corrects and original is None and stated is not None and sent_at is not None:
        event_at = _corrected(stated, sent_at, received_at)
    return Times(event_at, original or stated, sent_at, received_at)


def _corrected(stated: datetime, sent_at: datetime, received_at: datetime) -> datetime:
    try:
        return received_at - (sent_at - stated)
    except OverflowError as error:
        raise Refusal(Reason.TIME_SUSPECT, "sentAt: lies ages from timestamp; set the sender's clock") from error


def utc(text: str) -> datetime:
    """An RFC 3339 time in UTC; raises ValueError (also for one without offset) or OverflowError."""
    return _in_utc(datetime.fromisoformat(text))


def _in_utc(found: datetime) -> datetime:
    if found.tzinfo is UTC:
        return found
    if found.tzinfo is None:
        raise ValueError("no offset from UTC")
    return found.astimezone(UTC)


def taken_apart(message: dict[str, Any], message_id: str) -> Parts:
    """The parts of a message; they are taken out of it, and what is left of it is the last of them."""
    take = message.pop
    if (user_id := take("userId", None)) is not None:
        user_id = person(user_id, "userId")
    if (anonymous_id := take("anonymousId", None)) is not None:
        anonymous_id = person(anonymous_id, "anonymousId")
    properties = nested(take("properties", None), "properties")
    context = nested(take("context", None), "context")
    traits = nested(take("traits", None), "traits")
    for name in _STAMPED:
        take(name, None)
    return Parts(message_id, user_id, anonymous_id, properties, context, traits, message or None)


def payload_hash(said: tuple[Any, ...], key: bytes) -> str:
    """Sixteen hexadecimal digits for what the producer said: the same for a retry, another for another payload.

    It is of the message as it was sent, with everything personal in it, so it is keyed: without the key nobody can try
    out values. What delivery stamps anew (sentAt, receivedAt, the correction of the timestamp, retry counts) has no
    part in it.

    Args:
        said: type, event, userId, anonymousId, when it happened, as its producer said, properties, context, traits
            and the rest; parts as they are or `in_order`.
        key: the tenant's.
    """
    hashed = _hash_of(key).copy()
    hashed.update(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))
    return hashed.hexdigest()


def in_order(part: dict[str, Any]) -> orjson.Fragment:
    """A part of a message as its payload's hash reads it: its keys in order."""
    return orjson.Fragment(trimmed(orjson.dumps(part, option=orjson.OPT_SORT_KEYS)))


def rest_in_order(rest: dict[str, Any]) -> orjson.Fragment:
    """`in_order` for the rest of a message: without what delivery stamps anew."""
    kept = {key: value for key, value in rest.items() if key != _RESTAMPED}
    return orjson.Fragment(trimmed(orjson.dumps(kept or None, option=orjson.OPT_SORT_KEYS)))


def trimmed(data: bytes) -> bytes:
    """The same in as much memory as it needs, to be kept: orjson's answer keeps two kilobytes however short it is."""
    return bytes(memoryview(data))


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _hash_of(key: bytes) -> hashlib.blake2b:
    """A hash that has taken its key in, which costs as much as the hash of a short message."""
    return hashlib.blake2b(digest_size=8, key=key, person=b"payload")


def _identifier(found: object, name: str) -> str | None:
    if found is None:
        return None
    if not isinstance(found, str):
        raise Refusal(Reason.INVALID_ENVELOPE, f"{name}: must be text")
    if len(found) > MAX_ID_CHARACTERS or (not found.isprintable() and _CONTROL.search(found)):
        detail = f"{name}: must be at most {MAX_ID_CHARACTERS} characters, without control characters"
        raise Refusal(Reason.INVALID_ENVELOPE, detail)
    return found


def _unreadable(raw: bytes, error: orjson.JSONDecodeError) -> Refusal:
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return Refusal(Reason.INVALID_ENCODING, f"byte {broken.start + 1} is no UTF-8; write the file as UTF-8")
    if _SURROGATE.search(raw) and "surrogate" in error.msg:
        detail = "a \\ud800 to \\udfff escape stands alone; escape characters beyond U+FFFF as pairs"
        return Refusal(Reason.INVALID_ENCODING, detail)
    if "depth limit" in error.msg:
        return Refusal(Reason.TOO_COMPLEX, f"the message nests too deep; {MAX_DEPTH} levels are allowed, flatten it")
    return Refusal(Reason.INVALID_JSON, f"no JSON at column {error.colno}: {error.msg}; write one object per line")


def measured(message: dict[str, Any] | list[Any]) -> tuple[int, int]:
    """Levels of an object or list and its number of properties, without recursion."""
    deepest = properties = 0
    waiting: list[tuple[Any, int]] = [(message, 1)]
    while waiting:
        value, depth = waiting.pop()
        deepest = max(deepest, depth)
        properties += len(value) if isinstance(value, dict) else 0
        inner = value.values() if isinstance(value, dict) else value
        waiting += [(item, depth + 1) for item in inner if isinstance(item, dict | list)]
    return deepest, properties


def _too_large(own: int, shared: int = 0) -> str:
    size = f"{own + shared:,} bytes, {shared:,} of them said for all of its batch" if shared else f"{own:,} bytes"
    return f"the message has {size}; {MAX_EVENT_BYTES:,} are allowed, send what is measured only"
