"""What billing events say of money, added up from their JSON apart from dbt: the source side of the control totals.

Nothing here reads a model or shares a line with one; it is a second reading of the definitions (docs of
`fct_invoice_spans`, `kpi_receivables`, `kpi_mrr`), so that a fault of a model shows as a difference. An invoice, a
payment and a credit note count once however often they are reported, the first report decides; a fact counts on the
tenant's own business day, but not before its invoice exists; an amount in another currency than the invoice's does
not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from analytics_platform.governance.review.evidence import Row

INVOICE_EVENTS = ("invoice.issued", "invoice.paid", "invoice.credited", "invoice.voided")
SUBSCRIPTION_EVENTS = ("subscription.started", "subscription.changed", "subscription.cancelled")
"""In the order in which they count when they bear the same time."""

_BANDS = ((50_000, "under_500"), (250_000, "500_to_2500"), (1_000_000, "2500_to_10000"), (5_000_000, "10000_to_50000"))
_LARGEST_BAND = "over_50000"
_MRR = {"subscription.started": "mrr_minor", "subscription.changed": "mrr_after_minor", "subscription.cancelled": None}


class Amounts(NamedTuple):
    """The part of a total that is converted at once: its tenant, currency, and the grain of gold's own rows."""

    tenant_id: str
    currency: str
    grain: tuple[object, ...]


Sums = Mapping[Amounts, int]


@dataclass(frozen=True)
class _Fact:
    """One event with its business day."""

    tenant_id: str
    event: str
    on: date
    order: tuple[datetime, datetime, int, str]
    project_id: str | None
    said: Mapping[str, Any]


class _Happened(NamedTuple):
    """What happened to an invoice on a day, not before it was issued."""

    on: date
    paid: int = 0
    credited: int = 0
    is_void: bool = False


@dataclass
class _Invoice:
    """An invoice, and what happened to it."""

    tenant_id: str
    currency: str
    project_id: str | None
    band: str | None
    issued_on: date
    total: int
    facts: list[_Happened] = field(default_factory=list)


class BillingSource:
    """The billing events of all of history, read once.

    Args:
        rows: of `raw.billing`.
        time_zones: IANA name by tenant id; a tenant without one is read in UTC.
    """

    def __init__(self, rows: Iterable[Row], time_zones: Mapping[str, str]) -> None:
        zones = {tenant: ZoneInfo(name) for tenant, name in time_zones.items()}
        facts = sorted((_fact(row, zones) for row in rows), key=lambda fact: fact.order)
        self._subscriptions = [fact for fact in facts if fact.event in SUBSCRIPTION_EVENTS]
        self._invoices = _invoices(fact for fact in facts if fact.event in INVOICE_EVENTS)

    def invoiced(self, first: date, last: date) -> Sums:
        """Totals of the invoices issued in those days, tax included, voided ones too, by month."""
        return _added(
            (_by_month(each, each.issued_on), each.total) for each in self._invoices if first <= each.issued_on <= last
        )

    def paid(self, first: date, last: date) -> Sums:
        """Payments of those days, overpayment included, by month."""
        return self._flow(first, last, lambda fact: fact.paid)

    def credited(self, first: date, last: date) -> Sums:
        """Credit notes of those days, by month."""
        return self._flow(first, last, lambda fact: fact.credited)

    def receivables(self, at: date) -> Sums:
        """What is owed at the end of a day: totals less credits, less payments up to that; by project and band."""
        return _added(
            (Amounts(each.tenant_id, each.currency, (each.project_id, each.band)), _owed(each, at))
            for each in self._invoices
            if each.issued_on <= at
        )

    def mrr(self, at: date) -> Sums:
        """Monthly recurring revenue at the end of a day: what the newest fact of each subscription says; by project."""
        newest: dict[tuple[str, str], _Fact] = {}
        projects: dict[tuple[str, str], str | None] = {}
        for fact in self._subscriptions:
            if fact.on <= at:
                key = (fact.tenant_id, fact.said["subscription_id"])
                newest[key] = fact
                projects[key] = fact.project_id or projects.get(key)
        return _added(
            (Amounts(fact.tenant_id, fact.said["currency"], (projects[key],)), _mrr_of(fact))
            for key, fact in newest.items()
        )

    def _flow(self, first: date, last: date, amount: Callable[[_Happened], int]) -> Sums:
        return _added(
            (_by_month(each, fact.on), amount(fact))
            for each in self._invoices
            for fact in each.facts
            if first <= fact.on <= last
        )


def _fact(row: Row, zones: Mapping[str, ZoneInfo]) -> _Fact:
    occurred_at: datetime = row["occurred_at"]
    rank = SUBSCRIPTION_EVENTS.index(row["event"]) if row["event"] in SUBSCRIPTION_EVENTS else 0
    return _Fact(
        tenant_id=row["tenant_id"],
        event=row["event"],
        on=occurred_at.astimezone(zones.get(row["tenant_id"], UTC)).date(),
        order=(occurred_at, row["event_at"], rank, row["message_id"]),
        project_id=row["project_id"],
        said=orjson.loads(row["properties"]),
    )


def _invoices(facts: Iterable[_Fact]) -> list[_Invoice]:
    ordered = list(facts)
    invoices: dict[tuple[str, str], _Invoice] = {}
    for fact in ordered:
        if fact.event == "invoice.issued":
            invoices.setdefault((fact.tenant_id, fact.said["invoice_id"]), _issued(fact))
    for key, happened in _told_once(ordered, invoices):
        invoices[key].facts.append(happened)
    return list(invoices.values())


def _issued(fact: _Fact) -> _Invoice:
    said = fact.said
    band = _band(said.get("booking_value_minor"))
    return _Invoice(fact.tenant_id, said["currency"], fact.project_id, band, fact.on, said["amount_minor"])


def _told_once(
    facts: Iterable[_Fact], invoices: Mapping[tuple[str, str], _Invoice]
) -> Iterator[tuple[tuple[str, str], _Happened]]:
    """What happened to known invoices, each payment and credit note at its first report."""
    seen: set[tuple[str, str, str, str]] = set()
    for fact in facts:
        key = (fact.tenant_id, fact.said["invoice_id"])
        invoice = invoices.get(key)
        if fact.event == "invoice.voided" and invoice:
            yield key, _Happened(max(invoice.issued_on, fact.on), is_void=True)
        if fact.event not in ("invoice.paid", "invoice.credited"):
            continue
        number = fact.said["payment_id" if fact.event == "invoice.paid" else "credit_id"]
        is_repeated = (*key, fact.event, number) in seen
        seen.add((*key, fact.event, number))
        if not invoice or is_repeated or fact.said["currency"] != invoice.currency:
            continue
        amount = fact.said["amount_minor"]
        paid, credited = (amount, 0) if fact.event == "invoice.paid" else (0, amount)
        yield key, _Happened(max(invoice.issued_on, fact.on), paid, credited)


def _owed(invoice: _Invoice, at: date) -> int:
    facts = [fact for fact in invoice.facts if fact.on <= at]
    if any(fact.is_void for fact in facts):
        return 0
    net = max(0, invoice.total - sum(fact.credited for fact in facts))
    return net - min(net, sum(fact.paid for fact in facts))


def _mrr_of(fact: _Fact) -> int:
    name = _MRR[fact.event]
    return int(fact.said[name]) if name else 0


def _band(value: int | None) -> str | None:
    if value is None:
        return None
    return next((name for limit, name in _BANDS if value < limit), _LARGEST_BAND)


def _by_month(invoice: _Invoice, day: date) -> Amounts:
    return Amounts(invoice.tenant_id, invoice.currency, (day.replace(day=1),))


def _added(parts: Iterable[tuple[Amounts, int]]) -> Sums:
    sums: defaultdict[Amounts, int] = defaultdict(int)
    for key, amount in parts:
        sums[key] += amount
    return dict(sums)
