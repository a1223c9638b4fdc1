"""Bookings: items are reserved and given back. Stock moves, so each event is written in the booking's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from analytics_platform.demo.app.context import Services, WithCaller, WithServices
from analytics_platform.demo.app.domain import Booking, Equipment, new_id
from analytics_platform.tracking.models import BookingCancelled, BookingConfirmed, EquipmentStatusChanged
from analytics_platform.tracking.models.vocabularies import Channel, EquipmentStatus

router = APIRouter(prefix="/bookings", tags=["bookings"])

Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

_DAY_PRICE_MINOR = 4_500


class NewBooking(BaseModel):
    """What a customer wants to rent."""

    customer_ref: Ref
    project_id: Ref | None = None
    rental_start: date
    rental_end: date
    equipment_ids: Annotated[list[Ref], Field(min_length=1, max_length=100)]
    acquisition_channel: Channel | None = None
    lead_id: Ref | None = None


class BookingAnswer(BaseModel):
    """A booking as the API tells it."""

    booking_id: str
    value_minor: int
    currency: str
    is_cancelled: bool


@router.post("", status_code=201)
def confirm(wanted: NewBooking, caller: WithCaller, services: WithServices) -> BookingAnswer:
    """Confirm a booking and reserve its items; 409 when one of them is not available."""
    days = (wanted.rental_end - wanted.rental_start).days + 1
    if days < 1:
        raise HTTPException(422, "rental_end: lies before rental_start")
    with services.transaction() as session:
        items = _available(session, caller.tenant, wanted.equipment_ids)
        booking = Booking(
            id=new_id("bkg"),
            tenant=caller.tenant,
            project_id=wanted.project_id,
            customer_ref=wanted.customer_ref,
            rental_start=wanted.rental_start,
            rental_end=wanted.rental_end,
            value_minor=_DAY_PRICE_MINOR * days * len(items),
            currency=services.currencies[caller.tenant],
        )
        session.add(booking)
        event = BookingConfirmed(
            **_common(booking),
            customer_ref=booking.customer_ref,
            rental_start=booking.rental_start,
            rental_end=booking.rental_end,
            line_count=len(items),
            acquisition_channel=wanted.acquisition_channel,
            lead_id=wanted.lead_id,
        )
        services.tracker.emit(event, user_id=caller.caller_ref, session=session)
        for item in items:
            item.booking_id = booking.id
            _move(services, session, item, "reserved", booking.project_id)
    return _answer(booking)


@router.get("/{booking_id}")
def read(booking_id: str, caller: WithCaller, services: WithServices) -> BookingAnswer:
    """One booking."""
    with services.transaction() as session:
        return _answer(of_tenant(session, caller.tenant, booking_id))


@router.post("/{booking_id}/cancel")
def cancel(booking_id: str, caller: WithCaller, services: WithServices) -> BookingAnswer:
    """Cancel a booking and free its items; 409 when it was cancelled before, or an item has left the warehouse."""
    with services.transaction() as session:
        booking = of_tenant(session, caller.tenant, booking_id)
        items = session.scalars(select(Equipment).where(Equipment.booking_id == booking.id)).all()
        if booking.cancelled_at is not None or any(item.status != "reserved" for item in items):
            raise HTTPException(409, "the booking is cancelled, or its equipment is on its way")
        booking.cancelled_at = datetime.now(UTC)
        event = BookingCancelled(**_common(booking), cancelled_at=booking.cancelled_at, reason="customer_request")
        services.tracker.emit(event, user_id=caller.caller_ref, session=session)
        for item in items:
            item.booking_id = None
            _move(services, session, item, "available", booking.project_id)
    return _answer(booking)


def of_tenant(session: Session, tenant: str, booking_id: str) -> Booking:
    """A booking of the caller's tenant; anything else is not found."""
    found = session.get(Booking, booking_id)
    if found is None or found.tenant != tenant:
        raise HTTPException(404, "no such booking")
    return found


def _available(session: Session, tenant: str, ids: Sequence[str]) -> Sequence[Equipment]:
    wanted = select(Equipment).where(Equipment.tenant == tenant, Equipment.id.in_(ids), Equipment.status == "available")
    items = session.scalars(wanted.order_by(Equipment.id)).all()
    if len(items) != len(set(ids)):
        raise HTTPException(409, "equipment_ids: some are not available")
    return items


def _move(
    services: Services, session: Session, item: Equipment, to_status: EquipmentStatus, project: str | None
) -> None:
    before, item.status, item.status_seq = item.status, to_status, item.status_seq + 1
    event = EquipmentStatusChanged(
        tenant_id=item.tenant,
        project_id=project,
        equipment_id=item.id,
        from_status=before,
        to_status=to_status,
        changed_at=datetime.now(UTC),
        cause="booking",
        status_seq=item.status_seq,
    )
    services.tracker.emit(event, session=session)


def _common(booking: Booking) -> dict[str, Any]:
    return {
        "tenant_id": booking.tenant,
        "project_id": booking.project_id,
        "booking_id": booking.id,
        "booking_value_minor": booking.value_minor,
        "booking_currency": booking.currency,
    }


def _answer(booking: Booking) -> BookingAnswer:
    return BookingAnswer(
        booking_id=booking.id,
        value_minor=booking.value_minor,
        currency=booking.currency,
        is_cancelled=booking.cancelled_at is not None,
    )
