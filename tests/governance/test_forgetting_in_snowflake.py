"""Retention and erasure ask the stand-in for Snowflake what they ask DuckDB, through the real connector, alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from snowflake_stand_in import snowflake_stand_in

from analytics_platform.catalog import load_catalog
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.survivors import Search
from analytics_platform.governance.erasure.tables import WarehouseRows
from analytics_platform.governance.retention.tables import WarehouseTables
from analytics_platform.governance.retention.terms import Terms
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse

pytestmark = pytest.mark.integration

TENANT, TODAY = "brabant-rental", date(2026, 11, 27)
PERSON = Person(TENANT, frozenset({"cust-7"}), frozenset({"Ann.Lee@example.org"}), "erased_x")
TABLE = "marts.fct_invoices"
CATALOG = load_catalog()
CLOCK = CATALOG.datasets[TABLE].clock_column
ROWS = pa.table(
    {
        CLOCK: [date(2015, 1, 5), date(2016, 1, 5), date(2026, 3, 1), date(2026, 3, 1)],
        "tenant_id": [TENANT, TENANT, TENANT, "albion-stage"],
        "customer_ref": ["cust-1", "cust-70", "cust-7", "cust-7"],
        "note": [None, "to ANN.LEE@EXAMPLE.ORG today", "", ""],
        "amount": [1, 2, 3, 4],
    }
)


@pytest.fixture(params=["duckdb", "snowflake"], scope="module")
def warehouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("warehouse")
    if request.param == "duckdb":
        yield DuckDBWarehouse(folder / "warehouse.duckdb")
        return
    with snowflake_stand_in(folder) as server:
        chosen = server.settings(snowflake_database="forgetting")
        found = warehouse_from(Settings(home=folder, **chosen))  # type: ignore[arg-type]
        found.native("create database if not exists forgetting")  # type: ignore[attr-defined]
        yield found


def test_what_is_due_is_counted_removed_and_gone(warehouse: Warehouse) -> None:
    warehouse.replace_table(TABLE, ROWS)
    sink = WarehouseTables(warehouse, CATALOG)
    (tally,) = list(sink.tallies(Terms(CATALOG, TODAY)))
    assert (tally.tenant, tally.first, tally.last) == (TENANT, date(2015, 1, 5), date(2016, 1, 5))
    (again,) = list(sink.tallies(Terms(CATALOG, TODAY)))
    assert again == tally
    term = Terms(CATALOG, TODAY).term(TABLE, TENANT)
    assert term is not None
    assert sink.survivors(term) == 2
    sink.remove(term)
    assert sink.survivors(term) == 0
    assert list(sink.tallies(Terms(CATALOG, TODAY))) == []


def test_a_person_is_found_taken_out_and_searched_for(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.replace_table(TABLE, ROWS)
    place = WarehouseRows(warehouse, CATALOG, lambda stream, day: None)
    search = Search(
        CATALOG,
        LocalStore(tmp_path / "lake"),
        warehouse,
        IdentityKeys(tmp_path / "keys.json"),
        home=tmp_path,
        lake=tmp_path / "lake",
        backups=tmp_path / "backups",
        named=lambda path: None,
        records={},
    )

    def nothing_held(dataset: str, day: date | None) -> bool:
        return False

    assert search._in_tables(PERSON, nothing_held).units == 2
    assert sum(each.units for each in place.find(PERSON, nothing_held)) == 2
    assert sum(each.units for each in place.erase(PERSON, nothing_held)) == 2
    assert search._in_tables(PERSON, nothing_held).units == 0
    rows = warehouse.query(f"select amount, customer_ref, note from {TABLE} order by amount").to_pylist()
    assert [row["amount"] for row in rows] == [1, 2, 3, 4]
    assert (rows[1]["customer_ref"], rows[3]["customer_ref"]) == ("cust-70", "cust-7")
