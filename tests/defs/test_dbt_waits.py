"""dbt waits for whoever reads the warehouse at the moment that it wants to write."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from analytics_platform.defs.dbt_build import DbtBuild
from analytics_platform.settings import PROJECT_ROOT

pytestmark = pytest.mark.integration

READER = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1], read_only=True)
print("reading", flush=True)
time.sleep(1.5)
"""


def test_a_reader_that_is_in_the_way_delays_a_build_and_does_not_end_it(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(warehouse)).close()
    dbt = DbtBuild(PROJECT_ROOT / "dbt", warehouse, tmp_path / "target")
    dbt.parse(tmp_path / "target")
    reader = subprocess.Popen([sys.executable, "-c", READER, str(warehouse)], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"

    results = dbt.build(date.min, date.min, select=["resource_type:seed"])

    assert reader.wait(10) == 0
    assert [result.status for result in results] == ["success"]
