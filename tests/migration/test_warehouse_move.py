"""A warehouse's tables on their way through the port: whole, resumable, and compared row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from killed import is_killed

from analytics_platform.migration.parts import OtherDataError
from analytics_platform.migration.state import STATE_FILE, MigrationState
from analytics_platform.migration.warehouse import WarehouseMove
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse, has_table

FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(n) for n in range(10)]
MRR = pa.table(
    {
        "day": [day for day in DAYS for _ in range(3)],
        "tenant_id": ["a", "b", None] * 10,
        "mrr_minor": list(range(30)),
        "share": [0.1, -0.0, None] * 10,
        "rate": pa.array([Decimal("1.100000"), None, Decimal("0.000001")] * 10, pa.decimal128(38, 6)),
        "is_open": [True, None, False] * 10,
        "at": pa.array([datetime(2026, 1, 1, 1, 2, 3, 4, UTC), None, None] * 10, pa.timestamp("us", "UTC")),
    }
)
SPANS = pa.table({"item": ["x", "y", "y"], "from_at": pa.array([1, 2, 2], pa.timestamp("us"))})


@pytest.fixture
def source(tmp_path: Path) -> DuckDBWarehouse:
    warehouse = DuckDBWarehouse(tmp_path / "old" / "warehouse.duckdb")
    warehouse.replace_days("kpi.kpi_mrr", MRR, DAYS[0], DAYS[-1])
    warehouse.replace_table("marts.fct_spans", SPANS)
    warehouse.replace_table("ops.empty", SPANS.slice(0, 0))
    return warehouse


@pytest.fixture(params=["duckdb"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """An empty warehouse behind the port; another product's stand-in is another name here."""
    makers: dict[str, Callable[[], Warehouse]] = {
        "duckdb": lambda: DuckDBWarehouse(tmp_path / "new" / "warehouse.duckdb")
    }
    return makers[request.param]()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[MigrationState]:
    opened = MigrationState(tmp_path / STATE_FILE)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics_platform.migration.warehouse.ROWS_AT_ONCE", 12)


def quiet(_done: int, _all: int) -> None: ...


def run(source: DuckDBWarehouse, target: Warehouse, state: MigrationState) -> tuple[int, int]:
    moved = WarehouseMove(source, target, state).run(quiet)
    return moved.copied, moved.removed


def told(source: DuckDBWarehouse, target: Warehouse, state: MigrationState) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in WarehouseMove(source, target, state).verify(quiet).differences:
        found.setdefault(each.name, []).append(each.what)
    return found


def test_every_table_comes_over_row_by_row(source: DuckDBWarehouse, target: Warehouse, state: MigrationState) -> None:
    assert run(source, target, state) == (33, 0)
    assert told(source, target, state) == {}
    for table in ("kpi.kpi_mrr", "marts.fct_spans", "ops.empty"):
        asked = f"select * from {table}"
        assert sorted(map(str, target.query(asked).to_pylist())) == sorted(map(str, source.query(asked).to_pylist()))
    assert run(source, target, state) == (0, 0)


def test_a_second_run_follows_what_the_source_lost_and_changed(
    source: DuckDBWarehouse, target: Warehouse, state: MigrationState
) -> None:
    run(source, target, state)
    source.remove_rows("kpi.kpi_mrr", "day < ? or tenant_id = ?", [DAYS[2], "b"])
    source.remove_rows("marts.fct_spans", "item = ?", ["y"])
    assert told(source, target, state).keys() == {"kpi.kpi_mrr", "marts.fct_spans"}
    run(source, target, state)
    assert told(source, target, state) == {}
    assert target.query("select min(day) as d, count(*) as n from kpi.kpi_mrr").to_pylist() == [{"d": DAYS[2], "n": 16}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("update kpi.kpi_mrr set mrr_minor = mrr_minor + 1 where mrr_minor = 5", "on 2026-01-02 and has 1 others"),
        ("update kpi.kpi_mrr set share = null where mrr_minor = 4", "on 2026-01-02 and has 1 others"),
        ("delete from kpi.kpi_mrr where mrr_minor = 29", "lacks 1 rows of the source on 2026-01-10 and has 0 others"),
        (
            "insert into kpi.kpi_mrr (day, mrr_minor) values ('2026-01-04', 1)",
            "lacks 0 rows of the source on 2026-01-04",
        ),
        ("insert into kpi.kpi_mrr (day, mrr_minor) values ('2026-02-01', 1)", "has 1 rows before 2026-01-01"),
        ("alter table kpi.kpi_mrr drop column share", "lacks columns in the target: share"),
        ("drop table kpi.kpi_mrr", "is missing in the target"),
    ],
)
def test_the_comparison_names_table_and_day_of_whatever_differs(
    source: DuckDBWarehouse, tmp_path: Path, state: MigrationState, change: str, expected: str
) -> None:
    target = DuckDBWarehouse(tmp_path / "new" / "warehouse.duckdb")
    run(source, target, state)
    with target.opened() as connection:
        connection.execute(change)
    (words,) = told(source, target, state)["kpi.kpi_mrr"]
    assert expected in words


def test_a_row_that_is_there_twice_and_one_too_few_are_no_match(
    source: DuckDBWarehouse, target: Warehouse, state: MigrationState
) -> None:
    run(source, target, state)
    target.replace_table("marts.fct_spans", SPANS.take(pa.array([0, 0, 1])))
    (words,) = told(source, target, state)["marts.fct_spans"]
    assert "lacks 1 rows of the source and has 1 others" in words


def test_a_table_that_only_the_target_has_is_named(
    source: DuckDBWarehouse, target: Warehouse, state: MigrationState
) -> None:
    run(source, target, state)
    target.replace_table("marts.theirs", SPANS)
    assert told(source, target, state) == {"marts.theirs": ["is not in the source"]}


def test_a_target_with_rows_of_others_is_refused(
    source: DuckDBWarehouse, target: Warehouse, state: MigrationState
) -> None:
    target.replace_table("marts.fct_spans", SPANS.slice(0, 1))
    with pytest.raises(OtherDataError, match=r"holds 1 rows of marts\.fct_spans that this migration has not brought"):
        run(source, target, state)
    assert not has_table(target, "kpi.kpi_mrr")


def test_a_target_that_holds_the_same_is_taken_for_ours(
    source: DuckDBWarehouse, target: Warehouse, state: MigrationState
) -> None:
    target.replace_table("marts.fct_spans", SPANS)
    assert run(source, target, state) == (30, 0)


def test_a_target_that_was_used_since_is_refused(
    source: DuckDBWarehouse, target: Warehouse, state: MigrationState
) -> None:
    run(source, target, state)
    target.replace_days("kpi.kpi_mrr", MRR.slice(0, 1), date(2026, 2, 1), date(2026, 2, 1))
    with pytest.raises(OtherDataError, match=r"used since: kpi\.kpi_mrr has 31 rows"):
        run(source, target, state)


def test_killed_before_any_step_and_begun_again_it_ends_the_same(
    source: DuckDBWarehouse, target: Warehouse, tmp_path: Path
) -> None:
    assert isinstance(target, DuckDBWarehouse)
    old, new, attempts = source.path, target.path, 0

    def act(step: Callable[[str], None]) -> None:
        state = MigrationState(tmp_path / STATE_FILE)
        WarehouseMove(DuckDBWarehouse(old), DuckDBWarehouse(new), state, step).run(quiet)

    while is_killed(attempts, act):
        attempts += 1
    assert attempts >= 5
    state = MigrationState(tmp_path / STATE_FILE)
    assert told(source, target, state) == {}
    assert run(source, target, state) == (0, 0)
    state.close()
