"""A refresh of the semantic model, as the service's history tells of it: which entry is ours, and how it ended.

Belongs here: what an answer means, and how long to wait before the next question. Stays out: asking
(`defs.power_bi_workspace`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from analytics_platform.errors import AnalyticsError

_ENDED = {"Completed", "Failed", "Disabled", "Cancelled"}
_RETRIED = {429, 500, 502, 503, 504}


class PowerBiError(AnalyticsError):
    """Power BI did not do what it was asked for; the text says what it answered, and the mend."""


class RefreshFailedError(PowerBiError):
    """A refresh ended without new data."""


class RefreshDeadlineError(PowerBiError):
    """A refresh, or an answer about it, did not come in time."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds.

    Attributes:
        deadline: from the first request to the end of the refresh.
        answer: for one answer.
        first: before the first question, and the first time something is asked again.
        longest: between two questions.
    """

    deadline: float = 3600.0
    answer: float = 30.0
    first: float = 5.0
    longest: float = 60.0

    def pauses(self) -> Iterator[float]:
        """Pauses between questions: half as long again each time, up to the longest."""
        pause = self.first
        while True:
            yield pause
            pause = min(pause * 1.5, self.longest)


@dataclass(frozen=True)
class Refreshed:
    """A refresh that completed; times as the service tells them, None where it does not."""

    request_id: str | None
    started_at: str | None
    ended_at: str | None


def is_passing(status: int) -> bool:
    """Whether an answer says that the same request may succeed later."""
    return status in _RETRIED


def asked_to_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, written as seconds or as a date; None where nothing readable asks."""
    told = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if told.isdigit():
        return float(told)
    try:
        until = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds())


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id under which the history will have the refresh, where the answer to its trigger tells one."""
    lower = {name.lower(): value for name, value in headers.items()}
    location = lower.get("location", "").rstrip("/").rpartition("/")[2]
    return location or lower.get("x-ms-request-id") or lower.get("requestid")


def entries(body: bytes) -> list[Mapping[str, Any]]:
    """The entries of the refresh history, newest first.

    Raises:
        PowerBiError: the answer is no history.
    """
    try:
        told = json.loads(body)
        found = told["value"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) and "status" in each for each in found):
        raise PowerBiError(
            "the refresh history is no JSON with a list of refreshes; look whether ANALYTICS_POWER_BI_API_URL is the "
            "address of Power BI's API"
        )
    return found


def ours(
    history: Sequence[Mapping[str, Any]], before: Collection[str], triggered: str | None
) -> Mapping[str, Any] | None:
    """The entry of the refresh that was triggered: of its id, else the oldest that was not there before.

    None while the service does not list it yet. Another refresh that a schedule starts meanwhile is not taken for ours
    as long as the service told an id that it keeps.
    """
    named = [each for each in history if triggered is not None and each.get("requestId") == triggered]
    new = [each for each in history if each.get("requestId") not in before]
    return named[0] if named else (new[-1] if new else None)


def ended(entry: Mapping[str, Any]) -> Refreshed | None:
    """The refresh when it completed; None while it runs (the service calls that Unknown).

    Raises:
        RefreshFailedError: it ended in another way; the text has the service's code, never its text, which may quote
            data.
    """
    status = str(entry["status"])
    if status not in _ENDED:
        return None
    if status != "Completed":
        code = _error_code(entry.get("serviceExceptionJson"))
        raise RefreshFailedError(
            f"the refresh {entry.get('requestId', '')} ended as {status}{f' ({code})' if code else ''}; "
            "the semantic model's refresh history in Power BI has the whole message"
        )
    return Refreshed(entry.get("requestId"), entry.get("startTime"), entry.get("endTime"))


def _error_code(told: object) -> str | None:
    try:
        code = json.loads(str(told)).get("errorCode")
    except (ValueError, AttributeError):
        return None
    return code if isinstance(code, str) and code.isascii() and len(code) <= 100 else None
