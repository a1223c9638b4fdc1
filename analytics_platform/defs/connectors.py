"""connectors/<connector>/<stream>: what does not arrive as events, upstream of the landing.

An asset for each stream of each connector that the deployment has; without files in `connectors_folder` there is no
asset, no job, no schedule and no sensor. What a run does is in the room `connectors`; here is when, how often again,
and what is told of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.connectors.declared import DropConnector, SecretReference
from analytics_platform.connectors.loading import AnyConnector, load_connectors
from analytics_platform.connectors.running import Deployment, run_stream, waiting_files
from analytics_platform.connectors.state import Account
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.pools import CONNECTORS_POOL
from analytics_platform.defs.resources import identity_keys_from, store_from
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings, SettingsError, variable

PULLS = "50 * * * *"
"""Ten minutes before the hour is over, so that what was pulled is in the next hour's ingestion."""

LOOKS_FOR_DROPS_SECONDS = 60
RETRIES = 3
RETRY_SECONDS = 60.0
"""Before the first retry; each later one waits twice as long. dlt has tried each request five times by then."""

KINDS: Mapping[str, str] = {"drop": "csv", "sql_database": "sql", "rest_api": "dlt"}


def connectors_of(settings: Settings, catalog: Catalog) -> dict[str, AnyConnector]:
    """The connectors of a deployment by name.

    Raises:
        CatalogError: a file cannot be used; every problem is told.
    """
    return load_connectors(settings.connectors_folder, catalog)


def connector_keys(connectors: Mapping[str, AnyConnector]) -> list[dg.AssetKey]:
    """The assets of all streams."""
    return [keys.connector(name, stream) for name, connector in connectors.items() for stream in connector.streams]


def secrets_of(settings: Settings) -> Callable[[SecretReference], str]:
    """What gives the secrets that connectors' files name; it raises SettingsError for one that is not there."""

    def secret(reference: SecretReference) -> str:
        if reference.env is not None:
            if (found := variable(reference.env)) is None:
                raise SettingsError(
                    f"{reference.env}: a connector's secret is in this variable, which is not set; set it"
                )
            return found
        held = settings.connector_secrets.get(str(reference.secret))
        if held is None:
            raise SettingsError(
                f"connector_secrets: has no {reference.secret}; add it there, by ANALYTICS_CONNECTOR_SECRETS as JSON"
            )
        return held.get_secret_value()

    return secret


def deployment_of(settings: Settings, catalog: Catalog, store: ObjectStore | None = None) -> Deployment:
    """What runs of connectors work on in a deployment."""
    return Deployment(
        catalog=catalog,
        store=store or store_from(settings),
        identities=identity_keys_from(settings),
        secret=secrets_of(settings),
        files=settings.connector_files,
        history_start=settings.history_start,
    )


def connector_assets(settings: Settings, connectors: Mapping[str, AnyConnector]) -> list[dg.AssetsDefinition]:
    """An asset for each stream."""
    return [_asset(settings, connector, stream) for connector in connectors.values() for stream in connector.streams]


def connector_schedules(settings: Settings, connectors: Mapping[str, AnyConnector]) -> list[dg.ScheduleDefinition]:
    """Every hour, those connectors whose hour it is; files are looked for too, should the sensor be off."""
    if not connectors:
        return []

    @dg.schedule(
        name="connector_pulls",
        job_name=jobs.CONNECT,
        cron_schedule=PULLS,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="What is new at the sources of the connectors whose hour it is.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        local = context.scheduled_execution_time.astimezone(ZoneInfo(settings.reporting_time_zone))
        due = [each for each in connectors.values() if is_due(each, local)]
        requests = [_request(each, f"{context.scheduled_execution_time:%Y-%m-%dT%H}") for each in due]
        return requests or dg.SkipReason(f"none of {len(connectors)} connectors runs at this hour")

    return [evaluate]


def connector_sensors(settings: Settings, connectors: Mapping[str, AnyConnector]) -> list[dg.SensorDefinition]:
    """Whole files in drop folders start their connector."""
    drops = [each for each in connectors.values() if isinstance(each, DropConnector)]
    if not drops:
        return []

    @dg.sensor(
        name="connector_drops",
        job_name=jobs.CONNECT,
        minimum_interval_seconds=LOOKS_FOR_DROPS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes files that were dropped, once they are whole.",
    )
    def evaluate() -> list[dg.RunRequest] | dg.SkipReason:
        deployment = deployment_of(settings, load_catalog(settings.tenants_file, settings.extension_catalog))
        requests = []
        for connector in drops:
            waiting = waiting_files(deployment, connector, datetime.now(UTC))
            if waiting:
                said = "".join(f"{each.path}\0{each.size}\0{each.changed_ns}\n" for each in waiting)
                # The same files ask once: what is refused waits for somebody, not for the next minute.
                requests.append(_request(connector, hashlib.sha256(said.encode()).hexdigest()[:16]))
        return requests or dg.SkipReason("no file waits")

    return [evaluate]


def is_due(connector: AnyConnector, local: datetime) -> bool:
    """Whether a connector runs at an hour of the reporting time zone."""
    return local.hour % connector.every_hours == 0


def _asset(settings: Settings, connector: AnyConnector, stream: str) -> dg.AssetsDefinition:
    events = sorted({rule.event for rule in connector.streams[stream].rules.values()})

    @dg.asset(
        key=keys.connector(connector.name, stream),
        owners=[f"team:{connector.owner}"],
        kinds={"python", KINDS[connector.source]},
        pool=CONNECTORS_POOL,
        description=f"{connector.title}: {stream}, as {', '.join(events)}.",
        metadata={"source": connector.source, "events": ", ".join(events)},
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=3 * connector.every_hours + 1),
            warn_window=timedelta(hours=2 * connector.every_hours),
        ),
        retry_policy=dg.RetryPolicy(RETRIES, delay=RETRY_SECONDS, backoff=dg.Backoff.EXPONENTIAL),
    )
    def rows(store: dg.ResourceParam[ObjectStore]) -> dg.MaterializeResult[None]:
        deployment = deployment_of(settings, load_catalog(settings.tenants_file, settings.extension_catalog), store)
        return dg.MaterializeResult(metadata=_told(run_stream(deployment, connector, stream, datetime.now(UTC))))

    return rows


def _request(connector: AnyConnector, asked: str) -> dg.RunRequest:
    selection: Sequence[dg.AssetKey] = connector_keys({connector.name: connector})
    return dg.RunRequest(run_key=f"{connector.name} {asked}", asset_selection=selection)


def _told(account: Account) -> dict[str, dg.MetadataValue]:
    counts = {
        name: dg.MetadataValue.int(getattr(account, name))
        for name in ("rows", "rules", "unreadable", "accepted", "duplicates", "changed", "dead_lettered", "skipped")
    }
    return {**counts, "files": dg.MetadataValue.int(account.files), "reasons": dg.MetadataValue.json(account.reasons)}
