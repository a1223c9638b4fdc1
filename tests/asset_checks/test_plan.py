"""Loaded and refused messages against the plan, on what conforms and on what does not."""

from datetime import date, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from known_keys import SEALS

from analytics_platform.catalog import Catalog, Event
from analytics_platform.catalog.quality import VanishedRule
from analytics_platform.defs import keys
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.raw import RAW_SCHEMA
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.against_plan import CONFORMS, DRIFT, _plan, letters_of
from asset_checks.factory import Facts, Scope
from asset_checks.plan import (
    Seen,
    Unplanned,
    events_are_of_the_plan,
    rows_conform_to_plan,
    unplanned_in_letter,
    unplanned_in_rows,
    vanished_events,
)
from asset_checks.weekdays import Calendar

DAY = date(2026, 3, 10)
TENANT = "brabant-rental"


@pytest.fixture
def events(catalog: Catalog) -> dict[str, Event]:
    return {"ticket.reopened": catalog.events["ticket.reopened"]}


def seen(*changed: Seen, rows: int = 3) -> list[Seen]:
    """Rows of `ticket.reopened` as planned, with some of its properties otherwise."""
    kinds = {"schema_version": "UBIGINT", "tenant_id": "VARCHAR", "ticket_id": "VARCHAR", "reopened_at": "VARCHAR"}
    kinds["reopen_count"] = "UBIGINT"
    otherwise = {each.property for each in changed}
    planned = [Seen("ticket.reopened", name, kind, rows) for name, kind in kinds.items() if name not in otherwise]
    return [Seen("ticket.reopened", None, None, rows), *planned, *changed]


def test_rows_as_planned_conform_and_optional_properties_may_be_missing(events: dict[str, Event]) -> None:
    facts = rows_conform_to_plan(DAY, seen(), events)
    assert facts.passed
    assert (facts.checked, facts.failed) == (15, 0)
    assert facts.counts["rows"] == 3


@pytest.mark.parametrize(
    ("changed", "offender"),
    [
        (Seen("ticket.reopened", "ticket_id", "VARCHAR", 1), "ticket.reopened.ticket_id: missing in 2 rows"),
        (
            Seen("ticket.reopened", "reopen_count", "VARCHAR", 3),
            "ticket.reopened.reopen_count: no readable integer in 3 rows",
        ),
        (
            Seen("ticket.reopened", "reopened_at", "VARCHAR", 3, unreadable=1),
            "ticket.reopened.reopened_at: no readable timestamp in 1 rows",
        ),
        (Seen("ticket.reopened", "ticket_id", "NULL", 3), "ticket.reopened.ticket_id: no readable id in 3 rows"),
    ],
)
def test_what_does_not_conform_is_named_by_property_and_number(
    events: dict[str, Event], changed: Seen, offender: str
) -> None:
    facts = rows_conform_to_plan(DAY, seen(changed), events)
    assert not facts.passed
    assert facts.offenders == [f"2026-03-10 {offender}"]


def test_a_property_that_the_plan_does_not_know_is_drift(events: dict[str, Event]) -> None:
    unplanned = unplanned_in_rows(seen(Seen("ticket.reopened", "mood", "VARCHAR", 3)), events)
    facts = events_are_of_the_plan(list(unplanned.items()), 2, [], DAY, 3)
    assert facts.offenders == ["2026-03-10 all ticket.reopened.mood: not in the plan, 3 times"]


def test_a_few_unplanned_ones_are_one_clients_mistake(events: dict[str, Event]) -> None:
    facts = events_are_of_the_plan([(Unplanned(TENANT, "ticket.reopened", "mood"), 2)], 2, [], DAY, 9)
    assert facts.passed
    assert facts.counts["unplanned_names"] == 1


def test_an_event_unseen_before_is_drift(events: dict[str, Event]) -> None:
    rows = [Seen("ticket.escalated", None, None, 5), Seen("ticket.escalated", "level", "UBIGINT", 5)]
    assert unplanned_in_rows(rows, events) == {Unplanned("all", "ticket.escalated", None): 5}


def letter(raw: bytes) -> DeadLetter:
    return DeadLetter("schema_violation", "…", raw, DAY, TENANT, "support")


def test_a_letter_tells_its_unplanned_names_and_no_values(events: dict[str, Event]) -> None:
    raw = orjson.dumps({"event": "ticket.reopened", "properties": {"mood": "cross", "jan@example.nl": 1}})
    found = unplanned_in_letter(letter(raw), events)
    assert [str(each) for each in found] == ["ticket.reopened.mood", "ticket.reopened.(a name that is not shown)"]
    assert (
        unplanned_in_letter(letter(b'{"event": "Jan (0612345678)"}'), events)[0].event == "(a name that is not shown)"
    )


@pytest.mark.parametrize("raw", [b"no json", b"[1]", b'{"event": 3}', b'{"event": "ticket.reopened"}'])
def test_letters_without_names_tell_nothing(events: dict[str, Event], raw: bytes) -> None:
    assert unplanned_in_letter(letter(raw), events) == []


RULE = VanishedRule(weeks=12, min_days_seen=20, min_days_absent=4, times_longest=2.0)


def sent_until(days_ago: int) -> dict[tuple[str, str], list[date]]:
    """An event on most days until some days ago, and another one that still comes."""
    until = [DAY - timedelta(n) for n in range(days_ago, days_ago + 60) if n % 7]
    return {(TENANT, "scan.completed"): sorted(until), (TENANT, "booking.confirmed"): [DAY]}


def calendar(*holidays: date) -> Calendar:
    return Calendar({TENANT: holidays}, {TENANT: DAY + timedelta(1)})


def test_an_event_that_stays_away_for_twice_its_longest_absence_has_vanished() -> None:
    found = vanished_events(DAY, sent_until(4), RULE, calendar())
    assert found == ["2026-03-10 brabant-rental scan.completed: stays away for 4 days, never longer than 1 before"]


def test_short_absences_holidays_and_silent_tenants_are_no_vanishing() -> None:
    assert vanished_events(DAY, sent_until(2), RULE, calendar()) == []
    assert vanished_events(DAY, sent_until(4), RULE, calendar(DAY - timedelta(1))) == []
    silent = {key: days for key, days in sent_until(4).items() if key[1] == "scan.completed"}
    assert vanished_events(DAY, silent, RULE, calendar()) == []


def message(number: int, **properties: object) -> dict[str, object]:
    return {
        "day": DAY,
        "tenant_id": TENANT,
        "message_id": f"m{number}",
        "type": "track",
        "event": "ticket.reopened",
    } | {"properties": orjson.dumps(properties).decode()}


PLANNED = {"schema_version": 1, "tenant_id": TENANT, "ticket_id": "t1", "reopen_count": 1}
PLANNED["reopened_at"] = "2026-03-10T08:00:00Z"


def judged(
    tmp_path: Path, catalog: Catalog, *rows: dict[str, object], refused: bytes | None = None
) -> dict[str, Facts]:
    store = LocalStore(tmp_path / "lake")
    if refused is not None:
        key = f"dead/schema_violation/day={DAY}/tenant={TENANT}/20260310T10-w-0123.ndjson.zst"
        store.put(key, compressed(letter(refused).sealed(SEALS).line * 3))
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    warehouse.replace_table("raw.support", pa.Table.from_pylist(list(rows), RAW_SCHEMA))
    found = _plan(catalog, SEALS)(Scope(store, warehouse, [DAY.isoformat()]), [keys.loaded("support")])
    return {key.name: facts[DAY.isoformat()] for key, facts in found.items()}


def test_sql_finds_the_rows_that_conform(tmp_path: Path, catalog: Catalog) -> None:
    facts = judged(tmp_path, catalog, message(1, **PLANNED), message(2, **PLANNED | {"reopen_count": 2.0}))
    assert facts[CONFORMS.name].passed, facts[CONFORMS.name].offenders
    assert facts[CONFORMS.name].checked == 10
    assert facts[DRIFT.name].passed


def test_sql_finds_the_values_that_do_not_conform(tmp_path: Path, catalog: Catalog) -> None:
    broken = {"reopened_at": "yesterday", "reopen_count": 1.5, "ticket_id": None}
    facts = judged(tmp_path, catalog, message(1, **PLANNED), message(2, **PLANNED | broken))
    assert sorted(facts[CONFORMS.name].offenders) == [
        "2026-03-10 ticket.reopened.reopen_count: no readable integer in 1 rows",
        "2026-03-10 ticket.reopened.reopened_at: no readable timestamp in 1 rows",
        "2026-03-10 ticket.reopened.ticket_id: no readable id in 1 rows",
    ]


def test_names_that_json_pointers_and_quotes_would_break_on_are_drift_and_no_error(
    tmp_path: Path, catalog: Catalog
) -> None:
    strange = {"a/b": 1, 'a"b': 2, "a~b": 3, "a'b": 4}
    facts = judged(tmp_path, catalog, *(message(n, **PLANNED | strange) for n in range(3)))
    assert facts[CONFORMS.name].passed
    assert facts[DRIFT.name].failed == 12


def test_refused_messages_are_drift_too(tmp_path: Path, catalog: Catalog) -> None:
    refused = orjson.dumps({"event": "ticket.reopened", "properties": PLANNED | {"mood": "cross"}})
    facts = judged(tmp_path, catalog, message(1, **PLANNED), refused=refused)
    assert facts[DRIFT.name].offenders == ["2026-03-10 brabant-rental ticket.reopened.mood: not in the plan, 3 times"]


def test_letters_are_read_of_the_wanted_days_alone(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for day in (DAY, DAY + timedelta(1)):
        key = f"dead/schema_violation/day={day}/tenant={TENANT}/20260310T10-w-0123.ndjson.zst"
        store.put(key, compressed(letter(b"{}").sealed(SEALS).line))
    assert len(list(letters_of(store, DAY, DAY, SEALS))) == 1
