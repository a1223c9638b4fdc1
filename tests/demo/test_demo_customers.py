"""Leads, answers and tickets of the demo: each in its order, each tenant with its own health."""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from demo_history import History, Properties, moment

# One worker simulates the history once.


def test_leads_are_created_then_qualified_then_converted(histories: list[History]) -> None:
    for history in histories:
        created = history.by_id("lead.created", "lead_id")
        qualified = history.by_id("lead.qualified", "lead_id")
        for lead_id, lead in qualified.items():
            assert moment(lead["qualified_at"]) > moment(created[lead_id]["created_at"])
            assert lead["channel"] == created[lead_id]["channel"]
        for lead in history.events["lead.converted"]:
            assert moment(lead["converted_at"]) > moment(qualified[lead["lead_id"]]["qualified_at"])


def test_a_conversion_names_the_subscription_or_booking_that_it_became(histories: list[History]) -> None:
    for history in histories:
        subscriptions = history.by_id("subscription.started", "subscription_id")
        bookings = history.by_id("booking.confirmed", "booking_id")
        for lead in history.events["lead.converted"]:
            became = subscriptions if lead["converted_to"] == "subscription" else bookings
            origin = became[lead[f"{lead['converted_to']}_id"]]
            assert origin["lead_id"] == lead["lead_id"]
            assert origin["acquisition_channel"] == lead["channel"]


def test_a_converted_booking_is_worth_what_the_conversion_says(histories: list[History]) -> None:
    for history in histories:
        bookings = history.by_id("booking.confirmed", "booking_id")
        for lead in history.events["lead.converted"]:
            if lead["converted_to"] == "booking":
                assert bookings[lead["booking_id"]]["booking_value_minor"] == lead["booking_value_minor"]


def test_a_plausible_share_of_leads_converts_within_ninety_days(histories: list[History]) -> None:
    for history in histories:
        converted = history.by_id("lead.converted", "lead_id")
        leads = [lead for lead in history.events["lead.created"] if "2025-12" <= lead["created_at"][:7] <= "2026-04"]
        won = [
            lead
            for lead in leads
            if lead["lead_id"] in converted
            and moment(converted[lead["lead_id"]]["converted_at"]) - moment(lead["created_at"]) < timedelta(days=90)
        ]
        assert 0.04 < len(won) / len(leads) < 0.28, history.tenant_id


def test_the_campaign_of_april_brings_leads(history_of: dict[str, History]) -> None:
    leads = history_of["brabant-rental"].events["lead.created"]
    of_campaign = [lead for lead in leads if lead.get("campaign") == "open_warehouse_days"]
    assert {lead["channel"] for lead in of_campaign} == {"paid_social"}
    assert len(of_campaign) > 25
    april, february = (sum(lead["created_at"].startswith(f"2026-{m}") for lead in leads) for m in ("04", "02"))
    assert april > 1.3 * february


def _nps(history: History, first: str, last: str) -> float:
    scores = [each["score"] for each in history.events["nps.submitted"] if first <= each["submitted_at"][:10] <= last]
    return 100 * (sum(score >= 9 for score in scores) - sum(score <= 6 for score in scores)) / len(scores)


def test_customers_recommend_the_tenants(histories: list[History]) -> None:
    for history in histories:
        assert 12 < _nps(history, "2025-12-01", "2026-04-15") < 70, history.tenant_id


def test_delta_has_an_unhappy_spring(history_of: dict[str, History]) -> None:
    delta = history_of["delta-events"]
    assert _nps(delta, "2026-04-25", "2026-06-12") < _nps(delta, "2025-12-01", "2026-04-15") - 20


def test_tickets_are_opened_then_resolved_then_perhaps_reopened(histories: list[History]) -> None:
    for history in histories:
        opened = history.by_id("ticket.opened", "ticket_id")
        resolutions = history.grouped("ticket.resolved", "ticket_id")
        for ticket_id, resolved in resolutions.items():
            assert all(moment(each["resolved_at"]) > moment(opened[ticket_id]["opened_at"]) for each in resolved)
        for reopened in history.events["ticket.reopened"]:
            before = [each for each in resolutions[reopened["ticket_id"]] if each["reopen_count"] == 0]
            assert moment(before[0]["resolved_at"]) < moment(reopened["reopened_at"])


def _hours(tickets: list[Properties]) -> list[float]:
    return [(moment(each["resolved_at"]) - moment(each["opened_at"])).total_seconds() / 3600 for each in tickets]


def test_half_of_the_tickets_are_resolved_within_two_days(histories: list[History]) -> None:
    for history in histories:
        assert 1 < median(_hours(history.events["ticket.resolved"])) < 48, history.tenant_id


def test_urgent_tickets_are_resolved_faster_than_others(histories: list[History]) -> None:
    opened = {key: each for history in histories for key, each in history.by_id("ticket.opened", "ticket_id").items()}
    by_priority = {
        priority: median(
            _hours(
                [
                    each
                    for history in histories
                    for each in history.events["ticket.resolved"]
                    if each["ticket_id"] in opened and opened[each["ticket_id"]]["priority"] == priority
                ]
            )
        )
        for priority in ("urgent", "low")
    }
    assert by_priority["urgent"] < by_priority["low"] / 2
