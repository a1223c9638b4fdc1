"""Leads of few people with their page views, for tests with many examples.

Belongs here: the strategies that draw them. Stays out: what they amount to (`reference_growth`), assertions.
"""

from datetime import date, timedelta
from typing import Any

from fixture import Message, message
from fixture_operations import identified
from hypothesis import strategies as st

EPOCH = date(2026, 3, 27)
MEDIA = ("cpc", "newsletter", "partner")
ESTIMATES: tuple[dict[str, Any], ...] = (
    {},
    {"est_value_minor": 1001},
    {"est_value_minor": 50, "currency": "EUR"},
)
VALUES: tuple[dict[str, Any], ...] = ({}, {"booking_value_minor": 10_001, "booking_currency": "EUR"})


def _moments(first_day: int, last_day: int) -> st.SearchStrategy[str]:
    """Draw RFC 3339 times between two days after the epoch, on a coarse grid."""
    hours = st.sampled_from(("00:00:00", "12:00:00", "22:30:00", "23:30:00"))
    return st.builds(
        lambda day, hour: f"{EPOCH + timedelta(days=day)}T{hour}Z", st.integers(first_day, last_day), hours
    )


@st.composite
def lead_facts(draw: st.DrawFn) -> list[Message]:
    """Draw leads of few people: created or not, qualified twice, converted around the 90th day, with page views."""
    facts: list[Message] = []
    for number in range(draw(st.integers(1, 4))):
        own = {"tenant": draw(st.sampled_from(("t1", "gb"))), "lead_id": f"l{number}"}
        channel = {"channel": draw(st.sampled_from(("email", "referral")))}
        person = {"anonymous_id": draw(st.sampled_from(("a1", "a2"))), "user_id": draw(st.sampled_from((None, "u1")))}
        facts += [
            message("lead.created", at, campaign="spring", **own, **channel, **person)
            for at in draw(st.lists(_moments(0, 3), max_size=2))
        ]
        for at in draw(st.lists(_moments(0, 6), max_size=2)):
            value = draw(st.sampled_from(ESTIMATES))
            facts.append(message("lead.qualified", at, score=1, qualified_by="rule", **own, **channel, **value))
        ends = st.one_of(_moments(0, 40), _moments(88, 95))
        for at in draw(st.lists(ends, max_size=2)):
            value = draw(st.sampled_from(VALUES))
            facts.append(message("lead.converted", at, converted_to="booking", **own, **channel, **value))
    facts += draw(st.lists(_page(), max_size=14))
    facts += draw(st.lists(_identify(), max_size=2))
    return identified(facts)


@st.composite
def _page(draw: st.DrawFn) -> Message:
    """Draw a page view, with campaign tags more often than not."""
    medium = draw(st.sampled_from((None, *MEDIA)))
    campaign = {"campaign": {"source": "s", "medium": medium, "name": "n"}} if medium else {}
    return Message(
        None,
        draw(st.one_of(_moments(-32, 8), _moments(55, 96))),
        tenant=draw(st.sampled_from(("t1", "gb"))),
        type="page",
        anonymous_id=draw(st.sampled_from(("a1", "a2", "a3", "l0"))),
        user_id=draw(st.sampled_from((None, "u1", "l1"))),
        context=campaign,
    )


@st.composite
def _identify(draw: st.DrawFn) -> Message:
    """Draw an identify call that names a visitor."""
    at = draw(st.one_of(_moments(-3, 5), _moments(85, 97)))
    user = draw(st.sampled_from(("l0", "u1")))
    return Message(
        None, at, tenant=draw(st.sampled_from(("t1", "gb"))), type="identify", anonymous_id="a3", user_id=user
    )
