"""What a run proves wrong and right: the judges' side of the decision table."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from alert_examples import DAY, START, Desk, after
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_platform.alerting.findings import Amount, Failure, Finding, Observation
from analytics_platform.alerting.judges import (
    EVERYTHING,
    MOST_EACH,
    MOST_PARTITIONS,
    SPAN_DAYS,
    CheckSeen,
    Place,
    RunSeen,
    failure_of,
    judge_runs,
    place_of,
)
from analytics_platform.alerting.routing import Router
from analytics_platform.catalog import Catalog, Severity

MRR, LEDGER, RAW = "kpi/revenue/kpi_mrr", "ops/ledger", "raw/crm"
DATASETS = {MRR: "kpi.kpi_mrr", LEDGER: "ops.ledger", RAW: "raw.crm"}
WEEK = Place(DAY, DAY + timedelta(days=6))


def day(number: int) -> Place:
    return Place(DAY + timedelta(days=number), DAY + timedelta(days=number))


def check(passed: bool, place: Place = WEEK, asset: str = LEDGER, **changed: Any) -> CheckSeen:
    usual: dict[str, Any] = {
        "asset": asset,
        "dataset": DATASETS.get(asset, asset.replace("/", ".")),
        "check": "ledger_balances",
        "place": place,
        "is_summary": False,
        "passed": passed,
        "blocks": True,
        "at": START,
        "failed": 0 if passed else 2,
        "checked": 10,
    }
    return CheckSeen(**{**usual, **changed})


def summary(passed: bool, place: Place = WEEK, **changed: Any) -> CheckSeen:
    return check(passed, place, **{"is_summary": True, **changed})


def run(*checks: CheckSeen, minutes: int = 0, **changed: Any) -> RunSeen:
    usual: dict[str, Any] = {
        "run_id": f"run-{minutes}",
        "ended_at": after(minutes=minutes),
        "failed": False,
        "place": WEEK,
        "built": frozenset({LEDGER}),
        "checks": checks,
        "broke": None,
    }
    return RunSeen(**{**usual, **changed})


def judged(*runs: RunSeen, known: tuple[Finding, ...] = ()) -> Observation:
    return judge_runs(runs, known)


def found(*runs: RunSeen) -> tuple[Finding, ...]:
    return judged(*runs).findings


def test_a_failing_partition_is_found_where_it_is_with_what_was_counted() -> None:
    (finding,) = found(run(check(False, day(2)), check(True, day(1)), summary(False)))
    assert finding.fingerprint == (Failure.CHECK_FAILED, LEDGER, "ledger_balances", None, DAY + timedelta(days=2))
    assert (finding.observed, finding.promised) == (Amount(value=2, unit="failures"), Amount(value=0, unit="failures"))
    assert finding.together is None


def test_the_summary_beside_partitions_is_no_second_failure() -> None:
    assert len(found(run(check(False, day(2)), summary(False)))) == 1


def test_a_summary_alone_speaks_for_the_runs_days() -> None:
    (finding,) = found(run(summary(False)))
    assert finding.days == (DAY, DAY + timedelta(days=6))
    assert judged(run(summary(True, day(3))), known=(finding,)).found_right == frozenset()
    assert judged(run(summary(True)), known=(finding,)).found_right == {finding.fingerprint}


def test_a_summary_of_a_whole_table_is_of_no_day_and_the_next_one_decides() -> None:
    (finding,) = found(run(summary(False, EVERYTHING)))
    assert finding.day is None
    assert judged(run(summary(True, EVERYTHING)), known=(finding,)).found_right == {finding.fingerprint}


def test_what_could_not_run_over_a_week_is_right_when_all_of_its_days_are() -> None:
    (finding,) = found(run(summary(False, could_not_run=True)))
    assert finding.could_not_run
    assert finding.observed is None
    days = [check(True, day(n)) for n in range(7)]
    assert judged(run(*days, summary(True)), known=(finding,)).found_right == {finding.fingerprint}
    assert judged(run(days[0], place=day(0)), known=(finding,)).found_right == frozenset()


def test_a_share_that_may_fail_is_told_as_a_share() -> None:
    (finding,) = found(run(check(False, day(0), failed=3, checked=60, threshold=0.01)))
    assert (finding.observed, finding.promised) == (Amount(value=5, unit="percent"), Amount(value=1, unit="percent"))


@pytest.mark.parametrize("failing", [1, MOST_EACH, MOST_EACH + 1, 20])
def test_many_partitions_of_a_check_are_one_incident_and_each_is_listed(desk: Desk, failing: int) -> None:
    seen = judged(run(*(check(False, day(n)) for n in range(failing)), place=Place(DAY, DAY + timedelta(days=29))))
    assert len(seen.findings) == failing
    desk.see(seen)
    assert len(desk.incidents) == (failing if failing <= MOST_EACH else 1)
    assert sum(len(each.failing) for each in desk.incidents) == failing
    assert desk.said() == ["parent"] * len(desk.incidents)


def test_many_partitions_recover_one_by_one_and_the_incident_with_the_last(desk: Desk) -> None:
    desk.see(judged(run(*(check(False, day(n)) for n in range(6)))))
    known = desk.desk.wrong([Failure.CHECK_FAILED])
    assert desk.see(judged(run(*(check(True, day(n)) for n in range(5))), known=known), after(minutes=1)) == [
        "refreshed"
    ]
    assert desk.see(judged(run(check(True, day(5))), known=known), after(minutes=2)) == ["recovered"]


def test_a_run_that_a_check_failed_is_one_incident_with_it(desk: Desk) -> None:
    desk.see(judged(run(check(False, day(2)), summary(False), failed=True)))
    assert [each.failure for each in desk.incident.failing] == [Failure.CHECK_FAILED, Failure.RUN_FAILED]
    known = desk.desk.wrong(Failure)
    again = run(check(True, day(2)), place=day(2), minutes=9)
    assert desk.see(judged(again, known=known), after(minutes=9)) == ["recovered"]


def test_a_run_that_many_partitions_failed_is_one_incident_with_them(desk: Desk) -> None:
    desk.see(judged(run(*(check(False, day(n)) for n in range(7)), failed=True)))
    assert len(desk.incident.failing) == 8


def test_a_run_that_broke_is_found_in_each_of_its_partitions_and_told_once(desk: Desk) -> None:
    desk.see(judged(run(failed=True, broke=(MRR, DATASETS[MRR]), built=frozenset())))
    assert sorted(each.day for each in desk.incident.failing if each.day) == [DAY + timedelta(days=n) for n in range(7)]
    known = desk.desk.wrong([Failure.RUN_FAILED])
    other = run(built=frozenset({LEDGER}))
    assert judged(other, known=known).found_right == frozenset()
    part = run(built=frozenset({MRR}), place=day(3))
    assert judged(part, known=known).found_right == {each.fingerprint for each in known if each.day == day(3).first}
    assert desk.see(judged(run(built=frozenset({MRR})), known=known), after(minutes=9)) == ["recovered"]


def test_a_long_run_that_broke_is_found_by_its_span_and_tenants() -> None:
    tenants = ("albion-stage", "brabant-rental")
    long = Place(DAY, DAY + timedelta(days=MOST_PARTITIONS // 2), tenants)
    findings = found(run(failed=True, broke=(RAW, "raw.crm"), place=long))
    begins = [DAY + timedelta(days=n) for n in range(0, MOST_PARTITIONS // 2 + 1, SPAN_DAYS)]
    ends = [*(each - timedelta(days=1) for each in begins[1:]), long.last]
    spans = [*zip(begins, ends, strict=True)]
    assert [(each.tenant, each.days) for each in findings] == [(each, span) for span in spans for each in tenants]


@pytest.mark.parametrize("days", [2, 40, 400])
def test_an_incident_of_a_long_run_is_over_when_it_was_built_in_smaller_ones(desk: Desk, days: int) -> None:
    tenants = tuple(f"tenant-{n}" for n in range(20))
    long = Place(DAY, DAY + timedelta(days=days - 1), tenants)
    desk.see(judged(run(failed=True, broke=(RAW, "raw.crm"), place=long, built=frozenset())))
    built = frozenset({RAW})
    size = 1 if days == 2 else SPAN_DAYS
    for first in (DAY + timedelta(days=n) for n in range(0, days, size)):
        known = desk.desk.wrong([Failure.RUN_FAILED])
        part = Place(first, min(first + timedelta(days=size - 1), long.last or first), tenants)
        told = desk.see(judged(run(built=built, place=part), known=known), after(minutes=9))
    assert told == ["recovered"]


def test_a_run_that_died_without_a_step_is_told_by_what_it_was_to_build() -> None:
    (finding,) = found(run(failed=True, broke=(LEDGER, "ops.ledger"), place=EVERYTHING, built=frozenset()))
    assert (finding.failure, finding.asset, finding.day) == (Failure.RUN_FAILED, LEDGER, None)


def test_a_run_that_was_called_off_is_no_failure() -> None:
    assert judged(run(built=frozenset())) == Observation(())


def test_what_was_broken_and_mended_between_two_looks_is_no_news() -> None:
    broken, mended = run(check(False, day(1)), failed=True), run(check(True, day(1)), minutes=5)
    assert judged(mended, broken).findings == ()
    assert judged(broken, mended).findings == ()
    assert [each.run_id for each in found(mended, run(check(False, day(1)), minutes=9))] == ["run-9"]


def test_only_the_last_evaluation_of_a_place_counts() -> None:
    again = check(True, day(1), at=START + timedelta(seconds=1))
    assert found(run(check(False, day(1)), again)) == ()
    assert found(run(again, check(False, day(1)))) == ()


def test_warnings_about_anomalies_are_told_by_their_rows_unless_the_check_broke() -> None:
    warned = check(False, day(0), "kpi/kpi_anomalies", check="no_anomaly_in_mrr", blocks=False)
    assert found(run(warned)) == ()
    broke = check(False, day(0), "kpi/kpi_anomalies", check="no_anomaly_in_mrr", blocks=False, could_not_run=True)
    assert len(found(run(broke))) == 1


@pytest.mark.parametrize(
    ("asset", "failure"),
    [
        ("governance/retention_sweep", Failure.RETENTION),
        ("governance/erasure", Failure.RETENTION),
        ("governance/access_policies", Failure.ACCESS),
        ("governance/data_quality_review", Failure.CHECK_FAILED),
        ("kpi/growth/access_retention", Failure.CHECK_FAILED),
    ],
)
def test_governance_assets_say_what_they_look_after(asset: str, failure: Failure) -> None:
    assert failure_of(asset) is failure
    (finding,) = found(run(check(False, EVERYTHING, asset)))
    assert finding.failure is failure
    assert judged(run(check(True, EVERYTHING, asset)), known=(finding,)).found_right == {finding.fingerprint}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("2026-11-24", Place(DAY, DAY)),
        ("2026-11-24|delta-events", Place(DAY, DAY, ("delta-events",))),
        ("2026-10-01", Place(date(2026, 10, 1), date(2026, 10, 1))),
        ("some-request", EVERYTHING),
    ],
)
def test_partition_keys_are_places(key: str, place: Place) -> None:
    assert place_of(key) == place


@pytest.mark.parametrize(
    ("place", "tenant", "covered"),
    [
        (Place(DAY, DAY, ("delta-events",)), "delta-events", True),
        (Place(DAY, DAY, ("other",)), "delta-events", False),
        (Place(DAY, DAY, ("delta-events",)), None, False),
        (Place(DAY, DAY, ("delta-events", "other")), None, True),
        (Place(DAY, DAY), "delta-events", True),
        (day(1), "delta-events", False),
        (EVERYTHING, "delta-events", True),
    ],
)
def test_a_place_covers_what_lies_in_it(place: Place, tenant: str | None, covered: bool) -> None:
    finding = Finding(
        failure=Failure.CHECK_FAILED, asset=RAW, dataset="raw.crm", check="c", tenant=tenant, day=DAY, since=START
    )
    assert place.covers(finding) is covered


# What comes of an evaluation, by tier, by whether the check blocks, and by how it failed.
TIERS = {"gold": ("kpi.kpi_mrr", MRR), "silver": ("raw.crm", RAW), "bronze": ("raw.product", "raw/product")}
SEVERITIES: dict[tuple[str, bool], Severity] = {
    ("gold", True): "critical",
    ("gold", False): "warning",
    ("silver", True): "warning",
    ("silver", False): "warning",
    ("bronze", True): "warning",
    ("bronze", False): "info",
}


@pytest.mark.parametrize(("tier", "blocks", "broke"), [*product(TIERS, (True, False), (True, False))])
def test_the_severity_of_a_failed_check_follows_from_tier_and_blocking(
    catalog: Catalog, tier: str, blocks: bool, broke: bool
) -> None:
    dataset, asset = TIERS[tier]
    seen = run(check(False, day(0), asset, dataset=dataset, blocks=blocks, could_not_run=broke))
    (finding,) = found(seen)
    assert Router(catalog).route(finding).severity == SEVERITIES[tier, blocks]


@pytest.mark.parametrize(("tier", "severity"), [("gold", "critical"), ("silver", "warning"), ("bronze", "info")])
def test_the_severity_of_a_failed_run_is_its_tiers(catalog: Catalog, tier: str, severity: Severity) -> None:
    dataset, asset = TIERS[tier]
    findings = found(run(failed=True, broke=(asset, dataset)))
    assert {Router(catalog).route(each).severity for each in findings} == {severity}


DAYS = st.integers(0, 3)
CHECKS = st.lists(st.tuples(DAYS, st.booleans()), max_size=4)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CHECKS, st.booleans()), max_size=6))
def test_reading_by_and_by_comes_to_the_same_as_reading_at_once(
    history: list[tuple[list[tuple[int, bool]], bool]],
) -> None:
    runs = [
        run(*(check(passed, day(n)) for n, passed in checks), failed=failed, minutes=number, broke=(MRR, DATASETS[MRR]))
        for number, (checks, failed) in enumerate(history)
    ]
    at_once = {each.fingerprint for each in judged(*runs).findings}
    wrong: dict[object, Finding] = {}
    for each in runs:
        seen = judged(each, known=tuple(wrong.values()))
        wrong = {key: finding for key, finding in wrong.items() if key not in seen.found_right}
        wrong |= {finding.fingerprint: finding for finding in seen.findings}
    assert set(wrong) == at_once
