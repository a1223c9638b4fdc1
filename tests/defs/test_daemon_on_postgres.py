"""A real daemon on a real PostgreSQL: limits and pools hold, a killed run is noticed, a restarted server is survived.

The tests share the processes and go in order.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml
from postgres import PostgresServer

from analytics_platform.defs.instance import open_instance, process_environment
from analytics_platform.defs.pools import BACKFILL_TAG
from analytics_platform.settings import Settings, child_environment

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 240
"""The daemon looks every five seconds, and a busy machine takes ten to start a run."""

SUCCESS = dg.DagsterRunStatus.SUCCESS
HOUR = {"dagster/priority": "10"}


@dataclass
class Deployment:
    """A daemon with its code server, and what a test asks of them."""

    folder: Path
    instance: dg.DagsterInstance
    daemon: subprocess.Popen[bytes]

    def ask(self, name: str, job: str, **tags: str) -> None:
        with (self.folder / "asked").open("a") as asked:
            asked.write(json.dumps({"name": name, "job": job, "tags": {"named": name, **tags}}) + "\n")

    def status(self, name: str) -> dg.DagsterRunStatus | None:
        runs = self.instance.get_runs(dg.RunsFilter(tags={"named": name}))
        return runs[0].status if runs else None

    def run_id(self, name: str) -> str:
        return self.instance.get_runs(dg.RunsFilter(tags={"named": name}))[-1].run_id

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert self.daemon.poll() is None, (self.folder / "daemon.log").read_text()[-4000:]
            assert time.monotonic() < deadline, f"not so: {what}\n{(self.folder / 'daemon.log').read_text()[-4000:]}"
            time.sleep(0.2)

    def journal(self) -> list[dict[str, object]]:
        path = self.folder / "journal"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def at_work(self) -> list[tuple[str, int]]:
        """Runs that have begun and not ended, with their processes."""
        begun = {str(each["run"]): int(str(each["pid"])) for each in self.journal() if each["what"] == "begins"}
        ended = {each["run"] for each in self.journal() if each["what"] == "ends"}
        return [(run, pid) for run, pid in begun.items() if run not in ended]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("contending")
    settings = Settings(home=folder / "home", **postgres.database("queue"))
    workspace = folder / "workspace.yaml"
    code = {"relative_path": str(Path(__file__).with_name("contending_runs.py")), "location_name": "contending"}
    workspace.write_text(yaml.safe_dump({"load_from": [{"python_file": code}]}))
    with open_instance(settings) as instance, (folder / "daemon.log").open("wb") as log:
        environment = child_environment({**process_environment(settings), "CONTENDING_RUNS": str(folder)})
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]
        daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        running = Deployment(folder, instance, daemon)
        try:
            yield running
        finally:
            (folder / "release").touch()
            daemon.send_signal(signal.SIGINT)
            daemon.wait(timeout=60)


def test_backfills_leave_the_hour_its_place_and_one_run_at_a_time_writes_the_warehouse(deployment: Deployment) -> None:
    for name in ("backfill a", "backfill b"):
        deployment.ask(name, "old_days_job", **{"dagster/backfill": "x"})
    deployment.ask("backfill c", "old_days_job", **{BACKFILL_TAG: "y"})
    for name in ("hour 1", "hour 2"):
        deployment.ask(name, "hourly_job", **HOUR)
    both = ("hour 1", "hour 2")
    deployment.until("both hours are done", lambda: all(deployment.status(name) == SUCCESS for name in both))
    deployment.until("one backfill of each kind is at work", lambda: len(deployment.at_work()) == 2)
    of_ui = {str(deployment.status(name)) for name in ("backfill a", "backfill b")}
    assert of_ui == {"DagsterRunStatus.QUEUED", "DagsterRunStatus.STARTED"}
    hours = {deployment.run_id(name) for name in both}
    said = [each["what"] for each in deployment.journal() if each["run"] in hours]
    assert said == ["begins", "ends", "begins", "ends"]


def test_a_run_that_is_killed_is_said_to_have_failed_and_is_tried_once_more(deployment: Deployment) -> None:
    (run_id, pid) = next(each for each in deployment.at_work() if each[0] == deployment.run_id("backfill c"))
    os.kill(pid, signal.SIGKILL)
    deployment.until(
        "the killed run has failed",
        lambda: deployment.instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE,  # type: ignore[union-attr]
    )
    deployment.until(
        "it is tried again",
        lambda: bool(deployment.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run_id}))),
    )


def test_a_server_that_restarts_under_the_daemon_costs_no_run(deployment: Deployment, postgres: PostgresServer) -> None:
    postgres.restart()
    deployment.ask("hour 3", "hourly_job", **HOUR)
    deployment.until("the next hour is done", lambda: deployment.status("hour 3") == SUCCESS)
    (deployment.folder / "release").touch()
    deployment.until("what ran meanwhile ends well", lambda: deployment.status("backfill a") == SUCCESS)
