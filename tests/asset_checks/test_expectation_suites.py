"""The files of the suites: each dataset has one that names no strangers, and mistakes say how to mend them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_platform.catalog import CatalogError, load_catalog
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.settings import Settings
from asset_checks.expectations.rules import rules_of
from asset_checks.expectations.suites import SUITES, Suite, load_suites
from asset_checks.expectations.tables import Table, tables_with_suites
from asset_checks.expectations.words import sentence

CATALOG = load_catalog()
MANY_KPI_TABLES = 17
GOOD: dict[str, Any] = {
    "name": "kpi.kpi_example",
    "notes": "What departs.",
    "meta": {"grain": ["day", "tenant_id"], "derived_columns": {"both": "planned + departed"}},
    "expectations": [
        {
            "id": "planned_is_counted",
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "planned", "min_value": 0},
            "notes": "Departures are counted.",
        }
    ],
}
COLUMNS = {"kpi.kpi_example": frozenset({"day", "tenant_id", "planned", "departed"})}
PAIR = "expect_column_pair_values_to_be_equal"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return dict(load_manifest(settings))


@pytest.fixture(scope="module")
def tables(manifest: dict[str, Any]) -> dict[str, Table]:
    return tables_with_suites(CATALOG, manifest)


@pytest.fixture(scope="module")
def suites(tables: dict[str, Table]) -> dict[str, Suite]:
    return load_suites(CATALOG, {name: table.column_names for name, table in tables.items()})


def written(folder: Path, **changed: Any) -> Path:
    (folder / "kpi.kpi_example.yaml").write_text(yaml.safe_dump(GOOD | changed))
    return folder


def one(**changed: Any) -> list[dict[str, Any]]:
    return [GOOD["expectations"][0] | changed]


def test_each_kpi_table_and_extract_has_a_suite_that_names_its_columns_alone(
    suites: dict[str, Suite], tables: dict[str, Table]
) -> None:
    registered = {name for name, dataset in CATALOG.datasets.items() if dataset.layer in {"kpi", "extract"}}
    assert suites.keys() == tables.keys() == registered
    assert sum(name.startswith("kpi.") for name in suites) >= MANY_KPI_TABLES


def test_a_dataset_without_a_suite_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"kpi\.kpi_new\.yaml.*is missing"):
        load_suites(CATALOG, COLUMNS | {"kpi.kpi_new": frozenset({"day"})}, written(tmp_path))


def test_a_good_file_loads(tmp_path: Path) -> None:
    assert load_suites(CATALOG, COLUMNS, written(tmp_path)).keys() == COLUMNS.keys()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "kpi.kpi_unknown"}, "is no KPI table and no extract"),
        ({"meta": {"grain": ["day", "nobody"]}}, "names nobody"),
        ({"meta": {"grain": ["day", "tenant_id"], "may_be_null": ["nobody"]}}, "names nobody"),
        ({"meta": GOOD["meta"] | {"derived_columns": {"both": "planned + nobody"}}}, "names nobody"),
        ({"meta": GOOD["meta"] | {"derived_columns": {"both": "__import__('os')"}}}, "more than sums"),
        ({"meta": GOOD["meta"] | {"derived_columns": {"both": "planned +"}}}, "is no formula"),
        ({"meta": GOOD["meta"] | {"derived_columns": {"planned": "departed + 1"}}}, "is a column already"),
        ({"expectations": one(kwargs={"column": "nobody", "min_value": 0})}, "names 'nobody'"),
        ({"expectations": one(notes=" ")}, "says nothing"),
        ({"expectations": one() * 2}, "is used twice"),
        ({"expectations": one(type="expect_column_sum_to_be_between")}, "belongs to a day"),
        ({"expectations": one(kwargs={"column": "planned", "min_value": 0, "mostly": 0.9})}, "lets some rows be wrong"),
        ({"expectations": one(type=PAIR, kwargs={"column_A": "planned", "column_B": "both"})}, "ignore_row_if"),
        (
            {
                "expectations": one(
                    type="expect_column_values_to_be_in_set",
                    kwargs={"column": "planned", "value_set": {"$PARAMETER": "planets"}},
                )
            },
            "write one of channels",
        ),
        ({"expectations": one(kwargs={"column": "planned", "row_condition": {"type": "sql"}})}, "row_condition"),
        ({"expectation": []}, "write `expectations` instead"),
    ],
)
def test_a_mistake_says_what_is_wrong(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(CatalogError, match=says.replace("(", r"\(")):
        load_suites(CATALOG, COLUMNS, written(tmp_path, **changed))


def test_sets_of_the_catalogue_are_filled_in(suites: dict[str, Suite]) -> None:
    channels = next(each for each in suites["kpi.kpi_qualified_leads"].expectations if "channel" in each.id)
    assert channels.kwargs["value_set"] == list(CATALOG.vocabularies["channel"].values)


def test_what_a_row_is_agrees_with_the_models_own_tests(suites: dict[str, Suite], manifest: dict[str, Any]) -> None:
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    keyed = [node for node in tests if (node.get("test_metadata") or {}).get("name") == "keyed_by"]
    checked = 0
    for node in keyed:
        model = str(node["attached_node"]).rsplit(".", 1)[-1]
        suite = suites.get(f"kpi.{model}")
        if suite:
            arguments = node["test_metadata"]["kwargs"]
            arguments = arguments.get("arguments", arguments)
            assert list(suite.meta.grain) == list(arguments["columns"]), model
            nullable = set(arguments.get("nullable", ()))
            assert nullable == set(suite.meta.may_be_null) & set(suite.meta.grain), model
            checked += 1
    assert checked >= MANY_KPI_TABLES - 1  # kpi_anomalies is no dbt model


def test_every_expectation_is_said_in_words(suites: dict[str, Suite], tables: dict[str, Table]) -> None:
    for name, suite in suites.items():
        for rule in rules_of(suite, tables[name]):
            said = sentence(rule, suite.meta.derived_columns)
            assert " " in said, name
            assert "expect_" not in said, name
            assert "{" not in said, name


def test_files_are_in_great_expectations_own_form() -> None:
    for path in SUITES.glob("*.yaml"):
        suite = yaml.safe_load(path.read_text())
        assert suite.keys() <= {"name", "notes", "meta", "expectations"}, path.name
        assert all(each.keys() == {"id", "type", "kwargs", "notes"} for each in suite["expectations"]), path.name


def test_the_graph_loads_without_great_expectations(tmp_path: Path) -> None:
    code = (
        "import sys, json; from pathlib import Path; from analytics_platform.definitions import build_definitions;"
        "from analytics_platform.settings import Settings;"
        f"build_definitions(Settings(home=Path({str(tmp_path)!r})));"
        "print(json.dumps([name for name in sys.modules if name.startswith('great_expectations')]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == []
