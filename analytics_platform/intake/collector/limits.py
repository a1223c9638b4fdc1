"""What a request may cost: its body as sent and inflated, what all requests hold together, and a key's events a second.

Every bound is kept while bytes come in, never after, so that memory is bounded whatever is sent.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Self

from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.collector.refusals import Code, RequestRefusedError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""How ASGI hands a request's body over."""

_GZIP_WINDOW = 31
_PIECE = 64 * 1024


class ClientGoneError(AnalyticsError):
    """A client went away before the end of its request."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Bounds of requests.

    Attributes:
        body_bytes: of a body, as sent and as inflated.
        buffered_bytes: of all requests that are being read or judged: their bodies, and what becomes of them.
        outcome_bytes: of what the messages of one request become; a batch may say much for all of them at once, and
            what is split off a message stands beside its references.
        messages: of one batch.
        body_seconds: from the first byte of a body to its last.
        events_per_second: of a write key that has no limit of its own.
        burst_seconds: how long a key may have been silent for and then send all at once.
    """

    body_bytes: int = 4 * 1024 * 1024
    buffered_bytes: int = 128 * 1024 * 1024
    outcome_bytes: int = 64 * 1024 * 1024
    messages: int = 10_000
    body_seconds: float = 30.0
    events_per_second: int = 2_000
    burst_seconds: float = 10.0


class Buffers:
    """What all requests hold in memory."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    @property
    def held(self) -> int:
        """Bytes."""
        return self._held

    def take(self, size: int) -> None:
        """Hold `size` bytes more.

        Raises:
            RequestRefusedError: together they are too many; the sender should come again.
        """
        if self._held + size > self._limit:
            text = "too many large requests at once; send again in a moment"
            raise RequestRefusedError(Code.UNAVAILABLE, text, retry_after_seconds=1)
        self._held += size

    def give_back(self, size: int) -> None:
        """Let go of `size` bytes."""
        self._held -= size


class _Share:
    """What one request holds of the memory of all; `release` must follow."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._taken = 0

    def release(self) -> None:
        """Let go of what was held."""
        self._buffers.give_back(self._taken)
        self._taken = 0

    def _hold(self, size: int) -> None:
        self._buffers.take(size)
        self._taken += size


class Room(_Share):
    """Memory for what the messages of one request become, while they are judged and written; given back at its end."""

    def __init__(self, limits: RequestLimits, buffers: Buffers) -> None:
        super().__init__(buffers)
        self._limit = limits.outcome_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def take(self, size: int) -> None:
        """Hold `size` bytes more.

        Raises:
            RequestRefusedError: they are too many for one request, or for all together.
        """
        if self._taken + size > self._limit:
            text = f"the messages of the batch become more than {self._limit:,} bytes together; send smaller batches"
            raise RequestRefusedError(Code.TOO_LARGE, text)
        self._hold(size)


class Body(_Share):
    """The body of one request while it is read, inflated and judged."""

    def __init__(self, limits: RequestLimits, buffers: Buffers) -> None:
        super().__init__(buffers)
        self._limits = limits

    async def read(self, receive: Receive, encoding: str | None) -> bytes:
        """The whole body, inflated when it is gzip.

        Raises:
            RequestRefusedError: it is too large as sent or as inflated, slow, damaged, or encoded otherwise.
            ClientGoneError: the client went away before the body's end.
        """
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                has_more = True
                while has_more:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise ClientGoneError("the client went away before the end of its body")
                    part: bytes = event.get("body", b"")
                    has_more = event.get("more_body", False)
                    self._take(len(part))
                    parts.append(part)
        except TimeoutError:
            text = f"the body did not end within {self._limits.body_seconds:g} seconds; send it again"
            raise RequestRefusedError(Code.TOO_SLOW, text) from None
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        named = (encoding or "identity").strip().lower()
        if named in ("identity", ""):
            return body
        if named not in ("gzip", "x-gzip"):
            raise RequestRefusedError(Code.UNKNOWN_ENCODING, "Content-Encoding: only gzip and identity are known")
        return self._inflated(body)

    def _take(self, size: int) -> None:
        if self._taken + size > self._limits.body_bytes:
            raise _too_large(self._limits.body_bytes)
        self._hold(size)

    def _inflated(self, body: bytes) -> bytes:
        """All gzip members of a body; the bound holds while inflating."""
        room = self._limits.body_bytes
        parts: list[bytes] = []
        while body:
            member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                while not member.eof:
                    part = member.decompress(body, _PIECE)
                    body = member.unconsumed_tail
                    if not part and not member.eof:
                        raise RequestRefusedError(Code.INVALID_BODY, "the gzip body is cut off; send all of it")
                    room -= len(part)
                    if room < 0:
                        raise _too_large(self._limits.body_bytes)
                    self._hold(len(part))
                    parts.append(part)
            except zlib.error as error:
                raise RequestRefusedError(Code.INVALID_BODY, f"the body is no gzip ({error})") from error
            body = member.unused_data
        return b"".join(parts)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimits:
    """Events a second, by key: a bucket of tokens that a batch may overdraw, so that no size of batch is locked out.

    Args:
        limits: what holds for a key without a limit of its own, and how long a burst may be.
        clock: seconds that only go forward.
    """

    def __init__(self, limits: RequestLimits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, key: tuple[str, str], events: int, events_per_second: int | None) -> None:
        """Count the events of a request against its key, which is a tenant and a name.

        Raises:
            RequestRefusedError: the key has sent too much; it says when the next request is taken.
        """
        rate = events_per_second or self._limits.events_per_second
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(rate * self._limits.burst_seconds, now))
        filled = bucket.tokens + (now - bucket.filled_at) * rate
        bucket.tokens, bucket.filled_at = min(filled, rate * self._limits.burst_seconds), now
        if bucket.tokens <= 0:
            wait = math.floor(-bucket.tokens / rate) + 1
            text = f"this write key may send {rate:,} events a second; send again after Retry-After"
            raise RequestRefusedError(Code.RATE_LIMITED, text, retry_after_seconds=wait)
        bucket.tokens -= events

    def give_back(self, key: tuple[str, str], events: int) -> None:
        """Forget events that were not taken in after all."""
        self._buckets[key].tokens += events


def _too_large(limit: int) -> RequestRefusedError:
    return RequestRefusedError(Code.TOO_LARGE, f"the body has more than {limit:,} bytes; send smaller batches")
