"""The product itself: funnels in the app (`ui.flow_step`) and samples of the backend's requests (`http.request`).

A sample, not the traffic: enough to draw a funnel and a latency chart, a small share of the demo's messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from analytics_platform.demo.clock import office_demand
from analytics_platform.demo.customers import Customer, CustomerRegister
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.journal import Fact, Source, Value, World

_FLOW_RUNS_A_DAY = 1.9
_REQUESTS_A_DAY = 3.0

# The steps of a flow, each with the share of visitors that completes it.
_FLOWS: dict[str, tuple[tuple[str, float], ...]] = {
    "create_booking": (("choose_dates", 0.93), ("choose_items", 0.81), ("delivery", 0.9), ("confirm", 0.86)),
    "extend_rental": (("choose_booking", 0.95), ("new_end", 0.88), ("confirm", 0.91)),
    "invite_colleague": (("enter_role", 0.9), ("send_invite", 0.84)),
    "upgrade_plan": (("compare_plans", 0.52), ("choose_plan", 0.6), ("confirm", 0.72)),
}
_FLOW_MIX = {"create_booking": 5.0, "extend_rental": 2.0, "invite_colleague": 1.0, "upgrade_plan": 1.4}
_ERRORS = ("items_unavailable", "validation", "timeout")

# Method, route, median milliseconds.
_ROUTES = (
    ("GET", "/api/bookings", 85.0),
    ("GET", "/api/bookings/{booking_id}", 48.0),
    ("POST", "/api/bookings", 210.0),
    ("GET", "/api/equipment/availability", 160.0),
    ("POST", "/api/scans", 35.0),
    ("GET", "/api/invoices/{invoice_id}", 62.0),
    ("GET", "/healthz", 3.0),
)
_STATUSES = {200: 905.0, 201: 45.0, 304: 12.0, 404: 14.0, 422: 12.0, 429: 4.0, 500: 5.0, 503: 3.0}
_ERROR_CLASSES = {500: "UnhandledError", 503: "DatabaseUnavailable"}


def simulate_product(world: World, register: CustomerRegister) -> None:
    """Tells the flows that customers went through and the sampled requests."""
    for day in world.days():
        known = [customer for customer in register.customers if customer.buys_on(world.clock.at(day, 0))]
        dice = world.dice("product", day)
        for _ in range(dice.poisson(_FLOW_RUNS_A_DAY * office_demand(day))):
            world.tell(_flow(world, day, dice.choice(known), dice))
        for _ in range(dice.poisson(_REQUESTS_A_DAY * (0.3 + 0.7 * office_demand(day)))):
            world.tell([_request(world, day, dice.choice(known), dice)])


def _flow(world: World, day: date, customer: Customer, dice: Dice) -> Iterator[Fact]:
    """Step after step until one is not completed."""
    flow, run_id, user = dice.pick(_FLOW_MIX), dice.name("run"), customer.contact(dice)
    at = world.clock.at(day, dice.triangular(420, 1320, 680))
    for step, completes in _FLOWS[flow]:
        took = dice.skewed(14_000, 0.8)
        at += timedelta(milliseconds=int(took))
        outcome = "completed" if dice.chance(completes) else dice.pick({"abandoned": 8.0, "failed": 2.0})
        properties: dict[str, Value] = {
            "flow": flow,
            "step": step,
            "outcome": outcome,
            "flow_run_id": run_id,
            "duration_ms": int(took),
            "project_id": customer.project_id,
        }
        if outcome == "failed":
            properties["error_code"] = dice.choice(_ERRORS)
        yield Fact(at, "ui.flow_step", properties, Source.APP, user, f"anon-{user}")
        if outcome != "completed":
            return


def _request(world: World, day: date, customer: Customer, dice: Dice) -> Fact:
    method, route, median = dice.choice(_ROUTES)
    status = dice.pick(_STATUSES)
    at: datetime = world.clock.at(day, dice.triangular(1, 1438, 800))
    properties: dict[str, Value] = {
        "request_id": dice.name("req"),
        "method": method,
        "route": route,
        "status": 200 if status == 201 and method == "GET" else status,
        "duration_ms": round(dice.skewed(median * (6 if status >= 500 else 1), 0.6), 2),
        "trace_id": f"{dice.getrandbits(128):032x}",
    }
    if route != "/healthz":
        properties["caller_ref"] = customer.contact(dice)
    if status in _ERROR_CLASSES:
        properties["error_class"] = _ERROR_CLASSES[status]
    return Fact(at, "http.request", properties)
