"""What was seen before: the same answers whether a message is still in memory or on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.intake import seen as room
from analytics_platform.intake.seen import Seen, SeenMessages

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 5).map(str),
        st.integers(0, 3).map(lambda hours: START + timedelta(hours=hours)),
        st.sampled_from(["00000000000000aa", "00000000000000bb"]),
        st.sampled_from([None, START]),
    ),
    max_size=60,
)


@given(MESSAGES, st.integers(1, 5))
def test_the_account_is_the_same_however_few_messages_are_in_memory(
    messages: list[tuple[str, str, datetime, str, datetime | None]], in_memory: int
) -> None:
    spilled, held = SeenMessages(in_memory), SeenMessages()
    assert [spilled.judge(*message) for message in messages] == [held.judge(*message) for message in messages]


def test_a_duplicate_and_a_conflict_are_found_whatever_their_distance() -> None:
    seen = SeenMessages(in_memory=10)
    for number in range(1_000):
        assert seen.judge("a", str(number), START, "00000000000000aa", None) is Seen.NEW
    assert {seen.judge("a", str(number), START, "00000000000000aa", None) for number in range(1_000)} == {
        Seen.DUPLICATE
    }
    assert {seen.judge("a", str(number), START, "00000000000000bb", None) for number in range(1_000)} == {Seen.CONFLICT}
    assert seen.judge("b", "1", START, "00000000000000aa", None) is Seen.NEW


def test_an_earlier_message_takes_the_place_of_one_that_is_on_disk() -> None:
    seen = SeenMessages(in_memory=1)
    later = START + timedelta(hours=1)
    answers = [seen.judge("a", "1", at, "00000000000000aa", None) for at in (later, START, later, START)]
    assert answers == [Seen.NEW, Seen.NEW, Seen.DUPLICATE, Seen.DUPLICATE]


def test_a_filter_that_is_full_costs_time_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_FILTER_BYTES", 1)
    seen = SeenMessages(in_memory=1)
    assert {seen.judge("a", str(number), START, "00000000000000aa", None) for number in range(2_000)} == {Seen.NEW}
    assert seen.judge("a", "7", START, "00000000000000aa", None) is Seen.DUPLICATE
