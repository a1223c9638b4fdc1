"""Alert rules over figures: what applies, to whom, and what it looks back on."""

from datetime import date, timedelta

import pytest

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.insights.alerts import Alert, KpiFigure, evaluate_alert_rules

DAY = date(2026, 3, 31)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def figures(kpi: str, *newest_first: float | None) -> list[KpiFigure]:
    return [KpiFigure(kpi, "delta-events", DAY - timedelta(n), value) for n, value in enumerate(newest_first)]


def alerts(catalog: Catalog, kpi: str, *newest_first: float | None) -> list[Alert]:
    return evaluate_alert_rules(catalog, figures(kpi, *newest_first), DAY)


def test_a_target_that_is_missed_for_days_alerts_the_owner(catalog: Catalog) -> None:
    (alert,) = alerts(catalog, "on_time_departures", 80.0, 81.0, 84.9)
    assert (alert.rule, alert.severity, alert.owner) == ("misses_its_target", "warning", "operations")
    assert (alert.observed, alert.bound) == (80.0, 85.0)
    assert "below 85 for 3 days" in alert.reason


@pytest.mark.parametrize("values", [(80.0, 81.0), (80.0, 85.0, 80.0), (80.0, None, 80.0), (86.0, 80.0, 80.0)])
def test_a_target_that_is_met_or_unknown_on_one_of_the_days_does_not(
    catalog: Catalog, values: tuple[float | None, ...]
) -> None:
    assert alerts(catalog, "on_time_departures", *values) == []


def test_where_less_is_better_more_than_the_target_alerts(catalog: Catalog) -> None:
    (alert,) = alerts(catalog, "ticket_resolution", 3000.0, 2500.0, 2200.0)
    assert alert.bound == 1440 + 720
    assert "above" in alert.reason


def test_a_limit_alerts_beyond_it_and_not_on_it(catalog: Catalog) -> None:
    assert [alert.rule for alert in alerts(catalog, "invoice_collection_rate", 69.9)] == ["collapsed"]
    assert alerts(catalog, "invoice_collection_rate", 70.0) == []


def test_a_fall_against_a_week_before_alerts_and_a_rise_does_not(catalog: Catalog) -> None:
    week = [None] * 6
    assert [alert.rule for alert in alerts(catalog, "mrr", 94_000.0, *week, 100_000.0)] == ["fell_in_a_week"]
    assert alerts(catalog, "mrr", 140_000.0, *week, 100_000.0) == []
    assert alerts(catalog, "mrr", 94_000.0, *week) == []


def test_later_figures_and_figures_without_a_value_are_not_looked_at(catalog: Catalog) -> None:
    later = KpiFigure("invoice_collection_rate", "all", DAY + timedelta(1), 1.0)
    assert evaluate_alert_rules(catalog, [later, *figures("invoice_collection_rate", None)], DAY) == []
