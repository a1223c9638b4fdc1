"""What pages say of their numbers' quality: the latest evaluations of the checks of what each KPI is made of.

Read from Dagster's event log by column, as `evaluations` does. What a badge is, given these, is
`reporting.quality`; what is judged `asset_checks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import dagster as dg
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._serdes import deserialize_value
from sqlalchemy import func, select

from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest, Translator, key_of_table
from analytics_platform.reporting.headlines import page_source
from analytics_platform.reporting.quality import Evaluation, Lineage

_EVALUATED = (AssetCheckExecutionRecordStatus.SUCCEEDED.value, AssetCheckExecutionRecordStatus.FAILED.value)


def lineage(
    instance: dg.DagsterInstance, catalog: Catalog, manifest: Manifest, kpis: Iterable[str], address: str
) -> Lineage:
    """What pages may say of some KPIs beyond their figures.

    Args:
        instance: whose event log has the evaluations.
        catalog: the declarations.
        manifest: dbt's, which knows what each table is built from.
        kpis: names of the KPIs.
        address: of Dagster's web server, as readers reach it.
    """
    made_of = {name: assets_behind(catalog, manifest, catalog.kpis[name]) for name in kpis}
    found = latest_evaluations(instance, {key for each in made_of.values() for key in each})
    return Lineage(
        address=address.rstrip("/"),
        assets={name: key_of_table(manifest, catalog.kpis[name].table).to_user_string() for name in made_of},
        evaluations={name: [each for key in behind for each in found.get(key, [])] for name, behind in made_of.items()},
    )


def assets_behind(catalog: Catalog, manifest: Manifest, kpi: Kpi) -> list[dg.AssetKey]:
    """The assets that a KPI's number on a page is made of: extract, tables, and all that these are built from."""
    source = page_source(catalog, kpi)
    tables = {kpi.table, kpi.headline_table, *([kpi.detail.table] if kpi.detail else [])}
    return [keys.extract(source.dashboard, source.extract.name), *sorted(set(_upstream(manifest, tables)))]


def latest_evaluations(
    instance: dg.DagsterInstance, assets: Iterable[dg.AssetKey]
) -> Mapping[dg.AssetKey, list[Evaluation]]:
    """The latest evaluation of each check of some assets; none where the log is not kept in a database."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return {}
    column = AssetCheckExecutionsTable.c
    newest = (
        select(func.max(column.id))
        .where(
            column.asset_key.in_([key.to_string() for key in assets]),
            column.execution_status.in_(_EVALUATED),
        )
        .group_by(column.asset_key, column.check_name)
    )
    rows = select(column.asset_key, column.check_name, column.execution_status, column.evaluation_event).where(
        column.id.in_(newest)
    )
    found: dict[dg.AssetKey, list[Evaluation]] = {}
    with storage.index_connection() as connection:
        for row in connection.execute(rows):
            key = dg.AssetKey.from_db_string(row.asset_key)
            passed = row.execution_status == AssetCheckExecutionRecordStatus.SUCCEEDED.value
            severity = "WARN" if passed else _severity(row.evaluation_event)
            if key is not None:
                found.setdefault(key, []).append(Evaluation(key.to_user_string(), row.check_name, passed, severity))
    return found


def _severity(event: str) -> str:
    """Of a failure, as its evaluation says."""
    entry = deserialize_value(event, EventLogEntry)
    return entry.get_dagster_event().asset_check_evaluation_data.severity.value


def _upstream(manifest: Manifest, tables: Iterable[str]) -> Iterator[dg.AssetKey]:
    """The assets of tables and of everything in dbt's project that they are built from."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    wanted = set(tables)
    waiting = [
        name
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and f"{node['schema']}.{node['alias']}" in wanted
    ]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += nodes[name].get("depends_on", {}).get("nodes", [])
            yield Translator().get_asset_key(nodes[name])
