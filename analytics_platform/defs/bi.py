"""bi/: the Power BI project, its refresh where a deployment configures one, and what Looker Studio reads.

Thin: files are reporting's, who may see what is the access policy's, and here they meet. Checks are in
`asset_checks.bi`.
"""

import json
from collections.abc import Mapping

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.access import access_desk, dbt_tables, power_bi_model
from analytics_platform.defs.dbt import Manifest
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.documents import render_html
from analytics_platform.governance.access.desk import AccessDesk
from analytics_platform.governance.access.policy import Policy
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.looker_studio import LookerChoices, looker_document, looker_facts
from analytics_platform.reporting.power_bi.project import ZIP_KEY, project_files, write_project
from analytics_platform.reporting.power_bi.refresh import PowerBiError, Refreshed
from analytics_platform.reporting.power_bi.review import Granted, Wanted
from analytics_platform.settings import Settings

LOOKER_PREFIX = "bi/looker_studio/"
REFRESH_KEY = "bi/power_bi_refresh.json"
"""What the last refresh that completed was."""

_SEEN_BY_READERS = "Read by people in their own tool; who sees which rows is said there by the access policy."


def bi_assets(
    settings: Settings, catalog: Catalog, manifest: Manifest, partitions: Partitions
) -> list[dg.AssetsDefinition]:
    """The assets of this deployment: a refresh is there only where one is configured."""
    found = [_project_asset(settings, catalog, manifest, partitions), _looker_asset(settings, catalog, partitions)]
    if settings.refreshes_power_bi:
        found.append(_refresh_asset(settings, catalog, partitions))
    return found


def power_bi_files(settings: Settings, catalog: Catalog, desk: AccessDesk) -> dict[str, bytes]:
    """The project of this deployment, with the roles of its policy."""
    return project_files(power_bi_model(settings, catalog), desk.power_bi_roles())


def power_bi_wanted(settings: Settings, catalog: Catalog, manifest: Manifest, desk: AccessDesk) -> Wanted:
    """What a project is held to."""
    declared = {name: (*each.columns, *each.pii_columns) for name, each in catalog.datasets.items() if each.columns}
    columns = declared | {name: tuple(table.columns) for name, table in dbt_tables(manifest).items()}
    model = power_bi_model(settings, catalog)
    datasets = frozenset(fact.dataset for fact in model.facts)
    return Wanted(model, granted(desk.policy, desk.tenants, datasets), columns)


def granted(policy: Policy, tenants: list[str], datasets: frozenset[str]) -> dict[str, Mapping[str, Granted]]:
    """What each audience sees of some datasets, by its name; audiences that see none of them have no role."""
    found: dict[str, Mapping[str, Granted]] = {}
    for audience in policy.audiences(tenants):
        grants = policy.by_role[audience.role].by_dataset
        seen = {
            name: Granted(audience.tenant if grants[name].tenant_column else None, frozenset(grants[name].masked))
            for name in datasets & grants.keys()
        }
        if seen:
            found[audience.name] = seen
    return found


def looker_choices(settings: Settings) -> LookerChoices:
    """What this deployment chooses for Looker Studio."""
    return LookerChoices(
        settings.looker_source,
        settings.looker_location,
        settings.bigquery_project,
        settings.looker_reports,
        settings.looker_credentials,
        settings.looker_viewers_table,
    )


def looker_key(dashboard: str, form: str) -> str:
    """Where a dashboard's checklist is in the lake, as `html` or `json`."""
    return f"{LOOKER_PREFIX}{dashboard}.{form}"


def _extracts(catalog: Catalog) -> list[dg.AssetKey]:
    return [keys.extract(board.name, each.name) for board in catalog.dashboards.values() for each in board.extracts]


def _project_asset(
    settings: Settings, catalog: Catalog, manifest: Manifest, partitions: Partitions
) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.POWER_BI_PROJECT,
        deps=_extracts(catalog),
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=f"The project that Power BI Desktop opens: a model, its measures and roles, a page per dashboard. "
        f"{_SEEN_BY_READERS}",
    )
    def power_bi_project(store: dg.ResourceParam[ObjectStore]) -> dg.MaterializeResult[None]:
        files = power_bi_files(settings, catalog, access_desk(settings, catalog, manifest, store))
        changed = write_project(store, files)
        return dg.MaterializeResult(
            metadata={
                "files": len(files),
                "bytes": sum(map(len, files.values())),
                "changed_objects": changed,
                "source": settings.power_bi_source,
                "zip": ZIP_KEY,
            }
        )

    return power_bi_project


def _refresh_asset(settings: Settings, catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.POWER_BI_REFRESH,
        deps=[keys.POWER_BI_PROJECT, *_extracts(catalog)],
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="The semantic model in Power BI, refreshed from what is published, and waited for to its end.",
    )
    def power_bi_refresh(store: dg.ResourceParam[ObjectStore]) -> dg.MaterializeResult[None]:
        done = refresh_model(settings)
        told = {"request_id": done.request_id, "started_at": done.started_at, "ended_at": done.ended_at}
        store.put(REFRESH_KEY, (json.dumps(told) + "\n").encode())
        return dg.MaterializeResult(metadata={name: str(value) for name, value in told.items()})

    return power_bi_refresh


def refresh_model(settings: Settings) -> Refreshed:
    """Refresh the semantic model that the settings name.

    Raises:
        PowerBiError: it was refused, failed or did not end in time, or what asks for it is not installed.
    """
    try:
        from analytics_platform.defs.power_bi_workspace import workspace_from
    except ModuleNotFoundError as error:
        raise PowerBiError(f"{error.name} is not installed; install analytics-platform[powerbi]") from error
    with workspace_from(settings).process_config_and_initialize_cm() as workspace:
        done: Refreshed = workspace.refresh(str(settings.power_bi_dataset_id))
    return done


def _looker_asset(settings: Settings, catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.LOOKER_STUDIO,
        deps=_extracts(catalog),
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"python", "looker", "html"},
        description=f"Per dashboard its data sources, the link that makes a report, and what each field has to be. "
        f"{_SEEN_BY_READERS}",
    )
    def looker_studio(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[ObjectStore]
    ) -> dg.MaterializeResult[None]:
        choices, day = looker_choices(settings), span_of(context)[1]
        for board in catalog.dashboards.values():
            facts = looker_facts(catalog, board, choices)
            store.put(looker_key(board.name, "json"), (json.dumps(facts, indent=2) + "\n").encode())
            store.put(looker_key(board.name, "html"), render_html(looker_document(catalog, board, choices, day)))
        return dg.MaterializeResult(
            metadata={
                "dashboards": len(catalog.dashboards),
                "templates": len(choices.reports),
                "source": choices.source,
                "credentials": choices.credentials,
            }
        )

    return looker_studio
