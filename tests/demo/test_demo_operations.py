"""Equipment, rentals and transports of the demo: every step legal, in order, and as busy as a real fleet."""

from __future__ import annotations

from datetime import timedelta
from statistics import mean

from demo_history import History, Properties, moment

from analytics_platform.demo.fleet import LEGAL_STEPS

# One worker simulates the history once.
ON_RENT = {"checked_out", "in_transit", "on_site"}


def _steps(history: History) -> dict[str, list[Properties]]:
    """Each item's steps in the order of `status_seq`, by scans and by the backend together."""
    steps: dict[str, list[Properties]] = {}
    for event in ("scan.completed", "equipment.status_changed"):
        for item, found in history.grouped(event, "equipment_id").items():
            steps.setdefault(item, []).extend(found)
    return {item: sorted(found, key=lambda step: step["status_seq"]) for item, found in steps.items()}


def _time(step: Properties) -> str:
    at: str = step.get("scanned_at") or step["changed_at"]
    return at


def test_status_seq_grows_by_one_with_every_step_of_an_item(histories: list[History]) -> None:
    for history in histories:
        for steps in _steps(history).values():
            numbers = [step["status_seq"] for step in steps]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_every_step_is_legal_and_starts_where_the_last_ended(histories: list[History]) -> None:
    for history in histories:
        registered = history.by_id("equipment.registered", "equipment_id")
        for item, steps in _steps(history).items():
            status = registered[item]["status"]
            for step in steps:
                assert step["from_status"] == status
                status = step["to_status"]
                assert status in LEGAL_STEPS[step["from_status"]]


def test_later_steps_happen_later(histories: list[History]) -> None:
    for history in histories:
        for steps in _steps(history).values():
            times = [_time(step) for step in steps]
            assert times == sorted(set(times))


def test_some_scans_were_queued_offline(histories: list[History]) -> None:
    for history in histories:
        queued = [scan["offline_queued_ms"] for scan in history.events["scan.completed"] if "offline_queued_ms" in scan]
        assert 0.01 < len(queued) / len(history.events["scan.completed"]) < 0.1


def test_utilisation_is_that_of_a_healthy_fleet_with_a_season(histories: list[History]) -> None:
    for history in histories:
        january, june = _utilisation(history, "2026-01-2"), _utilisation(history, "2026-06-2")
        assert 0.35 < january < june < 0.85, (history.tenant_id, january, june)


def _utilisation(history: History, days: str) -> float:
    """The mean share of the fleet on rent at the ends of the ten days that begin with a text."""
    registered = history.by_id("equipment.registered", "equipment_id")
    steps = _steps(history)
    shares = []
    for day in range(10):
        close, statuses = f"{days}{day}T22:00:00.000+00:00", []
        for item, first in registered.items():
            before = [step["to_status"] for step in steps.get(item, []) if _time(step) < close]
            statuses.append(before[-1] if before else first["status"])
        fleet = [status for status in statuses if status not in ("lost", "retired")]
        shares.append(sum(status in ON_RENT for status in fleet) / len(fleet))
    return mean(shares)


def test_items_go_out_for_bookings_that_were_confirmed(histories: list[History]) -> None:
    for history in histories:
        bookings = history.by_id("booking.confirmed", "booking_id")
        out = [scan for scan in history.events["scan.completed"] if scan["to_status"] == "checked_out"]
        assert out
        assert all(scan["booking_id"] in bookings for scan in out)


def test_a_rental_ends_after_it_starts(histories: list[History]) -> None:
    for history in histories:
        for booking in history.events["booking.confirmed"]:
            assert moment(booking["rental_start"]) < moment(booking["rental_end"])


def test_transports_are_scheduled_then_leave_then_arrive(histories: list[History]) -> None:
    for history in histories:
        scheduled = history.by_id("transport.scheduled", "transport_id")
        departed = history.by_id("transport.departed", "transport_id")
        cancelled = history.by_id("transport.cancelled", "transport_id")
        assert departed.keys() <= scheduled.keys()
        assert not departed.keys() & cancelled.keys()
        for trip, arrival in history.by_id("transport.arrived", "transport_id").items():
            assert moment(arrival["arrived_at"]) > moment(departed[trip]["departed_at"])
        for departure in departed.values():
            assert departure["loaded_items"] <= departure["expected_items"]


def _punctual(history: History, month: str, warehouse: str = "wh-") -> float:
    departed = history.by_id("transport.departed", "transport_id")
    planned = [
        trip
        for trip in history.events["transport.scheduled"]
        if trip["planned_departure_at"].startswith(month) and trip["warehouse_id"].startswith(warehouse)
    ]
    on_time = [trip for trip in planned if trip["transport_id"] in departed and _delay(departed[trip["transport_id"]])]
    return len(on_time) / len(planned)


def _delay(departure: Properties) -> bool:
    late = moment(departure["departed_at"]) - moment(departure["planned_departure_at"])
    return late < timedelta(minutes=15)


def test_departures_are_mostly_on_time(histories: list[History]) -> None:
    for history in histories:
        assert 0.82 < _punctual(history, "2026-0") < 0.97, history.tenant_id


def test_groningen_has_a_bad_month(history_of: dict[str, History]) -> None:
    rigging = history_of["noord-rigging"]
    assert _punctual(rigging, "2026-07", "wh-groningen") < 0.78 < _punctual(rigging, "2026-04", "wh-groningen")
    assert _punctual(rigging, "2026-07", "wh-zwolle") > 0.82
