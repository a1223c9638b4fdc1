"""Every dataset has the checks that its tier demands, and a check that is dropped is missed."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from analytics_platform.catalog import Catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.settings import Settings
from asset_checks.demands import demands_of_asset, lacking

Checks = Mapping[dg.AssetKey, set[str]]


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    """Names of the checks of every asset of the graph."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    graph = build_definitions(settings).resolve_asset_graph()
    names: dict[dg.AssetKey, set[str]] = defaultdict(set)
    for key in graph.get_all_asset_keys():
        names[key] = set()
    for check in graph.asset_check_keys:
        names[check.asset_key].add(check.name)
    return dict(names)


def test_every_dataset_has_the_checks_that_its_tier_demands(catalog: Catalog, checks: Checks) -> None:
    assert lacking(catalog, checks) == []


def test_every_dataset_from_raw_to_dashboards_is_demanded_something(catalog: Catalog, checks: Checks) -> None:
    undemanded = [
        asset.to_user_string()
        for asset in checks
        if asset.path[0] not in {"landing", "ops", "report", "bi", "governance"}
        and not demands_of_asset(catalog, asset)
    ]
    assert undemanded == []


def test_dropping_any_demanded_check_is_missed(catalog: Catalog, checks: Checks) -> None:
    """A dataset in two places may demand a check of either; dbt tests of one beginning stand in for each other."""
    for asset, names in checks.items():
        for demand in demands_of_asset(catalog, asset):
            kept = {name for name in names if not name.startswith(demand.rstrip("*"))}
            assert lacking(catalog, {**checks, asset: kept}), f"{asset.to_user_string()} can lose {demand}"


@pytest.mark.parametrize(
    ("asset", "check"),
    [
        ("ops/ledger", "ledger_balances"),
        ("loaded/billing", "references_resolve"),
        ("loaded/inventory", "busy_hours_have_events"),
        ("marts/revenue/fct_invoices", "invoice_totals_equal_source"),
        ("kpi/revenue/kpi_mrr", "mrr_equals_source"),
        ("kpi/revenue/kpi_invoice_collection_rate", "collection_equals_source"),
        ("kpi/customer_success/kpi_nps", "values_are_within_limits"),
    ],
)
def test_dropping_a_check_that_a_declaration_calls_for_is_missed(
    catalog: Catalog, checks: Checks, asset: str, check: str
) -> None:
    key = dg.AssetKey(asset.split("/"))
    missing = lacking(catalog, {**checks, key: checks[key] - {check}})
    assert len(missing) == 1
    assert missing[0].endswith(f": {check}")


def test_an_asset_that_comes_without_checks_is_missed(catalog: Catalog, checks: Checks) -> None:
    assert "kpi/customer_success/kpi_nps: keyed_by*" in lacking(
        catalog, {**checks, dg.AssetKey(["kpi", "customer_success", "kpi_nps"]): set()}
    )


def test_every_declared_column_is_one_of_its_model(catalog: Catalog, tmp_path: Path) -> None:
    models = {
        f"{node['schema']}.{node['alias']}": node["columns"]
        for node in load_manifest(Settings(home=tmp_path))["nodes"].values()
        if node["resource_type"] == "model"
    }
    unknown = [
        f"{name}.{column}"
        for name, table in catalog.value_limits.items()
        for column in {table.day_column, *(each for limit in table.limits for each in (limit.column, limit.over))}
        if column is not None and column not in models[name]
    ]
    assert unknown == []
