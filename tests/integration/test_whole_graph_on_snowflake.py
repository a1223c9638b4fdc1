"""The whole graph on Snowflake's stand-in, through the command line: it builds and finds what it does on DuckDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from parity import differences, tables_of
from snowflake_stand_in import snowflake_stand_in
from two_tenants import FIRST, business, write

from analytics_platform.cli import main
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

LAST = "2026-03-03"
"""Two days have an event of most kinds."""

Told = dict[tuple[str, str, str | None], tuple[bool, str]]


@dataclass(frozen=True)
class Deployment:
    """A home whose days are built, and what the run said."""

    settings: Settings
    report: dict[str, Any]


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Deployment]]:
    folder = tmp_path_factory.mktemp("deployments")
    events = write(folder / "history.ndjson.gz", business())
    with snowflake_stand_in(folder) as server:
        yield built(folder / "embedded", events, {}), built(folder / "snowflake", events, server.settings())


def built(home: Path, events: Path, chosen: Any) -> Deployment:
    settings = Settings(home=home, **chosen)
    environment = {f"ANALYTICS_{name.upper()}": str(value) for name, value in chosen.items()}
    environment |= {"ANALYTICS_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    for command in (["import", str(events)], ["run", "--from", FIRST, "--to", LAST]):
        done = CliRunner().invoke(main, [*command, "--json"], env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.stdout + done.stderr
    return Deployment(settings, json.loads(done.stdout))


def evaluations(deployment: Deployment) -> Told:
    """What each check found, by asset, check and partition."""
    with open_instance(deployment.settings) as instance:
        asked = dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [each.event_log_entry.asset_check_evaluation for each in instance.get_event_records(asked)]
    return {
        (each.asset_key.to_user_string(), each.check_name, each.partition): (each.passed, each.description or "")
        for each in reversed(found)
        if each is not None
    }


def test_the_same_partitions_are_built(deployments: tuple[Deployment, Deployment]) -> None:
    embedded, snowflake = (each.report for each in deployments)
    assert snowflake["built"] == embedded["built"]
    assert {name.partition("/")[0] for name in snowflake["built"]} >= {"loaded", "staging", "kpi", "dashboard"}


def test_each_check_finds_the_same(deployments: tuple[Deployment, Deployment]) -> None:
    embedded, snowflake = map(evaluations, deployments)
    unlike = {key: (embedded.get(key), snowflake.get(key)) for key in embedded.keys() | snowflake.keys()}
    assert {key: both for key, both in unlike.items() if both[0] != both[1]} == {}
    assert len(snowflake) > 200


def test_the_tables_are_equal(deployments: tuple[Deployment, Deployment]) -> None:
    embedded, snowflake = (tables_of(warehouse_from(each.settings)) for each in deployments)
    assert sum(table.num_rows > 0 for name, table in snowflake.items() if name.startswith("kpi.")) > 8
    assert differences(embedded, snowflake) == []
