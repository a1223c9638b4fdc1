"""The graph loads, and every asset carries what the house asks of it."""

import re
from pathlib import Path

import dagster as dg
import pytest

from analytics_platform.catalog import load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.manifest import ManifestMissingError, build_manifest, manifest_path
from analytics_platform.settings import Settings

REBUILT_WHOLE = {"ops/incidents"}
PARTITIONED = {"ops", "staging", "marts", "kpi", "extract", "dashboard"}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return settings


@pytest.fixture(scope="session")
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


@pytest.fixture(scope="session")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def missing(specs: dict[str, dg.AssetSpec], attribute: str) -> list[str]:
    return [key for key, spec in specs.items() if not getattr(spec, attribute)]


def test_the_definitions_validate(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_every_layer_of_the_design_has_assets(specs: dict[str, dg.AssetSpec]) -> None:
    layers = {key.split("/")[0] for key in specs}
    assert layers >= {"landing", "raw", "ops", "loaded", "staging", "marts", "kpi", "extract", "dashboard"}


def test_every_stream_event_kpi_extract_and_dashboard_of_the_catalogue_is_an_asset(
    specs: dict[str, dg.AssetSpec],
) -> None:
    catalog = load_catalog()
    expected = {f"raw/{name}" for name in catalog.streams} | {f"loaded/{name}" for name in catalog.streams}
    expected |= {f"staging/{event.stream}/stg_{event.stream}__{event.table_name}" for event in catalog.events.values()}
    expected |= {f"kpi/{kpi.domain}/{kpi.table.split('.')[1]}" for kpi in catalog.kpis.values()}
    expected |= {f"dashboard/{name}" for name in catalog.dashboards}
    expected |= {
        f"extract/{dashboard.name}/{extract.name}"
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    }
    assert expected - specs.keys() == set()


@pytest.mark.parametrize("attribute", ["group_name", "owners", "kinds", "description", "freshness_policy"])
def test_no_asset_is_without(specs: dict[str, dg.AssetSpec], attribute: str) -> None:
    assert missing(specs, attribute) == []


def test_keys_are_snake_case_and_hold_no_environment_tenant_or_date(specs: dict[str, dg.AssetSpec]) -> None:
    tenants = set(load_catalog().tenants)
    for key in specs:
        parts = key.split("/")
        assert 2 <= len(parts) <= 3, key
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", part) for part in parts), key
        assert not tenants & set(parts), key


def test_groups_are_layer_and_domain(specs: dict[str, dg.AssetSpec]) -> None:
    for key, spec in specs.items():
        assert spec.group_name == keys.group(spec.key), key
        assert str(spec.group_name).startswith(keys.layer(spec.key) + "_"), key


def test_owners_are_teams_of_the_catalogue(specs: dict[str, dg.AssetSpec]) -> None:
    teams = {f"team:{name}" for name in load_catalog().owners}
    assert {owner for spec in specs.values() for owner in spec.owners} <= teams


def test_raw_goes_by_day_and_tenant_and_everything_after_by_day(specs: dict[str, dg.AssetSpec]) -> None:
    for key, spec in specs.items():
        layer = keys.layer(spec.key)
        if layer == "raw":
            assert isinstance(spec.partitions_def, dg.MultiPartitionsDefinition), key
        elif layer in PARTITIONED and key not in REBUILT_WHOLE:
            assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition), key


def test_every_asset_has_a_quality_check(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> None:
    checked = {key.asset_key.to_user_string() for key in definitions.resolve_asset_graph().asset_check_keys}
    assert specs.keys() - checked == set()


def test_every_dbt_test_is_an_asset_check(definitions: dg.Definitions, settings: Settings) -> None:
    from analytics_platform.defs.manifest import load_manifest

    tests = {node["name"] for node in load_manifest(settings)["nodes"].values() if node["resource_type"] == "test"}
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    assert tests - checks == set()


@pytest.mark.parametrize("asset", ["raw/billing", "extract/finance/mrr", "dashboard/finance", "kpi/revenue/kpi_mrr"])
def test_retention_class_and_personal_columns_are_on_the_asset(specs: dict[str, dg.AssetSpec], asset: str) -> None:
    assert specs[asset].metadata["retention_class"] == "fiscal"
    assert "pii_columns" in specs[asset].metadata


def test_lineage_leads_from_a_stream_to_its_dashboard(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    downstream = dg.AssetSelection.assets(keys.raw("billing")).downstream().resolve(graph)
    names = {key.to_user_string() for key in downstream}
    assert {"loaded/billing", "kpi/revenue/kpi_mrr", "extract/finance/mrr", "dashboard/finance"} <= names


def test_anomalies_are_judged_after_every_kpi_table_and_each_kpi_has_its_warning(
    definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]
) -> None:
    catalog = load_catalog()
    spec = specs["kpi/kpi_anomalies"]
    judged = {dep.asset_key.path[-1] for dep in spec.deps}
    assert judged >= {table.split(".")[1] for kpi in catalog.kpis.values() for table in (kpi.table, kpi.headline_table)}
    schema = spec.metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns][-3:] == ["rule", "is_anomaly", "reason"]
    assert all(column.description for column in schema.columns)
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys if key.asset_key == spec.key}
    assert {name for name in checks if name.startswith("no_anomaly_in_")} == {
        f"no_anomaly_in_{name}" for name in catalog.kpis
    }


def test_every_dashboard_descends_from_landing(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    downstream = dg.AssetSelection.assets(keys.LANDING_EVENTS).downstream().resolve(graph)
    assert {keys.dashboard(name) for name in load_catalog().dashboards} <= downstream


def test_every_asset_belongs_to_a_job(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> None:
    names = ("ingest", "load", "build", "publish", "incidents", "look_back", "review", "report")
    built = {
        key.to_user_string()
        for name in names
        for key in definitions.resolve_job_def(name).asset_layer.executable_asset_keys
    }
    assert specs.keys() - built == set()


def test_whatever_writes_the_warehouse_waits_in_its_pool(definitions: dg.Definitions) -> None:
    for asset in definitions.resolve_asset_graph().assets_defs:
        layers = {keys.layer(key) for key in asset.keys}
        if layers & {"ops", "loaded", "reference", "staging", "marts", "kpi"}:
            assert asset.op.pool == "warehouse", asset.op.name


def test_without_a_manifest_the_graph_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestMissingError, match="make manifest"):
        build_definitions(Settings(home=tmp_path, dbt_project_dir=tmp_path))


def test_an_asset_that_the_dataset_registry_does_not_know_does_not_load() -> None:
    from analytics_platform.defs.policies import UndeclaredDatasetError, with_policies

    @dg.asset(key=["marts", "revenue", "fct_secret"])
    def secret() -> None: ...

    with pytest.raises(UndeclaredDatasetError, match=r"marts\.fct_secret"):
        with_policies([secret], load_catalog(), "Europe/Amsterdam")
