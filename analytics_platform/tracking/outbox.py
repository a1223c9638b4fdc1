"""Events that are not lost with the process: rows in the application's own database, written in its own transaction.

`Tracker.emit(event, session=session)` adds a row; it exists if and only if the transaction commits. A relay sends the
rows and marks those that the collector acknowledged, so each event arrives at least once, always under the same message
id, by which the platform de-duplicates. Needs the `outbox` extra; works on PostgreSQL and SQLite.

The table is `OutboxEvent.__table__` in `OUTBOX_METADATA`: name that to Alembic beside the application's own metadata,
or call `OUTBOX_METADATA.create_all(engine)`.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from analytics_platform.tracking.client import Tracker, UnknownTenantError
from analytics_platform.tracking.delivery import DeliveryError, Message, send
from analytics_platform.tracking.event_model import WrongEventError

_LOG = logging.getLogger(__name__)
_MAX_BYTES = 32 * 1024
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0

OUTBOX_METADATA = MetaData()
"""Holds the outbox's table alone."""


class _Base(DeclarativeBase):
    metadata = OUTBOX_METADATA


class OutboxEvent(_Base):
    """A message that waits, was sent, or was set aside because the collector will never take it as it is.

    ``leased_until`` keeps other relays away while one sends; after a crash the lease ends and the row is sent again.
    """

    __tablename__ = "analytics_outbox"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str] = mapped_column(String(256))
    message: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    leased_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    leased_by: Mapped[str | None] = mapped_column(String(36))
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    set_aside_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str | None] = mapped_column(Text)


_WAITING = and_(OutboxEvent.sent_at.is_(None), OutboxEvent.set_aside_at.is_(None))

Index("ix_analytics_outbox_waiting", OutboxEvent.id, postgresql_where=_WAITING, sqlite_where=_WAITING)


def store(session: Session | AsyncSession, tenant: str, message: Message) -> None:
    """Add a message to the session's transaction.

    Raises:
        WrongEventError: the message is larger than the collector takes.
    """
    if len(json.dumps(message).encode()) > _MAX_BYTES:
        raise WrongEventError(f"{message['event']}: is too large; send what is measured only")
    row = OutboxEvent(tenant_id=tenant, message_id=message["messageId"], message=message, created_at=datetime.now(UTC))
    session.add(row)


@dataclass(frozen=True)
class SetAside:
    """A message that the collector will never take as it is, and why."""

    message_id: str
    tenant_id: str
    reason: str


@dataclass
class RelayReport:
    """What one round did. ``postponed`` rows wait for their tenant's pause to end; ``problems`` say why."""

    sent: int = 0
    postponed: int = 0
    set_aside: list[SetAside] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class OutboxRelay:
    """Sends the rows of an outbox in the order of their ids; several relays may run at once, each on rows of its own.

    Args:
        engine: the database that holds the table.
        tracker: knows the collector's address and the tenants' write keys.
        batch_size: events per request.
        lease_seconds: how long rows of a relay that crashed wait for another; longer than a request may take.
        keep_sent: how long sent rows stay before they are purged.
        on_set_aside: told of each message that is set aside.
    """

    def __init__(
        self,
        engine: Engine,
        tracker: Tracker,
        *,
        batch_size: int = 100,
        lease_seconds: float = 60.0,
        keep_sent: timedelta = timedelta(days=7),
        on_set_aside: Callable[[SetAside], None] | None = None,
    ) -> None:
        self._engine = engine
        self._tracker = tracker
        self._batch_size = batch_size
        self._lease = timedelta(seconds=lease_seconds)
        self._keep_sent = keep_sent
        self._on_set_aside = on_set_aside
        self._name = str(uuid4())
        self._paused_until: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def run_once(self) -> RelayReport:
        """Send one batch of what waits, and say what became of it."""
        report = RelayReport()
        rows = self._claim()
        for tenant, batch in groupby(sorted(rows, key=lambda row: (row.tenant_id, row.id)), lambda row: row.tenant_id):
            self._deliver(tenant, list(batch), report)
        return report

    def run_forever(self, stop: threading.Event, *, idle_seconds: float = 1.0, purge_seconds: float = 3600.0) -> None:
        """Send until told to stop; an error of the database is logged and tried again."""
        purge_at = time.monotonic()
        while not stop.is_set():
            try:
                report = self.run_once()
                if time.monotonic() >= purge_at:
                    self.purge()
                    purge_at = time.monotonic() + purge_seconds
            except SQLAlchemyError:
                _LOG.exception("the outbox cannot be read; trying again")
                stop.wait(_LONGEST_PAUSE_SECONDS)
                continue
            if not report.sent:
                stop.wait(idle_seconds)

    def purge(self) -> int:
        """Delete what was sent long enough ago and return how many rows that were; what is set aside stays."""
        old = OutboxEvent.sent_at < datetime.now(UTC) - self._keep_sent
        with Session(self._engine) as session, session.begin():
            gone = session.scalars(delete(OutboxEvent).where(old).returning(OutboxEvent.id)).all()
        return len(gone)

    def waiting(self) -> int:
        """Return how many messages are not acknowledged yet."""
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(OutboxEvent).where(_WAITING)) or 0

    def _claim(self) -> Sequence[OutboxEvent]:
        """Lease the oldest waiting rows, in one statement and a transaction that is over before anything is sent."""
        now = datetime.now(UTC)
        free = or_(OutboxEvent.leased_until.is_(None), OutboxEvent.leased_until < now)
        resting = [tenant for tenant, until in self._paused_until.items() if until > time.monotonic()]
        chosen = (
            select(OutboxEvent.id)
            .where(_WAITING, free, OutboxEvent.tenant_id.not_in(resting))
            .order_by(OutboxEvent.id)
            .limit(self._batch_size)
            .with_for_update(skip_locked=True)
        )
        lease = (
            update(OutboxEvent)
            .where(OutboxEvent.id.in_(chosen.scalar_subquery()))
            .values(leased_until=now + self._lease, leased_by=self._name)
            .returning(OutboxEvent)
            .execution_options(synchronize_session=False)
        )
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            return session.scalars(lease).all()

    def _deliver(self, tenant: str, rows: Sequence[OutboxEvent], report: RelayReport) -> None:
        """Send a tenant's rows; where the collector refuses the content, find the rows that it refuses."""
        try:
            receipt = send(self._tracker.host, self._tracker.write_key(tenant), [row.message for row in rows])
        except UnknownTenantError as error:
            self._postpone(tenant, rows, report, str(error), None)
        except DeliveryError as error:
            if not error.is_about_the_content:
                self._postpone(tenant, rows, report, str(error), error.retry_after_seconds)
            elif len(rows) == 1:
                self._put_aside(rows[0], str(error), report)
            else:
                half = len(rows) // 2
                self._deliver(tenant, rows[:half], report)
                self._deliver(tenant, rows[half:], report)
        else:
            self._failures.pop(tenant, None)
            taken = [row for row in rows if row.message_id not in receipt.rejected]
            self._update(taken, sent_at=datetime.now(UTC))
            report.sent += len(taken)
            for row in rows:
                if row.message_id in receipt.rejected:
                    reason = f"the collector keeps it as a dead letter: {receipt.rejected[row.message_id]}"
                    self._put_aside(row, reason, report)

    def _postpone(
        self, tenant: str, rows: Sequence[OutboxEvent], report: RelayReport, problem: str, asked: int | None
    ) -> None:
        """Give the rows back and leave the tenant alone for as long as the collector asked, or ever longer."""
        failures = self._failures[tenant] = self._failures.get(tenant, 0) + 1
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
        pause = longest * random.uniform(0.5, 1.0) if asked is None else float(asked)  # noqa: S311 - spreads relays
        self._paused_until[tenant] = time.monotonic() + pause
        self._update(rows)
        report.postponed += len(rows)
        report.problems.append(problem)
        _LOG.warning("%d events of %s wait %.1f s: %s", len(rows), tenant, pause, problem)

    def _put_aside(self, row: OutboxEvent, reason: str, report: RelayReport) -> None:
        self._update([row], set_aside_at=datetime.now(UTC), reason=reason)
        aside = SetAside(row.message_id, row.tenant_id, reason)
        report.set_aside.append(aside)
        _LOG.error("message %s is set aside: %s", row.message_id, reason)
        if self._on_set_aside is not None:
            try:
                self._on_set_aside(aside)
            except Exception:  # noqa: BLE001 - the application's callback must not stop the sending
                _LOG.exception("on_set_aside failed")

    def _update(self, rows: Iterable[OutboxEvent], **values: Any) -> None:
        """End the lease of rows that are still this relay's, with what became of them."""
        mine = and_(OutboxEvent.id.in_([row.id for row in rows]), OutboxEvent.leased_by == self._name)
        with Session(self._engine) as session, session.begin():
            session.execute(
                update(OutboxEvent).where(mine).values(leased_until=None, leased_by=None, **values),
                execution_options={"synchronize_session": False},
            )
