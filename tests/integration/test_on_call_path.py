"""From a broken partition to a repaired one, as the engineer on call walks it: the message, its command, the end.

Everything is real but Slack, which is a local server that answers 429, 500, nothing and `invalid_blocks` on the way.
"""

from __future__ import annotations

import html
import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from slack_api import TOKEN, Fault, SlackServer, slack_server

from analytics_platform.alerting.delivery import Delivery
from analytics_platform.alerting.incidents import Incident
from analytics_platform.alerting.slack import SlackClient
from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.manifest import ensure_manifest
from analytics_platform.defs.partitions import Rectangle, range_tags
from analytics_platform.defs.pools import BACKFILL_TAG
from analytics_platform.defs.resources import alert_store_from, identity_keys_from, store_from, warehouse_from
from analytics_platform.demo.simulation import simulate
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.layout import raw_key
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

FIRST, BROKEN, LAST, TENANT = date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 4), "brabant-rental"
CHANNEL = "#data-platform"
COMMAND = re.compile(r"`(analytics backfill [^`]+)`")


@dataclass
class Deployment:
    """A home whose lake, ledger and loads are built, with Slack."""

    settings: Settings
    definitions: dg.Definitions
    slack: SlackServer

    def run(self, job: str, tags: dict[str, str], *, without: dg.AssetKey | None = None) -> dg.ExecuteInProcessResult:
        """Run a job; `without` an asset and what is made from it."""
        graph, made = self.definitions.resolve_asset_graph(), self.definitions.resolve_job_def(job)
        left_out = dg.AssetSelection.assets(without).downstream().resolve(graph) if without else set()
        chosen = [key for key in made.asset_layer.executable_asset_keys if key not in left_out]
        with open_instance(self.settings) as instance:
            return made.execute_in_process(instance=instance, tags=tags, asset_selection=chosen, raise_on_error=False)

    def tick(self) -> dg.SensorExecutionData | Any:
        """What the daemon does every minute."""
        sensor = self.definitions.resolve_sensor_def("alerts")
        with open_instance(self.settings) as instance:
            return sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=self.definitions))

    def deliver_later(self) -> None:
        """What later ticks do with what waits, until nothing does."""
        client = SlackClient(TOKEN, self.slack.address, timeout_seconds=1)
        for minutes in range(1, 30, 3):
            clock = datetime.now(UTC) + timedelta(minutes=minutes)
            Delivery(alert_store_from(self.settings), client, clock=lambda clock=clock: clock).deliver()

    def analytics(self, command: str) -> str:
        """Type a command as it stands in a message."""
        program, *arguments = shlex.split(command)
        assert program == "analytics"
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        return done.output

    @property
    def incidents(self) -> list[Incident]:
        with alert_store_from(self.settings).transaction() as session:
            return session.incidents()

    @property
    def raw_object(self) -> Path:
        return Path(store_from(self.settings).local_path(raw_key("billing", BROKEN, TENANT)))

    def tell(self) -> list[tuple[str, bool]]:
        """What stands in Slack: the first line of each message, and whether it is a reply."""
        return [(each["text"].splitlines()[0], bool(each.get("thread_ts"))) for each in self.slack.all_posted]


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog: Catalog) -> Iterator[Deployment]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("slack_sdk.http_retry.handler.time.sleep", lambda _: None)
    with slack_server() as slack:
        # Delivery looks for a message among those since it was sent, so on this path the server tells the real time.
        monkeypatch.setattr(slack, "next_ts", lambda: f"{time.time():.6f}")
        chosen = {
            "HOME": tmp_path / "home",
            "HISTORY_START": "2026-03-01",
            "SLACK_TOKEN": TOKEN,
            "SLACK_API_URL": slack.address,
        }
        for name, value in chosen.items():
            monkeypatch.setenv(f"ANALYTICS_{name}", str(value))
        settings = Settings.from_environment()
        ensure_manifest(settings)
        simulate(catalog, seed=7, first_day=FIRST, last_day=LAST, folder=tmp_path / "events")
        import_paths(
            [tmp_path / "events"],
            catalog=catalog,
            store=store_from(settings),
            identities=identity_keys_from(settings),
            tenant=None,
        )
        built = Deployment(settings, build_definitions(settings), slack)
        tenants = tuple(catalog.tenants)
        with open_instance(settings) as instance:
            instance.add_dynamic_partitions("tenant", list(tenants))
        assert built.run(jobs.INGEST, Rectangle(FIRST, LAST, tenants).tags).success
        assert built.run(jobs.BUILD, range_tags(str(FIRST), str(LAST)), without=keys.LEDGER).success
        yield built


def lose_a_row(path: Path) -> None:
    """What a bad disk or a hand on the lake does: the object opens, and lacks a row that was accepted."""
    rows = pq.read_table(path)
    pq.write_table(rows.slice(1), path)


def test_a_broken_partition_is_told_once_and_repaired_by_the_command_of_its_message(deployment: Deployment) -> None:
    lose_a_row(deployment.raw_object)
    slack = deployment.slack
    slack.fail(
        "chat.postMessage",
        Fault("status", 429, "ratelimited", retry_after=0),
        Fault("error", error="invalid_blocks"),
        Fault("status", 500, after_the_work=True),
    )
    assert not deployment.run(jobs.LOAD, range_tags(str(FIRST), str(LAST))).success
    ticks = [deployment.tick() for _ in range(2)]
    assert [len(tick.run_requests or []) for tick in ticks] == [1, 0]
    deployment.deliver_later()

    # The check and the run that it failed are one incident, told by one message.
    (incident,) = deployment.incidents
    assert [each.failure.value for each in incident.failing] == ["check_failed", "run_failed"]
    assert (incident.severity, incident.cause.day, incident.cause.asset) == ("critical", BROKEN, "ops/ledger")
    assert deployment.tell() == [(":red_circle: CRITICAL · Check failed: ops/ledger", False)]
    (parent,) = slack.posted(CHANNEL)
    assert "Dashboards: Customer health, Executive overview, Finance" in parent["text"]

    # Step 1: read the message. Step 2: mend the cause. Step 3: its command, as it stands.
    (command,) = set(COMMAND.findall(html.unescape(parent["text"])))
    assert f"--from {BROKEN} --to {BROKEN}" in command
    deployment.raw_object.unlink()
    slack.fail("chat.update", Fault("silence"), Fault("status", 500, after_the_work=True))
    slack.fail("chat.postMessage", Fault("hang_up", after_the_work=True))
    output = deployment.analytics(command)
    assert "1 recovered now" in output
    deployment.deliver_later()

    incident = next(each for each in deployment.incidents if each.id == incident.id)
    assert incident.status == "recovered"
    (first, is_reply), (second, follows) = deployment.tell()
    assert (first, is_reply, follows) == (":white_check_mark: RECOVERED · Check failed: ops/ledger", False, True)
    assert second.startswith(":white_check_mark: *Recovered.*")
    _refuse_other_effects(deployment, incident)


def _refuse_other_effects(deployment: Deployment, incident: Incident) -> None:
    """The partition is whole, the table knows of the incident, the runs say why they ran, nothing is told twice."""
    warehouse = warehouse_from(deployment.settings)
    sql = "select received = accepted + duplicates + dead_lettered as balances from ops.ledger where day = ?"
    assert all(row["balances"] for row in warehouse.query(sql, [BROKEN]).to_pylist())
    (row,) = warehouse.query("select * from ops.incidents where incident_id = ?", [incident.id]).to_pylist()
    assert (row["incident_id"], row["status"], row["next_step"]) == (incident.id, "recovered", None)
    assert row["minutes_to_repair"] >= 0
    with open_instance(deployment.settings) as instance:
        runs = [run for run in instance.get_runs() if BACKFILL_TAG in run.tags]
    assert {run.tags["analytics/reason"] for run in runs} == {f"incident-{incident.id}"}
    assert {run.job_name for run in runs} == {jobs.INGEST, jobs.BUILD, jobs.PUBLISH}
    before = len(deployment.slack.all_posted)
    deployment.tick()
    deployment.deliver_later()
    assert len(deployment.slack.all_posted) == before
