"""CSV of extracts: what spreadsheets read, and what they may not run."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics_platform.lake.extract_csv import csv_bytes, harmless, newest_days
from analytics_platform.lake.extract_manifest import Part

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
hostile = st.text(alphabet="=+-@\t\r\n;,\"'a1é＝", max_size=12)  # noqa: RUF001


def part(rows: int) -> Part:
    return Part("key", rows, 1, "0" * 64, 1)


def test_types_are_written_as_iso_and_rfc_4180_say() -> None:
    frame = pl.DataFrame(
        {
            "day": [date(2026, 6, 30), None],
            "text": ['a "quoted", one', None],
            "empty": ["", None],
            "whole": [-5, None],
            "number": [0.1, None],
            "flag": [True, None],
            "at": [datetime(2026, 6, 30, 22, 5, tzinfo=UTC), None],
        }
    )
    assert csv_bytes(frame).decode() == (
        "day,text,empty,whole,number,flag,at\r\n"
        '2026-06-30,"a ""quoted"", one","",-5,0.1,true,2026-06-30T22:05:00.000000Z\r\n'
        ",,,,,,\r\n"
    )


@pytest.mark.parametrize("sign", FORMULAS)
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe_and_a_number_does_not(sign: str) -> None:
    assert harmless([f"{sign}1+1"]) == [f"'{sign}1+1"]
    assert b"-1\r\n" in csv_bytes(pl.DataFrame({"n": [-1]}))


@given(st.text(max_size=30))
def test_other_texts_come_back_as_they_were(text: str) -> None:
    (made,) = harmless([text])
    assert made is not None
    assert made == text or made.replace("'", "") == text.replace("'", "")
    if not any(sign in text for sign in FORMULAS):
        assert made == text


@given(st.lists(st.tuples(hostile, hostile), min_size=1, max_size=4))
@example([('x;"=1+1', "a")])
@example([("\t=1", "\r\n=1")])
@example([('";=1', '"\n=1')])
def test_no_cell_of_a_text_begins_a_formula_whatever_splits_the_file(texts: list[tuple[str, str]]) -> None:
    body = csv_bytes(
        pl.DataFrame(
            {"a": [a for a, _ in texts], "b": [b for _, b in texts]}, schema_overrides={"a": pl.String, "b": pl.String}
        )
    ).decode()
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(body, newline=""), delimiter=separator):
            assert [cell for cell in row if cell.startswith(("=", "+", "-", "@", "＝"))] == []  # noqa: RUF001


@given(st.lists(st.tuples(st.none() | st.text(max_size=20), st.none() | st.integers(-(2**60), 2**60)), max_size=5))
def test_a_csv_is_read_back_with_its_nulls_and_numbers(rows: list[tuple[str | None, int | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"text": pl.String, "n": pl.Int64}, orient="row")
    read = list(csv.reader(io.StringIO(csv_bytes(frame).decode(), newline="")))
    assert read[1:] == [
        [made or "", "" if n is None else str(n)]
        for made, (_, n) in zip(harmless([t for t, _ in rows]), rows, strict=True)
    ]


def test_a_sheet_holds_as_many_of_the_newest_whole_days_as_it_has_rows() -> None:
    days = {date(2026, 6, n): part(4) for n in range(1, 6)}
    assert newest_days(days, most_rows=9) == [date(2026, 6, 4), date(2026, 6, 5)]
    assert newest_days(days, most_rows=100) == sorted(days)
    assert newest_days(days, most_rows=3) == [date(2026, 6, 5)]
    assert newest_days({}) == []
