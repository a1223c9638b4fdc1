"""Settings: whether they load, whether what they name is there, and what of them contradicts or has no effect."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, Outcome, fail, ok, told_by, warn
from analytics_platform.settings import PREFIX, Settings, settings_file, unknown_variables

_S3 = ("lake_s3_endpoint", "lake_s3_region", "lake_s3_path_style", "lake_s3_encryption", "lake_s3_kms_key")
_POSTGRES = tuple(
    f"dagster_postgres_{name}" for name in ("port", "database", "user", "password", "sslmode", "root_certificate")
)
_OIDC = ("portal_oidc_issuer", "portal_oidc_audience", "portal_oidc_jwks")
_NAMED_FILES = (
    "tenants_file",
    "dagster_config_file",
    "dagster_postgres_root_certificate",
    "snowflake_private_key_file",
)
_MEND_FILE = "mend the path, the file or its permissions; by {}{} or in {}"


@dataclass(frozen=True)
class Contradiction:
    """Choices that do not go together.

    Attributes:
        outcome: how bad that is.
        is_there: whether it is.
        found: what is wrong.
        mend: what to set instead.
    """

    outcome: Outcome
    is_there: Callable[[Settings], bool]
    found: str
    mend: str


def _is_folder(settings: Settings) -> bool:
    return settings.lake_url is None


def _sets(settings: Settings, names: tuple[str, ...]) -> bool:
    """Whether somebody has chosen one of them, and not left it at its default."""
    fields = Settings.model_fields
    return any(getattr(settings, name) != fields[name].default for name in names if name in settings.model_fields_set)


CONTRADICTIONS = (
    Contradiction(
        "warn",
        lambda s: _sets(s, _S3) and not (s.lake_url or "").startswith("s3://"),
        "lake_s3_* is set, and the lake is not in S3: it has no effect",
        "set lake_url to s3://bucket/prefix, or unset lake_s3_*",
    ),
    Contradiction(
        "fail",
        lambda s: s.lake_s3_kms_key is not None and s.lake_s3_encryption != "aws:kms",
        "lake_s3_kms_key is a key for aws:kms, and lake_s3_encryption is another: S3 refuses every put",
        "set lake_s3_encryption to aws:kms, or unset lake_s3_kms_key",
    ),
    Contradiction(
        "warn",
        lambda s: _is_folder(s) and s.lake_object_lock != "none",
        "lake_object_lock says what a bucket does, and the lake is a folder",
        "unset lake_object_lock, or set lake_url to the bucket",
    ),
    Contradiction(
        "warn",
        lambda s: _is_folder(s) and s.deleted_objects_kept_days > 0,
        "deleted_objects_kept_days is of versioned buckets, and the lake is a folder: records promise too late an end",
        "unset deleted_objects_kept_days",
    ),
    Contradiction(
        "warn",
        lambda s: s.warehouse == "duckdb" and s.deleted_rows_kept_days > 0,
        "deleted_rows_kept_days is of warehouses that keep deleted rows, and DuckDB's file does not",
        "unset deleted_rows_kept_days",
    ),
    Contradiction(
        "warn",
        lambda s: s.dagster_postgres_host is None and _sets(s, _POSTGRES),
        "dagster_postgres_* is set without dagster_postgres_host: Dagster's records go to SQLite in the home",
        "set dagster_postgres_host, or unset the others",
    ),
    Contradiction(
        "warn",
        lambda s: s.dagster_postgres_sslmode.startswith("verify") and s.dagster_postgres_root_certificate is None,
        "dagster_postgres_sslmode checks the server's certificate against no authority of yours",
        "set dagster_postgres_root_certificate to the authority's certificate, or to `system` authorities by libpq",
    ),
    Contradiction(
        "fail",
        lambda s: s.portal_login == "oidc" and any(getattr(s, name) is None for name in _OIDC),
        "portal_login is oidc, and the provider is not named whole: the portal does not start",
        f"set {', '.join(_OIDC)}",
    ),
    Contradiction(
        "warn",
        lambda s: s.portal_login == "local" and _sets(s, (*_OIDC, "portal_oidc_groups_claim")),
        "portal_oidc_* is set, and portal_login is local: it has no effect",
        "set portal_login to oidc, or unset portal_oidc_*",
    ),
    Contradiction(
        "warn",
        lambda s: s.rbac_token is not None and not (s.rbac_address or "").startswith(("http://", "https://")),
        "rbac_token is for an HTTP endpoint, and rbac_source is none",
        "set rbac_source to the endpoint, or unset rbac_token",
    ),
    Contradiction(
        "fail",
        lambda s: s.collector_spool_max_bytes < s.collector_segment_bytes,
        "collector_spool_max_bytes is less than one collector_segment_bytes: the collector refuses before it ships",
        "set collector_spool_max_bytes to many times collector_segment_bytes",
    ),
    Contradiction(
        "fail",
        lambda s: s.history_start > datetime.now(UTC).date(),
        "history_start is in the future: every event of today is a dead letter",
        "set history_start to the first day that should have partitions",
    ),
    Contradiction(
        "fail",
        lambda s: s.backups_folder.resolve().is_relative_to(s.lake_root),
        "backup_target lies in the lake: each backup would hold all earlier ones",
        "set backup_target to a folder beside the lake, best on another disk",
    ),
    Contradiction(
        "warn",
        lambda s: s.slack_api_url.startswith("http://") and s.slack_token is not None and not _is_here(s.slack_api_url),
        "slack_api_url is not encrypted: the token goes over the network in clear",
        "set slack_api_url to an https:// address",
    ),
    Contradiction(
        "warn",
        lambda s: (s.lake_s3_endpoint or "").startswith("http://") and not _is_here(s.lake_s3_endpoint or ""),
        "lake_s3_endpoint is not encrypted: personal data goes over the network in clear",
        "set lake_s3_endpoint to an https:// address",
    ),
)


def look(deployment: Deployment) -> Iterator[Finding]:
    """Settings that load, files that are there, choices that go together, variables that are none."""
    if deployment.settings_problem is not None:
        for line in str(deployment.settings_problem).splitlines():
            yield told_by("settings", ValueError(line), mend=f"mend {PREFIX}* variables or the settings file")
        return
    settings = deployment.settings
    file = settings_file()
    where = f"{file} and variables" if file.is_file() else "variables alone"
    yield ok("settings", f"{len(settings.model_fields_set)} set by {where}, environment {settings.environment}")
    yield from _named_files(settings)
    yield from (
        Finding(each.outcome, "choices", each.found, each.mend) for each in CONTRADICTIONS if each.is_there(settings)
    )
    for name in unknown_variables():
        yield warn("variables", f"{name} is no setting and has no effect", "correct its name, or unset it")


def _named_files(settings: Settings) -> Iterator[Finding]:
    for name in _NAMED_FILES:
        path = getattr(settings, name)
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            problem = "cannot be read" if path.exists() else "is not there"
            mend = _MEND_FILE.format(PREFIX, name.upper(), settings_file())
            yield fail(name, f"{path} {problem}", mend)
    if not (settings.dbt_project_dir / "dbt_project.yml").is_file():
        mend = _MEND_FILE.format(PREFIX, "DBT_PROJECT_DIR", settings_file())
        yield fail("dbt_project_dir", f"{settings.dbt_project_dir} holds no dbt_project.yml", mend)


def _is_here(url: str) -> bool:
    return url.partition("://")[2].startswith(("127.0.0.1", "localhost", "[::1]"))
