"""The lock of removals: one holder at a time whatever the order of their steps, and for as long as it lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_platform.governance.retention import lock
from analytics_platform.governance.retention.lock import LockLostError, RemovalUnderWayError, current_lock, removing
from analytics_platform.lake.store import LocalStore, ObjectMissingError

DAY = date(2026, 1, 5)
LOCKS = "governance/locks/removal-"


class Interrupted(LocalStore):
    """Lets somebody else act before its call of some number."""

    def __init__(self, root: Path, at: int, act: Callable[[], None]) -> None:
        super().__init__(root)
        self.calls, self._at, self._act = 0, at, act

    def __getattribute__(self, name: str) -> Any:
        if name in {"put", "get", "list", "delete"}:
            self.calls += 1
            if self.calls == self._at:
                self._act()
        return super().__getattribute__(name)


def holder(store: LocalStore) -> str | None:
    held = current_lock(store, datetime.now(UTC))
    return held and held.holder


def died(store: LocalStore) -> None:
    """A holder that ended without letting go, long ago."""
    with removing(store, "a dead process", DAY):
        pass


@pytest.mark.parametrize("at", range(1, 12))
def test_of_two_that_come_for_it_at_once_one_has_it_wherever_the_other_comes_in_between(
    store: LocalStore, at: int
) -> None:
    died(store)
    with ExitStack() as until_the_end:
        held: list[str] = []

        def come() -> None:
            try:
                until_the_end.enter_context(removing(store, "the other", DAY))
                held.append("the other")
            except RemovalUnderWayError:
                pass

        first = Interrupted(store.root, at, come)
        try:
            until_the_end.enter_context(removing(first, "the first", DAY))
            held.append("the first")
        except RemovalUnderWayError:
            pass
        if first.calls < at:
            come()
        assert len(held) == 1
        assert holder(store) == held[0]
    assert holder(store) is None


def test_whoever_looks_while_it_changes_hands_sees_who_has_it(store: LocalStore) -> None:
    with ExitStack() as until_the_end:
        died(store)
        looking = Interrupted(store.root, 2, lambda: until_the_end.enter_context(removing(store, "the new one", DAY)))
        assert holder(looking) == "the new one"


def test_it_is_renewed_for_as_long_as_its_holder_is_at_work(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEWED_EVERY", timedelta(milliseconds=10))
    with removing(store, "an erasure", DAY):
        first = current_lock(store, datetime.now(UTC))
        assert first is not None
        patience = time.monotonic() + 30
        while (now := current_lock(store, datetime.now(UTC))) == first and time.monotonic() < patience:
            time.sleep(0.01)
        assert now is not None
        assert now.expires_at > first.expires_at
    assert holder(store) is None


def test_a_store_that_fails_for_a_moment_costs_nobody_the_lock(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lock, "RENEWED_EVERY", timedelta(milliseconds=10))
    failures = iter(range(3))

    def put(key: str, data: bytes, *, if_none_match: bool = False) -> None:
        if not if_none_match and next(failures, None) is not None:
            raise OSError("no route to the store")
        LocalStore.put(store, key, data, if_none_match=if_none_match)

    monkeypatch.setattr(store, "put", put)
    with removing(store, "an erasure", DAY):
        patience = time.monotonic() + 30
        while next(failures, None) is not None and time.monotonic() < patience:
            time.sleep(0.05)
    assert holder(store) is None
    assert "no route to the store" in caplog.text


def test_who_lost_it_is_told_and_leaves_it_to_whom_it_went(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LASTS", timedelta(0))  # as if the first had slept for longer
    with ExitStack() as until_the_end:

        def sleeps_on_the_job() -> None:
            with removing(store, "a sleeper", DAY):
                monkeypatch.setattr(lock, "LASTS", timedelta(minutes=5))
                until_the_end.enter_context(removing(store, "another", DAY))

        with pytest.raises(LockLostError, match="run it again"):
            sleeps_on_the_job()
        assert holder(store) == "another"


def test_what_went_wrong_inside_is_told_and_the_lock_let_go(store: LocalStore) -> None:
    with pytest.raises(ObjectMissingError, match="none"), removing(store, "an erasure", DAY):
        store.get("none")
    assert holder(store) is None


def test_no_number_is_given_twice_and_one_object_is_left(store: LocalStore) -> None:
    for _ in range(3):
        died(store)
    assert [info.key for info in store.list(LOCKS)] == [f"{LOCKS}00000003.json"]
