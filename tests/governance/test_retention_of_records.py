"""Rows of a SQLite file past their term: counted by day, removed, searched for; younger and dateless ones stay."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from analytics_platform.catalog import load_catalog
from analytics_platform.governance.retention.records import SqliteRows
from analytics_platform.governance.retention.sink import CannotCountError, Tally
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms

CATALOG, TODAY = load_catalog(), date(2026, 11, 27)
ZONE = "Europe/Amsterdam"
AGEING = (("sessions", "expires_at", "true"), ("incidents", "recovered_at", "state = 'over'"))
OLD, OLDER, YOUNG = date(2025, 3, 2), date(2025, 3, 1), date(2026, 11, 26)


def seconds(day: date, hour: int = 12) -> float:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()


def filled(path: Path, sessions: Iterable[float | None]) -> SqliteRows:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table sessions (name text, expires_at real)")
        connection.execute("create table incidents (name text, state text, recovered_at real)")
        connection.executemany("insert into sessions values ('who', ?)", [(each,) for each in sessions])
        connection.executemany(
            "insert into incidents values (?, ?, ?)", [("over", "over", seconds(OLD)), ("open", "open", seconds(OLD))]
        )
    return SqliteRows("portal_state", path, AGEING, ZONE)


def term() -> Term:
    found = Terms(CATALOG, TODAY).term("portal_state", NO_TENANT)
    assert found is not None
    return found


def left(path: Path) -> list[tuple[str, float | None]]:
    with closing(sqlite3.connect(path)) as connection:
        sql = "select name, expires_at from sessions union all select name, recovered_at from incidents order by 1, 2"
        return connection.execute(sql).fetchall()


def test_what_is_past_its_term_is_counted_removed_and_found_no_more(tmp_path: Path) -> None:
    path = tmp_path / "portal.sqlite"
    sink = filled(path, [seconds(OLDER), seconds(YOUNG), None])
    (tally,) = sink.tallies(Terms(CATALOG, TODAY))
    assert isinstance(tally, Tally)
    assert (tally.first, tally.last, tally.units) == (OLDER, OLD, 2)
    assert sink.survivors(term()) == 2
    sink.remove(term())
    assert sink.survivors(term()) == 0
    assert list(sink.tallies(Terms(CATALOG, TODAY))) == []
    assert left(path) == [("open", seconds(OLD)), ("who", None), ("who", seconds(YOUNG))]
    sink.remove(term())
    assert len(left(path)) == 3


def test_a_moment_is_of_the_day_that_the_zone_says(tmp_path: Path) -> None:
    sink = filled(tmp_path / "portal.sqlite", [seconds(OLDER, hour=23)])
    (tally,) = sink.tallies(Terms(CATALOG, TODAY))
    assert isinstance(tally, Tally)
    assert tally.first == OLD


def test_a_term_of_a_tenant_is_none_of_rows_that_are_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "portal.sqlite"
    sink = filled(path, [seconds(OLDER)])
    of_tenant = Term("portal_state", "brabant-rental", TODAY)
    sink.remove(of_tenant)
    assert sink.survivors(of_tenant) == 0
    assert len(left(path)) == 3


def test_a_file_that_is_not_there_holds_nothing_and_one_that_cannot_be_read_is_no_zero(tmp_path: Path) -> None:
    sink = SqliteRows("portal_state", tmp_path / "none.sqlite", AGEING, ZONE)
    assert list(sink.tallies(Terms(CATALOG, TODAY))) == []
    assert sink.survivors(term()) == 0
    (tmp_path / "broken.sqlite").write_bytes(b"no database, but as long as one would be" * 20)
    with pytest.raises(CannotCountError, match=r"broken\.sqlite"):
        SqliteRows("portal_state", tmp_path / "broken.sqlite", AGEING, ZONE).survivors(term())
