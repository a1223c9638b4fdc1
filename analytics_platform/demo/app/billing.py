"""Invoices and payments. Money moves, so each event is written in the same transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from analytics_platform.demo.app.bookings import Ref, of_tenant
from analytics_platform.demo.app.context import WithCaller, WithServices
from analytics_platform.demo.app.domain import Booking, Invoice, new_id
from analytics_platform.tracking.models import InvoiceIssued, InvoicePaid

router = APIRouter(tags=["billing"])

_TAX_PERCENT = 21
_DUE = timedelta(days=30)


class InvoiceAnswer(BaseModel):
    """An invoice as the API tells it."""

    invoice_id: str
    amount_minor: int
    outstanding_minor: int
    currency: str


class NewPayment(BaseModel):
    """A payment that the bank reports; `payment_id` is the bank's."""

    payment_id: Ref
    amount_minor: Annotated[int, Field(gt=0)]


@router.post("/bookings/{booking_id}/invoices", status_code=201)
def issue(booking_id: str, caller: WithCaller, services: WithServices) -> InvoiceAnswer:
    """Invoice a booking in full."""
    with services.transaction() as session:
        booking = of_tenant(session, caller.tenant, booking_id)
        if booking.cancelled_at is not None:
            raise HTTPException(409, "the booking is cancelled")
        tax, now = booking.value_minor * _TAX_PERCENT // 100, datetime.now(UTC)
        invoice = Invoice(
            id=new_id("inv"),
            tenant=booking.tenant,
            booking_id=booking.id,
            amount_minor=booking.value_minor + tax,
            paid_minor=0,
            currency=booking.currency,
            issued_at=now,
            due_at=now + _DUE,
        )
        session.add(invoice)
        event = InvoiceIssued(
            **_common(booking, invoice),
            booking_id=booking.id,
            customer_ref=booking.customer_ref,
            amount_minor=invoice.amount_minor,
            tax_minor=tax,
            issued_at=invoice.issued_at,
            due_at=invoice.due_at,
        )
        services.tracker.emit(event, user_id=caller.caller_ref, session=session)
    return _answer(invoice)


@router.post("/invoices/{invoice_id}/payments", status_code=201)
def pay(invoice_id: str, payment: NewPayment, caller: WithCaller, services: WithServices) -> InvoiceAnswer:
    """Book a payment; 409 when it is more than what is left to pay."""
    with services.transaction() as session:
        invoice = _of_tenant(session, caller.tenant, invoice_id)
        left = invoice.amount_minor - invoice.paid_minor - payment.amount_minor
        if left < 0:
            raise HTTPException(409, "amount_minor: is more than what is left to pay")
        invoice.paid_minor += payment.amount_minor
        event = InvoicePaid(
            **_common(of_tenant(session, caller.tenant, invoice.booking_id), invoice),
            payment_id=payment.payment_id,
            amount_minor=payment.amount_minor,
            paid_at=datetime.now(UTC),
            fully_paid=left == 0,
        )
        # The bank may report a payment twice: its id makes the event the same.
        message_id = f"payment-{payment.payment_id}"
        services.tracker.emit(event, user_id=caller.caller_ref, message_id=message_id, session=session)
    return _answer(invoice)


def _of_tenant(session: Session, tenant: str, invoice_id: str) -> Invoice:
    found = session.get(Invoice, invoice_id)
    if found is None or found.tenant != tenant:
        raise HTTPException(404, "no such invoice")
    return found


def _common(booking: Booking, invoice: Invoice) -> dict[str, Any]:
    return {
        "tenant_id": invoice.tenant,
        "project_id": booking.project_id,
        "booking_value_minor": booking.value_minor,
        "booking_currency": booking.currency,
        "invoice_id": invoice.id,
        "currency": invoice.currency,
    }


def _answer(invoice: Invoice) -> InvoiceAnswer:
    return InvoiceAnswer(
        invoice_id=invoice.id,
        amount_minor=invoice.amount_minor,
        outstanding_minor=invoice.amount_minor - invoice.paid_minor,
        currency=invoice.currency,
    )
