"""Lines become objects of one place each; small ones wait compressed, so that many tenants do not make many objects."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.intake import gathering
from analytics_platform.intake.gathering import Gathered, Gathering, Place
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import digest, landing_key
from analytics_platform.lake.store import LocalStore

DAY = date(2026, 1, 1)
HOUR = datetime(2026, 1, 1, 10, tzinfo=UTC)
LINE = b'{"stream":"billing","message_id":"%08d","properties":{"invoice_id":"inv-%08d","amount_cents":12100}}\n'


def place_of(number: int) -> Place:
    return Place(None, DAY, f"t{number}")


def landing(place: Place, _gathered: Gathered, lines: bytes) -> str:
    return landing_key(place.day, place.tenant, HOUR, "import", digest(lines))


def gathered(store: LocalStore, added: list[tuple[int, bytes]]) -> list[tuple[Place, str]]:
    """The objects that those lines of those places make, in the order of the puts."""
    put: list[tuple[Place, str]] = []
    writer = Gathering(store, landing, lambda place, written, _is_new: put.append((place, written.key)))
    for number, lines in added:
        writer.add(place_of(number), lines, "billing", count=lines.count(b"\n"), received_at=HOUR)
    writer.put_rest()
    return put


def test_lines_of_small_places_make_one_object_each_though_together_they_are_more_than_may_wait(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_WAITING_BYTES", 60_000)
    added = [(number % 20, LINE % (number, number)) for number in range(2_000)]
    assert sum(len(lines) for _, lines in added) > 3 * gathering._WAITING_BYTES

    put = gathered(store, added)
    assert [place for place, _ in put] == sorted(place_of(number) for number in range(20))
    for place, key in put:
        assert lines_of(store.get(key)) == [lines[:-1] for number, lines in added if place_of(number) == place]


def test_lines_of_large_places_are_not_compressed_twice(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_WAITING_BYTES", 60_000)
    monkeypatch.setattr(gathering, "_SMALL_BYTES", 2_000)
    monkeypatch.setattr(Gathered, "squeeze", None)
    assert len(gathered(store, [(number % 2, LINE % (number, number)) for number in range(2_000)])) > 2


@given(
    added=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(0, 10**8 - 1)), max_size=120),
    waiting=st.integers(200, 4_000),
    small=st.integers(100, 2_000),
)
def test_no_line_is_lost_moved_or_put_twice_whatever_memory_there_is(
    tmp_path_factory: pytest.TempPathFactory, added: list[tuple[int, int, int]], waiting: int, small: int
) -> None:
    lines = [(number, b"".join(LINE % (said, n) for n in range(count))) for number, count, said in added]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)  # thousands of syncs of what nobody keeps
        patch.setattr(gathering, "_OBJECT_BYTES", 1_500)
        patch.setattr(gathering, "_WAITING_BYTES", waiting)
        patch.setattr(gathering, "_SMALL_BYTES", small)
        stores = [LocalStore(Path(tmp_path_factory.mktemp("lake"))) for _ in range(2)]
        put, again = (gathered(store, lines) for store in stores)
    assert put == again
    for number in range(6):
        own = [line for place, key in put if place == place_of(number) for line in lines_of(stores[0].get(key))]
        assert b"".join(line + b"\n" for line in own) == b"".join(each for place, each in lines if place == number)
