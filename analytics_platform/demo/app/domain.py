"""The product's own tables: equipment, bookings, invoices, payments, tickets. Of tracking it knows the outbox alone."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from uuid import uuid4

from sqlalchemy import Connection, Date, DateTime, Dialect, Engine, ForeignKey, Integer, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from analytics_platform.tracking.models.vocabularies import EquipmentStatus
from analytics_platform.tracking.outbox import OUTBOX_METADATA

_LOCK_SECONDS = 30.0


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, also where the database keeps no offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back the offset that SQLite forgets."""
        del dialect
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The product's tables; the outbox has metadata of its own."""


class Equipment(Base):
    """An item; `status_seq` grows with each change of its status."""

    __tablename__ = "equipment"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    sku: Mapped[str] = mapped_column(String(64))
    category: Mapped[str] = mapped_column(String(64))
    warehouse_id: Mapped[str] = mapped_column(String(64))
    status: Mapped[EquipmentStatus] = mapped_column(String(32))
    status_seq: Mapped[int] = mapped_column(Integer)
    booking_id: Mapped[str | None] = mapped_column(ForeignKey("booking.id"))


class Booking(Base):
    """A rental of some items; days are those of the tenant."""

    __tablename__ = "booking"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    project_id: Mapped[str | None] = mapped_column(String(64))
    customer_ref: Mapped[str] = mapped_column(String(64))
    rental_start: Mapped[date] = mapped_column(Date)
    rental_end: Mapped[date] = mapped_column(Date)
    value_minor: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str] = mapped_column(String(3))
    cancelled_at: Mapped[datetime | None] = mapped_column(Moment)


class Invoice(Base):
    """What a booking costs, and how much of it is paid; amounts in minor units of the currency."""

    __tablename__ = "invoice"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    booking_id: Mapped[str] = mapped_column(ForeignKey("booking.id"))
    amount_minor: Mapped[int] = mapped_column(Integer)
    paid_minor: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str] = mapped_column(String(3))
    issued_at: Mapped[datetime] = mapped_column(Moment)
    due_at: Mapped[datetime] = mapped_column(Moment)


class Ticket(Base):
    """A question to support."""

    __tablename__ = "ticket"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    requester_ref: Mapped[str] = mapped_column(String(64))
    opened_at: Mapped[datetime] = mapped_column(Moment)
    resolved_at: Mapped[datetime | None] = mapped_column(Moment)
    reopen_count: Mapped[int] = mapped_column(Integer)


def create_tables(url: str) -> Engine:
    """Connect to an SQLite database and make the tables that it lacks, the outbox among them."""
    engine = create_engine(url, connect_args={"timeout": _LOCK_SECONDS})
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin_alone)
    Base.metadata.create_all(engine)
    OUTBOX_METADATA.create_all(engine)
    return engine


def _leave_transactions_to_us(connection: sqlite3.Connection, record: object) -> None:
    """Python's driver would begin a transaction with its first write, when what it rests on has been read."""
    del record
    connection.isolation_level = None


def _begin_alone(connection: Connection) -> None:
    """One transaction after the other, so that two customers cannot both find the same item available."""
    connection.exec_driver_sql("begin immediate")


def new_id(prefix: str) -> str:
    """An id that says what it is of, and nothing else."""
    return f"{prefix}_{uuid4().hex[:16]}"
