"""Utilisation, departures and arrivals once more, in plain Python and day by day.

Belongs here: naive readings of `kpis.md` (no spans, no windows). Stays out: drawing facts, assertions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest

from fixture import Message
from reference import Registry, days, moment, of, rates, whole_minor

ON_RENT = {"checked_out", "in_transit", "on_site"}
MAINTENANCE = {"in_repair", "in_inspection"}
OUT_OF_FLEET = {"lost", "retired"}
A_DAY = timedelta(hours=24)
SETTLING = timedelta(days=2)

# --- equipment -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemDay:
    """An item at the close of a day."""

    status: str
    has_conflict: bool
    category: str
    warehouse: str
    cost: int | None

    @property
    def is_in_fleet(self) -> bool:
        """Return whether it is neither lost nor retired."""
        return self.status not in OUT_OF_FLEET


def status_of(facts: Sequence[Message]) -> tuple[str, bool]:
    """Return an item's status and whether it is in conflict, by what has happened to it (registered, at least)."""
    numbered = [each for each in facts if each.event in {"equipment.status_changed", "scan.completed"}]
    if not numbered:
        return of(facts, "equipment.registered")[-1].properties["status"], False
    highest = max(each.properties["status_seq"] for each in numbered)
    in_force = sorted(
        (each for each in numbered if each.properties["status_seq"] == highest),
        key=lambda each: (moment(each), str(each.message_id)),
    )
    claims = [each.properties["to_status"] for each in in_force]
    said = _contradictions(facts, in_force[0])
    rented, kept = [c for c in claims if c in ON_RENT], [c for c in claims if c in MAINTENANCE]
    if rented and (kept or MAINTENANCE & set(said)):
        return rented[-1], True
    if kept and ON_RENT & set(said):
        return [status for status in said if status in ON_RENT][-1], True
    return claims[-1], len(set(claims)) > 1


def _contradictions(facts: Sequence[Message], begun: Message) -> list[str]:
    """Return the statuses that exceptions claimed beside a number since it came into force."""
    return [
        each.properties["to_status"]
        for each in of(facts, "scan.exception")
        if "to_status" in each.properties
        and each.properties["code"] != "duplicate_scan"
        and moment(each) >= moment(begun)
    ]


def item_days(
    messages: Sequence[Message], registry: Registry, first: date, last: date
) -> dict[tuple[date, str, str], ItemDay]:
    """Return the rows of `fct_equipment_days`, from the facts up to each day."""
    items: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        if each.event is not None and "equipment_id" in each.properties:
            items[each.tenant, each.properties["equipment_id"]].append(each)
    found: dict[tuple[date, str, str], ItemDay] = {}
    for (tenant, item), facts in items.items():
        dated = [(registry.on_day(each), each) for each in facts]
        for day in days(first, last):
            known = [each for on, each in dated if on <= day]
            registrations = of(known, "equipment.registered")
            if registrations:
                own = registrations[-1].properties
                found[day, tenant, item] = ItemDay(
                    *status_of(known), own["category"], own["home_warehouse_id"], _cost(registrations[-1], registry)
                )
    return found


def _cost(registration: Message, registry: Registry) -> int | None:
    """Return what an item cost in the tenant's currency, at the rates of the month of its registration."""
    cost = registration.properties.get("acquisition_cost_minor")
    own = registry.tenants[registration.tenant].currency
    currency = registration.properties.get("currency", own)
    if cost is None or currency == own:
        return cost
    month = registry.on_day(registration).replace(day=1)
    return whole_minor(Decimal(cost) * rates()[currency, month] / rates()[own, month])


UtilisationKey = tuple[date, str, str, str]


def utilisation_rows(
    messages: Sequence[Message], registry: Registry, first: date, last: date
) -> dict[UtilisationKey, dict[str, int]]:
    """Return the rows of `kpi_equipment_utilisation`."""
    rows: dict[UtilisationKey, Counter[str]] = defaultdict(Counter)
    for (day, tenant, _), item in item_days(messages, registry, first, last).items():
        rows[day, tenant, item.category, item.warehouse].update(
            fleet_items=item.is_in_fleet,
            on_rent_items=item.status in ON_RENT,
            maintenance_items=item.status in MAINTENANCE,
            conflicting_items=item.has_conflict,
            fleet_cost_minor=(item.cost or 0) if item.is_in_fleet else 0,
            on_rent_cost_minor=(item.cost or 0) if item.status in ON_RENT else 0,
        )
    return {key: dict(row) for key, row in rows.items()}


# --- departures ------------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """A planned departure of a transport and what became of it."""

    stated_by: Message
    planned: datetime
    departed: Message | None = None
    cancelled: datetime | None = None

    @property
    def stated(self) -> datetime:
        """Return when the plan was stated."""
        return moment(self.stated_by)

    @property
    def warehouse(self) -> str | None:
        """Return where it leaves from, if the statement tells."""
        return self.stated_by.properties.get("warehouse_id")

    @property
    def vehicle(self) -> str | None:
        """Return the vehicle, if the statement tells."""
        return self.stated_by.properties.get("vehicle_ref")

    def outcome(self) -> str:
        """Return what is known 24 hours after the plan."""
        if self.departed is not None and moment(self.departed) <= self.planned + A_DAY:
            return "departed"
        return (
            "cancelled" if self.cancelled is not None and self.cancelled <= self.planned + A_DAY else "never_departed"
        )

    def is_on_time(self, threshold_minutes: int) -> bool:
        """Return whether it left strictly less than the threshold late."""
        return (
            self.outcome() == "departed"
            and self.departed is not None
            and moment(self.departed) - self.planned < timedelta(minutes=threshold_minutes)
        )

    def reason(self, threshold_minutes: int) -> str | None:
        """Return why it left late, if it did and told."""
        if self.outcome() != "departed" or self.is_on_time(threshold_minutes) or self.departed is None:
            return None
        return self.departed.properties.get("delay_reason")


def _planned(each: Message) -> datetime:
    """Return the planned departure that a message states."""
    return datetime.fromisoformat(each.properties["planned_departure_at"])


def _statements(facts: Sequence[Message], registry: Registry) -> list[Plan]:
    """Return every plan of one transport in the order of their statements."""
    scheduled, cancelled = of(facts, "transport.scheduled"), of(facts, "transport.cancelled")
    departed = of(facts, "transport.departed")[:1]
    told = [each for each in scheduled if not departed or moment(each) <= moment(departed[0])]
    for stranger in (cancelled[:1], departed):
        told += [each for each in stranger if not _scheduled_by(scheduled, moment(each))]
    told = [each for each in told if registry.on_day(each) <= registry.day(each.tenant, _planned(each)) + SETTLING]
    ordered = sorted(told, key=lambda each: (moment(each), each.event_at or each.at, str(each.message_id)))
    return [Plan(each, _planned(each)) for each in ordered]


def _scheduled_by(scheduled: Iterable[Message], at: datetime) -> bool:
    """Return whether a schedule was known at a moment."""
    return any(moment(each) <= at for each in scheduled)


def _binding(plans: list[Plan], tenant: str, registry: Registry) -> list[Plan]:
    """Return, of each planned day, the last plan that was still the latest one when its day closed."""
    kept: dict[date, Plan] = {}
    for plan, following in zip_longest(plans, plans[1:]):
        day = registry.day(tenant, plan.planned)
        judged = max(day, registry.day(tenant, plan.stated))
        if following is None or registry.day(tenant, following.stated) > judged:
            kept[day] = plan
    return sorted(kept.values(), key=plans.index)


def plans_of(facts: Sequence[Message], registry: Registry) -> list[Plan]:
    """Return the plans of one transport that count for a day, with what became of them."""
    plans = _statements(facts, registry)
    binding = _binding(plans, facts[0].tenant, registry)
    departed = of(facts, "transport.departed")[:1]
    if binding and departed:
        binding[-1].departed = departed[0]
    scheduled = of(facts, "transport.scheduled")
    for ended in of(facts, "transport.cancelled") if plans else []:
        at = moment(ended)
        in_force = [plan for plan in plans if plan.stated <= at][-1:] or plans[:1]
        if not _scheduled_by(scheduled, at):
            in_force += [plan for plan in plans if plan.planned == _planned(ended)]
        for plan in in_force:
            plan.cancelled = min(plan.cancelled or at, at)
    return binding


DepartureKey = tuple[date, str, str | None, str | None, str | None]


def departure_rows(messages: Sequence[Message], registry: Registry) -> dict[DepartureKey, dict[str, int]]:
    """Return the rows of `kpi_departures_by_vehicle`."""
    transports: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        if each.event is not None and each.event.startswith("transport."):
            transports[each.tenant, each.properties["transport_id"]].append(each)
    rows: dict[DepartureKey, Counter[str]] = defaultdict(Counter)
    for (tenant, _), facts in transports.items():
        threshold = registry.tenants[tenant].on_time_threshold_minutes
        for plan in plans_of(facts, registry):
            day = registry.day(tenant, plan.planned)
            row = rows[day, tenant, plan.warehouse, plan.vehicle, plan.reason(threshold)]
            row.update(dict.fromkeys(("planned", "departed", "on_time", "cancelled", "never_departed"), 0))
            row.update(["planned", plan.outcome(), *["on_time"] * plan.is_on_time(threshold)])
    return {key: dict(row) for key, row in rows.items()}


def by_warehouse(rows: dict[DepartureKey, dict[str, int]]) -> dict[tuple[date, str, str | None], dict[str, int]]:
    """Return the rows of `kpi_on_time_departures`: those of the vehicles added up."""
    totals: dict[tuple[date, str, str | None], Counter[str]] = defaultdict(Counter)
    for (day, tenant, warehouse, _, _), row in rows.items():
        totals[day, tenant, warehouse].update(row)
    return {key: dict(row) for key, row in totals.items()}


# --- arrivals --------------------------------------------------------------------------------------------------------

ArrivalKey = tuple[date, str, str | None, str | None]


def arrival_rows(messages: Sequence[Message], registry: Registry) -> dict[ArrivalKey, tuple[int, int]]:
    """Return arrivals and those on time by day, tenant, warehouse and vehicle."""
    transports: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        if each.event is not None and each.event.startswith("transport."):
            transports[each.tenant, each.properties["transport_id"]].append(each)
    rows: dict[ArrivalKey, Counter[str]] = defaultdict(Counter)
    for (tenant, _), facts in transports.items():
        for arrived in of(facts, "transport.arrived")[:1]:
            before = [each for each in facts if moment(each) <= moment(arrived)]
            vehicles = [each.properties["vehicle_ref"] for each in of(before, "transport.scheduled")]
            left_from = sorted(
                of(before, "transport.scheduled") + of(before, "transport.departed"),
                key=lambda each: (moment(each), each.event_at or each.at, str(each.message_id)),
            )
            warehouse = left_from[-1].properties["warehouse_id"] if left_from else None
            planned = datetime.fromisoformat(arrived.properties["planned_arrival_at"])
            limit = timedelta(minutes=registry.tenants[tenant].on_time_threshold_minutes)
            row = rows[registry.on_day(arrived), tenant, warehouse, vehicles[-1] if vehicles else None]
            row.update(arrived=1, on_time=moment(arrived) - planned < limit)
    return {key: (row["arrived"], row["on_time"]) for key, row in rows.items()}
