"""The tables that a review reads, declared; reading them; and saying why one that is not there is not measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analytics_platform.governance.review.content import SourceState
from analytics_platform.warehouse import Warehouse

Row = dict[str, Any]

_COLUMNS = "select table_schema, table_name, column_name from information_schema.columns"


@dataclass(frozen=True)
class Source:
    """A table that is read: the columns that the review needs of it, and what it tells."""

    name: str
    table: str
    columns: tuple[str, ...]
    tells: str


CHECK_RESULTS = Source(
    "check results",
    "ops.check_results",
    (
        "day",
        "evaluated_at",
        "asset",
        "check_name",
        "partition",
        "dataset",
        "dimension",
        "severity",
        "blocking",
        "passed",
        "could_not_run",
        "checked",
        "failed",
        "threshold",
        "run_id",
    ),
    "every evaluation of every check",
)
SLA_ATTAINMENT = Source(
    "SLA attainment",
    "ops.sla_attainment",
    ("day", "tenant_id", "dataset", "tier", "owner", "promise", "is_attained"),
    "whether each promise about time was kept, by day and tenant",
)
INCIDENTS = Source(
    "incidents",
    "ops.incidents",
    (
        "incident_id",
        "failure",
        "severity",
        "status",
        "owner",
        "asset",
        "check_name",
        "tenant_id",
        "partition_day",
        "opened_at",
        "recovered_at",
        "minutes_to_detect",
        "minutes_to_repair",
        "openings",
        "cause",
        "next_step",
    ),
    "what was wrong, since when, why, and when it was repaired",
)
LEDGER = Source(
    "ledger",
    "ops.ledger",
    ("stream", "day", "received", "accepted", "duplicates", "dead_lettered"),
    "what became of every message",
)
BILLING = Source(
    "billing events",
    "raw.billing",
    ("tenant_id", "type", "event", "properties", "project_id", "occurred_at", "event_at", "message_id"),
    "the billing events as they came in: the source of the control totals",
)
INVOICES = Source(
    "invoices",
    "marts.fct_invoice_spans",
    (
        "tenant_id",
        "invoice_id",
        "currency",
        "valid_from_on",
        "issued_on",
        "total_minor",
        "paid_minor",
        "credited_minor",
    ),
    "gold of invoices, payments and credit notes",
)
RECEIVABLES = Source(
    "receivables",
    "kpi.kpi_receivables",
    ("day", "tenant_id", "currency", "receivables_minor", "receivables_reporting_minor"),
    "gold of what customers owe",
)
MRR = Source(
    "MRR",
    "kpi.kpi_mrr",
    ("day", "tenant_id", "currency", "mrr_minor", "mrr_reporting_minor"),
    "gold of monthly recurring revenue",
)
RATES = Source(
    "exchange rates",
    "marts.fx_rates",
    ("month", "currency", "rate_to_reporting"),
    "the fixed rate of each month to EUR",
)

SOURCES = (CHECK_RESULTS, SLA_ATTAINMENT, INCIDENTS, LEDGER, BILLING, INVOICES, RECEIVABLES, MRR, RATES)
"""All that a review reads, in the order in which it tells of them; figures of drift have a list of their own."""

MONEY = (BILLING, INVOICES, RECEIVABLES, MRR, RATES)
"""What the control totals need, all of it."""


class Evidence:
    """The sources of one building: what is there, and what is not."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._columns: defaultdict[str, set[str]] = defaultdict(set)
        for row in warehouse.query(_COLUMNS).to_pylist():
            self._columns[f"{row['table_schema']}.{row['table_name']}"].add(row["column_name"])

    def missing(self, source: Source) -> str | None:
        """Why a source cannot be read; None when it can."""
        columns = self._columns.get(source.table)
        if not columns:
            return f"the table {source.table} does not exist"
        absent = [column for column in source.columns if column not in columns]
        return f"the table {source.table} has no column {', '.join(absent)}" if absent else None

    def read(self, source: Source, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Rows of a query on a source that is not missing; none when it is."""
        return [] if self.missing(source) else self._warehouse.query(sql, parameters).to_pylist()

    def states(self) -> tuple[SourceState, ...]:
        """How each declared source stands."""
        return tuple(
            SourceState(name=each.name, table=each.table, tells=each.tells, missing=self.missing(each))
            for each in SOURCES
        )

    def first_missing(self, sources: Sequence[Source]) -> str | None:
        """Why the first of these that is missing is; None when all are there."""
        return next((reason for each in sources if (reason := self.missing(each))), None)
