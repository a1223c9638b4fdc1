"""Raw billing events against gold: equal to the cent, and every way of being unequal shows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from review_tables import Tables, billing

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.billing_source import BillingSource
from analytics_platform.governance.review.content import Total
from analytics_platform.governance.review.control_totals import converted

JULY = datetime(2026, 7, 10, 12, tzinfo=UTC)
LAST = date(2026, 9, 30)
ZONES = {"delta-events": "Europe/Amsterdam"}


def totals(tables: Tables, catalog: Catalog) -> dict[str, Total]:
    return {total.name: total for total in tables.content(catalog).control_totals.totals}


def source(*rows: Any) -> BillingSource:
    return BillingSource(rows, ZONES)


def issued(name: str = "i1", amount: int = 1000, when: datetime = JULY, **said: Any) -> Any:
    return billing(
        "invoice.issued", when, message=f"m-{name}", invoice_id=name, amount_minor=amount, **{"currency": "EUR", **said}
    )


def paid(amount: int, when: datetime = JULY, **said: Any) -> Any:
    told = {"invoice_id": "i1", "currency": "EUR", "payment_id": "p1", "message": f"p-{amount}-{when}", **said}
    return billing("invoice.paid", when, amount_minor=amount, **told)


def summed(sums: Any) -> int:
    return sum(sums.values())


def test_source_and_gold_agree_to_the_cent_in_both_currencies(tables: Tables, declared: Catalog) -> None:
    found = totals(tables, declared)
    assert len(found) == 5
    assert all(total.agrees for total in found.values())
    owed = found["receivables at the close"]
    assert (owed.source_minor, owed.source_eur_minor, owed.difference_eur_minor) == (600, 690, 0)
    assert found["payments in the quarter"].source_eur_minor == 460


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("update kpi.kpi_receivables set receivables_minor = 601", "receivables at the close"),
        ("update kpi.kpi_receivables set receivables_reporting_minor = 691", "receivables at the close"),
        ("update kpi.kpi_mrr set mrr_minor = 998", "MRR at the close"),
        ("update marts.fct_invoice_spans set total_minor = 1001", "invoiced in the quarter"),
        ("update marts.fct_invoice_spans set paid_minor = 401 where paid_minor = 400", "payments in the quarter"),
        ("update marts.fct_invoice_spans set credited_minor = 1 where paid_minor = 400", "credit notes in the quarter"),
        ("delete from marts.fct_invoice_spans", "invoiced in the quarter"),
        ("delete from raw.billing where event = 'subscription.started'", "MRR at the close"),
    ],
)
def test_a_cent_of_difference_on_either_side_shows(tables: Tables, declared: Catalog, change: str, name: str) -> None:
    tables.run(change)
    off = {total.name for total in totals(tables, declared).values() if not total.agrees}
    assert name in off


def test_without_a_rate_the_amount_in_eur_is_not_known(tables: Tables, declared: Catalog) -> None:
    tables.run("delete from marts.fx_rates where month = date '2026-09-01'")
    tables.run("update kpi.kpi_mrr set mrr_reporting_minor = null")
    found = totals(tables, declared)["MRR at the close"]
    assert (found.source_eur_minor, found.gold_eur_minor, found.difference_eur_minor) == (None, None, None)
    assert found.difference_minor == 0


def test_a_balance_whose_day_was_not_built_is_not_measured(tables: Tables, declared: Catalog) -> None:
    tables.run("delete from kpi.kpi_mrr")
    control = tables.content(declared).control_totals
    assert control.missing == ("MRR at the close: kpi.kpi_mrr has no row of 2026-09-30",)
    assert "MRR at the close" not in {total.name for total in control.totals}


def test_without_a_table_no_total_is_made_up(tmp_path: Path, declared: Catalog) -> None:
    control = Tables(tmp_path / "w.duckdb", without=["kpi.kpi_mrr"]).content(declared).control_totals
    assert control.totals == ()
    assert control.missing == ("all control totals: the table kpi.kpi_mrr does not exist",)


def test_a_payment_counts_once_however_often_it_is_reported() -> None:
    again = source(issued(), paid(400), paid(999, JULY.replace(hour=15)))
    assert summed(again.receivables(LAST)) == 600


def test_an_invoice_counts_once_and_the_first_report_decides() -> None:
    assert summed(source(issued(), issued("i1", 5000, JULY.replace(hour=13))).invoiced(date(2026, 7, 1), LAST)) == 1000


def test_a_payment_in_another_currency_does_not_count() -> None:
    assert summed(source(issued(), paid(400, currency="GBP")).receivables(LAST)) == 1000


def test_a_deposit_counts_from_the_day_of_its_invoice() -> None:
    early = source(issued(), paid(400, datetime(2026, 6, 1, tzinfo=UTC)))
    assert summed(early.paid(date(2026, 7, 1), LAST)) == 400
    assert summed(early.paid(date(2026, 6, 1), date(2026, 6, 30))) == 0


def test_overpayment_owes_nothing_and_is_no_credit() -> None:
    assert summed(source(issued(), paid(1500)).receivables(LAST)) == 0


def test_a_void_invoice_owes_nothing_from_then_on() -> None:
    void = billing("invoice.voided", datetime(2026, 8, 1, tzinfo=UTC), message="v", invoice_id="i1", amount_minor=1000)
    voided = source(issued(), void)
    assert summed(voided.receivables(date(2026, 7, 31))) == 1000
    assert summed(voided.receivables(date(2026, 8, 1))) == 0


def test_a_credit_note_lowers_what_is_owed() -> None:
    credit = billing(
        "invoice.credited", JULY, message="c", invoice_id="i1", amount_minor=300, currency="EUR", credit_id="c1"
    )
    assert summed(source(issued(), credit).receivables(LAST)) == 700


def test_a_day_ends_at_the_tenants_own_midnight() -> None:
    late = source(issued(when=datetime(2026, 9, 30, 22, 30, tzinfo=UTC)))  # half past midnight in Amsterdam
    assert summed(late.invoiced(date(2026, 7, 1), LAST)) == 0
    assert summed(late.invoiced(date(2026, 10, 1), date(2026, 10, 1))) == 1000


def test_mrr_is_what_the_newest_fact_says_and_a_cancellation_ends_it() -> None:
    same = {"subscription_id": "s1", "currency": "EUR"}
    started = billing("subscription.started", JULY, message="a", mrr_minor=100, **same)
    changed = billing("subscription.changed", JULY, message="b", mrr_after_minor=150, **same)
    ended = billing("subscription.cancelled", datetime(2026, 8, 5, tzinfo=UTC), message="c", **same)
    facts = source(ended, changed, started)
    assert summed(facts.mrr(date(2026, 8, 4))) == 150
    assert summed(facts.mrr(date(2026, 8, 5))) == 0


@pytest.mark.parametrize(("minor", "eur"), [(1, 1), (3, 3), (10, 12), (-10, -12), (30, 35)])
def test_amounts_are_converted_exactly_and_rounded_half_away_from_zero(minor: int, eur: int) -> None:
    assert converted(minor, Decimal("1.15")) == eur
