"""Segment's Public API over HTTP: authentication, paging, and when a request is made again.

What is relied upon is documented at https://docs.segmentapis.com: `tag/Authentication` (Bearer token),
`tag/Pagination` (`pagination.count`, `pagination.cursor`, `data.pagination.next`) and `tag/Rate-Limits` (429 with
`errors[].data.msBeforeNext` and `X-RateLimit-Reset`, a date in RFC 5322 form). Bodies and answers are those of the
published SDK (@segment/public-api-sdk-typescript 47.0.0). The token stands in a header only, never in an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx

from analytics_platform.errors import AnalyticsError

BASE_URLS: Mapping[str, str] = {
    "us": "https://api.segmentapis.com",
    "eu": "https://eu1.api.segmentapis.com",
}

PAGE_SIZE = 200
ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 120.0
_TIMEOUT_SECONDS = 30.0
_TOO_MANY = 429
_REPEATABLE = frozenset({"GET", "PUT", "PATCH"})

Json = dict[str, Any]


class SegmentApiError(AnalyticsError):
    """Segment refused a request or could not be reached; the text says which request and what Segment said."""


class PublicApi:
    """Segment's Public API for one workspace, which is the token's."""

    def __init__(self, base_url: str, token: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str) -> Json:
        """Read one resource: the answer's `data`."""
        return self._data("GET", path)

    def pages(self, path: str, collection: str, **parameters: str) -> list[Json]:
        """Read a collection to its end, page by page."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            at = {} if cursor is None else {"pagination.cursor": cursor}
            data = self._data("GET", path, params={**parameters, "pagination.count": str(PAGE_SIZE), **at})
            found += data[collection]
            cursor = (data.get("pagination") or {}).get("next")
            if not cursor:
                return found

    def post(self, path: str, body: Json) -> Json:
        """Create. After a 5xx it is not made again, since the first may have taken effect; a later run will see."""
        return self._data("POST", path, json=body)

    def put(self, path: str, body: Json) -> Json:
        """Replace."""
        return self._data("PUT", path, json=body)

    def patch(self, path: str, body: Json) -> Json:
        """Update."""
        return self._data("PATCH", path, json=body)

    def _data(self, method: str, path: str, **request: Any) -> Json:
        response = self._send(method, path, **request)
        if response.is_success:
            return _payload(method, path, response)
        raise SegmentApiError(f"{method} {path}: {response.status_code}: {_said(response)}{_mend(response)}")

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Make a request, and again as long as that can help."""
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                response = self._http.request(method, path, headers={"Accept": _version_of(path)}, **request)
            except httpx.TransportError as error:
                if last or method not in _REPEATABLE:
                    raise SegmentApiError(
                        f"{method} {path}: no answer ({type(error).__name__}); run it again"
                    ) from error
                self._pause(_backoff(attempt))
                continue
            if last or not _may_repeat(method, response):
                return response
            self._pause(_wait(response, attempt))
        raise AssertionError("the last attempt returns or raises")


def _version_of(path: str) -> str:
    """The version of the API that a path is served in; subscriptions are only in alpha."""
    return "application/vnd.segment.v1alpha+json" if "/subscriptions" in path else "application/vnd.segment.v1+json"


def _may_repeat(method: str, response: httpx.Response) -> bool:
    if response.status_code == _TOO_MANY:
        return True
    return response.is_server_error and method in _REPEATABLE


def _wait(response: httpx.Response, attempt: int) -> float:
    """Seconds to wait: what the answer says, first found, within reason; else longer with each attempt."""
    said = (read(response) for read in (_retry_after, _ms_before_next, _reset))
    seconds = next((each for each in said if each is not None), _backoff(attempt))
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def _backoff(attempt: int) -> float:
    return float(2 ** (attempt - 1))


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _ms_before_next(response: httpx.Response) -> float | None:
    for error in _errors(response):
        data = error.get("data")
        if isinstance(data, dict) and isinstance(data.get("msBeforeNext"), int | float):
            return float(data["msBeforeNext"]) / 1000
    return None


def _reset(response: httpx.Response) -> float | None:
    try:
        reset: datetime = parsedate_to_datetime(response.headers.get("X-RateLimit-Reset", ""))
    except ValueError:
        return None
    left = reset.astimezone(UTC) - datetime.now(UTC)
    return left.total_seconds()


def _payload(method: str, path: str, response: httpx.Response) -> Json:
    try:
        data = response.json()["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise SegmentApiError(f"{method} {path}: the answer holds no `data`; is this Segment's Public API?") from error
    return dict(data)


def _errors(response: httpx.Response) -> list[Json]:
    try:
        body = response.json()
    except ValueError:
        return []
    errors = body.get("errors") if isinstance(body, dict) else None
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _said(response: httpx.Response) -> str:
    said = "; ".join(
        " ".join(str(error[key]) for key in ("field", "message") if error.get(key)) for error in _errors(response)
    )
    return said or response.reason_phrase


def _mend(response: httpx.Response) -> str:
    if response.status_code in (401, 403):
        return (
            "; make a Public API token with the role Workspace Owner (Settings, Access Management, Tokens), give it as "
            "ANALYTICS_SEGMENT_TOKEN, and check ANALYTICS_SEGMENT_REGION"
        )
    return ""
