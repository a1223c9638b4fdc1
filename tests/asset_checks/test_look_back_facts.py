"""The facts about promises and their verdicts, each with a case that holds and one that does not."""

from dataclasses import asdict
from datetime import date, timedelta

import pytest
from quality_tables import DAY, a_check, a_promise

from analytics_platform.insights.promises import NOT_BUILT, Attainment
from asset_checks.factory import Facts
from asset_checks.look_back import (
    evaluations_are_complete,
    evaluations_are_there_once,
    promises_are_kept,
    verdicts_agree_with_their_times,
)


def kept(*rows: Attainment) -> Facts:
    return promises_are_kept([asdict(row) for row in rows])


def agreeing(*rows: Attainment) -> Facts:
    return verdicts_agree_with_their_times([asdict(row) for row in rows])


def test_promises_that_were_kept_or_are_not_judged_hold() -> None:
    facts = kept(a_promise(), a_promise(tenant_id="delta-events", is_attained=None))
    assert facts.passed
    assert (facts.checked, facts.failed) == (1, 0)
    assert facts.counts == {"judged_promises": 1, "broken_promises": 0, "open_promises": 1}


def test_broken_promises_are_named_newest_first_and_causes_before_what_is_made_from_them() -> None:
    rows = [
        a_promise(is_attained=False),
        a_promise(DAY + timedelta(1), is_attained=False, dataset="kpi.kpi_mrr", cause="raw.billing"),
        a_promise(DAY + timedelta(1), is_attained=False, dataset="raw.billing"),
        a_promise(DAY + timedelta(1)),
    ]
    facts = kept(*rows)
    assert not facts.passed
    assert (facts.checked, facts.failed) == (4, 3)
    assert list(facts.offenders) == [
        "2026-03-03 brabant-rental raw.billing: complete_by_deadline, late",
        "2026-03-03 brabant-rental kpi.kpi_mrr: complete_by_deadline, late",
        "2026-03-02 brabant-rental kpi.kpi_mrr: complete_by_deadline, late",
    ]


def test_verdicts_that_their_times_bear_out_hold() -> None:
    never = a_promise(is_attained=False, attained_at=None, reason=NOT_BUILT, dataset="raw.billing")
    assert agreeing(a_promise(), never, a_promise(is_attained=None, dataset="kpi.kpi_nps")).passed


@pytest.mark.parametrize(
    "wrong",
    [
        a_promise(attained_at=None),
        a_promise(attained_at=a_promise().promised_at + timedelta(seconds=1)),
        a_promise(is_attained=False, attained_at=a_promise().promised_at),
        a_promise(is_attained=None, reason="late"),
        a_promise(is_attained=None, attained_at=a_promise().promised_at),
    ],
)
def test_a_verdict_that_its_times_do_not_bear_out_is_found(wrong: Attainment) -> None:
    facts = agreeing(wrong, a_promise(date(2026, 1, 5)))
    assert not facts.passed
    assert (facts.checked, facts.failed) == (2, 1)


def test_a_promise_that_is_judged_twice_is_found() -> None:
    assert not agreeing(a_promise(), a_promise(is_attained=False)).passed


def test_evaluations_that_are_recorded_once_hold_and_twice_do_not() -> None:
    rows = [a_check(), a_check(partition="2026-02-02")]
    assert evaluations_are_there_once(rows).passed
    facts = evaluations_are_there_once([*rows, rows[0]])
    assert (facts.passed, facts.checked, facts.failed) == (False, 2, 1)


def test_what_the_log_has_must_be_recorded_and_what_it_has_no_more_may_be() -> None:
    first, second = a_check(), a_check(partition="2026-02-02")
    assert evaluations_are_complete([first], [first, second]).passed
    facts = evaluations_are_complete([first, second], [first])
    assert (facts.passed, facts.checked, facts.failed) == (False, 2, 1)
    assert list(facts.offenders) == ["run-2026-03-02 kpi/revenue/kpi_mrr mrr_movements_reconcile 2026-02-02"]
