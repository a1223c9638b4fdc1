"""Great Expectations at work: rules and rows in, one outcome per rule out.

The only module that imports Great Expectations, and only when something is judged: the import takes seconds, and a code
location must load in as many milliseconds. pandas is the one engine that works here (`duckdb-engine` fails every
expectation). The context lives in memory, has no project folder, and its analytics are off; 1.24 has no code left that
would send any, and a test holds that nothing connects.

**An engine error is not bad data.** Great Expectations answers `success=False` for both; what tells them apart is
`exception_info`, either `{"raised_exception": …}` itself or one such mapping per metric that broke.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from asset_checks.expectations.rules import DTYPES, ROWS_OF_DAY, Rule
from asset_checks.expectations.suites import Suite
from asset_checks.expectations.tables import Table

if TYPE_CHECKING:
    import pandas as pd

_COUNTS = {"result_format": "BASIC", "exclude_unexpected_values": True}
_PLACES = {"result_format": "COMPLETE", "exclude_unexpected_values": True, "include_unexpected_rows": False}
_LOGGER = "great_expectations"


@dataclass(frozen=True)
class Outcome:
    """What became of a rule on one batch.

    Attributes:
        checked: rows judged; days for what is about the table (1 where rows are of no day).
        unexpected: how many of them do not hold.
        days: unexpected rows by day; empty where rows are of no day.
        observed: what was found instead of single values: ends, counts, types.
        error: why the rule could not be judged, None where it was.
    """

    checked: int = 0
    unexpected: int = 0
    days: Mapping[date, int] = field(default_factory=dict)
    observed: str | None = None
    error: str | None = None


def version() -> str:
    """Which Great Expectations judges."""
    import great_expectations as gx

    return str(gx.__version__)


def judge(rows: pa.Table, table: Table, suite: Suite, rules: Sequence[Rule]) -> dict[str, Outcome]:
    """Judge one batch: every rule's outcome by its id.

    Places of bad rows are asked for in a second pass over the rules that do not hold: nearly always all hold, and
    counting alone is cheaper.
    """
    batch = _Batch(rows, table, suite)
    counted = batch.validate(rules, _COUNTS)
    broken = [rule for rule in rules if rule.is_about_rows and _is_broken(counted[rule.id])]
    placed = batch.validate(broken, _PLACES) if broken else {}
    return {rule.id: batch.outcome(rule, counted[rule.id], placed.get(rule.id)) for rule in rules}


def engine_error(result: Mapping[str, Any]) -> str | None:
    """The error within a result of Great Expectations, None where it judged.

    Args:
        result: its `to_json_dict()`.
    """
    info = result["exception_info"]
    shapes = [info] if "raised_exception" in info else [each for each in info.values() if isinstance(each, Mapping)]
    for each in shapes:
        if each["raised_exception"]:
            return str(each["exception_message"])
    return None


class _Batch:
    """The rows as pandas wants them, with what is added to them."""

    def __init__(self, rows: pa.Table, table: Table, suite: Suite) -> None:
        self._days = rows[table.day_column].to_pylist() if table.day_column else None
        self._personal = {column.name for column in table.columns if column.is_personal}
        self._formula_errors: dict[str, str] = {}
        self._named = set(rows.column_names)
        self._frame = as_pandas(rows)
        self._judged = self._with_derived(suite.meta.derived_columns, table)

    def validate(self, rules: Sequence[Rule], result_format: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What Great Expectations says of each rule, by the rule's id; it answers in an order of its own."""
        import great_expectations as gx

        answers: dict[str, dict[str, Any]] = {}
        # The table's own columns are judged without those that were added to it.
        for frame, about_rows in ((self._frame, False), (self._judged, True)):
            chosen = [rule for rule in rules if rule.is_about_rows == about_rows]
            if chosen:
                suite = gx.ExpectationSuite(name="rules", expectations=[_configured(rule) for rule in chosen])
                validated = _definition().get_batch({"dataframe": frame}).validate(suite, result_format=result_format)
                answers |= {each.expectation_config.meta["rule"]: each.to_json_dict() for each in validated.results}
        return answers

    def outcome(self, rule: Rule, counted: Mapping[str, Any], placed: Mapping[str, Any] | None) -> Outcome:
        """The outcome of a rule by what both passes said of it."""
        error = engine_error(counted) or (engine_error(placed) if placed else None)
        if error:
            return Outcome(error=self._told(rule, error))
        observed = self._observed(rule, counted["result"])
        if not rule.is_about_rows:
            days = sorted(set(self._days or []))
            checked = len(days) if self._days is not None else 1
            failed = 0 if counted["success"] else max(checked, 1)
            return Outcome(max(checked, failed), failed, dict.fromkeys(days, 1) if failed else {}, observed)
        result = counted["result"]
        checked = result["element_count"] - (result.get("missing_count") or 0)
        places = placed["result"]["unexpected_index_list"] if placed else []
        days_of = Counter(self._days[place] for place in places) if self._days is not None else Counter()
        return Outcome(checked, result["unexpected_count"], dict(sorted(days_of.items())), observed)

    def _with_derived(self, formulas: Mapping[str, str], table: Table) -> pd.DataFrame:
        frame = self._frame.copy(deep=False)
        for name, formula in formulas.items():
            try:
                frame[name] = self._frame.eval(formula, engine="python")
            except Exception as error:  # noqa: BLE001  kept for the rules that need the column; the others go on
                self._formula_errors[name] = f"{name} = {formula}: {type(error).__name__}: {error}"
        if table.row_budget is not None and table.day_column:
            frame[ROWS_OF_DAY] = frame.groupby(table.day_column)[table.day_column].transform("size").astype("Int64")
        return frame

    def _told(self, rule: Rule, error: str) -> str:
        """The error in words; where a value of a personal column may stand in it, only that there was one."""
        if self._personal & (set(rule.columns) or self._named):
            return "the engine broke off on a personal column, so its message is not shown"
        broken = [self._formula_errors[name] for name in rule.columns if name in self._formula_errors]
        return "; ".join(broken) or error

    def _observed(self, rule: Rule, result: Mapping[str, Any]) -> str | None:
        if rule.type == "expect_table_columns_to_match_set":
            return _mismatch(result.get("details", {}).get("mismatched", {}))
        if rule.type == "expect_column_type_to_be":
            return str(result["observed_value"])
        if rule.type != "expect_column_values_to_be_between" or self._personal & set(rule.columns):
            return None
        values = self._judged[rule.kwargs["column"]]
        if rule.kwargs.get("row_condition") or values.isna().all():
            return None
        return f"{values.min():,} to {values.max():,}"


def as_pandas(rows: pa.Table) -> pd.DataFrame:
    """Arrow as pandas' nullable types: an empty whole number stays empty, and the others stay whole."""
    import pandas as pd

    nullable: dict[pa.DataType, Any] = {
        pa.int64(): pd.Int64Dtype(),
        pa.float64(): pd.Float64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype("python"),
    }
    plain = [_plain(rows[name]) for name in rows.column_names]
    table = pa.table(plain, names=rows.column_names)
    return table.to_pandas(types_mapper=nullable.get, date_as_object=False)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """One width of each kind of type: how wide a number is stored is no promise to anybody."""
    kind = column.type
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return pc.cast(column, pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pc.cast(column, pa.float64())
    if pa.types.is_large_string(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_timestamp(kind) and kind.tz:
        return pc.cast(column, pa.timestamp("us", tz="UTC"))
    return column


def _is_broken(result: Mapping[str, Any]) -> bool:
    return not result["success"] and engine_error(result) is None


def _configured(rule: Rule) -> dict[str, Any]:
    return {"type": rule.type, "kwargs": dict(rule.kwargs), "meta": {"rule": rule.id}}


def _mismatch(details: Mapping[str, Sequence[str]]) -> str | None:
    parts = [
        f"{word} {', '.join(details[key])}"
        for key, word in (("missing", "missing"), ("unexpected", "not declared"))
        if details.get(key)
    ]
    return "; ".join(parts) or None


@cache
def _definition() -> Any:
    """Where batches are made: one context for all suites of a process."""
    import great_expectations as gx

    # It warns of each batch that it has no id and of defaults that it falls back to; results say all that matters.
    logging.getLogger(_LOGGER).setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    rows = context.data_sources.add_pandas("tables").add_dataframe_asset("rows")
    return rows.add_batch_definition_whole_dataframe("days")


__all__ = ["DTYPES", "Outcome", "as_pandas", "engine_error", "judge", "version"]
