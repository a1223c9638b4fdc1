"""What the assets work on, by the name under which Dagster hands it to them.

Belongs here: choosing the adapters that settings ask for. Stays out: what they do (lake, warehouse, dbt).
"""

from __future__ import annotations

from analytics_platform.alerting.delivery import Delivery
from analytics_platform.alerting.desk import AlertDesk
from analytics_platform.alerting.messages import Places
from analytics_platform.alerting.slack import SlackClient
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog
from analytics_platform.defs.dbt_build import DbtBuild, DbtConnection, duckdb_connection
from analytics_platform.governance.access.desk import reference_key
from analytics_platform.governance.access.rbac import RbacSource
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.dated import DatedStore
from analytics_platform.lake.stores import BucketPlace, open_store
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse


def store_from(settings: Settings) -> DatedStore:
    """The lake's object store."""
    options = S3Options(
        settings.lake_s3_endpoint,
        settings.lake_s3_region,
        settings.lake_s3_path_style,
        settings.lake_s3_encryption,
        settings.lake_s3_kms_key,
    )
    place = BucketPlace(settings.lake_cache, settings.lake_cache_bytes, options)
    return DatedStore(open_store(settings.lake_url, settings.lake_root, place))


def identity_keys_from(settings: Settings) -> IdentityKeys:
    """The secrets that references and seals are made with."""
    return IdentityKeys(settings.identity_keys_file)


def rbac_source(settings: Settings) -> RbacSource:
    """Where this deployment's RBAC is."""
    token = settings.rbac_token.get_secret_value() if settings.rbac_token else None
    return RbacSource(settings.rbac_address, token, settings.rbac_query)


def rbac_key(settings: Settings) -> bytes:
    """The key of references to principals."""
    secret = settings.rbac_reference_key
    return reference_key(settings.access_root, secret.get_secret_value() if secret else None)


def warehouse_from(settings: Settings, patience: float | None = None) -> Warehouse:
    """The warehouse; whoever cannot wait as long as everybody says how many seconds it can."""
    match settings.warehouse:
        case "duckdb":
            return embedded_warehouse(settings, patience)


def embedded_warehouse(settings: Settings, patience: float | None = None) -> DuckDBWarehouse:
    """The DuckDB file of this home."""
    timeout = settings.lock_timeout_seconds if patience is None else patience
    return DuckDBWarehouse(settings.warehouse_path, lock_timeout=timeout)


def dbt_from(settings: Settings) -> DbtBuild:
    """Dbt on the warehouse."""
    return DbtBuild(
        project_dir=settings.dbt_project_dir,
        connection=_dbt_connection(settings),
        target_dir=settings.dbt_target,
        schema_prefix=settings.warehouse_schema_prefix,
    )


def _dbt_connection(settings: Settings) -> DbtConnection:
    match settings.warehouse:
        case "duckdb":
            return duckdb_connection(settings.warehouse_path)


def alert_store_from(settings: Settings) -> SqliteStore:
    """Where incidents and messages are kept."""
    return SqliteStore(settings.alerts_path)


def desk_from(settings: Settings, catalog: Catalog) -> AlertDesk:
    """Where findings become incidents."""
    places = Places(settings.dagster_url, settings.runbook_url, settings.reporting_time_zone)
    return AlertDesk(catalog, alert_store_from(settings), places)


def delivery_from(settings: Settings) -> Delivery | None:
    """What sends messages; None where there is no token of Slack."""
    if settings.slack_token is None:
        return None
    slack = SlackClient(settings.slack_token.get_secret_value(), settings.slack_api_url)
    return Delivery(alert_store_from(settings), slack, read=store_from(settings).get)


def build_resources(settings: Settings) -> dict[str, object]:
    """Resources by name: `store`, `identity_keys`, `warehouse`, `dbt`, `alert_store`."""
    return {
        "store": store_from(settings),
        "identity_keys": identity_keys_from(settings),
        "warehouse": warehouse_from(settings),
        "dbt": dbt_from(settings),
        "alert_store": alert_store_from(settings),
    }
