"""The warehouse: what it gives back, what it lets go of, and who has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from examined import deployment, the_one

from analytics_platform.doctor import warehouse
from analytics_platform.warehouse import DuckDBWarehouse, has_table


def test_a_warehouse_passes_and_keeps_nothing_of_the_probe(tmp_path: Path) -> None:
    real = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    real.replace_table("ops.ledger", pa.table({"day": ["2026-01-01"]}))
    found = list(warehouse.look(deployment(tmp_path)))
    assert [each.outcome for each in found] == ["ok"] * 3
    assert "with 1 tables" in found[0].found
    assert not has_table(real, warehouse.TABLE)
    assert has_table(real, "ops.ledger")


def test_a_warehouse_that_is_not_made_yet_is_tried_beside_and_not_made(tmp_path: Path) -> None:
    found = list(warehouse.look(deployment(tmp_path / "home")))
    assert [each.outcome for each in found] == ["ok"] * 3
    assert list(tmp_path.iterdir()) == []


def test_one_that_another_process_has_is_in_use_and_not_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse, "_PATIENCE_SECONDS", 0.2)
    path = tmp_path / "warehouse.duckdb"
    DuckDBWarehouse(path).replace_table("ops.ledger", pa.table({"day": ["2026-01-01"]}))
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        found = the_one(warehouse.look(deployment(tmp_path)))
        assert holder.stdin is not None
        holder.stdin.close()
    assert (found.outcome, "is in use" in found.found) == ("warn", True)


class Lossy(DuckDBWarehouse):
    """Keeps whole numbers as floating point and forgets what is null, as careless ways into a warehouse do."""

    def replace_table(self, table: str, rows: pa.Table) -> int:
        kept = rows.set_column(1, "whole", rows["whole"].cast(pa.float64(), safe=False))
        return super().replace_table(table, kept.set_column(3, "words", kept["words"].fill_null("")))


class Clinging(DuckDBWarehouse):
    """Says that it removed and removes nothing."""

    def remove_rows(self, table: str, condition: str, parameters: object) -> int:
        del table, condition, parameters
        return 1


def test_values_that_do_not_come_back_are_named(tmp_path: Path) -> None:
    lossy = Lossy(tmp_path / "warehouse.duckdb")
    found = the_one(warehouse.tried(lossy))
    assert found.found == "another value came back than was sent: whole (int64), words (string)"
    assert not has_table(lossy, warehouse.TABLE)


def test_rows_that_do_not_go_break_retention(tmp_path: Path) -> None:
    assert the_one(warehouse.tried(Clinging(tmp_path / "warehouse.duckdb"))).looked_at == "removal"


def test_a_file_that_is_no_warehouse_fails(tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").write_bytes(b"not a database" * 1000)
    found = the_one(warehouse.look(deployment(tmp_path)))
    assert (found.outcome, "warehouse.duckdb" in found.found) == ("fail", True)
    assert "builds it from the lake again" in (found.mend or "")
