"""A small table with a suite, so that each expectation is seen to hold and to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from analytics_platform.reporting.expectation_results import ExpectationResult, SuiteResult
from asset_checks.expectations.suites import Expectation, Suite, SuiteMeta
from asset_checks.expectations.tables import Column, Table
from asset_checks.factory import Scope

FIRST, SECOND = date(2026, 3, 4), date(2026, 3, 5)

ROWS: Mapping[str, tuple[pa.DataType, list[Any]]] = {
    "day": (pa.date32(), [FIRST, FIRST, SECOND]),
    "tenant_id": (pa.string(), ["a", "b", "a"]),
    "name": (pa.string(), ["x", None, "x"]),
    "planned": (pa.int64(), [5, 2, 9]),
    "departed": (pa.int64(), [3, 2, 8]),
    "cancelled": (pa.int64(), [2, 0, 1]),
    "score": (pa.float64(), [1.5, None, 3.0]),
}
COLUMNS = (
    Column("day", "date", is_personal=False),
    Column("tenant_id", "string", is_personal=False),
    Column("name", "string", is_personal=True),
    Column("planned", "integer", is_personal=False),
    Column("departed", "integer", is_personal=False),
    Column("cancelled", "integer", is_personal=False),
    Column("score", "number", is_personal=False),
)


def rows(**changed: list[Any]) -> pa.Table:
    """The rows, with the values of some columns changed."""
    return pa.table({name: pa.array(changed.get(name, values), kind) for name, (kind, values) in ROWS.items()})


def a_table(read: Callable[[Scope], list[pa.Table]] | None = None, **changed: Any) -> Table:
    fields: dict[str, Any] = {
        "dataset": "kpi.kpi_example",
        "asset": dg.AssetKey(["kpi", "kpi_example"]),
        "columns": COLUMNS,
        "day_column": "day",
        "row_budget": 2,
        "tenants": ("a", "b"),
        "read": read or (lambda _: [rows()]),
    }
    return Table(**(fields | changed))


def expectation(kind: str, *, id: str = "it_holds", **kwargs: Any) -> Expectation:  # noqa: A002 - as in the files
    if "pair" in kind:
        kwargs.setdefault("ignore_row_if", "either_value_is_missing")
    return Expectation(id=id, type=kind, kwargs=kwargs, notes="Somebody relies on it.")


def a_suite(*expectations: Expectation, **derived: str) -> Suite:
    meta = SuiteMeta(grain=("day", "tenant_id"), may_be_null=("name", "score"), derived_columns=derived)
    given = expectations or (expectation("expect_column_values_to_be_between", column="planned", min_value=0),)
    return Suite(name="kpi.kpi_example", notes="What departs.", meta=meta, expectations=given)


def a_result(
    dataset: str,
    first: date,
    last: date,
    *,
    at: datetime = datetime(2026, 3, 6, 5, tzinfo=UTC),
    expectations: Sequence[ExpectationResult] = (),
    has_days: bool = True,
) -> SuiteResult:
    return SuiteResult(
        dataset=dataset,
        notes="What people rely on.",
        first=first,
        last=last,
        has_days=has_days,
        evaluated_at=at,
        engine="Great Expectations 1.24.1",
        rows={first: 10, last: 20} if has_days else {last: 30},
        expectations=tuple(expectations),
    )


def a_line(id: str = "it_holds", **changed: Any) -> ExpectationResult:  # noqa: A002 - as in the files
    fields: dict[str, Any] = {
        "id": id,
        "sentence": "planned is at least 0",
        "why": "Departures are counted.",
        "is_declared": False,
        "is_about_rows": True,
        "checked": 30,
        "unexpected": 0,
        "days": {},
        "observed": "0 to 7",
        "not_judged": None,
        "is_engine_error": False,
    }
    return ExpectationResult(**(fields | changed))
