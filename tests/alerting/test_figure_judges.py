"""Which rows of the tables are news, what they are findings about, and when they are over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from alert_examples import DAY, Desk, after

from analytics_platform.alerting.figures import (
    NEWS_DAYS,
    PROMISE_OPEN_DAYS,
    FigureJudges,
    News,
    attainment_rows,
    figure_rows,
    ledger_rows,
    tables_there,
)
from analytics_platform.alerting.findings import Amount, Failure, Finding, Moment, Observation
from analytics_platform.catalog import Catalog
from analytics_platform.insights.promises import as_table
from analytics_platform.warehouse import DuckDBWarehouse

TENANT = "delta-events"
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
NEWS = News(DAY, "Europe/Amsterdam", NOW)
DUE = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
OLD = DAY - timedelta(days=NEWS_DAYS)


@pytest.fixture
def judges(catalog: Catalog) -> FigureJudges:
    def asset_of(dataset: str, promise: str | None) -> str:
        layer, _, name = dataset.partition(".")
        if layer == "raw":
            return f"{'raw' if promise == 'landed_within_lag' else 'loaded'}/{name}"
        return dataset.replace(".", "/")

    return FigureJudges(catalog, asset_of)


def promise(**changed: Any) -> dict[str, Any]:
    usual = {
        "day": DAY,
        "tenant_id": TENANT,
        "dataset": "raw.billing",
        "owner": "finance",
        "severity": "critical",
        "promise": "complete_by_deadline",
        "promised_at": DUE,
        "attained_at": None,
        "is_attained": False,
        "cause": None,
    }
    return {**usual, **changed}


def figure(**changed: Any) -> dict[str, Any]:
    usual = {
        "day": DAY,
        "tenant_id": TENANT,
        "kpi": "invoice_collection_rate",
        "series": "headline",
        "observed": 80.0,
        "expected": 80.0,
        "lower": 75.0,
        "upper": 90.0,
        "score": 0.0,
        "rule": "seasonal",
        "is_anomaly": False,
        "currency": None,
    }
    return {**usual, **changed}


def refused(dead: int, received: int = 100, **changed: Any) -> dict[str, Any]:
    usual = {"stream": "billing", "day": DAY, "tenant_id": TENANT, "received": received, "dead_lettered": dead}
    return {**usual, **changed}


def only(seen: Observation) -> Finding:
    (finding,) = seen.findings
    return finding


def test_a_promise_that_is_not_kept_yet_is_broken(judges: FigureJudges) -> None:
    finding = only(judges.promises([promise()], NEWS, ()))
    assert finding.fingerprint == (Failure.SLA_BREACHED, "loaded/billing", "complete_by_deadline", TENANT, DAY)
    assert (finding.since, finding.promised, finding.observed) == (DUE, Moment(at=DUE), None)
    assert (finding.owner, finding.severity) == ("finance", "critical")


@pytest.mark.parametrize(
    "row",
    [
        promise(is_attained=True, attained_at=DUE),
        promise(attained_at=DUE + timedelta(minutes=5)),
        promise(is_attained=None),
        promise(day=OLD),
    ],
    ids=["kept", "kept late", "not due", "long ago"],
)
def test_what_is_kept_late_undecided_or_long_ago_is_no_alarm(judges: FigureJudges, row: dict[str, Any]) -> None:
    assert judges.promises([row], NEWS, ()).findings == ()


def test_a_broken_promise_is_over_when_the_data_is_there_however_late(judges: FigureJudges) -> None:
    finding = only(judges.promises([promise()], NEWS, ()))
    made_good = promise(attained_at=DUE + timedelta(hours=3))
    assert judges.promises([made_good], NEWS, [finding]).found_right == {finding.fingerprint}
    assert judges.promises([promise()], NEWS, [finding]).found_right == frozenset()
    later = News(DAY + timedelta(days=NEWS_DAYS), "Europe/Amsterdam", NOW)
    assert judges.promises([promise()], later, [finding]) == Observation(())


def test_a_promise_that_can_no_longer_be_made_good_is_history(judges: FigureJudges) -> None:
    finding = only(judges.promises([promise()], NEWS, ()))
    for days, over in ((PROMISE_OPEN_DAYS, False), (PROMISE_OPEN_DAYS + 1, True)):
        later = News(DAY + timedelta(days=days), "Europe/Amsterdam", NOW)
        assert (judges.promises([promise()], later, [finding]).found_right == {finding.fingerprint}) == over


def test_what_is_late_because_of_a_stream_is_told_with_it_and_as_gravely(judges: FigureJudges) -> None:
    behind = [
        promise(dataset="kpi.kpi_leads", severity="critical", owner="growth", cause="raw.crm"),
        promise(dataset="dashboard.growth", severity="warning", owner="growth", cause="raw.crm"),
    ]
    finding = only(judges.promises([promise(dataset="raw.crm", severity="warning"), *behind], NEWS, ()))
    assert (finding.dataset, finding.severity, finding.dashboards) == ("raw.crm", "critical", ("growth",))
    assert len(judges.promises(behind, NEWS, ()).findings) == 2  # the stream has come, they still have not


def test_a_night_that_failed_is_one_incident_per_team(judges: FigureJudges, desk: Desk) -> None:
    late = [
        promise(dataset=f"kpi.{owner}_{number}", owner=owner, tenant_id=tenant)
        for owner in ("finance", "operations")
        for number in range(12)
        for tenant in ("a", "b", "c", "d")
    ]
    desk.see(judges.promises(late, NEWS, ()))
    assert [len(each.failing) for each in desk.incidents] == [48, 48]
    assert desk.said() == ["parent", "parent"]
    assert f"`analytics backfill --from {DAY} --to {DAY} --reason incident-" in desk.outbox[0].message.text
    known = desk.desk.wrong([Failure.SLA_BREACHED])
    made_good = [{**row, "attained_at": NOW} for row in late]
    assert desk.see(judges.promises(made_good, NEWS, known), after(hours=4)) == ["recovered", "recovered"]


def test_what_landed_and_waits_is_repaired_by_a_run_of_all_that_is_stale(judges: FigureJudges, desk: Desk) -> None:
    desk.see(judges.promises([promise(promise="landed_within_lag")], NEWS, ()))
    assert desk.incident.cause.asset == "raw/billing"
    assert "`analytics run`" in desk.outbox[0].message.text


def test_a_limit_is_judged_on_the_newest_day_and_stays_one_incident(judges: FigureJudges, desk: Desk) -> None:
    low = [figure(observed=60.0, day=DAY - timedelta(days=1)), figure(observed=61.0)]
    desk.see(judges.limits(low, NEWS, ()))
    cause = desk.incident.cause
    assert (cause.check, cause.tenant, cause.day) == ("invoice_collection_rate.collapsed", TENANT, DAY)
    assert (cause.observed, cause.promised) == (Amount(value=61, unit="percent"), Amount(value=70, unit="percent"))
    assert cause.severity == "critical"
    tomorrow = News(DAY + timedelta(days=1), "Europe/Amsterdam", NOW)
    still = [*low, figure(observed=62.0, day=tomorrow.closed)]
    known = desk.desk.wrong([Failure.KPI_LIMIT])
    assert desk.see(judges.limits(still, tomorrow, known), after(days=1)) == ["refreshed"]
    assert desk.incident.told.day == tomorrow.closed
    well = [*low, figure(observed=80.0, day=tomorrow.closed)]
    assert desk.see(judges.limits(well, tomorrow, known), after(days=1, hours=1)) == ["recovered"]


def test_an_amount_is_not_held_against_one_in_another_currency(judges: FigureJudges) -> None:
    week_ago = figure(kpi="mrr", observed=1_100_000.0, day=DAY - timedelta(days=7))
    assert (
        only(judges.limits([week_ago, figure(kpi="mrr", observed=950_000.0)], NEWS, ())).check == "mrr.fell_in_a_week"
    )
    in_pounds = figure(kpi="mrr", observed=950_000.0, currency="GBP")
    assert judges.limits([week_ago, in_pounds], NEWS, ()) == Observation(())


def test_a_figure_that_is_not_there_today_proves_nothing_right(judges: FigureJudges) -> None:
    finding = only(judges.limits([figure(observed=60.0)], NEWS, ()))
    others = [figure(tenant_id="other", day=DAY + timedelta(days=1))]
    assert judges.limits(others, NEWS, [finding]) == Observation(())


def test_the_figure_of_all_tenants_is_of_no_tenant(judges: FigureJudges) -> None:
    assert only(judges.limits([figure(tenant_id="all", observed=60.0)], NEWS, ())).tenant is None


def unusual(**changed: Any) -> dict[str, Any]:
    return figure(**{"observed": 60.0, "score": -6.0, "is_anomaly": True, **changed})


def test_an_anomaly_says_the_bound_that_was_crossed(judges: FigureJudges) -> None:
    finding = only(judges.anomalies([unusual()], NEWS, ()))
    assert (finding.check, finding.dataset) == ("invoice_collection_rate", "kpi.kpi_invoice_collection_rate")
    assert (finding.observed, finding.promised) == (Amount(value=60, unit="percent"), Amount(value=75, unit="percent"))
    missing = only(judges.anomalies([unusual(observed=None, lower=None, upper=None)], NEWS, ()))
    assert (missing.observed, missing.promised) == (None, Amount(value=80, unit="percent"))


def test_several_unusual_series_and_days_are_one_finding_told_by_the_newest_headline(judges: FigureJudges) -> None:
    rows = [
        unusual(day=DAY - timedelta(days=1), observed=50.0),
        unusual(series="channel=paid", observed=10.0, score=-20.0),
        unusual(observed=60.0),
    ]
    finding = only(judges.anomalies(rows, NEWS, ()))
    assert (finding.day, finding.observed) == (DAY, Amount(value=60, unit="percent"))


def test_an_anomaly_is_over_when_no_day_that_is_news_has_one(judges: FigureJudges) -> None:
    finding = only(judges.anomalies([unusual()], NEWS, ()))
    for days, over in ((NEWS_DAYS - 1, False), (NEWS_DAYS, True)):
        rows = [unusual(), figure(day=DAY + timedelta(days=days))]
        later = News(DAY + timedelta(days=days), "Europe/Amsterdam", NOW)
        assert (judges.anomalies(rows, later, [finding]).found_right == {finding.fingerprint}) == over


@pytest.mark.parametrize(("day", "told"), [(DAY, 1), (OLD, 0), (DAY - timedelta(days=365), 0)])
def test_only_days_near_the_last_closed_one_are_news(judges: FigureJudges, day: date, told: int) -> None:
    assert len(judges.anomalies([unusual(day=day)], NEWS, ()).findings) == told
    assert len(judges.limits([figure(observed=60.0, day=day)], NEWS, ()).findings) == told


def test_a_figure_that_settles_later_is_news_when_it_has(judges: FigureJudges, catalog: Catalog) -> None:
    settles = catalog.kpis["channel_conversion"].settling_days
    cohort = DAY - timedelta(days=settles)
    rows = [
        unusual(kpi="channel_conversion", day=cohort),
        figure(kpi="channel_conversion", rule="settling"),
        figure(kpi="channel_conversion", day=cohort - timedelta(days=1)),
    ]
    assert only(judges.anomalies(rows, NEWS, ())).day == cohort


def test_a_year_of_anomalies_is_no_flood(judges: FigureJudges, catalog: Catalog) -> None:
    rows = [
        unusual(kpi=kpi, day=DAY - timedelta(days=n), tenant_id=tenant)
        for kpi in ("mrr", "nps")
        for n in range(365)
        for tenant in ("a", "b")
    ]
    assert len(judges.anomalies(rows, NEWS, ()).findings) == 4


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (refused(3, 149), True),
        (refused(2, 20), False),
        (refused(3, 150), False),
        (refused(10, 10, stream="_unknown", tenant_id="_unknown"), True),
        (refused(50, 100, day=OLD), False),
        (refused(50, 100, day=DAY + timedelta(days=1)), True),
        (refused(0, 0), False),
    ],
    ids=["spike", "few", "small share", "of nobody", "long ago", "the running day", "nothing"],
)
def test_refused_events_are_told_beyond_the_count_and_share_that_the_stream_bears(
    judges: FigureJudges, row: dict[str, Any], told: bool
) -> None:
    assert bool(judges.refusals([row], NEWS, ()).findings) is told


def test_refusals_are_over_when_they_were_replayed_and_not_by_growing_old(judges: FigureJudges) -> None:
    finding = only(judges.refusals([refused(50)], NEWS, ()))
    assert (finding.asset, finding.observed) == ("raw/billing", Amount(value=50, unit="percent"))
    assert judges.refusals([refused(0)], NEWS, [finding]).found_right == {finding.fingerprint}
    later = News(DAY + timedelta(days=30), "Europe/Amsterdam", NOW)
    assert judges.refusals([refused(50)], later, [finding]) == Observation(())


def test_before_anything_is_built_there_is_no_table_and_nothing_to_judge(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    assert tables_there(warehouse) == frozenset()
    warehouse.replace_table("ops.other", pa.table({"day": [DAY]}))
    assert tables_there(warehouse) == {"ops.other"}


def rows_of(rows: Iterable[dict[str, Any]], **casts: pa.DataType) -> pa.Table:
    table = pa.Table.from_pylist(list(rows))
    for name, kind in casts.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    return table


def test_the_tables_are_read_back_to_what_is_known_and_rules_look_at(tmp_path: Path, catalog: Catalog) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    old = DAY - timedelta(days=20)
    warehouse.replace_table("ops.ledger", rows_of([refused(1), refused(2, day=old)]))
    warehouse.replace_table("ops.sla_attainment", as_table([]))
    warehouse.replace_table("kpi.kpi_anomalies", rows_of([figure(), figure(series="channel=paid"), figure(day=old)]))
    known = Finding(failure=Failure.DEAD_LETTERS, asset="raw/billing", dataset="raw.billing", day=old, since=NOW)
    assert [row["day"] for row in ledger_rows(warehouse, NEWS, ())] == [DAY]
    assert [row["day"] for row in ledger_rows(warehouse, NEWS, [known])] == [old, DAY]
    assert [row["day"] for row in figure_rows(warehouse, catalog, NEWS)] == [old, DAY]
    assert attainment_rows(warehouse, NEWS, ()) == []
