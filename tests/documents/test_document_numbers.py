from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.documents import Language, Quantity, Unit, date_text, moment_text, number_text, span_text
from analytics_platform.documents.numbers import MINUS, is_flat, reads_alike
from analytics_platform.documents.words import WORDS, plain

NB = "\u00a0"


@pytest.mark.parametrize(
    ("quantity", "english", "dutch"),
    [
        (Quantity(123456789, "money", "EUR"), "€1,234,568", f"€{NB}1.234.568"),
        (Quantity(98765, "money", "GBP"), "£987.65", f"£{NB}987,65"),
        (Quantity(123456789, "money", "EUR", decimals=2), "€1,234,567.89", f"€{NB}1.234.567,89"),
        (Quantity(12345, "money", "JPY"), f"JPY{NB}12,345", f"JPY{NB}12.345"),
        (Quantity(12345, "money", "KWD"), f"KWD{NB}12.345", f"KWD{NB}12,345"),
        (Quantity(-250, "money", "EUR", signed=True), f"{MINUS}€2.50", f"{MINUS}€{NB}2,50"),
        (Quantity(95.25, "percent"), "95.3%", "95,3%"),
        (Quantity(0.0344, "fraction", signed=True), "+3.4%", "+3,4%"),
        (Quantity(-3.25, "points", signed=True), f"{MINUS}3.3{NB}pts", f"{MINUS}3,3{NB}pt"),
        (Quantity(-0.04, "points", signed=True), f"0.0{NB}pts", f"0,0{NB}pt"),
        (Quantity(41.25, "score"), "+41.3", "+41,3"),
        (Quantity(1234, "count"), "1,234", "1.234"),
        (Quantity(59.6, "minutes"), f"1{NB}h", f"1{NB}u"),
        (Quantity(0.2, "minutes"), f"0{NB}min", f"0{NB}min"),
        (Quantity(1501, "minutes"), f"25{NB}h{NB}1{NB}min", f"25{NB}u{NB}1{NB}min"),
        (Quantity(-4000, "minutes"), f"{MINUS}2{NB}d{NB}19{NB}h", f"{MINUS}2{NB}d{NB}19{NB}u"),
        (Quantity(1_234_567, "bytes"), f"1.2{NB}MB", f"1,2{NB}MB"),
        (Quantity(999, "bytes"), f"999{NB}B", f"999{NB}B"),
        (Quantity(3e15, "bytes"), f"3,000.0{NB}TB", f"3.000,0{NB}TB"),
    ],
)
def test_numbers_are_written_as_readers_of_each_language_write_them(
    quantity: Quantity, english: str, dutch: str
) -> None:
    assert number_text(quantity, "en-GB") == english
    assert number_text(quantity, "nl-NL") == dutch


def test_what_is_not_known_has_no_text() -> None:
    units: list[Unit] = ["count", "percent", "minutes", "bytes", "score"]
    assert [number_text(Quantity(None, unit), "en-GB") for unit in units] == [None] * 5
    assert number_text(Quantity(None, "money", "EUR"), "nl-NL") is None


@pytest.mark.parametrize(("unit", "currency"), [("money", None), ("percent", "EUR")])
def test_an_amount_has_a_currency_and_nothing_else_has(unit: Unit, currency: str | None) -> None:
    with pytest.raises(ValueError, match="only money has one"):
        Quantity(1, unit, currency)


@given(
    st.floats(-1e12, 1e12, allow_nan=False), st.sampled_from(["en-GB", "nl-NL"]), st.sampled_from(["count", "percent"])
)
def test_a_written_number_reads_back_as_the_rounded_one(value: float, language: Language, unit: Unit) -> None:
    text = number_text(Quantity(value, unit), language)
    assert text
    digits = text.rstrip("%").replace(MINUS, "-")
    digits = digits.replace(".", "").replace(",", ".") if language == "nl-NL" else digits.replace(",", "")
    step = Decimal(1) if unit == "count" else Decimal("0.1")
    assert Decimal(digits) == Decimal(repr(value)).quantize(step, ROUND_HALF_UP)


@given(st.floats(-1e6, 1e6, allow_nan=False), st.sampled_from(["points", "fraction", "minutes"]))
def test_a_change_is_flat_exactly_when_no_digit_of_it_shows(value: float, unit: Unit) -> None:
    text = number_text(Quantity(value, unit, signed=True), "en-GB") or ""
    assert is_flat(Quantity(value, unit)) == (not any(digit in text for digit in "123456789"))
    assert text.startswith(("+", MINUS)) != is_flat(Quantity(value, unit))


def test_figures_read_alike_when_every_digit_that_is_written_is_the_same() -> None:
    assert reads_alike(Quantity(94.96, "percent"), Quantity(95, "percent"))
    assert reads_alike(Quantity(2909, "minutes"), Quantity(2880, "minutes"))
    assert not reads_alike(Quantity(94.94, "percent"), Quantity(95, "percent"))
    assert not reads_alike(Quantity(10_000, "money", "EUR"), Quantity(10_000, "money", "GBP"))
    assert not reads_alike(Quantity(None, "percent"), Quantity(None, "percent"))


def test_dates_and_spans_say_no_month_or_year_twice() -> None:
    assert date_text(date(2026, 3, 1), "nl-NL") == "1 mrt 2026"
    assert span_text(date(2026, 11, 16), date(2026, 11, 22), "en-GB") == "16\u201322 Nov 2026"
    assert span_text(date(2026, 11, 30), date(2026, 12, 6), "en-GB") == "30 Nov \u2013 6 Dec 2026"
    assert span_text(date(2026, 12, 28), date(2027, 1, 3), "nl-NL") == "28 dec 2026 \u2013 3 jan 2027"


def test_a_moment_names_its_clock_and_must_have_one() -> None:
    assert moment_text(datetime(2026, 11, 22, 6, 5, tzinfo=UTC), "en-GB") == "22 Nov 2026 06:05 UTC"
    with pytest.raises(ValueError, match="no time zone"):
        moment_text(datetime(2026, 11, 22, 6, 5), "en-GB")  # noqa: DTZ001


def test_every_language_has_the_same_words() -> None:
    assert WORDS["en-GB"].keys() == WORDS["nl-NL"].keys()
    assert all(len(words["months"].split()) == 12 for words in WORDS.values())


@given(st.text())
def test_plain_text_can_be_encoded_and_keeps_what_is_seen(text: str) -> None:
    assert len(plain(text)) == len(text)
    assert plain(plain(text)) == plain(text)
    plain(text).encode()
