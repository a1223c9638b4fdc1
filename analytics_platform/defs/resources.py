"""What the assets work on, by the name under which Dagster hands it to them.

Belongs here: choosing the adapters that settings ask for. Stays out: what they do (lake, warehouse, dbt).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from analytics_platform.alerting.delivery import Delivery
from analytics_platform.alerting.desk import AlertDesk
from analytics_platform.alerting.messages import Places
from analytics_platform.alerting.slack import SlackClient
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog
from analytics_platform.defs.attribution import work_at_hand
from analytics_platform.defs.dbt_build import DbtBuild, DbtConnection, duckdb_connection
from analytics_platform.defs.dbt_snowflake import snowflake_connection
from analytics_platform.governance.access.desk import reference_key
from analytics_platform.governance.access.rbac import RbacSource
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.store import ObjectStore
from analytics_platform.lake.stores import BucketPlace, open_store
from analytics_platform.settings import Settings, SettingsError
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse
from analytics_platform.warehouse.snowflake import SnowflakeAccount, SnowflakeWarehouse

AfterModels = Callable[[], Mapping[str, Sequence[str]]]
"""Gives what `DbtBuild` runs after models: whoever knows the policy."""


def store_from(settings: Settings) -> ObjectStore:
    """The lake's object store."""
    options = S3Options(
        settings.lake_s3_endpoint,
        settings.lake_s3_region,
        settings.lake_s3_path_style,
        settings.lake_s3_encryption,
        settings.lake_s3_kms_key,
    )
    return open_store(
        settings.lake_url, settings.lake_root, BucketPlace(settings.lake_cache, settings.lake_cache_bytes, options)
    )


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
        case "snowflake":
            return snowflake_warehouse(settings, patience)


def embedded_warehouse(settings: Settings, patience: float | None = None) -> DuckDBWarehouse:
    """The DuckDB file of this home."""
    timeout = settings.lock_timeout_seconds if patience is None else patience
    return DuckDBWarehouse(settings.warehouse_path, lock_timeout=timeout)


def snowflake_warehouse(settings: Settings, patience: float | None = None) -> SnowflakeWarehouse:
    """The database of Snowflake that settings name; nothing connects yet."""
    return SnowflakeWarehouse(
        _snowflake_account(settings),
        schema_prefix=settings.warehouse_schema_prefix,
        kept_days=settings.deleted_rows_kept_days,
        lock_timeout=settings.lock_timeout_seconds if patience is None else patience,
        work=work_at_hand,
    )


def _snowflake_account(settings: Settings) -> SnowflakeAccount:
    secret = settings.snowflake_private_key_passphrase
    if settings.snowflake_account is None or settings.snowflake_private_key_file is None:
        raise SettingsError("snowflake_account and snowflake_private_key_file: set both to reach Snowflake")
    return SnowflakeAccount(
        account=settings.snowflake_account,
        user=settings.snowflake_user,
        private_key_file=settings.snowflake_private_key_file,
        passphrase=secret.get_secret_value() if secret else None,
        role=settings.snowflake_writer,
        database=settings.snowflake_database,
        warehouses={
            "hourly": settings.snowflake_hourly_warehouse,
            "nightly": settings.snowflake_nightly_warehouse,
            "backfill": settings.snowflake_backfill_warehouse,
        },
        host=settings.snowflake_host,
        port=settings.snowflake_port,
        protocol=settings.snowflake_protocol,
    )


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
        case "snowflake":
            return snowflake_connection(_snowflake_account(settings), work_at_hand)


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


def build_resources(settings: Settings, after_models: AfterModels | None = None) -> dict[str, object]:
    """Resources by name: `store`, `identity_keys`, `warehouse`, `dbt`, `alert_store`.

    Args:
        settings: the deployment.
        after_models: what dbt runs after models in a warehouse that others use too, to protect tables made anew.
    """
    protected = after_models if settings.warehouse != "duckdb" else None
    return {
        "store": store_from(settings),
        "identity_keys": identity_keys_from(settings),
        "warehouse": warehouse_from(settings),
        "dbt": replace(dbt_from(settings), after_models=protected),
        "alert_store": alert_store_from(settings),
    }
