"""Reconciliation of source against gold in money: what billing messages say, and what finance reads, to the cent.

These block: a figure that differs from its source would be published as right. The source is added up by SQL of its
own (`money_source`); what it leaves out (a payment whose invoice never came) is told beside it, and no tolerance hides
it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from analytics_platform.defs.dbt import Manifest, key_of_table
from analytics_platform.defs.partitions import Partitions
from asset_checks.factory import Facts, Scope, check
from asset_checks.money_source import COLLECTION, INVOICE_TOTALS, RECURRING


@dataclass(frozen=True)
class Control:
    """One control total, in minor units.

    Attributes:
        amount: what is added up (`paid`).
        tenant: whose it is.
        currency: ISO 4217 code.
        source: in the messages.
        left_out: of the source, what belongs to no invoice of its currency and so counts nowhere.
        gold: in the table.
    """

    amount: str
    tenant: str
    currency: str
    source: int
    left_out: int
    gold: int

    @property
    def difference(self) -> int:
        """What gold has too much (or, negative, too little)."""
        return self.gold - (self.source - self.left_out)


def totals_equal_source(controls: Sequence[Control], at: str = "") -> Facts:
    """Source less what is left out equals gold for each amount, tenant and currency, to the cent.

    Args:
        controls: the totals of both sides.
        at: the day that they speak of, before each offender.
    """
    wrong = sorted((each for each in controls if each.difference), key=lambda each: -abs(each.difference))
    offenders = [
        f"{at} {each.tenant} {each.currency} {each.amount}: source {each.source}, left out {each.left_out}, "
        f"gold {each.gold}, difference {each.difference} (minor units)".lstrip()
        for each in wrong
    ]
    counts: dict[str, int] = defaultdict(int)
    for each in controls:
        for side, minor in (("source", each.source), ("left_out", each.left_out), ("gold", each.gold)):
            counts[f"{each.amount}_{each.currency.lower()}_{side}_minor"] += minor
    summary = f"{len(wrong)} of {len(controls)} control totals differ between source and gold"
    return Facts(not wrong, summary, counts, offenders, len(controls), len(wrong))


def money_checks(manifest: Manifest, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Invoices, collection and recurring revenue against the billing messages."""
    return [
        check(
            key_of_table(manifest, "marts.fct_invoices"),
            "invoice_totals_equal_source",
            invoice_totals,
            description="Invoiced, paid and credited per tenant and currency equal the sums of the billing messages.",
            dimension="accuracy",
            blocking=True,
        ),
        check(
            key_of_table(manifest, "kpi.kpi_invoice_collection_rate"),
            "collection_equals_source",
            collection_totals,
            description="Invoiced and collected of the year up to the run's last day equal the billing messages.",
            dimension="accuracy",
            blocking=True,
        ),
        check(
            key_of_table(manifest, "kpi.kpi_mrr"),
            "mrr_equals_source",
            recurring_totals,
            description="MRR per day, tenant and currency is that of each subscription's last message up to the day.",
            dimension="accuracy",
            blocking=True,
            partitions_def=partitions.day,
        ),
    ]


def invoice_totals(scope: Scope) -> Facts:
    """The mart of invoices against the messages."""
    return totals_equal_source([control for _, control in _controls(scope, INVOICE_TOTALS)])


def collection_totals(scope: Scope) -> Facts:
    """The collection rate of the run's last day against the messages."""
    _, last = _built_days(scope)
    return totals_equal_source([control for _, control in _controls(scope, COLLECTION)], last.isoformat())


def recurring_totals(scope: Scope) -> dict[str, Facts]:
    """Recurring revenue of each day of the run against the messages."""
    by_day: dict[str, list[Control]] = {key: [] for key in scope.partition_keys or ()}
    for day, control in _controls(scope, RECURRING):
        by_day.setdefault(day.isoformat(), []).append(control)
    return {day: totals_equal_source(controls, day) for day, controls in by_day.items()}


def _controls(scope: Scope, sql: str) -> Iterable[tuple[date, Control]]:
    first, last = _built_days(scope)
    for row in scope.warehouse.query(*in_places(sql, {"$1": first, "$2": last})).to_pylist():
        control = Control(
            row["amount"],
            row["tenant_id"],
            row["currency"],
            row["source_minor"],
            row["left_out_minor"],
            row["gold_minor"],
        )
        yield row.get("day", last), control


def in_places(sql: str, values: Mapping[str, date]) -> tuple[str, list[object]]:
    """The statement with `?` for each of its values, since not every product takes one by its number."""
    names = "|".join(re.escape(name) for name in values)
    return re.sub(names, "?", sql), [values[name] for name in re.findall(names, sql)]


def _built_days(scope: Scope) -> tuple[date, date]:
    """The days of the run; of a run without any, all that have been built."""
    if scope.partition_keys:
        return scope.days()
    (row,) = scope.warehouse.query("select min(day) as first, max(day) as last from kpi.kpi_mrr").to_pylist()
    return row["first"], row["last"]
