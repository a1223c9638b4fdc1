"""What a deployment chooses, and the only place that reads the environment.

Settings come from ``ANALYTICS_*`` variables or from one YAML file (``settings.yaml`` in the home folder, or the file
that ``ANALYTICS_SETTINGS_FILE`` names); a variable wins over the file. The embedded default needs none. What the
business declares (events, KPIs, tenants, owners) is not a setting: it lives in ``catalog``.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as VariableError
from yaml import YAMLError

from analytics_platform.errors import AnalyticsError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
PREFIX = "ANALYTICS_"

_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_SNOWFLAKE_NAME = r"^[A-Za-z_][A-Za-z0-9_$]*$"
_REFRESH = ("workspace_id", "dataset_id", "tenant_id", "client_id", "client_secret")
"""Settings of Power BI that a refresh needs, and nothing else does."""

RBAC_EXPORT = "rbac.json"
"""Export of the product's RBAC that is read where no source is set; the demo writes it."""

_NEVER_A_BRANCHS = ("backup_target", "power_bi_client_secret", "segment_token", "slack_token")
"""What a branch's environment could write to other systems with."""

_SECRETS = (
    "backup_passphrase",
    "collector_webhooks",
    "connector_secrets",
    "dagster_postgres_password",
    "power_bi_client_secret",
    "rbac_reference_key",
    "rbac_source",
    "rbac_token",
    "segment_token",
    "slack_token",
    "snowflake_private_key_passphrase",
)
"""Settings whose values stand in no message."""


_CREDENTIALS = re.compile(r"//[^/\s]*@")

_OF_A_SERVICE = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)")
"""What Kubernetes tells a pod about each Service beside it, also about one whose name begins like a setting."""


class SettingsError(AnalyticsError):
    """A setting cannot be used; the text names the setting, where it may be set, and the mend."""


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not an IANA time zone; write one such as Europe/Amsterdam")
    return name


def _readable_address(source: SecretStr) -> SecretStr:
    try:
        urlsplit(source.get_secret_value()).port  # noqa: B018 - looking for the port finds what is none
    except ValueError:
        mend = "write a path, or a URL with a name or [an IPv6 address] as its host"
        raise ValueError(f"no address that can be read; {mend}") from None  # its text would repeat the password
    return source


class CollectorWebhook(BaseModel):
    """A Segment source whose webhook destination sends to the collector: its secret, and our write key for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    write_key: SecretStr = Field(min_length=1)
    secret: SecretStr = Field(min_length=8)


class Settings(BaseSettings):
    """One deployment's choices; paths are absolute, days are business days in the reporting time zone."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    home: Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())] = Field(
        default=Path(".analytics"), description="Folder of the lake, the warehouse file and Dagster's instance."
    )
    environment: Literal["local", "ci", "staging", "production"] = Field(
        default="local",
        description="Which of the declared environments this is: it decides which schedules and sensors exist.",
    )
    history_start: date = Field(
        default=date(2022, 1, 1), description="First day that has partitions; older events are dead letters."
    )
    reporting_time_zone: Annotated[str, AfterValidator(_known_time_zone)] = Field(
        default="Europe/Amsterdam", description="Time zone of the schedules and of the platform-wide day."
    )
    tenants_file: Path | None = Field(
        default=None, description="YAML with this deployment's own tenants, beside those of the catalogue."
    )
    extension_folder: Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())] | None = Field(
        default=None,
        description="Folder of what this deployment adds: catalog/, dbt/ and expectations/ (docs/extending.md).",
    )
    write_keys_file: Path = Field(
        default_factory=lambda chosen: chosen["home"] / "write_keys.yaml",
        description="This deployment's own write keys, which `analytics keys` edits; in the home folder by default.",
    )
    backup_target: str | None = Field(
        default=None,
        pattern=r"^([/~]|(s3|gs)://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[^/]+)*/?$)",
        description="Where backups are, one made each day: a folder on another disk, s3://bucket/prefix or "
        "gs://bucket/prefix; reached as the lake's bucket is.",
    )
    backup_passphrase: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Seals the keys to people in each backup; without one they are kept elsewhere by hand.",
    )
    backup_max_age_hours: float = Field(
        default=36.0, gt=0, description="Age of the newest backup beyond which the doctor and the checks complain."
    )
    identity_keys_file: Path = Field(
        default_factory=lambda chosen: chosen["home"] / "identity_keys.json",
        description="The secrets that references and seals are made with (docs/identities.md); keep a copy elsewhere.",
    )
    deleted_rows_kept_days: int = Field(
        default=0,
        ge=0,
        description="Days for which the warehouse keeps deleted rows: Snowflake's time travel, BigQuery's and 7 more.",
    )
    deleted_objects_kept_days: int = Field(
        default=0,
        ge=0,
        description="How long a versioned bucket keeps old versions until its lifecycle rule ends them.",
    )
    lake_url: str | None = Field(
        default=None,
        pattern=r"^(s3|gs)://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[^/]+)*/?$",
        description="Bucket of the lake, s3://bucket/prefix or gs://bucket/prefix; the home's folder by default.",
    )
    lake_s3_endpoint: str | None = Field(
        default=None, pattern="^https?://", description="Address of a store that speaks S3's protocol, if not AWS."
    )
    lake_s3_region: str | None = Field(default=None, description="Region of the bucket, if the environment says none.")
    lake_s3_path_style: bool = Field(
        default=False, description="The bucket in the path of a request, as most stores beside AWS want it."
    )
    lake_s3_encryption: Literal["none", "AES256", "aws:kms"] = Field(
        default="none", description="Server-side encryption asked for with each put; none is the bucket's own default."
    )
    lake_s3_kms_key: str | None = Field(default=None, description="Key for aws:kms; the account's own by default.")
    lake_cache_bytes: int = Field(
        default=4 * 1024**3, ge=0, description="How much of a bucket may lie in the home as files for readers."
    )
    lake_object_lock: Literal["none", "governance", "compliance"] = Field(
        default="none", description="The bucket's Object Lock; in compliance mode nobody can erase what it covers."
    )
    warehouse: Literal["duckdb", "snowflake", "bigquery"] = Field(
        default="duckdb", description="Product that holds the tables: duckdb is one file of the home folder."
    )
    warehouse_schema_prefix: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_]{0,30}_)?$",
        description="What a branch environment's schemas begin with in a shared warehouse, such as pr_123_.",
    )
    dbt_project_dir: Path = Field(
        default=PROJECT_ROOT / "dbt", description="The dbt project; the one beside this package by default."
    )
    lock_timeout_seconds: float = Field(
        default=600.0, ge=0, description="How long a writer waits for the warehouse before it gives up."
    )

    collector_segment_bytes: int = Field(
        default=16 * 1024 * 1024, ge=4096, description="Size at which a spool segment of the collector is shipped."
    )
    collector_segment_seconds: float = Field(
        default=30.0, gt=0, description="Age at which a spool segment is shipped: how long a lost disk can cost events."
    )
    collector_spool_max_bytes: int = Field(
        default=4 * 1024**3,
        ge=1024,
        description="Unshipped bytes beyond which the collector refuses: the store is down.",
    )
    collector_min_free_bytes: int = Field(
        default=256 * 1024 * 1024, ge=0, description="Free disk below which the collector refuses events."
    )

    collector_host: str = Field(
        default="127.0.0.1", description="Address that the collector listens on; 0.0.0.0 for all of the machine's."
    )
    collector_port: int = Field(default=8080, ge=0, le=65535, description="Its port; 0 takes a free one.")
    collector_max_body_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="Largest body of a request, as sent and as inflated."
    )
    collector_max_batch_events: int = Field(default=10_000, ge=1, description="Most events of one request.")
    collector_events_per_second: int = Field(
        default=2_000, ge=1, description="What a write key may send that has no limit of its own; ten seconds' at once."
    )
    collector_webhooks: tuple[CollectorWebhook, ...] = Field(
        default=(), description="Segment sources that send through their webhook destination to /v1/webhook."
    )

    connectors_folder: Path = Field(
        default_factory=lambda chosen: chosen["home"] / "connectors",
        description="Folder with a YAML file for each connector (docs/connectors.md); in the home folder by default.",
    )
    connector_secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="Secrets by the names under which connectors' files refer to them."
    )

    segment_token: SecretStr | None = Field(
        default=None, min_length=1, description="Token of Segment's Public API, for `analytics segment`."
    )
    segment_region: Literal["us", "eu"] = Field(default="us", description="Where the Segment workspace lies.")
    segment_api_url: str | None = Field(
        default=None, pattern="^https?://", description="Another address of the Public API, such as a proxy's."
    )
    segment_webhook_url: str | None = Field(
        default=None, pattern="^https?://", description="The collector's /v1/webhook as Segment's cloud reaches it."
    )

    slack_token: SecretStr | None = Field(
        default=None, min_length=1, description="Bot token of Slack; without one, alerts stay in the outbox."
    )
    slack_api_url: str = Field(
        default="https://slack.com/api/", pattern="^https?://", description="Slack's API, such as GovSlack's own."
    )
    executives_channel: str | None = Field(
        default=None,
        pattern=r"^#[a-z0-9_-]{1,79}$",
        description="Slack channel of the weekly report over all tenants; by default that of the report's owner.",
    )
    report_language: Literal["en-GB", "nl-NL"] = Field(
        default="en-GB", description="Language of reports and how they write numbers."
    )
    organisation_name: str | None = Field(
        default=None, min_length=1, description="Who runs the platform, as the records of processing name it."
    )
    organisation_contact: str | None = Field(
        default=None, min_length=1, description="Address and telephone number of it, for the same records."
    )
    organisation_privacy_contact: str | None = Field(
        default=None, min_length=1, description="Its data protection officer or privacy contact."
    )
    dagster_url: str = Field(
        default="http://127.0.0.1:3000", pattern="^https?://", description="Dagster's UI as readers of alerts reach it."
    )
    dagster_postgres_host: str | None = Field(
        default=None,
        min_length=1,
        description="PostgreSQL server of Dagster's runs, events and schedules, or the folder of its socket; SQLite in "
        "the home by default.",
    )
    dagster_postgres_port: int = Field(default=5432, ge=1, le=65535, description="Its port.")
    dagster_postgres_database: str = Field(
        default="dagster", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", description="A database of Dagster's own on it."
    )
    dagster_postgres_user: str = Field(default="dagster", min_length=1, description="Who owns its tables.")
    dagster_postgres_password: SecretStr | None = Field(
        default=None, min_length=1, description="That user's password, where the server wants one."
    )
    dagster_postgres_sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="require", description="How far the connection is encrypted and the server's name checked."
    )
    dagster_postgres_root_certificate: Path | None = Field(
        default=None, description="The authority that signs the server's certificate, for verify-ca and verify-full."
    )
    dagster_concurrent_runs: int = Field(
        default=3,
        ge=3,
        description="Runs at once, a process of some 300 MB each; backfills never take all of them.",
    )
    dagster_run_hours: float = Field(
        default=24.0, gt=0, description="How long a run may take before it is said to have failed."
    )
    dagster_config_file: Path | None = Field(
        default=None,
        description="A dagster.yaml of the deployment's own, such as the chart's; it is used as it is.",
    )
    runbook_url: str | None = Field(
        default=None, pattern="^https?://", description="The folder docs/runbooks as readers of alerts reach it."
    )

    rbac_source: Annotated[SecretStr, AfterValidator(_readable_address)] | None = Field(
        default=None,
        min_length=1,
        description="Where the product says who holds which role: a JSON or CSV file, an HTTP endpoint, or a database "
        "as SQLAlchemy writes it; by default rbac.json in the home folder, where there is one.",
    )
    rbac_token: SecretStr | None = Field(default=None, min_length=1, description="Bearer token of that endpoint.")
    rbac_query: str = Field(
        default="select principal, role, tenants, exported_at from role_memberships",
        description="What to ask that database; it gives these four columns.",
    )
    rbac_max_age_hours: float = Field(default=36.0, gt=0, description="Age at which an export is stale.")
    rbac_reference_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Key of the references that stand for principals who are e-mail addresses; by default the home "
        "folder makes its own.",
    )

    portal_host: str = Field(
        default="127.0.0.1", description="Address that the portal listens on; 0.0.0.0 for all of the machine's."
    )
    portal_port: int = Field(default=8000, ge=0, le=65535, description="Its port; 0 takes a free one.")
    portal_url: str | None = Field(
        default=None,
        pattern="^https?://",
        description="The portal as its readers reach it. One that begins with https:// says that https ends in front.",
    )
    portal_login: Literal["local", "oidc"] = Field(
        default="local", description="Who says who somebody is: the portal's own users, or an identity provider."
    )
    portal_session_hours: float = Field(default=12.0, gt=0, le=720, description="How long a local login lasts.")
    portal_oidc_issuer: str | None = Field(
        default=None, pattern="^https?://", description="The identity provider, as `iss` of its tokens says it."
    )
    portal_oidc_audience: str | None = Field(
        default=None, min_length=1, description="For whom tokens have to be made: `aud`, such as the proxy's client id."
    )
    portal_oidc_jwks: str | None = Field(
        default=None, min_length=1, description="The provider's public keys (JWKS): an address, or a file."
    )
    portal_oidc_algorithms: tuple[Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"], ...] = Field(
        default=("RS256", "ES256"), min_length=1, description="How tokens may be signed."
    )
    portal_oidc_header: str = Field(
        default="Authorization",
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
        description="The header with the token: after `Bearer ` in Authorization, alone in every other.",
    )
    portal_oidc_principal_claim: str = Field(
        default="sub", min_length=1, description="The claim that is the principal, as the RBAC names it."
    )
    portal_oidc_groups_claim: str | None = Field(
        default=None,
        min_length=1,
        description="The claim with groups named analytics.<role>[.<tenant>], where they say who holds which role; by "
        "default the product's RBAC does.",
    )

    snowflake_database: str = Field(
        default="analytics", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Snowflake's database, for its grants."
    )
    snowflake_writer: str = Field(
        default="ANALYTICS_WRITER",
        pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$",
        description="Role that loads and builds in Snowflake: the one for whom no row is filtered and nothing masked.",
    )
    snowflake_account: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="Snowflake's account, organisation-account, where the warehouse is snowflake.",
    )
    snowflake_user: str = Field(
        default="ANALYTICS", pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$", description="Snowflake's user, of type SERVICE."
    )
    snowflake_private_key_file: Path | None = Field(
        default=None, description="PEM file with that user's private key; there is no login by password."
    )
    snowflake_private_key_passphrase: SecretStr | None = Field(
        default=None, min_length=1, description="Passphrase of that file, where it is encrypted."
    )
    snowflake_hourly_warehouse: str = Field(
        default="ANALYTICS_HOURLY",
        pattern=_SNOWFLAKE_NAME,
        description="Snowflake's warehouse for hourly loads and for whoever asks meanwhile.",
    )
    snowflake_nightly_warehouse: str = Field(
        default="ANALYTICS_NIGHTLY",
        pattern=_SNOWFLAKE_NAME,
        description="The one for nightly builds, pages and governance.",
    )
    snowflake_backfill_warehouse: str = Field(
        default="ANALYTICS_BACKFILL", pattern=_SNOWFLAKE_NAME, description="The one for backfills."
    )
    snowflake_host: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="Snowflake's host where it is not the account's, such as a private link's.",
    )
    snowflake_port: int | None = Field(default=None, ge=1, le=65535, description="Its port.")
    snowflake_protocol: Literal["https", "http"] = Field(
        default="https", description="http for a stand-in on the same machine alone."
    )
    bigquery_project: str = Field(
        default="analytics",
        pattern=r"^[a-z][a-z0-9-]*$",
        description="BigQuery's project: of the datasets and the jobs.",
    )
    bigquery_region: str = Field(
        default="eu", pattern=r"^[a-z0-9-]+$", description="Where both are, such as eu or europe-west4."
    )
    bigquery_maximum_bytes_billed: int = Field(
        default=100 * 1024**3,
        ge=10 * 1024**2,
        description="What one query of BigQuery may read; more is refused before it costs anything.",
    )
    bigquery_api_endpoint: str | None = Field(
        default=None, pattern="^https?://", description="A stand-in for BigQuery, or its private address."
    )
    bigquery_anonymous: bool = Field(
        default=False, description="Ask that stand-in without credentials; Google's own address never."
    )
    bigquery_writer: str = Field(
        default="analytics@analytics.iam.gserviceaccount.com",
        pattern=r"^[^@\s]+@[^@\s]+$",
        description="Service account that loads and builds in BigQuery: the one for whom no row is filtered.",
    )
    access_grants: Literal["by_hand", "apply"] = Field(
        default="by_hand",
        description="Whether the platform runs the compiled grants in Snowflake or BigQuery, or somebody else does.",
    )
    groups_domain: str = Field(
        default="example.com",
        pattern=r"^[a-z0-9.-]+$",
        description="Domain of the identity provider's groups, one per audience (analytics.finance@…).",
    )

    power_bi_source: Literal["folder", "https", "adls", "snowflake", "bigquery"] = Field(
        default="folder", description="What the Power BI project reads: published extracts, or a warehouse's views."
    )
    power_bi_location: str | None = Field(
        default=None,
        min_length=1,
        description="Where that is for Power BI: folder, address, Snowflake server or BigQuery project; by default an "
        "example, to be replaced in Power BI Desktop.",
    )
    power_bi_workspace_id: str | None = Field(
        default=None, pattern=_UUID, description="Workspace whose semantic model is refreshed after publication."
    )
    power_bi_dataset_id: str | None = Field(default=None, pattern=_UUID, description="That semantic model.")
    power_bi_tenant_id: str | None = Field(
        default=None, pattern=_UUID, description="Entra tenant of the service principal that asks for it."
    )
    power_bi_client_id: str | None = Field(default=None, pattern=_UUID, description="The service principal.")
    power_bi_client_secret: SecretStr | None = Field(default=None, min_length=1, description="Its secret.")
    power_bi_refresh_minutes: float = Field(default=60.0, gt=0, description="How long a refresh may take.")
    power_bi_api_url: str = Field(
        default="https://api.powerbi.com", pattern="^https?://", description="Power BI's API, such as another cloud's."
    )
    power_bi_login_url: str = Field(
        default="https://login.microsoftonline.com", pattern="^https?://", description="Entra ID, of the same cloud."
    )
    looker_source: Literal["bigquery", "gcs"] = Field(
        default="bigquery", description="What Looker Studio reads: views in BigQuery, or CSV files in a bucket."
    )
    looker_location: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._/-]+$",
        description="The BigQuery dataset with the views (by default extracts), or bucket and folder of the files.",
    )
    looker_reports: dict[str, Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]] = Field(
        default_factory=dict, description="Id of the report that is the template, by dashboard."
    )
    looker_credentials: Literal["viewer", "owner"] = Field(
        default="viewer", description="Whose credentials the reports' data sources use; owner's pass by row policies."
    )
    looker_viewers_table: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9-]*\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+$",
        description="Table of BigQuery (project.dataset.table) with tenant_id and email, to filter rows by viewer.",
    )

    @model_validator(mode="after")
    def _prefix_is_of_a_shared_warehouse(self) -> Self:
        if self.warehouse_schema_prefix and self.warehouse == "duckdb":
            raise ValueError(
                "warehouse_schema_prefix is for a shared warehouse; for duckdb give the branch its own home"
            )
        return self

    @model_validator(mode="after")
    def _snowflake_is_named(self) -> Self:
        """Its key is asked for where it is reached: collectors and the portal know the warehouse and get no key."""
        if self.warehouse == "snowflake" and self.snowflake_account is None:
            raise ValueError("warehouse is snowflake, which needs snowflake_account too")
        return self

    @model_validator(mode="after")
    def _strangers_ask_a_stand_in(self) -> Self:
        if self.bigquery_anonymous and self.bigquery_api_endpoint is None:
            raise ValueError("bigquery_anonymous is for a stand-in; set bigquery_api_endpoint too, or leave it out")
        return self

    @model_validator(mode="after")
    def _refresh_is_whole_or_absent(self) -> Self:
        missing = [f"power_bi_{name}" for name in _REFRESH if getattr(self, f"power_bi_{name}") is None]
        if missing and len(missing) < len(_REFRESH):
            raise ValueError(f"a refresh of Power BI needs {', '.join(missing)} too; set all of them or none")
        return self

    @model_validator(mode="after")
    def _branch_reaches_nothing_of_others(self) -> Self:
        if self.warehouse_schema_prefix and (problem := self._not_a_branchs()):
            raise ValueError(f"warehouse_schema_prefix makes this a branch's environment: {problem}")
        return self

    def _not_a_branchs(self) -> str | None:
        """What a branch's environment may not have, because it would reach what is another's."""
        name = self.warehouse_schema_prefix.rstrip("_")
        if self.environment != "ci":
            return "set environment to ci, which has no schedules, sensors or alerts"
        if self.lake_url is not None and name not in self.lake_url.split("/")[3:]:
            return f"lake_url has to have the folder {name}, so that no other lake is written to"
        own = [each for each in _NEVER_A_BRANCHS if getattr(self, each) is not None]
        own += ["access_grants"] if self.access_grants == "apply" else []
        return f"unset {', '.join(own)}, which reaches people or other systems" if own else None

    @property
    def refreshes_power_bi(self) -> bool:
        """Whether everything is set that a refresh of the semantic model needs."""
        return self.power_bi_client_secret is not None

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings file and the environment.

        Raises:
            SettingsError: a value is not usable, the file cannot be read or holds a name that is no setting.
        """
        try:
            return cls()
        except ValidationError as error:
            # What was to be made of another setting that is wrong itself is no news.
            problems = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
            raise SettingsError("\n".join(map(_explain, problems))) from error
        except (OSError, YAMLError, ValueError, RecursionError) as error:
            raise SettingsError(_explain_source(error)) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before variables before the settings file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=settings_file())

    @property
    def extension_catalog(self) -> Path | None:
        """What the deployment declares besides the catalogue."""
        return self._extension("catalog")

    @property
    def extension_dbt(self) -> Path | None:
        """Its models, macros, seeds and tests."""
        return self._extension("dbt")

    @property
    def extension_suites(self) -> Path | None:
        """Its suites of expectations."""
        return self._extension("expectations")

    def _extension(self, part: str) -> Path | None:
        return None if self.extension_folder is None else self.extension_folder / part

    @property
    def dbt_project(self) -> Path:
        """The dbt project that is run: with an extension, the one that is put together of both, in its folder."""
        built = self._extension(".built")
        return self.dbt_project_dir if built is None else built / "dbt"

    @property
    def lake_root(self) -> Path:
        """Root folder of the embedded lake."""
        return self.home / "lake"

    @property
    def backups_folder(self) -> Path:
        """The folder of backups, where they are in one; of a bucket's, where the home would have it."""
        is_bucket = self.backup_target is None or "://" in self.backup_target
        return self.home / "backups" if is_bucket else Path(str(self.backup_target)).expanduser().resolve()

    @property
    def lake_cache(self) -> Path:
        """Copies of a bucket's objects for readers that want files."""
        return self.home / "cache" / "lake"

    @property
    def spool_root(self) -> Path:
        """Where this home's collector keeps its name and its spool."""
        return self.home / "spool"

    @property
    def connector_files(self) -> Path:
        """What connectors have at hand: dropped files, and rows on their way into the lake."""
        return self.home / "connector_files"

    @property
    def warehouse_path(self) -> Path:
        """The embedded warehouse: one DuckDB file."""
        return self.home / "warehouse.duckdb"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder: its configuration, and what of runs, events and logs lies in files."""
        return self.home / "dagster" if self.dagster_config_file is None else self.dagster_config_file.parent

    @property
    def alerts_path(self) -> Path:
        """Incidents and the messages about them: one SQLite file."""
        return self.home / "alerts.sqlite"

    @property
    def access_root(self) -> Path:
        """What each audience may see, as files, and the matrix of who may see what."""
        return self.home / "access"

    @property
    def portal_root(self) -> Path:
        """The portal's users, sessions and audit log."""
        return self.home / "portal"

    @property
    def portal_state_path(self) -> Path:
        """Sessions of its local login, and when somebody was last there: one SQLite file."""
        return self.portal_root / "state.sqlite"

    @property
    def rbac_address(self) -> str | None:
        """Where the product says who holds which role; None where nobody has said it, and then nobody holds any."""
        if self.rbac_source is not None:
            return self.rbac_source.get_secret_value()
        export = self.home / RBAC_EXPORT
        return str(export) if export.exists() else None

    @property
    def dbt_target(self) -> Path:
        """Where dbt writes what it compiles and logs while it runs."""
        return self.home / "dbt"


def variable(name: str) -> str | None:
    """A variable of the environment that a declaration names, such as a connector's secret; None when it is not set."""
    return os.environ.get(name) or None


def child_environment(values: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of ours: this one's, with `values` on top."""
    return {**os.environ, **values}


@contextmanager
def temporary_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a library that takes them from nowhere else, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def unknown_variables() -> list[str]:
    """Variables of the environment that look like a setting's and are none: misspelt, and without effect."""
    known = {f"{PREFIX}{name}".upper() for name in (*Settings.model_fields, "settings_file")}
    return sorted(
        name
        for name in os.environ
        if name.upper().startswith(PREFIX) and name.upper() not in known and not _OF_A_SERVICE.search(name)
    )


def default_home() -> Path:
    """The home that the environment names, or else the one below where we are."""
    return Path(os.environ.get(f"{PREFIX}HOME", ".analytics"))


def settings_file() -> Path:
    """The file that settings are read from; it need not be there unless the environment names it.

    Raises:
        SettingsError: the environment names one that is not there.
    """
    named = os.environ.get(f"{PREFIX}SETTINGS_FILE")
    if named:
        if not Path(named).is_file():
            raise SettingsError(f"{PREFIX}SETTINGS_FILE: there is no file {named}; name one, or unset the variable")
        return Path(named)
    return default_home() / "settings.yaml"


def _explain(problem: object) -> str:
    """One line for a pydantic error: which setting, what is wrong, where to mend it."""
    assert isinstance(problem, dict)
    name = ".".join(str(part) for part in problem["loc"])
    if not name:  # of several together; what was given are all of them, secrets too
        return (
            f"{problem['msg'].removeprefix('Value error, ')}; mend it in {settings_file()}, or by {PREFIX}* variables"
        )
    if problem["type"] == "extra_forbidden":
        known = ", ".join(sorted(Settings.model_fields))
        return f"{name}: no such setting in {settings_file()}; known settings: {known}"
    where = f"set {PREFIX}{name.partition('.')[0].upper()} or mend it in {settings_file()}"
    given = "" if name.startswith(_SECRETS) else f" (got {_shown(problem['input'])})"
    return f"{name}: {problem['msg']}{given}; {where}"


def _shown(value: object) -> str:
    """What was given, for a message: no password of a URL, and of what is no plain value its kind alone."""
    if isinstance(value, str):
        return _CREDENTIALS.sub("//***@", repr(value))
    return repr(value) if isinstance(value, bool | int | float | date) else f"a {type(value).__name__}"


def _explain_source(error: Exception) -> str:
    """One line for a source that cannot be read; none of what stands in it."""
    if isinstance(error, VariableError):
        return f"{error}; write its variable as JSON"
    if isinstance(error, OSError):
        return f"{settings_file()}: cannot be read ({error.strerror}); mend its permissions"
    mark = getattr(error, "problem_mark", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{settings_file()}: is no YAML of settings by name{where}; write lines such as `environment: staging`"


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
