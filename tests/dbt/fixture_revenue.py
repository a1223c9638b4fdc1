"""The revenue definitions once more, in plain Python and day by day: what the SQL models are compared with.

Belongs here: naive readings of `kpis.md` that share no idea with the SQL (no spans, no running totals), and the
strategies that draw facts for both. Stays out: assertions.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from fixture import TENANTS, Message, message
from hypothesis import strategies as st

EPOCH = date(2024, 1, 25)
"""First day of drawn facts: a week before a month's end, in a leap year."""

BUSY_DAYS = (0, 4, 5, 6, 7, 8, 35, 36, 45)
"""Few days, so that facts meet on one; the ends of two months among them."""

ZONES = {tenant.tenant_id: ZoneInfo(tenant.time_zone) for tenant in TENANTS}
CURRENCY = {tenant.tenant_id: tenant.currency for tenant in TENANTS}
MOVEMENTS = ("new", "expansion", "contraction", "churn", "reactivation")

SeriesKey = tuple[str, str, str | None]
CustomerKey = tuple[str, str, str]
CollectionRows = dict[tuple[date, str, str, str], tuple[int, int, int]]


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days first..last."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def on_day(each: Message) -> date:
    """Return the business day of a message's business time."""
    return datetime.fromisoformat(each.at).astimezone(ZONES[each.tenant]).date()


@dataclass(frozen=True)
class Holding:
    """What a subscription is at the end of a day."""

    customer: CustomerKey
    project: str | None
    mrr: int


_FACT_ORDER = {"subscription.started": 1, "subscription.changed": 2, "subscription.cancelled": 3}


def holdings(messages: Iterable[Message], day: date) -> list[Holding]:
    """Return the subscriptions at the end of a day: their facts up to it, replayed in order."""
    by_subscription: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        if on_day(each) <= day:
            by_subscription[each.tenant, each.properties["subscription_id"]].append(each)
    return [_replayed(facts) for facts in by_subscription.values()]


def _replayed(facts: list[Message]) -> Holding:
    """Return what the facts of one subscription leave."""
    facts = sorted(
        facts, key=lambda each: (each.at, each.event_at or each.at, _FACT_ORDER[str(each.event)], each.message_id)
    )
    last = facts[-1]
    project = next((each.project for each in reversed(facts) if each.project), None)
    mrr = last.properties.get("mrr_minor", last.properties.get("mrr_after_minor", 0))
    return Holding((last.tenant, last.properties["customer_ref"], last.properties["currency"]), project, mrr)


def _business_order(fact: Message) -> tuple[str, str, int, str]:
    """Return what orders the facts of one subscription."""
    return (fact.at, fact.event_at or fact.at, _FACT_ORDER[str(fact.event)], str(fact.message_id))


def mrr_rows(messages: list[Message], first: date, last: date) -> dict[tuple[date, SeriesKey], dict[str, int]]:
    """Return MRR and movements per day and series, comparing each two days; series without any are left out."""
    rows: dict[tuple[date, SeriesKey], dict[str, int]] = {}
    paid: set[CustomerKey] = set()
    before: dict[tuple[CustomerKey, str | None], int] = {}
    for day in days(min(map(on_day, messages), default=first), last):
        after = _levels(holdings(messages, day))
        if day >= first:
            rows.update(_day_rows(day, before, after, paid))
        paid |= {customer for (customer, _), mrr in after.items() if mrr > 0}
        before = after
    return rows


def _levels(held: list[Holding]) -> dict[tuple[CustomerKey, str | None], int]:
    """Return MRR by customer and project."""
    levels: dict[tuple[CustomerKey, str | None], int] = defaultdict(int)
    for each in held:
        levels[each.customer, each.project] += each.mrr
    return {key: mrr for key, mrr in levels.items() if mrr > 0}


def _day_rows(
    day: date,
    before: dict[tuple[CustomerKey, str | None], int],
    after: dict[tuple[CustomerKey, str | None], int],
    paid: set[CustomerKey],
) -> dict[tuple[date, SeriesKey], dict[str, int]]:
    """Return one day's rows."""
    rows: dict[tuple[date, SeriesKey], dict[str, int]] = {}
    for key in before.keys() | after.keys():
        (tenant, _, currency), project = key
        row = rows.setdefault((day, (tenant, currency, project)), dict.fromkeys((*MOVEMENTS, "mrr", "customers"), 0))
        row["mrr"] += after.get(key, 0)
        row["customers"] += 1 if key in after else 0
        name = movement(_total(before, key[0]), _total(after, key[0]), ever_paid=key[0] in paid)
        if name is not None:
            row[name] += after.get(key, 0) - before.get(key, 0)
        elif after.get(key, 0) != before.get(key, 0):
            row["expansion"] += after.get(key, 0) - before.get(key, 0)
    return rows


def _total(levels: dict[tuple[CustomerKey, str | None], int], customer: CustomerKey) -> int:
    """Return a customer's MRR over all projects."""
    return sum(mrr for (owner, _), mrr in levels.items() if owner == customer)


def movement(before: int, after: int, *, ever_paid: bool) -> str | None:
    """Return the movement between two moments of a customer; reactivation is tested before expansion."""
    if before == after:
        return None
    if before == 0:
        return "reactivation" if ever_paid else "new"
    if after == 0:
        return "churn"
    return "expansion" if after > before else "contraction"


def in_reporting(amount: int, rate: Decimal) -> int:
    """Return an amount in the reporting currency, rounded half away from zero."""
    return int((amount * rate).quantize(Decimal(1), ROUND_HALF_UP))


def monthly_rows(messages: list[Message], last: date) -> dict[tuple[date, CustomerKey], tuple[int, str]]:
    """Return MRR and movement per month and customer, by comparing month ends."""
    start = min(map(on_day, messages), default=last)
    first_paid: dict[CustomerKey, date] = {}
    for day in days(start, month_end(last)):
        for customer, _project in _levels(holdings(messages, day)):
            first_paid.setdefault(customer, day)
    months = sorted({day.replace(day=1) for day in days(start, last)})
    ends = {month: _levels(holdings(messages, month_end(month))) for month in months}
    rows: dict[tuple[date, CustomerKey], tuple[int, str]] = {}
    for customer, paid_on in first_paid.items():
        totals = [_total(ends[month], customer) for month in months]
        paid_months = [number for number, total in enumerate(totals) if total > 0]
        if not paid_months:
            continue
        for number in range(paid_months[0], min(paid_months[-1] + 1, len(months) - 1) + 1):
            before = totals[number - 1] if number else 0
            name = movement(before, totals[number], ever_paid=paid_on < months[number])
            rows[months[number], customer] = (totals[number], name or "none")
    return rows


def month_end(day: date) -> date:
    """Return the last day of a date's month."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def collection_rows(
    messages: list[Message], first: date, last: date
) -> dict[tuple[date, str, str, str], tuple[int, int, int]]:
    """Return (collected, net, invoices) per day, tenant, basis and currency, each day from the facts up to it."""
    rows: CollectionRows = {}
    for day in days(first, last):
        known = sorted((each for each in messages if on_day(each) <= day), key=lambda each: (each.at, each.message_id))
        for invoice in _first_by(known, "invoice.issued", "invoice_id"):
            for basis, collected, net in _collected(invoice, known, day):
                key = (day, invoice.tenant, basis, invoice.properties["currency"])
                so_far = rows.get(key, (0, 0, 0))
                rows[key] = (so_far[0] + collected, so_far[1] + net, so_far[2] + 1)
    return rows


def _first_by(known: list[Message], event: str, *names: str) -> list[Message]:
    """Return the first report of each fact of a kind."""
    firsts: dict[tuple[str, ...], Message] = {}
    for each in known:
        if each.event == event:
            firsts.setdefault((each.tenant, *(each.properties[name] for name in names)), each)
    return list(firsts.values())


def _collected(invoice: Message, known: list[Message], day: date) -> Iterator[tuple[str, int, int]]:
    """Yield (basis, collected, net) for the bases whose rolling year holds the invoice."""
    own = [
        each
        for each in known
        if each.properties["invoice_id"] == invoice.properties["invoice_id"] and each.tenant == invoice.tenant
    ]
    if any(each.event == "invoice.voided" for each in own):
        return
    credited = sum(each.properties["amount_minor"] for each in _first_by(own, "invoice.credited", "credit_id"))
    payments = sum(each.properties["amount_minor"] for each in _first_by(own, "invoice.paid", "payment_id"))
    net = max(0, invoice.properties["amount_minor"] - credited)
    due_on = datetime.fromisoformat(invoice.properties["due_at"]).astimezone(ZONES[invoice.tenant]).date()
    for basis, dated in (("due", due_on), ("issued", on_day(invoice))):
        if a_year_before(day) < dated <= day:
            yield basis, min(payments, net), net


def _invoice_key(each: Message) -> tuple[str, str]:
    """Return the invoice that a fact is about."""
    return each.tenant, each.properties["invoice_id"]


def a_year_before(day: date) -> date:
    """Return the same date a year earlier; 28 February for 29 February."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


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
