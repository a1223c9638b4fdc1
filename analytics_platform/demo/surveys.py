"""Net promoter answers: after a rental, after a ticket, and once a quarter about the relation as a whole.

Belongs here: who is asked, who answers, and how. Stays out: real words. Comments are picked from a short list.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from analytics_platform.demo.clock import DAY
from analytics_platform.demo.customers import Customer
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.journal import Fact, Source, Value, World
from analytics_platform.demo.profiles import Plot
from analytics_platform.demo.rentals import Booking
from analytics_platform.demo.revenue import Subscription
from analytics_platform.demo.support import Ticket

_ANSWERS_AFTER_RENTAL = 0.42
_ANSWERS_AFTER_TICKET = 0.16
_ANSWERS_ABOUT_RELATION = 0.38
_SECOND_THOUGHTS_SHARE = 0.02
_COMMENT_SHARE = 0.12
_RUN_UP_DAYS = 14
_PROMOTER_SCORES = {10: 5.0, 9: 6.0}
_PASSIVE_SCORES = {8: 6.0, 7: 4.0}
_DETRACTOR_SCORES = {6: 4.0, 5: 3.0, 4: 1.5, 3: 1.0, 2: 0.6, 1: 0.3, 0: 0.4}
_KIND_WORDS = ("Everything was ready when we arrived.", "Goed geholpen, snel geregeld.", "Clean kit, on time.")
_PLAIN_WORDS = ("Fine, a bit late with the paperwork.", "Prima, maar de factuur was onduidelijk.", "Did the job.")
_ANGRY_WORDS = ("The delivery came late again.", "Twee kapotte kabels in de set.", "Waited two days for an answer.")


def simulate_surveys(
    world: World, bookings: list[Booking], subscriptions: list[Subscription], tickets: list[Ticket]
) -> None:
    """Tells all answers."""
    for booking in bookings:
        if booking.returned_at is not None:
            dice = world.dice("nps", booking.booking_id)
            if dice.chance(_ANSWERS_AFTER_RENTAL):
                asked_at = booking.returned_at + timedelta(hours=dice.uniform(3, 90))
                name = booking.booking_id.replace("bkg_", "svy_")
                _tell_answer(world, booking.customer, name, "after_rental", asked_at, dice)
    for ticket in tickets:
        dice = world.dice("nps", ticket.ticket_id)
        if dice.chance(_ANSWERS_AFTER_TICKET):
            asked_at = ticket.resolved_at + timedelta(hours=dice.uniform(0.2, 40))
            _tell_answer(
                world, ticket.customer, ticket.ticket_id.replace("tck_", "svy_"), "after_ticket", asked_at, dice
            )
    for day in world.days(before=_RUN_UP_DAYS):
        if (day.month % 3, day.day) == (2, 10):
            _ask_about_relation(world, day, subscriptions)


def _ask_about_relation(world: World, day: date, subscriptions: list[Subscription]) -> None:
    survey_id = f"svy_relation_{day.year}q{(day.month + 2) // 3}"
    asked_at = world.clock.at(day, 600)
    asked = dict.fromkeys(each.customer for each in subscriptions if each.mrr_at(asked_at) > 0)
    for customer in asked:
        dice = world.dice("nps", survey_id, customer.customer_ref)
        if dice.chance(_ANSWERS_ABOUT_RELATION):
            answered_at = world.clock.at(day + DAY * int(dice.expovariate(0.35)), dice.uniform(500, 1290))
            _tell_answer(world, customer, survey_id, "relationship", answered_at, dice)


def _tell_answer(world: World, customer: Customer, survey_id: str, touchpoint: str, at: datetime, dice: Dice) -> None:
    respondent_ref = customer.contact(dice)
    answer = _answer(world, survey_id, respondent_ref, touchpoint, at, customer, dice)
    world.tell([answer])
    if dice.chance(_SECOND_THOUGHTS_SHARE):
        later = at + timedelta(minutes=dice.uniform(2, 2000))
        world.tell([_answer(world, survey_id, respondent_ref, touchpoint, later, customer, dice)])


def _answer(
    world: World,
    survey_id: str,
    respondent_ref: str,
    touchpoint: str,
    at: datetime,
    customer: Customer,
    dice: Dice,
) -> Fact:
    scores, words = _mood(world, at, dice)
    properties: dict[str, Value] = {
        "survey_id": survey_id,
        "response_id": dice.name("rsp"),
        "respondent_ref": respondent_ref,
        "score": dice.pick(scores),
        "submitted_at": at,
        "touchpoint": touchpoint,
        "project_id": customer.project_id,
    }
    if dice.chance(_COMMENT_SHARE):
        properties["comment"] = dice.choice(words)
    return Fact(at, "nps.submitted", properties, Source.APP, respondent_ref, f"anon-{respondent_ref}")


def _mood(world: World, at: datetime, dice: Dice) -> tuple[dict[int, float], tuple[str, ...]]:
    profile = world.profile
    soured = profile.promoters * (world.effect(Plot.UNHAPPY_CUSTOMERS, at) or 0.0)
    shares = {
        "promoter": profile.promoters - soured,
        "passive": 1 - profile.promoters - profile.detractors,
        "detractor": profile.detractors + soured,
    }
    moods = {
        "promoter": (_PROMOTER_SCORES, _KIND_WORDS),
        "passive": (_PASSIVE_SCORES, _PLAIN_WORDS),
        "detractor": (_DETRACTOR_SCORES, _ANGRY_WORDS),
    }
    return moods[dice.pick(shares)]
