"""A company's staff at work in the example application: items, bookings, invoices, payments, tickets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from analytics_platform.demo.dice import Dice
from analytics_platform.demo.profiles import TenantProfile

_ITEMS = 8
"""As many items are there to be booked when the day begins; what lacks is bought."""


@dataclass(frozen=True)
class BookedItem:
    """An item that the warehouse has to hand out."""

    equipment_id: str
    booking_id: str
    project_id: str
    status_seq: int
    warehouse_id: str


class Office:
    """The application as the staff of one tenant uses it.

    Args:
        client: bound to the application's address.
        profile: the tenant.
        dice: draws what happens.
    """

    def __init__(self, client: httpx.Client, profile: TenantProfile, dice: Dice) -> None:
        self._client, self._profile, self._dice = client, profile, dice
        self._headers = {"X-Tenant": profile.tenant_id, "X-User": dice.name("usr")}

    def work(self, lead: str | None) -> list[BookedItem]:
        """A stretch of a working day; return what was booked for the warehouse to hand out.

        Args:
            lead: a visitor who becomes the first customer.
        """
        items = self._stocked()
        bookings = [items[place : place + 2] for place in range(0, 6, 2)]
        booked = [item for chosen in bookings for item in self._book(chosen, lead if chosen is bookings[0] else None)]
        cancelled = self._post("/bookings", self._booking(items[6:8]))
        self._post(f"/bookings/{cancelled['booking_id']}/cancel")
        for _ in range(2):
            self._help_somebody()
        self._look_for_what_is_not_there()
        return booked

    def hand_over(self, item: BookedItem, to_status: str, status_seq: int) -> None:
        """Tell the application what a scanner did."""
        self._post(f"/equipment/{item.equipment_id}/scans", {"to_status": to_status, "status_seq": status_seq})

    def _stocked(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._get("/equipment")
        for _ in range(_ITEMS - len(items)):
            category = self._dice.pick(self._profile.categories)
            items.append(
                self._post(
                    "/equipment",
                    {
                        "equipment_id": self._dice.name("eqp"),
                        "sku": f"{category}-{self._dice.randrange(100, 200)}",
                        "category": category,
                        "warehouse_id": self._dice.pick(self._profile.warehouses),
                    },
                )
            )
        return items

    def _book(self, items: Sequence[dict[str, Any]], lead: str | None) -> list[BookedItem]:
        wanted = self._booking(items) | ({"lead_id": lead} if lead else {})
        booking = self._post("/bookings", wanted)
        invoice = self._post(f"/bookings/{booking['booking_id']}/invoices")
        amount = invoice["amount_minor"]
        for part in [amount] if self._dice.chance(0.6) else [amount // 2]:
            payment = {"payment_id": self._dice.name("pay"), "amount_minor": part}
            self._post(f"/invoices/{invoice['invoice_id']}/payments", payment)
        return [
            BookedItem(
                item["equipment_id"],
                booking["booking_id"],
                wanted["project_id"],
                item["status_seq"] + 1,
                item["warehouse_id"],
            )
            for item in items
        ]

    def _booking(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        start = datetime.now(UTC).date() + timedelta(days=self._dice.randrange(1, 6))
        return {
            "customer_ref": self._dice.name("cus"),
            "project_id": self._dice.name("prj"),
            "rental_start": start.isoformat(),
            "rental_end": (start + timedelta(days=self._dice.randrange(1, 4))).isoformat(),
            "equipment_ids": [item["equipment_id"] for item in items],
            "acquisition_channel": self._dice.pick(self._profile.channels),
        }

    def _help_somebody(self) -> None:
        ticket = self._post("/tickets", {"requester_ref": self._dice.name("usr"), "category": "delivery"})
        self._post(f"/tickets/{ticket['ticket_id']}/resolve")
        if self._dice.chance(0.3):
            self._post(f"/tickets/{ticket['ticket_id']}/reopen")

    def _look_for_what_is_not_there(self) -> None:
        """Requests that fail belong to a day as well."""
        self._client.get("/bookings/bkg_forgotten", headers=self._headers)

    def _get(self, path: str) -> Any:
        return self._client.get(path, headers=self._headers).raise_for_status().json()

    def _post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._client.post(path, headers=self._headers, json=body).raise_for_status().json()
