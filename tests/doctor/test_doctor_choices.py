"""Settings: what does not load, is not there, contradicts, or has no effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from examined import deployment, the_one, told

from analytics_platform.doctor.choices import CONTRADICTIONS, look
from analytics_platform.doctor.production import WANTS
from analytics_platform.doctor.production import look as look_at_production


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("ANALYTICS_")]:
        monkeypatch.delenv(name)


def test_the_embedded_default_goes_together(tmp_path: Path) -> None:
    assert told(look(deployment(tmp_path))) == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"lake_s3_endpoint": "http://127.0.0.1:9000"}, "lake_s3_* is set, and the lake is not in S3"),
    ({"lake_url": "s3://lake", "lake_s3_kms_key": "k", "lake_s3_encryption": "AES256"}, "S3 refuses every put"),
    ({"lake_object_lock": "governance"}, "lake_object_lock says what a bucket does"),
    ({"deleted_objects_kept_days": 30}, "deleted_objects_kept_days is of versioned buckets"),
    ({"deleted_rows_kept_days": 7}, "deleted_rows_kept_days is of warehouses that"),
    ({"dagster_postgres_user": "somebody"}, "without dagster_postgres_host"),
    ({"dagster_postgres_host": "db", "dagster_postgres_sslmode": "verify-full"}, "against no authority"),
    ({"portal_login": "oidc", "portal_oidc_issuer": "https://id"}, "the provider is not named whole"),
    ({"portal_oidc_issuer": "https://id"}, "portal_oidc_* is set, and portal_login is local"),
    ({"rbac_token": "t", "rbac_source": "/rbac.json"}, "rbac_token is for an HTTP endpoint"),
    ({"collector_spool_max_bytes": 4096, "collector_segment_bytes": 8192}, "the collector refuses before it ships"),
    ({"history_start": datetime.now(UTC).date() + timedelta(days=2)}, "every event of today is a dead letter"),
    ({"slack_token": "t", "slack_api_url": "http://slack.example/"}, "the token goes over the network in clear"),
    ({"lake_url": "s3://lake", "lake_s3_endpoint": "http://minio:9000"}, "personal data goes over the network"),
]


@pytest.mark.parametrize(("choices", "says"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_choices_that_do_not_go_together_are_told(tmp_path: Path, choices: dict[str, Any], says: str) -> None:
    finding = the_one(look(deployment(tmp_path, **choices)))
    assert says in finding.found
    assert finding.mend


def test_backups_in_the_lake_are_told(tmp_path: Path) -> None:
    finding = the_one(look(deployment(tmp_path, backup_target=str(tmp_path / "lake" / "backups"))))
    assert (finding.outcome, "would hold all earlier ones" in finding.found) == ("fail", True)


def test_every_contradiction_has_been_seen() -> None:
    assert len(CONTRADICTIONS) == len(WRONG) + 1


def test_files_that_settings_name_have_to_be_there(tmp_path: Path) -> None:
    names = ("tenants_file", "dagster_config_file", "snowflake_private_key_file")
    missing = dict.fromkeys(names, tmp_path / "nowhere.yaml")
    found = told(look(deployment(tmp_path, dbt_project_dir=tmp_path, **missing)))
    assert [each.partition(":")[0] for each in found] == [
        "fail tenants_file",
        "fail dagster_config_file",
        "fail snowflake_private_key_file",
        "fail dbt_project_dir",
    ]


def test_a_variable_that_is_no_setting_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_LAKE_ULR", "s3://lake")
    monkeypatch.setenv("ANALYTICS_COLLECTOR_SERVICE_HOST", "10.0.0.7")
    assert told(look(deployment(tmp_path))) == ["warn variables: ANALYTICS_LAKE_ULR is no setting and has no effect"]


WHOLE: dict[str, Any] = {
    "environment": "production",
    "lake_url": "s3://lake",
    "dagster_postgres_host": "db.example.com",
    "portal_login": "oidc",
    "portal_url": "https://portal.example.com",
    "slack_token": "xoxb",
    "dagster_url": "https://dagster.example.com",
    "runbook_url": "https://docs.example.com/runbooks",
    "rbac_reference_key": "sixteen-characters",
    "organisation_name": "Rental BV",
    "organisation_contact": "Haven 1",
    "organisation_privacy_contact": "privacy@example.com",
}


def test_production_with_all_that_it_wants_is_warned_of_the_embedded_warehouse_alone(tmp_path: Path) -> None:
    assert [each.looked_at for each in look_at_production(deployment(tmp_path, **WHOLE))] == ["warehouse"]


@pytest.mark.parametrize("left_out", [name for name in WHOLE if name != "environment"])
def test_production_without_something_is_told_what_follows(tmp_path: Path, left_out: str) -> None:
    choices = {name: value for name, value in WHOLE.items() if name != left_out}
    found = list(look_at_production(deployment(tmp_path, **choices)))
    assert len(found) > 1
    assert any(left_out in (each.mend or "") or left_out in each.found for each in found)


def test_elsewhere_nothing_of_it_is_missed(tmp_path: Path) -> None:
    assert [each.outcome for each in look_at_production(deployment(tmp_path))] == ["skipped"]
    bare = list(look_at_production(deployment(tmp_path, environment="production")))
    assert [each.outcome for each in bare] == ["warn"] * len(WANTS)
