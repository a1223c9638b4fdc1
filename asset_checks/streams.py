"""The checks of loaded streams: which query answers for which judge, each for all streams at once.

What is judged is in `arrivals`, `plan`, `references` and `duplicates`; one query serves a whole run, a night and a year
alike. All of them read numbers, and none blocks: `rows_reconcile_with_lake` (`intake`) does.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.quality import StreamQuality
from analytics_platform.defs import keys
from analytics_platform.defs.ledger import LEDGER_TABLE
from analytics_platform.defs.loaded import stream_table
from analytics_platform.defs.partitions import Partitions
from asset_checks.arrivals import (
    Share,
    busy_hours_have_events,
    by_local_hour,
    expected_tenants_have_sent,
    share_is_within_limit,
    volume_is_as_on_same_weekdays,
)
from asset_checks.duplicates import TWICE_QUERY, no_message_is_loaded_twice
from asset_checks.factory import Facts, Scope
from asset_checks.grouped import Found, GroupJudge, Told, check_group
from asset_checks.references import Named, references_of, references_query, references_resolve
from asset_checks.weekdays import Calendar, calendar_of

VOLUME = Told(
    "volume_is_as_on_same_weekdays",
    "Rows per tenant against the median of the last days of the same weekday; a sudden half or double is a fault of a "
    "producer more often than of business.",
    "accuracy",
)
TENANTS = Told(
    "expected_tenants_have_sent",
    "Every tenant that always sends on this weekday did; else its figures of the day are empty, not zero.",
    "completeness",
)
DEAD_LETTERS = Told(
    "dead_letter_share_is_within_limit",
    "Refused messages of each tenant against all that it sent: what is refused counts nowhere until it is replayed.",
    "validity",
)
DUPLICATES = Told(
    "duplicate_share_is_within_limit",
    "Repeated messages of each tenant against all that it sent: many are a producer that takes no yes for an answer.",
    "uniqueness",
)
TWICE = Told(
    "no_message_is_loaded_twice",
    "No two loaded rows have one tenant and message id, on one day or on two: de-duplication works within a day.",
    "uniqueness",
    dg.AssetCheckSeverity.ERROR,
)
HOURS = Told(
    "busy_hours_have_events",
    "No hour that is busy on this weekday is empty: a gap within a day that the day's volume hides.",
    "completeness",
)
REFERENCES = Told(
    "references_resolve",
    "What the stream's events name has been told by another event; late ones are normal, so shares have limits.",
    "consistency",
)


def stream_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """All of them, except those against the tracking plan (`against_plan`)."""
    streams = list(catalog.streams)
    busy = [name for name in streams if catalog.stream_quality[name].busy_hours]
    naming = [name for name in streams if references_of(catalog, name)]
    groups: list[tuple[str, list[Told], list[str], GroupJudge]] = [
        ("loaded_streams_arrivals", [VOLUME, TENANTS, DEAD_LETTERS, DUPLICATES], streams, _arrivals(catalog)),
        ("loaded_streams_twice", [TWICE], streams, _twice),
        ("loaded_streams_hours", [HOURS], busy, _hours(catalog)),
        ("loaded_streams_references", [REFERENCES], naming, _references(catalog)),
    ]
    return [
        check_group(step, told, [keys.loaded(name) for name in names], judge, partitions_def=partitions.day)
        for step, told, names, judge in groups
    ]


def judged_days(scope: Scope, rows: Iterable[date] = ()) -> list[date]:
    """The days of the run; of a run without any, those that have rows."""
    if scope.partition_keys:
        return [date.fromisoformat(key) for key in scope.partition_keys]
    return sorted(set(rows))


def with_history(scope: Scope, weekdays: int) -> tuple[date, date]:
    """The days of the run, and as many weeks before."""
    first, last = scope.days()
    return (first - timedelta(weeks=weekdays) if first.year > 1970 else first), last


def _arrivals(catalog: Catalog) -> GroupJudge:
    weekdays = max(
        max(each.volume.weekdays, each.expected_tenants.weekdays) for each in catalog.stream_quality.values()
    )

    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        sql = f"select stream, tenant_id, day, received, accepted, duplicates, dead_lettered from {LEDGER_TABLE} "
        rows = scope.warehouse.query(f"{sql} where day between ? and ? order by day", with_history(scope, weekdays))
        by_stream: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows.to_pylist():
            by_stream[row["stream"]].append(row)
        calendar = calendar_of(catalog, datetime.now(UTC))
        found: dict[dg.AssetCheckKey, dict[str, Facts]] = {}
        for asset in assets:
            stream = asset.path[-1]
            found |= _arrivals_of(scope, asset, by_stream[stream], catalog.stream_quality[stream], calendar)
        return found

    return judge


def _arrivals_of(
    scope: Scope, asset: dg.AssetKey, rows: list[Mapping[str, Any]], quality: StreamQuality, calendar: Calendar
) -> dict[dg.AssetCheckKey, dict[str, Facts]]:
    series: dict[str, dict[date, int]] = defaultdict(dict)
    for row in rows:
        series[row["tenant_id"]][row["day"]] = row["accepted"]
    by_day = _by_day(rows)
    found: dict[dg.AssetCheckKey, dict[str, Facts]] = defaultdict(dict)
    for day in judged_days(scope, by_day):
        refused = [Share(row["tenant_id"], row["dead_lettered"], row["received"]) for row in by_day[day]]
        repeated = [Share(row["tenant_id"], row["duplicates"], row["received"]) for row in by_day[day]]
        facts = {
            VOLUME: volume_is_as_on_same_weekdays(day, series, quality.volume, calendar),
            TENANTS: expected_tenants_have_sent(day, series, quality.expected_tenants, calendar),
            DEAD_LETTERS: share_is_within_limit(day, refused, quality.dead_letters, "were refused"),
            DUPLICATES: share_is_within_limit(day, repeated, quality.duplicates, "were repetitions"),
        }
        for told, each in facts.items():
            found[dg.AssetCheckKey(asset, told.name)][day.isoformat()] = each
    return found


def _hours(catalog: Catalog) -> GroupJudge:
    zones = {name: ZoneInfo(tenant.time_zone) for name, tenant in catalog.tenants.items()}
    rules = {name: quality.busy_hours for name, quality in catalog.stream_quality.items() if quality.busy_hours}

    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        first, last = with_history(scope, max(rule.weekdays for rule in rules.values()))
        calendar = calendar_of(catalog, datetime.now(UTC))
        found: dict[dg.AssetCheckKey, dict[str, Facts]] = {}
        rows = _union(
            scope,
            assets,
            "select day, tenant_id, date_trunc('hour', event_at) as hour, count(*) as rows from {table} "
            "where day between ? and ? group by all",
            [first, last],
        )
        for asset in assets:
            own = sorted(rows[asset], key=lambda row: row["day"])
            hours = by_local_hour(((row["day"], row["tenant_id"], row["hour"], row["rows"]) for row in own), zones)
            rule = rules[asset.path[-1]]
            found[dg.AssetCheckKey(asset, HOURS.name)] = {
                day.isoformat(): busy_hours_have_events(day, hours, rule, calendar)
                for day in judged_days(scope, (row["day"] for row in own))
            }
        return found

    return judge


def _twice(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
    rows = _union(scope, assets, TWICE_QUERY, list(scope.days()))
    return {
        dg.AssetCheckKey(asset, TWICE.name): {
            day.isoformat(): no_message_is_loaded_twice(day, by_day[day]) for day in judged_days(scope, by_day)
        }
        for asset, by_day in ((asset, _by_day(rows[asset])) for asset in assets)
    }


def _by_day(rows: Iterable[Mapping[str, Any]]) -> dict[date, list[Mapping[str, Any]]]:
    by_day: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_day[row["day"]].append(row)
    return by_day


def _references(catalog: Catalog) -> GroupJudge:
    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        by_asset = {asset: references_of(catalog, asset.path[-1]) for asset in assets}
        wanted = [reference for references in by_asset.values() for reference in references.values()]
        named: dict[date, list[Named]] = defaultdict(list)
        for row in scope.warehouse.query(*references_query(catalog, wanted, *scope.days())).to_pylist():
            told = Named(row["reference"], row["rows"], row["missing"], row["samples"] or ())
            named[row["day"]].append(told)
        return {
            dg.AssetCheckKey(asset, REFERENCES.name): {
                day.isoformat(): references_resolve(
                    day, [each for each in named[day] if each.reference in references], references
                )
                for day in judged_days(scope, named)
            }
            for asset, references in by_asset.items()
        }

    return judge


def _union(
    scope: Scope, assets: Collection[dg.AssetKey], sql: str, parameters: list[object]
) -> dict[dg.AssetKey, list[Mapping[str, Any]]]:
    """The rows of one query over several streams' tables, by stream."""
    names = {asset.path[-1]: asset for asset in assets}
    parts = [f"select '{name}' as stream, * from ({sql.format(table=stream_table(name))})" for name in names]
    found: dict[dg.AssetKey, list[Mapping[str, Any]]] = {asset: [] for asset in assets}
    for row in scope.warehouse.query(" union all ".join(parts), parameters * len(parts)).to_pylist():
        found[names[row["stream"]]].append(row)
    return found
