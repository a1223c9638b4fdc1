"""What the assets work on, by the name under which Dagster hands it to them.

Belongs here: choosing the adapters that settings ask for. Stays out: what they do (lake, warehouse, dbt).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analytics_platform.alerting.delivery import Delivery
from analytics_platform.alerting.desk import AlertDesk
from analytics_platform.alerting.messages import Places
from analytics_platform.alerting.slack import SlackClient
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.backup.journal import JournaledStore
from analytics_platform.catalog import Catalog
from analytics_platform.defs.attribution import work_at_hand
from analytics_platform.defs.dbt_bigquery import bigquery_connection
from analytics_platform.defs.dbt_build import DbtBuild, DbtConnection, duckdb_connection
from analytics_platform.defs.dbt_snowflake import snowflake_connection
from analytics_platform.governance.access.desk import reference_key
from analytics_platform.governance.access.rbac import RbacSource
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.dated import DatedStore
from analytics_platform.lake.store import LocalStore, ObjectStore
from analytics_platform.lake.stores import BucketPlace, open_store
from analytics_platform.settings import Settings, SettingsError
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse
from analytics_platform.warehouse.bigquery_place import BigQueryPlace
from analytics_platform.warehouse.snowflake import SnowflakeAccount, SnowflakeWarehouse

if TYPE_CHECKING:
    from analytics_platform.warehouse.bigquery import BigQueryWarehouse

AfterModels = Callable[[], Mapping[str, Sequence[str]]]
"""Gives what `DbtBuild` runs after models: whoever knows the policy."""


def store_from(settings: Settings) -> DatedStore:
    """The lake's object store; what governance records is kept beside the backups too, where there are any."""
    store = open_store(settings.lake_url, settings.lake_root, _bucket_place(settings))
    if (address := settings.backup_target) is not None:
        store = JournaledStore(store, lambda: backup_store(settings, address))
    return DatedStore(store)


def backup_store(settings: Settings, address: str) -> ObjectStore:
    """Where backups are: a bucket, or a folder."""
    if "://" in address:
        return open_store(address, settings.lake_root, _bucket_place(settings))
    return LocalStore(Path(address).expanduser())


def _bucket_place(settings: Settings) -> BucketPlace:
    return BucketPlace(settings.lake_cache, settings.lake_cache_bytes, s3_options(settings))


def s3_options(settings: Settings) -> S3Options:
    """How a bucket of S3 is reached."""
    return S3Options(
        settings.lake_s3_endpoint,
        settings.lake_s3_region,
        settings.lake_s3_path_style,
        settings.lake_s3_encryption,
        settings.lake_s3_kms_key,
        has_object_lock=settings.lake_object_lock != "none",
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
        case "bigquery":
            return bigquery_warehouse(settings)


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


def bigquery_warehouse(settings: Settings) -> BigQueryWarehouse:
    """The project of BigQuery that settings name; nothing connects yet."""
    from analytics_platform.warehouse.bigquery import BigQueryWarehouse

    return BigQueryWarehouse(bigquery_place(settings), work_at_hand)


def bigquery_place(settings: Settings) -> BigQueryPlace:
    """Where BigQuery is, and what a job there may cost."""
    return BigQueryPlace(
        project=settings.bigquery_project,
        region=settings.bigquery_region,
        prefix=settings.warehouse_schema_prefix,
        environment=settings.environment,
        maximum_bytes_billed=settings.bigquery_maximum_bytes_billed,
        api_endpoint=settings.bigquery_api_endpoint,
        anonymous=settings.bigquery_anonymous,
    )


def dbt_from(settings: Settings) -> DbtBuild:
    """Dbt on the warehouse."""
    return DbtBuild(
        project_dir=settings.dbt_project,
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
        case "bigquery":
            return bigquery_connection(bigquery_place(settings), work_at_hand)


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
