"""Financial control totals: what raw billing events add up to, against what gold says, to the cent.

Both sides in the tenant's currency and in EUR at finance's fixed monthly rates (`fx_rates`). A movement is converted
at the rate of its own month, month by month; a balance at that of its day, row by row as gold has it, rounded half
away from zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from analytics_platform.governance.review.billing_source import (
    INVOICE_EVENTS,
    SUBSCRIPTION_EVENTS,
    Amounts,
    BillingSource,
    Sums,
)
from analytics_platform.governance.review.content import ControlTotals, Total
from analytics_platform.governance.review.evidence import (
    BILLING,
    INVOICES,
    MONEY,
    MRR,
    RATES,
    RECEIVABLES,
    Evidence,
    Row,
    Source,
)

INVOICED, PAID, CREDITED = "invoiced in the quarter", "payments in the quarter", "credit notes in the quarter"
OWED, RECURRING = "receivables at the close", "MRR at the close"

_EVENTS = ", ".join(f"'{name}'" for name in (*INVOICE_EVENTS, *SUBSCRIPTION_EVENTS))
_BILLING = (
    "select tenant_id, event, properties, project_id, occurred_at, event_at, message_id from raw.billing "
    f"where type = 'track' and event in ({_EVENTS})"
)
_ISSUED = (
    "select tenant_id, currency, issued_on as day, sum(total_minor) as amount from marts.fct_invoice_spans "
    "where valid_from_on = issued_on and issued_on between ? and ? group by tenant_id, currency, issued_on"
)
_MOVED = (
    "select tenant_id, currency, day, sum(moved) as amount from (select tenant_id, currency, valid_from_on as day, "
    "{column} - lag({column}, 1, 0) over (partition by tenant_id, invoice_id order by valid_from_on) as moved "
    "from marts.fct_invoice_spans) as moves where day between ? and ? group by tenant_id, currency, day"
)
_BALANCE = (
    "select tenant_id, currency, sum({column}_minor) as amount, "
    "case when count(*) = count({column}_reporting_minor) then sum({column}_reporting_minor) end as eur "
    "from {table} where day = ? group by tenant_id, currency"
)

Rates = Mapping[tuple[date, str], Decimal]
Place = tuple[str, str]
Pair = tuple[int, int | None]
"""An amount in the tenant's currency, and in EUR where a rate is known."""


@dataclass(frozen=True)
class _Period:
    first: date
    last: date
    rates: Rates


def control_totals(evidence: Evidence, first: date, last: date, time_zones: Mapping[str, str]) -> ControlTotals:
    """All control totals of the days `first` to `last`, by tenant and currency.

    Args:
        evidence: the tables.
        first: the quarter's first day.
        last: the day at whose close balances are compared.
        time_zones: of the tenants, by id.
    """
    if missing := evidence.first_missing(MONEY):
        return ControlTotals(missing=(f"all control totals: {missing}",), totals=())
    source = BillingSource(evidence.read(BILLING, _BILLING), time_zones)
    period = _Period(first, last, _rates(evidence))
    totals = [
        *_compared(INVOICED, source.invoiced(first, last), _movements(evidence, _ISSUED, period), period),
        *_compared(PAID, source.paid(first, last), _moved(evidence, "paid_minor", period), period),
        *_compared(CREDITED, source.credited(first, last), _moved(evidence, "credited_minor", period), period),
    ]
    absent = []
    balances: list[tuple[str, Source, str, Callable[[date], Sums]]] = [
        (OWED, RECEIVABLES, "receivables", source.receivables),
        (RECURRING, MRR, "mrr", source.mrr),
    ]
    for name, table, column, of_source in balances:
        rows = evidence.read(table, _BALANCE.format(column=column, table=table.table), [last])
        if rows:
            totals += _compared(name, of_source(last), _balances(rows), period)
        else:
            absent.append(f"{name}: {table.table} has no row of {last}")
    return ControlTotals(missing=tuple(absent), totals=tuple(totals))


def converted(amount: int, rate: Decimal) -> int:
    """Minor units in EUR: exact, rounded half away from zero."""
    return int((Decimal(amount) * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _compared(name: str, source: Sums, gold: Mapping[Place, Pair], period: _Period) -> list[Total]:
    own = _in_both(source, period)
    nothing: Pair = (0, 0)
    return [
        Total(
            name=name,
            tenant_id=place[0],
            currency=place[1],
            source_minor=own.get(place, nothing)[0],
            gold_minor=gold.get(place, nothing)[0],
            source_eur_minor=own.get(place, nothing)[1],
            gold_eur_minor=gold.get(place, nothing)[1],
        )
        for place in sorted(own.keys() | gold.keys())
    ]


def _in_both(sums: Sums, period: _Period) -> dict[Place, Pair]:
    """The sums by tenant and currency, in that and in EUR; a part without a rate leaves the EUR unknown."""
    parts: defaultdict[Place, list[Pair]] = defaultdict(list)
    for key, amount in sums.items():
        month = key.grain[0] if isinstance(key.grain[0], date) else period.last.replace(day=1)
        rate = period.rates.get((month, key.currency))
        parts[key.tenant_id, key.currency].append((amount, None if rate is None else converted(amount, rate)))
    return {place: _summed(pairs) for place, pairs in parts.items()}


def _summed(pairs: list[Pair]) -> Pair:
    known = [eur for _, eur in pairs if eur is not None]
    return sum(amount for amount, _ in pairs), sum(known) if len(known) == len(pairs) else None


def _moved(evidence: Evidence, column: str, period: _Period) -> dict[Place, Pair]:
    return _movements(evidence, _MOVED.format(column=column), period)


def _movements(evidence: Evidence, sql: str, period: _Period) -> dict[Place, Pair]:
    sums: defaultdict[Amounts, int] = defaultdict(int)
    for row in evidence.read(INVOICES, sql, [period.first, period.last]):
        sums[Amounts(row["tenant_id"], row["currency"], (row["day"].replace(day=1),))] += int(row["amount"])
    return _in_both(sums, period)


def _balances(rows: list[Row]) -> dict[Place, Pair]:
    return {
        (row["tenant_id"], row["currency"]): (int(row["amount"]), None if row["eur"] is None else int(row["eur"]))
        for row in rows
    }


def _rates(evidence: Evidence) -> Rates:
    rows = evidence.read(RATES, "select month, currency, rate_to_reporting from marts.fx_rates")
    return {(row["month"], row["currency"]): Decimal(row["rate_to_reporting"]) for row in rows}
