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

LONGEST_LIFE_SECONDS = 0.12


class Victim:
    """A process that starts collectors, one after another, each to be killed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._pid = 0
        self.acked: list[str] = []

    def live_for(self, seconds: float) -> int:
        """Start a collector and kill it after that time; how many messages it acknowledged until then."""
        assert self._process.stdin is not None
        before = len(self.acked)
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        while (words := self._words())[0] != "dead":
            if words[0] == "pid":
                pid = int(words[1])
                threading.Timer(seconds, os.kill, (pid, signal.SIGKILL)).start()
            else:
                self.acked += words[1:]
        return len(self.acked) - before

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
        productive = [collector.live_for(chance.uniform(0, LONGEST_LIFE_SECONDS)) > 0 for _ in range(rounds)]
    assert sum(productive) > rounds // 4

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
