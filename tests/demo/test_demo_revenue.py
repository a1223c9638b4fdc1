"""Money of the demo: subscriptions that add up, invoices that are asked for before they are paid."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import pairwise

from demo_history import History, Properties, moment

# One worker simulates the history once.


def _amounts(history: History) -> dict[str, list[tuple[datetime, int]]]:
    """Per subscription, from when it was worth how much a month."""
    amounts = defaultdict(list)
    for event, time, amount in (
        ("subscription.started", "started_at", "mrr_minor"),
        ("subscription.changed", "changed_at", "mrr_after_minor"),
    ):
        for properties in history.events[event]:
            amounts[properties["subscription_id"]].append((moment(properties[time]), properties[amount]))
    for properties in history.events["subscription.cancelled"]:
        amounts[properties["subscription_id"]].append((moment(properties["effective_at"]), 0))
    return {subscription: sorted(found) for subscription, found in amounts.items()}


def _mrr(history: History, at: str) -> int:
    before = [[amount for since, amount in found if since <= moment(at)] for found in _amounts(history).values()]
    return sum(amounts[-1] for amounts in before if amounts)


def test_the_opening_night_already_has_a_business(histories: list[History]) -> None:
    for history in histories:
        assert _mrr(history, "2025-11-22T00:00:00Z") > 5_000_00
        assert len(history.events["equipment.registered"]) >= 60


def test_monthly_recurring_revenue_moves_and_nowhere_wildly(histories: list[History]) -> None:
    for history in histories:
        ends = [_mrr(history, f"2026-{month:02d}-01T00:00:00Z") for month in range(1, 8)]
        changes = [after / before for before, after in pairwise(ends)]
        assert all(0.7 < change < 1.4 for change in changes), (history.tenant_id, changes)
        assert changes.count(1.0) <= 1, "a small tenant may have a month without a movement, not two"


def test_movements_start_from_what_the_subscription_was_worth(histories: list[History]) -> None:
    for history in histories:
        amounts = _amounts(history)
        changed = [(each, "changed_at", "mrr_before_minor") for each in history.events["subscription.changed"]]
        lost = [(each, "effective_at", "mrr_lost_minor") for each in history.events["subscription.cancelled"]]
        for properties, time, amount in changed + lost:
            at = moment(properties[time])
            before = [worth for since, worth in amounts[properties["subscription_id"]] if since < at]
            assert before[-1] == properties[amount]


def test_trials_are_free_until_they_convert(histories: list[History]) -> None:
    for history in histories:
        trials = [each for each in history.events["subscription.started"] if each["plan"] == "trial"]
        assert trials
        assert all(trial["mrr_minor"] == 0 for trial in trials)
        assert all(each["mrr_minor"] > 0 for each in history.events["subscription.started"] if each not in trials)


def test_there_are_annual_plans_and_returning_customers(histories: list[History]) -> None:
    started = [each for history in histories for each in history.events["subscription.started"]]
    assert {each["interval"] for each in started} == {"monthly", "annual"}
    cancelled = {each["customer_ref"] for history in histories for each in history.events["subscription.cancelled"]}
    assert any(each["customer_ref"] in cancelled for each in started)


def test_invoices_charge_bookings_that_were_confirmed(histories: list[History]) -> None:
    for history in histories:
        bookings = history.by_id("booking.confirmed", "booking_id")
        for invoice in history.events["invoice.issued"]:
            assert invoice["booking_id"] in bookings
            assert invoice["customer_ref"] == bookings[invoice["booking_id"]]["customer_ref"]
            assert invoice["tax_minor"] < invoice["amount_minor"]
            assert moment(invoice["issued_at"]) < moment(invoice["due_at"])


def test_what_happens_to_an_invoice_happens_after_it_was_issued(histories: list[History]) -> None:
    times = {
        "invoice.paid": "paid_at",
        "invoice.credited": "credited_at",
        "invoice.voided": "voided_at",
        "invoice.written_off": "written_off_at",
    }
    for history in histories:
        issued = history.by_id("invoice.issued", "invoice_id")
        for event, time in times.items():
            for properties in history.events[event]:
                assert moment(properties[time]) > moment(issued[properties["invoice_id"]]["issued_at"])


def test_an_invoice_is_fully_paid_exactly_when_nothing_is_left(histories: list[History]) -> None:
    for history in histories:
        issued = history.by_id("invoice.issued", "invoice_id")
        credited = history.grouped("invoice.credited", "invoice_id")
        for invoice, payments in history.grouped("invoice.paid", "invoice_id").items():
            owed = issued[invoice]["amount_minor"] - _total(credited[invoice])
            payments.sort(key=lambda payment: moment(payment["paid_at"]))
            assert payments[-1]["fully_paid"] == (_total(payments) >= owed)
            assert not any(payment["fully_paid"] for payment in payments[:-1])


def _total(events: list[Properties]) -> int:
    return sum(event["amount_minor"] for event in events)


def test_void_and_written_off_invoices_are_never_paid(histories: list[History]) -> None:
    for history in histories:
        paid = {payment["invoice_id"] for payment in history.events["invoice.paid"]}
        ended = history.events["invoice.voided"] + history.events["invoice.written_off"]
        assert not paid & {each["invoice_id"] for each in ended}


def test_reminders_name_what_is_open_before_the_first_payment(histories: list[History]) -> None:
    for history in histories:
        issued = history.by_id("invoice.issued", "invoice_id")
        for reminder in history.events["invoice.overdue"]:
            assert 0 < reminder["outstanding_minor"] <= issued[reminder["invoice_id"]]["amount_minor"]
            assert reminder["days_overdue"] in (7, 21, 45, 90)


def test_most_of_what_fell_due_in_spring_is_collected(histories: list[History]) -> None:
    for history in histories:
        paid = history.grouped("invoice.paid", "invoice_id")
        due = [each for each in history.events["invoice.issued"] if "2026-03" <= each["due_at"][:7] <= "2026-05"]
        collected = sum(min(each["amount_minor"], _total(paid[each["invoice_id"]])) for each in due)
        assert 0.85 < collected / _total(due) < 0.999, history.tenant_id
