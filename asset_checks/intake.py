"""Checks of what has come in: landing, dead letters, raw partitions, the ledger and the loads."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.ledger import COLLECTOR_HOURS_TABLE, LEDGER_TABLE
from analytics_platform.defs.loaded import registry_tables, stream_table
from analytics_platform.defs.partitions import DayTenant, Partitions, raw_key
from analytics_platform.lake import layout
from analytics_platform.lake.built import find_empty
from analytics_platform.lake.changes import empty_streams
from analytics_platform.lake.collector_hours import unaccounted
from analytics_platform.lake.ledger import unbalanced
from analytics_platform.lake.raw import RAW_SCHEMA
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError, ObjectStore, UnsafeKeyError
from asset_checks.factory import Facts, Scope, check
from asset_checks.grouped import Found, Told, check_group


def intake_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """All checks from landing to the loaded tables."""
    return [
        *_landing_checks(),
        _raw_checks(catalog, partitions),
        _ledger_check(partitions),
        _collector_check(partitions),
        *(_load_check(stream, partitions) for stream in catalog.streams),
        _registry_checks(catalog),
    ]


def objects_are_filed(objects: Iterable[ObjectInfo]) -> Facts:
    """Every object lies in a day's and tenant's folder under a name of ours, and is not empty."""
    seen, offenders = 0, []
    for each in objects:
        seen += 1
        if not _is_filed(each):
            offenders.append(each.key)
    summary = f"{len(offenders)} of {seen} objects are misplaced or empty"
    return Facts(not offenders, summary, {"objects": seen}, offenders, seen, len(offenders))


def partitions_are_readable(store: ObjectStore, stream: str, wanted: Iterable[DayTenant] | None) -> dict[str, Facts]:
    """By partition: the raw object opens as Parquet and has the columns that the loads rely on, or needs to be none."""
    places = _raw_places(store, stream) if wanted is None else wanted
    return {raw_key(place): _partition_is_readable(store, stream, place) for place in places}


def ledger_balances(ledger: pa.Table) -> Facts:
    """Received = accepted + duplicates + dead letters in every row."""
    wrong = unbalanced(ledger)
    offenders = [f"{row['stream']} {row['day']} {row['tenant_id']}" for row in wrong.to_pylist()]
    sums = {name: pc.sum(ledger[name]).as_py() or 0 for name in ("received", "accepted", "duplicates", "dead_lettered")}
    summary = f"{len(offenders)} of {ledger.num_rows} stream-days do not add up"
    return Facts(not offenders, summary, {"rows": ledger.num_rows, **sums}, offenders, ledger.num_rows, len(offenders))


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
    counts = {"collector_hours": hours.num_rows, **sums}
    return Facts(not offenders, summary, counts, offenders, hours.num_rows, len(offenders))


def loads_reconcile(in_lake: pa.Table, in_warehouse: pa.Table) -> Facts:
    """The warehouse holds as many rows of each day and tenant as the ledger has accepted."""
    expected = {(row["day"], row["tenant_id"]): row["rows"] for row in in_lake.to_pylist() if row["rows"]}
    found = {(row["day"], row["tenant_id"]): row["rows"] for row in in_warehouse.to_pylist()}
    judged = sorted(expected.keys() | found.keys())
    offenders = [
        f"{day} {tenant}: lake {expected.get((day, tenant), 0)}, warehouse {found.get((day, tenant), 0)}"
        for day, tenant in judged
        if expected.get((day, tenant), 0) != found.get((day, tenant), 0)
    ]
    counts = {"rows_in_lake": sum(expected.values()), "rows_in_warehouse": sum(found.values())}
    summary = f"{len(offenders)} of {len(judged)} tenant-days differ between lake and warehouse"
    return Facts(not offenders, summary, counts, offenders, len(judged), len(offenders))


def registry_is_loaded(expected: pa.Table, found: pa.Table) -> Facts:
    """The warehouse's copy holds exactly the registry's rows."""
    columns = expected.column_names
    wanted = {tuple(row[name] for name in columns) for row in expected.to_pylist()}
    present = {tuple(row[name] for name in columns) for row in found.to_pylist()}
    offenders = [str(row[0]) for row in sorted(wanted ^ present, key=str)]
    counts = {"rows_in_registry": len(wanted), "rows_in_warehouse": len(present)}
    summary = f"{len(offenders)} rows differ between registry and warehouse"
    return Facts(not offenders, summary, counts, offenders, len(wanted | present), len(offenders))


def _landing_checks() -> list[dg.AssetChecksDefinition]:
    return [
        check(
            keys.LANDING_EVENTS,
            "objects_are_filed",
            lambda scope: objects_are_filed(scope.store.list(layout.LANDING_PREFIX)),
            description="Landing holds only non-empty objects of a day and a tenant; raw is built from no others.",
            dimension="validity",
        ),
        check(
            keys.DEAD_LETTERS,
            "objects_are_filed",
            lambda scope: objects_are_filed(scope.store.list(layout.DEAD_PREFIX)),
            description="Every dead letter lies under its reason, day and tenant, where retention finds it.",
            dimension="validity",
        ),
    ]


def _raw_checks(catalog: Catalog, partitions: Partitions) -> dg.AssetChecksDefinition:
    told = Told(
        "partitions_are_readable",
        "Each partition is a Parquet object with the columns that loads rely on, or stated to be empty.",
        "validity",
        dg.AssetCheckSeverity.ERROR,
        passes_as_one=True,
    )

    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        wanted = scope.day_tenants()
        return {
            dg.AssetCheckKey(asset, told.name): partitions_are_readable(scope.store, asset.path[-1], wanted)
            for asset in assets
        }

    streams = [keys.raw(stream) for stream in catalog.streams]
    return check_group("raw_partitions", [told], streams, judge, partitions_def=partitions.day_tenant)


def _ledger_check(partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
        rows = scope.warehouse.query(f"select * from {LEDGER_TABLE} where day between ? and ?", scope.days())
        return {day: ledger_balances(part) for day, part in scope.by_day(rows).items()}

    return check(
        keys.LEDGER,
        "ledger_balances",
        judge,
        description="received = accepted + duplicates + dead letters, counted from both ends; else nothing is loaded.",
        dimension="completeness",
        blocking=True,
        partitions_def=partitions.day,
    )


def _collector_check(partitions: Partitions) -> dg.AssetChecksDefinition:
    """Not blocking: the hours are those of receipt, so no day of business can be named that should wait for them."""

    def judge(scope: Scope) -> dict[str, Facts]:
        hours = scope.warehouse.query(f"select * from {COLLECTOR_HOURS_TABLE} where day between ? and ?", scope.days())
        now = datetime.now(UTC)
        return {day: acked_is_landed_or_dead_lettered(part, now) for day, part in scope.by_day(hours).items()}

    return check(
        keys.COLLECTOR_HOURS,
        "acked_is_landed_or_dead_lettered",
        judge,
        description="What collectors acknowledged, counted when they did, equals what lies in landing and among the "
        "dead letters, counted there; else an object or a spool segment was lost.",
        dimension="completeness",
        partitions_def=partitions.day,
    )


def _load_check(stream: str, partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
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
        lake, warehouse = scope.by_day(in_lake), scope.by_day(in_warehouse)
        return {
            day: loads_reconcile(lake.get(day, in_lake[:0]), warehouse.get(day, in_warehouse[:0]))
            for day in lake | warehouse
        }

    return check(
        keys.loaded(stream),
        "rows_reconcile_with_lake",
        judge,
        description="Rows per day and tenant equal those that the ledger counted in the lake.",
        dimension="consistency",
        blocking=True,
        partitions_def=partitions.day,
    )


def _registry_checks(catalog: Catalog) -> dg.AssetChecksDefinition:
    told = Told(
        "registry_is_loaded",
        "The table holds exactly what the tenant registry declares.",
        "consistency",
        dg.AssetCheckSeverity.ERROR,
    )

    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        expected = registry_tables(catalog)
        return {
            dg.AssetCheckKey(asset, told.name): registry_is_loaded(
                expected[asset.path[-1]], scope.warehouse.query(f"select * from {stream_table(asset.path[-1])}")
            )
            for asset in assets
        }

    return check_group("registry_tables", [told], [keys.loaded(table) for table in keys.REGISTRY_TABLES], judge)


def _is_filed(each: ObjectInfo) -> bool:
    try:
        layout.placed(each.key)
    except UnsafeKeyError:
        return False
    return each.size > 0


def _raw_places(store: ObjectStore, stream: str) -> list[DayTenant]:
    with_rows = (layout.placed(each.key) for each in store.list(layout.raw_prefix(stream)))
    empty = (each for each in empty_streams(store) if stream in each.names)
    return sorted({(each.day, each.tenant) for each in with_rows} | {(each.day, each.tenant) for each in empty})


def _partition_is_readable(store: ObjectStore, stream: str, place: DayTenant) -> Facts:
    key = layout.raw_key(stream, *place)
    empty = None if store.info(key) else find_empty(store, *place)
    if empty is not None and stream in empty.names:
        return Facts(True, "built, and no line has come in", {"rows": 0}, [], 1, 0)
    return _object_is_readable(store, key)


def _object_is_readable(store: ObjectStore, key: str) -> Facts:
    try:
        footer = pq.read_metadata(store.local_path(key))
    except (ObjectMissingError, OSError, pa.ArrowInvalid):
        return Facts(False, "the object is missing or no Parquet", {}, [f"{key}: missing or no Parquet"], 1, 1)
    counts = {"rows": footer.num_rows}
    if not footer.schema.to_arrow_schema().equals(RAW_SCHEMA):
        return Facts(False, "the object has other columns", counts, [f"{key}: other columns"], 1, 1)
    return Facts(True, f"the object can be read: {footer.num_rows} rows", counts, [], 1, 0)
