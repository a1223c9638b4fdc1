"""The equipment: what there is, and how an item goes from status to status, one numbered step at a time.

Belongs here: items, the legal steps between statuses, and the scans and status changes that report them. Stays out:
why an item moves (`rentals`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analytics_platform.demo.dice import Dice, spread_evenly
from analytics_platform.demo.journal import Fact, Properties, Source, Value, World

# From each status, where an item may go. What the tests hold every simulated step against.
LEGAL_STEPS: dict[str, frozenset[str]] = {
    "available": frozenset({"reserved"}),
    "reserved": frozenset({"picked", "available"}),
    "picked": frozenset({"checked_out"}),
    "checked_out": frozenset({"in_transit", "on_site", "returned", "lost"}),
    "in_transit": frozenset({"on_site"}),
    "on_site": frozenset({"returned", "lost"}),
    "returned": frozenset({"in_inspection"}),
    "in_inspection": frozenset({"available", "in_repair"}),
    "in_repair": frozenset({"available", "retired"}),
    "lost": frozenset(),
    "retired": frozenset(),
}

# What an item of a product costs new, in major units.
_PRODUCTS: dict[str, dict[str, int]] = {
    "audio": {"line-array-top": 5_200, "subwoofer-18": 2_900, "mixing-desk-48": 14_500, "wireless-set-8": 6_400},
    "lighting": {"moving-head-spot": 6_800, "led-wash": 2_100, "lighting-desk": 11_000, "follow-spot": 4_300},
    "video": {"led-wall-panel": 1_900, "projector-20k": 21_000, "camera-chain": 17_500},
    "staging": {"stage-deck-set": 3_600, "roof-system-10x8": 24_000, "barrier-set": 1_700},
    "rigging": {"chain-hoist-1t": 2_600, "truss-set-24m": 5_800, "ground-support": 16_500, "motor-control-8": 4_700},
    "power": {"generator-60kva": 27_000, "distribution-250a": 3_900, "cable-ramp-set": 1_300},
}
_SECOND = timedelta(seconds=1)
_OFFLINE_SHARE = 0.05
_EXCEPTION_SHARE = 0.014
_EXCEPTIONS = {
    "unreadable": 26.0, "duplicate_scan": 18.0, "wrong_booking": 14.0, "not_expected": 12.0, "damaged": 11.0,
    "missing": 8.0, "status_conflict": 7.0, "unknown_tag": 4.0,
}  # fmt: skip


class IllegalStepError(Exception):
    """The simulation moved an item in a way that no warehouse could: a mistake in `rentals`."""


@dataclass
class Item:
    """One item of equipment and where it is; `busy_until` is when it can be booked again."""

    equipment_id: str
    sku: str
    category: str
    warehouse_id: str
    cost_minor: int
    busy_until: datetime
    rented_until: datetime
    status: str = "available"
    status_at_opening: str = "available"
    status_seq: int = 0
    changed_at: datetime | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it has left the fleet for good."""
        return self.status in ("lost", "retired")

    def daily_rate_minor(self) -> float:
        """The price of a day: 2.2 % of what it cost."""
        return self.cost_minor * 0.022


@dataclass
class ScanSession:
    """One round of an operator with a device, in which several items are scanned; offline ones arrive hours later."""

    warehouse_id: str
    device_id: str
    operator_ref: str
    scan_source: str
    dice: Dice
    online_at: datetime | None = None


@dataclass
class Fleet:
    """All items of a tenant, and the only hand that moves them."""

    world: World
    items: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = self.world.profile.fleet_size
        by_category = spread_evenly(range(size), self.world.profile.categories)
        placed = spread_evenly(by_category, self.world.profile.warehouses)
        for (number, category), warehouse_id in placed:
            dice = self.world.dice("item", number)
            item = self._buy(category, warehouse_id, self.world.opening - timedelta(days=400), dice)
            item.status_seq = dice.randrange(20, 600)

    def buy(self, at: datetime, dice: Dice) -> None:
        """A new item joins the fleet and is told."""
        profile = self.world.profile
        item = self._buy(dice.pick(profile.categories), dice.pick(profile.warehouses), at, dice)
        if at >= self.world.opening:
            self.world.tell([self._registered(item, at, item.status)])

    def tell_opening(self) -> None:
        """The fleet as it was imported at the opening: each item with the status that it had."""
        imported_at = self.world.opening - timedelta(hours=1)
        owned = [item for item in self.items if item.status_at_opening not in ("lost", "retired", "unborn")]
        for item in owned:
            self.world.tell([self._registered(item, imported_at, item.status_at_opening)], is_running=True)

    def _buy(self, category: str, warehouse_id: str, at: datetime, dice: Dice) -> Item:
        product, price = dice.choice(tuple(_PRODUCTS[category].items()))
        item = Item(
            equipment_id=dice.name("eqp"),
            sku=f"{category}-{product}",
            category=category,
            warehouse_id=warehouse_id,
            cost_minor=int(round(price * 100 * dice.uniform(0.9, 1.12), -3)),
            busy_until=at,
            rented_until=at,
            status_at_opening="available" if at < self.world.opening else "unborn",
        )
        self.items.append(item)
        return item

    def _registered(self, item: Item, at: datetime, status: str) -> Fact:
        properties: dict[str, Value] = {
            "equipment_id": item.equipment_id,
            "sku": item.sku,
            "category": item.category,
            "status": status,
            "home_warehouse_id": item.warehouse_id,
            "acquisition_cost_minor": item.cost_minor,
            "currency": self.world.tenant.currency,
        }
        return Fact(at, "equipment.registered", properties)

    def change(self, item: Item, to_status: str, at: datetime, cause: str, context: Properties) -> datetime:
        """The backend changes a status; answers when (never before the item's last change)."""
        from_status, moment = self._step(item, to_status, at)
        properties: dict[str, Value] = {
            "equipment_id": item.equipment_id,
            "from_status": from_status,
            "to_status": to_status,
            "changed_at": moment,
            "cause": cause,
            "status_seq": item.status_seq,
            **context,
        }
        self._report(Fact(moment, "equipment.status_changed", properties))
        return moment

    def scan(
        self, item: Item, to_status: str, at: datetime, session: ScanSession, direction: str, context: Properties
    ) -> datetime:
        """An operator scans an item into its next status; answers when."""
        if session.dice.chance(_EXCEPTION_SHARE):
            self._stumble(item, at, session, context)
        from_status, moment = self._step(item, to_status, at)
        properties: dict[str, Value] = {
            "scan_id": session.dice.name("scn"),
            "equipment_id": item.equipment_id,
            "warehouse_id": session.warehouse_id,
            "device_id": session.device_id,
            "operator_ref": session.operator_ref,
            "direction": direction,
            "from_status": from_status,
            "to_status": to_status,
            "status_seq": item.status_seq,
            "scanned_at": moment,
            "scan_source": session.scan_source,
            **context,
        }
        if session.online_at is not None and session.online_at > moment:
            properties["offline_queued_ms"] = int((session.online_at - moment) / timedelta(milliseconds=1))
        self._report(Fact(moment, "scan.completed", properties, Source.SCANNER))
        return moment

    def session(self, warehouse_id: str, at: datetime, dice: Dice) -> ScanSession:
        """Somebody takes a device; in a cellar or on a field it may be hours until it has a network."""
        place = warehouse_id.removeprefix("wh-")[:3]
        online_at = at + timedelta(minutes=dice.skewed(95, 0.8)) if dice.chance(_OFFLINE_SHARE) else None
        return ScanSession(
            warehouse_id=warehouse_id,
            device_id=f"dev_{place}_{dice.randrange(1, 6)}",
            operator_ref=f"opr_{place}_{dice.randrange(1, 9):02d}",
            scan_source=dice.pick({"rfid": 5.0, "barcode": 4.0, "manual": 0.4}),
            dice=dice,
            online_at=online_at,
        )

    def _step(self, item: Item, to_status: str, at: datetime) -> tuple[str, datetime]:
        from_status = item.status
        if to_status not in LEGAL_STEPS[from_status]:
            raise IllegalStepError(f"{item.equipment_id} cannot go from {from_status} to {to_status}")
        moment = at if item.changed_at is None else max(at, item.changed_at + _SECOND)
        item.status, item.changed_at = to_status, moment
        item.status_seq += 1
        if moment < self.world.opening:
            item.status_at_opening = to_status
        return from_status, moment

    def _stumble(self, item: Item, at: datetime, session: ScanSession, context: Properties) -> None:
        code = session.dice.pick(_EXCEPTIONS)
        moment = at - timedelta(seconds=session.dice.randrange(8, 50))
        properties: dict[str, Value] = {
            "scan_id": session.dice.name("scn"),
            "warehouse_id": session.warehouse_id,
            "device_id": session.device_id,
            "operator_ref": session.operator_ref,
            "code": code,
            "scanned_at": moment,
            "scan_source": session.scan_source,
            "resolved": session.dice.chance(0.8),
        }
        if code not in ("unknown_tag", "unreadable"):
            properties["equipment_id"] = item.equipment_id
        if code == "status_conflict":
            properties |= {"expected_status": "available", "actual_status": item.status}
        if "project_id" in context:
            properties["project_id"] = context["project_id"]
        self._report(Fact(moment, "scan.exception", properties, Source.SCANNER))

    def _report(self, fact: Fact) -> None:
        if fact.at >= self.world.opening:
            self.world.tell([fact])


def in_service(items: Iterable[Item]) -> list[Item]:
    """The items that are still in the fleet."""
    return [item for item in items if not item.is_gone]
