"""The example extension end to end: from the gate to a page, with all that the platform promises of its own tables."""

from __future__ import annotations

import base64
import gzip
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from example_home import (
    DASHBOARD,
    DAY,
    MINE,
    TENANT,
    THEIRS,
    ExtendedHome,
    checks_of,
    copied,
    environment,
    evaluations,
    events,
)

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.cli import main
from analytics_platform.defs import keys
from analytics_platform.defs.manifest import ManifestStaleError, load_manifest
from analytics_platform.defs.resources import dbt_from, store_from
from analytics_platform.defs.runs import load_definitions
from analytics_platform.lake.layout import weekly_report_key
from analytics_platform.reporting.sources import STAFF
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

KPI = dg.AssetKey(["kpi", "operations", "kpi_damage_rate"])
FACTS = dg.AssetKey(["marts", "operations", "fct_damage_reports"])
EMBEDDED = re.compile(rb'id="figures">([A-Za-z0-9+/=]*)<')
UNIT_TEST = "an_item_counts_once_and_on_its_own_day_alone"
STAGED = dg.AssetKey(["staging", "damage_reports", "stg_damage_reports__damage_reported"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ExtendedHome:
    """Looked at as its owner does before anything is run; that puts the project together."""
    folder = tmp_path_factory.mktemp("deployment")
    settings = Settings(
        home=folder / "home", history_start=date(2026, 1, 1), extension_folder=copied(folder / "extension")
    )
    said = CliRunner().invoke(main, ["extension", "check", "--json"], env=environment(settings), catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return ExtendedHome(settings, load_definitions(settings), json.loads(said.stdout))


@pytest.fixture(scope="module")
def extended(home: ExtendedHome) -> Catalog:
    return load_catalog(home.settings.tenants_file, home.settings.extension_catalog)


@pytest.fixture(scope="module")
def imported(home: ExtendedHome) -> dict[str, Any]:
    file = home.settings.home.parent / "events.ndjson"
    file.write_text("\n".join(map(json.dumps, events())))
    answer: dict[str, Any] = json.loads(home.analytics("import", str(file), "--tenant", TENANT, "--json"))
    return answer


@pytest.fixture(scope="module")
def built(home: ExtendedHome, imported: dict[str, Any]) -> list[dg.ExecuteInProcessResult]:
    assert imported["accepted"]
    results = list(home.build())
    assert all(result.success for result in results)
    return results


def test_the_check_says_what_the_extension_adds(home: ExtendedHome) -> None:
    found = home.found_by_check

    assert found["ok"]
    assert found["declared"]["streams"] == ["damage_reports"]
    assert found["declared"]["events"] == ["damage.reported"]
    assert found["declared"]["kpis"] == ["damage_rate"]
    assert found["declared"]["dashboards"] == ["damages"]
    assert found["lacking"] == []
    assert found["not_read"] == []
    assert set(found["assets"]) == {
        "raw/damage_reports",
        "loaded/damage_reports",
        "staging/damage_reports/stg_damage_reports__damage_reported",
        "marts/operations/fct_damage_reports",
        "kpi/operations/kpi_damage_rate",
        "extract/damages/damage_rate",
        "dashboard/damages",
    }


def test_its_assets_are_as_the_platforms_own(home: ExtendedHome) -> None:
    graph = home.definitions.resolve_asset_graph()
    day = graph.get(dg.AssetKey(["kpi", "operations", "kpi_equipment_utilisation"]))
    for key in (STAGED, FACTS, KPI):
        node = graph.get(key)
        assert node.partitions_def == day.partitions_def
        assert node.owners == ["team:operations"]
        assert node.kinds == day.kinds
        assert node.freshness_policy is not None
        assert node.metadata["retention_class"] == "operations"
        assert node.metadata["sla_tier"] == "silver"
    assert graph.get(KPI).group_name == "kpi_operations"
    assert graph.get(STAGED).group_name == "staging_damage_reports"
    assert graph.get(keys.raw("damage_reports")).partitions_def == graph.get(keys.raw("inventory")).partitions_def


def test_its_lineage_goes_from_the_landing_through_a_table_of_the_platform_to_the_page(home: ExtendedHome) -> None:
    graph = home.definitions.resolve_asset_graph()
    of_page = graph.get_ancestor_asset_keys(DASHBOARD)

    assert {keys.raw("damage_reports"), keys.loaded("damage_reports"), STAGED, FACTS, KPI} <= of_page
    assert keys.LANDING_EVENTS in of_page
    assert dg.AssetKey(["marts", "operations", "fct_equipment_days"]) in graph.get(KPI).parent_keys
    assert KPI in graph.get_ancestor_asset_keys(keys.extract("executive_overview", "kpi_headlines"))
    assert KPI in graph.get_ancestor_asset_keys(keys.ANOMALIES)
    assert keys.extract("damages", "damage_rate") in graph.get_ancestor_asset_keys(keys.POWER_BI_PROJECT)
    assert keys.extract("damages", "damage_rate") in graph.get_ancestor_asset_keys(keys.LOOKER_STUDIO)


def test_its_tables_have_checks_and_suites(home: ExtendedHome) -> None:
    graph = home.definitions.resolve_asset_graph()

    assert "expectations_hold" in checks_of(graph, KPI)
    assert any(name.startswith("holds") for name in checks_of(graph, KPI))
    assert any(name.startswith("sound_events") for name in checks_of(graph, STAGED))
    assert "rows_reconcile_with_lake" in checks_of(graph, keys.loaded("damage_reports"))
    assert "pages_hold_only_their_tenant" in checks_of(graph, DASHBOARD)


def test_its_unit_test_is_one_of_the_projects(home: ExtendedHome) -> None:
    node = load_manifest(home.settings)["unit_tests"]
    names = {each["name"] for each in node.values()}

    assert UNIT_TEST in names


def test_the_gate_knows_its_events_and_refuses_what_they_are_not(imported: dict[str, Any]) -> None:
    assert imported["accepted"] == len(events()) - 1
    assert imported["reasons"] == {"schema_violation": 1}


def test_the_figure_is_the_one_worked_out_on_paper(home: ExtendedHome, built: list[dg.ExecuteInProcessResult]) -> None:
    assert len(evaluations(built)) > 20
    assert [each.check_name for each in evaluations(built) if not each.passed] == []
    rows = home.sql("select day, category, fleet_items, damaged_items from kpi.kpi_damage_rate order by all")
    assert [list(row.values()) for row in rows] == [[DAY, "audio", 2, 1], [DAY, "lighting", 2, 1]]


def test_the_deployments_own_expectations_are_judged(
    home: ExtendedHome, built: list[dg.ExecuteInProcessResult]
) -> None:
    judged = {(each.asset_key, each.check_name) for each in evaluations(built)}
    assert (KPI, "expectations_hold") in judged
    kept = store_from(home.settings).list("quality/expectations/extracts.damages.damage_rate/")
    (result,) = [store_from(home.settings).get(info.key) for info in kept]
    assert b"damaged_items_are_of_the_fleet" in result


def test_its_page_is_there_for_each_audience_in_both_languages(
    home: ExtendedHome, built: list[dg.ExecuteInProcessResult]
) -> None:
    assert built
    store = store_from(home.settings)
    pages = {info.key.rpartition("/")[2]: store.get(info.key) for info in store.list("dashboards/damages/")}
    assert {"operations.html", "executive.html", f"tenant_viewer@{TENANT}.html"} <= pages.keys()
    for page in pages.values():
        shown = gzip.decompress(base64.b64decode(EMBEDDED.search(page)[1])).decode()
        assert "Damage rate" in shown
        assert "Beschadigde artikelen per categorie" in shown


def test_the_weekly_report_tells_its_kpi_to_each_audience(
    home: ExtendedHome, built: list[dg.ExecuteInProcessResult]
) -> None:
    assert built
    monday = date(2026, 3, 2)
    assert home.report(monday).success
    for audience in (STAFF, TENANT):
        told = json.loads(store_from(home.settings).get(weekly_report_key(monday, audience, "json")))
        (shown,) = [kpi for kpi in told["facts"]["kpis"] if kpi["kpi"] == "damage_rate"]
        assert (shown["days_published"], shown["value"], shown["target"]) == (1, 50, 1)
        page = store_from(home.settings).get(weekly_report_key(monday, audience, "html")).decode()
        assert "Damage rate" in page


def test_unit_tests_of_the_extension_run_in_the_project_that_is_put_together(
    home: ExtendedHome, built: list[dg.ExecuteInProcessResult]
) -> None:
    assert built
    outcome = dbt_from(home.settings)._invoke(["test", "--select", UNIT_TEST])
    assert [(each.node.name, str(each.status)) for each in outcome.results] == [(UNIT_TEST, "pass")]


def test_a_new_stream_and_a_new_table_fall_under_retention(
    home: ExtendedHome, built: list[dg.ExecuteInProcessResult]
) -> None:
    assert built
    due = json.loads(home.analytics("retention", "plan", "--by", "ann", "--as-of", "2030-01-01", "--json"))
    datasets = {target["dataset"] for target in due["targets"]}

    assert {"raw.damage_reports", "marts.fct_damage_reports", "kpi.kpi_damage_rate"} <= datasets
    assert {"staging.stg_damage_reports__damage_reported", "extracts.damages.damage_rate"} <= datasets


def test_who_asks_to_be_erased_is_erased_from_the_new_tables_too(
    home: ExtendedHome, built: list[dg.ExecuteInProcessResult]
) -> None:
    assert built
    asked = home.analytics(
        "erase", "request", "--tenant", TENANT, "--id", MINE, "--by", "ann", "--reason", "art. 17", "--json"
    )
    said = json.loads(asked)
    home.analytics("erase", "approve", said["request"], "--plan", said["plan"], "--by", "bob")
    assert "nothing survives" in home.analytics("erase", "run", said["request"], "--by", "bob")

    for table in ("staging.stg_damage_reports__damage_reported", "marts.fct_damage_reports"):
        left = {row["reporter_ref"] for row in home.sql(f"select reporter_ref from {table}")}
        (severed,) = left - {THEIRS}  # the class keeps the rows: they are the item's, and nobody's any more
        assert severed.startswith("erased_")
    (row,) = home.sql(f"select count(*) as n from raw.damage_reports where properties like '%{MINE}%'")
    assert row["n"] == 0


def test_a_manifest_of_other_files_than_there_are_is_refused(home: ExtendedHome) -> None:
    model = Path(str(home.settings.extension_dbt), "models", "kpi", "operations", "kpi_damage_rate.sql")
    before = model.read_text()
    model.write_text(before + "-- changed\n")
    with pytest.raises(ManifestStaleError, match="analytics manifest"):
        load_manifest(home.settings)
    model.write_text(before)
    assert load_manifest(home.settings)
