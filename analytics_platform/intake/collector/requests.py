"""What a request says: who sends it, its messages as bytes, and what holds for all of them.

Nothing is judged here; a message is whatever stands between two commas. The same for all paths of Segment's API: a
batch, or one call whose path names its type.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson

from analytics_platform.intake.collector.refusals import Code, RequestRefusedError
from analytics_platform.intake.collector.splitting import (
    EnvelopeError,
    TooManyMessagesError,
    cut,
    cut_array,
    cut_object,
    cut_quickly,
    text_member,
)
from analytics_platform.intake.envelope import Shared, weighed

BATCH_PATHS = ("batch", "b", "import")
"""The last part of a batch's path: the servers' clients', the browser's, and that of Segment's older clients."""

CALL_PATHS = {
    "track": "track",
    "t": "track",
    "identify": "identify",
    "i": "identify",
    "page": "page",
    "p": "page",
    "screen": "screen",
    "s": "screen",
    "group": "group",
    "g": "group",
    "alias": "alias",
    "a": "alias",
}
"""Type of call by the last part of its path."""

_HEADERS_REMEMBERED = 10_000
"""A client sends the same one with each request."""

_SHARED = ("sentAt", "context", "integrations")


@dataclass(frozen=True, slots=True)
class Said:
    """A request taken apart.

    Attributes:
        messages: the bytes of each.
        shared: what the request says for all of them (`envelope.complete`).
        write_key: as the body says it, if it does.
        is_guess: where one message begins and the next ends was guessed; it is right if all of them are JSON.
    """

    messages: list[bytes]
    shared: Shared
    write_key: str | None
    is_guess: bool = False


@lru_cache(maxsize=_HEADERS_REMEMBERED)
def basic_user(authorization: str | None) -> str | None:
    """The write key of an `Authorization: Basic` header, with or without its colon; None for none.

    Raises:
        RequestRefusedError: it is Basic, but not in base64.
    """
    scheme, _, encoded = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        text = "Authorization: is no Basic authentication; send the write key as user, in base64"
        raise RequestRefusedError(Code.UNAUTHORIZED, text) from None


def agreed_key(header: str | None, body: str | None) -> str:
    """The one write key of a request.

    Raises:
        RequestRefusedError: there is none, or header and body name different ones.
    """
    if header and body and header != body:
        text = "writeKey: the body names another write key than the Authorization header"
        raise RequestRefusedError(Code.UNAUTHORIZED, text)
    found = header or body
    if not found:
        text = "no write key: send it as user of Basic authentication, or as writeKey in the body"
        raise RequestRefusedError(Code.UNAUTHORIZED, text)
    return found


def read_batch(body: bytes, max_messages: int, *, quickly: bool = True) -> Said:
    """A batch taken apart.

    Args:
        body: as it came, inflated.
        max_messages: that it may have.
        quickly: whether a guess is good enough; when a message then turns out to be no JSON, ask again without.

    Raises:
        RequestRefusedError: its messages cannot be told apart, or are too many.
    """
    guess = cut_quickly(body) if quickly else None
    if guess is not None and len(guess.messages) > max_messages:
        guess = None
    try:
        envelope, messages = guess or cut(body, max_messages)
    except EnvelopeError as error:
        raise RequestRefusedError(Code.INVALID_BODY, str(error)) from error
    except TooManyMessagesError as error:
        raise RequestRefusedError(Code.TOO_MANY_MESSAGES, str(error)) from error
    stated = envelope.get("writeKey")
    write_key = stated if isinstance(stated, str) else None
    shared = {name: envelope[name] for name in _SHARED if envelope.get(name) is not None}
    return Said(messages, weighed(shared), write_key, is_guess=guess is not None)


def read_call(body: bytes, call_type: str, *, quickly: bool = True) -> Said:
    """One message, whose path says its type.

    Args:
        body: as it came, inflated.
        call_type: by the path.
        quickly: as for `read_batch`.

    Raises:
        RequestRefusedError: it is no whole object.
    """
    message = body.strip()
    is_guess = quickly and message.startswith(b"{")
    if not is_guess:
        try:
            message = cut_object(body)
        except EnvelopeError as error:
            raise RequestRefusedError(Code.INVALID_BODY, str(error)) from error
    return Said([message], weighed({"type": call_type}), write_key_of(message), is_guess=is_guess)


def read_webhook(body: bytes, max_messages: int) -> list[bytes]:
    """The messages of Segment's webhook destination: one object, or an array of them in the order that was sent.

    Raises:
        RequestRefusedError: there is none, they cannot be told apart, or they are too many.
    """
    try:
        messages = cut_array(body, max_messages)
    except EnvelopeError as error:
        raise RequestRefusedError(Code.INVALID_BODY, str(error)) from error
    except TooManyMessagesError as error:
        raise RequestRefusedError(Code.TOO_MANY_MESSAGES, str(error)) from error
    if not messages:
        raise RequestRefusedError(Code.INVALID_BODY, "the body is an empty list; send at least one message")
    return messages


def write_key_of(message: bytes) -> str | None:
    """The write key that a message carries itself, if it does."""
    return _text_of(message, "writeKey") if b'"writeKey"' in message else None


def message_id_of(message: bytes) -> str | None:
    """The id of a message, also of one that is no JSON beyond its brackets and strings."""
    return _text_of(message, "messageId") if b'"messageId"' in message else None


def first_key(messages: Sequence[bytes]) -> str | None:
    """The browser's batching names the key in each message; of a batch without a key of its own the first counts."""
    return next((key for message in messages if (key := write_key_of(message))), None)


def _text_of(message: bytes, name: str) -> str | None:
    try:
        found = orjson.loads(message)
    except orjson.JSONDecodeError:
        return text_member(message, name)
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else None
