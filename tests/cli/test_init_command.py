"""`analytics init`: a deployment from answers that the doctor passes, in the place of nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from analytics_platform.catalog import load_catalog
from analytics_platform.cli import main
from analytics_platform.settings import Settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("ANALYTICS_")]:
        monkeypatch.delenv(name)
    return tmp_path / "home"


def init(home: Path, *arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", "--home", str(home), *arguments], input=answers)


def settings_of(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ANALYTICS_SETTINGS_FILE", str(home / "settings.yaml"))
    return Settings.from_environment()


def test_the_defaults_are_a_deployment_that_the_doctor_passes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = init(home, "--yes")
    assert done.exit_code == 0, done.output
    assert f"Wrote {home}/settings.yaml. Next:" in done.output
    assert "analytics connectors --help" in done.output
    assert settings_of(home, monkeypatch).home == home
    looked = CliRunner().invoke(main, ["doctor", "--json"])
    assert json.loads(looked.output)["fail"] == 0, looked.output


def test_options_become_settings_each_with_what_it_means(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--environment", "staging", "--lake", "s3://lake/eu", "--endpoint", "https://minio.example.com"]
    more = ["--postgres", "db.example.com", "--slack", "#executives", "--set", "dagster_concurrent_runs=5"]
    done = init(home, "--yes", *options, *more)
    assert done.exit_code == 0, done.output
    settings = settings_of(home, monkeypatch)
    assert (settings.environment, settings.lake_url, settings.lake_s3_path_style) == ("staging", "s3://lake/eu", True)
    assert (settings.dagster_postgres_host, settings.dagster_concurrent_runs) == ("db.example.com", 5)
    text = (home / "settings.yaml").read_text()
    assert "# Runs at once, a process of some 300 MB each; backfills never take all of them.\n" in text


def test_a_tenant_gets_a_file_that_the_catalogue_takes(home: Path) -> None:
    done = init(home, "--yes", "--tenant", "oost-events", "--tenant-name", "Oost Events", "--currency", "GBP")
    assert done.exit_code == 0, done.output
    assert "analytics keys create oost-events NAME --kind server" in done.output
    tenant = load_catalog(home / "tenants.yaml").tenants["oost-events"]
    assert (tenant.name, tenant.currency, tenant.time_zone) == ("Oost Events", "GBP", "Europe/Amsterdam")
    assert yaml.safe_load((home / "settings.yaml").read_text())["tenants_file"] == str(home / "tenants.yaml")


def test_what_no_option_says_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = init(home, "--ask", "--environment", "local", answers="Europe/London\n\n\n\nwest\n\n")
    assert done.exit_code == 0, done.output
    settings = settings_of(home, monkeypatch)
    assert (settings.reporting_time_zone, settings.lake_url) == ("Europe/London", None)
    assert load_catalog(settings.tenants_file).tenants["west"].time_zone == "Europe/London"


def test_the_same_answers_again_change_nothing_and_pass(home: Path) -> None:
    answers = ["--yes", "--environment", "staging", "--tenant", "oost-events"]
    assert init(home, *answers).exit_code == 0
    with (home / "settings.yaml").open("a") as file:
        file.write("portal_port: 8001  # somebody's own\n")
    before = {path.name: path.read_text() for path in home.iterdir()}
    again = init(home, *answers)
    assert (again.exit_code, "says so already, and stays as it is. Next:" in again.output) == (0, True), again.output
    assert {path.name: path.read_text() for path in home.iterdir()} == before


@pytest.mark.parametrize("text", ["environment: [", "- a list"])
def test_a_settings_file_that_is_none_is_left_for_its_owner(home: Path, text: str) -> None:
    home.mkdir()
    (home / "settings.yaml").write_text(text)
    done = init(home, "--yes", "--tenant", "oost-events")
    assert (done.exit_code, "settings.yaml says something else of home" in done.output) == (1, True)
    assert [path.name for path in home.iterdir()] == ["settings.yaml"]


def test_what_is_there_already_stays(home: Path) -> None:
    assert init(home, "--yes").exit_code == 0
    before = (home / "settings.yaml").read_text()
    done = init(home, "--yes", "--environment", "production", "--tenant", "other")
    assert (done.exit_code, "is there already; edit it" in done.output) == (1, True)
    assert (home / "settings.yaml").read_text() == before
    assert [path.name for path in home.iterdir()] == ["settings.yaml"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "slack_token=xoxb"], "no file holds secrets; set ANALYTICS_SLACK_TOKEN instead"),
        (["--warehouse", "oracle"], "warehouse: Input should be"),
        (["--set", "histroy_start=2024-01-01"], "histroy_start: no such setting in"),
        (["--tenant", "oost", "--lake", "http://bucket"], "lake_url: String should match pattern"),
        (["--tenant", "Not An Id"], "tenants.yaml: Not An Id"),
    ],
)
def test_an_answer_that_cannot_be_used_writes_nothing(home: Path, options: list[str], says: str) -> None:
    done = init(home, "--yes", *options)
    assert done.exit_code == 1
    assert says in done.output
    assert not home.exists() or list(home.iterdir()) == []


def test_choices_that_do_not_go_together_are_told_and_fail(home: Path) -> None:
    done = init(home, "--yes", "--set", "portal_login=oidc", "--json")
    answer = json.loads(done.output)
    assert (done.exit_code, answer["passed"], answer["settings_file"]) == (1, False, str(home / "settings.yaml"))
