"""The audit log: one JSON line for each request of a file and each login, logout and refusal, in a file per day.

Lines are added and never changed. A line names the principal as the RBAC does, by id or keyed reference, and holds no
password, token, cookie or query. What cannot be written down is not served (`app`). Old files go by retention.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from analytics_platform.errors import AnalyticsError

FILES = "audit-*.jsonl"

_DAY = re.compile(r"audit-(\d{4}-\d{2}-\d{2})\.jsonl")


class AuditError(AnalyticsError):
    """The audit log cannot be written or read."""


class Action(StrEnum):
    """What somebody asked for."""

    OPEN = "open"
    LOGIN = "login"
    LOGOUT = "logout"
    ENTER = "enter"


class Outcome(StrEnum):
    """What came of it.

    `not_found` is both what is not there and what is not for the principal; `refused` is a missing or bad identity;
    `unavailable` is what nobody could decide or serve.
    """

    SERVED = "served"
    NOT_MODIFIED = "not_modified"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    GRANTED = "granted"
    WRONG = "wrong"
    LIMITED = "limited"
    FORGED = "forged"
    DONE = "done"


@dataclass(frozen=True)
class Entry:
    """One line.

    Attributes:
        action: what was asked for.
        outcome: what came of it.
        status: the answer's.
        who: the principal's id or reference; None where nobody is known.
        audience: as which a file was opened.
        key: which file, where it could be one.
        reason: why a token or a form was refused.
        address: from where.
        request_id: as in the logs.
    """

    action: Action
    outcome: Outcome
    status: int
    who: str | None = None
    audience: str | None = None
    key: str | None = None
    reason: str | None = None
    address: str | None = None
    request_id: str | None = None


class AuditLog:
    """The log of one home; safe for several processes, since each line is one write at the end of the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: tuple[date, int] | None = None

    def write(self, entry: Entry, now: datetime) -> None:
        """Add a line.

        Raises:
            AuditError: it could not be written.
        """
        line = orjson.dumps({"at": now.astimezone(UTC).isoformat(timespec="milliseconds"), **asdict(entry)}) + b"\n"
        try:
            with self._lock:
                written = os.write(self._descriptor(now.astimezone(UTC).date()), line)
        except OSError as error:
            raise AuditError(f"{self._folder} cannot be written ({error.strerror}); nothing is served") from error
        if written != len(line):
            raise AuditError(f"{self._folder} took a part of a line; see that the disk has room")

    def read(
        self, *, user: str | None = None, key: str | None = None, since: date | None = None
    ) -> Iterator[dict[str, Any]]:
        """Lines from a day on, oldest first.

        Args:
            user: only this principal's.
            key: only of keys that begin so.
            since: the first day, in UTC.

        Raises:
            AuditError: a line is none.
        """
        for path in sorted(self._folder.glob(FILES)):
            match = _DAY.fullmatch(path.name)
            if match is None or (since and date.fromisoformat(match[1]) < since):
                continue
            for line in path.read_bytes().splitlines():
                told = _parsed(path, line)
                if user in (None, told["who"]) and (key is None or (told["key"] or "").startswith(key)):
                    yield told

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._open is not None:
                os.close(self._open[1])
                self._open = None

    def _descriptor(self, day: date) -> int:
        """The day's file, also after somebody has removed it."""
        path = self._folder / f"audit-{day.isoformat()}.jsonl"
        if self._open is not None and (self._open[0] != day or os.fstat(self._open[1]).st_nlink == 0):
            os.close(self._open[1])
            self._open = None
        if self._open is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open = (day, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        return self._open[1]


def _parsed(path: Path, line: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise AuditError(
            f"{path} holds a line that is no JSON; somebody has changed it, or the disk was full"
        ) from error
    return told
