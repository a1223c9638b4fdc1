"""The files: same bytes for the same question, in the order of arrival, each moment plausible."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from demo_history import LAST_DAY, History, moment, read_messages

from analytics_platform.catalog import Catalog
from analytics_platform.demo import simulate, simulation
from analytics_platform.demo.clock import TenantClock
from analytics_platform.demo.journal import World

# One worker simulates the history once.
FIRST = date(2026, 3, 20)
SHORT, LONG = date(2026, 4, 2), date(2026, 4, 20)

PROGRAM = """
import sys
from datetime import date
from pathlib import Path
from analytics_platform.catalog import load_catalog
from analytics_platform.demo import simulate
first, last = map(date.fromisoformat, sys.argv[2:])
simulate(load_catalog(), seed=5, first_day=first, last_day=last, folder=Path(sys.argv[1]))
"""


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.zst"))}


@pytest.fixture(scope="module")
def short(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("short")
    simulate(catalog, seed=5, first_day=FIRST, last_day=SHORT, folder=folder)
    return folder


def test_the_same_seed_and_days_give_the_same_bytes_in_any_process(short: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Pacific/Auckland"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), FIRST.isoformat(), SHORT.isoformat()]
    subprocess.run(command, env=environment, check=True)
    assert _bytes(tmp_path) == _bytes(short)


def test_another_seed_gives_another_history(catalog: Catalog, short: Path, tmp_path: Path) -> None:
    simulate(catalog, seed=6, first_day=FIRST, last_day=SHORT, folder=tmp_path)
    others = _bytes(tmp_path)
    assert others.keys() == _bytes(short).keys()
    assert all(others[name] != content for name, content in _bytes(short).items())


def test_a_longer_simulation_begins_with_the_messages_of_a_shorter_one(
    catalog: Catalog, short: Path, tmp_path: Path
) -> None:
    simulate(catalog, seed=5, first_day=FIRST, last_day=LONG, folder=tmp_path)
    for tenant in sorted(short.iterdir()):
        earlier, later = read_messages(tenant), read_messages(tmp_path / tenant.name)
        assert len(later) > len(earlier)
        assert later[: len(earlier)] == earlier


def test_the_answer_names_every_file_once(catalog: Catalog, tmp_path: Path) -> None:
    paths = simulate(catalog, seed=5, first_day=SHORT - timedelta(days=3), last_day=SHORT, folder=tmp_path)
    assert len(paths) == len(set(paths))
    assert sorted(paths) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert all(path.parent.name in catalog.tenants and path.name.endswith(".ndjson.zst") for path in paths)


def test_a_simulation_that_is_broken_off_leaves_nothing_to_import_and_can_be_repeated(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived: list[World] = []

    def break_off_at_the_third(world: World, _: object) -> None:
        lived.append(world)
        if len(lived) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "simulate_product", break_off_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        simulate(catalog, seed=5, first_day=SHORT, last_day=SHORT, folder=tmp_path)
    assert list(tmp_path.rglob("*.unfinished"))
    assert not list(tmp_path.rglob("*.zst"))
    monkeypatch.undo()
    paths = simulate(catalog, seed=5, first_day=SHORT, last_day=SHORT, folder=tmp_path)
    assert sorted(paths) == sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_days_in_the_wrong_order_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before the first day"):
        simulate(catalog, seed=1, first_day=SHORT, last_day=FIRST, folder=tmp_path)


def test_a_catalogue_without_demo_tenants_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    nobody = catalog.model_copy(update={"tenants": {}})
    with pytest.raises(ValueError, match="none of the demo tenants"):
        simulate(nobody, seed=1, first_day=FIRST, last_day=SHORT, folder=tmp_path)


def test_messages_stand_in_the_order_of_their_arrival(histories: list[History]) -> None:
    for history in histories:
        arrivals = [moment(message["receivedAt"]) for message in history.messages]
        assert arrivals == sorted(arrivals)


def test_a_message_happens_then_is_sent_then_arrives(histories: list[History]) -> None:
    for history in histories:
        for message in history.messages:
            happened, sent, arrived = (moment(message[name]) for name in ("timestamp", "sentAt", "receivedAt"))
            assert happened <= sent < arrived


def test_nothing_arrives_outside_of_the_asked_days(catalog: Catalog, histories: list[History]) -> None:
    for history in histories:
        clock = TenantClock(catalog.tenants[history.tenant_id])
        days = {clock.day_of(moment(message["timestamp"])) for message in history.messages}
        assert max(days) == clock.day_of(moment(history.messages[-1]["receivedAt"])) == LAST_DAY
        assert len(days) == (LAST_DAY - min(days)).days + 1, "every day has traffic"


def test_a_year_is_about_as_large_as_the_demo_promises(histories: list[History]) -> None:
    days = (LAST_DAY - date(2025, 11, 22)).days + 1
    a_year = sum(len(history.messages) for history in histories) / days * 365
    assert 120_000 < a_year < 180_000
