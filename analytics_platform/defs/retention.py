"""governance/: what retention is to remove (`retention_plan`), and removing what was approved (`retention_sweep`).

Belongs here: which sinks a deployment has, what follows from a removal in Dagster, and the two assets. Stays out: how
a plan is drawn, approved and carried out (`governance.retention`), and the checks (`asset_checks.retention`).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.alerting.store import AGEING
from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.catalog.retention_clock import last_removable, retain_until
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.forgetting import forget_partitions
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.ledger import LEDGER_TABLE
from analytics_platform.defs.policies import dataset_name
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.defs.resources import store_from, warehouse_from
from analytics_platform.defs.run_records import AGEING_EVENTS, databases_of
from analytics_platform.governance.evidence import EVIDENCE_TABLE, EvidenceChain, remembered
from analytics_platform.governance.retention.database import DatabaseRows
from analytics_platform.governance.retention.desk import RetentionDesk
from analytics_platform.governance.retention.files import HomeFiles, Place
from analytics_platform.governance.retention.objects import ExtractObjects, Family, LakeObjects, in_partition
from analytics_platform.governance.retention.plan import Plan
from analytics_platform.governance.retention.records import SqliteRows
from analytics_platform.governance.retention.sink import Sink
from analytics_platform.governance.retention.tables import WarehouseTables
from analytics_platform.governance.retention.terms import NO_TENANT, Term
from analytics_platform.lake import layout
from analytics_platform.lake.removals import Removals
from analytics_platform.lake.store import ObjectInfo, ObjectStore
from analytics_platform.reporting.dashboards import INDEX_KEY
from analytics_platform.reporting.expectation_report import PAGE_KEY as EXPECTATIONS_PAGE
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse, has_table

DAILY = "0 5 * * *"
"""After the night's build, so that a plan is drawn of what the night has left."""

PLANNER = "dagster"
"""Who draws the daily plan; any person may approve it."""

PORTAL_AUDIT_FILES = "audit-*.jsonl"
PORTAL_AGEING = (("sessions", "expires_at", "true"), ("visits", "seen_at", "true"))
"""What of the portal's files grows old. It stands above this room, so the tests hold the two together."""

_LEDGER_ROWS = "stream = ? and tenant_id = ? and day <= ?"


def desk_from(
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    store: ObjectStore | None = None,
    warehouse: Warehouse | None = None,
    forget: Callable[[Removals], object] = lambda _: None,
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
    catalog = catalog or load_catalog(settings.tenants_file, settings.extension_catalog)
    store, warehouse = store or store_from(settings), warehouse or warehouse_from(settings)

    settle = partial(settle_removals, warehouse, catalog, forget)
    return RetentionDesk(catalog, store, sinks_of(settings, catalog, store, warehouse), settle=settle, step=step)


def settle_removals(
    warehouse: Warehouse, catalog: Catalog, forget: Callable[[Removals], object], removals: Removals
) -> None:
    """What follows from removals elsewhere: accounts, the warehouse's file, and what Dagster remembers."""
    _drop_from_ledger(warehouse, catalog, removals)
    warehouse.purge()
    forget(removals)


def forgetful_desk(settings: Settings) -> RetentionDesk:
    """Retention of a deployment, with a Dagster instance that forgets what is removed."""
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)

    def forget(removals: Removals) -> None:
        with open_instance(settings) as instance:
            forget_partitions(instance, catalog, removals)

    return desk_from(settings, catalog=catalog, forget=forget)


def remove_again(settings: Settings, store: ObjectStore, removals: Removals, first: date) -> None:
    """Remove anew what was removed before of days from `first` on."""
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    warehouse = warehouse_from(settings)
    with warehouse.reading():
        found = came_back(sinks_of(settings, catalog, store, warehouse), removals, first)
    if found:
        warehouse.purge()


def came_back(sinks: Sequence[Sink], removals: Removals, first: date = date.min) -> int:
    """Remove from some sinks what was removed before of days from `first` on; how much of it was there again."""
    units = 0
    for removed in (each for every in removals.by_place.values() for each in every if each.through >= first):
        term = Term(removed.dataset, removed.tenant, removed.through, removed.held)
        for sink in sinks:
            if removed.dataset in sink.datasets() and (found := sink.survivors(term)):
                sink.remove(term)
                units += found
    return units


def sinks_of(settings: Settings, catalog: Catalog, store: ObjectStore, warehouse: Warehouse) -> list[Sink]:
    """Every place of a deployment that holds data of a dataset that grows old."""
    return [
        *lake_sinks_of(settings, catalog, store),
        WarehouseTables(warehouse, catalog),
        *home_sinks_of(settings),
    ]


def home_sinks_of(settings: Settings) -> list[Sink]:
    """Every place beside lake and warehouse that holds data of a dataset that grows old."""
    zone = settings.reporting_time_zone
    return [
        HomeFiles(home_places(settings), zone),
        SqliteRows("alert_outbox", settings.alerts_path, AGEING, zone),
        SqliteRows("portal_state", settings.portal_state_path, PORTAL_AGEING, zone),
        *(DatabaseRows(dataset, url, AGEING_EVENTS, zone) for dataset, url in databases_of(settings)),
    ]


def lake_sinks_of(settings: Settings, catalog: Catalog, store: ObjectStore) -> list[Sink]:
    """Every place of a lake that holds data of a dataset that grows old."""
    families = _families(catalog, ZoneInfo(settings.reporting_time_zone))
    return [LakeObjects(store, families, list(catalog.streams)), ExtractObjects(store, extract_datasets(catalog))]


def reporting_day(settings: Settings, catalog: Catalog, now: datetime) -> date:
    """The running day where it is earliest, here or at any tenant's: what ended before it is over everywhere."""
    zones = {settings.reporting_time_zone, *(tenant.time_zone for tenant in catalog.tenants.values())}
    return min(now.astimezone(ZoneInfo(zone)).date() for zone in zones)


def retention_assets(
    settings: Settings, catalog: Catalog, governed: Sequence[dg.AssetsDefinition]
) -> list[dg.AssetsDefinition]:
    """The plan, the sweep and the evidence, downstream of every asset that writes a dataset which grows old."""
    deps = sorted(
        key for asset in governed for key in asset.keys if catalog.datasets[dataset_name(key)].standing is None
    )
    return [_plan_asset(settings, catalog, deps), _sweep_asset(settings, catalog), _evidence_asset()]


def daily_governance(settings: Settings) -> dg.ScheduleDefinition:
    """Once a day, plan and remove what was approved."""
    return dg.ScheduleDefinition(
        name="daily_governance",
        job_name=jobs.GOVERN,
        cron_schedule=DAILY,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Plans what is past its term; removes what was approved.",
    )


def _plan_asset(settings: Settings, catalog: Catalog, deps: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.RETENTION_PLAN,
        deps=deps,
        description="What is to be removed today, over every place that holds data; somebody has to approve it.",
    )
    def retention_plan(
        store: dg.ResourceParam[ObjectStore], warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        desk = desk_from(settings, catalog=catalog, store=store, warehouse=warehouse)
        today = reporting_day(settings, catalog, datetime.now(UTC))
        plan = desk.plan(today, by=PLANNER)
        return dg.MaterializeResult(metadata={**_told(plan), "retain_until": _kept_since(catalog, today)})

    return retention_plan


def _sweep_asset(settings: Settings, catalog: Catalog) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.RETENTION_SWEEP,
        deps=[keys.RETENTION_PLAN],
        pool=WAREHOUSE_POOL,
        description="Carries out the plans that were approved, and says which ones wait for somebody to approve them.",
    )
    def retention_sweep(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        forget = partial(forget_partitions, context.instance, catalog)
        desk = desk_from(settings, catalog=catalog, store=store, warehouse=warehouse, forget=forget)
        now = datetime.now(UTC)
        outcomes = [desk.apply(plan, by=PLANNER) for plan in desk.approved(now)]
        waiting = desk.waiting_for_approval(now)
        return dg.MaterializeResult(
            metadata={
                "plans_carried_out": dg.MetadataValue.json([outcome.as_dict() for outcome in outcomes]),
                "units_removed": sum(outcome.units for outcome in outcomes),
                "waiting_for_approval": dg.MetadataValue.json([plan.hash for plan in waiting]),
                "next_step": _next_step(waiting),
            }
        )

    return retention_sweep


def _evidence_asset() -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.EVIDENCE,
        deps=[keys.RETENTION_PLAN, keys.RETENTION_SWEEP, keys.ERASURE],
        pool=WAREHOUSE_POOL,
        description="The chain of evidence as a table: what governance did, when, and who answered for it.",
        metadata={"dagster/table_name": EVIDENCE_TABLE},
    )
    def evidence(
        store: dg.ResourceParam[ObjectStore], warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        chain = EvidenceChain(store)
        chain.verify(remembered(warehouse))
        rows = chain.table()
        head = rows["hash"][-1].as_py() if rows.num_rows else "none"
        count = warehouse.replace_table(EVIDENCE_TABLE, rows)
        return dg.MaterializeResult(metadata={"dagster/row_count": count, "head": head})

    return evidence


def _told(plan: Plan) -> dict[str, dg.MetadataValue]:
    by_dataset = Counter[str]()
    for target in plan.targets:
        by_dataset[f"{target.sink} {target.dataset}"] += target.units
    return {
        "plan": dg.MetadataValue.text(plan.hash if plan.targets else "nothing is to be removed"),
        "targets": dg.MetadataValue.int(len(plan.targets)),
        "units": dg.MetadataValue.int(plan.units),
        "units_by_dataset": dg.MetadataValue.json(dict(sorted(by_dataset.items()))),
        "waiting": dg.MetadataValue.int(sum(each.units for each in plan.waiting)),
        "holds": dg.MetadataValue.json(list(plan.holds)),
    }


def _kept_since(catalog: Catalog, today: date) -> dg.MetadataValue:
    """The oldest business day that each class and tenant keeps today, and until when."""
    rows = []
    for retention in catalog.retention_classes.values():
        for tenant in catalog.tenants.values():
            gone = last_removable(today, retention, tenant.financial_year_end)
            first = gone + timedelta(days=1) if gone else None
            until = retain_until(first, retention, tenant.financial_year_end) if first else None
            rows.append({"class": retention.name, "tenant": tenant.tenant_id, "first_kept": first, "until": until})
    records = [dg.TableRecord({name: str(value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records)


def _next_step(waiting: Sequence[Plan]) -> str:
    if not waiting:
        return "none: nothing waits for approval"
    newest = waiting[-1]
    return f"{newest.units:,} rows and objects wait: analytics retention approve {newest.hash[:12]} --by NAME"


def page_families(catalog: Catalog, zone: ZoneInfo) -> list[Family]:
    """What people read: pages and reports, each made anew from what there is."""
    return [
        Family("expectation_results", "quality/expectations/", _of_result),
        Family("report.expectations", EXPECTATIONS_PAGE, partial(_of_file, zone)),
        Family("report.weekly", layout.WEEKLY_REPORT_PREFIX, _of_weekly_report),
        *(Family(f"dashboard.{name}", f"dashboards/{name}/", partial(_of_page, zone)) for name in catalog.dashboards),
    ]


def run_logs(zone: ZoneInfo) -> Family:
    """What steps printed, where it goes into the lake's bucket."""
    return Family("run_records", layout.RUN_LOGS_PREFIX, partial(_of_file, zone))


def _families(catalog: Catalog, zone: ZoneInfo) -> list[Family]:
    return [
        Family("landing", layout.LANDING_PREFIX, in_partition),
        Family("dead_letters", layout.DEAD_PREFIX, in_partition),
        Family("identities", layout.IDENTITIES_PREFIX, _of_identities),
        Family("landing_manifests", layout.MANIFEST_PREFIX, _of_manifest),
        Family("governance.data_quality_review", layout.REVIEW_PREFIX, partial(_of_file, zone)),
        *(Family(f"raw.{stream}", layout.raw_prefix(stream), in_partition) for stream in catalog.streams),
        *page_families(catalog, zone),
        run_logs(zone),
    ]


def _of_identities(info: ObjectInfo) -> tuple[str, date]:
    return layout.identities_placed(info.key)


def _of_manifest(info: ObjectInfo) -> tuple[str, date]:
    return NO_TENANT, layout.manifest_days(info.key)[1]


def _of_result(info: ObjectInfo) -> tuple[str, date]:
    return NO_TENANT, layout.expectations_placed(info.key)[1]


def _of_weekly_report(info: ObjectInfo) -> tuple[str, date]:
    """A report is as old as the last day of its week, and of the tenant for whom it was written."""
    audience = info.key.rpartition("/")[2].partition(".")[0]
    return audience, layout.week_of_report(info.key) + timedelta(days=6)


def _of_file(zone: ZoneInfo, info: ObjectInfo) -> tuple[str, date]:
    """What has no business day of its own is as old as its last change."""
    return NO_TENANT, info.modified_at.astimezone(zone).date()


def _of_page(zone: ZoneInfo, info: ObjectInfo) -> tuple[str, date]:
    """A page is as old as its last build, and of the tenant for whom it was drawn."""
    assert info.key != INDEX_KEY
    tenant = info.key.rpartition("/")[2].removesuffix(".html").partition("@")[2]
    return tenant or NO_TENANT, info.modified_at.astimezone(zone).date()


def extract_datasets(catalog: Catalog) -> list[str]:
    """The datasets of all extracts."""
    return [
        f"extracts.{board.name}.{extract.name}" for board in catalog.dashboards.values() for extract in board.extracts
    ]


def home_places(settings: Settings) -> dict[str, Sequence[Place]]:
    """Where files of the home folder lie, by dataset."""
    runs = settings.dagster_home / "history" / "runs"
    return {
        # Of a collector that died and never came back; its hour has been reported as open for two months by then.
        "spool": [Place(settings.spool_root, "*.segment"), Place(settings.spool_root, "*.damaged")],
        # Of a run that was killed and never came again; and dropped files that a connector keeps.
        "connector_files": [
            Place(settings.connector_files / "staging", "*"),
            Place(settings.connector_files / "taken", "*"),
        ],
        "uploads": [Place(settings.lake_root / ".uploads", "*")],
        "lake_copies": [Place(settings.lake_cache, "*")],
        "run_records": [
            Place(runs, "*-*-*-*-*.db"),
            Place(settings.dagster_home / "storage", "*"),
            Place(settings.dagster_home / "logs", "*"),
        ],
        "build_logs": [Place(settings.dbt_target, "*.log*")],
        "backups": [Place(settings.home / "backups", "lake-*")],
        # Written anew every day; one that was not for as long as its class allows belongs to nobody any more.
        "access_files": [Place(settings.access_root / "files", "*.duckdb")],
        "portal_audit": [Place(settings.portal_root / "audit", PORTAL_AUDIT_FILES)],
        "demo_files": [Place(settings.home / "demo", "*.ndjson.zst")],
    }


def _drop_from_ledger(warehouse: Warehouse, catalog: Catalog, removals: Removals) -> None:
    """Rows of the ledger are of partitions that exist: what is removed from raw is not accounted for any more."""
    if not has_table(warehouse, LEDGER_TABLE):
        return
    for removed in (each for every in removals.by_place.values() for each in every):
        stream = removed.dataset.removeprefix("raw.")
        if removed.dataset.startswith("raw.") and stream in catalog.streams:
            condition, parameters = _LEDGER_ROWS, [stream, removed.tenant, removed.through]
            for span in removed.held:
                condition += " and not day between ? and ?"
                parameters += [span.first, span.last]
            warehouse.remove_rows(LEDGER_TABLE, condition, parameters)
