"""Tickets. A ticket that is lost with the process can be told again, so its events go without the outbox."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel
from sqlalchemy.orm import Session

from analytics_platform.demo.app.bookings import Ref
from analytics_platform.demo.app.context import WithCaller, WithServices
from analytics_platform.demo.app.domain import Ticket, new_id
from analytics_platform.tracking.models import TicketOpened, TicketReopened, TicketResolved

router = APIRouter(prefix="/tickets", tags=["support"])


class NewTicket(BaseModel):
    """What somebody asks."""

    requester_ref: Ref
    priority: Ref = "normal"
    category: Ref = "question"


class TicketAnswer(BaseModel):
    """A ticket as the API tells it."""

    ticket_id: str
    is_resolved: bool
    reopen_count: int


@router.post("", status_code=201)
def open_ticket(new: NewTicket, caller: WithCaller, services: WithServices) -> TicketAnswer:
    """Open a ticket."""
    with services.transaction() as session:
        ticket = Ticket(
            id=new_id("tkt"),
            tenant=caller.tenant,
            requester_ref=new.requester_ref,
            opened_at=datetime.now(UTC),
            reopen_count=0,
        )
        session.add(ticket)
    services.tracker.emit(
        TicketOpened(
            tenant_id=ticket.tenant,
            ticket_id=ticket.id,
            requester_ref=ticket.requester_ref,
            priority=new.priority,
            category=new.category,
            opened_at=ticket.opened_at,
            source="app",
        ),
        user_id=caller.caller_ref,
    )
    return _answer(ticket)


@router.post("/{ticket_id}/resolve")
def resolve(ticket_id: str, caller: WithCaller, services: WithServices) -> TicketAnswer:
    """Resolve a ticket; 409 when it is resolved."""
    with services.transaction() as session:
        ticket = _of_tenant(session, caller.tenant, ticket_id)
        if ticket.resolved_at is not None:
            raise HTTPException(409, "the ticket is resolved")
        ticket.resolved_at = datetime.now(UTC)
    services.tracker.emit(
        TicketResolved(
            tenant_id=ticket.tenant,
            ticket_id=ticket.id,
            opened_at=ticket.opened_at,
            resolved_at=ticket.resolved_at,
            reopen_count=ticket.reopen_count,
            resolution="solved",
        ),
        user_id=caller.caller_ref,
    )
    return _answer(ticket)


@router.post("/{ticket_id}/reopen")
def reopen(ticket_id: str, caller: WithCaller, services: WithServices) -> TicketAnswer:
    """Open a resolved ticket again; 409 when it is open."""
    with services.transaction() as session:
        ticket = _of_tenant(session, caller.tenant, ticket_id)
        if ticket.resolved_at is None:
            raise HTTPException(409, "the ticket is open")
        ticket.resolved_at, ticket.reopen_count = None, ticket.reopen_count + 1
    services.tracker.emit(
        TicketReopened(
            tenant_id=ticket.tenant,
            ticket_id=ticket.id,
            reopened_at=datetime.now(UTC),
            reopen_count=ticket.reopen_count,
        ),
        user_id=caller.caller_ref,
    )
    return _answer(ticket)


def _of_tenant(session: Session, tenant: str, ticket_id: str) -> Ticket:
    found = session.get(Ticket, ticket_id)
    if found is None or found.tenant != tenant:
        raise HTTPException(404, "no such ticket")
    return found


def _answer(ticket: Ticket) -> TicketAnswer:
    return TicketAnswer(
        ticket_id=ticket.id, is_resolved=ticket.resolved_at is not None, reopen_count=ticket.reopen_count
    )
