"""Checks of what has come in: landing, dead letters, raw partitions, the ledger and the loads."""

from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.ledger import COLLECTOR_HOURS_TABLE, LEDGER_TABLE
from analytics_platform.defs.loaded import registry_tables, stream_table
from analytics_platform.defs.partitions import DayTenant
from analytics_platform.lake import layout
from analytics_platform.lake.collector_hours import unaccounted
from analytics_platform.lake.ledger import unbalanced
from analytics_platform.lake.raw import RAW_SCHEMA
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError, ObjectStore, UnsafeKeyError
from asset_checks.factory import Facts, Scope, check


def intake_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks from landing to the loaded tables."""
    return [
        *_landing_checks(),
        *(_raw_check(stream) for stream in catalog.streams),
        _ledger_check(),
        _collector_check(),
        *(_load_check(stream) for stream in catalog.streams),
        *(_registry_check(catalog, table) for table in keys.REGISTRY_TABLES),
    ]


def objects_are_filed(objects: Iterable[ObjectInfo]) -> Facts:
    """Every object lies in a day's and tenant's folder under a name of ours, and is not empty."""
    seen, offenders = 0, []
    for each in objects:
        seen += 1
        if not _is_filed(each):
            offenders.append(each.key)
    return Facts(
        not offenders, f"{len(offenders)} of {seen} objects are misplaced or empty", {"objects": seen}, offenders
    )


def partitions_are_readable(store: ObjectStore, stream: str, wanted: Iterable[DayTenant] | None) -> Facts:
    """Each raw object opens as Parquet and has the columns that the loads rely on."""
    places = _raw_objects(store, stream) if wanted is None else [layout.raw_key(stream, *each) for each in wanted]
    offenders, rows = [], 0
    for key in places:
        try:
            footer = pq.read_metadata(store.local_path(key))
        except (ObjectMissingError, OSError, pa.ArrowInvalid):
            offenders.append(f"{key}: missing or no Parquet")
            continue
        rows += footer.num_rows
        if not footer.schema.to_arrow_schema().equals(RAW_SCHEMA):
            offenders.append(f"{key}: other columns")
    summary = f"{len(offenders)} of {len(places)} partitions cannot be read as they should"
    return Facts(not offenders, summary, {"partitions": len(places), "rows": rows}, offenders)


def ledger_balances(ledger: pa.Table) -> Facts:
    """Received = accepted + duplicates + dead letters in every row."""
    wrong = unbalanced(ledger)
    offenders = [f"{row['stream']} {row['day']} {row['tenant_id']}" for row in wrong.to_pylist()]
    sums = {name: pc.sum(ledger[name]).as_py() or 0 for name in ("received", "accepted", "duplicates", "dead_lettered")}
    summary = f"{len(offenders)} of {ledger.num_rows} stream-days do not add up"
    return Facts(not offenders, summary, {"rows": ledger.num_rows, **sums}, offenders)


def acked_is_landed_or_dead_lettered(hours: pa.Table, now: datetime) -> Facts:
    """Acknowledged = landed + dead letters in every closed hour, and no hour stays open for long."""
    wrong = unaccounted(hours, now)
    offenders = [
        f"{row['hour']:%Y-%m-%dT%H}Z {row['tenant_id']} {row['writer']}: acknowledged {row['acked']}, "
        f"landed {row['landed']}, dead letters {row['dead_lettered']}, in no manifest {row['waiting']}"
        for row in wrong.to_pylist()
    ]
    names = ("acked", "landed", "dead_lettered", "waiting")
    sums = {name: pc.sum(hours[name]).as_py() or 0 for name in names}
    summary = f"{len(offenders)} of {hours.num_rows} collector hours do not add up or were never closed"
    return Facts(not offenders, summary, {"collector_hours": hours.num_rows, **sums}, offenders)


def loads_reconcile(in_lake: pa.Table, in_warehouse: pa.Table) -> Facts:
    """The warehouse holds as many rows of each day and tenant as the ledger has accepted."""
    expected = {(row["day"], row["tenant_id"]): row["rows"] for row in in_lake.to_pylist() if row["rows"]}
    found = {(row["day"], row["tenant_id"]): row["rows"] for row in in_warehouse.to_pylist()}
    offenders = [
        f"{day} {tenant}: lake {expected.get((day, tenant), 0)}, warehouse {found.get((day, tenant), 0)}"
        for day, tenant in sorted(expected.keys() | found.keys())
        if expected.get((day, tenant), 0) != found.get((day, tenant), 0)
    ]
    counts = {"rows_in_lake": sum(expected.values()), "rows_in_warehouse": sum(found.values())}
    return Facts(not offenders, f"{len(offenders)} tenant-days differ between lake and warehouse", counts, offenders)


def registry_is_loaded(expected: pa.Table, found: pa.Table) -> Facts:
    """The warehouse's copy holds exactly the registry's rows."""
    columns = expected.column_names
    wanted = {tuple(row[name] for name in columns) for row in expected.to_pylist()}
    present = {tuple(row[name] for name in columns) for row in found.to_pylist()}
    offenders = [str(row[0]) for row in sorted(wanted ^ present, key=str)]
    counts = {"rows_in_registry": len(wanted), "rows_in_warehouse": len(present)}
    return Facts(not offenders, f"{len(offenders)} rows differ between registry and warehouse", counts, offenders)


def _landing_checks() -> list[dg.AssetChecksDefinition]:
    return [
        check(
            keys.LANDING_EVENTS,
            "objects_are_filed",
            lambda scope: objects_are_filed(scope.store.list(layout.LANDING_PREFIX)),
            description="Landing holds only non-empty objects of a day and a tenant; raw is built from no others.",
        ),
        check(
            keys.DEAD_LETTERS,
            "objects_are_filed",
            lambda scope: objects_are_filed(scope.store.list(layout.DEAD_PREFIX)),
            description="Every dead letter lies under its reason, day and tenant, where retention finds it.",
        ),
    ]


def _raw_check(stream: str) -> dg.AssetChecksDefinition:
    return check(
        keys.raw(stream),
        "partitions_are_readable",
        lambda scope: partitions_are_readable(scope.store, stream, scope.day_tenants()),
        description="Each partition is a Parquet object with the columns that the loads rely on.",
    )


def _ledger_check() -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        rows = scope.warehouse.query(f"select * from {LEDGER_TABLE} where day between ? and ?", scope.days())
        return ledger_balances(rows)

    return check(
        keys.LEDGER,
        "ledger_balances",
        judge,
        description="received = accepted + duplicates + dead letters, counted from both ends; else nothing is loaded.",
        blocking=True,
    )


def _collector_check() -> dg.AssetChecksDefinition:
    """Not blocking: the hours are those of receipt, so no day of business can be named that should wait for them."""

    def judge(scope: Scope) -> Facts:
        hours = scope.warehouse.query(f"select * from {COLLECTOR_HOURS_TABLE} where day between ? and ?", scope.days())
        return acked_is_landed_or_dead_lettered(hours, datetime.now(UTC))

    return check(
        keys.COLLECTOR_HOURS,
        "acked_is_landed_or_dead_lettered",
        judge,
        description="What collectors acknowledged, counted when they did, equals what lies in landing and among the "
        "dead letters, counted there; else an object or a spool segment was lost.",
    )


def _load_check(stream: str) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        days = scope.days()
        in_lake = scope.warehouse.query(
            f"select day, tenant_id, accepted as rows from {LEDGER_TABLE} where stream = ? and day between ? and ?",
            [stream, *days],
        )
        in_warehouse = scope.warehouse.query(
            f"select day, tenant_id, count(*) as rows from {stream_table(stream)} "
            "where day between ? and ? group by all",
            days,
        )
        return loads_reconcile(in_lake, in_warehouse)

    return check(
        keys.loaded(stream),
        "rows_reconcile_with_lake",
        judge,
        description="Rows per day and tenant equal those that the ledger counted in the lake.",
        blocking=True,
    )


def _registry_check(catalog: Catalog, table: str) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        expected = registry_tables(catalog)[table]
        return registry_is_loaded(expected, scope.warehouse.query(f"select * from {stream_table(table)}"))

    return check(
        keys.loaded(table),
        "registry_is_loaded",
        judge,
        description="The table holds exactly what the tenant registry declares.",
    )


def _is_filed(each: ObjectInfo) -> bool:
    try:
        layout.placed(each.key)
    except UnsafeKeyError:
        return False
    return each.size > 0


def _raw_objects(store: ObjectStore, stream: str) -> list[str]:
    return [each.key for each in store.list(layout.raw_prefix(stream))]
