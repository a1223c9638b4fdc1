"""The composition root: everything that Dagster knows of the platform, as a table of contents."""

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs.access import access_assets, after_models
from analytics_platform.defs.alerts import alerts_sensor, daily_digest, heartbeat
from analytics_platform.defs.anomalies import anomalies_asset
from analytics_platform.defs.automation import (
    hourly_ingestion,
    hourly_look_back,
    loads_follow_ingestion,
    monday_report,
    nightly_build,
    pages_follow_build,
    rest_follows_held_back,
    tenants_from_registry,
)
from analytics_platform.defs.backups import backup_assets, backup_schedules
from analytics_platform.defs.bi import bi_assets
from analytics_platform.defs.check_results import check_results_asset
from analytics_platform.defs.connectors import (
    connector_assets,
    connector_keys,
    connector_schedules,
    connector_sensors,
    connectors_of,
)
from analytics_platform.defs.dashboards import dashboard_assets
from analytics_platform.defs.dbt import Manifest, dbt_model_assets, dbt_seed_assets
from analytics_platform.defs.environments import existing_in
from analytics_platform.defs.erasure import erasure_asset
from analytics_platform.defs.expectations import expectations_report_asset
from analytics_platform.defs.extracts import extract_assets
from analytics_platform.defs.identities import identities_asset
from analytics_platform.defs.incidents import incidents_asset
from analytics_platform.defs.jobs import jobs
from analytics_platform.defs.landing import landing_assets
from analytics_platform.defs.ledger import collector_hours_asset, ledger_asset
from analytics_platform.defs.loaded import loaded_stream_assets, registry_assets
from analytics_platform.defs.manifest import load_manifest
from analytics_platform.defs.partitions import Partitions, partitions_from, refuse_too_many
from analytics_platform.defs.policies import with_policies
from analytics_platform.defs.raw import raw_assets
from analytics_platform.defs.records import processing_records_asset
from analytics_platform.defs.reports import weekly_report_asset
from analytics_platform.defs.resources import build_resources, identity_keys_from, store_from
from analytics_platform.defs.retention import daily_governance, retention_assets
from analytics_platform.defs.reviews import quarterly_review, review_asset
from analytics_platform.defs.sla import sla_attainment_asset
from analytics_platform.home_state import require_usable
from analytics_platform.settings import Settings
from asset_checks import all_checks
from asset_checks.access import access_checks
from asset_checks.backups import backup_checks
from asset_checks.bi import bi_checks
from asset_checks.connectors import connector_checks
from asset_checks.erasure import erasure_checks
from asset_checks.expectations import expectation_checks
from asset_checks.records import records_checks
from asset_checks.retention import retention_checks


def build_definitions(settings: Settings) -> dg.Definitions:
    """The whole graph of one deployment.

    Raises:
        ManifestMissingError: dbt's manifest was not built.
        UndeclaredDatasetError: an asset writes what the dataset registry does not know.
        CatalogError: a declaration is broken.
        GraphTooLargeError: history and tenants make more raw partitions than can be shown.
    """
    with warnings.catch_warnings():
        # Beta parts are in use knowingly; the dependency is held below the next minor version, which may change them.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _definitions(settings)


def _definitions(settings: Settings) -> dg.Definitions:
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    manifest = load_manifest(settings)
    partitions = partitions_from(settings.history_start, settings.reporting_time_zone)
    refuse_too_many(partitions, len(catalog.tenants), datetime.now(UTC))
    connectors = connectors_of(settings, catalog)
    all_jobs = jobs(backs_up=settings.backup_target is not None, connects=bool(connectors))
    assets = [
        *connector_assets(settings, connectors),
        landing_assets(connector_keys(connectors)),
        raw_assets(catalog, partitions),
        identities_asset(catalog),
        ledger_asset(catalog, partitions),
        collector_hours_asset(catalog, partitions),
        incidents_asset(catalog),
        loaded_stream_assets(catalog, partitions),
        registry_assets(catalog),
        dbt_seed_assets(manifest),
        dbt_model_assets(manifest, partitions),
        anomalies_asset(catalog, manifest, partitions),
        *extract_assets(catalog, manifest, partitions),
        *dashboard_assets(settings, catalog, manifest, partitions),
        expectations_report_asset(catalog, manifest, partitions),
        weekly_report_asset(settings, catalog, partitions),
        *bi_assets(settings, catalog, manifest, partitions),
    ]
    assets += [sla_attainment_asset(catalog, partitions, assets), check_results_asset(partitions)]
    assets.append(review_asset(catalog, manifest, settings, assets))
    governed = list(assets)
    assets += [*retention_assets(settings, catalog, governed), erasure_asset(settings, catalog)]
    assets += access_assets(settings, catalog, manifest, governed)
    assets += [processing_records_asset(settings, catalog), *backup_assets(settings)]
    return dg.Definitions(
        assets=with_policies(assets, catalog, settings.reporting_time_zone, settings.warehouse),
        asset_checks=_checks(settings, catalog, manifest, partitions),
        jobs=all_jobs,
        schedules=existing_in(settings.environment, _schedules(settings, catalog, partitions)),
        sensors=existing_in(settings.environment, _sensors(settings, catalog, partitions, all_jobs)),
        resources=build_resources(settings, partial(after_models, settings, catalog, manifest)),
        executor=dg.in_process_executor,
    )


def _checks(
    settings: Settings, catalog: Catalog, manifest: Manifest, partitions: Partitions
) -> list[dg.AssetChecksDefinition]:
    return [
        *all_checks(catalog, manifest, partitions, identity_keys_from(settings)),
        *expectation_checks(catalog, manifest, partitions, settings.extension_suites),
        *retention_checks(settings, catalog, manifest),
        *erasure_checks(settings, catalog),
        *records_checks(settings, catalog),
        *access_checks(settings, catalog, manifest),
        *backup_checks(settings),
        *connector_checks(connectors_of(settings, catalog)),
        *bi_checks(settings, catalog, manifest),
    ]


def _schedules(settings: Settings, catalog: Catalog, partitions: Partitions) -> list[dg.ScheduleDefinition]:
    return [
        hourly_ingestion(settings, store_from(settings), partitions, list(catalog.streams)),
        nightly_build(settings, store_from(settings)),
        quarterly_review(settings, catalog),
        daily_digest(settings),
        heartbeat(settings),
        hourly_look_back(settings, partitions),
        monday_report(settings, store_from(settings)),
        daily_governance(settings),
        *backup_schedules(settings),
        *connector_schedules(settings, connectors_of(settings, catalog)),
    ]


def _sensors(
    settings: Settings, catalog: Catalog, partitions: Partitions, all_jobs: Sequence[UnresolvedAssetJobDefinition]
) -> list[dg.SensorDefinition]:
    return [
        tenants_from_registry(settings, partitions),
        loads_follow_ingestion(all_jobs),
        pages_follow_build(all_jobs),
        rest_follows_held_back(all_jobs),
        alerts_sensor(settings),
        *connector_sensors(settings, connectors_of(settings, catalog)),
    ]


@dg.definitions
def definitions() -> dg.Definitions:
    """The graph of the deployment that the environment describes; nothing is read before Dagster asks for it."""
    settings = Settings.from_environment()
    require_usable(settings)
    return build_definitions(settings)
