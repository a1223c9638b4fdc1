"""How an answer is shown: lines for people, JSON for scripts, and rows as table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    import pyarrow as pa


class SameNamesError(AnalyticsError):
    """An answer with columns of one name is asked for as objects."""


def show(answer: Mapping[str, Any], as_json: bool, lines: Sequence[str]) -> None:
    """Print the answer as one JSON object, or the lines that say it to a person."""
    click.echo(json.dumps(answer, indent=2, default=json_value) if as_json else "\n".join(lines))


def _as_table(answer: pa.Table) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(*answer.column_names)
    for row in _rows(answer):
        table.add_row(*("" if value is None else str(value) for value in row))
    console = Console(file=io.StringIO(), width=max(80, 24 * answer.num_columns), no_color=True)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip()


def _as_json(answer: pa.Table) -> str:
    twice = sorted(name for name, times in Counter(answer.column_names).items() if times > 1)
    if twice:
        raise SameNamesError(
            f"the answer has several columns called {', '.join(twice)}, and an object of JSON can have one; "
            "name them apart with `as`"
        )
    return json.dumps(answer.to_pylist(), indent=2, default=json_value)


def json_value(value: object) -> int | float | str:
    """What JSON has no type for: whole decimals (sums of integers) stay exact, times are ISO 8601, the rest is text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _as_csv(answer: pa.Table) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(answer.column_names)
    writer.writerows(_rows(answer))
    return lines.getvalue().rstrip("\n")


def _rows(answer: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows by position: columns of a join may have one name."""
    return zip(*(column.to_pylist() for column in answer.columns), strict=True)


FORMATS: Mapping[str, Callable[[pa.Table], str]] = {"table": _as_table, "json": _as_json, "csv": _as_csv}
