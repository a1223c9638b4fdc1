"""The badge of a number, given what checks found."""

from datetime import date, timedelta

import pytest

from analytics_platform.reporting.quality import Evaluation, badge

DAY = date(2026, 6, 30)
GOOD = Evaluation("kpi/kpi_nps", "keyed", True, "WARN")
WARNING = Evaluation("kpi/kpi_nps", "usual", False, "WARN")
BROKEN = Evaluation("kpi/kpi_nps", "adds_up", False, "ERROR")


@pytest.mark.parametrize(
    ("evaluations", "as_of", "state"),
    [
        ([GOOD], DAY, "fresh"),
        ([GOOD, WARNING], DAY, "fresh"),
        ([GOOD, BROKEN], DAY, "failing"),
        ([GOOD], DAY - timedelta(1), "late"),
        ([BROKEN], DAY - timedelta(1), "failing"),
        ([GOOD], None, "late"),
        ([], DAY, "unknown"),
        (None, DAY, "unknown"),
    ],
)
def test_a_failure_counts_for_more_than_lateness_and_a_warning_is_only_named(
    evaluations: list[Evaluation] | None, as_of: date | None, state: str
) -> None:
    assert badge(evaluations, as_of, DAY).state == state


def test_what_fails_is_named_and_what_was_checked_counted() -> None:
    told = badge([GOOD, WARNING, BROKEN], DAY, DAY).payload(with_causes=True)
    assert told["checked"] == 3
    assert [each["check"] for each in told["failing"]] == ["adds_up", "usual"]
    assert badge([BROKEN], DAY, DAY).payload(with_causes=False)["failing"] == []
