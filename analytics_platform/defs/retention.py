"""governance/: what retention is to remove (`retention_plan`), and removing what was approved (`retention_sweep`).

Belongs here: which sinks a deployment has, what follows from a removal in Dagster, and the two assets. Stays out: how
a plan is drawn, approved and carried out (`governance.retention`), and the checks (`asset_checks.retention`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from zoneinfo import ZoneInfo

from analytics_platform.alerting.store import AGEING
from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs.ledger import LEDGER_TABLE
from analytics_platform.defs.resources import store_from, warehouse_from
from analytics_platform.governance.retention.desk import RetentionDesk
from analytics_platform.governance.retention.files import HomeFiles, Place
from analytics_platform.governance.retention.objects import ExtractObjects, Family, LakeObjects, in_partition
from analytics_platform.governance.retention.records import SqliteRows
from analytics_platform.governance.retention.sink import Sink
from analytics_platform.governance.retention.tables import WarehouseTables
from analytics_platform.governance.retention.terms import NO_TENANT
from analytics_platform.lake import layout
from analytics_platform.lake.removals import Removals
from analytics_platform.lake.store import ObjectInfo, ObjectStore
from analytics_platform.reporting.dashboards import INDEX_KEY
from analytics_platform.reporting.extracts import extract_prefix
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse

_LEDGER_ROWS = "stream = ? and tenant_id = ? and day <= ?"


def desk_from(
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    store: ObjectStore | None = None,
    warehouse: Warehouse | None = None,
    forget: Callable[[Removals], None] = lambda _: None,
    step: Callable[[str], None] = lambda _: None,
) -> RetentionDesk:
    """Retention over every sink of a deployment.

    Args:
        settings: the deployment.
        catalog: what is declared; by default the deployment's.
        store: its lake, where it is open already.
        warehouse: its warehouse, where it is open already.
        forget: told all removals, so that Dagster forgets the partitions (`defs.forgetting`).
        step: told each step.
    """
    catalog = catalog or load_catalog(settings.tenants_file)
    store, warehouse = store or store_from(settings), warehouse or warehouse_from(settings)

    def settle(removals: Removals) -> None:
        _drop_from_ledger(warehouse, catalog, removals)
        warehouse.purge()
        forget(removals)

    return RetentionDesk(catalog, store, sinks_of(settings, catalog, store, warehouse), settle=settle, step=step)


def sinks_of(settings: Settings, catalog: Catalog, store: ObjectStore, warehouse: Warehouse) -> list[Sink]:
    """Every place of a deployment that holds data of a dataset that grows old."""
    zone = settings.reporting_time_zone
    return [
        LakeObjects(store, _families(catalog, ZoneInfo(zone)), list(catalog.streams)),
        ExtractObjects(store, _extracts(catalog)),
        WarehouseTables(warehouse, catalog),
        HomeFiles(_places(settings), zone),
        SqliteRows("alert_outbox", settings.alerts_path, AGEING, zone),
    ]


def reporting_day(settings: Settings, now: datetime) -> date:
    """The running day of the reporting time zone: what ended before it is over."""
    return now.astimezone(ZoneInfo(settings.reporting_time_zone)).date()


def _families(catalog: Catalog, zone: ZoneInfo) -> list[Family]:
    return [
        Family("landing", layout.LANDING_PREFIX, in_partition),
        Family("dead_letters", layout.DEAD_PREFIX, in_partition),
        Family("landing_manifests", layout.MANIFEST_PREFIX, _of_manifest),
        *(Family(f"raw.{stream}", layout.raw_prefix(stream), in_partition) for stream in catalog.streams),
        *(Family(f"dashboard.{name}", f"dashboards/{name}/", partial(_of_page, zone)) for name in catalog.dashboards),
    ]


def _of_manifest(info: ObjectInfo) -> tuple[str, date]:
    return NO_TENANT, layout.manifest_days(info.key)[1]


def _of_page(zone: ZoneInfo, info: ObjectInfo) -> tuple[str, date]:
    """A page is as old as its last build, and of the tenant for whom it was drawn."""
    assert info.key != INDEX_KEY
    return info.key.rpartition("/")[2].removesuffix(".html"), info.modified_at.astimezone(zone).date()


def _extracts(catalog: Catalog) -> dict[str, str]:
    return {
        f"extracts.{dashboard.name}.{extract.name}": extract_prefix(dashboard.name, extract.name)
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    }


def _places(settings: Settings) -> dict[str, Sequence[Place]]:
    runs = settings.dagster_home / "history" / "runs"
    return {
        "uploads": [Place(settings.lake_root / ".uploads", "*")],
        "run_records": [
            Place(runs, "*-*-*-*-*.db"),
            Place(settings.dagster_home / "storage", "*"),
            Place(settings.dagster_home / "logs", "*"),
        ],
        "build_logs": [Place(settings.dbt_target, "*.log*")],
        "demo_files": [Place(settings.home / "demo", "*.ndjson.zst")],
    }


def _drop_from_ledger(warehouse: Warehouse, catalog: Catalog, removals: Removals) -> None:
    """Rows of the ledger are of partitions that exist: what is removed from raw is not accounted for any more."""
    present = warehouse.query(
        f"select 1 from information_schema.tables where table_schema || '.' || table_name = '{LEDGER_TABLE}'"
    )
    if not present.num_rows:
        return
    for removed in (each for every in removals.by_place.values() for each in every):
        stream = removed.dataset.removeprefix("raw.")
        if removed.dataset.startswith("raw.") and stream in catalog.streams:
            condition, parameters = _LEDGER_ROWS, [stream, removed.tenant, removed.through]
            for span in removed.held:
                condition += " and not day between ? and ?"
                parameters += [span.first, span.last]
            warehouse.remove_rows(LEDGER_TABLE, condition, parameters)
