"""Bookings, and the equipment's way through each: reserved, picked, checked out, driven, used, returned, inspected.

Belongs here: which items go where and when. Stays out: how an item's step is reported (`fleet`), how punctual a trip
is (`transport`), what a booking is invoiced for (`invoicing`).

Rentals of the last quarter before the opening were imported with it, because their invoices are still being paid.
The fleet is hired out until as much of it is on rent as the season asks for, so utilisation follows the year, the
weekday and the tenant, and falls where too much stands in repair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from analytics_platform.demo.clock import DAY, LONGEST_NOTICE_DAYS, demand
from analytics_platform.demo.customers import Customer, CustomerRegister
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.fleet import Fleet, Item, in_service
from analytics_platform.demo.growth import Conversion
from analytics_platform.demo.journal import Fact, Value, World
from analytics_platform.demo.profiles import Plot
from analytics_platform.demo.transport import Order, Trip, drive

_RUN_UP_DAYS = 100
_LINES = {1: 10.0, 2: 18.0, 3: 20.0, 4: 17.0, 5: 13.0, 6: 9.0, 8: 8.0, 10: 5.0}
_DAYS = {1: 5.0, 2: 13.0, 3: 19.0, 4: 14.0, 5: 11.0, 7: 13.0, 10: 9.0, 14: 9.0, 21: 5.0, 28: 2.0}
_CANCELLED_SHARE = 0.045
_LATE_RETURN_SHARE = 0.05
_LOST_SHARE = 0.0012
_FAILED_INSPECTION_SHARE = 0.055
_RETIRED_SHARE = 0.03
_PURCHASES_A_DAY = 0.011 / 30  # of the fleet: what is lost and retired, and a little growth
_CANCEL_REASONS = {"event_cancelled": 5.0, "budget": 3.0, "date_moved": 3.0, "other_supplier": 1.0}
_DELIVERY_FEE_MINOR = 19_500


@dataclass(frozen=True)
class Booking:
    """A booking as others see it: `returned_at` is when its last item was back, None if it was cancelled."""

    booking_id: str
    customer: Customer
    warehouse_id: str
    confirmed_at: datetime
    starts_at: datetime
    ends_at: datetime
    line_count: int
    value_minor: int
    is_delivered: bool
    returned_at: datetime | None = None


def simulate_rentals(
    world: World, register: CustomerRegister, conversions: list[Conversion], fleet: Fleet
) -> list[Booking]:
    """Tells all bookings, scans, status changes and trips; answers the bookings in the order of their start."""
    yard = _Yard(world, register, fleet)
    firsts = _first_bookings(world, conversions)
    for day in world.days(before=_RUN_UP_DAYS, after=LONGEST_NOTICE_DAYS):
        yard.buy_equipment(day)
        for conversion in firsts.get(day, ()):
            yard.hire_out(day, world.dice("booking", day, conversion.booking_id), conversion)
        yard.fill(day)
    fleet.tell_opening()
    return yard.bookings


def _first_bookings(world: World, conversions: list[Conversion]) -> dict[date, list[Conversion]]:
    """The first bookings of converted leads, by the day on which they start."""
    by_day: dict[date, list[Conversion]] = {}
    for conversion in conversions:
        if conversion.booking_id is not None:
            notice = world.dice("first", conversion.booking_id).randrange(3, 25)
            start = world.clock.day_of(conversion.converted_at) + DAY * notice
            by_day.setdefault(start, []).append(conversion)
    return by_day


class _Yard:
    """Hires out the fleet of one tenant, day after day."""

    def __init__(self, world: World, register: CustomerRegister, fleet: Fleet) -> None:
        self._world, self._register, self._fleet = world, register, fleet
        self.bookings: list[Booking] = []

    def buy_equipment(self, day: date) -> None:
        """Now and then a new item."""
        dice = self._world.dice("purchase", day)
        if dice.chance(_PURCHASES_A_DAY * self._world.profile.fleet_size):
            self._fleet.buy(self._world.clock.at(day, dice.uniform(540, 960)), dice)

    def fill(self, day: date) -> None:
        """Hires out until as much of the fleet is on rent that night as the day asks for."""
        dice = self._world.dice("day", day)
        fleet = in_service(self._fleet.items)
        wanted = len(fleet) * min(0.86, self._world.profile.utilisation * demand(day) * dice.gauss(1.0, 0.04))
        close = self._world.clock.at(day + DAY, 0)
        for number in range(40):
            if sum(item.rented_until > close for item in fleet) >= wanted:
                return
            if not self.hire_out(day, self._world.dice("booking", day, number)):
                return

    def hire_out(self, day: date, dice: Dice, first: Conversion | None = None) -> bool:
        """Books items that are free for a rental that starts on `day`; whether there were any."""
        starts_at = self._world.clock.at(day, 15 * dice.randrange(28, 48))
        items = self._choose_items(day, dice)
        if not items and first is None:
            return False
        booking = self._agree(day, starts_at, items, dice, first)
        if items and not dice.chance(_CANCELLED_SHARE):
            booking = self._run(booking, items, dice)
        else:
            self._call_off(booking, items, dice)
        self.bookings.append(booking)
        return True

    def _choose_items(self, day: date, dice: Dice) -> list[Item]:
        """Mostly items of one category in one warehouse, as many as the booking has lines or as there are."""
        by_evening_before = self._world.clock.at(day - DAY, 20 * 60)
        free = [item for item in in_service(self._fleet.items) if item.busy_until <= by_evening_before]
        if not free:
            return []
        shares = self._world.profile.warehouses
        stocked = {place: share for place, share in shares.items() if any(i.warehouse_id == place for i in free)}
        warehouse_id = dice.pick(stocked)
        free = [item for item in free if item.warehouse_id == warehouse_id]
        dice.shuffle(free)
        main = free[0].category
        free.sort(key=lambda item: item.category != main)
        return free[: dice.pick(_LINES)]

    def _agree(
        self, day: date, starts_at: datetime, items: list[Item], dice: Dice, first: Conversion | None
    ) -> Booking:
        days = dice.pick(_DAYS)
        notice = min(float(LONGEST_NOTICE_DAYS - 1), 1.6 + dice.skewed(8, 0.8))
        confirmed_at = self._world.clock.at(day - DAY * int(notice), dice.uniform(510, 1050))
        confirmed_at = min(confirmed_at, starts_at - timedelta(hours=16))
        delivered = dice.chance(self._world.profile.delivered_share)
        rates = sum(item.daily_rate_minor() for item in items)
        value = int(round(rates * days**0.8 + (_DELIVERY_FEE_MINOR if delivered else 0), -2))
        if first is not None and first.booking_id is not None:
            customer, confirmed_at, value = first.customer, first.converted_at, first.value_minor
        else:
            customer = self._customer(confirmed_at, dice)
        return Booking(
            booking_id=first.booking_id if first is not None and first.booking_id else dice.name("bkg"),
            customer=customer,
            warehouse_id=items[0].warehouse_id if items else next(iter(self._world.profile.warehouses)),
            confirmed_at=confirmed_at,
            starts_at=starts_at,
            ends_at=self._world.clock.at(day + DAY * days, 15 * dice.randrange(36, 72)),
            line_count=max(1, len(items)),
            value_minor=value,
            is_delivered=delivered,
        )

    def _customer(self, moment: datetime, dice: Dice) -> Customer:
        known = [customer for customer in self._register.customers if customer.buys_on(moment)]
        return dice.choices(known, [customer.weight for customer in known])[0]

    def _call_off(self, booking: Booking, items: list[Item], dice: Dice) -> None:
        """A booking that does not take place; only a late cancellation finds items reserved, and frees them."""
        left = booking.starts_at - booking.confirmed_at
        cancelled_at = booking.confirmed_at + left * dice.uniform(0.2, 0.95)
        reason = dice.pick(_CANCEL_REASONS) if items else "no_stock"
        self._world.tell([self._confirmed(booking), self._cancelled(booking, cancelled_at, reason)])
        if booking.starts_at - cancelled_at < timedelta(hours=20):
            self._release(booking, items, cancelled_at, dice)

    def _release(self, booking: Booking, items: list[Item], cancelled_at: datetime, dice: Dice) -> None:
        context = self._context(booking)
        for item in items:
            reserved_at = max(booking.starts_at - timedelta(hours=23), item.busy_until + timedelta(minutes=5))
            reserved_at = self._fleet.change(item, "reserved", reserved_at, "booking", context)
            freed_at = max(reserved_at, cancelled_at) + timedelta(minutes=2)
            item.busy_until = self._fleet.change(item, "available", freed_at, "booking_cancelled", context)
        if booking.is_delivered:
            order = Order(
                booking.warehouse_id,
                "outbound",
                booking.starts_at,
                booking.confirmed_at,
                len(items),
                context,
            )
            drive(self._world, order, dice, called_off_at=cancelled_at + timedelta(minutes=6))

    def _run(self, booking: Booking, items: list[Item], dice: Dice) -> Booking:
        """The whole rental; answers the booking with the moment when its last item was back."""
        self._world.tell([self._confirmed(booking)], is_running=True)
        trip = self._drive(booking, "outbound", booking.starts_at, len(items), dice)
        self._hand_out(booking, items, trip, dice)
        ends_at = booking.ends_at
        if dice.chance(_LATE_RETURN_SHARE):
            ends_at += DAY * dice.randrange(1, 3)
        back = self._drive(booking, "return", ends_at, len(items), dice)
        returned_at = self._take_back(booking, items, ends_at, back, dice)
        return replace(booking, returned_at=returned_at)

    def _drive(self, booking: Booking, direction: str, at: datetime, items: int, dice: Dice) -> Trip | None:
        if not booking.is_delivered:
            return None
        order = Order(booking.warehouse_id, direction, at, booking.confirmed_at, items, self._context(booking))
        return drive(self._world, order, dice)

    def _hand_out(self, booking: Booking, items: list[Item], trip: Trip | None, dice: Dice) -> None:
        context = self._context(booking)
        ready = [
            self._fleet.change(item, "reserved", self._reserved_at(booking, item, dice), "booking", context)
            for item in items
        ]
        known: dict[str, Value] = {"booking_id": booking.booking_id, **context}
        if trip is not None:
            known["transport_id"] = trip.transport_id
        leaves_at = _departure(trip) if trip is not None else booking.starts_at
        session = self._fleet.session(booking.warehouse_id, leaves_at - timedelta(minutes=90), dice)
        for place, item in enumerate(items):
            picked_at = max(ready[place], leaves_at - timedelta(minutes=85 - 2.5 * place))
            self._fleet.scan(item, "picked", picked_at, session, "out", known)
        for place, item in enumerate(items):
            out_at = leaves_at - timedelta(minutes=30 - 1.5 * place)
            self._fleet.scan(item, "checked_out", out_at, session, "out", known)
        if trip is not None:
            self._bring(booking, items, trip, known, dice)

    def _bring(self, booking: Booking, items: list[Item], trip: Trip, known: dict[str, Value], dice: Dice) -> None:
        """To the site: on the vehicle as its departure is reported, off it by the crew's scans."""
        if trip.departed_at is not None:
            for item in items:
                context = self._context(booking)
                self._fleet.change(item, "in_transit", trip.departed_at, "transport_departed", context)
        there_at = trip.arrived_at or trip.planned_arrival_at
        session = self._fleet.session(booking.warehouse_id, there_at, dice)
        for place, item in enumerate(items):
            at = there_at + timedelta(minutes=9 + 1.7 * place)
            self._fleet.scan(item, "on_site", at, session, "out", known)

    def _reserved_at(self, booking: Booking, item: Item, dice: Dice) -> datetime:
        wished = booking.starts_at - timedelta(hours=dice.uniform(14, 30))
        return max(wished, item.busy_until + timedelta(minutes=4), booking.confirmed_at + timedelta(minutes=1))

    def _take_back(
        self, booking: Booking, items: list[Item], ends_at: datetime, trip: Trip | None, dice: Dice
    ) -> datetime:
        context = self._context(booking)
        back_at = ends_at if trip is None else trip.arrived_at or trip.planned_arrival_at
        known: dict[str, Value] = {"booking_id": booking.booking_id, **context}
        if trip is not None:
            known["transport_id"] = trip.transport_id
        session = self._fleet.session(booking.warehouse_id, back_at, dice)
        last = back_at
        for place, item in enumerate(items):
            if dice.chance(_LOST_SHARE):
                item.rented_until = self._fleet.change(item, "lost", back_at, "not_returned", context)
                continue
            at = back_at + timedelta(minutes=8 + 1.6 * place)
            last = self._fleet.scan(item, "returned", at, session, "in", known)
            item.rented_until = last
        self._inspect([item for item in items if not item.is_gone], last, booking, dice)
        return last

    def _inspect(self, items: list[Item], returned_at: datetime, booking: Booking, dice: Dice) -> None:
        """The same day if there is time, else the next morning: cleaned, tested, and back on the shelf or to repair."""
        clock, day = self._world.clock, self._world.clock.day_of(returned_at)
        is_today = clock.minute_of(returned_at) < 18 * 60 and dice.chance(0.6)
        begins_at = returned_at + timedelta(minutes=dice.uniform(12, 75))
        if not is_today:
            begins_at = clock.at(day + DAY, dice.uniform(7 * 60, 11 * 60))
        session = self._fleet.session(booking.warehouse_id, begins_at, dice)
        known: dict[str, Value] = {"booking_id": booking.booking_id, "project_id": booking.customer.project_id}
        for place, item in enumerate(items):
            at = begins_at + timedelta(minutes=4.5 * place)
            inspected_at = self._fleet.scan(item, "in_inspection", at, session, "in", known)
            self._judge(item, inspected_at + timedelta(minutes=dice.uniform(10, 45)), dice)

    def _judge(self, item: Item, at: datetime, dice: Dice) -> None:
        trouble = self._world.effect(Plot.REPAIRS, at, item.category) or 1.0
        if not dice.chance(_FAILED_INSPECTION_SHARE * trouble):
            item.busy_until = self._fleet.change(item, "available", at, "inspection_passed", {})
            return
        failed_at = self._fleet.change(item, "in_repair", at, "inspection_failed", {})
        repaired_at = failed_at + timedelta(days=min(21.0, dice.skewed(5.0, 0.7)))
        if dice.chance(_RETIRED_SHARE):
            self._fleet.change(item, "retired", repaired_at, "beyond_repair", {})
            return
        item.busy_until = self._fleet.change(item, "available", repaired_at, "repaired", {})

    def _context(self, booking: Booking) -> dict[str, Value]:
        return {
            "project_id": booking.customer.project_id,
            "booking_value_minor": booking.value_minor,
            "booking_currency": self._world.tenant.currency,
        }

    def _confirmed(self, booking: Booking) -> Fact:
        properties: dict[str, Value] = {
            "booking_id": booking.booking_id,
            "customer_ref": booking.customer.customer_ref,
            "rental_start": booking.starts_at,
            "rental_end": booking.ends_at,
            "line_count": booking.line_count,
            **self._context(booking),
        }
        lead = booking.customer.lead
        if lead is not None and booking.confirmed_at == booking.customer.since:
            properties |= {"acquisition_channel": lead.channel, "lead_id": lead.lead_id}
        return Fact(booking.confirmed_at, "booking.confirmed", properties)

    def _cancelled(self, booking: Booking, at: datetime, reason: str) -> Fact:
        properties: dict[str, Value] = {
            "booking_id": booking.booking_id,
            "cancelled_at": at,
            "reason": reason,
            **self._context(booking),
        }
        return Fact(at, "booking.cancelled", properties)


def _departure(trip: Trip) -> datetime:
    return trip.departed_at or trip.planned_departure_at
