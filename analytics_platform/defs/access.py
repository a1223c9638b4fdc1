"""governance/: who holds which role (`role_memberships`), and what each audience sees (`access_policies`), daily.

Belongs here: the two assets, and what of dbt's manifest the policy reads. Stays out: what the policy says and how it is
carried out (`governance.access`), and the checks (`asset_checks.access`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest
from analytics_platform.defs.policies import dataset_name
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.defs.resources import rbac_key, rbac_source, store_from, warehouse_from
from analytics_platform.governance.access.audience_files import AudienceFiles
from analytics_platform.governance.access.bigquery import Project
from analytics_platform.governance.access.desk import AccessDesk, Applied, Names
from analytics_platform.governance.access.dialects import BigQueryDialect, SnowflakeDialect
from analytics_platform.governance.access.drift import extra
from analytics_platform.governance.access.memberships import MEMBERSHIPS_TABLE, Export, memberships
from analytics_platform.governance.access.power_bi import ModelTables
from analytics_platform.governance.access.rbac import read_rbac
from analytics_platform.governance.access.snowflake import Account
from analytics_platform.governance.access.tables import DbtTable, Table
from analytics_platform.governance.access.targets import BranchTarget, Dialect, SharedTarget, Target
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.power_bi.model import Model, model_of
from analytics_platform.reporting.power_bi.sources import Source
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse, RequestedWarehouse, SharedWarehouse, Warehouse

APPLIER = "dagster"
"""Who answers for the daily application of the policy."""

NO_SOURCE = (
    "No source is set, so nobody holds a role and nobody may see anything. Set ANALYTICS_RBAC_SOURCE to the product's "
    "export (JSON or CSV), endpoint or database, or put the export at rbac.json in the home folder."
)


def access_desk(
    settings: Settings,
    catalog: Catalog,
    manifest: Manifest,
    store: ObjectStore | None = None,
    warehouse: Warehouse | None = None,
) -> AccessDesk:
    """Access of a deployment; its lake and its warehouse are given where they are open already."""
    model = power_bi_model(settings, catalog)
    warehouse = warehouse or warehouse_from(settings)
    return AccessDesk(
        catalog,
        dbt_tables(manifest),
        store or store_from(settings),
        warehouse,
        settings.access_root,
        names_from(settings),
        partial(target_from, settings, warehouse),
        ModelTables(model.shared, frozenset(fact.dataset for fact in model.facts)),
    )


def names_from(settings: Settings) -> Names:
    """How Snowflake and BigQuery call what is ours."""
    account = Account(settings.snowflake_database, settings.snowflake_writer)
    project = Project(settings.bigquery_project, settings.groups_domain, settings.bigquery_writer)
    return Names(account, project, settings.bigquery_region)


def target_from(settings: Settings, warehouse: Warehouse, tables: Mapping[str, Table]) -> Target:
    """Where audiences read tables: files of the home, or the shared warehouse itself."""
    if isinstance(warehouse, DuckDBWarehouse):
        return AudienceFiles(settings.access_root, warehouse)
    if not isinstance(warehouse, SharedWarehouse):
        raise TypeError(f"{type(warehouse).__name__} is neither DuckDB's file nor a SharedWarehouse")
    if settings.warehouse_schema_prefix:
        return BranchTarget(warehouse.dialect)
    record = settings.access_root / f"applied_{warehouse.dialect}.json"
    applies = settings.access_grants == "apply"
    return SharedTarget(warehouse, _dialect(names_from(settings), warehouse), tables, record, applies=applies)


def _dialect(names: Names, warehouse: SharedWarehouse) -> Dialect:
    if isinstance(warehouse, RequestedWarehouse):
        return BigQueryDialect(names.project, names.region, warehouse.request)
    return SnowflakeDialect(names.account)


def after_models(settings: Settings, catalog: Catalog, manifest: Manifest) -> dict[str, list[str]]:
    """By model of dbt, the statements that protect its table again once a build has made it anew."""
    return access_desk(settings, catalog, manifest).after_models()


def power_bi_model(settings: Settings, catalog: Catalog) -> Model:
    """The semantic model of this deployment, which the roles of Power BI are compiled for."""
    return model_of(catalog, Source(settings.power_bi_source, settings.power_bi_location))


def dbt_tables(manifest: Manifest) -> dict[str, DbtTable]:
    """Models and seeds with their documented columns, by `schema.name`; only models take grants from the project."""
    return {
        f"{node['schema']}.{node['alias']}": DbtTable(
            tuple(node["fqn"]) if node["resource_type"] == "model" else None,
            {
                name: ((column.get("config", {}).get("meta") or {}).get("pii"), column.get("data_type"))
                for name, column in node["columns"].items()
            },
        )
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed")
    }


def access_assets(
    settings: Settings, catalog: Catalog, manifest: Manifest, governed: Sequence[dg.AssetsDefinition]
) -> list[dg.AssetsDefinition]:
    """Who holds which role, and what each audience sees of every asset that the policy speaks of."""
    desk = access_desk(settings, catalog, manifest)
    readable = {name for name, table in desk.tables.items() if table.reads}
    deps = sorted(key for asset in governed for key in asset.keys if dataset_name(key) in readable)
    return [
        _memberships_asset(settings, catalog, manifest),
        _policies_asset(settings, catalog, manifest, [*deps, keys.RETENTION_SWEEP]),
    ]


def _memberships_asset(settings: Settings, catalog: Catalog, manifest: Manifest) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.ROLE_MEMBERSHIPS,
        pool=WAREHOUSE_POOL,
        description="Who holds which role today, as the product's own RBAC says; without a source, nobody.",
        metadata={"dagster/table_name": MEMBERSHIPS_TABLE},
        kinds={"python", "duckdb"},
    )
    def role_memberships(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
        export = read_rbac(rbac_source(settings))
        policy = access_desk(settings, catalog, manifest).policy
        today = datetime.now(UTC).astimezone(ZoneInfo(settings.reporting_time_zone)).date()
        rows = memberships(export, policy, rbac_key(settings), today)
        count = warehouse.replace_days(MEMBERSHIPS_TABLE, rows, today, today)
        principals = len(set(rows["principal"].to_pylist()))
        return dg.MaterializeResult(metadata=_told_memberships(export, count, principals))

    return role_memberships


def _policies_asset(
    settings: Settings, catalog: Catalog, manifest: Manifest, deps: Sequence[dg.AssetKey]
) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.ACCESS_POLICIES,
        deps=deps,
        pool=WAREHOUSE_POOL,
        description=(
            "What each audience may see: as views and a file of its own, filtered, masked, then written; in Snowflake "
            "and BigQuery as what is granted there, compared with the policy, and applied where the setting says so."
        ),
        kinds={"python", "duckdb", "html", "pdf"},
    )
    def access_policies(
        store: dg.ResourceParam[ObjectStore], warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        desk = access_desk(settings, catalog, manifest, store, warehouse)
        now = datetime.now(UTC)
        applied = desk.apply(by=APPLIER, now=now)
        paths = desk.write_matrix(settings.access_root, now.date())
        return dg.MaterializeResult(
            metadata={
                "status": desk.standing().status,
                "matrix": dg.MetadataValue.path(str(paths[0])),
                **_told_policies(applied, desk.target),
            }
        )

    return access_policies


def _told_memberships(export: Export, rows: int, principals: int) -> Mapping[str, str | int]:
    if export.exported_at is None:
        return {"source": export.source, "dagster/row_count": rows, "principals": principals, "next_step": NO_SOURCE}
    exported = export.exported_at.isoformat()
    return {"source": export.source, "exported_at": exported, "dagster/row_count": rows, "principals": principals}


def _told_policies(applied: Applied, target: Target) -> Mapping[str, dg.MetadataValue | str | int]:
    found, files = list(applied.found), applied.carried.files
    told: dict[str, dg.MetadataValue | str | int] = {
        "policy_sha256": applied.policy_sha256,
        "target": target.name,
        "extra_privileges_found": extra(found),
        "missing_privileges_found": len(found) - extra(found),
    }
    if files:
        told["audiences"] = dg.MetadataValue.json(
            {each.audience.name: {"datasets": each.datasets, "rows": each.rows} for each in files}
        )
        told |= {"files": len(files), "bytes": sum(each.bytes for each in files), "rows": sum(e.rows for e in files)}
        return told
    told["statements_run"] = applied.carried.statements
    if not target.applies:
        told["next_step"] = target.next_step
    if applied.carried.by_hand:
        told["still_by_hand"] = ", ".join(applied.carried.by_hand)
    return told
