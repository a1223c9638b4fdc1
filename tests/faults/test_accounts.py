"""The account of a long run finds what it is there to find."""

from __future__ import annotations

from collections import Counter

import pytest
from accounts import Account, judge_landed
from lives import differences
from mixed_traffic import Told


def told() -> Told:
    return Told(sent={"segment": {"a", "b"}, "outbox": {"c"}}, refused={"x"}, given_up={"b"}, requests=2)


def problems(*landed: str) -> list[str]:
    account = Account()
    judge_landed(account, Counter(landed), told())
    return account.problems


@pytest.mark.parametrize("given_up", [(), ("b",)])
def test_what_is_all_there_once_holds_whether_or_not_what_was_given_up_arrived(given_up: tuple[str, ...]) -> None:
    assert problems("a", "c", "request-1", "request-2", *given_up) == []


@pytest.mark.parametrize(
    ("landed", "said"),
    [
        (("a", "request-1", "request-2"), "1 messages were acknowledged and are lost: c"),
        (("a", "c", "c", "request-1", "request-2"), "1 messages are there twice: c"),
        (("a", "c", "request-1"), "2 requests were told of, 1 are there"),
        (("a", "c", "x", "request-1"), "messages that the plan does not know are in raw"),
    ],
)
def test_what_is_lost_doubled_or_foreign_is_named(landed: tuple[str, ...], said: str) -> None:
    assert said in problems(*landed)


def test_differences_are_told_by_their_path() -> None:
    found = {"rows": {"a": 1, "b": 2}, "over": 1}
    assert differences(found, {"rows": {"a": 1, "b": 3}, "gone": 1}) == [
        "/gone is missing",
        "/over is over",
        "/rows/b is 2, not 3",
    ]
