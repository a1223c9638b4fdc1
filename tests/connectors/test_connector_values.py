"""What cells hold: money, numbers, days and moments, as Dutch exports, databases and APIs write them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.connectors import values
from analytics_platform.connectors.values import UnreadableError

AMSTERDAM = "Europe/Amsterdam"


def dutch(cents: int) -> str:
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{f'{whole:,}'.replace(',', '.')},{rest:02d}"


@pytest.mark.parametrize(
    ("held", "decimal", "cents"),
    [
        ("1.234,56", ",", 123456),
        ("€ 1.234,56", ",", 123456),
        ("EUR\u00a012,5", ",", 1250),
        ("1234", None, 123400),
        ("12,50-", ",", -1250),
        ("- 12,50", ",", -1250),
        ("1,234.56", ".", 123456),
        ("121.0", ".", 12100),
        ("121.0000", ".", 12100),
        (12.1, None, 1210),
        (0.1 + 0.2, None, 30),
        (Decimal("9.99"), ",", 999),
        (-3, None, -300),
        ("", ",", None),
        (None, ",", None),
    ],
)
def test_money_is_read_as_it_is_written(held: Any, decimal: str | None, cents: int | None) -> None:
    assert values.minor(held, decimal, "EUR", is_minor=False) == cents


@pytest.mark.parametrize(
    ("held", "decimal"),
    [
        ("1.234,56", None),  # nobody said which sign is which
        ("1.234", None),
        ("1234.56", ","),  # no group of three
        ("12,345", ","),  # tenths of a cent
        ("1.2345,00", ","),
        ("1e5", "."),
        ("twelve", ","),
        ("9" * 40, None),
        (float("nan"), None),
        (True, None),
        ([1], None),
    ],
)
def test_money_is_never_guessed_or_rounded(held: Any, decimal: str | None) -> None:
    with pytest.raises(UnreadableError):
        values.minor(held, decimal, "EUR", is_minor=False)


@pytest.mark.parametrize(("currency", "minor"), [("EUR", 1200), ("JPY", 12), ("KWD", 12000)])
def test_minor_units_are_those_of_the_currency(currency: str, minor: int) -> None:
    assert values.minor("12", None, currency, is_minor=False) == minor
    assert values.minor("12", None, currency, is_minor=True) == 12


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_dutch_money_comes_back_to_the_cent(cents: int) -> None:
    assert values.minor(dutch(cents), ",", "EUR", is_minor=False) == cents
    assert values.minor(cents / 100, None, "EUR", is_minor=False) == cents
    assert values.minor(dutch(cents).replace(".", "").replace(",", "."), ".", "EUR", is_minor=False) == cents


@given(st.text(max_size=40), st.sampled_from([None, ",", "."]))
def test_any_text_is_a_number_or_is_refused_without_being_repeated(said: str, decimal: str | None) -> None:
    try:
        found = values.number(said, decimal)
    except UnreadableError as error:
        found = None
        told = str(error)
        assert len(said) < 4 or said not in told
    assert found is None or found.is_finite()


@pytest.mark.parametrize(
    ("held", "form", "moment"),
    [
        ("2026-01-31T09:30:00Z", "iso", "2026-01-31T09:30:00+00:00"),
        ("2026-01-31T09:30:00.5+02:00", "iso", "2026-01-31T09:30:00.500000+02:00"),
        ("2026-07-31 09:30", "iso", "2026-07-31T09:30:00+02:00"),
        ("31-01-2026", "%d-%m-%Y", "2026-01-31T00:00:00+01:00"),
        ("31-01-2026 23:59", "%d-%m-%Y %H:%M", "2026-01-31T23:59:00+01:00"),
        ({"$at": "2026-01-31T09:30:00"}, "%d-%m-%Y", "2026-01-31T09:30:00+01:00"),
        ({"$at": "2026-01-31"}, "%d-%m-%Y", "2026-01-31T00:00:00+01:00"),
        ("/Date(1451606400000)/", "odata", "2016-01-01T00:00:00+00:00"),
        (1451606400, "epoch_seconds", "2016-01-01T00:00:00+00:00"),
        ("1451606400123", "epoch_milliseconds", "2016-01-01T00:00:00.123000+00:00"),
    ],
)
def test_moments_are_read_as_they_are_written(held: Any, form: str, moment: str) -> None:
    found = values.moment(held, form, AMSTERDAM, "refuse")
    assert found is not None
    assert found.isoformat() == moment


@pytest.mark.parametrize(
    ("held", "form", "said"),
    [
        ("31-02-2026", "%d-%m-%Y", "no time written as %d-%m-%Y"),
        ("2026-31-01", "iso", "no time written as iso"),
        ("yesterday", "epoch_seconds", "no number"),
        ("9" * 25, "epoch_seconds", "since 1970"),
        ("1451606400000", "odata", "/Date"),
    ],
)
def test_what_is_no_moment_is_told(held: Any, form: str, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        values.moment(held, form, AMSTERDAM, "refuse")


def test_the_hour_that_happens_twice_is_refused_until_somebody_says_which() -> None:
    twice = "2025-10-26 02:30"
    with pytest.raises(UnreadableError, match="twice at the end of summer time"):
        values.moment(twice, "iso", AMSTERDAM, "refuse")
    found = [values.moment(twice, "iso", AMSTERDAM, which) for which in ("earlier", "later")]  # type: ignore[arg-type]
    assert [each.isoformat() for each in found if each] == ["2025-10-26T02:30:00+02:00", "2025-10-26T02:30:00+01:00"]


def test_the_hour_that_never_happens_is_refused_whatever_is_said() -> None:
    for which in ("refuse", "earlier", "later"):
        with pytest.raises(UnreadableError, match="skips at the start of summer time"):
            values.moment("2026-03-29 02:30", "iso", AMSTERDAM, which)  # type: ignore[arg-type]


def test_a_time_without_offset_needs_a_time_zone() -> None:
    with pytest.raises(UnreadableError, match="say its time_zone"):
        values.moment("2026-01-31 09:30", "iso", None, "refuse")


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2090, 1, 1)))  # noqa: DTZ001
def test_a_wall_clock_s_time_is_one_moment_or_is_told(naive: datetime) -> None:
    try:
        found = values.localized(naive, AMSTERDAM, "refuse")
    except UnreadableError:
        offsets = {naive.replace(tzinfo=ZoneInfo(AMSTERDAM), fold=fold).utcoffset() for fold in (0, 1)}
        assert len(offsets) == 2
    else:
        assert found.astimezone(UTC).astimezone(ZoneInfo(AMSTERDAM)).replace(tzinfo=None) == naive


def test_a_day_stays_a_day_where_the_plan_takes_one() -> None:
    assert values.day_or_moment("31-01-2026", "%d-%m-%Y", AMSTERDAM, "refuse") == date(2026, 1, 31)
    found = values.day_or_moment("2026-01-31 09:30", "iso", AMSTERDAM, "refuse")
    assert isinstance(found, datetime)
    assert found.utcoffset() is not None


@pytest.mark.parametrize(("held", "said"), [("Ja", True), ("N", False), (1, True), ("0", False), ("", None)])
def test_yes_and_no_are_read_in_english_dutch_and_digits(held: Any, said: bool | None) -> None:
    assert values.boolean(held) is said


def test_perhaps_is_neither() -> None:
    with pytest.raises(UnreadableError, match="neither yes nor no"):
        values.boolean("misschien")
