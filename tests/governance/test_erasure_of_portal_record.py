"""The portal's record under an erasure: the person goes, every line stays, and no line of a running portal is lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from erasure_rooms import CUSTOMER, MINE, OTHER, USER, Rooms
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.portal_record import DATASET, TEXTS, PortalRecord
from analytics_platform.governance.retention.files import Place
from analytics_platform.portal.audit import FILES, Action, AuditLog, Entry, Outcome

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
PERSON = Person(MINE, frozenset({"usr_7", "22"}), frozenset({"Ann.Lee@example.org"}), "erased_x")
THEIRS = f"viewer@{OTHER}"
OWN = f"viewer@{MINE}"
CUT_OFF = f'{{"at":"2026-03-02T10:22:00","who":"its_device","audience":"{THEIRS}","reason":"its_device'.encode()
"""By a full disk: whose line it was cannot be told."""


def opened(who: str | None, audience: str | None, key: str = "dashboards/finance/x.html", **more: Any) -> Entry:
    return Entry(Action.OPEN, Outcome.SERVED, 200, who, audience, key, **more)


def nothing_held(dataset: str, day: date | None) -> bool:
    del dataset, day
    return False


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    found = AuditLog(tmp_path)
    yield found
    found.close()


def place(folder: Path) -> PortalRecord:
    return PortalRecord([Place(folder, FILES)])


def test_erasing_a_tenants_person_leaves_every_line_and_other_peoples_as_they_are(
    catalog: Catalog, tmp_path: Path
) -> None:
    rooms = Rooms(catalog, tmp_path / "home")
    rooms.home.mkdir()
    rooms.fill()
    log, then = AuditLog(rooms.settings.portal_root / "audit"), datetime.now(UTC) - timedelta(days=1)
    others = [Entry(Action.LOGIN, Outcome.WRONG, 403, who="admin_of_all"), opened(USER, THEIRS)]
    for entry in [*others, opened(CUSTOMER, OWN, address="10.0.0.7"), opened("its_device", None)]:
        log.write(entry, then)
    before = list(log.read())
    asked = rooms.approved(USER, CUSTOMER, "its_device")
    (planned,) = [each for each in asked.plan.found if each.dataset == DATASET]
    assert (planned.action, planned.units) == ("sever", 2)
    assert rooms.desk().run(asked.request, by="bob").ok
    after = list(log.read())
    assert after[:2] == before[:2]
    assert [(each["who"], each["address"], each["key"]) for each in after[2:]] == [(None, None, before[2]["key"])] * 2


def test_the_search_afterwards_finds_a_line_of_the_tenant_or_of_nobody_alone(catalog: Catalog, tmp_path: Path) -> None:
    rooms = Rooms(catalog, tmp_path / "home")
    rooms.home.mkdir()
    rooms.fill()
    log = AuditLog(rooms.settings.portal_root / "audit")
    for audience in (OWN, THEIRS, "finance", None):
        log.write(opened("its_device", audience), NOW)
    (path,) = (rooms.settings.portal_root / "audit").iterdir()
    path.write_bytes(path.read_bytes() + CUT_OFF)

    def found(*ids: str) -> int | None:
        searched = rooms.desk().search.survivors(Person(MINE, frozenset(ids), frozenset(), "x"), nothing_held)
        return next(each.units for each in searched if each.sink == "files")

    assert (found("its_device"), found("nobody_else")) == (4, 0)
    one = Person(MINE, frozenset({"its_device"}), frozenset(), "x")
    list(place(path.parent).erase(one, nothing_held))
    assert found("its_device") == 0


def test_a_number_that_is_an_id_is_no_moment_and_no_status(tmp_path: Path, log: AuditLog) -> None:
    log.write(opened("usr_1", None), NOW.replace(minute=22))
    assert list(place(tmp_path).find(PERSON, nothing_held)) == []
    log.write(opened("22", None), NOW)
    assert [each.units for each in place(tmp_path).erase(PERSON, nothing_held)] == [1]
    assert [each["who"] for each in log.read()] == ["usr_1", None]


def test_a_page_that_is_named_after_the_person_is_no_reason_to_forget_who_opened_it(
    tmp_path: Path, log: AuditLog
) -> None:
    log.write(opened("usr_1", None, "reports/usr_7.html", address="10.0.0.7"), NOW)
    list(place(tmp_path).erase(PERSON, nothing_held))
    (line,) = log.read()
    assert (line["who"], line["address"], line["key"]) == ("usr_1", "10.0.0.7", None)


names = st.sampled_from(["usr_7", "usr_70", 'a "usr_7" b', "ANN.LEE@example.org", "22", "7", "\\", "ü usr_7", "", None])


@given(st.lists(st.tuples(names, st.sampled_from([None, OWN, THEIRS, "finance"]), names), max_size=5))
def test_every_line_is_as_long_as_before_reads_as_json_and_names_the_person_no_more(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str | None, str | None, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("audit")
    log = AuditLog(folder)
    for who, audience, reason in said:
        log.write(opened(who, audience, reason=reason), NOW)
    before = [len(line) for path in folder.iterdir() for line in path.read_bytes().splitlines()]
    one = Person(MINE, PERSON.ids | {"7"}, PERSON.values, "erased_x")
    list(place(folder).erase(one, nothing_held))
    assert [len(line) for path in folder.iterdir() for line in path.read_bytes().splitlines()] == before
    for line, (who, audience, reason) in zip(log.read(), said, strict=True):
        is_others = audience == THEIRS
        for now, was in ((line["who"], who), (line["reason"], reason)):
            assert now == was if is_others or not one.is_in(was or "") else not now
    assert list(place(folder).erase(one, nothing_held)) == []
    log.close()


def test_a_hold_keeps_the_lines_of_its_days_and_the_files_days_stay(tmp_path: Path, log: AuditLog) -> None:
    for day in (1, 2):
        log.write(opened("usr_7", OWN), NOW.replace(day=day))
        at = NOW.replace(day=day).timestamp()
        os.utime(tmp_path / f"audit-2026-03-0{day}.jsonl", (at, at))
    held = lambda dataset, day: (dataset, day) == (DATASET, date(2026, 3, 1))  # noqa: E731
    assert [(each.action, each.units, each.first) for each in place(tmp_path).find(PERSON, held)] == [
        ("hold", 1, date(2026, 3, 1)),
        ("sever", 1, date(2026, 3, 2)),
    ]
    assert [each.action for each in place(tmp_path).erase(PERSON, held)] == ["sever"]
    assert [each["who"] for each in log.read()] == ["usr_7", None]
    written = (tmp_path / "audit-2026-03-02.jsonl").stat().st_mtime
    # Retention and holds go by the day; a backup takes a file anew when its time is another one.
    assert written != NOW.timestamp()
    assert datetime.fromtimestamp(written, UTC).date() == NOW.date()


def test_no_line_is_lost_that_a_running_portal_adds_meanwhile(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path) for _ in range(3)]

    def write(log: AuditLog, number: int) -> None:
        for count in range(300):
            log.write(opened("usr_7", OWN, f"dashboards/{number}/page{count}.html"), NOW)

    threads = [threading.Thread(target=write, args=(log, number)) for number, log in enumerate(logs)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(place(tmp_path).erase(PERSON, nothing_held))
    list(place(tmp_path).erase(PERSON, nothing_held))
    lines = list(logs[0].read())
    assert {each["key"] for each in lines} == {f"dashboards/{n}/page{c}.html" for n in range(3) for c in range(300)}
    assert len(lines) == 900
    assert {each["who"] for each in lines} == {None}
    for log in logs:
        log.close()


def test_erasure_knows_which_fields_of_a_line_may_name_somebody() -> None:
    nobodys = {"action", "outcome", "status", "request_id"}
    assert {each.name for each in fields(Entry)} == {*TEXTS, *nobodys}
