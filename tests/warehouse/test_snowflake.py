"""Snowflake's adapter keeps the port's promises: on the stand-in, with the real connector."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from snowflake.connector.errors import ProgrammingError
from snowflake_stand_in import StandIn, snowflake_stand_in

from analytics_platform.catalog import Catalog
from analytics_platform.defs.resources import snowflake_warehouse
from analytics_platform.settings import Settings
from analytics_platform.warehouse import (
    DuckDBWarehouse,
    QueryError,
    WarehouseBusyError,
    WarehouseMissingError,
    WarehouseUnreachableError,
    has_table,
    table_columns,
)
from analytics_platform.warehouse.snowflake import KeptRowsError, SnowflakeWarehouse
from analytics_platform.warehouse.work import Work
from asset_checks.privacy import Column, suspects_query

pytestmark = pytest.mark.integration

DAY, NEXT = date(2026, 1, 1), date(2026, 1, 2)
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with snowflake_stand_in(tmp_path_factory.mktemp("fakesnow")) as server:
        yield server


@pytest.fixture
def warehouse(stand_in: StandIn, request: pytest.FixtureRequest, tmp_path: Path) -> SnowflakeWarehouse:
    return connected(stand_in, tmp_path, f"db_{abs(hash(request.node.name))}")


def connected(stand_in: StandIn, home: Path, database: str, **chosen: object) -> SnowflakeWarehouse:
    return snowflake_warehouse(Settings(home=home, **stand_in.settings(snowflake_database=database, **chosen)))


def rows(*pairs: tuple[date, int]) -> pa.Table:
    return pa.table({"day": pa.array([day for day, _ in pairs], pa.date32()), "n": [n for _, n in pairs]})


def stored(warehouse: SnowflakeWarehouse) -> list[tuple[date, int]]:
    return [
        (row["day"], row["n"]) for row in warehouse.query("select day, n from raw.events order by 1, 2").to_pylist()
    ]


EVERY_TYPE = pa.table(
    {
        "day": pa.array([DAY, NEXT], pa.date32()),
        "tenant_id": ["t1", None],
        "seen_at": pa.array([NOON, None], pa.timestamp("us", "UTC")),
        "local_at": pa.array([NOON.replace(tzinfo=None), None], pa.timestamp("us")),
        "amount_minor": pa.array([2**53 + 1, None], pa.int64()),
        "rate": pa.array([Decimal("1.23456789"), None], pa.decimal128(18, 8)),
        "share": [0.1, None],
        "is_late": [True, None],
        "properties": ['{"b": 1, "a": "é\'"}', None],
    }
)


def test_replacing_days_leaves_other_days_alone(warehouse: SnowflakeWarehouse) -> None:
    assert warehouse.replace_days("raw.events", rows((DAY, 1), (NEXT, 2)), DAY, NEXT) == 2
    assert warehouse.replace_days("raw.events", rows((NEXT, 3), (NEXT, 4)), NEXT, NEXT) == 2
    assert stored(warehouse) == [(DAY, 1), (NEXT, 3), (NEXT, 4)]


def test_a_day_that_is_loaded_twice_is_there_once(warehouse: SnowflakeWarehouse) -> None:
    for _ in range(2):
        warehouse.replace_days("raw.events", rows((DAY, 1), (NEXT, 2)).to_reader(1), DAY, NEXT)
    assert stored(warehouse) == [(DAY, 1), (NEXT, 2)]


def test_replacing_a_day_with_nothing_empties_it(warehouse: SnowflakeWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1), (NEXT, 2)), DAY, NEXT)
    assert warehouse.replace_days("raw.events", rows(), DAY, DAY) == 0
    assert stored(warehouse) == [(NEXT, 2)]


def test_a_load_that_fails_leaves_the_rows_as_they_were(warehouse: SnowflakeWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    more = rows((DAY, 5)).append_column("unknown", pa.array(["x"]))
    with pytest.raises(QueryError, match=r"(?i)unknown"):
        warehouse.replace_days("raw.events", more, DAY, DAY)
    assert stored(warehouse) == [(DAY, 1)]


def test_every_type_comes_back_as_duckdb_would_answer(warehouse: SnowflakeWarehouse, tmp_path: Path) -> None:
    embedded = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    for each in (warehouse, embedded):
        each.replace_days("raw.types", EVERY_TYPE, DAY, NEXT)
    asked = "select * from raw.types where day >= ? and seen_at >= ? or seen_at is null order by day"
    said = warehouse.query(asked, [DAY, datetime(2026, 1, 1, tzinfo=UTC)])
    assert said.schema.remove_metadata() == embedded.query(asked, [DAY, NOON]).schema
    assert said.to_pylist() == EVERY_TYPE.to_pylist()
    assert warehouse.query("select * from raw.types limit 0").schema == said.schema


def test_a_table_is_replaced_whole_also_with_other_columns(warehouse: SnowflakeWarehouse) -> None:
    assert warehouse.replace_table("ops.things", rows((DAY, 1), (NEXT, 2))) == 2
    assert warehouse.replace_table("ops.things", rows((DAY, 3))) == 1
    assert warehouse.replace_table("ops.things", EVERY_TYPE) == 2
    assert table_columns(warehouse)["ops.things"] == set(EVERY_TYPE.column_names)


def test_rows_are_removed_and_values_replaced(warehouse: SnowflakeWarehouse) -> None:
    texts = pa.table({"day": pa.array([DAY] * 3, pa.date32()), "tenant_id": ["a", "a", "b"], "said": ["x", "y", "x"]})
    warehouse.replace_days("raw.texts", texts, DAY, DAY)
    warehouse.replace_values("raw.texts", "said", {"x": "it's \\ gone", "z": "never"}, "tenant_id = ?", ["a"])
    assert warehouse.remove_rows("raw.texts", "tenant_id = ? and said = ?", ["a", "y"]) == 1
    said = warehouse.query("select tenant_id, said from raw.texts order by 1").to_pylist()
    assert said == [{"tenant_id": "a", "said": "it's \\ gone"}, {"tenant_id": "b", "said": "x"}]


@pytest.mark.parametrize(
    "statement",
    ["delete from raw.events", "insert into raw.events values ('2026-01-01', 1)", "drop table raw.events", "selec 1"],
)
def test_a_query_that_would_write_is_refused(warehouse: SnowflakeWarehouse, statement: str) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    with pytest.raises(QueryError):
        warehouse.query(statement)
    assert stored(warehouse) == [(DAY, 1)]


def test_tables_are_known_by_the_names_that_the_platform_gave_them(warehouse: SnowflakeWarehouse) -> None:
    assert not has_table(warehouse, "raw.events")
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    assert has_table(warehouse, "raw.events")
    assert table_columns(warehouse) == {"raw.events": {"day", "n"}}


def test_a_branch_environment_has_tables_of_its_own(stand_in: StandIn, tmp_path: Path) -> None:
    trunk = connected(stand_in, tmp_path, "shared")
    branch = connected(stand_in, tmp_path, "shared", environment="ci", warehouse_schema_prefix="pr_7_")
    trunk.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    assert not has_table(branch, "raw.events")
    branch.replace_days("raw.events", rows((DAY, 2)), DAY, DAY)
    assert stored(trunk) == [(DAY, 1)]
    assert stored(branch) == [(DAY, 2)]
    assert set(table_columns(branch)) == {"raw.events"}


def test_a_thread_keeps_its_session_until_something_goes_wrong(warehouse: SnowflakeWarehouse) -> None:
    with warehouse.reading():
        warehouse.query("select 1 as one")
        session = warehouse._session.connection
        assert session is not None
        warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
        assert stored(warehouse) == [(DAY, 1)]
        assert warehouse._session.connection is session
    with pytest.raises(QueryError):
        warehouse.query("select nothing from raw.events")
    assert stored(warehouse) == [(DAY, 1)]
    assert warehouse._session.connection is not session


def test_a_server_that_is_not_there_is_told_with_the_settings(tmp_path: Path, stand_in: StandIn) -> None:
    gone = connected(stand_in, tmp_path, "gone", snowflake_private_key_file=str(tmp_path / "no.p8"))
    with pytest.raises(WarehouseUnreachableError, match="snowflake_private_key_file") as caught:
        has_table(gone, "raw.events")
    assert stand_in.settings()["snowflake_private_key_passphrase"] not in str(caught.value)


def test_whoever_reads_while_a_day_is_replaced_sees_the_old_rows_or_the_new(warehouse: SnowflakeWarehouse) -> None:
    warehouse.replace_days("raw.events", rows((DAY, 0), (DAY, 0)), DAY, DAY)
    seen: list[list[int]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append([n for _, n in stored(warehouse)])

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(1, 9):
        warehouse.replace_days("raw.events", rows((DAY, n), (DAY, n)), DAY, DAY)
    done.set()
    reader.join()
    assert {len(each) for each in seen} == {2}
    assert all(one == other for one, other in seen)
    assert len({one for one, _ in seen}) > 2


def test_a_purge_refuses_permanent_tables_and_names_them(stand_in: StandIn, tmp_path: Path) -> None:
    warehouse = connected(stand_in, tmp_path, "kept")
    for statement in ("create database if not exists kept", "create schema kpi", "create table kpi.kept (day date)"):
        warehouse.native(statement)
    warehouse.replace_days("raw.events", rows((DAY, 1)), DAY, DAY)
    with pytest.raises(KeptRowsError, match=r"^kpi\.kept: permanent tables keep deleted rows"):
        warehouse.purge()
    warehouse.drop_table("kpi.kept")
    warehouse.purge()
    assert stored(warehouse) == [(DAY, 1)]


def test_a_session_says_what_it_works_for_and_says_it_again_when_that_is_another(
    stand_in: StandIn, tmp_path: Path
) -> None:
    work = Work(workload="hourly", asset="loaded/crm")
    chosen = connected(stand_in, tmp_path, "tags")
    warehouse = SnowflakeWarehouse(chosen._account, work=lambda: work)
    warehouse.query("select 1 as one")
    assert warehouse._parameters(work)["QUERY_TAG"] == work.tag
    work = replace(work, workload="nightly", asset="ops/it's")
    warehouse.query("select 1 as one")
    assert "ops/it\\'s" in stand_in.query_tags()


@pytest.mark.parametrize(
    ("number", "told", "setting"),
    [
        (625, WarehouseBusyError, "lock_timeout_seconds"),
        (630, WarehouseBusyError, "lock_timeout_seconds"),
        (606, WarehouseMissingError, "snowflake_hourly_warehouse"),
        (90105, WarehouseMissingError, "snowflake_database"),
        (1003, QueryError, "as Snowflake says it"),
    ],
)
def test_an_error_is_told_as_one_of_the_port_with_the_setting_that_mends_it(
    number: int, told: type[Exception], setting: str, stand_in: StandIn, tmp_path: Path
) -> None:
    said = ProgrammingError(msg="as Snowflake says it", errno=number)
    error = connected(stand_in, tmp_path, "errors")._told(said)
    assert type(error) is told
    assert setting in str(error)


def test_suspects_of_personal_data_come_as_texts_of_their_own(
    warehouse: SnowflakeWarehouse, catalog: Catalog, tmp_path: Path
) -> None:
    embedded = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    texts = pa.table({"day": pa.array([DAY] * 3, pa.date32()), "said": ["a@b.example", "x@c.example", "nothing"]})
    asked = suspects_query([Column("raw.texts", "said", True)], catalog.personal_data_patterns, DAY, DAY)
    found = []
    for each in (warehouse, embedded):
        each.replace_days("raw.texts", texts, DAY, DAY)
        (row,) = each.query(*asked).to_pylist()
        found.append((row["values"], sorted(row["suspects"])))
    assert found[0] == found[1]
    assert len(found[0][1]) == 2
