"""Expectations as sentences, for people who do not know Great Expectations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asset_checks.expectations.rules import ROWS_OF_DAY, Rule

_SHOWN = 8
_TYPES = {
    "datetime64[ms]": "a date",
    "datetime64[us, UTC]": "a time in UTC",
    "string": "text",
    "Int64": "a whole number",
    "Float64": "a number",
    "boolean": "yes or no",
}
_OPERATORS = {
    "==": "is",
    "!=": "is not",
    ">": "is more than",
    ">=": "is at least",
    "<": "is less than",
    "<=": "is at most",
}


def sentence(rule: Rule, formulas: Mapping[str, str]) -> str:
    """What a rule expects, in words; derived columns are written out as their formulas.

    Args:
        rule: what is expected.
        formulas: formula by derived column.
    """
    said = _SAID[rule.type](rule.kwargs, formulas)
    condition = rule.kwargs.get("row_condition")
    return said + (f", where {_condition(condition)}" if condition else "")


def _between(kwargs: Mapping[str, Any], formulas: Mapping[str, str]) -> str:
    name = "The number of rows of a day" if kwargs["column"] == ROWS_OF_DAY else _named(kwargs["column"], formulas)
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is None:
        return f"{name} is {'less than' if kwargs.get('strict_max') else 'at most'} {high}"
    if high is None:
        return f"{name} is {'more than' if kwargs.get('strict_min') else 'at least'} {low}"
    return f"{name} is between {low} and {high}"


def _in_set(kwargs: Mapping[str, Any], formulas: Mapping[str, str]) -> str:
    return f"{_named(kwargs['column'], formulas)} is {_one_of(kwargs['value_set'])}"


def _greater(kwargs: Mapping[str, Any], formulas: Mapping[str, str]) -> str:
    comparison = "is at least" if kwargs.get("or_equal") else "is more than"
    return f"{_named(kwargs['column_A'], formulas)} {comparison} {_named(kwargs['column_B'], formulas)}"


def _equal(kwargs: Mapping[str, Any], formulas: Mapping[str, str]) -> str:
    return f"{_named(kwargs['column_A'], formulas)} equals {_named(kwargs['column_B'], formulas)}"


_SAID: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str]], str]] = {
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_match_regex": lambda kwargs, _: f"{kwargs['column']} is written as {kwargs['regex']}",
    "expect_column_values_to_not_be_null": lambda kwargs, _: f"{kwargs['column']} is always given",
    "expect_column_pair_values_to_be_equal": _equal,
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_compound_columns_to_be_unique": lambda kwargs, _: (
        f"No two rows have the same {_and(kwargs['column_list'])}"
    ),
    "expect_table_columns_to_match_set": lambda kwargs, _: (
        f"There are exactly the {len(kwargs['column_set'])} declared columns"
    ),
    "expect_column_type_to_be": lambda kwargs, _: f"{kwargs['column']} is {_TYPES[kwargs['type_']]}",
}


def _named(column: str, formulas: Mapping[str, str]) -> str:
    return formulas.get(column, column)


def _one_of(values: Sequence[object]) -> str:
    shown = [str(value) for value in values[:_SHOWN]]
    if len(values) > _SHOWN:
        return f"one of {len(values)} values ({', '.join(shown)}, …)"
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _condition(condition: Mapping[str, Any]) -> str:
    column = condition["column"]["name"]
    if condition["type"] == "nullity":
        return f"{column} is {'not ' if condition['is_null'] else ''}given"
    return f"{column} {_OPERATORS[condition['operator']]} {condition['parameter']}"
