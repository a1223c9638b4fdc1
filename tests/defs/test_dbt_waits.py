"""dbt within this process: whom it waits for, what it takes up, and what it leaves to the test suite."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt_common.behavior_flags import BehaviorFlagRendered

from analytics_platform.defs.dbt import names_of
from analytics_platform.defs.dbt_build import DbtBuild, duckdb_connection, name_flags_at_once
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
    dbt = DbtBuild(PROJECT_ROOT / "dbt", duckdb_connection(warehouse), tmp_path / "target")
    dbt.parse(tmp_path / "target")
    reader = subprocess.Popen([sys.executable, "-c", READER, str(warehouse)], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"

    results = dbt.build(date.min, date.min, select=["resource_type:seed"])

    assert reader.wait(10) == 0
    assert [result.status for result in results] == ["success"]


def test_what_the_project_was_parsed_to_is_taken_up_for_any_warehouse(tmp_path: Path) -> None:
    project = shutil.copytree(PROJECT_ROOT / "dbt", tmp_path / "dbt", ignore=shutil.ignore_patterns("target"))
    DbtBuild(project, duckdb_connection(tmp_path / "one" / "warehouse.duckdb"), tmp_path / "one").parse()
    another = DbtBuild(project, duckdb_connection(tmp_path / "another" / "warehouse.duckdb"), tmp_path / "another")
    another.parse(tmp_path / "another")
    told = json.loads((tmp_path / "another" / "perf_info.json").read_text())
    assert told["parsed_path_count"] == 0


def test_a_build_leaves_unit_tests_to_the_test_suite(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(warehouse)).close()
    dbt = DbtBuild(PROJECT_ROOT / "dbt", duckdb_connection(warehouse), tmp_path / "target")
    dbt.parse(tmp_path / "target")
    manifest = json.loads((tmp_path / "target" / "manifest.json").read_text())
    tested = next(iter(manifest["unit_tests"].values()))["model"]
    results = dbt.build(date(2026, 1, 1), date(2026, 1, 1), select=[f"fqn:{tested}"])
    assert [result.unique_id.split(".")[0] for result in results] == ["model"]


def node(*fqn: str) -> dict[str, list[str]]:
    return {"fqn": ["house", *fqn]}


def test_a_folder_that_is_chosen_as_a_whole_is_named_once_and_of_others_each_node() -> None:
    nodes = {
        "one": node("kpi", "revenue", "one"),
        "two": node("kpi", "two"),
        "three": node("marts", "three"),
        "left out": node("marts", "four"),
        "alone": node("alone"),
    }
    assert names_of({"one", "two", "three", "alone"}, {"nodes": nodes}) == [
        "fqn:house.alone",
        "fqn:house.kpi",
        "fqn:house.marts.three",
    ]
    assert names_of(set(), {"nodes": nodes}) == []


def test_a_flag_of_dbt_is_named_without_a_look_at_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("read the source of every frame")

    name_flags_at_once()
    monkeypatch.setattr("inspect.stack", refuse)
    flag = {"name": "a_flag", "default": False, "description": "what changes"}
    assert not BehaviorFlagRendered(flag, {}).no_warn
    assert BehaviorFlagRendered(flag, {"a_flag": True}).no_warn


def test_a_project_is_parsed_once_per_process_and_again_when_a_file_of_it_changes(tmp_path: Path) -> None:
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT_ROOT / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))

    def parsed(home: str) -> Any:
        build = DbtBuild(project, duckdb_connection(tmp_path / home / "warehouse.duckdb"), tmp_path / home)
        return build._parsed()

    first = parsed("one")
    assert parsed("another") is first
    model = next((project / "models").rglob("*.sql"))
    model.write_text(model.read_text() + "\n")
    assert parsed("one") is not first
