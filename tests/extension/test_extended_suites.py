"""Suites of an extension: of its own tables, and more expectations of the platform's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_platform.catalog import Catalog, CatalogError
from asset_checks.expectations.suites import Suite, load_suites

COLUMNS = {name: frozenset({"day", "tenant_id", "items"}) for name in ("kpi.kpi_ours", "kpi.kpi_theirs")}


def expectation(name: str, column: str = "items") -> dict[str, Any]:
    kwargs = {"column": column, "min_value": 0}
    return {"id": name, "type": "expect_column_values_to_be_between", "kwargs": kwargs, "notes": "Items are counted."}


def suite(name: str) -> dict[str, Any]:
    meta = {"grain": ["day", "tenant_id"], "derived_columns": {"twice": "items + items"}}
    return {"name": name, "notes": "Items.", "meta": meta, "expectations": [expectation("items_are_counted")]}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    platform, extension = tmp_path / "platform", tmp_path / "extension"
    platform.mkdir()
    extension.mkdir()
    write(platform, suite("kpi.kpi_theirs"))
    write(extension, suite("kpi.kpi_ours"))
    return platform, extension


def write(folder: Path, document: dict[str, Any]) -> None:
    (folder / f"{document['name']}.yaml").write_text(yaml.safe_dump(document))


def loaded(catalog: Catalog, folders: tuple[Path, Path]) -> dict[str, Suite]:
    return load_suites(catalog, COLUMNS, folders[0], folders[1])


def test_an_extension_brings_the_suites_of_its_own_tables(catalog: Catalog, folders: tuple[Path, Path]) -> None:
    assert loaded(catalog, folders).keys() == COLUMNS.keys()


def test_an_extension_adds_expectations_to_a_suite_of_the_platform(
    catalog: Catalog, folders: tuple[Path, Path]
) -> None:
    more = {"name": "kpi.kpi_theirs", "derived_columns": {"thrice": "3 * items"}}
    write(folders[1], more | {"expectations": [expectation("thrice_is_counted", "thrice")]})
    theirs = loaded(catalog, folders)["kpi.kpi_theirs"]

    assert [each.id for each in theirs.expectations] == ["items_are_counted", "thrice_is_counted"]
    assert theirs.meta.derived_columns == {"twice": "items + items", "thrice": "3 * items"}
    assert theirs.notes == "Items."


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"expectations": [expectation("items_are_counted")]}, "expectations[items_are_counted].id: is used twice"),
        ({"expectations": [expectation("more", "fewer")]}, "names 'fewer', which kpi.kpi_theirs does not have"),
        (
            {"expectations": [expectation("more")], "derived_columns": {"twice": "2 * items"}},
            "derived_columns.twice: is declared in kpi.kpi_theirs.yaml of the platform too; write another name",
        ),
        (
            {"expectations": [expectation("more")], "notes": "Ours."},
            "notes: is not a key that is known here; remove it",
        ),
    ],
)
def test_what_is_added_replaces_nothing_and_names_what_is_there(
    catalog: Catalog, folders: tuple[Path, Path], document: dict[str, Any], said: str
) -> None:
    write(folders[1], {"name": "kpi.kpi_theirs"} | document)
    with pytest.raises(CatalogError) as caught:
        loaded(catalog, folders)
    assert f"{folders[1]}/kpi.kpi_theirs.yaml: " in str(caught.value)
    assert said in str(caught.value)


def test_a_table_without_a_suite_is_told_with_the_file_to_write(catalog: Catalog, folders: tuple[Path, Path]) -> None:
    (folders[1] / "kpi.kpi_ours.yaml").unlink()
    with pytest.raises(CatalogError, match="write the dataset's suite") as caught:
        loaded(catalog, folders)
    assert f"{folders[1]}/kpi.kpi_ours.yaml: (whole file): is missing" in str(caught.value)
