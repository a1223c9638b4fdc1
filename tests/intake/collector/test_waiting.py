from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from spool_house import HOUR, SMALL, admitted, commit, letter, spooling

from analytics_platform.intake.collector.segments import segment_paths
from analytics_platform.intake.collector.waiting import waiting_line

SECONDS = 30.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The spools of a home, one of them with three messages that were written at `HOUR`."""
    with spooling(tmp_path / "collector0a", SMALL) as spool:
        commit(spool, admitted("one"), letter("two"))
        commit(spool, admitted("three"))
    for path in segment_paths(tmp_path / "collector0a").values():
        os.utime(path, (HOUR.timestamp(),) * 2)
    return tmp_path


def test_where_no_collector_ran_or_all_was_shipped_nothing_is_said(tmp_path: Path) -> None:
    assert waiting_line(tmp_path / "none", SECONDS, HOUR) is None
    with spooling(tmp_path / "collector0a", SMALL):
        pass
    assert waiting_line(tmp_path, SECONDS, HOUR) is None


def test_what_waits_is_counted_and_so_is_how_long_a_collector_takes_to_ship_it(root: Path) -> None:
    line = waiting_line(root, SECONDS, HOUR + timedelta(seconds=12))
    assert line is not None
    assert line.startswith("3 messages wait in the collector's spool, 0:00:12 old; a collector ships what is 30 s old")


def test_what_waits_too_long_asks_whether_a_collector_runs(root: Path) -> None:
    line = waiting_line(root, SECONDS, HOUR + timedelta(days=2))
    assert line is not None
    assert "2 days, 0:00:00 old: does a collector run?" in line
