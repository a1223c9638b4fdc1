"""One request to the collector, synchronously: what was taken, what was refused, and when to come again.

Belongs here: what an answer means to whoever keeps events until they are acknowledged (the outbox, the scanner's
queue). Only `200` acknowledges. Waiting and keeping stay with the caller.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
from segment.analytics.request import APIError, parse_retry_after, post
from segment.analytics.version import VERSION
from urllib3.exceptions import NewConnectionError

from analytics_platform.errors import AnalyticsError

Message = dict[str, Any]

TIMEOUT_SECONDS = 10.0

# The collector takes a message's own time for 30 days back and 5 minutes ahead; beyond that the time of sending stands
# on the envelope, and the business time in its property as always.
_OLDEST = timedelta(days=29)
_AHEAD = timedelta(minutes=1)

#: Answers that are about what was sent and would be the same the next time.
_ABOUT_THE_CONTENT = frozenset({400, 413, 422})


class DeliveryError(AnalyticsError):
    """Messages were not acknowledged; the text says why.

    ``status`` is the answer's, None when there was none. ``retry_after_seconds`` is what the collector asked for.
    ``reached`` is False when no connection came about, so that nothing can have been taken.
    """

    def __init__(
        self, text: str, *, status: int | None = None, retry_after_seconds: int | None = None, reached: bool = True
    ) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.reached = reached

    @property
    def is_about_the_content(self) -> bool:
        """Whether sending the same again would end the same."""
        return self.status in _ABOUT_THE_CONTENT


@dataclass(frozen=True)
class Receipt:
    """An acknowledgement; ``rejected`` has the code of each message that the collector keeps as a dead letter."""

    rejected: Mapping[str, str] = field(default_factory=dict)


def track_message(
    event: str,
    properties: Mapping[str, Any],
    *,
    message_id: str,
    timestamp: str,
    user_id: str | None,
    anonymous_id: str,
) -> Message:
    """The message of a track call, finished but for `sentAt`: whenever it is sent, it is the same message."""
    return {
        "type": "track",
        "event": event,
        "messageId": message_id,
        "timestamp": timestamp,
        "userId": user_id,
        "anonymousId": anonymous_id,
        "properties": dict(properties),
        "context": {"library": {"name": "analytics-python", "version": VERSION}},
        "integrations": {},
    }


def envelope_time(occurred_at: datetime, now: datetime) -> datetime:
    """The message's own time: when the event occurred where the collector takes that, else now."""
    return occurred_at if now - _OLDEST <= occurred_at <= now + _AHEAD else now


def send(host: str, write_key: str, messages: Sequence[Message], *, timeout: float = TIMEOUT_SECONDS) -> Receipt:
    """Send one batch and return the collector's acknowledgement.

    Raises:
        DeliveryError: there was no answer, or another than 200.
    """
    try:
        answer = post(write_key, host, timeout=timeout, batch=list(messages))
    except APIError as error:
        after = parse_retry_after(error.response) if error.response is not None else None
        text = f"{host} answered {error.status}: {error.message}"
        raise DeliveryError(text, status=error.status, retry_after_seconds=after) from error
    except requests.RequestException as error:
        text = f"no answer from {host} ({type(error).__name__}); is the collector running there?"
        raise DeliveryError(text, reached=not _never_connected(error)) from error
    if answer.status_code != requests.codes.ok:
        raise DeliveryError(f"{host} answered {answer.status_code}, which acknowledges nothing; is it a collector?")
    return Receipt(_rejected(answer.content))


def _never_connected(error: requests.RequestException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    return any(isinstance(getattr(cause, "reason", None), NewConnectionError) for cause in error.args)


def _rejected(body: bytes) -> dict[str, str]:
    """The codes by message id; what is no JSON names nothing."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    listed = said.get("rejected", []) if isinstance(said, dict) else []
    return {str(each.get("messageId")): str(each.get("code")) for each in listed if isinstance(each, dict)}
