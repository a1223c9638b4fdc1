"""Staging: rows that were read and have not landed yet, in files of the home that their owner alone can read.

A batch is whole once its statement stands beside it, written after the rows are on disk: when they were received, and
the state that their source has after them. A batch without one was cut short, and goes. A whole one that a killed run
left lands first, with its own time, so even what is refused of it is the same bytes under the same names. Whatever has
landed is deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import orjson

from analytics_platform.connectors.mapping import Row
from analytics_platform.durability import sync_folder

_ROWS = "rows.ndjson"
_STATEMENT = "whole.json"
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True, slots=True)
class Batch:
    """Staged rows: when they were received, in UTC, and what is known of their source from now on."""

    path: Path
    received_at: datetime
    state: Mapping[str, Any]

    def rows(self) -> Iterator[Row]:
        """The rows in their order."""
        with self.path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)


class Staging:
    """The staging folder of one stream."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def left(self) -> Batch | None:
        """The whole batch that a killed run left; what is not whole is removed.

        Retention or an erasure may have taken its rows meanwhile: then they are read again, and the gate knows better.
        """
        statement = self._folder / _STATEMENT
        if not statement.exists() or not (self._folder / _ROWS).exists():
            self.clear()
            return None
        said = orjson.loads(statement.read_bytes())
        return Batch(self._folder / _ROWS, datetime.fromisoformat(said["received_at"]), said["state"])

    def write(self, rows: Iterable[Row]) -> None:
        """Put rows on disk; they are no batch yet."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with private_file(self._folder / _ROWS) as file:
            for row in rows:
                file.write(orjson.dumps(row, default=_json, option=_OPTIONS))
            file.flush()
            os.fsync(file.fileno())

    def complete(self, received_at: datetime, state: Mapping[str, Any]) -> Batch:
        """Make what was written a batch."""
        part = self._folder / f"{_STATEMENT}.part"
        with private_file(part) as file:
            file.write(orjson.dumps({"received_at": received_at, "state": state}))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / _STATEMENT)
        sync_folder(self._folder)
        return Batch(self._folder / _ROWS, received_at, state)

    def clear(self) -> None:
        """Remove everything; the statement first, so that a batch never claims rows that are gone."""
        for name in (_STATEMENT, f"{_STATEMENT}.part", _ROWS):
            (self._folder / name).unlink(missing_ok=True)


def private_file(path: Path) -> BinaryIO:
    """A new file that nobody but its owner reads."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _json(value: object) -> object:
    """What databases and workbooks hold beside JSON's own types; a decimal keeps its digits as a number."""
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value)) if value.is_finite() else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    return str(value)
