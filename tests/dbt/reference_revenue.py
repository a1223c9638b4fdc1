"""Recurring revenue, cohorts, collection and receivables once more, in plain Python.

Belongs here: naive readings of `kpis.md`: every day replays all facts up to it and compares two days; no spans, no
running totals. Stays out: drawing facts, assertions.

Facts of one subscription are ordered by when they took effect, then by when they were told, then start before change
before cancellation. Of what is reported twice (an invoice, a payment, a credit note) the report that took effect first
counts.
"""

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fixture import Message
from reference import Registry, days, moment, rates, whole_minor

Customer = tuple[str, str, str]
"""Tenant, customer and currency: whom a movement belongs to."""

Levels = dict[tuple[Customer, str | None], int]
"""MRR above 0 by customer and project."""

Rows = dict[tuple[Any, ...], dict[str, int | None]]

MOVEMENTS = ("new", "reactivation", "expansion", "contraction", "churn")
_FACT_ORDER = {"subscription.started": 1, "subscription.changed": 2, "subscription.cancelled": 3}


def first_of(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def last_of(day: date) -> date:
    """Return the last day of a day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def a_year_before(day: date) -> date:
    """Return the same date a year earlier; 28 February for 29 February."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def in_reporting(amount: int, currency: str, day: date) -> int | None:
    """Return an amount in the reporting currency at the rate of the day's month; None when there is no rate."""
    rate = rates().get((currency, first_of(day)))
    if rate is None:
        return None
    return -whole_minor(-amount * rate) if amount < 0 else whole_minor(amount * rate)


# --- subscriptions ---------------------------------------------------------------------------------------------------


class Subscriptions:
    """What every subscription was worth on every day."""

    def __init__(self, messages: Iterable[Message], registry: Registry) -> None:
        self._facts: dict[tuple[str, str], list[tuple[date, Message]]] = defaultdict(list)
        self._levels: dict[date, Levels] = {}
        facts = [each for each in messages if str(each.event).startswith("subscription.")]
        for each in sorted(facts, key=_business_order):
            self._facts[each.tenant, each.properties["subscription_id"]].append((registry.on_day(each), each))

    def levels(self, day: date) -> Levels:
        """Return MRR by customer and project at the end of a day."""
        if day not in self._levels:
            self._levels[day] = self._replayed(day)
        return self._levels[day]

    def _replayed(self, day: date) -> Levels:
        found: Levels = defaultdict(int)
        for facts in self._facts.values():
            known = [each for on, each in facts if on <= day]
            if known:
                last = known[-1]
                project = next((each.project for each in reversed(known) if each.project), None)
                customer = (last.tenant, last.properties["customer_ref"], last.properties["currency"])
                found[customer, project] += _mrr(last)
        return {key: mrr for key, mrr in found.items() if mrr > 0}

    def first_day(self) -> date:
        """Return the day of the first fact."""
        return min(on for facts in self._facts.values() for on, _ in facts)


def _business_order(each: Message) -> tuple[Any, ...]:
    told = datetime.fromisoformat(each.event_at or each.at)
    return moment(each), told, _FACT_ORDER[str(each.event)], each.message_id


def _mrr(fact: Message) -> int:
    """Return the MRR that a fact leaves; intervals do not matter, since events state a month's amount."""
    if fact.event == "subscription.cancelled":
        return 0
    return int(fact.properties["mrr_minor" if fact.event == "subscription.started" else "mrr_after_minor"])


def by_customer(levels: Levels) -> dict[Customer, int]:
    """Return MRR by customer over all projects."""
    totals: Counter[Customer] = Counter()
    for (customer, _), mrr in levels.items():
        totals[customer] += mrr
    return totals


def movement(before: int, after: int, *, was_paid_once: bool) -> str:
    """Return what happened to a customer between two moments; reactivation is tested before expansion."""
    if before == 0 and after > 0:
        return "reactivation" if was_paid_once else "new"
    if before > 0 and after == 0:
        return "churn"
    return "contraction" if after < before else "expansion"


def mrr_rows(subscriptions: Subscriptions, first: date, last: date) -> Rows:
    """Return `kpi_mrr` by day, tenant, currency and project, from the first paid day of each series on."""
    rows: Rows = {}
    series: set[tuple[str, str, str | None]] = set()
    paid: set[Customer] = set()
    before: Levels = {}
    for day in days(subscriptions.first_day(), last):
        after = subscriptions.levels(day)
        series |= {(customer[0], customer[2], project) for customer, project in after}
        if day >= first:
            rows.update(_mrr_day(day, before, after, series, paid))
        paid |= by_customer(after).keys()
        before = after
    return rows


def _mrr_day(
    day: date, before: Levels, after: Levels, series: set[tuple[str, str, str | None]], paid: set[Customer]
) -> Rows:
    """Return the rows of one day."""
    names = ("opening_mrr_minor", "mrr_minor", "active_customers", *(f"{name}_minor" for name in MOVEMENTS))
    rows: dict[Any, Any] = {(day, *each): dict.fromkeys(names, 0) for each in series}
    totals_before, totals_after = by_customer(before), by_customer(after)
    for key in before.keys() | after.keys():
        customer, project = key
        row = rows[day, customer[0], customer[2], project]
        row["opening_mrr_minor"] += before.get(key, 0)
        row["mrr_minor"] += after.get(key, 0)
        row["active_customers"] += 1 if key in after else 0
        name = movement(totals_before.get(customer, 0), totals_after.get(customer, 0), was_paid_once=customer in paid)
        row[f"{name}_minor"] += after.get(key, 0) - before.get(key, 0)
    for (_, _, currency, _), row in rows.items():
        row |= _mrr_in_reporting(row, currency, day)
    return rows


def _mrr_in_reporting(row: dict[str, int], currency: str, day: date) -> dict[str, int | None]:
    """Return the figures of a row that follow from the others."""
    opening = row["opening_mrr_minor"]
    now = in_reporting(opening, currency, day)
    then = in_reporting(opening, currency, day - timedelta(days=1))
    lost = -row["churn_minor"] - row["contraction_minor"]
    return {
        "mrr_reporting_minor": in_reporting(row["mrr_minor"], currency, day),
        "fx_minor": None if now is None or then is None else now - then,
        "arr_minor": 12 * row["mrr_minor"],
        "gross_churn_minor": lost,
        "net_churn_minor": lost - row["expansion_minor"] - row["reactivation_minor"],
    }


def monthly_rows(subscriptions: Subscriptions, last: date) -> dict[tuple[Any, ...], tuple[int, int, str]]:
    """Return MRR, change and movement by month, tenant, customer and currency; a running month stands as on `last`."""
    ends: dict[date, dict[Customer, int]] = {}
    first_paid: dict[Customer, date] = {}
    for day in days(subscriptions.first_day(), last):
        totals = by_customer(subscriptions.levels(day))
        for customer in totals:
            first_paid.setdefault(customer, day)
        if day in (last_of(day), last):
            ends[first_of(day)] = totals
    return {
        (month, *customer): row
        for customer, paid_on in first_paid.items()
        for month, row in _months_of(customer, paid_on, ends)
    }


def _months_of(
    customer: Customer, first_paid: date, ends: dict[date, dict[Customer, int]]
) -> list[tuple[date, tuple[int, int, str]]]:
    """Return a customer's months, from the first paid one to one after the last."""
    months = sorted(ends)
    paid = [number for number, month in enumerate(months) if ends[month].get(customer, 0) > 0]
    found = []
    for number, month in list(enumerate(months))[paid[0] : paid[-1] + 2] if paid else []:
        after = ends[month].get(customer, 0)
        before = ends[months[number - 1]].get(customer, 0) if number else 0
        name = movement(before, after, was_paid_once=first_paid < month) if before != after else "none"
        found.append((month, (after, after - before, name)))
    return found


# --- cohorts ---------------------------------------------------------------------------------------------------------


def cohort_rows(subscriptions: Subscriptions, registry: Registry, first: date, last: date) -> dict[Any, Any]:
    """Return customers, retained ones, opening, gross and net MRR by cohort, tenant and month number."""
    joined: dict[tuple[str, str], date] = {}
    ends: dict[date, Levels] = {}
    for day in days(subscriptions.first_day(), last):
        levels = subscriptions.levels(day)
        for tenant, customer, _ in by_customer(levels):
            joined.setdefault((tenant, customer), first_of(day))
        if day == last_of(day):
            ends[first_of(day)] = levels
    months = sorted({first_of(day) for day in days(first, last)})
    rows: dict[Any, Any] = {}
    for tenant, cohort in {(tenant, month) for (tenant, _), month in joined.items()}:
        members = [name for (owner, name), month in joined.items() if (owner, month) == (tenant, cohort)]
        for month in months:
            if month >= cohort:
                number = (month.year - cohort.year) * 12 + month.month - cohort.month
                rows[cohort, tenant, number] = _cohort_month(members, tenant, cohort, month, ends, registry)
    return rows


def _cohort_month(
    members: Sequence[str], tenant: str, cohort: date, month: date, ends: dict[date, Levels], registry: Registry
) -> tuple[int | None, ...]:
    """Return one row; what needs the end of a month that has not come is None."""
    own = registry.tenants[tenant].currency

    def worth(name: str, at: date) -> int | None:
        parts = [
            _exchanged(mrr, currency, own, cohort)
            for ((owner, customer, currency), mrr) in by_customer(ends[at]).items()
            if (owner, customer) == (tenant, name)
        ]
        return None if None in parts else sum(part for part in parts if part is not None)

    opening = [worth(name, cohort) for name in members] if cohort in ends else []
    total_opening = _known_sum(opening) if cohort in ends else None
    if month not in ends:
        return len(members), None, total_opening, None, None
    paying = {customer for owner, customer, _ in by_customer(ends[month]) if owner == tenant}
    now = [worth(name, month) for name in members]
    kept = [None if a is None or b is None else min(a, b) for a, b in zip(opening, now, strict=True)]
    return len(members), sum(name in paying for name in members), total_opening, _known_sum(kept), _known_sum(now)


def _known_sum(parts: Sequence[int | None]) -> int | None:
    return None if None in parts else sum(part for part in parts if part is not None)


def _exchanged(amount: int, currency: str, own: str, month: date) -> int | None:
    """Return an amount in the tenant's own currency at the rates of a month."""
    if currency == own:
        return amount
    paid_in, shown_in = rates().get((currency, month)), rates().get((own, month))
    if paid_in is None or shown_in is None:
        return None
    return whole_minor(Decimal(amount) * paid_in / shown_in)


# --- invoices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What an invoice amounts to at the end of a day."""

    credited: int = 0
    paid: int = 0
    net: int = 0
    collected: int = 0
    is_void: bool = False
    is_written_off: bool = False


class Invoice:
    """An invoice that was issued, with all that is known of it."""

    def __init__(self, issued: Message, facts: Sequence[tuple[date, Message]], registry: Registry) -> None:
        properties = issued.properties
        self.tenant, self.project = issued.tenant, issued.project
        self.currency: str = properties["currency"]
        self.total: int = properties["amount_minor"]
        self.issued_at, self.due_at = moment(issued), datetime.fromisoformat(properties["due_at"])
        self.issued_on = registry.on_day(issued)
        self.due_on = registry.day(issued.tenant, self.due_at)
        self.band = _band(properties.get("booking_value_minor"))
        self._facts = facts
        self._known: dict[date, Standing | None] = {}

    def standing(self, day: date) -> Standing | None:
        """Return how it stands at the end of a day; None before it is issued."""
        if day not in self._known:
            self._known[day] = self._standing(day) if day >= self.issued_on else None
        return self._known[day]

    def _standing(self, day: date) -> Standing:
        facts = [each for on, each in self._facts if on <= day]
        paid = self._total(facts, "invoice.paid", "payment_id")
        credited = self._total(facts, "invoice.credited", "credit_id")
        is_void = any(each.event == "invoice.voided" for each in facts)
        net = 0 if is_void else max(0, self.total - credited)
        is_written_off = any(each.event == "invoice.written_off" for each in facts)
        return Standing(credited, paid, net, min(paid, net), is_void, is_written_off)

    def _total(self, facts: Sequence[Message], event: str, name: str) -> int:
        """Return the sum of the first reports of each payment or credit note that are in the invoice's currency."""
        first: dict[str, Message] = {}
        for each in facts:
            if each.event == event:
                first.setdefault(each.properties[name], each)
        return sum(
            each.properties["amount_minor"] for each in first.values() if each.properties["currency"] == self.currency
        )


def _band(value: int | None) -> str | None:
    """Return the booking-value band of minor units."""
    if value is None:
        return None
    limits = (
        (50_000, "under_500"),
        (250_000, "500_to_2500"),
        (1_000_000, "2500_to_10000"),
        (5_000_000, "10000_to_50000"),
    )
    return next((name for limit, name in limits if value < limit), "over_50000")


def invoices_of(messages: Iterable[Message], registry: Registry) -> dict[tuple[str, str], Invoice]:
    """Return the invoices that were ever issued, by tenant and id."""
    facts: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        if str(each.event).startswith("invoice."):
            facts[each.tenant, each.properties["invoice_id"]].append(each)
    found = {}
    for key, about in facts.items():
        about.sort(key=lambda each: (moment(each), datetime.fromisoformat(each.event_at or each.at), each.message_id))
        issued = next((each for each in about if each.event == "invoice.issued"), None)
        if issued is not None:
            found[key] = Invoice(issued, [(registry.on_day(each), each) for each in about], registry)
    return found


def collection_rows(invoices: Iterable[Invoice], first: date, last: date) -> dict[Any, tuple[int, int, int]]:
    """Return collected, net and invoices by day, tenant, basis, currency, project and band."""
    rows: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    for invoice in invoices:
        for day in days(max(first, invoice.issued_on), last):
            standing = invoice.standing(day)
            for basis, dated in (("due", invoice.due_on), ("issued", invoice.issued_on)):
                if standing and not standing.is_void and a_year_before(day) < dated <= day:
                    row = rows[day, invoice.tenant, basis, invoice.currency, invoice.project, invoice.band]
                    for place, amount in enumerate((standing.collected, standing.net, 1)):
                        row[place] += amount
    return {key: (row[0], row[1], row[2]) for key, row in rows.items()}


def collection_totals(rows: Mapping[Any, tuple[int, int, int]]) -> dict[Any, tuple[int, ...]]:
    """Return the rows of `collection_rows` added up to day, tenant, basis and currency."""
    totals: dict[Any, tuple[int, ...]] = defaultdict(lambda: (0, 0, 0))
    for key, row in rows.items():
        totals[key[:4]] = tuple(map(sum, zip(totals[key[:4]], row, strict=True)))
    return totals


def receivable_rows(invoices: Iterable[Invoice], first: date, last: date) -> dict[Any, dict[str, int]]:
    """Return `kpi_receivables` by day, tenant, currency, project and band."""
    rows: dict[Any, Counter[str]] = defaultdict(Counter)
    for invoice in invoices:
        for day in days(max(first, invoice.issued_on), last):
            row = rows[day, invoice.tenant, invoice.currency, invoice.project, invoice.band]
            row.update(_receivable(invoice, day))
    for (day, *_), row in rows.items():
        opening, closing, sales = row["opening_receivables_minor"], row["receivables_minor"], row["sales_minor"]
        row["cei_numerator_minor"] = opening + sales - closing
        row["cei_denominator_minor"] = opening + sales - row["not_due_minor"]
        row["dso_numerator_minor"] = closing * (day - a_year_before(day)).days
    shown = ("open_invoices", "sales_minor", "collected_minor", "day_sales_minor", "day_collected_minor")
    return {key: dict(row) for key, row in rows.items() if any(row[name] for name in shown)}


def _receivable(invoice: Invoice, day: date) -> Counter[str]:
    """Return what one invoice adds to a day's row."""
    nothing = Standing()
    now = invoice.standing(day) or nothing
    yesterday = invoice.standing(day - timedelta(days=1)) or nothing
    then = invoice.standing(a_year_before(day)) or nothing
    owed = now.net - now.collected
    row = Counter(
        receivables_minor=owed,
        open_invoices=1 if owed else 0,
        written_off_minor=owed if now.is_written_off else 0,
        opening_receivables_minor=then.net - then.collected,
        sales_minor=now.net - then.net,
        collected_minor=now.collected - then.collected,
        day_sales_minor=now.net - yesterday.net,
        day_collected_minor=now.collected - yesterday.collected,
    )
    row[_bucket((day - invoice.due_on).days)] = owed
    return row


def _bucket(overdue_days: int) -> str:
    """Return the ageing bucket: 0, 1-30, 31-60, 61-90, 90+."""
    limits = ((0, "not_due"), (30, "overdue_1_30"), (60, "overdue_31_60"), (90, "overdue_61_90"))
    return next((name for limit, name in limits if overdue_days <= limit), "overdue_over_90") + "_minor"
