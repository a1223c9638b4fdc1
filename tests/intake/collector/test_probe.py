from __future__ import annotations

from pathlib import Path

import pytest

from analytics_platform.intake.collector.probe import StoreProbeError, probe_conditional_puts
from analytics_platform.lake.store import LocalStore, ObjectExistsError


class DeafStore(LocalStore):
    """Accepts the condition and ignores it, as some stores do."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        del if_none_match
        super().put(key, data)


class ForgetfulStore(LocalStore):
    """Tells the loser, and writes its bytes all the same."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        try:
            super().put(key, data, if_none_match=if_none_match)
        except ObjectExistsError:
            super().put(key, data)
            raise


class RefusingStore(LocalStore):
    """Lets nobody win."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        raise ObjectExistsError(key)


class ClosedStore(LocalStore):
    """Cannot be written."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        raise PermissionError("AccessDenied")

    def delete(self, key: str) -> None:
        raise PermissionError("AccessDenied")


def test_the_local_folder_honours_conditional_puts_and_nothing_is_left(store: LocalStore) -> None:
    probe_conditional_puts(store, rounds=20)
    assert store.list("") == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (DeafStore, "2 of 2 racing conditional puts"),
        (ForgetfulStore, "replaced the winner's object"),
        (RefusingStore, "0 of 2 racing conditional puts"),
    ],
)
def test_a_store_that_does_not_is_refused_with_what_to_do(tmp_path: Path, broken: type[LocalStore], said: str) -> None:
    store = broken(tmp_path)
    with pytest.raises(StoreProbeError, match=said) as refused:
        probe_conditional_puts(store)
    assert "Use a store with conditional writes" in str(refused.value)
    assert store.list("") == []


def test_a_store_that_cannot_be_written_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(StoreProbeError, match=r"PermissionError: AccessDenied.*credentials"):
        probe_conditional_puts(ClosedStore(tmp_path))
