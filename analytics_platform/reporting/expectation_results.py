"""What became of the suites of expectations: how a result is kept in the lake, and which one stands for a day.

A result holds numbers and column names, never a value of a row. It is one immutable object per dataset and evaluation;
of several that cover a day, the last one tells how the day stands. Who judges is `asset_checks.expectations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from analytics_platform.lake import layout
from analytics_platform.lake.store import ObjectStore

Standing = Literal["holds", "fails", "not_judged", "could_not_run"]
"""`not_judged`: it needs a column that is not as declared; `could_not_run`: the engine broke off."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectationResult(_Kept):
    """One expectation of a suite.

    Attributes:
        id: the fact that it expects.
        sentence: the same in words.
        why: why it must hold.
        is_declared: it follows from a declaration; the others are the suite's own.
        is_about_rows: rows may break it; else it is about columns and types.
        checked: rows judged; days, for what is about the table.
        unexpected: how many of them do not hold.
        days: those by day; empty where the table's rows are of no day.
        observed: what was found, in numbers.
        not_judged: why it could not be judged.
        is_engine_error: the engine broke off, which says nothing about the data.
    """

    id: str
    sentence: str
    why: str
    is_declared: bool
    is_about_rows: bool
    checked: int
    unexpected: int
    days: Mapping[date, int]
    observed: str | None
    not_judged: str | None
    is_engine_error: bool

    @property
    def standing(self) -> Standing:
        """Bad rows that were seen outweigh rows that could not be judged."""
        if self.unexpected:
            return "fails"
        if self.is_engine_error:
            return "could_not_run"
        return "not_judged" if self.not_judged else "holds"


class SuiteResult(_Kept):
    """One evaluation of a dataset's suite.

    Attributes:
        dataset: its name in the registry.
        notes: what a reader relies on, by the suite.
        first: first day that was judged.
        last: last day.
        has_days: whether rows are of a day; else the table was judged as a whole.
        evaluated_at: when.
        engine: what judged, with its version.
        rows: rows by day; under `last` all rows of a table without days.
        expectations: what became of each.
    """

    dataset: str
    notes: str
    first: date
    last: date
    has_days: bool
    evaluated_at: datetime
    engine: str
    rows: Mapping[date, int]
    expectations: tuple[ExpectationResult, ...]


def keep(store: ObjectStore, result: SuiteResult) -> str:
    """Put a result into the lake; return its key."""
    key = layout.expectations_key(result.dataset, result.first, result.last, result.evaluated_at)
    store.put(key, result.model_dump_json().encode())
    return key


def standing_results(store: ObjectStore, dataset: str, first: date, last: date) -> list[tuple[SuiteResult, list[date]]]:
    """The results that tell how the days ``first`` to ``last`` stand, newest evaluation first.

    Each comes with the days of the span that it stands for: those that no later evaluation covers. Of a table whose
    rows are of no day only the newest evaluation stands.
    """
    open_days = {first + timedelta(n) for n in range((last - first).days + 1)}
    standing: list[tuple[SuiteResult, list[date]]] = []
    for key in _newest_first(store, dataset):
        start, end, _ = layout.expectations_placed(key)
        covered = sorted(day for day in open_days if start <= day <= end)
        if covered:
            result = SuiteResult.model_validate_json(store.get(key))
            standing.append((result, covered))
            open_days -= set(covered)
            if not open_days or not result.has_days:
                break
    return standing


def _newest_first(store: ObjectStore, dataset: str) -> Sequence[str]:
    found = [info.key for info in store.list(layout.expectations_prefix(dataset))]
    return sorted(found, key=lambda key: layout.expectations_placed(key)[2], reverse=True)
