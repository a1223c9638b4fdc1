"""The history of a home: continued and not begun again, and in a lake once."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from demo_history import read_messages

from analytics_platform.catalog import Catalog
from analytics_platform.demo import history, simulate
from analytics_platform.demo.history import SimulatedHistory
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.intake.importer import ImportReport, import_paths
from analytics_platform.lake.store import LocalStore

FIRST, SHORT, LONG = date(2026, 3, 24), date(2026, 3, 26), date(2026, 4, 2)
SEED = 5
NOW = datetime(2026, 4, 3, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def three_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "DAYS", (SHORT - FIRST).days + 1)


def lake_at(folder: Path) -> LocalStore:
    return LocalStore(folder / "lake")


def brought_in(catalog: Catalog, home: Path, known: SimulatedHistory, last: date) -> ImportReport:
    """What the demo does of a day."""
    store = lake_at(home)
    if not known.reaches(last):
        known.extend(last)
    report = import_paths(
        known.lacking(store, "here"), catalog=catalog, store=store, identities=IdentityKeys(home / "keys.json"), now=NOW
    )
    known.note_import("here")
    return report


def test_a_history_that_is_continued_is_the_longer_one_and_each_message_is_brought_in_once(
    catalog: Catalog, tmp_path: Path
) -> None:
    known = SimulatedHistory(tmp_path, catalog, SEED)
    first = brought_in(catalog, tmp_path, known, SHORT)
    assert known.lacking(lake_at(tmp_path), "here") == []
    again = SimulatedHistory(tmp_path, catalog, SEED)
    assert again.reaches(SHORT)
    assert not again.reaches(LONG)
    second = brought_in(catalog, tmp_path, again, LONG)

    simulate(catalog, seed=SEED, first_day=FIRST, last_day=LONG, folder=tmp_path / "at-once")
    for tenant in (tmp_path / "at-once").iterdir():
        at_once = read_messages(tenant)
        assert sorted(read_messages(tmp_path / "demo" / f"seed-{SEED}" / tenant.name), key=str) == sorted(
            at_once, key=str
        )
    alone = import_paths(
        [tmp_path / "at-once"],
        catalog=catalog,
        store=LocalStore(tmp_path / "other"),
        identities=IdentityKeys(tmp_path / "keys.json"),
        now=NOW,
    )
    assert (first.accepted + second.accepted, first.read + second.read) == (alone.accepted, alone.read)


def test_files_are_named_by_their_month_or_by_the_day_on_which_they_begin_in_it(
    catalog: Catalog, tmp_path: Path
) -> None:
    known = SimulatedHistory(tmp_path, catalog, SEED)
    for last in (SHORT, SHORT + timedelta(days=1), LONG):
        known.extend(last)
    names = {path.name for path in (tmp_path / "demo").rglob("*.zst")}
    assert names == {f"{each}.ndjson.zst" for each in ("2026-03", "2026-03-27", "2026-03-28", "2026-04")}


def test_a_lake_that_was_emptied_or_is_another_gets_all_of_it(catalog: Catalog, tmp_path: Path) -> None:
    known = SimulatedHistory(tmp_path, catalog, SEED)
    brought_in(catalog, tmp_path, known, SHORT)
    everything = sorted((tmp_path / "demo").rglob("*.zst"))
    assert everything
    assert known.lacking(lake_at(tmp_path), "elsewhere") == everything
    shutil.rmtree(tmp_path / "lake")
    assert known.lacking(lake_at(tmp_path), "here") == everything


def test_what_was_simulated_and_not_brought_in_is_still_lacking(catalog: Catalog, tmp_path: Path) -> None:
    known = SimulatedHistory(tmp_path, catalog, SEED)
    brought_in(catalog, tmp_path, known, SHORT)
    known.extend(SHORT + timedelta(days=1))
    known.extend(LONG)  # the demo was ended before its import
    names = {path.name for path in known.lacking(lake_at(tmp_path), "here")}
    assert names == {f"{each}.ndjson.zst" for each in ("2026-03-27", "2026-03-28", "2026-04")}
