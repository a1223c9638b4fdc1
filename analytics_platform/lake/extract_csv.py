"""The rows of an extract as CSV, for spreadsheets and Looker Studio: RFC 4180, UTF-8, ISO dates, nulls empty.

One object holds the newest days of a table, because that is what such a tool opens: one address, no manifest, no
folder of days. It ends where a sheet does, so a table that outgrows it loses its oldest days there and not in Parquet.

A text that a spreadsheet would run as a formula is made harmless with an apostrophe: where it begins like one, and
where it would after a separator of another locale's (Dutch ones split at semicolons whatever is quoted). Numbers are
left alone: what a model computed is no text that somebody typed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import polars as pl

from analytics_platform.lake.extract_manifest import Part

MOST_ROWS = 1_048_575
"""A sheet has 1,048,576 rows, and one of them is the header."""

_FORMULA = "=+\\-@＝＋－＠"  # noqa: RUF001  full-width signs begin formulas too, in East Asian locales
_BEGINS = rf"^([{_FORMULA}\t\r\n])"
_BEGINS_A_CELL = rf'([;\t\r\n]"*)([{_FORMULA}])'


def newest_days(days: Mapping[date, Part], most_rows: int = MOST_ROWS) -> list[date]:
    """As many of the newest whole days as fit into a sheet, ascending; the newest one always."""
    chosen: list[date] = []
    rows = 0
    for day in sorted(days, reverse=True):
        rows += days[day].rows
        if chosen and rows > most_rows:
            break
        chosen.append(day)
    return chosen[::-1]


def csv_bytes(rows: pl.DataFrame) -> bytes:
    """The rows as CSV."""
    texts = [pl.col(name).pipe(_harmless) for name, kind in rows.schema.items() if kind == pl.String]
    text = rows.with_columns(texts).write_csv(
        line_terminator="\r\n",
        datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ",
        quote_style="necessary",
    )
    return text.encode()


def harmless(values: Iterable[str | None]) -> list[str | None]:
    """Texts as a CSV has them: none of them begins a formula, wherever a spreadsheet starts a cell."""
    return pl.Series(values, dtype=pl.String).to_frame("text").select(pl.col("text").pipe(_harmless))["text"].to_list()


def _harmless(text: pl.Expr) -> pl.Expr:
    return text.str.replace(_BEGINS, "'$1").str.replace_all(_BEGINS_A_CELL, "$1'$2")
