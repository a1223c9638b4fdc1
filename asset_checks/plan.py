"""Loaded rows and refused ones against the tracking plan: is it what it says, and what comes that it does not know.

Two facts. `rows_conform_to_plan`: every planned property has its type and required ones are there; the gate sees to it,
so a breach is a row that came past the gate or was loaded wrongly. `events_are_of_the_plan` is drift: events and
properties that the plan does not know, refused or not, and events that stay away much longer than ever.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import orjson

from analytics_platform.catalog import Event, Field
from analytics_platform.catalog.quality import VanishedRule
from analytics_platform.lake.dead_letters import DeadLetter
from asset_checks.factory import Facts
from asset_checks.weekdays import Calendar

_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9 _.:-]{0,63}")
_HIDDEN = "(a name that is not shown)"
"""What stands for a name that may be anything, a person's address among it."""

_KINDS: Mapping[str, frozenset[str]] = {
    "integer": frozenset({"BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"}),
    "number": frozenset({"BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"}),
    "boolean": frozenset({"BOOLEAN"}),
}
"""Types of JSON values by type of a field; text for all others. A whole number may be written as 5.0."""

_TEXT = frozenset({"VARCHAR"})
_READ = frozenset({"timestamp", "integer"})
"""Types whose values may be of the right JSON type and still not be readable."""


@dataclass(frozen=True)
class Seen:
    """Values of one property (None: rows) of an event's rows on a day.

    Attributes:
        event: the event's name as sent.
        property: the property's.
        kind: DuckDB's name of the JSON type.
        count: rows that have it.
        unreadable: of these, timestamps that are no moment and whole numbers with a fraction.
    """

    event: str
    property: str | None
    kind: str | None
    count: int
    unreadable: int = 0


@dataclass(frozen=True)
class Unplanned:
    """An event, or a property of one, that the plan does not know."""

    tenant: str
    event: str
    property: str | None

    def __str__(self) -> str:
        return self.event if self.property is None else f"{self.event}.{self.property}"


def rows_conform_to_plan(day: date, seen: Sequence[Seen], events: Mapping[str, Event]) -> Facts:
    """Every planned property has its type in every row that has it, and is in every row that must have it."""
    rows = {each.event: each.count for each in seen if each.property is None}
    fields = {(name, field.name): field for name in rows if name in events for field in events[name].all_fields}
    values: Counter[tuple[str, str]] = Counter()
    bad: Counter[str] = Counter()
    for each in seen:
        field = fields.get((each.event, each.property or ""))
        if field is not None:
            values[each.event, field.name] += each.count
            if broken := _broken(each, field):
                bad[f"{day} {each.event}.{field.name}: no readable {field.type}"] += broken
    for (event, name), field in fields.items():
        if field.required and (missing := rows[event] - values[event, name]) > 0:
            bad[f"{day} {event}.{name}: missing"] += missing
    offenders = [f"{what} in {count} rows" for what, count in bad.most_common()]
    checked, failed = values.total(), bad.total()
    summary = f"{failed:,} of {checked:,} values are missing or are not what the plan says"
    counts = {"rows": sum(rows.values()), "events": len(rows), "properties": len(fields)}
    return Facts(not failed, summary, counts, offenders, checked, failed)


def events_are_of_the_plan(
    seen: Sequence[tuple[Unplanned, int]], tolerated_rows: int, vanished: Sequence[str], day: date, messages: int
) -> Facts:
    """Nothing comes that the plan does not know, and nothing stays away that always came.

    Args:
        seen: what the plan does not know, with how often it came.
        tolerated_rows: so often is one client's mistake.
        vanished: `vanished_events` of the day.
        day: the day that is judged.
        messages: how many were looked at, refused ones among them.
    """
    drifting = [(what, count) for what, count in seen if count > tolerated_rows]
    drifting.sort(key=lambda each: -each[1])
    offenders = [f"{day} {what.tenant} {what}: not in the plan, {count} times" for what, count in drifting]
    unplanned = sum(count for _, count in seen)
    summary = (
        f"{unplanned:,} of {messages:,} messages hold what the plan does not know ({len(drifting)} names beyond "
        f"{tolerated_rows} times a tenant); {len(vanished)} events vanished"
    )
    counts = {"unplanned_names": len({str(what) for what, _ in seen}), "vanished_events": len(vanished)}
    failed = sum(count for _, count in drifting)
    return Facts(not offenders and not vanished, summary, counts, [*offenders, *vanished], messages, failed)


def unplanned_in_rows(seen: Sequence[Seen], events: Mapping[str, Event], tenant: str = "all") -> Counter[Unplanned]:
    """Of loaded rows: events and properties that the plan does not know."""
    found: Counter[Unplanned] = Counter()
    for each in seen:
        if each.event not in events:
            if each.property is None:
                found[Unplanned(tenant, shown(each.event, _EVENT), None)] += each.count
        elif each.property is not None and each.property not in _names(events[each.event]):
            found[Unplanned(tenant, each.event, shown(each.property, _PROPERTY))] += each.count
    return found


def unplanned_in_letter(letter: DeadLetter, events: Mapping[str, Event]) -> list[Unplanned]:
    """Of a refused message: the same; nothing where the message cannot be read."""
    try:
        message = orjson.loads(letter.raw)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(message, dict) or not isinstance(event := message.get("event"), str):
        return []
    if event not in events:
        return [Unplanned(letter.tenant, shown(event, _EVENT), None)]
    properties = message.get("properties")
    names = properties if isinstance(properties, dict) else {}
    known = _names(events[event])
    return [Unplanned(letter.tenant, event, shown(name, _PROPERTY)) for name in names if name not in known]


def vanished_events(
    day: date, days_of: Mapping[tuple[str, str], Sequence[date]], rule: VanishedRule, calendar: Calendar
) -> list[str]:
    """Events that stay away much longer than they ever did in the weeks before, though the tenant sends others.

    Business comes in bursts, so an empty day says little and the event's own longest gap says what is long. Holidays
    are no days of absence.

    Args:
        day: the day that is judged.
        days_of: by tenant and event, the days that have any, in order.
        rule: how far to look back, and how long and how well known an absence must be.
        calendar: the tenants' holidays and running days.
    """
    sending = {tenant for (tenant, _), days in days_of.items() if _has(days, day)}
    found = []
    for (tenant, event), days in sorted(days_of.items()):
        if tenant not in sending or _has(days, day) or not calendar.is_judged(tenant, day):
            continue
        seen = days[bisect_left(days, day - timedelta(weeks=rule.weeks)) : bisect_left(days, day)]
        if len(seen) < rule.min_days_seen:
            continue
        longest = max((after - before).days - 1 for before, after in pairwise(seen))
        closed = sum(seen[-1] < holiday < day for holiday in calendar.holidays[tenant])
        absent = (day - seen[-1]).days - closed
        if absent >= rule.min_days_absent and absent > rule.times_longest * longest:
            found.append(f"{day} {tenant} {event}: stays away for {absent} days, never longer than {longest} before")
    return found


def shown(name: str, harmless: re.Pattern[str]) -> str:
    """The name where it looks like one of ours; what may be anything is not repeated."""
    return name if harmless.fullmatch(name) else _HIDDEN


def _has(days: Sequence[date], day: date) -> bool:
    place = bisect_left(days, day)
    return place < len(days) and days[place] == day


def _broken(seen: Seen, field: Field) -> int:
    if seen.kind not in _KINDS.get(field.type, _TEXT):
        return seen.count
    return seen.unreadable if field.type in _READ else 0


def _names(event: Event) -> Collection[str]:
    return {field.name for field in event.all_fields}
