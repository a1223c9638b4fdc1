"""A warehouse file with chosen messages in it, and dbt runs on it.

Belongs here: what tests of dbt models share. `Message` is one accepted message, `load` writes the `raw` tables as the
loader does, `Dbt` builds days of models and reads tables; `CompiledModels` runs the same SQL without dbt, for tests
with many examples. Stays out: the lake and the loader themselves, which have tests of their own.

    dbt = Dbt(tmp_path)
    dbt.load([Message("invoice.issued", "2026-01-05T10:00:00Z", invoice_id="i1", …)])
    dbt.build("2026-01-01", "2026-01-31", select="+kpi_invoice_collection_rate")
    dbt.rows("select * from kpi.kpi_invoice_collection_rate where day = '2026-01-31'")
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from analytics_platform.defs.dbt_build import DbtBuild, duckdb_connection, name_flags_at_once
from analytics_platform.defs.dbt_overhead import spare_overhead

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "dbt"

STREAMS = ("billing", "inventory", "transport", "marketing", "crm", "support", "product")
STREAM_OF = {
    "invoice": "billing",
    "subscription": "billing",
    "equipment": "inventory",
    "booking": "inventory",
    "scan": "inventory",
    "transport": "transport",
    "nps": "crm",
    "ticket": "support",
    "ui": "product",
    "http": "product",
}
OCCURRED_AT = {
    "invoice.issued": "issued_at",
    "invoice.paid": "paid_at",
    "invoice.credited": "credited_at",
    "invoice.written_off": "written_off_at",
    "invoice.voided": "voided_at",
    "subscription.started": "started_at",
    "subscription.changed": "changed_at",
    "subscription.cancelled": "effective_at",
    "equipment.status_changed": "changed_at",
    "booking.cancelled": "cancelled_at",
    "scan.completed": "scanned_at",
    "scan.exception": "scanned_at",
    "transport.departed": "departed_at",
    "transport.cancelled": "cancelled_at",
    "transport.arrived": "arrived_at",
    "lead.created": "created_at",
    "lead.qualified": "qualified_at",
    "lead.converted": "converted_at",
    "nps.submitted": "submitted_at",
    "ticket.opened": "opened_at",
    "ticket.resolved": "resolved_at",
    "ticket.reopened": "reopened_at",
}

_STAMP = pa.timestamp("us", tz="UTC")
RAW_SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("tenant_id", pa.string()),
        ("message_id", pa.string()),
        ("type", pa.string()),
        ("event", pa.string()),
        ("schema_version", pa.int32()),
        ("project_id", pa.string()),
        ("user_id", pa.string()),
        ("anonymous_id", pa.string()),
        ("event_at", _STAMP),
        ("occurred_at", _STAMP),
        ("original_timestamp", _STAMP),
        ("sent_at", _STAMP),
        ("received_at", _STAMP),
        ("source", pa.string()),
        ("payload_hash", pa.string()),
        ("properties", pa.string()),
        ("context", pa.string()),
        ("traits", pa.string()),
        ("extra", pa.string()),
    ]
)


@dataclass(frozen=True)
class TenantRow:
    """A tenant of the fixture."""

    tenant_id: str
    time_zone: str = "Europe/Amsterdam"
    currency: str = "EUR"
    country: str = "NL"
    financial_year_end: str = "12-31"
    on_time_threshold_minutes: int = 15
    hours: tuple[tuple[int, str, str], ...] = tuple((day, "09:00", "17:30") for day in range(1, 6))
    holidays: tuple[date, ...] = ()


TENANTS = (
    TenantRow("t1"),
    TenantRow("t2"),
    TenantRow("gb", "Europe/London", "GBP", "GB", "03-31"),
)


@dataclass(frozen=True)
class Message:
    """One accepted message. `at` is the business time (RFC 3339); properties are the event's own fields."""

    event: str | None
    at: str
    tenant: str = "t1"
    project: str | None = None
    event_at: str | None = None
    message_id: str | None = None
    type: str = "track"
    stream: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    context: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)

    def landing_stream(self) -> str:
        """Return the raw table that the message belongs to."""
        if self.stream or self.event is None:
            return self.stream or "marketing"
        if self.event == "lead.created":
            return "marketing"
        return STREAM_OF.get(self.event.split(".")[0], "crm")


def message(event: str, at: str, /, **arguments: Any) -> Message:
    """Return a tracked message: arguments that `Message` knows are its own, all others are properties of the event.

    The business time is also put under the property that the plan names for it.
    """
    own = {name: arguments.pop(name) for name in list(arguments) if name in Message.__dataclass_fields__}
    business_time = {OCCURRED_AT[event]: at} if event in OCCURRED_AT else {}
    return Message(event, at, properties={**business_time, **arguments}, **own)


class Dbt:
    """The project's models on a warehouse file of their own."""

    _manifest: Manifest | None = None

    def __init__(self, folder: Path, tenants: Sequence[TenantRow] = TENANTS) -> None:
        self.warehouse = folder / "warehouse.duckdb"
        self.target = folder / "target"
        self.tenants = tenants
        self.load(())

    def load(self, messages: Iterable[Message]) -> None:
        """Replace the raw tables with these messages, in the given order."""
        with duckdb.connect(str(self.warehouse)) as connection:
            write_raw(connection, messages, self.tenants)

    def build(self, first: str | date, last: str | date, select: str = "", *extra: str) -> None:
        """Build and test the selected models for the days first..last; raise with dbt's messages on a failure.

        A test that compares a model with its source is left out where the model is: it would find nothing to compare.
        """
        left_out = ("--exclude-resource-type", "unit_test", "--indirect-selection", "buildable")
        self.run("build", first, last, select, *left_out, *extra)

    def build_again(self, first: str | date, last: str | date, select: str = "") -> None:
        """Build models alone: for tables that are compared row by row with ones whose build was tested."""
        self.build(first, last, select, "--exclude-resource-type", "test")

    def run(self, verb: str, first: str | date, last: str | date, select: str = "", *extra: str) -> Any:
        """Run a dbt command on this warehouse."""
        os.environ["ANALYTICS_WAREHOUSE_PATH"] = str(self.warehouse)
        days = json.dumps({"start_day": str(first), "end_day": str(last)})
        arguments = [verb, *_paths(self.target), "--vars", days, "--quiet", "--no-partial-parse"]
        arguments += ["--no-write-json", *extra]
        if select:
            arguments += ["--select", *select.split()]
        name_flags_at_once()
        spare_overhead()
        try:
            result = dbtRunner(manifest=self._parsed()).invoke(arguments)
        finally:
            close_warehouse()
        if not result.success:
            raise AssertionError(_failures(result))
        return result

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse file, to change what was loaded."""
        with duckdb.connect(str(self.warehouse)) as connection:
            yield connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def records(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.sql(sql).to_arrow_table().to_pylist()

    def _parsed(self) -> Manifest:
        """Return the project's manifest; parsed once per test process, because a parse takes seconds."""
        if Dbt._manifest is None:
            Dbt._manifest = DbtBuild(PROJECT, duckdb_connection(self.warehouse), self.target).parse(self.target)
        assert Dbt._manifest is not None
        return Dbt._manifest


class CompiledModels:
    """Models as compiled SQL on an in-memory warehouse: milliseconds per example, where a dbt run takes seconds.

    `names` are built in the given order, parents first. Every build makes the tables anew, limited to its days.
    """

    _FIRST, _LAST = date(1901, 1, 1), date(1902, 2, 2)

    def __init__(self, dbt: Dbt, *names: str) -> None:
        result = dbt.run("compile", self._FIRST, self._LAST, " ".join(names))
        nodes = {each.node.name: each.node for each in result.result}
        self._models = [(nodes[name].schema, name, nodes[name].compiled_code) for name in names]
        self.connection = duckdb.connect()
        self.connection.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse; set threads = 1")
        self.connection.execute("create schema staging; create schema marts; create schema kpi")
        self.connection.execute(
            f"create table marts.fx_rates as from read_csv('{PROJECT}/seeds/fx_rates.csv',"
            " types = {'month': 'date', 'rate_to_reporting': 'decimal(18, 8)'})"
        )

    def build(self, messages: Iterable[Message], first: date, last: date, but: Collection[str] = ()) -> None:
        """Load the messages and build every model for the days first..last, `but` those that others are chosen for."""
        write_raw(self.connection, messages)
        self.rebuild(first, last, *(name for _, name, _ in self._models if name not in but))

    def rebuild(self, first: date, last: date, *names: str) -> None:
        """Build the named models (default all) on what is loaded."""
        for schema, name, sql in self._models:
            if not names or name in names:
                self.connection.execute(
                    f"create or replace table {schema}.{name} as {self._for_days(sql, first, last)}"
                )

    def records(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries."""
        return self.connection.sql(sql).to_arrow_table().to_pylist()

    def _for_days(self, sql: str, first: date, last: date) -> str:
        """Return the SQL for other days than those it was compiled for."""
        return sql.replace(str(self._FIRST), str(first)).replace(str(self._LAST), str(last))


def write_raw(
    connection: duckdb.DuckDBPyConnection, messages: Iterable[Message], tenants: Sequence[TenantRow] = TENANTS
) -> None:
    """Replace the tables of schema `raw` in the connection's database with these messages, in the given order."""
    rows: dict[str, list[dict[str, Any]]] = {stream: [] for stream in STREAMS}
    zones = {tenant.tenant_id: ZoneInfo(tenant.time_zone) for tenant in tenants}
    for number, each in enumerate(messages):
        rows[each.landing_stream()].append(_raw_row(each, number, zones[each.tenant]))
    connection.execute("create schema if not exists raw")
    for stream, stream_rows in rows.items():
        connection.register("incoming", pa.Table.from_pylist(stream_rows, RAW_SCHEMA))
        connection.execute(f"create or replace table raw.{stream} as select * from incoming")
        connection.unregister("incoming")
    _load_registry(connection, tenants)


def close_warehouse() -> None:
    """Close the connection that dbt keeps open in this process, so that others may open the file."""
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()


def _paths(target: Path) -> list[str]:
    """Return the arguments that say where things are; nothing is written into the project."""
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    return [*folders, "--target-path", str(target), "--log-path", str(target), "--log-level-file", "none"]


def _failures(result: Any) -> str:
    """Return what went wrong in a dbt run, one line per node."""
    if result.exception is not None:
        return str(result.exception)
    nodes = [each for each in result.result if str(each.status) not in {"pass", "success", "skipped"}]
    return "\n".join(f"{each.node.unique_id}: {each.status} {each.message}" for each in nodes)


def _raw_row(each: Message, number: int, zone: ZoneInfo) -> dict[str, Any]:
    """Return the raw table's row of a message."""
    event_at = _utc(each.event_at or each.at)
    properties = {"schema_version": 1, "tenant_id": each.tenant, **each.properties}
    if each.project is not None:
        properties["project_id"] = each.project
    text = json.dumps(properties if each.type == "track" else each.properties)
    return {
        "day": event_at.astimezone(zone).date(),
        "tenant_id": each.tenant,
        "message_id": each.message_id or f"m{number:06d}",
        "type": each.type,
        "event": each.event,
        "schema_version": 1,
        "project_id": each.project,
        "user_id": each.user_id,
        "anonymous_id": each.anonymous_id,
        "event_at": event_at,
        "occurred_at": _utc(each.at),
        "original_timestamp": event_at,
        "sent_at": event_at,
        "received_at": event_at,
        "source": "import",
        "payload_hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "properties": text,
        "context": json.dumps(each.context),
        "traits": None,
        "extra": None,
    }


def _utc(text: str) -> datetime:
    """Return the UTC time of RFC 3339 text."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _load_registry(connection: duckdb.DuckDBPyConnection, tenants: Sequence[TenantRow]) -> None:
    """Write the three registry tables."""
    registry = pa.table(
        {
            "tenant_id": [each.tenant_id for each in tenants],
            "name": [each.tenant_id.title() for each in tenants],
            "country": [each.country for each in tenants],
            "time_zone": [each.time_zone for each in tenants],
            "currency": [each.currency for each in tenants],
            "financial_year_end": [each.financial_year_end for each in tenants],
            "on_time_threshold_minutes": pa.array([each.on_time_threshold_minutes for each in tenants], pa.int32()),
        }
    )
    hours = [(each.tenant_id, *row) for each in tenants for row in each.hours]
    holidays = [(each.tenant_id, day) for each in tenants for day in each.holidays]
    connection.register("registry", registry)
    connection.execute("create or replace table raw.tenants as select * from registry")
    connection.execute(
        "create or replace table raw.tenant_business_hours"
        " (tenant_id varchar, weekday integer, opens_at varchar, closes_at varchar)"
    )
    connection.execute("create or replace table raw.tenant_holidays (tenant_id varchar, holiday_on date)")
    for table, rows in (("tenant_business_hours", hours), ("tenant_holidays", holidays)):
        if rows:
            places = ", ".join(f"({', '.join('?' * len(row))})" for row in rows)
            connection.execute(f"insert into raw.{table} values {places}", [value for row in rows for value in row])
