"""Why a request as a whole is answered with something else than 200, and with which status."""

from __future__ import annotations

from enum import StrEnum

from analytics_platform.errors import AnalyticsError


class Code(StrEnum):
    """What went wrong, for programs; clients and alerts go by these, so they stay as they are."""

    INVALID_BODY = "invalid_body"
    UNKNOWN_ENCODING = "unknown_encoding"
    UNAUTHORIZED = "unauthorized"
    TOO_LARGE = "too_large"
    TOO_MANY_MESSAGES = "too_many_messages"
    TOO_SLOW = "too_slow"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INTERNAL_ERROR = "internal_error"


STATUS = {
    Code.INVALID_BODY: 400,
    Code.UNKNOWN_ENCODING: 400,
    Code.UNAUTHORIZED: 401,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.TOO_SLOW: 408,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_MESSAGES: 413,
    Code.RATE_LIMITED: 429,
    Code.INTERNAL_ERROR: 500,
    Code.UNAVAILABLE: 503,
}


class RequestRefusedError(AnalyticsError):
    """A request is answered with an error; nothing of it was taken in."""

    def __init__(self, code: Code, text: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.retry_after_seconds = retry_after_seconds

    @property
    def status(self) -> int:
        """The status of the answer."""
        return STATUS[self.code]
