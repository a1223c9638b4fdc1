"""A small reader and calculator of DAX, for the measures that are generated here: what Power BI would answer.

A filter context is a set of allowed values per column. `REMOVEFILTERS` of a table clears its own columns and those of
the date table that it hangs on, as an expanded table does; a condition replaces its column's filter, `KEEPFILTERS`
narrows it. BLANK is None.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from analytics_platform.reporting.power_bi.dax import Token, tokens

Column = tuple[str, str]
Context = Mapping[Column, frozenset[Any]]
Row = Mapping[str, Any]
Expression = tuple[Any, ...]

DATES: Column = ("Date", "Date")
_PRECEDENCE = {"||": 1, "&&": 2, "=": 3, "<": 3, ">": 3, "<=": 3, ">=": 3, "+": 4, "-": 4, "*": 5}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


@dataclass
class Machine:
    """Tables, and how they hang on the date table (`days`: the column that meets it), with measures by name."""

    tables: Mapping[str, Sequence[Row]]
    days: Mapping[str, str]
    measures: Mapping[str, str]

    def value(self, measure: str, context: Context) -> Any:
        """A measure in a context."""
        return self._of(parsed(self.measures[measure]), context, {})

    def rows(self, table: str, context: Context) -> list[Row]:
        """The rows of a table that a context leaves."""
        met = {name: allowed for (of, name), allowed in context.items() if of == table}
        if table in self.days and DATES in context:
            day = self.days[table]
            met[day] = met[day] & context[DATES] if day in met else context[DATES]
        return [row for row in self.tables[table] if all(row[name] in allowed for name, allowed in met.items())]

    def _of(self, told: Expression, context: Context, names: dict[str, Any]) -> Any:
        kind, *parts = told
        if kind == "value":
            return parts[0]
        if kind == "name":
            return names[parts[0]]
        if kind == "table":
            return self.rows(parts[0], context)
        if kind == "measure":
            return self.value(parts[0], context)
        if kind == "var":
            return self._of(parts[2], context, {**names, parts[0]: self._of(parts[1], context, names)})
        if kind == "operator":
            return self._operated(parts[0], *(self._of(each, context, names) for each in parts[1:]))
        return self._called(parts[0], parts[1], context, names)

    def _operated(self, sign: str, left: Any, right: Any) -> Any:
        if sign in ("&&", "||"):
            return (left and right) if sign == "&&" else (left or right)
        if sign in _COMPARE:
            return _COMPARE[sign](left, right)
        if sign == "*":
            return None if left is None or right is None else left * right
        if left is None and right is None:
            return None
        if isinstance(left, date):
            right = right if isinstance(right, date) else timedelta(right or 0)
            return left - right if sign == "-" else left + right
        return (left or 0) + (right or 0) * (1 if sign == "+" else -1)

    def _called(self, name: str, given: Sequence[Expression], context: Context, names: dict[str, Any]) -> Any:
        if name in ("SUM", "MIN", "MAX", "MEDIAN"):
            return self._aggregated(name, given[0][1], context)
        if name in ("CALCULATE", "CALCULATETABLE"):
            return self._of(given[0], self._changed(given[1:], context, names), names)
        if name == "COUNTROWS":
            return len(self.rows(given[0][1], context)) or None
        if name == "ISEMPTY":
            return not self._of(given[0], context, names)
        if name == "IF":
            chosen = given[1] if self._of(given[0], context, names) else (*given, ("value", None))[2]
            return self._of(chosen, context, names)
        values = [self._of(each, context, names) for each in given]
        if name == "DIVIDE":
            return None if values[0] is None or not values[1] else values[0] / values[1]
        if name == "COALESCE":
            return next((each for each in values if each is not None), None)
        return {"BLANK": lambda: None, "ISBLANK": lambda v: v is None, "ABS": abs}[name](*values)

    def _aggregated(self, name: str, column: Column, context: Context) -> Any:
        found = [row[column[1]] for row in self.rows(column[0], context) if row[column[1]] is not None]
        if not found:
            return None
        return {"SUM": sum, "MIN": min, "MAX": max, "MEDIAN": statistics.median}[name](found)

    def _changed(self, filters: Sequence[Expression], context: Context, names: dict[str, Any]) -> Context:
        changed = dict(context)
        put: list[tuple[Column, frozenset[Any], bool]] = []
        for each in filters:
            if each[:2] == ("call", "REMOVEFILTERS"):
                table = each[2][0][1]
                gone = {table, "Date"} if table in self.days else {table}
                changed = {column: allowed for column, allowed in changed.items() if column[0] not in gone}
            else:
                put.append(self._filter(each, context, names))
        for column, allowed, narrows in put:
            changed[column] = changed[column] & allowed if narrows and column in changed else allowed
        return changed

    def _filter(self, told: Expression, context: Context, names: dict[str, Any]) -> tuple[Column, frozenset[Any], bool]:
        """A column, the values that a filter allows, and whether it narrows what was allowed."""
        if told[:2] == ("call", "KEEPFILTERS"):
            return (*self._filter(told[2][0], context, names)[:2], True)
        if told[0] == "operator":
            column, limit = told[2][1], self._of(told[3], context, names)
            every = {row[column[1]] for row in self.tables[column[0]]}
            return (
                column,
                frozenset(v for v in every if v is not None and limit is not None and _COMPARE[told[1]](v, limit)),
                False,
            )
        _, name, given = told
        column = given[0][1]
        if name == "VALUES":
            return column, frozenset(row[column[1]] for row in self.rows(column[0], context)), False
        assert name == "DATESBETWEEN"
        first, last = (self._of(each, context, names) for each in given[1:])
        every = {row[column[1]] for row in self.tables[column[0]]}
        return column, frozenset(day for day in every if first <= day <= last), False


def parsed(text: str) -> Expression:
    """An expression as a tree."""
    reader = _Reader([token for token in tokens(text) if token.kind != "comment"])
    told = reader.expression(0)
    assert not reader.left, reader.left
    return told


class _Reader:
    def __init__(self, left: list[Token]) -> None:
        self.left = left

    def expression(self, above: int) -> Expression:
        told = self._one()
        while self.left and _PRECEDENCE.get(self.left[0].text, 0) > above:
            sign = self.left.pop(0).text
            told = ("operator", sign, told, self.expression(_PRECEDENCE[sign]))
        return told

    def _one(self) -> Expression:
        token = self.left.pop(0)
        if token.kind == "number":
            return ("value", float(token.text) if "." in token.text else int(token.text))
        if token.kind == "text":
            return ("value", token.text[1:-1].replace('""', '"'))
        if token.kind == "bracket":
            return ("measure", token.text[1:-1])
        if token.kind == "table":
            table = token.text[1:-1]
            if self.left and self.left[0].kind == "bracket":
                return ("column", (table, self.left.pop(0).text[1:-1]))
            return ("table", table)
        return self._word(token.text)

    def _word(self, word: str) -> Expression:
        if word == "(":
            told = self.expression(0)
            assert self.left.pop(0).text == ")"
            return told
        if word == "VAR":
            name = self.left.pop(0).text
            assert self.left.pop(0).text == "="
            value = self.expression(0)
            return ("var", name, value, self._one() if self.left[0].text == "VAR" else self._returned())
        if self.left and self.left[0].text == "(":
            return ("call", word, self._given())
        return ("name", word)

    def _returned(self) -> Expression:
        assert self.left.pop(0).text == "RETURN"
        return self.expression(0)

    def _given(self) -> list[Expression]:
        self.left.pop(0)
        given = []
        while self.left[0].text != ")":
            given.append(self.expression(0))
            if self.left[0].text == ",":
                self.left.pop(0)
        self.left.pop(0)
        return given
