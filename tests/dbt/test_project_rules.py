"""The rules of dbt-project-evaluator, held on our manifest: lineage, names, folders, documentation, tests, governance.

The package itself needs a warehouse and the hub; its rules need neither. Each test is named after the rule it holds
(https://dbt-labs.github.io/dbt-project-evaluator/latest/rules/), and an exception stands beside its reason.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from analytics_platform.catalog import Catalog
from analytics_platform.defs.dbt_build import DbtBuild, duckdb_connection
from analytics_platform.settings import PROJECT_ROOT
from analytics_platform.tracking.generated import drifted
from analytics_platform.warehouse.project_files import CONSUMERS, PROJECT_FILES, render_exposures

Node = dict[str, Any]

# The registry of tenants is reference data: it gives each message its tenant's time zone, in staging as elsewhere.
REGISTRY = {"tenants", "tenant_business_hours", "tenant_holidays"}
# Segment's own calls land in the stream of the site that sends them; a visitor's page views are read as one.
OF_TWO_STREAMS = {"stg_marketing__page", "stg_marketing__identities"}
MAX_FANOUT = 6


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("dbt")
    DbtBuild(PROJECT_ROOT / "dbt", duckdb_connection(target / "none.duckdb"), target).parse(target)
    read: dict[str, Any] = json.loads((target / "manifest.json").read_text())
    return read


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, Node]:
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}


def layer(node: Node) -> str:
    return str(node["fqn"][1])


def domain(node: Node) -> str:
    return str(node["fqn"][2])


def parents(node: Node, kind: str) -> list[str]:
    return [each for each in node["depends_on"]["nodes"] if each.startswith(f"{kind}.")]


def stream_sources(node: Node) -> list[str]:
    return [name for each in parents(node, "source") if (name := each.rsplit(".", 1)[1]) not in REGISTRY]


def test_only_staging_reads_streams(models: dict[str, Node]) -> None:
    assert [node["name"] for node in models.values() if layer(node) != "staging" and stream_sources(node)] == []


def test_staging_reads_one_stream_and_no_model(models: dict[str, Node]) -> None:
    for node in models.values():
        if layer(node) == "staging":
            assert len(stream_sources(node)) <= (2 if node["name"] in OF_TWO_STREAMS else 1), node["name"]
            assert parents(node, "model") == [], node["name"]


def test_marts_read_no_kpi_and_staging_no_mart(models: dict[str, Node]) -> None:
    order = ["staging", "marts", "kpi"]
    for node in models.values():
        above = [models[each]["name"] for each in parents(node, "model") if _above(models[each], node, order)]
        assert above == [], node["name"]


def _above(parent: Node, child: Node, order: list[str]) -> bool:
    return order.index(layer(parent)) > order.index(layer(child))


def test_no_root_models(models: dict[str, Node]) -> None:
    # dim_days is the calendar of the build: its days are its input.
    assert {node["name"] for node in models.values() if not node["depends_on"]["nodes"]} <= {"dim_days"}


def test_no_unused_sources(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    used = {each for node in models.values() for each in parents(node, "source")}
    assert set(manifest["sources"]) - used == set()


def test_no_hard_coded_references(models: dict[str, Node]) -> None:
    schemas = ("raw.", "staging.", "marts.", "kpi.")
    for node in models.values():
        words = node["raw_code"].lower().split()
        named = [after for before, after in pairwise(words) if before in {"from", "join"}]
        assert [name for name in named if name.startswith(schemas)] == [], node["name"]


def test_intermediate_models_stay_in_their_domain(models: dict[str, Node]) -> None:
    for node in models.values():
        for parent in (models[each] for each in parents(node, "model")):
            if parent["name"].startswith("int_"):
                assert domain(parent) == domain(node), f"{node['name']} reads {parent['name']}"


def test_model_fanout(models: dict[str, Node]) -> None:
    """A mart that many others hang from is a dimension; any other is probably a missing mart."""
    children = Counter(each for node in models.values() for each in parents(node, "model"))
    wide = {models[key]["name"] for key, count in children.items() if count > MAX_FANOUT}
    assert {name for name in wide if not name.startswith(("dim_", "stg_"))} == set()


def test_names_follow_the_layer(models: dict[str, Node]) -> None:
    prefixes = {"staging": ("stg_",), "marts": ("fct_", "dim_", "int_"), "kpi": ("kpi_",)}
    for node in models.values():
        assert node["name"].startswith(prefixes[layer(node)]), node["name"]
        if layer(node) == "staging":
            assert node["name"].startswith(f"stg_{domain(node)}__")


def test_models_stand_in_layer_and_domain_with_their_documentation_beside_them(models: dict[str, Node]) -> None:
    for node in models.values():
        place = PurePosixPath(node["original_file_path"])
        assert len(place.parts) == 4, place
        assert node["patch_path"], node["name"]
        assert PurePosixPath(node["patch_path"].partition("://")[2]).parent == place.parent, node["name"]


def test_everything_is_documented(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    for node in [*models.values(), *manifest["sources"].values()]:
        assert node["description"].strip(), node["name"]
        assert node["columns"], node["name"]
        assert [name for name, column in node["columns"].items() if not column["description"].strip()] == []


def test_every_model_has_a_contract(models: dict[str, Node]) -> None:
    assert [node["name"] for node in models.values() if not node["config"]["contract"]["enforced"]] == []


def test_every_model_has_its_key_tested(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    keyed = {
        parent
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] in {"keyed_by", "sound_events", "unique"}
        for parent in node["depends_on"]["nodes"]
    }
    assert [node["name"] for key, node in models.items() if key not in keyed] == []


def test_public_models_are_the_kpis_and_exposures_read_no_private_model(
    manifest: dict[str, Any], models: dict[str, Node]
) -> None:
    for node in models.values():
        assert (node["access"] == "public") == (layer(node) == "kpi"), node["name"]
        assert (node["access"] == "private") == node["name"].startswith("int_"), node["name"]
    for exposure in manifest["exposures"].values():
        assert [each for each in parents(exposure, "model") if models[each]["access"] == "private"] == []


def test_every_model_belongs_to_the_group_of_its_owner(models: dict[str, Node]) -> None:
    for node in models.values():
        assert node["group"] == node["config"]["meta"]["owner"], node["name"]


def test_what_exposures_read_is_a_table(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    for exposure in manifest["exposures"].values():
        for each in parents(exposure, "model"):
            assert models[each]["config"]["materialized"] in {"table", "incremental"}


def test_every_consumer_of_a_dashboard_is_an_exposure(
    manifest: dict[str, Any], models: dict[str, Node], catalog: Catalog
) -> None:
    names = {f"{board}{each.suffix}" for board in catalog.dashboards for each in CONSUMERS.values()}
    exposures = {exposure["name"]: exposure for exposure in manifest["exposures"].values()}
    assert set(exposures) == names
    for board in catalog.dashboards.values():
        for told in CONSUMERS.values():
            exposure = exposures[f"{board.name}{told.suffix}"]
            assert exposure["owner"]["name"] == catalog.owners[board.owner].title
            assert (exposure["maturity"], exposure["url"]) == (told.maturity, None)
            tables = {each.rpartition(".")[2] for each in parents(exposure, "model")}
            cut = {extract.source.partition(".")[2] for extract in board.extracts if extract.source}
            assert cut & {node["name"] for node in models.values()} <= tables


def test_an_exposure_says_where_people_open_it_once_that_is_declared(catalog: Catalog) -> None:
    url = "https://app.powerbi.com/groups/me/reports/1"
    finance = catalog.dashboards["finance"].model_copy(update={"urls": {"power_bi": url}})
    changed = catalog.model_copy(update={"dashboards": {"finance": finance}})
    exposures = {each["name"]: each for each in yaml.safe_load(render_exposures(changed))["exposures"]}
    assert exposures["finance_power_bi"]["url"] == url
    assert "url" not in exposures["finance"]


def test_committed_groups_and_exposures_are_those_that_the_catalogue_renders(catalog: Catalog) -> None:
    assert drifted(catalog, PROJECT_FILES) == []
