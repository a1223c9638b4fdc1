"""The warehouse: items come in, are listed, and are moved by scanners.

A scanner tells the platform of its scan itself (`tracking.scanner`), since it works offline too; what it tells here
only brings the product's own books up to date.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import select

from analytics_platform.demo.app.bookings import Ref
from analytics_platform.demo.app.context import WithCaller, WithServices
from analytics_platform.demo.app.domain import Equipment
from analytics_platform.tracking.models import EquipmentRegistered
from analytics_platform.tracking.models.vocabularies import EquipmentStatus

router = APIRouter(prefix="/equipment", tags=["warehouse"])


class NewItem(BaseModel):
    """An item that the tenant has acquired."""

    equipment_id: Ref
    sku: Ref
    category: Ref
    warehouse_id: Ref


class ItemAnswer(BaseModel):
    """An item as the API tells it."""

    equipment_id: str
    status: EquipmentStatus
    status_seq: int
    warehouse_id: str
    booking_id: str | None


class Scanned(BaseModel):
    """What a scan did to an item, with the number that the scanner gave it."""

    to_status: EquipmentStatus
    status_seq: Annotated[int, Field(ge=0)]


@router.post("", status_code=201)
def register(new: NewItem, caller: WithCaller, services: WithServices) -> ItemAnswer:
    """Register an item; 409 when its id is taken."""
    with services.transaction() as session:
        if session.get(Equipment, new.equipment_id) is not None:
            raise HTTPException(409, "equipment_id: is taken")
        item = Equipment(
            id=new.equipment_id,
            tenant=caller.tenant,
            sku=new.sku,
            category=new.category,
            warehouse_id=new.warehouse_id,
            status="available",
            status_seq=0,
        )
        session.add(item)
        event = EquipmentRegistered(
            tenant_id=item.tenant,
            equipment_id=item.id,
            sku=item.sku,
            category=item.category,
            status=item.status,
            home_warehouse_id=item.warehouse_id,
        )
        services.tracker.emit(event, user_id=caller.caller_ref, session=session)
    return _answer(item)


@router.get("")
def available(caller: WithCaller, services: WithServices) -> list[ItemAnswer]:
    """Items that can be booked."""
    with services.transaction() as session:
        wanted = select(Equipment).where(Equipment.tenant == caller.tenant, Equipment.status == "available")
        return [_answer(item) for item in session.scalars(wanted.order_by(Equipment.id))]


@router.post("/{equipment_id}/scans")
def scanned(equipment_id: str, scan: Scanned, caller: WithCaller, services: WithServices) -> ItemAnswer:
    """Take over what a scanner did; a scan that is older than what is known changes nothing."""
    with services.transaction() as session:
        item = session.get(Equipment, equipment_id)
        if item is None or item.tenant != caller.tenant:
            raise HTTPException(404, "no such equipment")
        if scan.status_seq > item.status_seq:
            item.status, item.status_seq = scan.to_status, scan.status_seq
            if scan.to_status == "available":
                item.booking_id = None
    return _answer(item)


def _answer(item: Equipment) -> ItemAnswer:
    return ItemAnswer.model_validate(
        {
            "equipment_id": item.id,
            "status": item.status,
            "status_seq": item.status_seq,
            "warehouse_id": item.warehouse_id,
            "booking_id": item.booking_id,
        }
    )
