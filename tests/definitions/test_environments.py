"""Which schedules and sensors exist where: the exact set of each environment, as the graph has them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from analytics_platform.catalog import load_catalog
from analytics_platform.connectors.loading import EXAMPLES
from analytics_platform.definitions import _schedules, _sensors, build_definitions
from analytics_platform.defs.environments import (
    AUTOMATION,
    Environment,
    UndeclaredAutomationError,
    existing_in,
)
from analytics_platform.defs.jobs import jobs
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.partitions import partitions_from
from analytics_platform.settings import Settings

MOVES_AND_JUDGES = {
    "alerts",
    "daily_governance",
    "heartbeat",
    "hourly_ingestion",
    "hourly_look_back",
    "loads_follow_ingestion",
    "nightly_build",
    "pages_follow_build",
    "rest_follows_held_back",
    "tenants_from_registry",
}
WRITES_TO_PEOPLE = {"daily_digest", "monday_report", "quarterly_review"}
EXPECTED: dict[Environment, set[str]] = {
    "local": MOVES_AND_JUDGES | WRITES_TO_PEOPLE,
    "ci": set(),
    "staging": MOVES_AND_JUDGES,
    "production": MOVES_AND_JUDGES | WRITES_TO_PEOPLE,
}


def automated(settings: Settings) -> list[dg.ScheduleDefinition | dg.SensorDefinition]:
    partitions = partitions_from(settings.history_start, settings.reporting_time_zone)
    catalog = load_catalog(settings.tenants_file)
    return [*_schedules(settings, catalog, partitions), *_sensors(settings, catalog, partitions, jobs())]


@pytest.mark.parametrize("environment", sorted(EXPECTED))
def test_an_environment_has_exactly_its_schedules_and_sensors(environment: Environment, tmp_path: Path) -> None:
    found = existing_in(environment, automated(Settings(home=tmp_path)))
    assert {each.name for each in found} == EXPECTED[environment]


def test_what_an_environment_has_not_is_not_in_its_graph(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, environment="staging")
    if not manifest_path(settings).exists():
        build_manifest(settings)
    graph = build_definitions(settings)
    assert {each.name for each in [*(graph.schedules or ()), *(graph.sensors or ())]} == EXPECTED["staging"]


def test_every_environment_of_the_settings_is_spoken_of() -> None:
    (choices,) = [Settings.model_fields["environment"].annotation]
    assert set(choices.__args__) == EXPECTED.keys()  # type: ignore[union-attr]
    assert {each for environments in AUTOMATION.values() for each in environments} <= EXPECTED.keys()


def test_the_table_names_nothing_that_does_not_exist(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, backup_target=str(tmp_path / "target"), connectors_folder=EXAMPLES)
    assert AUTOMATION.keys() == {each.name for each in automated(settings)}


@pytest.mark.parametrize("environment", ["local", "staging", "production"])
def test_connectors_run_by_themselves_only_where_there_are_any(environment: Environment, tmp_path: Path) -> None:
    found = existing_in(environment, automated(Settings(home=tmp_path, connectors_folder=EXAMPLES)))
    assert {each.name for each in found} - EXPECTED[environment] == {"connector_pulls", "connector_drops"}


@pytest.mark.parametrize("environment", ["local", "staging", "production"])
def test_a_daily_backup_exists_only_where_there_is_a_place_for_it(environment: Environment, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, backup_target=str(tmp_path / "target"))
    found = existing_in(environment, automated(settings))
    assert {each.name for each in found} - EXPECTED[environment] == {"daily_backup"}


def test_a_schedule_in_no_environment_is_refused() -> None:
    stray = dg.ScheduleDefinition(name="stray", job_name="ingest", cron_schedule="0 0 * * *")
    with pytest.raises(UndeclaredAutomationError, match="stray"):
        existing_in("production", [stray])
