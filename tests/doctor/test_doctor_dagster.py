"""Dagster's instance: its records in SQLite and in a real PostgreSQL, its queue, its daemons."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo
from examined import deployment, the_one, told
from postgres import PostgresServer, running_postgres

from analytics_platform.defs.instance import instance_config, open_instance
from analytics_platform.doctor import dagster_instance, graph
from analytics_platform.doctor.examination import examine
from analytics_platform.doctor.findings import Finding
from analytics_platform.doctor.probes import Probe
from analytics_platform.settings import Settings

ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin(host="localhost", port=1), "__repository__"), "ingest"
)
NEVER = "daemons: none has ever run: no schedule and no sensor fires"


def look(home: Path, **choices: Any) -> list[Finding]:
    return list(dagster_instance.look(deployment(home, **choices)))


def beat(instance: dg.DagsterInstance, seconds_ago: float = 0.0) -> None:
    for name in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, name, None, None))


def test_where_nothing_was_run_nothing_is_made(tmp_path: Path) -> None:
    assert [each.outcome for each in look(tmp_path)] == ["skipped"]
    assert list(tmp_path.iterdir()) == []


def test_daemons_that_never_ran_live_or_died_are_told_apart(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with open_instance(settings) as instance:
        assert told(look(tmp_path)) == [f"warn {NEVER}"]
        assert told(look(tmp_path, environment="staging")) == [f"fail {NEVER}"]
        beat(instance)
        assert told(look(tmp_path)) == []
        beat(instance, seconds_ago=7200)
        (died,) = told(look(tmp_path, environment="production"))
    assert died.startswith("fail daemons: none lives; last seen at ")


def test_one_daemon_that_fails_is_named_with_its_error(tmp_path: Path) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        beat(instance)
        error = SerializableErrorInfo("no such location\nmore", [], "ValueError")
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", None, [error]))
        assert told(look(tmp_path)) == ["warn daemons: SENSOR: no such location"]


def test_a_file_that_settings_have_left_behind_is_told(tmp_path: Path) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        beat(instance)
    assert [each.looked_at for each in look(tmp_path, dagster_concurrent_runs=7) if each.mend] == [
        "dagster.yaml",
        "queue",
    ]


def test_runs_that_wait_or_go_on_for_too_long_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        beat(instance)
        create_run_for_test(instance, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=ORIGIN)
        started = create_run_for_test(instance)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", started.job_name), started.run_id)
        assert told(look(tmp_path)) == []
        monkeypatch.setattr(dagster_instance, "_LONGEST_QUEUE", timedelta())
        found = told(look(tmp_path, dagster_run_hours=1e-9))
    assert [each.partition(" since")[0] for each in found if "runs" in each] == [
        "warn runs: one waits",
        "warn runs: one runs",
    ]


def test_a_dagster_yaml_of_ones_own_has_to_queue(tmp_path: Path) -> None:
    own = tmp_path / "own" / "dagster.yaml"
    own.parent.mkdir()
    config = instance_config(Settings(home=tmp_path))
    config["concurrency"] = {"pools": {"granularity": "op"}, "runs": {"max_concurrent_runs": 3}}
    own.write_text(yaml.safe_dump(config))
    choices = {"dagster_config_file": own}
    with open_instance(Settings(home=tmp_path, **choices)) as instance:
        beat(instance)
    found = told(look(tmp_path, **choices))
    assert any("a pool lets any number in by op" in each for each in found), found
    assert any("backfills may take every place" in each for each in found), found


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def tables_of(postgres: PostgresServer, database: str) -> int:
    with psycopg.connect(host=postgres.folder, user=postgres.user, dbname=database) as connection:
        rows = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchall()
    return int(rows[0][0])


def test_a_database_is_looked_at_and_nothing_is_made_in_it(postgres: PostgresServer, tmp_path: Path) -> None:
    choices = {**postgres.database("empty"), "dagster_postgres_sslmode": "disable"}
    assert [each.outcome for each in look(tmp_path, **choices)] == ["ok"]
    (finding,) = look(tmp_path, environment="staging", **choices)
    assert (finding.outcome, "no tables in it yet" in finding.found) == ("warn", True)
    assert tables_of(postgres, "empty") == 0


def test_a_database_of_another_revision_has_to_be_migrated(postgres: PostgresServer, tmp_path: Path) -> None:
    choices = {**postgres.database("records"), "dagster_postgres_sslmode": "disable"}
    with open_instance(Settings(home=tmp_path, **choices)) as instance:
        beat(instance)
    assert told(look(tmp_path, **choices)) == []
    with psycopg.connect(host=postgres.folder, user=postgres.user, dbname="records") as connection:
        connection.execute("update alembic_version set version_num = '16e3115a602a'")
    found = the_one(look(tmp_path, **choices))
    assert (found.outcome, found.mend) == ("fail", "back the database up, then run `dagster instance migrate`")


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"dagster_postgres_database": "nowhere"}, '"nowhere" does not exist'),
        ({"dagster_postgres_host": "/"}, "No such file"),
    ],
)
def test_a_database_out_of_reach_is_told(
    postgres: PostgresServer, tmp_path: Path, choices: dict[str, str], says: str
) -> None:
    chosen = {"dagster_postgres_host": postgres.folder, "dagster_postgres_user": postgres.user}
    of = deployment(tmp_path, dagster_postgres_sslmode="disable", **{**chosen, **choices})
    found = the_one(examine(of, [Probe("dagster", "it", dagster_instance.look)], timeout=20)[0].findings)
    assert (found.outcome, says in found.found) == ("fail", True), found.found
    assert "look at dagster_postgres_host" in (found.mend or "")


def test_the_graph_is_loaded_only_where_somebody_asks(tmp_path: Path) -> None:
    assert [each.outcome for each in graph.look(deployment(tmp_path))] == ["skipped"]
    (found,) = graph.look(deployment(tmp_path, is_thorough=True))
    assert (found.outcome, "loads with" in found.found) == ("ok", True)
    missing = the_one(graph.look(deployment(tmp_path, is_thorough=True, dbt_project_dir=tmp_path)))
    assert (missing.outcome, "build it with" in (missing.mend or "")) == ("fail", True)
