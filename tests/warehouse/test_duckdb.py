"""The embedded warehouse keeps the port's promises: transactions, one writer, read-only queries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from analytics_platform.warehouse import DuckDBWarehouse, QueryError, WarehouseBusyError, WarehouseMissingError

DAY, NEXT = date(2026, 1, 1), date(2026, 1, 2)
OPENS_FOR_WRITING = "import duckdb; held = duckdb.connect(path)"


def rows(*pairs: tuple[date, int]) -> pa.Table:
    return pa.table({"day": pa.array([day for day, _ in pairs], pa.date32()), "n": [n for _, n in pairs]})


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path / "home" / "warehouse.duckdb", lock_timeout=0.3)


def stored(warehouse: DuckDBWarehouse) -> list[tuple[date, int]]:
    return [(row["day"], row["n"]) for row in warehouse.query("select * from raw.events order by all").to_pylist()]


@contextmanager
def another_process(statement: str, path: Path) -> Iterator[None]:
    """A process that opens the file or the lock and keeps it until told to go."""
    program = f"import sys; path = {str(path)!r}; {statement}; print('ready', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    try:
        yield
    finally:
        child.communicate("")


def test_replacing_days_leaves_other_days_alone(warehouse: DuckDBWarehouse) -> None:
    assert warehouse.replace_days("raw.events", rows((DAY, 1), (NEXT, 2)), DAY, NEXT) == 2
    assert warehouse.replace_days("raw.events", rows((NEXT, 3), (NEXT, 4)), NEXT, NEXT) == 2
    assert stored(warehouse) == [(DAY, 1), (NEXT, 3), (NEXT, 4)]


def test_replacing_a_day_with_nothing_empties_it(warehouse: DuckDBWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1), (NEXT, 2)), DAY, NEXT)
    warehouse.replace_days("raw.events", rows(), DAY, DAY)
    assert stored(warehouse) == [(NEXT, 2)]


def test_a_failed_replacement_leaves_what_was_there(warehouse: DuckDBWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    wrong = pa.table({"day": pa.array([DAY], pa.date32()), "n": ["not a number"]})
    with pytest.raises(Exception, match="not a number"):
        warehouse.replace_days("raw.events", wrong, DAY, DAY)
    assert stored(warehouse) == [(DAY, 1)]


@pytest.mark.parametrize(
    "statement",
    ["drop table raw.events", "insert into raw.events values (date '2026-01-01', 9)", "create table x as select 1"],
)
def test_a_query_cannot_write(warehouse: DuckDBWarehouse, statement: str) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    with pytest.raises(QueryError, match="read-only"):
        warehouse.query(statement)
    assert stored(warehouse) == [(DAY, 1)]


@pytest.mark.parametrize(
    "statement", ["select * from read_text('{secret}')", "attach '{secret}' as other", "copy raw.events to '{secret}'"]
)
def test_a_query_sees_nothing_of_the_machine_but_the_warehouse(
    warehouse: DuckDBWarehouse, tmp_path: Path, statement: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    with pytest.raises(QueryError, match=r"disabled|read-only"):
        warehouse.query(statement.format(secret=secret))
    assert secret.read_text() == "secret"


def test_a_query_without_a_result_is_answered_with_an_empty_table(warehouse: DuckDBWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    assert warehouse.query("set threads = 1").num_rows == 0


def test_a_query_before_the_first_run_says_what_to_do(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(WarehouseMissingError, match="analytics run"):
        warehouse.query("select 1")


def test_a_second_writer_is_told_who_holds_the_warehouse(warehouse: DuckDBWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    holds_lock = (
        "from pathlib import Path; from analytics_platform.warehouse import DuckDBWarehouse; "
        "held = DuckDBWarehouse(Path(path)).exclusive(); held.__enter__()"
    )
    with another_process(holds_lock, warehouse.path), pytest.raises(WarehouseBusyError, match=r"by process \d+ since"):
        warehouse.replace_days("raw.events", rows((DAY, 2)), DAY, DAY)
    assert stored(warehouse) == [(DAY, 1)]


def test_a_reader_is_told_which_program_has_the_file_open(warehouse: DuckDBWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    has_file_open = "import duckdb; connection = duckdb.connect(path)"
    with another_process(has_file_open, warehouse.path), pytest.raises(WarehouseBusyError, match="PID"):
        stored(warehouse)
    assert stored(warehouse) == [(DAY, 1)]


def test_two_processes_that_write_at_once_both_get_their_rows_in(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    program = (
        "import sys, pyarrow as pa; from datetime import date; from pathlib import Path\n"
        "from analytics_platform.warehouse import DuckDBWarehouse\n"
        "warehouse, offset = DuckDBWarehouse(Path(sys.argv[1])), int(sys.argv[2])\n"
        "for n in range(5):\n"
        "    day = date(2026, 1, 1 + offset + n)\n"
        "    rows = pa.table({'day': pa.array([day], pa.date32()), 'n': [n]})\n"
        "    warehouse.replace_days('raw.events', rows, day, day)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), offset]) for offset in ("0", "10")]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(stored(DuckDBWarehouse(path))) == 10


def opened_files(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each connection that is opened from now on can only read."""
    opened: list[bool] = []
    connect = duckdb.connect

    def counted(*args: Any, **named: Any) -> duckdb.DuckDBPyConnection:
        opened.append(named["read_only"])
        return connect(*args, **named)

    monkeypatch.setattr(duckdb, "connect", counted)
    return opened


def test_queries_within_a_scope_of_reading_share_a_connection(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    opened = opened_files(monkeypatch)
    with warehouse.reading():
        with warehouse.reading():
            assert stored(warehouse) == [(DAY, 1)]
        with pytest.raises(QueryError):
            warehouse.query("select * from raw.absent")
        assert stored(warehouse) == [(DAY, 1)]
    assert opened == [True]
    stored(warehouse)
    stored(warehouse)
    assert opened == [True, True, True]


def test_who_reads_and_writes_in_turns_sees_what_was_written(warehouse: DuckDBWarehouse) -> None:
    with warehouse.reading():
        for n in (1, 2):
            warehouse.replace_days("raw.events", rows((DAY, n)), DAY, DAY)
            assert stored(warehouse) == [(DAY, n)]
            with warehouse.exclusive():
                assert stored(warehouse) == [(DAY, n)]
                with another_process(OPENS_FOR_WRITING, warehouse.path):
                    pass


def test_other_processes_write_once_a_scope_of_reading_has_ended(warehouse: DuckDBWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    with pytest.raises(QueryError), warehouse.reading():
        warehouse.query("select * from raw.absent")
    with another_process(OPENS_FOR_WRITING, warehouse.path), pytest.raises(WarehouseBusyError):
        stored(warehouse)
    with warehouse.reading(), pytest.raises(WarehouseMissingError):
        DuckDBWarehouse(warehouse.path.with_name("absent.duckdb")).query("select 1")


def test_a_long_query_draws_no_bar_into_what_a_command_answers(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb")
    warehouse.replace_table("ops.ledger", pa.table({"a": [1]}))
    asked = "select current_setting('enable_progress_bar') as draws"
    with warehouse.opened() as writing:
        assert writing.execute(asked).fetchall() == [(False,)]
    assert warehouse.query(asked)["draws"].to_pylist() == [False]
