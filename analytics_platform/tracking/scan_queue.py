"""The scanner's durable queue: one SQLite file, in which a scan is safe before the operator sees it confirmed.

Keeps scans in the order in which they were taken, and the last `status_seq` of each item. A scan whose request may have
reached the collector is frozen: it is sent again byte for byte, since one id with two payloads would be a conflict.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analytics_platform.errors import AnalyticsError
from analytics_platform.tracking.delivery import Message

_BUSY_SECONDS = 10.0

_SCHEMA = """
create table if not exists scans (
    id integer primary key autoincrement,
    message text not null,
    queued_at real not null,
    frozen text,
    set_aside text
);
create table if not exists items (equipment_id text primary key, status_seq integer not null);
create table if not exists sending (only_one integer primary key check (only_one = 1), owner text, until real);
insert or ignore into sending values (1, null, 0);
"""


class ScanQueueError(AnalyticsError):
    """The queue's file cannot be used."""


@dataclass(frozen=True)
class QueuedScan:
    """A scan that waits; ``queued_at`` is in seconds since 1970."""

    id: int
    message: Message
    queued_at: float
    is_frozen: bool


class ScanQueue:
    """The queue in a file; safe from several threads and processes of the device.

    Raises:
        ScanQueueError: the file cannot be opened or is no queue.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            # Transactions are begun by hand, so that each says what it locks.
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode = wal")
            # FULL syncs the log at each commit: what was confirmed survives a power cut, not only a crash.
            self._db.execute("pragma synchronous = full")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ScanQueueError(f"{path}: cannot be used as the scan queue ({error}); name another file") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("begin immediate")
                try:
                    yield self._db
                    self._db.execute("commit")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("rollback")
                    raise
            except sqlite3.Error as error:
                raise ScanQueueError(
                    f"the scan queue cannot be written ({error}); free the disk or the file"
                ) from error

    def append(self, message: Callable[[int], Message], equipment_id: str | None, known_seq: int | None) -> Message:
        """Queue a scan and return its message, which is durable then.

        Args:
            message: makes the message, given the item's next `status_seq`.
            equipment_id: the item whose status the scan moves; None when it moves none.
            known_seq: the highest `status_seq` that the application knows of the item from elsewhere.
        """
        with self._transaction() as db:
            sequence = 0
            if equipment_id is not None:
                sequence = self._next_seq(db, equipment_id, known_seq)
            made = message(sequence)
            db.execute("insert into scans (message, queued_at) values (?, ?)", (json.dumps(made), time.time()))
        return made

    @staticmethod
    def _next_seq(db: sqlite3.Connection, equipment_id: str, known_seq: int | None) -> int:
        last = db.execute("select status_seq from items where equipment_id = ?", (equipment_id,)).fetchone()
        sequence = max(-1 if last is None else int(last[0]), -1 if known_seq is None else known_seq) + 1
        db.execute("insert or replace into items values (?, ?)", (equipment_id, sequence))
        return sequence

    def is_empty(self) -> bool:
        """Whether no scan waits."""
        return not self.oldest(1)

    def oldest(self, limit: int) -> list[QueuedScan]:
        """The scans that wait, oldest first; whoever sends them reads them within its turn."""
        query = (
            "select id, message, queued_at, frozen is not null from scans where set_aside is null order by id limit ?"
        )
        with self._lock:
            rows = self._db.execute(query, (limit,)).fetchall()
        return [QueuedScan(row[0], json.loads(row[1]), row[2], bool(row[3])) for row in rows]

    def freeze(
        self, scans: Sequence[QueuedScan], outgoing: Callable[[QueuedScan], Message]
    ) -> list[tuple[QueuedScan, Message]]:
        """Fix for good how each scan goes out, where that is not fixed yet.

        Returns:
            Each scan as it stood until now, with its message; without those that wait no more, since a session whose
            turn ran out may hold scans that another one has sent or set aside.
        """
        with self._transaction() as db:
            return [found for scan in scans if (found := self._frozen(db, scan, outgoing)) is not None]

    @staticmethod
    def _frozen(
        db: sqlite3.Connection, scan: QueuedScan, outgoing: Callable[[QueuedScan], Message]
    ) -> tuple[QueuedScan, Message] | None:
        row = db.execute("select frozen from scans where id = ? and set_aside is null", (scan.id,)).fetchone()
        if row is None:
            return None
        was_frozen = row[0] is not None
        text = row[0] if was_frozen else json.dumps(outgoing(scan))
        db.execute("update scans set frozen = ? where id = ?", (text, scan.id))
        return replace(scan, is_frozen=was_frozen), json.loads(text)

    def thaw(self, scans: Sequence[QueuedScan], owner: str) -> None:
        """Take back what `freeze` fixed just now, for a request that surely reached nobody.

        What was frozen before stays, and so does all of it once the turn is not the owner's any more: another session
        may have sent it since.
        """
        fresh = [(scan.id, owner) for scan in scans if not scan.is_frozen]
        unfix = "update scans set frozen = null where id = ? and exists (select 1 from sending where owner = ?)"
        with self._transaction() as db:
            db.executemany(unfix, fresh)

    def remove(self, scans: Sequence[QueuedScan]) -> None:
        """Forget scans that the collector acknowledged."""
        with self._transaction() as db:
            db.executemany("delete from scans where id = ?", [(scan.id,) for scan in scans])

    def put_aside(self, scan: QueuedScan, reason: str) -> None:
        """Keep a scan that the collector will never take, out of the way of the others."""
        with self._transaction() as db:
            db.execute("update scans set set_aside = ? where id = ?", (reason, scan.id))

    def counts(self) -> tuple[int, int]:
        """How many scans wait, and how many were set aside."""
        with self._lock:
            row = self._db.execute("select count(*) - count(set_aside), count(set_aside) from scans").fetchone()
        return int(row[0]), int(row[1])

    def set_aside(self) -> list[dict[str, Any]]:
        """The scans that were set aside: message and reason."""
        with self._lock:
            rows = self._db.execute("select message, set_aside from scans where set_aside is not null order by id")
            return [{"message": json.loads(message), "reason": reason} for message, reason in rows.fetchall()]

    def take_turn(self, owner: str, seconds: float) -> bool:
        """Become or stay the only sender for so many seconds from now; False while another one is."""
        now = time.time()
        with self._transaction() as db:
            taken = db.execute(
                "update sending set owner = ?, until = ? where owner is null or owner = ? or until < ? or until > ?",
                (owner, now + seconds, owner, now, now + 10 * seconds),  # a clock set back must not lock for years
            )
            return taken.rowcount == 1

    def end_turn(self, owner: str) -> None:
        """Let others send."""
        with self._transaction() as db:
            db.execute("update sending set owner = null where owner = ?", (owner,))
