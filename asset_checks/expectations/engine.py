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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from asset_checks.expectations.rules import COLUMN_TYPE, ROWS_OF_DAY, Rule, type_rule
from asset_checks.expectations.suites import Suite, formula_columns
from asset_checks.expectations.tables import Table

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

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
        not_judged: why the rule could not be judged, None where it was.
        is_engine_error: the engine broke off; else the rule needs a column that is not as declared.
    """

    checked: int = 0
    unexpected: int = 0
    days: Mapping[date, int] = field(default_factory=dict)
    observed: str | None = None
    not_judged: str | None = None
    is_engine_error: bool = False


def version() -> str:
    """Which Great Expectations judges."""
    import great_expectations as gx

    return str(gx.__version__)


def judge(rows: pa.Table, table: Table, suite: Suite, rules: Sequence[Rule]) -> dict[str, Outcome]:
    """Judge one batch: every rule's outcome by its id.

    Columns and types come first: what needs a column that is missing or of another type is not judged, since the
    engine would break off on it, which is no news. Places of bad rows are asked for in a second pass over the rules
    that do not hold: nearly always all hold, and counting alone is cheaper. Where there are no rows none of them breaks
    a rule, and Great Expectations, which takes its milliseconds per rule all the same, is not asked about them.
    """
    batch = _Batch(rows, table, suite)
    outcomes = batch.judge_columns([rule for rule in rules if not rule.is_about_rows])
    about_rows = [rule for rule in rules if rule.is_about_rows]
    fit = [rule for rule in about_rows if not batch.unfit(rule)]
    outcomes |= {rule.id: Outcome(not_judged=batch.unfit(rule)) for rule in about_rows if batch.unfit(rule)}
    if not rows.num_rows:
        return outcomes | {rule.id: Outcome() for rule in fit}
    counted = batch.validate(fit, _COUNTS)
    broken = [rule for rule in fit if not counted[rule.id]["success"] and engine_error(counted[rule.id]) is None]
    placed = batch.validate(broken, _PLACES)
    return outcomes | {rule.id: batch.outcome(rule, counted[rule.id], placed.get(rule.id)) for rule in fit}


def engine_error(result: Mapping[str, Any]) -> str | None:
    """The error within a result of Great Expectations, None where it judged.

    Args:
        result: its `to_json_dict()`.
    """
    info: Mapping[str, Any] = result["exception_info"]
    shapes = [info] if "raised_exception" in info else list(info.values())
    for each in shapes:
        if each["raised_exception"]:
            return str(each["exception_message"])
    return None


class _Batch:
    """The rows as pandas wants them, with what is added to them."""

    def __init__(self, rows: pa.Table, table: Table, suite: Suite) -> None:
        self._days: list[date] | None = rows[table.day_column].to_pylist() if table.day_column else None
        self._personal = {column.name for column in table.columns if column.is_personal}
        self._formulas = suite.meta.derived_columns
        self._frame = as_pandas(rows)
        # The table's own columns are judged without those that are added for rules about rows.
        self._judged = self._frame.copy(deep=False)
        if table.row_budget is not None and table.day_column:
            days = self._frame.groupby(table.day_column)[table.day_column]
            self._judged[ROWS_OF_DAY] = days.transform("size").astype("Int64")
        self._unfit: dict[str, str] = {}

    def judge_columns(self, rules: Sequence[Rule]) -> dict[str, Outcome]:
        """Judge columns and types, and derive what fit columns allow."""
        missing = [rule for rule in rules if not set(rule.columns) <= set(self._frame.columns)]
        self._unfit = {name: f"{name} is missing" for rule in missing for name in rule.columns}
        present = [rule for rule in rules if rule not in missing]
        answers = self._column_answers(present)
        outcomes = {rule.id: Outcome(not_judged=self._unfit[rule.columns[0]]) for rule in missing}
        for rule in present:
            outcomes[rule.id] = self._column_outcome(rule, answers[rule.id])
            if not answers[rule.id]["success"]:
                self._unfit |= {name: f"{name} has another type than is declared" for name in rule.columns}
        for name, formula in self._formulas.items():
            if not self._broken_parts(name):
                self._judged[name] = self._frame.eval(formula, engine="python")
        return outcomes

    def unfit(self, rule: Rule) -> str | None:
        """Why a rule cannot be judged: columns that are not as declared."""
        return "; ".join(sorted({part for name in rule.columns for part in self._broken_parts(name)})) or None

    def validate(self, rules: Sequence[Rule], result_format: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What Great Expectations says of rules about rows, by the rule's id."""
        return _validated(self._judged, rules, result_format)

    def outcome(self, rule: Rule, counted: Mapping[str, Any], placed: Mapping[str, Any] | None) -> Outcome:
        """The outcome of a rule about rows by what both passes said of it."""
        error = engine_error(counted) or (engine_error(placed) if placed else None)
        if error:
            return Outcome(not_judged=self._told(rule, error), is_engine_error=True)
        result = counted["result"]
        checked = result["element_count"] - (result.get("missing_count") or 0)
        places = placed["result"]["unexpected_index_list"] if placed else []
        days = Counter(self._days[place] for place in places) if self._days is not None else Counter[date]()
        return Outcome(checked, result["unexpected_count"], dict(sorted(days.items())), self._observed(rule))

    def _column_outcome(self, rule: Rule, answer: Mapping[str, Any]) -> Outcome:
        error = engine_error(answer)
        if error:
            return Outcome(not_judged=error, is_engine_error=True)
        days = sorted(set(self._days or []))
        checked = max(len(days), 1)
        result = answer["result"]
        mismatch = _mismatch((result.get("details") or {}).get("mismatched") or {})
        observed = mismatch if rule.type == "expect_table_columns_to_match_set" else str(result["observed_value"])
        if answer["success"]:
            return Outcome(checked, observed=observed)
        return Outcome(checked, checked, dict.fromkeys(days, 1), observed)

    def _column_answers(self, rules: Sequence[Rule]) -> dict[str, Mapping[str, Any]]:
        """What Great Expectations says of columns and types, by the rule's id."""
        of_types = [rule for rule in rules if rule.type == COLUMN_TYPE]
        others = [rule for rule in rules if rule.type != COLUMN_TYPE]
        stored = self._frame.dtypes
        told = {rule.id: _type_answer(rule.kwargs["type_"], stored[rule.kwargs["column"]]) for rule in of_types}
        return {**_validated(self._frame, others, _COUNTS), **told}

    def _broken_parts(self, name: str) -> list[str]:
        parts = formula_columns(self._formulas[name]) if name in self._formulas else {name}
        return [self._unfit[part] for part in parts if part in self._unfit]

    def _told(self, rule: Rule, error: str) -> str:
        """The error; where a value of a personal column may stand in it, only that there was one."""
        if self._is_personal(rule):
            return "the engine broke off on a personal column, so its message is not shown"
        return error

    def _is_personal(self, rule: Rule) -> bool:
        parts = {part for name in rule.columns for part in formula_columns(self._formulas.get(name, name))}
        return bool(self._personal & parts)

    def _observed(self, rule: Rule) -> str | None:
        """The ends of a column that has limits; nothing else is told of values."""
        if rule.type != "expect_column_values_to_be_between" or "row_condition" in rule.kwargs:
            return None
        values = self._judged[rule.kwargs["column"]]
        if self._is_personal(rule) or values.isna().all():
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


def _validated(
    frame: pd.DataFrame, rules: Sequence[Rule], result_format: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Results by rule, since Great Expectations answers in an order of its own."""
    import great_expectations as gx

    if not rules:
        return {}
    suite = gx.ExpectationSuite(name="rules", expectations=[_configured(rule) for rule in rules])
    batch = _definition().get_batch({"dataframe": frame})
    with _configurations_made_once():
        answer = batch.validate(suite, result_format=result_format)
    return {each.expectation_config.meta["rule"]: each.to_json_dict() for each in answer.results}


@cache
def _type_answer(declared: str, stored: Any) -> Mapping[str, Any]:
    """Whether a column that is stored as a type is of the declared one.

    Great Expectations (1.24) looks at the two types and at nothing else of a column, and takes its milliseconds for
    each: the hundreds of columns of all tables are of half a dozen types, so each pair is asked about once.
    """
    import pandas as pd

    rule = type_rule("any", declared)
    return _validated(pd.DataFrame({"any": pd.Series(dtype=stored)}), [rule], _COUNTS)[rule.id]


def _configured(rule: Rule) -> dict[str, Any]:
    return {"type": rule.type, "kwargs": dict(rule.kwargs), "meta": {"rule": rule.id}}


def _mismatch(details: Mapping[str, Sequence[str]]) -> str | None:
    parts = [
        f"{word} {', '.join(details[key])}"
        for key, word in (("missing", "missing"), ("unexpected", "not declared"))
        if details.get(key)
    ]
    return "; ".join(parts) or None


@contextmanager
def _configurations_made_once() -> Iterator[None]:
    """Have an expectation make its configuration once and not each time that it is asked.

    Great Expectations (1.24) asks each expectation some seventy times while it judges a batch, and each answer copies
    all of its fields: two fifths of the time that a suite takes. Nothing changes an expectation meanwhile.
    """
    from great_expectations.expectations import expectation as of_engine

    kind: Any = of_engine.Expectation
    made: dict[int, Any] = {}
    anew = kind.configuration

    def configuration(expectation: Any) -> Any:
        if id(expectation) not in made:
            # The expectation is kept with it, so that no other gets its identity.
            made[id(expectation)] = expectation, anew.fget(expectation)
        return made[id(expectation)][1]

    kind.configuration = property(configuration)
    try:
        yield
    finally:
        kind.configuration = anew


@cache
def _definition() -> Any:
    """Where batches are made: one context for all suites of a process."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # It warns of each batch that it has no id and of defaults that it falls back to; results say all that matters.
    logging.getLogger(_LOGGER).setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    rows = context.data_sources.add_pandas("tables").add_dataframe_asset("rows")
    return rows.add_batch_definition_whole_dataframe("days")
