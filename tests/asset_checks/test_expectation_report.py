"""The page of expectations says what the results say, opens offline, and takes every string as text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import dagster as dg
import pytest
from expectation_house import a_line, a_result

from analytics_platform.catalog import load_catalog
from analytics_platform.defs.expectations import expectations_report_asset
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.defs.partitions import partitions_from
from analytics_platform.documents import render_html
from analytics_platform.lake import layout
from analytics_platform.lake.store import LocalStore, UnsafeKeyError
from analytics_platform.reporting.expectation_report import (
    DAYS_SHOWN,
    PAGE_KEY,
    DatasetStanding,
    datasets_judged,
    expectation_report,
    standings,
)
from analytics_platform.reporting.expectation_results import ExpectationResult, keep, standing_results
from analytics_platform.settings import Settings
from asset_checks.published import pages_are_self_contained

CATALOG = load_catalog()
DAY = date(2026, 3, 5)
BEFORE = DAY - timedelta(1)
MORNING = datetime(2026, 3, 6, 5, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)> & <b>"
MRR, COHORTS = "kpi.kpi_mrr", "kpi.kpi_customer_cohorts"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def put(store: LocalStore, *lines: ExpectationResult, dataset: str = MRR, has_days: bool = True) -> None:
    keep(store, a_result(dataset, BEFORE, DAY, at=MORNING, expectations=lines, has_days=has_days))


def of(store: LocalStore, dataset: str = MRR) -> DatasetStanding:
    return next(each for each in standings(store, CATALOG, DAY) if each.dataset.name == dataset)


def page(store: LocalStore) -> str:
    document = expectation_report(standings(store, CATALOG, DAY), CATALOG, DAY, "Europe/Amsterdam")
    return render_html(document).decode()


def text(html: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def test_a_kept_result_is_read_back_as_it_was(store: LocalStore) -> None:
    result = a_result(MRR, BEFORE, DAY, expectations=[a_line(unexpected=3, days={DAY: 3})])
    assert standing_results(store, MRR, BEFORE, DAY) == []
    keep(store, result)
    assert standing_results(store, MRR, BEFORE, DAY) == [(result, [BEFORE, DAY])]


def test_of_several_evaluations_the_last_stands_for_a_day(store: LocalStore) -> None:
    keep(store, a_result(MRR, BEFORE, DAY, at=MORNING))
    keep(store, a_result(MRR, BEFORE, BEFORE, at=MORNING + timedelta(hours=3)))
    keep(store, a_result(MRR, BEFORE, BEFORE, at=MORNING - timedelta(hours=3)))
    found = [(result.evaluated_at.hour, days) for result, days in standing_results(store, MRR, BEFORE, DAY)]
    assert found == [(8, [BEFORE]), (5, [DAY])]


def test_of_a_table_without_days_only_the_last_evaluation_stands(store: LocalStore) -> None:
    keep(store, a_result(COHORTS, BEFORE, DAY, at=MORNING, has_days=False))
    keep(store, a_result(COHORTS, DAY, DAY, at=MORNING + timedelta(hours=1), has_days=False))
    assert [result.first for result, _ in standing_results(store, COHORTS, BEFORE, DAY)] == [DAY]


@pytest.mark.parametrize("dataset", ["../secrets", "kpi/kpi_mrr", "KPI", "", "kpi..mrr"])
def test_a_key_is_made_of_dataset_names_alone(dataset: str) -> None:
    with pytest.raises(UnsafeKeyError):
        layout.expectations_key(dataset, BEFORE, DAY, MORNING)


def test_a_key_tells_what_it_covers_and_when_it_was_evaluated() -> None:
    key = layout.expectations_key("extracts.finance.mrr", BEFORE, DAY, MORNING)
    assert layout.expectations_placed(key) == (BEFORE, DAY, MORNING)
    with pytest.raises(UnsafeKeyError):
        layout.expectations_placed("quality/expectations/kpi.kpi_mrr/latest.json")


def test_a_repaired_day_holds_again(store: LocalStore) -> None:
    put(store, a_line(unexpected=3, days={BEFORE: 2, DAY: 1}))
    assert (of(store).standing, of(store).lines[0].unexpected) == ("fails", 3)
    keep(store, a_result(MRR, BEFORE, BEFORE, at=MORNING + timedelta(hours=1), expectations=[a_line()]))
    assert (of(store).lines[0].unexpected, of(store).lines[0].days) == (1, (DAY,))
    keep(store, a_result(MRR, DAY, DAY, at=MORNING + timedelta(hours=2), expectations=[a_line()]))
    assert of(store).standing == "holds"


def test_days_before_those_shown_do_not_count(store: LocalStore) -> None:
    old = DAY - timedelta(DAYS_SHOWN)
    keep(store, a_result(MRR, old, DAY, expectations=[a_line(unexpected=5, days={old: 5})]))
    assert of(store).standing == "holds"


def test_the_page_counts_what_the_results_count(store: LocalStore) -> None:
    put(store, a_line(unexpected=1234, days={DAY: 1234}, sentence="new + old equals all"), a_line("other"))
    put(store, a_line(unexpected=7, sentence="customers are kept"), dataset=COHORTS, has_days=False)
    put(store, a_line(), a_line("declared", is_declared=True), dataset="kpi.kpi_nps")
    said = text(page(store))
    assert "Datasets that hold ✘ 1 of 37" in said
    assert "Expectations that do not hold ✘ 2 of 5" in said
    assert "kpi.kpi_mrr: new + old equals all: not so in 1234 rows on 5 Mar 2026" in said
    assert "1,234 on 5 Mar 2026 ✘ does not hold" in said
    assert "kpi.kpi_customer_cohorts: customers are kept: not so in 7 rows" in said
    assert "as declared (1 expectations)" in said
    assert "Departures are counted." in said
    assert "0 to 7" in said


def test_an_engine_error_is_a_warning_of_its_own_and_no_bad_data(store: LocalStore) -> None:
    put(store, a_line(checked=0, not_judged="no such type", is_engine_error=True, observed=None))
    said = text(page(store))
    assert of(store).standing == "could_not_run"
    assert "the engine broke off: no such type" in said
    assert "! could not run" in said
    assert "Expectations that do not hold ✔ 0 of 1" in said


def test_a_dataset_that_was_never_judged_is_said_to_be_so(store: LocalStore) -> None:
    put(store, a_line())
    said = text(page(store))
    assert of(store, "kpi.kpi_nps").standing is None
    assert re.search(r"Not judged within these days: .*kpi\.kpi_nps", said)
    assert "Datasets that hold ✘ 1 of 37" in said


def test_the_page_opens_offline_and_strings_are_text(store: LocalStore) -> None:
    put(store, a_line(sentence=HOSTILE, why=HOSTILE, observed=HOSTILE, unexpected=1, days={DAY: 1}))
    html = page(store)
    assert "default-src 'none'" in unescape(html)
    assert pages_are_self_contained({PAGE_KEY: html.encode()}).passed
    assert "<img" not in html
    assert "<script" not in html
    assert HOSTILE in text(html)


def test_the_asset_writes_the_page_and_counts_datasets(store: LocalStore, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    if not manifest_path(settings).exists():
        build_manifest(settings)
    partitions = partitions_from(BEFORE, "Europe/Amsterdam")
    for dataset in datasets_judged(CATALOG):
        put(store, a_line(), dataset=dataset.name)
    asset = expectations_report_asset(CATALOG, load_manifest(settings), partitions)
    with dg.DagsterInstance.ephemeral() as instance:
        ran = dg.materialize([asset], partition_key=DAY.isoformat(), resources={"store": store}, instance=instance)
    (materialized,) = ran.get_asset_materialization_events()
    metadata = materialized.materialization.metadata
    assert metadata["datasets"].value == metadata["datasets_that_hold"].value == len(datasets_judged(CATALOG))
    assert "Everything that was judged holds." in text(store.get(PAGE_KEY).decode())
    assert len(asset.asset_deps[next(iter(asset.keys))]) == len(datasets_judged(CATALOG))
