"""How far each stream of a connector has been read, kept in the lake: `connectors/<connector>/<stream>.json`.

It is put after what it speaks of has landed, so it is never ahead of the landing. It holds cursors, hashes of files and
counts; no row and no name of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import orjson

from analytics_platform.lake.layout import connector_key
from analytics_platform.lake.store import ObjectMissingError, ObjectStore

FILES_REMEMBERED = 20_000
"""Hashes of taken files that a stream keeps; the oldest go first."""


@dataclass(slots=True)
class Account:
    """What became of each row of one run.

    `rows` were read, each by every rule: `rows x rules + unreadable = accepted + duplicates + dead_lettered + skipped`.
    `unreadable` are lines and rows that no rule can look at; they are dead letters too. `changed` are those duplicates
    whose row had changed since it was first seen, where the rule keeps the first.
    """

    rows: int = 0
    rules: int = 0
    unreadable: int = 0
    skipped: int = 0
    accepted: int = 0
    duplicates: int = 0
    changed: int = 0
    dead_lettered: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    files: int = 0
    manifests: list[str] = field(default_factory=list)
    finished_at: str = ""

    @property
    def balances(self) -> bool:
        """Whether every row is accounted for."""
        became = self.accepted + self.duplicates + self.dead_lettered + self.skipped
        return self.rows * self.rules + self.unreadable == became

    def as_dict(self) -> dict[str, Any]:
        """The account as JSON values."""
        return asdict(self)

    def add(self, other: Account) -> None:
        """Take another account of the same stream in."""
        self.rules = other.rules
        for name in ("rows", "unreadable", "skipped", "accepted", "duplicates", "changed", "dead_lettered", "files"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count
        self.manifests += other.manifests


@dataclass(slots=True)
class StreamState:
    """How far a stream has been read.

    Attributes:
        cursor: dlt's own state.
        files: when each file was taken, by its SHA-256.
        last: the account of the last run.
    """

    cursor: Mapping[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    last: Account | None = None


def read_state(store: ObjectStore, connector: str, stream: str) -> StreamState:
    """What is known of a stream; nothing before its first run."""
    try:
        said = orjson.loads(store.get(connector_key(connector, stream)))
    except ObjectMissingError:
        return StreamState()
    return StreamState(said["cursor"], said["files"], Account(**said["last"]) if said["last"] else None)


def put_state(store: ObjectStore, connector: str, stream: str, state: StreamState) -> None:
    """Keep it: from then on what it speaks of is not read again."""
    files = dict(sorted(state.files.items(), key=lambda item: item[1])[-FILES_REMEMBERED:])
    said = {"version": 1, "cursor": state.cursor, "files": files, "last": state.last and state.last.as_dict()}
    store.put(connector_key(connector, stream), orjson.dumps(said, option=orjson.OPT_INDENT_2))


def taken_at(moment: datetime) -> str:
    """A moment as the state keeps it, so that text sorts as time."""
    return moment.isoformat(timespec="seconds")
