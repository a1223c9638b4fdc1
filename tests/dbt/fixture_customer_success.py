"""Answers and tickets for tests with many examples, also where the clocks change.

Belongs here: the tenants of these tests, and the strategies that draw their facts. Stays out: what they amount to
(`reference_customer_success`), assertions.
"""

from datetime import UTC, date, datetime, time, timedelta

from fixture import Message, TenantRow, message
from fixture_operations import identified
from hypothesis import strategies as st

TENANTS = (
    TenantRow("office", holidays=(date(2026, 3, 31), date(2026, 10, 26))),
    TenantRow("weekend", hours=tuple((day, "01:00", "04:00") for day in (6, 7))),
    TenantRow("always", "Europe/London", "GBP", "GB", hours=tuple((day, "00:00", "24:00") for day in range(1, 8))),
    TenantRow("unscheduled", hours=()),
)
"""A holiday; hours that hold the one which the clock change skips or repeats; hours without pause; no hours."""

CLOCK_CHANGES = (date(2026, 3, 27), date(2026, 10, 23))
"""The Fridays before the clocks of Amsterdam and London change: drawn tickets begin here."""


@st.composite
def answers(draw: st.DrawFn) -> list[Message]:
    """Draw answers of a few people to two surveys over half a year, some of them given again."""
    drawn = st.builds(
        lambda tenant, day, hour, survey, person, score, touchpoint: message(
            "nps.submitted",
            f"{date(2026, 1, 1) + timedelta(days=day)}T{hour:02d}:30:00Z",
            tenant=tenant,
            survey_id=survey,
            response_id="r",
            respondent_ref=person,
            score=score,
            touchpoint=touchpoint,
        ),
        st.sampled_from(("office", "always")),
        st.integers(0, 185),
        st.sampled_from((0, 12, 22, 23)),
        st.sampled_from(("s1", "s2")),
        st.sampled_from(("p1", "p2", "p3")),
        st.integers(0, 10),
        st.sampled_from(("onboarding", "after_event")),
    )
    return identified(draw(st.lists(drawn, min_size=1, max_size=20)))


@st.composite
def tickets(draw: st.DrawFn) -> list[Message]:
    """Draw tickets over a weekend on which the clocks change: resolved, reopened, resolved again, or never."""
    facts: list[Message] = []
    epoch = datetime.combine(draw(st.sampled_from(CLOCK_CHANGES)), time(), UTC)
    for number in range(draw(st.integers(1, 5))):
        own = {"tenant": draw(st.sampled_from([each.tenant_id for each in TENANTS])), "ticket_id": f"k{number}"}
        at = epoch + timedelta(minutes=draw(st.integers(0, 3 * 24 * 60)))
        opened = at.isoformat()
        if draw(st.integers(0, 5)):
            facts.append(
                message(
                    "ticket.opened",
                    opened,
                    requester_ref="p",
                    source="mail",
                    priority=draw(st.sampled_from("ab")),
                    category="c",
                    **own,
                )
            )
        for step in range(draw(st.integers(0, 4))):
            at += timedelta(minutes=draw(st.sampled_from((0, 1, 59, 61, 400, 1441, 2000))))
            facts.append(_step(at, opened, step, draw(st.sampled_from((0, 90_000))), own))
    return identified(facts)


def _step(at: datetime, opened: str, step: int, on_hold_ms: int, own: dict[str, str]) -> Message:
    """Return the next fact of a ticket: resolved and reopened take turns."""
    count = (step + 1) // 2
    if step % 2:
        return message("ticket.reopened", at.isoformat(), reopen_count=count, **own)
    return message(
        "ticket.resolved",
        at.isoformat(),
        opened_at=opened,
        reopen_count=count,
        resolution="solved",
        on_hold_ms=on_hold_ms,
        **own,
    )
