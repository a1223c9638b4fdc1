"""The warehouse's file: held by others, killed in the middle of a load, without room. Its own C++ is met, not Python.

A file that may not grow gives `EFBIG` where a full disk gives `ENOSPC`; DuckDB treats both as a write that failed.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from trials import BROUGHT_IN, Homes, Stage, Trial

from analytics_platform.warehouse import DuckDBWarehouse, WarehouseBusyError

pytestmark = pytest.mark.integration

ROUNDS_OF_CI = 20
HOLDER = """
import sys, time
from pathlib import Path
from analytics_platform.warehouse import DuckDBWarehouse
with DuckDBWarehouse(Path(sys.argv[1])).opened() as connection:
    connection.execute("begin")
    connection.execute("delete from marts.days")
    print("held", flush=True)
    time.sleep(600)
"""
DAY = date(2026, 1, 1)
ROWS = pa.table({"day": [DAY], "value": [1]})
LOAD = Stage((*BROUGHT_IN, "bring_in", "build_raw"), "load", ("publish_extract",), "judge_messages")


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process has the warehouse open, in the middle of a change."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_who_waits_too_long_is_told_who_holds_it_and_a_holder_that_is_killed_frees_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    DuckDBWarehouse(path).replace_table("marts.days", ROWS)
    impatient = DuckDBWarehouse(path, lock_timeout=0.3)
    with held(path) as holder:
        with pytest.raises(WarehouseBusyError, match=f"process {holder.pid}.*ANALYTICS_LOCK_TIMEOUT_SECONDS"):
            impatient.replace_days("marts.days", ROWS, DAY, DAY)
        with pytest.raises(WarehouseBusyError):
            impatient.query("select 1")
        holder.kill()
        holder.wait()
        began = time.monotonic()
        assert DuckDBWarehouse(path).query("select * from marts.days").equals(ROWS)
        DuckDBWarehouse(path).replace_days("marts.days", ROWS, DAY, DAY)
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("how", ["killed at a moment", "without room"])
def test_a_load_that_broke_off_within_the_database_is_made_up_for(
    homes: Homes,
    how: str,
    fault_seed: int,
    rounds: int,
    record_property: Callable[[str, object], None],
) -> None:
    trial = Trial(homes, LOAD)
    dice = random.Random(f"{fault_seed} {how}")
    largest = (homes.after(LOAD.before)[0] / "warehouse.duckdb").stat().st_size * 2
    wrong: list[str] = []
    count = max(1, rounds // ROUNDS_OF_CI)
    for _ in range(count):
        if how == "without room":
            wrong += trial.round("bound", dice.randrange(4_096, largest))
        else:
            wrong += trial.round("none", 0, seconds=dice.uniform(0.01, 1.0))
    assert wrong == []
    record_property("rounds", count)
