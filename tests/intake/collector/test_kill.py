"""A collector is killed (SIGKILL) at random moments under load; `--rounds N` asks for more rounds than a test run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from spool_house import STREAMS, SetClock, landed_ids, spooling

from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.store import LocalStore

SHORTEST_LIVES_SECONDS = 0.05
MOST_COMMITS = 150


class Victim:
    """A process that starts collectors, one after another, each to be killed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.acked: list[str] = []

    def live_for(self, seconds: float) -> None:
        """Start a collector and kill it after that time, which may be while it recovers."""
        pid = self._start()
        threading.Timer(seconds, os.kill, (pid, signal.SIGKILL)).start()
        while not self._is_dead():
            pass

    def live_until(self, commits: int) -> None:
        """Start a collector and kill it as soon as it has acknowledged so often."""
        pid, before = self._start(), len(self.acked)
        while not self._is_dead():
            commits -= 1
            if not commits:
                os.kill(pid, signal.SIGKILL)
        assert len(self.acked) > before

    def _start(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        return int(self._words()[1])

    def _is_dead(self) -> bool:
        """Read on: what was acknowledged, or that the process is gone."""
        word, *ids = self._words()
        self.acked += ids
        return word == "dead"

    def _words(self) -> list[str]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        assert line, "the collector ended by itself"
        return line.split()


@contextmanager
def victim(home: Path) -> Iterator[Victim]:
    program = Path(__file__).with_name("killed_collector.py")
    with subprocess.Popen(
        [sys.executable, str(program), str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Victim(process)


@pytest.mark.integration
def test_what_was_acknowledged_survives_kill_9_and_lands_once(tmp_path: Path, rounds: int) -> None:
    chance = random.Random()
    with victim(tmp_path) as collector:
        for number in range(rounds):
            if number % 3:
                collector.live_until(chance.randint(1, MOST_COMMITS))
            else:
                collector.live_for(chance.uniform(0, SHORTEST_LIVES_SECONDS))

    store = LocalStore(tmp_path / "lake")
    now = datetime.now(UTC)
    with spooling(tmp_path / "spool") as spool:
        spool.drain()
        Shipper(spool, store, clock=SetClock(now)).ship_waiting(final=True)
        assert spool.state().lost_segments == 0
    landed = landed_ids(store)
    assert set(collector.acked) - landed.keys() == set()
    assert [each for each, times in landed.items() if times > 1] == []

    hours = collector_hours(store, (now - timedelta(days=1)).date(), now.date(), STREAMS)
    assert unaccounted(hours, now + timedelta(days=1)).num_rows == 0
    assert sum(hours["landed"].to_pylist()) == landed.total()
