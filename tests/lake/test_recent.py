"""What a long-running process knows of the lake: fresh when the store is well, never a reason to wait or to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from analytics_platform.lake.recent import Recent
from analytics_platform.lake.store import StoreUnavailableError


class Statements:
    """A store of one number, that counts how often it is asked."""

    def __init__(self) -> None:
        self.number, self.asked = 1, 0
        self.before: Callable[[], object] = lambda: None

    def read(self) -> int:
        self.asked += 1
        self.before()
        return self.number


def _away() -> None:
    raise StoreUnavailableError("cannot list 'removals/' in bucket lake")


def _cut_off() -> None:
    raise TimeoutError("no answer")


def test_it_is_read_anew_when_it_is_old_and_not_before() -> None:
    statements = Statements()
    known, patient = Recent(statements.read, seconds=0), Recent(statements.read, seconds=3600)
    statements.number = 2
    assert (known.now(), patient.now()) == (2, 1)


@pytest.mark.parametrize("failure", [_away, _cut_off])
def test_a_store_that_cannot_be_reached_leaves_what_was_known(
    failure: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    statements = Statements()
    known = Recent(statements.read, seconds=0)
    statements.number, statements.before = 2, failure
    assert known.now() == 1
    assert "stays as it was" in caplog.text
    statements.before = lambda: None
    assert known.now() == 2


def test_nobody_waits_for_a_store_that_is_slow_and_it_is_asked_once() -> None:
    statements, answers = Statements(), threading.Event()
    known = Recent(statements.read, seconds=0)
    statements.number, statements.before = 2, lambda: answers.wait(10)
    assert [known.now() for _ in range(20)] == [1] * 20
    assert statements.asked == 2
    answers.set()
    statements.before = lambda: None
    for _ in range(100):
        if known.now() == 2:
            break
        threading.Event().wait(0.05)
    assert known.now() == 2


def test_a_process_does_not_start_without_having_read() -> None:
    with pytest.raises(StoreUnavailableError):
        Recent(_away)
