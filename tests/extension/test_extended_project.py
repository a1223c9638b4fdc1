"""The dbt project of a deployment with an extension: what is in it, what is refused, and when it is made anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from example_home import EXAMPLE

from analytics_platform import first_extension
from analytics_platform.catalog import Catalog, CatalogError, load_catalog
from analytics_platform.first_extension import FolderInUseError
from analytics_platform.settings import PROJECT_ROOT
from analytics_platform.warehouse.extended_models import model_problems
from analytics_platform.warehouse.extended_project import inputs_digest, put_together

BASE = PROJECT_ROOT / "dbt"
MODEL = "models/kpi/operations/kpi_damage_rate.sql"


@pytest.fixture(scope="module")
def extended() -> Catalog:
    return load_catalog(None, EXAMPLE / "catalog")


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "extension"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, extended: Catalog) -> Path:
    target = tmp_path_factory.mktemp("project")
    put_together(BASE, EXAMPLE / "dbt", extended, target)
    return target


def test_the_project_has_the_files_of_both_each_in_its_layer_and_domain(project: Path) -> None:
    assert (project / MODEL).read_bytes() == (EXAMPLE / "dbt" / MODEL).read_bytes()
    ours = {path.relative_to(BASE) for path in BASE.rglob("*.sql") if "target" not in path.parts}
    assert len(ours) > 80
    assert all((project / path).read_bytes() == (BASE / path).read_bytes() for path in ours)


def test_what_follows_from_the_catalogue_follows_from_the_extension_too(project: Path) -> None:
    staging = project / "models" / "staging"
    sources = yaml.safe_load((staging / "_sources_of_the_extension.yml").read_text())["sources"]
    described = yaml.safe_load((staging / "damage_reports" / "_stg_damage_reports__events.yml").read_text())
    exposures = yaml.safe_load((project / "models" / "_exposures.yml").read_text())["exposures"]

    assert (
        "event = 'damage.reported'" in (staging / "damage_reports/stg_damage_reports__damage_reported.sql").read_text()
    )
    assert described["models"][0]["config"]["group"] == "operations"
    assert [(each["name"], [table["name"] for table in each["tables"]]) for each in sources] == [
        ("raw", ["damage_reports"])
    ]
    assert {"name": "properties", "data_type": "varchar"}.items() <= {
        key: value
        for column in sources[0]["tables"][0]["columns"]
        if column["name"] == "properties"
        for key, value in column.items()
    }.items()
    assert ["ref('kpi_damage_rate')"] in [each["depends_on"] for each in exposures]


def test_files_that_are_right_stay_as_they_are_and_those_that_are_gone_go(
    extension: Path, extended: Catalog, tmp_path: Path
) -> None:
    target = tmp_path / "project"
    put_together(BASE, extension / "dbt", extended, target)
    macro = target / "macros" / "time" / "days.sql"
    os.utime(macro, (1, 1))
    (extension / "dbt" / MODEL).unlink()
    put_together(BASE, extension / "dbt", extended, target)

    assert macro.stat().st_mtime == 1
    assert not (target / MODEL).exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("models/kpi/revenue/kpi_mrr.sql", "takes the place of models/kpi/revenue/kpi_mrr.sql of the platform"),
        ("models/marts/finance/fct_invoices.sql", "takes the place of models/marts/revenue/fct_invoices.sql"),
        (
            "models/staging/damage_reports/stg_damage_reports__damage_reported.sql",
            "takes the place of models/staging/damage_reports/",
        ),
        ("macros/time/days.sql", "takes the place of macros/time/days.sql of the platform; give it another name"),
        ("dbt_project.yml", "dbt_project.yml: (whole file): is not read; remove it, or move it below models"),
        ("analyses/a.sql", "analyses/a.sql: (whole file): is not read"),
    ],
)
def test_a_file_that_takes_anothers_place_or_that_nobody_reads_is_refused(
    extension: Path, extended: Catalog, tmp_path: Path, file: str, said: str
) -> None:
    path = extension / "dbt" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("select 1")
    with pytest.raises(CatalogError) as caught:
        put_together(BASE, extension / "dbt", extended, tmp_path / "project")
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("file", [f"dbt/{MODEL}", "catalog/kpis.yaml", "catalog/plan/damage_reports.yaml"])
def test_a_change_of_any_file_of_the_extension_makes_the_project_stale(extension: Path, file: str) -> None:
    def digest() -> str:
        return inputs_digest(BASE, extension / "dbt", extension / "catalog")

    before = digest()
    assert digest() == before
    (extension / file).write_text((extension / file).read_text() + "\n")
    assert digest() != before


def node(**changed: Any) -> dict[str, Any]:
    column = {"name": "day", "data_type": "date", "config": {"meta": {"pii": "none"}}}
    return {
        "resource_type": "model",
        "name": "kpi_damage_rate",
        "schema": "kpi",
        "alias": "kpi_damage_rate",
        "original_file_path": MODEL,
        "patch_path": "analytics_platform://models/kpi/operations/_damage_rate.yml",
        "config": {"meta": {"owner": "operations"}},
        "columns": {"day": column},
    } | changed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"patch_path": None}, "kpi_damage_rate.sql: (whole file): is not described; list it in a .yml beside it"),
        (
            {"alias": "kpi_damages"},
            "catalog/datasets.yaml: kpi.kpi_damages: is not registered, and kpi_damage_rate.sql",
        ),
        ({"config": {}}, "_damage_rate.yml: kpi_damage_rate.config.meta.owner: None, but"),
        (
            {"columns": {"day": {"data_type": "date"}}},
            "columns[day].config.meta.pii: None is no class; write one of none, pseudonymous",
        ),
        ({"columns": {"day": {"config": {"meta": {"pii": "none"}}}}}, "columns[day].data_type: is missing"),
        (
            {"columns": {"who": {"data_type": "varchar", "config": {"meta": {"pii": "personal"}}}}},
            "catalog/datasets.yaml: kpi.kpi_damage_rate.pii_columns: lacks who, which _damage_rate.yml classes",
        ),
    ],
)
def test_a_model_says_who_owns_it_and_what_its_columns_hold(
    extended: Catalog, changed: dict[str, Any], said: str | None
) -> None:
    found = [str(each) for each in model_problems({"nodes": {"n": node(**changed)}}, extended, EXAMPLE)]
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_a_model_outside_of_layer_and_domain_is_told_where_it_goes(extended: Catalog, extension: Path) -> None:
    (extension / "dbt" / "models" / "loose.sql").write_text("select 1")
    (found,) = model_problems({"nodes": {"n": node(original_file_path="models/loose.sql")}}, extended, extension)
    assert found.what == "lies in no layer and domain"


def test_the_first_extension_fits_as_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    written = first_extension.begin(folder)
    catalog = load_catalog(None, folder / "catalog")
    put_together(BASE, folder / "dbt", catalog, tmp_path / "project")

    assert "catalog/plan/checklists.yaml" in written
    assert "checklist.completed" in catalog.events
    described = yaml.safe_load((folder / "dbt/models/marts/operations/_checklists.yml").read_text())["models"][0]
    named = {each["name"] for each in described["columns"] if each["config"]["meta"]["pii"] != "none"}
    assert named == set(catalog.datasets["marts.fct_checklists"].pii_columns)


def test_a_first_extension_is_mixed_with_nothing_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FolderInUseError, match="is not empty"):
        first_extension.begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
