"""BigQuery's adapter keeps the port's promises: on the emulator, with Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from bigquery_stand_in import Emulator, bigquery_emulator

from analytics_platform.defs.resources import warehouse_from
from analytics_platform.settings import Settings
from analytics_platform.warehouse import QueryError, Warehouse, has_table, table_columns

pytestmark = pytest.mark.integration

DAY, NEXT = date(2026, 1, 1), date(2026, 1, 2)
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
EVERY_TYPE = pa.table(
    {
        "day": pa.array([DAY, NEXT], pa.date32()),
        "tenant_id": ["t1", None],
        "seen_at": pa.array([NOON, None], pa.timestamp("us", "UTC")),
        "local_at": pa.array([NOON.replace(tzinfo=None), None], pa.timestamp("us")),
        "amount_minor": pa.array([2**53 + 1, None], pa.int64()),
        "share": [0.1, None],
        "is_late": [True, None],
        "properties": ['{"b": 1, "a": "é\'"}', None],
    }
)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with bigquery_emulator(tmp_path_factory.mktemp("bigquery")) as server:
        yield server


@pytest.fixture
def warehouse(emulator: Emulator, request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    return connected(emulator, tmp_path, f"n{abs(hash(request.node.name)) % 10**9}_")


def connected(emulator: Emulator, home: Path, prefix: str) -> Warehouse:
    return warehouse_from(Settings(home=home, environment="ci", **emulator.settings(warehouse_schema_prefix=prefix)))


def rows(*pairs: tuple[date, int]) -> pa.Table:
    return pa.table({"day": pa.array([day for day, _ in pairs], pa.date32()), "n": [n for _, n in pairs]}).cast(
        pa.schema([("day", pa.date32()), ("n", pa.int64())])
    )


def stored(warehouse: Warehouse) -> list[tuple[date, int]]:
    said = warehouse.query("select day, n from raw.events order by all").to_pylist()
    return [(row["day"], row["n"]) for row in said]


def test_replacing_days_leaves_other_days_alone_and_empties_those_without_rows(warehouse: Warehouse) -> None:
    assert warehouse.replace_days("raw.events", rows((DAY, 1), (NEXT, 2)), DAY, NEXT) == 2
    assert warehouse.replace_days("raw.events", rows((NEXT, 3), (NEXT, 4)), NEXT, NEXT) == 2
    assert stored(warehouse) == [(DAY, 1), (NEXT, 3), (NEXT, 4)]
    assert warehouse.replace_days("raw.events", rows((NEXT, 5)).to_reader(), DAY, NEXT) == 1
    assert stored(warehouse) == [(NEXT, 5)]
    assert warehouse.replace_days("raw.events", rows(), NEXT, NEXT) == 0
    assert stored(warehouse) == []


def test_every_type_comes_back_as_duckdb_would_answer(warehouse: Warehouse) -> None:
    warehouse.replace_days("raw.types", EVERY_TYPE, DAY, NEXT)
    said = warehouse.query(
        "select * from raw.types where day >= ? and seen_at >= ? or seen_at is null order by day", [DAY, NOON]
    )
    assert said.equals(EVERY_TYPE)


def test_values_are_bound_by_their_types(warehouse: Warehouse) -> None:
    asked = "select ? as a, ? as b, ? as c, ? as d, ? as e, ? as f"
    values = [True, 7, 0.5, Decimal("1.25"), "it's", DAY]
    assert list(warehouse.query(asked, values).to_pylist()[0].values()) == values


def test_rows_are_removed_and_values_replaced(warehouse: Warehouse) -> None:
    texts = pa.table({"day": pa.array([DAY] * 3, pa.date32()), "tenant_id": ["a", "a", "b"], "said": ["x", "y", "x"]})
    warehouse.replace_days("raw.texts", texts, DAY, DAY)
    warehouse.replace_values("raw.texts", "said", {"x": "it's \\ gone", "z": "never"}, "tenant_id = ?", ["a"])
    assert warehouse.remove_rows("raw.texts", "tenant_id = ? and said = ?", ["a", "y"]) == 1
    said = warehouse.query("select tenant_id, said from raw.texts order by 1").to_pylist()
    assert said == [{"tenant_id": "a", "said": "it's \\ gone"}, {"tenant_id": "b", "said": "x"}]


def test_a_branch_environment_has_tables_of_its_own_under_the_names_that_the_platform_knows(
    emulator: Emulator, tmp_path: Path
) -> None:
    trunk, branch = connected(emulator, tmp_path, ""), connected(emulator, tmp_path, "pr_7_")
    trunk.replace_table("raw.events", rows((DAY, 1)))
    assert not has_table(branch, "raw.events")
    branch.replace_table("raw.events", rows((DAY, 2)))
    assert (stored(trunk), stored(branch)) == ([(DAY, 1)], [(DAY, 2)])
    assert table_columns(branch) == {"raw.events": {"day", "n"}}


def test_a_table_that_is_not_there_is_told(warehouse: Warehouse) -> None:
    warehouse.replace_table("raw.events", rows((DAY, 1)))
    with pytest.raises(QueryError, match="nothing"):
        warehouse.query("select * from raw.nothing")
