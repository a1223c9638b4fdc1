"""What `/metrics` tells of the spool and of shipping: looked up when it is asked for."""

from __future__ import annotations

from pathlib import Path

from spool_house import SMALL, admitted, commit, spooling

from analytics_platform.intake.collector.metrics import Metrics
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.lake.store import LocalStore

PREFIX = "analytics_collector_"


def told(metrics: Metrics) -> dict[str, float]:
    lines = [line.split() for line in metrics.text().decode().splitlines() if line.startswith(PREFIX)]
    return {line[0].removeprefix(PREFIX): float(line[1]) for line in lines if len(line) == 2}


def test_what_waits_in_the_spool_is_told_as_it_stands_and_what_was_committed_is_counted(tmp_path: Path) -> None:
    metrics = Metrics()
    with spooling(tmp_path / "spool", SMALL) as spool:
        metrics.watch(spool, Shipper(spool, LocalStore(tmp_path / "lake")))
        before = told(metrics)
        commit(spool, admitted("one"))
        after = told(metrics)
    assert (before["spool_healthy"], before["spool_bytes"], before["spool_age_seconds"]) == (1, 0, 0)
    assert after["spool_bytes"] > 0
    assert after["spool_segments"] == 1
    assert after["spool_commits_total"] - before["spool_commits_total"] == 1
    assert (after["spool_refused_total"], after["spool_failures_total"], after["shipping_attempts"]) == (0, 0, 0)
