"""Checks of erasure: nobody who was erased is back, requests are answered in time, and what was kept goes at its term.

They look for themselves: every subject value in the lake and the warehouse is hashed and compared with the statements
that keep the erased away; whom those are about nobody knows any more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import orjson

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.retention_clock import last_overdue
from analytics_platform.defs import keys
from analytics_platform.defs.erasure import erasure_desk, receipts_of
from analytics_platform.defs.resources import identity_keys_from
from analytics_platform.defs.retention import reporting_day
from analytics_platform.governance.erasure.desk import ErasureDesk
from analytics_platform.governance.erasure.lake import read_parquet
from analytics_platform.governance.erasure.place import Held
from analytics_platform.governance.erasure.receipt import ANSWER_WITHIN, Receipt
from analytics_platform.governance.erasure.tables import columns_of
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.severing import texts_of
from analytics_platform.identities.suppression import Suppressions, read_suppressions
from analytics_platform.lake.layout import placed, raw_prefix
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse, row_text
from asset_checks.factory import Facts, Judge, Scope, check

UNDER_WAY_WITHIN = timedelta(weeks=3)
"""After that little time is left for whoever has to approve, run and answer."""

_FINISHED = "verified"
_Seen = tuple[str, datetime, set[str]]
"""Where texts stand, when what they speak of happened, and the texts."""

_DESCRIPTIONS: Mapping[str, str] = {
    "no_erased_subject_survives": "No subject value in lake or warehouse has the keyed hash of an erased person.",
    "requests_are_answered_in_time": "No request for erasure is open for a month (GDPR art. 12(3)).",
    "requests_are_under_way": "No request is open for three weeks: there is time to finish it within the month.",
    "begun_erasures_are_verified": "No erasure broke off, and the search after none has found anything.",
    "severed_rows_go_at_their_term": "Of the rows kept without their person, none is beyond its class's max_keep.",
    "no_lock_forbids_erasure": "No Object Lock in compliance mode makes erasure in the lake impossible.",
}


def erasure_checks(settings: Settings, catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks of the asset of erasures."""

    def desk(scope: Scope) -> ErasureDesk:
        return erasure_desk(settings, catalog=catalog, store=scope.store, warehouse=scope.warehouse)

    def receipts(scope: Scope) -> list[Receipt]:
        return receipts_of(desk(scope), settings, catalog, datetime.now(UTC))

    def survives(scope: Scope) -> Facts:
        finished = {each.request.request_id for each in receipts(scope) if each.state == _FINISHED}
        erased = finished_suppressions(read_suppressions(scope.store), finished)
        held = {tenant: desk(scope).held(tenant, datetime.now(UTC).date()) for tenant in erased.by_tenant}
        seen = values_of_subjects(scope.store, scope.warehouse, catalog, held)
        return no_erased_subject_survives(seen, identity_keys_from(settings), erased)

    def overdue(scope: Scope) -> Facts:
        today = reporting_day(settings, catalog, datetime.now(UTC))
        return severed_rows_go_at_their_term(scope.warehouse, catalog, read_suppressions(scope.store), today)

    judges: dict[str, Judge] = {
        "no_erased_subject_survives": survives,
        "requests_are_answered_in_time": lambda s: answered_within(receipts(s), ANSWER_WITHIN, datetime.now(UTC)),
        "requests_are_under_way": lambda s: answered_within(receipts(s), UNDER_WAY_WITHIN, datetime.now(UTC)),
        "begun_erasures_are_verified": lambda s: begun_erasures_are_verified(receipts(s)),
        "severed_rows_go_at_their_term": overdue,
        "no_lock_forbids_erasure": lambda _: no_lock_forbids_erasure(settings.lake_object_lock),
    }
    warns = {"requests_are_under_way": dg.AssetCheckSeverity.WARN}
    return [
        check(
            keys.ERASURE,
            name,
            judge,
            description=_DESCRIPTIONS[name],
            dimension="timeliness" if name.startswith("requests") else "validity",
            severity=warns.get(name, dg.AssetCheckSeverity.ERROR),
        )
        for name, judge in judges.items()
    ]


def finished_suppressions(found: Suppressions, finished: set[str]) -> Suppressions:
    """The statements of finished requests."""
    kept = {tenant: tuple(e for e in each if e.request in finished) for tenant, each in found.by_tenant.items()}
    return Suppressions({tenant: each for tenant, each in kept.items() if each})


def values_of_subjects(
    store: ObjectStore, warehouse: Warehouse, catalog: Catalog, held: Mapping[str, Held]
) -> Iterator[tuple[str, _Seen]]:
    """By tenant, every value in raw and in tables that may tell a person, but for what a hold keeps."""
    for tenant, kept in held.items():
        for seen in _in_raw(store, catalog, tenant, kept):
            yield tenant, seen
        for seen in _in_tables(warehouse, catalog, tenant, kept):
            yield tenant, seen


def no_erased_subject_survives(
    values: Iterator[tuple[str, _Seen]], identity_keys: IdentityKeys, erased: Suppressions
) -> Facts:
    """No value that tells a person has the hash of somebody who was erased after it came about."""
    offenders: dict[str, int] = {}
    looked_at = 0
    for tenant, (where, at, texts) in values:
        looked_at += len(texts)
        found = erased.stand_ins(identity_keys, tenant, texts, at)
        if found:
            offenders[f"{where} {tenant}"] = offenders.get(f"{where} {tenant}", 0) + len(found)
    named = [f"{where}: {count} values" for where, count in sorted(offenders.items())]
    failed = sum(offenders.values())
    summary = f"{failed} of {looked_at} values of subjects are of somebody who was erased"
    counts = {"values": looked_at, "tenants": len(erased.by_tenant)}
    return Facts(not offenders, summary, counts, named, checked=looked_at, failed=failed)


def answered_within(receipts: Sequence[Receipt], limit: timedelta, now: datetime) -> Facts:
    """No request that is not finished is older than a limit."""
    late = [each for each in receipts if each.state != _FINISHED and now - each.request.requested_at >= limit]
    offenders = [f"{each.request.request_id}: {each.state}, due {each.answer_due_on}" for each in late]
    summary = f"{len(late)} of {len(receipts)} requests have been open for {limit.days} days"
    return Facts(not late, summary, {"requests": len(receipts)}, offenders, checked=len(receipts), failed=len(late))


def begun_erasures_are_verified(receipts: Sequence[Receipt]) -> Facts:
    """No request stands between its first change and an empty search."""
    stuck = [each for each in receipts if each.state in ("running", "failed")]
    offenders = [f"{each.request.request_id}: {each.state}" for each in stuck]
    summary = f"{len(stuck)} of {len(receipts)} erasures broke off or failed"
    return Facts(not stuck, summary, {"requests": len(receipts)}, offenders, checked=len(receipts), failed=len(stuck))


def severed_rows_go_at_their_term(
    warehouse: Warehouse, catalog: Catalog, suppressions: Suppressions, today: date
) -> Facts:
    """Retention has removed every severed row whose term is over."""
    offenders, judged = [], 0
    for tenant, erased in suppressions.by_tenant.items():
        stand_ins = "|".join(sorted({stand_in for each in erased for stand_in in each.stand_ins.values()}))
        for table, columns, last in _overdue_streams(warehouse, catalog, tenant, today):
            sql = f"select count(*) as rows from {table} where tenant_id = ? and day <= ? and "
            sql += f"regexp_matches({row_text(columns)}, ?)"
            rows = warehouse.query(sql, [tenant, last, stand_ins])["rows"][0].as_py()
            judged += 1
            if rows:
                offenders.append(f"{table} {tenant}: {rows} rows up to {last}")
    summary = f"{len(offenders)} of {judged} streams keep severed rows beyond their term"
    return Facts(not offenders, summary, {"streams": judged}, offenders, checked=judged, failed=len(offenders))


def no_lock_forbids_erasure(mode: str) -> Facts:
    """The lake can be rewritten."""
    locked = mode == "compliance"
    summary = f"the lake's Object Lock is {mode}" + (": nobody can erase what it covers" if locked else "")
    return Facts(not locked, summary, {}, ["lake"] if locked else [])


def _overdue_streams(
    warehouse: Warehouse, catalog: Catalog, tenant: str, today: date
) -> Iterator[tuple[str, Iterable[str], date]]:
    """Tables of streams that are severed, their columns, and the newest day that may not be kept any more of each."""
    built, known = columns_of(warehouse), catalog.tenants.get(tenant)
    for name, stream in catalog.streams.items():
        retention = catalog.retention_classes[stream.retention_class]
        last = last_overdue(today, retention, known.financial_year_end if known else None)
        if retention.on_erasure == "sever" and last is not None and f"raw.{name}" in built:
            yield f"raw.{name}", built[f"raw.{name}"], last


def _in_raw(store: ObjectStore, catalog: Catalog, tenant: str, held: Held) -> Iterator[_Seen]:
    for stream in catalog.streams:
        for info in store.list(raw_prefix(stream)):
            place = placed(info.key)
            if place.tenant == tenant and not held(f"raw.{stream}", place.day):
                for row in read_parquet(store, info.key).to_pylist():
                    texts = set(texts_of(orjson.loads(row["properties"] or "{}")))
                    ids = {each for each in (row["user_id"], row["anonymous_id"]) if each}
                    yield f"lake raw.{stream}", row["event_at"], texts | ids


def _in_tables(warehouse: Warehouse, catalog: Catalog, tenant: str, held: Held) -> Iterator[_Seen]:
    for name, columns in columns_of(warehouse).items():
        dataset = catalog.datasets.get(name)
        subjects = [column for column in dataset.subject_columns if column in columns] if dataset else []
        if dataset is None or not subjects or dataset.tenant_column is None or dataset.clock_column not in columns:
            continue
        selected = ", ".join(f"cast({column} as varchar) as {column}" for column in subjects)
        sql = f"select distinct cast({dataset.clock_column} as date) as on_day, {selected} from {name} "
        for row in warehouse.query(f"{sql} where {dataset.tenant_column} = ?", [tenant]).to_pylist():
            if not held(name, row["on_day"]):
                yield name, _end_of(row["on_day"]), {row[column] for column in subjects if row[column]}


def _end_of(day: date | None) -> datetime:
    """The last moment of a day: a row of it may be of somebody who came back; without a day, as old as anything."""
    if day is None:
        return datetime.min.replace(tzinfo=UTC)
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
