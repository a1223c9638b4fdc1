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
from command_line import first_run_of
from parity import differences, tables_of
from snowflake_stand_in import snowflake_stand_in
from two_tenants import FIRST, LAST

from analytics_platform.cli import main
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

OF_THE_CLOCK = {("ops/check_results", "evaluations_are_complete")}
"""What it counts is what the log held at a moment, which two deployments reach after other steps."""

Told = dict[tuple[str, str, str | None], tuple[bool, str]]


@dataclass(frozen=True)
class Deployment:
    """A home whose days are built, and what the run said."""

    settings: Settings
    report: dict[str, Any]


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Deployment]]:
    folder = tmp_path_factory.mktemp("deployments")
    first = first_run_of(tmp_path_factory, folder / "embedded")
    embedded = Deployment(Settings(home=first.home.path), first.said("run"))
    with snowflake_stand_in(folder) as server:
        yield embedded, built(folder / "snowflake", first.events, server.settings())


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
        runs = [each.dagster_run.run_id for each in reversed(instance.get_run_records())]
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        entries = [
            each.event_log_entry for run in runs for each in instance.get_records_for_run(run, None, kind).records
        ]
    found = [entry.asset_check_evaluation for entry in entries]
    return {
        (each.asset_key.to_user_string(), each.check_name, each.partition): (each.passed, each.description or "")
        for each in found
        if each is not None
    }


def test_the_same_partitions_are_built(deployments: tuple[Deployment, Deployment]) -> None:
    embedded, snowflake = (each.report for each in deployments)
    assert snowflake["built"] == embedded["built"]
    assert {name.partition("/")[0] for name in snowflake["built"]} >= {"loaded", "staging", "kpi", "dashboard"}


def test_each_check_finds_the_same(deployments: tuple[Deployment, Deployment]) -> None:
    embedded, snowflake = map(evaluations, deployments)
    for key in [key for key in embedded if key[:2] in OF_THE_CLOCK]:
        assert embedded.pop(key)[0] is snowflake.pop(key)[0] is True
    both = {key: (embedded.get(key), snowflake.get(key)) for key in embedded.keys() | snowflake.keys()}
    assert {key: found for key, found in both.items() if found[0] != found[1]} == {}
    assert len(both) > 200
    assert not any("could not run" in said for _, said in snowflake.values())


def test_the_tables_are_equal(deployments: tuple[Deployment, Deployment]) -> None:
    embedded, snowflake = (tables_of(warehouse_from(each.settings)) for each in deployments)
    assert sum(table.num_rows > 0 for name, table in snowflake.items() if name.startswith("kpi.")) > 8
    assert differences(embedded, snowflake) == []
