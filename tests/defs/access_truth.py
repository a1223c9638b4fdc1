"""A second opinion on who may see what, written for the tests: naive, from the YAML files alone, sharing no code.

Also a warehouse of two tenants in which every declared table has a row of each, whose texts say whose they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import yaml

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "analytics_platform" / "catalog"
MODELS = ROOT / "dbt" / "models"
CLASSES = ["none", "pseudonymous", "personal", "sensitive"]
TENANTS = {"brabant-rental": "Brabant Rental BV", "albion-stage": "Albion Stage Ltd"}
STRAY = "nobody_declared_this"
"""A column that stands in a table and in no declaration."""

ENVELOPE = [
    "day",
    "tenant_id",
    "message_id",
    "type",
    "event",
    "schema_version",
    "project_id",
    "user_id",
    "anonymous_id",
    "event_at",
    "occurred_at",
    "original_timestamp",
    "sent_at",
    "received_at",
    "source",
    "payload_hash",
    "properties",
    "context",
    "traits",
    "extra",
]
STAGED = ["day", "tenant_id", "project_id", "message_id", "event_at", "received_at", "occurred_at", "occurred_on"]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def worst(classes: list[str]) -> str:
    return max(classes, key=CLASSES.index)


@dataclass(frozen=True)
class Cell:
    """A column as somebody sees it: `clear`, `masked`, or absent (no cell at all)."""

    role: str
    tenant: str | None
    dataset: str
    column: str


class Truth:
    """What should be seen."""

    @cached_property
    def roles(self) -> dict[str, Any]:
        return read(CATALOG / "access_roles.yaml")

    @cached_property
    def datasets(self) -> dict[str, Any]:
        return read(CATALOG / "datasets.yaml")

    @cached_property
    def dashboards(self) -> dict[str, Any]:
        return read(CATALOG / "dashboards.yaml")

    @cached_property
    def streams(self) -> dict[str, Any]:
        return {path.stem: read(path) for path in sorted((CATALOG / "plan").glob("*.yaml"))}

    @cached_property
    def common(self) -> dict[str, Any]:
        return read(CATALOG / "common_fields.yaml")

    @cached_property
    def documented(self) -> dict[str, dict[str, Any]]:
        """Columns of every model by its name."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(MODELS.rglob("*.yml")):
            for model in read(path).get("models", []):
                columns = {column["name"]: column for column in model.get("columns", [])}
                found.setdefault(model["name"], {}).update(columns)
        return found

    @cached_property
    def planned(self) -> dict[str, str]:
        """The worst class of every name of a field."""
        classes: dict[str, list[str]] = {}
        for stream in self.streams.values():
            for event in stream["events"].values():
                for name, field in {**self.common, **event.get("fields", {})}.items():
                    classes.setdefault(name, []).append(field["pii"])
        return {name: worst(each) for name, each in classes.items()}

    @cached_property
    def tables(self) -> dict[str, dict[str, str | None]]:
        """The class of every column of every table and extract, by dataset."""
        found = {name: self._registered(name, entry) for name, entry in self._registry()}
        for board, body in self.dashboards.items():
            for extract, declared in body["extracts"].items():
                columns = {name: column["pii"] for name, column in declared["columns"].items()}
                found[f"extracts.{board}.{extract}"] = columns
        return found

    @cached_property
    def tenant_columns(self) -> dict[str, str | None]:
        columns = {name: entry["tenant_column"] for name, entry in self._registry()}
        return {**columns, **{name: "tenant_id" for name in self.tables if name.startswith("extracts.")}}

    def cells(self, tenants: dict[str, str], roles: Collection[str] | None = None) -> dict[Cell, str]:
        """The truth table, of all roles or of some."""
        return {
            Cell(role, tenant, dataset, column): state
            for role, told in self.roles.items()
            if roles is None or role in roles
            for tenant in ([None] if told["tenants"] == "all" else tenants)
            for dataset, columns in self.tables.items()
            if self._may(told, dataset)
            for column, pii in columns.items()
            for state in ["clear" if pii and CLASSES.index(pii) <= CLASSES.index(told["max_pii"]) else "masked"]
        }

    def tenants_seen(self, tenants: dict[str, str]) -> dict[tuple[str, str | None, str], set[str | None]]:
        """Whose rows are seen, by role, tenant and dataset; {None} where rows are nobody's."""
        return {(cell.role, cell.tenant, cell.dataset): self._whose(cell) for cell in self.cells(tenants)}

    def _whose(self, cell: Cell) -> set[str | None]:
        if self.tenant_columns[cell.dataset] is None:
            return {None}
        return set(TENANTS) if cell.tenant is None else {cell.tenant} & set(TENANTS)

    def _may(self, role: dict[str, Any], dataset: str) -> bool:
        if role["tenants"] == "own" and self.tenant_columns[dataset] is None:
            return False
        for pattern in role["datasets"]:
            if pattern == dataset or (pattern[-1] == "*" and dataset[: len(pattern) - 1] == pattern[:-1]):
                return True
        return False

    def _registry(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Tables of the warehouse; those of the plan's events stand in no file."""
        for name, entry in self.datasets.items():
            schema, _, rest = name.partition(".")
            if schema in ("raw", "staging", "marts", "kpi", "ops") and "." not in rest and rest:
                yield name, entry
        for stream, body in self.streams.items():
            for event in body["events"]:
                yield f"staging.stg_{stream}__{event.replace('.', '_')}", {"tenant_column": "tenant_id", "event": event}

    def _registered(self, name: str, entry: dict[str, Any]) -> dict[str, str | None]:
        short = name.split(".")[1]
        documented = self.documented.get(short, {})
        columns: dict[str, str | None] = {column: _noted(body) for column, body in documented.items()}
        if "event" in entry:
            stream = short.removeprefix("stg_").split("__")[0]
            fields = {**self.common, **self.streams[stream]["events"][entry["event"]].get("fields", {})}
            for column, pii in [*((each, "none") for each in STAGED), *((k, v["pii"]) for k, v in fields.items())]:
                columns[column] = worst([columns.get(column) or "none", pii])
        known = [*entry.get("columns", []), *(ENVELOPE if name.startswith("raw.") and short in self.streams else [])]
        for column in known:
            columns[column] = columns.get(column) or "none"
        for column in entry.get("pii_columns", []):
            told = [each for each in (columns.get(column), self.planned.get(column)) if each not in (None, "none")]
            columns[column] = worst([str(each) for each in told]) if told else "sensitive"
        return columns


def _noted(column: dict[str, Any]) -> str | None:
    meta = column.get("config", {}).get("meta") or column.get("meta") or {}
    return meta.get("pii")


def fill(path: Path, truth: Truth, only: Collection[str] | None = None) -> None:
    """A warehouse in which every table has one row of each tenant, or one row where rows are nobody's."""
    connection = duckdb.connect(str(path))
    connection.begin()
    filters = _filters()
    for name, columns in truth.tables.items():
        if name.startswith("extracts.") or (only is not None and name not in only):
            continue
        schema, short = name.split(".")
        published = _published_types(truth, name)
        types = {
            c: str(truth.documented.get(short, {}).get(c, {}).get("data_type") or published.get(c) or _type(c))
            for c in columns
        }
        connection.execute(f"create schema if not exists {schema}")
        declared = ", ".join(f"{column} {types[column]}" for column in columns)
        connection.execute(f"create table {name} ({declared}, {STRAY} varchar)")
        owner = truth.tenant_columns[name]
        for tenant in TENANTS if owner else [None]:
            fixed = {**filters.get(name, {}), **({owner: tenant} if owner else {})}
            values = [fixed.get(column) or _value(types[column], column, tenant) for column in columns]
            marks = ", ".join("?" * (len(values) + 1))
            connection.execute(f"insert into {name} values ({marks})", [*values, f"stray of {tenant}"])
    connection.commit()
    connection.close()


def _filters() -> dict[str, dict[str, str]]:
    """Values that a KPI's headline asks for, so that the extract of headlines has rows."""
    found: dict[str, dict[str, str]] = {}
    for kpi in read(CATALOG / "kpis.yaml").values():
        headline = kpi["headline"]
        table = headline.get("table") or kpi["table"]
        found.setdefault(table, {}).update(headline.get("filter", {}))
    return found


def _published_types(truth: Truth, table: str) -> dict[str, str]:
    """Types of a table's columns as an extract of it declares them; without a dbt model, the only ones."""
    sql = {"number": "double", "integer": "bigint", "string": "varchar"}
    return {
        name: sql.get(column["type"], column["type"])
        for board in truth.dashboards.values()
        for extract in board["extracts"].values()
        if extract["source"] == table
        for name, column in extract["columns"].items()
    }


def _type(column: str) -> str:
    return "date" if column in ("day", "month", "holiday_on") else "varchar"


def _value(kind: str, column: str, tenant: str | None) -> object:
    if kind.startswith(("bigint", "integer", "double", "decimal")):
        return 7
    if kind == "date":
        return "2026-03-02"
    if kind.startswith("timestamp"):
        return "2026-03-02 12:00:00"
    if kind == "boolean":
        return True
    return f"{tenant}|{TENANTS.get(str(tenant))}|{column}"
