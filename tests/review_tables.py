"""Tables of a quarter as its review reads them: the columns of the contracts, and rows that a test may change."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.build import Previous, review_content
from analytics_platform.governance.review.content import Content
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.warehouse import DuckDBWarehouse

Row = Mapping[str, Any]

DDL = {
    "ops.check_results": (
        "day date, evaluated_at timestamptz, asset text, check_name text, partition text, dataset text, "
        "dimension text, "
        "severity text, blocking bool, passed bool, could_not_run bool, checked bigint, failed bigint, threshold "
        "double, "
        "run_id text"
    ),
    "ops.sla_attainment": (
        "day date, tenant_id text, dataset text, tier text, owner text, severity text, promise text, "
        "promised_at timestamptz, attained_at timestamptz, is_attained bool, reason text"
    ),
    "ops.incidents": (
        "incident_id text, failure text, severity text, status text, owner text, asset text, dataset text, "
        "check_name text, tenant_id text, partition_day date, since timestamptz, opened_at timestamptz, "
        "recovered_at timestamptz, minutes_to_detect double, minutes_to_repair double, openings int, cause text, "
        "next_step text, dashboards text"
    ),
    "ops.ledger": "stream text, day date, tenant_id text, received bigint, accepted bigint, duplicates bigint, "
    "dead_lettered bigint",
    "raw.billing": (
        "day date, tenant_id text, message_id text, type text, event text, project_id text, event_at timestamptz, "
        "occurred_at timestamptz, properties text"
    ),
    "marts.fct_invoice_spans": (
        "tenant_id text, invoice_id text, currency text, valid_from_on date, issued_on date, total_minor bigint, "
        "paid_minor bigint, credited_minor bigint"
    ),
    "kpi.kpi_receivables": (
        "day date, tenant_id text, currency text, project_id text, booking_value_band text, receivables_minor bigint, "
        "receivables_reporting_minor bigint"
    ),
    "kpi.kpi_mrr": (
        "day date, tenant_id text, currency text, project_id text, mrr_minor bigint, mrr_reporting_minor bigint"
    ),
    "marts.fx_rates": "month date, currency text, rate_to_reporting decimal(18, 8)",
}


Q3 = Quarter(2026, 3)
ZONE = "Europe/Amsterdam"
SIGNERS = {"finance": "Eva Jansen", "operations": "Daan de Wit", "data_owner": "Noor Visser"}
SIGNED_AT = datetime(2026, 10, 2, 9, tzinfo=UTC)


def small_catalog(catalog: Catalog, **changed: Any) -> Catalog:
    """The catalogue with kpi.kpi_mrr (finance) and ops.ledger (data platform) alone, and other declarations."""
    known = {name: getattr(catalog, name) for name in Catalog.model_fields}
    datasets = {name: catalog.datasets[name] for name in ("kpi.kpi_mrr", "ops.ledger")}
    return Catalog.model_validate({**known, "datasets": datasets, **changed})


class OpenWarehouse(DuckDBWarehouse):
    """The warehouse's file over one connection that stays open: opening it for each query is most of a test's time."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(path)
        self._connection = connection

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        return self._connection.sql(sql, params=list(parameters)).to_arrow_table()


class Tables:
    """A warehouse file with these tables, empty or those of another file, open until it is closed."""

    def __init__(self, path: Path, *, without: Sequence[str] = (), like: Path | None = None) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if like:
            shutil.copy(like, path)
        self._connection = duckdb.connect(str(path))
        self.run("set TimeZone = 'UTC'")
        if like:
            return
        for schema in ("raw", "staging", "marts", "kpi", "extracts", "ops"):
            self.run(f"create schema {schema}")
        for table, columns in DDL.items():
            if table not in without:
                self.run(f"create table {table} ({columns})")

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return OpenWarehouse(self.path, self._connection)

    def close(self) -> Path:
        """Let others open the file."""
        self._connection.close()
        return self.path

    def add(self, table: str, *rows: Row) -> None:
        """Insert rows; a column that a row does not name is null."""
        self._connection.register("incoming", pa.Table.from_pylist([dict(row) for row in rows]))
        self.run(f"insert into {table} by name select * from incoming")

    def run(self, sql: str) -> None:
        self._connection.execute(sql)

    def content(self, catalog: Catalog, previous: Content | None = None, quarter: Quarter = Q3) -> Content:
        """What a review built on the day after the quarter says."""
        before = Previous(previous, None if previous else "there is no review of 2026Q2")
        now = at(quarter.next.first_day, 5)
        return review_content(self.warehouse, catalog, quarter, before, time_zone="Europe/Amsterdam", now=now)[0]


def at(day: date, hour: int = 3) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def evaluation(day: date, check: str = "mrr_movements_reconcile", /, **changed: Any) -> Row:
    """One evaluation of a check of kpi.kpi_mrr that holds, made the morning after its day."""
    made = day + timedelta(days=1)
    return {
        "day": made,
        "evaluated_at": at(made),
        "asset": "kpi/revenue/kpi_mrr",
        "check_name": check,
        "partition": day.isoformat(),
        "dataset": "kpi.kpi_mrr",
        "dimension": "consistency",
        "severity": "ERROR",
        "blocking": True,
        "passed": True,
        "could_not_run": False,
        "checked": 40,
        "failed": 0,
        "threshold": None,
        "run_id": f"run-{made}",
        **changed,
    }


def failing(day: date, check: str = "mrr_movements_reconcile", /, **changed: Any) -> Row:
    return evaluation(day, check, **{"passed": False, "failed": 3, **changed})


def promise(day: date, tenant: str, attained: bool | None = True, **changed: Any) -> Row:
    return {
        "day": day,
        "tenant_id": tenant,
        "dataset": "kpi.kpi_mrr",
        "tier": "gold",
        "owner": "finance",
        "severity": "critical",
        "promise": "complete_by_deadline",
        "promised_at": at(day + timedelta(days=1), 4),
        "attained_at": at(day + timedelta(days=1)) if attained else None,
        "is_attained": attained,
        "reason": "in_time" if attained else "late",
        **changed,
    }


def incident(number: int, day: date, **changed: Any) -> Row:
    return {
        "incident_id": f"inc-{number:04d}",
        "failure": "check_failed",
        "severity": "critical",
        "status": "recovered",
        "owner": "finance",
        "asset": "kpi/revenue/kpi_mrr",
        "dataset": "kpi.kpi_mrr",
        "check_name": "mrr_movements_reconcile",
        "tenant_id": None,
        "partition_day": day,
        "since": at(day + timedelta(days=1)),
        "opened_at": at(day + timedelta(days=1)),
        "recovered_at": at(day + timedelta(days=1), 6),
        "minutes_to_detect": 12.0,
        "minutes_to_repair": 180.0,
        "openings": 1,
        "cause": "A price was changed by hand",
        "next_step": None,
        "dashboards": "finance",
        **changed,
    }


def billing(event: str, occurred_at: datetime, *, tenant: str = "delta-events", message: str, **said: Any) -> Row:
    return {
        "day": occurred_at.date(),
        "tenant_id": tenant,
        "message_id": message,
        "type": "track",
        "event": event,
        "project_id": said.pop("project_id", None),
        "event_at": occurred_at,
        "occurred_at": occurred_at,
        "properties": orjson.dumps(said).decode(),
    }


def quarter_of_rows(tables: Tables, first: date, days: int = 92) -> None:
    """A quarter in which all is well: a check, a promise and the ledger of each day, and money that agrees."""
    span = [first + timedelta(n) for n in range(days)]
    last = span[-1]
    of_ledger = {"asset": "ops/ledger", "dataset": "ops.ledger", "dimension": "accuracy"}
    tables.add("ops.check_results", *(evaluation(day) for day in span))
    tables.add("ops.check_results", *(evaluation(day, "ledger_balances", **of_ledger) for day in span))
    tables.add(
        "ops.sla_attainment", *(promise(day, tenant) for day in span for tenant in ("delta-events", "albion-stage"))
    )
    tables.add(
        "ops.ledger",
        {
            "stream": "billing",
            "day": first,
            "tenant_id": "delta-events",
            "received": 10,
            "accepted": 7,
            "duplicates": 2,
            "dead_lettered": 1,
        },
    )
    _money(tables, first, last)


def _money(tables: Tables, first: date, last: date) -> None:
    """One invoice in GBP with a payment, and a subscription, on both sides."""
    same = {"tenant": "albion-stage", "currency": "GBP", "invoice_id": "i1"}
    tables.add(
        "raw.billing",
        billing("invoice.issued", at(first, 12), message="m1", amount_minor=1000, **same),
        billing("invoice.paid", at(first + timedelta(3), 12), message="m2", amount_minor=400, payment_id="p1", **same),
        billing(
            "subscription.started",
            at(first, 12),
            tenant="albion-stage",
            message="m3",
            subscription_id="s1",
            currency="GBP",
            mrr_minor=999,
        ),
    )
    spans = {
        "tenant_id": "albion-stage",
        "invoice_id": "i1",
        "currency": "GBP",
        "issued_on": first,
        "total_minor": 1000,
        "credited_minor": 0,
    }
    tables.add(
        "marts.fct_invoice_spans",
        {**spans, "valid_from_on": first, "paid_minor": 0},
        {**spans, "valid_from_on": first + timedelta(3), "paid_minor": 400},
    )
    place = {"day": last, "tenant_id": "albion-stage", "currency": "GBP"}
    tables.add("kpi.kpi_receivables", {**place, "receivables_minor": 600, "receivables_reporting_minor": 690})
    tables.add("kpi.kpi_mrr", {**place, "mrr_minor": 999, "mrr_reporting_minor": 1149})
    months = sorted({(first + timedelta(n)).replace(day=1) for n in range(92)})
    tables.add(
        "marts.fx_rates", *({"month": month, "currency": "GBP", "rate_to_reporting": "1.15"} for month in months)
    )
