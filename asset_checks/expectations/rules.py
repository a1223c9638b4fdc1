"""What is expected of a table: what its file says, after what follows from its declaration.

Columns, types, registered tenants and row budgets are declared elsewhere, so they are derived when a check runs:
written into the files, they would be a copy that goes stale. The file's `grain` and `may_be_null` become expectations
here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analytics_platform.catalog.dashboards import ColumnType
from asset_checks.expectations.suites import Suite, columns_named
from asset_checks.expectations.tables import Table

ROWS_OF_DAY = "rows_of_day"
"""A column that the engine adds where there is a budget: how many rows the row's day has."""

COLUMN_TYPE = "expect_column_type_to_be"
"""What a column is stored as; the same whatever its rows hold."""

DTYPES: Mapping[ColumnType, str] = {
    "date": "datetime64[ms]",
    "timestamp": "datetime64[us, UTC]",
    "string": "string",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "boolean",
}
"""The pandas type that the engine makes of each kind of column."""


@dataclass(frozen=True)
class Rule:
    """One expectation as it is judged.

    Attributes:
        id: the fact that holds.
        type: Great Expectations' name.
        kwargs: its arguments.
        why: why it must hold.
        is_declared: it follows from a declaration rather than from the file's own expectations.
        columns: the columns that it names, derived ones among them.
    """

    id: str
    type: str
    kwargs: Mapping[str, Any]
    why: str
    is_declared: bool
    columns: tuple[str, ...]

    @property
    def is_about_rows(self) -> bool:
        """Whether rows may break it, rather than the table's columns and types."""
        return not self.type.startswith("expect_table_") and self.type != COLUMN_TYPE


def rules_of(suite: Suite, table: Table) -> list[Rule]:
    """Every rule of a table: columns, types, keys and budget, then the file's own."""
    own = [
        Rule(each.id, each.type, each.kwargs, each.notes, is_declared=False, columns=tuple(columns_named(each)))
        for each in suite.expectations
    ]
    return [*_of_columns(table), *_of_rows(suite, table), *own]


def _of_columns(table: Table) -> Iterator[Rule]:
    names = sorted(table.column_names)
    yield _declared(
        "columns_are_declared",
        "expect_table_columns_to_match_set",
        {"column_set": names, "exact_match": True},
        "Consumers select columns by name: a missing one breaks them, one too many may hold what nobody released.",
    )
    for column in table.columns:
        yield type_rule(column.name, DTYPES[column.kind], f"Declared as {column.kind}.")


def type_rule(column: str, dtype: str, why: str = "") -> Rule:
    """A column is stored as the type."""
    return _declared(f"{column}_has_its_type", COLUMN_TYPE, {"column": column, "type_": dtype}, why, column)


def _of_rows(suite: Suite, table: Table) -> Iterator[Rule]:
    for column in table.columns:
        if column.name not in suite.meta.may_be_null:
            yield _declared(
                f"{column.name}_is_given",
                "expect_column_values_to_not_be_null",
                {"column": column.name},
                "The suite does not list it under may_be_null.",
                column.name,
            )
    yield _declared(
        "no_row_is_there_twice",
        "expect_compound_columns_to_be_unique",
        {"column_list": list(suite.meta.grain), "ignore_row_if": "never"},
        "Sums over the table count each fact once.",
        *suite.meta.grain,
    )
    yield _declared(
        "tenant_is_registered",
        "expect_column_values_to_be_in_set",
        {"column": "tenant_id", "value_set": list(table.tenants)},
        "Rows of a tenant that is not in the registry would be shown to nobody, or to the wrong one.",
        "tenant_id",
    )
    if table.row_budget is not None:
        yield _declared(
            "rows_of_a_day_are_within_budget",
            "expect_column_values_to_be_between",
            {"column": ROWS_OF_DAY, "max_value": table.row_budget},
            "More would not open in a consumer's tool.",
            ROWS_OF_DAY,
        )


def _declared(id_: str, type_: str, kwargs: Mapping[str, Any], why: str, *columns: str) -> Rule:
    return Rule(id_, type_, kwargs, why, is_declared=True, columns=columns)
