"""The checks against the tracking plan: which query and which letters answer for `plan`, for all streams at once."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime

import dagster as dg

from analytics_platform.catalog import Catalog, Event, Stream
from analytics_platform.defs import keys
from analytics_platform.defs.loaded import stream_table
from analytics_platform.defs.partitions import Partitions
from analytics_platform.lake.dead_letters import DeadLetter, Seals, lines_of, parse_letter
from analytics_platform.lake.layout import DEAD_PREFIX, placed
from analytics_platform.lake.store import ObjectStore
from asset_checks.factory import Facts, Scope, check
from asset_checks.grouped import Found, GroupJudge, Told, check_group
from asset_checks.plan import (
    Seen,
    Unplanned,
    events_are_of_the_plan,
    rows_conform_to_plan,
    unplanned_in_letter,
    unplanned_in_rows,
    vanished_events,
)
from asset_checks.streams import judged_days, with_history
from asset_checks.weekdays import Calendar, calendar_of

CONFORMS = Told(
    "rows_conform_to_plan",
    "Every planned property of every loaded event has its type, and required ones are there: the gate refuses all "
    "else, so a breach came past it.",
    "validity",
    dg.AssetCheckSeverity.ERROR,
)
DRIFT = Told(
    "events_are_of_the_plan",
    "No property comes that the plan does not know, refused or loaded, and no event stays away that always came: a "
    "producer that changes without the plan is seen before its figures are missed.",
    "validity",
)
Drift = Mapping[date, Counter[Unplanned]]
Days = dict[tuple[str, str], list[date]]
"""By tenant and event, the days that have any, in order."""


def plan_checks(catalog: Catalog, partitions: Partitions, seals: Seals) -> list[dg.AssetChecksDefinition]:
    """Conformity and drift of every stream, and the events that belong to no stream at all."""
    assets = [keys.loaded(name) for name in catalog.streams]
    told = [CONFORMS, DRIFT]
    group = check_group("loaded_streams_plan", told, assets, _plan(catalog, seals), partitions_def=partitions.day)
    return [group, _unknown_events_check(catalog, partitions, seals)]


def letters_of(store: ObjectStore, first: date, last: date, seals: Seals) -> Iterable[DeadLetter]:
    """The refused messages of some days, opened: of a healthy platform they are few."""
    for info in store.list(DEAD_PREFIX):
        if first <= placed(info.key).day <= last:
            yield from (parse_letter(line, seals) for line in lines_of(store.get(info.key)))


def _plan(catalog: Catalog, seals: Seals) -> GroupJudge:
    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        streams = [catalog.streams[asset.path[-1]] for asset in assets]
        seen = _seen(scope, streams)
        refused = _refused(letters_of(scope.store, *scope.days(), seals), catalog.events)
        days_of = _days_of(scope, streams, catalog)
        calendar = calendar_of(catalog, datetime.now(UTC))
        found: dict[dg.AssetCheckKey, dict[str, Facts]] = {}
        for stream in streams:
            found |= _plan_of(
                scope, catalog, stream, seen[stream.name], refused[stream.name], days_of[stream.name], calendar
            )
        return found

    return judge


def _plan_of(
    scope: Scope,
    catalog: Catalog,
    stream: Stream,
    seen: Mapping[date, list[Seen]],
    refused: Drift,
    days_of: Days,
    calendar: Calendar,
) -> dict[dg.AssetCheckKey, dict[str, Facts]]:
    quality = catalog.stream_quality[stream.name]
    events = {event.name: event for event in stream.events}
    conforms, drift = {}, {}
    for day in judged_days(scope, seen):
        rows, letters = seen.get(day, []), refused.get(day, Counter())
        unplanned = unplanned_in_rows(rows, events) + letters
        vanished = vanished_events(day, days_of, quality.vanished_events, calendar)
        messages = sum(each.count for each in rows if each.property is None) + letters.total()
        conforms[day.isoformat()] = rows_conform_to_plan(day, rows, events)
        drift[day.isoformat()] = events_are_of_the_plan(
            list(unplanned.items()), quality.dead_letters.tolerated_rows, vanished, day, messages
        )
    asset = keys.loaded(stream.name)
    return {dg.AssetCheckKey(asset, CONFORMS.name): conforms, dg.AssetCheckKey(asset, DRIFT.name): drift}


def _unknown_events_check(catalog: Catalog, partitions: Partitions, seals: Seals) -> dg.AssetChecksDefinition:
    """An event that no stream knows has no loaded table to be told on; the ledger counts it."""
    tolerated = min(quality.dead_letters.tolerated_rows for quality in catalog.stream_quality.values())

    def judge(scope: Scope) -> dict[str, Facts]:
        unknown: dict[date, Counter[Unplanned]] = defaultdict(Counter)
        for letter in letters_of(scope.store, *scope.days(), seals):
            unknown[letter.day].update(
                each for each in unplanned_in_letter(letter, catalog.events) if each.property is None
            )
        return {
            day.isoformat(): events_are_of_the_plan(
                list(unknown[day].items()), tolerated, (), day, unknown[day].total()
            )
            for day in judged_days(scope, list(unknown))
        }

    return check(
        keys.LEDGER,
        DRIFT.name,
        judge,
        description="No event comes again and again that no stream of the plan knows.",
        dimension=DRIFT.dimension,
        severity=dg.AssetCheckSeverity.WARN,
        partitions_def=partitions.day,
    )


def _refused(letters: Iterable[DeadLetter], events: Mapping[str, Event]) -> dict[str, dict[date, Counter[Unplanned]]]:
    """Unplanned properties of refused messages, by stream and day."""
    refused: dict[str, dict[date, Counter[Unplanned]]] = defaultdict(lambda: defaultdict(Counter))
    for letter in letters:
        for each in unplanned_in_letter(letter, events):
            if each.property is not None:
                refused[events[each.event].stream][letter.day][each] += 1
    return refused


def _seen(scope: Scope, streams: Collection[Stream]) -> dict[str, dict[date, list[Seen]]]:
    """What the rows of the run hold, by stream and day, in one query."""
    first, last = scope.days()
    sql = " union all ".join(_seen_query(stream) for stream in streams)
    seen: dict[str, dict[date, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for row in scope.warehouse.query(sql, [first, last] * 2 * len(streams)).to_pylist():
        each = Seen(row["event"], row["property"], row["kind"], row["rows"], row["unreadable"])
        seen[row["stream"]][row["day"]].append(each)
    return seen


def _seen_query(stream: Stream) -> str:
    fields = [field for event in stream.events for field in event.all_fields]
    moments = _names({field.name for field in fields if field.type == "timestamp"})
    integers = _names({field.name for field in fields if field.type == "integer"})
    rows = f"from {stream_table(stream.name)} where type = 'track' and day between ? and ?"
    return f"""
        select
            '{stream.name}' as stream, day, event, cast(null as varchar) as property, cast(null as varchar) as kind,
            count(*) as rows, 0 as unreadable
        {rows}
        group by day, event
        union all
        select
            '{stream.name}' as stream, day, event, property, kind, count(*) as rows,
            count(*) filter (
                (property in ({moments}) and try_cast(said as timestamptz) is null)
                or (property in ({integers}) and try_cast(said as double) <> floor(try_cast(said as double)))
            ) as unreadable
        from (
            select
                told.day, told.event, member.key as property, member.type as kind, member.value ->> '$' as said
            from (select day, event, properties {rows}) as told, json_each(told.properties) as member
        ) as members
        group by day, event, property, kind
    """


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "null"


def _days_of(scope: Scope, streams: Collection[Stream], catalog: Catalog) -> dict[str, Days]:
    """The days that have any of an event, as far back as vanished events are looked for, by stream."""
    first, last = with_history(scope, max(each.vanished_events.weeks for each in catalog.stream_quality.values()))
    sql = " union all ".join(
        f"select distinct '{stream.name}' as stream, tenant_id, event, day from {stream_table(stream.name)} "
        "where type = 'track' and day between ? and ?"
        for stream in streams
    )
    days_of: dict[str, Days] = {stream.name: defaultdict(list) for stream in streams}
    for row in scope.warehouse.query(f"{sql} order by day", [first, last] * len(streams)).to_pylist():
        days_of[row["stream"]][row["tenant_id"], row["event"]].append(row["day"])
    return days_of
