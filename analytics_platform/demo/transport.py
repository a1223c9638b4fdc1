"""Trips between a warehouse and a site: scheduled, departed (early, on time or late, with a reason), arrived.

Belongs here: how punctual a trip is. Stays out: what is on board, which is the rental's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics_platform.demo.clock import DAY
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.journal import Fact, Properties, Source, Value, World
from analytics_platform.demo.profiles import Plot

_CANCELLED_SHARE = 0.011
_UNREPORTED_SHARE = 0.004  # the vehicle's box is broken: it drove, but nobody heard of it
_REASONS = {
    "traffic": 34.0, "loading_overrun": 26.0, "missing_items": 14.0, "driver_late": 12.0, "vehicle_breakdown": 8.0,
    "weather": 6.0,
}  # fmt: skip
_WINTER_REASONS = {**_REASONS, "weather": 22.0}
_CANCEL_REASONS = {"vehicle_breakdown": 5.0, "driver_ill": 4.0, "customer_request": 4.0, "road_closed": 1.0}


@dataclass(frozen=True)
class Trip:
    """How a trip went: None for `departed_at` and `arrived_at` when it did not take place or was not reported."""

    transport_id: str
    planned_departure_at: datetime
    planned_arrival_at: datetime
    departed_at: datetime | None = None
    arrived_at: datetime | None = None


@dataclass(frozen=True)
class Order:
    """What is asked of a trip; `context` are the project and the value of its booking."""

    warehouse_id: str
    direction: str
    planned_departure_at: datetime
    booked_at: datetime
    items: int
    context: Properties


def drive(world: World, order: Order, dice: Dice, called_off_at: datetime | None = None) -> Trip:
    """Tells one trip and answers how it went; `called_off_at`: the booking was cancelled before."""
    road = timedelta(minutes=min(300.0, 15 + dice.skewed(60, 0.6)))
    trip = Trip(dice.name("trp"), order.planned_departure_at, order.planned_departure_at + road * 1.1)
    scheduled = _scheduled(world, order, trip, dice)
    if called_off_at is not None:
        world.tell([scheduled, _cancelled(order, trip, called_off_at, "booking_cancelled")])
        return trip
    fate = dice.random()
    if fate < _CANCELLED_SHARE:
        cancelled_at = order.planned_departure_at - timedelta(minutes=dice.uniform(15, 600))
        cancelled_at = max(cancelled_at, scheduled.at + timedelta(minutes=2))
        world.tell([scheduled, _cancelled(order, trip, cancelled_at, dice.pick(_CANCEL_REASONS))])
        return trip
    if fate < _CANCELLED_SHARE + _UNREPORTED_SHARE:
        world.tell([scheduled], is_running=order.planned_departure_at >= world.opening)
        return trip
    return _go(world, order, trip, scheduled, road, dice)


def _go(world: World, order: Order, trip: Trip, scheduled: Fact, road: timedelta, dice: Dice) -> Trip:
    minutes, reason = _delay(world, order, dice)
    departed_at = order.planned_departure_at + timedelta(seconds=round(60 * minutes))
    arrived_at = departed_at + timedelta(seconds=round(road.total_seconds() * dice.uniform(0.88, 1.25)))
    short = 1 if order.items > 1 and dice.chance(0.02) else 0
    departed: dict[str, Value] = {
        "transport_id": trip.transport_id,
        "warehouse_id": order.warehouse_id,
        "planned_departure_at": order.planned_departure_at,
        "departed_at": departed_at,
        "loaded_items": order.items - short,
        "expected_items": order.items,
        **order.context,
    }
    if reason is not None:
        departed["delay_reason"] = reason
    arrived: dict[str, Value] = {
        "transport_id": trip.transport_id,
        "planned_arrival_at": trip.planned_arrival_at,
        "arrived_at": arrived_at,
        **order.context,
    }
    left = Fact(departed_at, "transport.departed", departed, Source.TELEMETRY)
    there = Fact(arrived_at, "transport.arrived", arrived, Source.TELEMETRY)
    world.tell([scheduled, left, there])
    return Trip(trip.transport_id, trip.planned_departure_at, trip.planned_arrival_at, departed_at, arrived_at)


def _delay(world: World, order: Order, dice: Dice) -> tuple[float, str | None]:
    """Minutes after plan (negative: early), and why if it is a quarter of an hour or more."""
    trouble = world.effect(Plot.LATE_DEPARTURES, order.planned_departure_at, order.warehouse_id)
    late_share = min(0.55, (1 - world.profile.on_time_share) * (trouble or 1.0))
    if not dice.chance(late_share):
        return dice.triangular(-14, 14.5, -1), None
    if trouble is not None and dice.chance(0.75):
        return 15 + dice.skewed(24, 0.7), "loading_overrun"
    is_winter = order.planned_departure_at.month in (12, 1, 2)
    return 15 + dice.skewed(16, 0.8), dice.pick(_WINTER_REASONS if is_winter else _REASONS)


def _scheduled(world: World, order: Order, trip: Trip, dice: Dice) -> Fact:
    day = world.clock.day_of(order.planned_departure_at) - DAY * dice.randrange(1, 6)
    planned_at = max(order.booked_at + timedelta(minutes=3), world.clock.at(day, dice.uniform(500, 1040)))
    planned_at = min(planned_at, order.planned_departure_at - timedelta(minutes=45))
    place = order.warehouse_id.removeprefix("wh-")[:3]
    properties: dict[str, Value] = {
        "transport_id": trip.transport_id,
        "warehouse_id": order.warehouse_id,
        "planned_departure_at": order.planned_departure_at,
        "vehicle_ref": f"veh_{place}_{dice.randrange(1, 7)}",
        "direction": order.direction,
        "driver_ref": f"drv_{place}_{dice.randrange(1, 10):02d}",
        **order.context,
    }
    return Fact(planned_at, "transport.scheduled", properties)


def _cancelled(order: Order, trip: Trip, at: datetime, reason: str) -> Fact:
    properties: dict[str, Value] = {
        "transport_id": trip.transport_id,
        "planned_departure_at": trip.planned_departure_at,
        "cancelled_at": at,
        "reason": reason,
        **order.context,
    }
    return Fact(at, "transport.cancelled", properties)
