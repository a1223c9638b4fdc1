"""Settings come from variables or one file, and a bad one says where to mend it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from analytics_platform.defs.resources import warehouse_from
from analytics_platform.settings import Settings, SettingsError, unknown_variables


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ANALYTICS_{name.upper()}", raising=False)
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))


def test_the_embedded_default_needs_only_a_home(tmp_path: Path) -> None:
    settings = Settings.from_environment()
    assert settings.home == tmp_path
    assert settings.warehouse_path == tmp_path / "warehouse.duckdb"
    assert settings.history_start == date(2022, 1, 1)


def test_a_variable_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text("history_start: 2024-01-01\nreporting_time_zone: Europe/London\n")
    monkeypatch.setenv("ANALYTICS_HISTORY_START", "2025-06-01")
    settings = Settings.from_environment()
    assert settings.history_start == date(2025, 6, 1)
    assert settings.reporting_time_zone == "Europe/London"


def test_the_file_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "production.yaml"
    elsewhere.write_text("lock_timeout_seconds: 5\n")
    monkeypatch.setenv("ANALYTICS_SETTINGS_FILE", str(elsewhere))
    assert Settings.from_environment().lock_timeout_seconds == 5


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HISTORY_START", "yesterday", "history_start"),
        ("REPORTING_TIME_ZONE", "Mars/Base", "IANA time zone"),
        ("LOCK_TIMEOUT_SECONDS", "-1", "greater than or equal to 0"),
    ],
)
def test_a_bad_value_names_the_setting_and_the_mend(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"ANALYTICS_{name}", value)
    with pytest.raises(SettingsError, match=says) as failure:
        Settings.from_environment()
    assert f"set ANALYTICS_{name}" in str(failure.value)
    assert value in str(failure.value)


def test_a_name_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("histroy_start: 2024-01-01\n")
    with pytest.raises(SettingsError, match=r"histroy_start.*known settings: .*history_start"):
        Settings.from_environment()


def test_a_schema_prefix_is_refused_where_a_branch_has_a_file_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANALYTICS_WAREHOUSE_SCHEMA_PREFIX", "pr_7_")
    with pytest.raises(SettingsError, match="give the branch its own home"):
        Settings.from_environment()


@pytest.mark.parametrize(
    "text",
    ["slack_token: [xoxb-SECRET", "- slack_token: xoxb-SECRET", "xoxb-SECRET", "slack_token: {a: *xoxb-SECRET}"],
)
def test_a_file_that_is_no_mapping_is_told_without_what_stands_in_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"settings\.yaml: is no YAML of settings by name") as failure:
        Settings.from_environment()
    assert "SECRET" not in str(failure.value)


def test_what_several_settings_do_wrong_together_shows_none_of_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_SLACK_TOKEN", "xoxb-SECRET")
    monkeypatch.setenv("ANALYTICS_POWER_BI_CLIENT_ID", "11111111-1111-1111-1111-111111111111")
    with pytest.raises(SettingsError, match="needs power_bi_workspace_id") as failure:
        Settings.from_environment()
    assert "SECRET" not in str(failure.value)


def test_a_variable_that_should_be_json_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_COLLECTOR_WEBHOOKS", "[SECRET")
    with pytest.raises(SettingsError, match=r"collector_webhooks.*write its variable as JSON") as failure:
        Settings.from_environment()
    assert "SECRET" not in str(failure.value)


def test_a_file_that_is_named_and_not_there_is_no_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_SETTINGS_FILE", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(SettingsError, match=r"ANALYTICS_SETTINGS_FILE: there is no file .*nowhere\.yaml"):
        Settings.from_environment()


def test_variables_that_are_no_setting_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_LAKE_ULR", "s3://lake")
    assert "ANALYTICS_LAKE_ULR" in unknown_variables()
    assert "ANALYTICS_HOME" not in unknown_variables()


def test_snowflake_needs_its_account_and_who_reaches_it_a_key(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="needs snowflake_account too"):
        Settings(home=tmp_path, warehouse="snowflake")
    without_key = Settings(home=tmp_path, warehouse="snowflake", snowflake_account="org-one")
    assert without_key.snowflake_protocol == "https"
    with pytest.raises(SettingsError, match="snowflake_private_key_file"):
        warehouse_from(without_key)


def test_the_passphrase_of_the_key_stands_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", "")
    monkeypatch.setenv("ANALYTICS_SNOWFLAKE_PORT", "none")
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert "snowflake_private_key_passphrase" in str(caught.value)
    assert "(got ''" not in str(caught.value)
