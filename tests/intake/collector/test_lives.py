"""The lives of a collector, in any order that hypothesis can think of: every message lands once, every hour adds up."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from spool_house import (
    HOUR,
    OTHER,
    SMALL,
    STREAMS,
    TENANT,
    WRITER,
    SetClock,
    admitted,
    commit,
    landed_ids,
    letter,
    spooled_ids,
)

from analytics_platform.intake.collector.segments import segment_paths
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.store import LocalStore

LIMITS = replace(SMALL, segment_bytes=1_500)


class StoreDownError(Exception):
    """The store is down."""


class CountingDownStore(LocalStore):
    """Takes so many puts, then no more; None for as many as one likes."""

    puts_left: int | None = None

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        if self.puts_left is not None:
            if self.puts_left <= 0:
                raise StoreDownError
            self.puts_left -= 1
        super().put(key, data, if_none_match=if_none_match)


class Lives(RuleBasedStateMachine):
    """A collector whose clock, store and process do what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.folder = Path(self.home.name) / "spool"
        self.store = CountingDownStore(Path(self.home.name) / "lake")
        self.clock = SetClock()
        self.ids: list[str] = []
        self.acked = Counter[str]()

    @initialize()
    def begin(self) -> None:
        self.spool = Spool.open(self.folder, WRITER, LIMITS, clock=self.clock)
        self.shipper = Shipper(self.spool, self.store, clock=self.clock)

    @rule(count=st.integers(1, 3), tenant=st.sampled_from([TENANT, OTHER]), letters=st.integers(0, 1))
    def take(self, count: int, tenant: str, letters: int) -> None:
        ids = [str(len(self.ids) + n) for n in range(count)]
        commit(self.spool, *(admitted(each, tenant=tenant) for each in ids), *[letter("x", tenant=tenant)] * letters)
        self.ids += ids
        self.acked[tenant] += count + letters

    @rule(minutes=st.sampled_from([20, 60, -60]))
    def set_the_clock(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    @rule(puts=st.none() | st.integers(0, 4))
    def ship(self, puts: int | None) -> None:
        self.store.puts_left = puts
        with suppress(StoreDownError):
            self.shipper.ship_waiting()
        self.store.puts_left = None

    @rule(puts=st.none() | st.integers(0, 4))
    def restart(self, puts: int | None) -> None:
        self.spool.drain()
        self.store.puts_left = puts
        with suppress(StoreDownError):
            self.shipper.ship_waiting(final=True)
        self.store.puts_left = None
        self.spool.close()
        self.begin()

    @rule(tail=st.binary(max_size=30))
    def die(self, tail: bytes) -> None:
        """The end of a process, with a frame half written."""
        self.spool.close()
        for path in list(segment_paths(self.folder).values())[-1:]:
            path.write_bytes(path.read_bytes() + b"\xffSG1" + tail)
        self.begin()

    @invariant()
    def everything_is_somewhere(self) -> None:
        assert set(self.ids) == set(spooled_ids(self.folder)) | landed_ids(self.store).keys()

    def teardown(self) -> None:
        self.spool.drain()
        self.shipper.ship_waiting(final=True)
        self.spool.close()
        assert landed_ids(self.store) == Counter(self.ids)
        hours = collector_hours(self.store, date(2026, 1, 1), date(2026, 1, 31), STREAMS)
        assert unaccounted(hours, HOUR + timedelta(days=30)).num_rows == 0
        acked = Counter[str]()
        for row in hours.to_pylist():
            acked[row["tenant_id"]] += row["acked"]
        assert acked == self.acked
        self.home.cleanup()


def test_in_whatever_order_lives_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing here loses real power
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    run_state_machine_as_test(Lives, settings=settings(max_examples=25, stateful_step_count=20, deadline=None))
