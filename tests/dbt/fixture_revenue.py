"""Strategies that draw subscription and invoice facts; what they amount to is read by `reference_revenue`."""

from datetime import UTC, date, datetime, timedelta

from fixture import TENANTS, Message, message
from hypothesis import strategies as st

EPOCH = date(2024, 1, 25)
"""First day of drawn facts: a week before a month's end, in a leap year."""

BUSY_DAYS = (0, 4, 5, 6, 7, 8, 35, 36, 45)
"""Few days, so that facts meet on one; the ends of two months among them."""

CURRENCY = {tenant.tenant_id: tenant.currency for tenant in TENANTS}


def _time(day: int, hour: int) -> str:
    """Return RFC 3339 text of an hour of the n-th day after EPOCH."""
    return (datetime(EPOCH.year, EPOCH.month, EPOCH.day, hour, tzinfo=UTC) + timedelta(days=day)).isoformat()


@st.composite
def subscription_facts(draw: st.DrawFn) -> list[Message]:
    """Draw facts of a few subscriptions in any order of arrival: trials, several a day, restarts, shared customers."""
    facts = draw(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.sampled_from(["started", "started", "changed", "changed", "cancelled"]),
                st.sampled_from(BUSY_DAYS),
                st.sampled_from([1, 12, 22, 23]),
                st.sampled_from([0, 1, 3333, 3333, 10000]),
                st.sampled_from([None, "p1", "p2"]),
                st.integers(0, 45),
            ),
            min_size=12,
            max_size=30,
        )
    )
    return [_subscription_fact(number, *fact) for number, fact in enumerate(facts)]


def _subscription_fact(
    number: int, subscription: int, kind: str, day: int, hour: int, mrr: int, project: str | None, told: int
) -> Message:
    """Return one fact, told on another day than it took effect; two subscriptions share a customer."""
    tenant = "gb" if subscription % 3 == 2 else "t1"
    amounts = {
        "started": {"mrr_minor": mrr, "plan": "basic", "interval": "monthly"},
        "changed": {
            "mrr_before_minor": 1,
            "mrr_after_minor": mrr,
            "from_plan": "a",
            "to_plan": "b",
            "change_kind": "other",
        },
        "cancelled": {"mrr_lost_minor": mrr, "voluntary": True},
    }
    return message(
        f"subscription.{kind}",
        _time(day, hour),
        tenant=tenant,
        project=project,
        event_at=_time(told, 9),
        message_id=f"m{number:03d}",
        subscription_id=f"s{subscription}",
        customer_ref=f"c{subscription // 2}",
        currency=CURRENCY[tenant],
        **amounts[kind],
    )


@st.composite
def invoice_facts(draw: st.DrawFn) -> list[Message]:
    """Draw invoices and what happens to them: partial, late, early, repeated and excess payments, credits and voids."""
    invoices = draw(
        st.lists(
            st.tuples(st.integers(0, 40), st.integers(0, 30), st.sampled_from([0, 999, 10000])), min_size=1, max_size=6
        )
    )
    facts = draw(
        st.lists(
            st.tuples(
                st.integers(0, len(invoices) - 1),
                st.sampled_from(["paid", "paid", "paid", "credited", "voided", "written_off"]),
                st.integers(0, 60),
                st.sampled_from([1, 5000, 9999]),
                st.integers(0, 2),
            ),
            max_size=15,
        )
    )
    issued = [_issued(number, *invoice) for number, invoice in enumerate(invoices)]
    drawn = issued + [_invoice_fact(number, *fact) for number, fact in enumerate(facts)]
    return draw(st.permutations(drawn))


def _issued(number: int, day: int, term: int, amount: int) -> Message:
    """Return the issue of an invoice."""
    tenant = "gb" if number % 2 else "t1"
    return message(
        "invoice.issued",
        _time(day, 12),
        tenant=tenant,
        message_id=f"i{number:03d}",
        invoice_id=f"i{number}",
        booking_id="b1",
        customer_ref="c1",
        amount_minor=amount,
        tax_minor=0,
        currency=CURRENCY[tenant],
        due_at=_time(day + term, 23),
    )


def _invoice_fact(number: int, invoice: int, kind: str, day: int, amount: int, part: int) -> Message:
    """Return one later fact of an invoice; parts repeat, so that some facts are reported twice."""
    tenant = "gb" if invoice % 2 else "t1"
    extra = {
        "paid": {"payment_id": f"p{part}", "fully_paid": False},
        "credited": {"credit_id": f"k{part}", "reason": "goodwill"},
        "voided": {"reason": "error"},
        "written_off": {},
    }
    return message(
        f"invoice.{kind}",
        _time(day, 13),
        tenant=tenant,
        message_id=f"f{number:03d}",
        invoice_id=f"i{invoice}",
        amount_minor=amount,
        currency=CURRENCY[tenant],
        **extra[kind],
    )
