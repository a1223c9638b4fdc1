"""The operations definitions once more, in plain Python and day by day: what the SQL models are compared with.

Belongs here: naive readings of `kpis.md` (no spans, no windows), and the strategies that draw facts for both.
Stays out: assertions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from fixture import TENANTS, Message, message
from hypothesis import strategies as st

EPOCH = date(2026, 3, 27)
"""First day of drawn facts: the Friday before the clocks of Amsterdam and London change."""
LENGTH = 6

ZONES = {tenant.tenant_id: ZoneInfo(tenant.time_zone) for tenant in TENANTS}
ON_RENT = {"checked_out", "in_transit", "on_site"}
MAINTENANCE = {"in_repair", "in_inspection"}
OUT_OF_FLEET = {"lost", "retired"}
STATUSES = ("available", "checked_out", "on_site", "in_repair", "in_inspection", "lost", "returned")
EQUIPMENT_EVENTS = ("equipment.registered", "equipment.status_changed", "scan.completed", "scan.exception")


def moment(each: Message) -> datetime:
    """Return the business time of a message."""
    return datetime.fromisoformat(each.at)


def local_day(text: str, tenant: str) -> date:
    """Return the tenant's date of an RFC 3339 time."""
    return datetime.fromisoformat(text).astimezone(ZONES[tenant]).date()


def on_day(each: Message) -> date:
    """Return the business day of a message's business time."""
    return local_day(each.at, each.tenant)


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days first..last."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def identified(messages: Iterable[Message]) -> list[Message]:
    """Return the messages with ids that do not depend on their place in a list."""
    return [replace(each, message_id=f"m{number:05d}") for number, each in enumerate(messages)]


# --- drawing ---------------------------------------------------------------------------------------------------------


def moments(step_minutes: int = 90) -> st.SearchStrategy[str]:
    """Draw RFC 3339 times on a coarse grid, so that ties and midnights are common."""
    start = datetime.combine(EPOCH, datetime.min.time(), UTC) - timedelta(hours=2)
    steps = LENGTH * 24 * 60 // step_minutes
    return st.integers(0, steps).map(lambda n: (start + timedelta(minutes=n * step_minutes)).isoformat())


@st.composite
def equipment_fact(draw: st.DrawFn) -> Message:
    """Draw one fact of one of a few items."""
    event = draw(st.sampled_from(EQUIPMENT_EVENTS))
    status = draw(st.sampled_from(STATUSES))
    own = {"tenant": draw(st.sampled_from(("t1", "gb"))), "equipment_id": draw(st.sampled_from(("e1", "e2")))}
    if event == "equipment.registered":
        extra = {
            "sku": "s",
            "category": draw(st.sampled_from(("light", "sound"))),
            "status": status,
            "home_warehouse_id": draw(st.sampled_from(("w1", "w2"))),
            **draw(st.sampled_from(({}, {"acquisition_cost_minor": 100}, {"acquisition_cost_minor": 7}))),
        }
    elif event == "scan.exception":
        code = draw(st.sampled_from(("damaged", "status_conflict", "duplicate_scan")))
        extra = {"code": code, "resolved": False, **draw(st.sampled_from(({}, {"to_status": status})))}
    else:
        extra = {"from_status": "available", "to_status": status, "status_seq": draw(st.integers(0, 2))}
    return message(event, draw(moments()), **own, **extra)


@st.composite
def equipment_facts(draw: st.DrawFn) -> list[Message]:
    """Draw facts of a few items in two time zones: repeated, late, conflicting, before registration."""
    registered = [
        message(
            "equipment.registered",
            f"{EPOCH}T00:00:00Z",
            tenant=tenant,
            equipment_id="e1",
            sku="s",
            category="light",
            status="available",
            home_warehouse_id="w1",
            acquisition_cost_minor=40,
        )
        for tenant in ("t1", "gb")
    ]
    facts = draw(st.lists(equipment_fact(), min_size=1, max_size=25))
    return identified(registered + facts)


@st.composite
def transport_facts(draw: st.DrawFn) -> list[Message]:
    """Draw plans, moved plans, departures around the thresholds, and cancellations."""
    facts: list[Message] = []
    for number in range(draw(st.integers(1, 6))):
        own = {"tenant": draw(st.sampled_from(("t1", "gb"))), "transport_id": f"x{number}"}
        plans = draw(st.lists(moments(), min_size=0, max_size=3))
        facts += [draw(_schedule(plan, own)) for plan in plans]
        told = draw(st.sampled_from(plans) if plans else moments())
        facts += draw(st.lists(_end("transport.departed", told, own), max_size=2))
        facts += draw(st.lists(_end("transport.cancelled", told, own), max_size=1))
    return identified(facts)


@st.composite
def _schedule(draw: st.DrawFn, plan: str, own: dict[str, str]) -> Message:
    """Draw when a plan was made, mostly before it."""
    made = datetime.fromisoformat(plan) - timedelta(hours=draw(st.sampled_from((-30, -3, 0, 3, 30, 60))))
    warehouse = draw(st.sampled_from(("w1", "w2")))
    details = {"planned_departure_at": plan, "vehicle_ref": "v", "direction": "outbound"}
    return message("transport.scheduled", made.isoformat(), warehouse_id=warehouse, **details, **own)


@st.composite
def _end(draw: st.DrawFn, event: str, plan: str, own: dict[str, str]) -> Message:
    """Draw a departure or cancellation around the thresholds."""
    late = draw(st.sampled_from((-90, -1, 0, 14, 14.999, 15, 600, 1439, 1440, 1441, 3000)))
    at = datetime.fromisoformat(plan) + timedelta(minutes=late)
    departed = {"warehouse_id": "w3", "loaded_items": 1, "expected_items": 1}
    details = departed if event == "transport.departed" else {"reason": "r"}
    return message(event, at.isoformat(), planned_departure_at=plan, **details, **own)


# --- utilisation -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemDay:
    """Where an item stands at the close of a day."""

    status: str
    has_conflict: bool
    category: str
    warehouse: str
    cost: int | None

    @property
    def is_in_fleet(self) -> bool:
        """Return whether the item is neither lost nor retired."""
        return self.status not in OUT_OF_FLEET


def _number(each: Message) -> int | None:
    """Return the place of a fact in its item's order; None for one that carries none."""
    if each.event == "equipment.registered":
        return -1
    return each.properties.get("status_seq")


def _claimed(each: Message) -> str:
    """Return the status that a fact claims."""
    return str(each.properties.get("to_status") or each.properties["status"])


def _moves(each: Message) -> bool:
    """Return whether a fact claims a status at all."""
    if each.event != "scan.exception":
        return True
    return "to_status" in each.properties and each.properties["code"] != "duplicate_scan"


def _in_time(each: Message) -> tuple[datetime, float, str]:
    """Order facts by their time; of the same moment numbers decide, and what has none comes last."""
    number = _number(each)
    return moment(each), float("inf") if number is None else number, str(each.message_id)


def status_of(facts: list[Message]) -> tuple[str, bool]:
    """Return the status that an item's facts leave, and whether they conflict."""
    facts = sorted(filter(_moves, facts), key=_in_time)
    top = max(number for number in map(_number, facts) if number is not None)
    first = next(place for place, each in enumerate(facts) if _number(each) == top)
    claims = [each for each in facts[first:] if _number(each) in {top, None}]
    rent = [_claimed(each) for each in claims if _claimed(each) in ON_RENT]
    maintenance = [each for each in claims if _claimed(each) in MAINTENANCE]
    numbered = {_claimed(each) for each in claims if _number(each) is not None and top >= 0}
    status = _claimed(claims[-1])
    if status in MAINTENANCE and rent:
        status = rent[-1]
    return status, len(numbered) > 1 or bool(rent and maintenance)


def item_days(messages: list[Message], first: date, last: date) -> dict[tuple[date, str, str], ItemDay]:
    """Return each registered item's state at the close of each day, from the facts up to that day."""
    items: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        items[each.tenant, each.properties["equipment_id"]].append(each)
    found: dict[tuple[date, str, str], ItemDay] = {}
    for (tenant, item), facts in items.items():
        for day in days(first, last):
            known = [each for each in facts if on_day(each) <= day]
            registrations = sorted(
                (each for each in known if each.event == "equipment.registered"),
                key=lambda each: (moment(each), str(each.message_id)),
            )
            if registrations:
                own = registrations[-1].properties
                found[day, tenant, item] = ItemDay(
                    *status_of(known), own["category"], own["home_warehouse_id"], own.get("acquisition_cost_minor")
                )
    return found


def utilisation_rows(
    messages: list[Message], first: date, last: date
) -> dict[tuple[date, str, str, str], dict[str, int]]:
    """Return the rows of `kpi_equipment_utilisation`."""
    rows: dict[tuple[date, str, str, str], Counter[str]] = defaultdict(Counter)
    for (day, tenant, _), item in item_days(messages, first, last).items():
        rows[day, tenant, item.category, item.warehouse].update(
            fleet_items=item.is_in_fleet,
            on_rent_items=item.status in ON_RENT,
            maintenance_items=item.status in MAINTENANCE,
            fleet_cost_minor=(item.cost or 0) if item.is_in_fleet else 0,
            on_rent_cost_minor=(item.cost or 0) if item.status in ON_RENT else 0,
        )
    return {key: dict(row) for key, row in rows.items()}


# --- departures ------------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """A planned departure of a transport and what became of it."""

    planned: str
    tenant: str
    warehouse: str | None
    made: datetime | None = None
    number: int = 0
    departed: datetime | None = None
    cancelled: datetime | None = None

    @property
    def planned_at(self) -> datetime:
        """Return the moment of the planned departure."""
        return datetime.fromisoformat(self.planned)

    def outcome(self) -> str:
        """Return what is known 24 hours after the plan."""
        limit = self.planned_at + timedelta(hours=24)
        if self.departed is not None and self.departed <= limit:
            return "departed"
        return "cancelled" if self.cancelled is not None and self.cancelled <= limit else "never_departed"

    def is_on_time(self) -> bool:
        """Return whether it left strictly less than 15 minutes late."""
        return (
            self.outcome() == "departed"
            and self.departed is not None
            and self.departed - self.planned_at < timedelta(minutes=15)
        )


def _of(facts: list[Message], event: str) -> list[Message]:
    """Return the facts of one event in the order of their times."""
    return sorted(
        (each for each in facts if each.event == event), key=lambda each: (moment(each), str(each.message_id))
    )


def _all_plans(facts: list[Message]) -> list[Plan]:
    """Return every plan of one transport; without a schedule the departure, else the cancellation, states it."""
    scheduled = _of(facts, "transport.scheduled")
    told = scheduled or _of(facts, "transport.departed")[:1] or _of(facts, "transport.cancelled")[:1]
    return [
        Plan(
            each.properties["planned_departure_at"],
            each.tenant,
            each.properties.get("warehouse_id"),
            moment(each) if scheduled else None,
            number,
        )
        for number, each in enumerate(told)
    ]


def binding_plans(plans: list[Plan]) -> list[Plan]:
    """Return, of each planned day, the last plan that was still the latest one when its day closed."""
    kept: dict[date, Plan] = {}
    for plan, following in zip(plans, [*plans[1:], None], strict=True):
        day = local_day(plan.planned, plan.tenant)
        if following is not None and plan.made is not None and following.made is not None:
            judged = max(day, plan.made.astimezone(ZONES[plan.tenant]).date())
            if following.made.astimezone(ZONES[plan.tenant]).date() <= judged:
                continue
        kept[day] = plan
    return list(kept.values())


def _fulfil(plans: list[Plan], binding: list[Plan], facts: list[Message]) -> None:
    """Tell the plans of one transport what became of them."""
    for left in _of(facts, "transport.departed")[:1]:
        in_force = [plan for plan in binding if plan.made is None or plan.made <= moment(left)]
        plan = max(in_force, key=lambda each: each.number) if in_force else min(binding, key=lambda each: each.number)
        plan.departed = moment(left)
    for ended in _of(facts, "transport.cancelled"):
        before = [plan for plan in plans if plan.made is None or plan.made <= moment(ended)]
        plan = before[-1] if before else plans[0]
        plan.cancelled = min(plan.cancelled or moment(ended), moment(ended))


def departure_rows(messages: list[Message]) -> dict[tuple[date, str, str | None], dict[str, int]]:
    """Return the rows of `kpi_on_time_departures`."""
    transports: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        transports[each.tenant, each.properties["transport_id"]].append(each)
    rows: dict[tuple[date, str, str | None], Counter[str]] = defaultdict(Counter)
    for facts in transports.values():
        plans = _all_plans(facts)
        binding = binding_plans(plans)
        _fulfil(plans, binding, facts)
        for plan in binding:
            row = rows[local_day(plan.planned, plan.tenant), plan.tenant, plan.warehouse]
            row.update(dict.fromkeys(("planned", "departed", "on_time", "cancelled", "never_departed"), 0))
            row.update(["planned", plan.outcome(), *["on_time"] * plan.is_on_time()])
    return {key: dict(row) for key, row in rows.items()}
