"""The latest evaluations of checks, as pages ask the event log for them."""

from pathlib import Path

import dagster as dg
import pytest

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import keys
from analytics_platform.defs.manifest import load_manifest
from analytics_platform.defs.page_quality import assets_behind, latest_evaluations, lineage
from analytics_platform.reporting.quality import Evaluation
from analytics_platform.settings import Settings

MRR = dg.AssetKey(["kpi", "revenue", "kpi_mrr"])
NPS = dg.AssetKey(["kpi", "customer_success", "kpi_nps"])
OUTCOMES: dict[str, bool] = {}


@dg.asset(key=MRR)
def mrr() -> None:
    """A table."""


@dg.asset_check(asset=mrr)
def adds_up() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=OUTCOMES["adds_up"], severity=dg.AssetCheckSeverity.ERROR)


@dg.asset_check(asset=mrr)
def is_usual() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=OUTCOMES["is_usual"], severity=dg.AssetCheckSeverity.WARN)


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(str(tmp_path))


def evaluate(instance: dg.DagsterInstance, **outcomes: bool) -> None:
    OUTCOMES.update(outcomes)
    assert dg.materialize([mrr, adds_up, is_usual], instance=instance).success


def test_what_the_last_evaluation_found_counts_with_its_severity(instance: dg.DagsterInstance) -> None:
    evaluate(instance, adds_up=False, is_usual=True)
    evaluate(instance, adds_up=True, is_usual=False)
    asset = "kpi/revenue/kpi_mrr"
    assert sorted(latest_evaluations(instance, [MRR, NPS])[MRR]) == [
        Evaluation(asset, "adds_up", True, "WARN"),
        Evaluation(asset, "is_usual", False, "WARN"),
    ]
    evaluate(instance, adds_up=False, is_usual=True)
    assert Evaluation(asset, "adds_up", False, "ERROR") in latest_evaluations(instance, [MRR])[MRR]


def test_what_was_never_evaluated_is_not_known(instance: dg.DagsterInstance) -> None:
    assert latest_evaluations(instance, [MRR]) == {}


def test_a_number_is_made_of_its_extract_its_tables_and_all_that_they_are_built_from() -> None:
    catalog, manifest = load_catalog(), load_manifest(Settings.from_environment())
    behind = assets_behind(catalog, manifest, catalog.kpis["mrr"])
    assert behind[0] == keys.extract("finance", "mrr_by_customer")
    assert {MRR, dg.AssetKey(["kpi", "revenue", "kpi_mrr_by_customer"]), keys.loaded("billing")} <= set(behind)
    assert dg.AssetKey(["staging", "billing", "stg_billing__subscription_started"]) in behind
    assert NPS not in behind


def test_a_page_is_told_of_each_kpi_what_its_checks_found_and_where_its_lineage_is(
    instance: dg.DagsterInstance,
) -> None:
    evaluate(instance, adds_up=False, is_usual=True)
    catalog, manifest = load_catalog(), load_manifest(Settings.from_environment())
    told = lineage(instance, catalog, manifest, ["mrr", "nps"], "https://dagster.example/")
    assert told.address == "https://dagster.example"
    assert told.assets["mrr"] == "kpi/revenue/kpi_mrr"
    assert {each.check: each.passed for each in told.evaluations["mrr"]} == {"adds_up": False, "is_usual": True}
    assert told.evaluations["nps"] == []
