"""What retention has removed is not built again, not called stale, and not missed by the accounts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from known_keys import SEALS
from landed_lines import DAY, STREAMS, TENANT, land, line

from analytics_platform.lake.changes import landed_partitions, stale_partitions
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.layout import conflicts_key, dead_letter_key, digest, landing_key, raw_key
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.manifest import Counts, Manifest, MovedLetters, WrittenObject, write_manifest
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.removals import Removed, Span, read_removals, state_removals
from analytics_platform.lake.store import LocalStore

PLAN = "a" * 64


def build(store: LocalStore) -> None:
    build_partitions(store, streams=STREAMS, partitions=landed_partitions(store))


def remove(store: LocalStore, *datasets: str, through: date = DAY, plan: str = PLAN) -> None:
    state_removals(store, plan, [Removed(dataset, TENANT, through) for dataset in datasets])


def letters(store: LocalStore, *, rows: int = 2, dead: int = 1) -> str:
    """Landed lines and a dead letter with their manifest; the dead letters' key."""
    landing = land(store, *(line(f"m-{n}") for n in range(rows)))
    letter = (
        DeadLetter("schema_violation", "properties.flow: missing", b"{}", DAY, TENANT, "product").sealed(SEALS).line
        * dead
    )
    key = dead_letter_key("schema_violation", DAY, TENANT, "import", digest(letter))
    store.put(key, compressed(letter))
    counts = {("product", DAY, TENANT): Counts(received=rows + dead, accepted=rows, dead_lettered=dead)}
    objects = [WrittenObject(landing, {"product": rows}, "")], [WrittenObject(key, {"product": dead}, "")]
    write_manifest(store, Manifest("import", counts, *objects))
    return key


def test_what_is_stated_is_read_back(store: LocalStore) -> None:
    held = (Span(DAY - timedelta(days=9), DAY - timedelta(days=5)),)
    state_removals(store, PLAN, [Removed("raw.product", TENANT, DAY, held)])
    removals = read_removals(store)
    assert removals.covers_raw("product", TENANT, DAY)
    assert removals.covers_raw("product", TENANT, date(1990, 1, 1))
    assert not removals.covers_raw("product", TENANT, DAY - timedelta(days=7))
    assert not removals.covers_raw("product", TENANT, DAY + timedelta(days=1))
    assert not removals.covers_raw("product", "albion-stage", DAY)
    assert not removals.covers_raw("billing", TENANT, DAY)
    assert removals.newest(["raw.product", "raw.billing"]) == DAY


def test_a_later_plan_takes_what_an_earlier_one_had_to_hold(store: LocalStore) -> None:
    state_removals(store, PLAN, [Removed("raw.product", TENANT, DAY, (Span(DAY, DAY),))])
    assert not read_removals(store).covers_raw("product", TENANT, DAY)
    remove(store, "raw.product", plan="b" * 64)
    assert read_removals(store).covers_raw("product", TENANT, DAY)


def test_a_removed_partition_is_neither_stale_nor_built_while_its_neighbours_are(store: LocalStore) -> None:
    land(store, line("m-1"), line("m-2", stream="billing"))
    remove(store, "raw.product")
    assert stale_partitions(store, streams=STREAMS) == [(DAY, TENANT)]
    build(store)
    assert store.info(raw_key("product", DAY, TENANT)) is None
    assert store.info(raw_key("billing", DAY, TENANT)) is not None
    assert stale_partitions(store, streams=STREAMS) == []


def test_a_removed_partition_has_no_row_in_the_ledger(store: LocalStore) -> None:
    letters(store)
    build(store)
    for info in [*store.list("landing/"), *store.list("raw/product/")]:
        store.delete(info.key)
    assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 1
    remove(store, "raw.product")
    assert "product" not in ledger_rows(store, DAY, DAY)["stream"].to_pylist()


def test_removed_letters_are_not_missed_and_lost_ones_are(store: LocalStore) -> None:
    key = letters(store)
    build(store)
    store.delete(key)
    assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 1
    remove(store, "dead_letters")
    (row,) = (row for row in ledger_rows(store, DAY, DAY).to_pylist() if row["stream"] == "product")
    assert (row["received"], row["accepted"], row["dead_lettered"]) == (2, 2, 0)


def test_removed_letters_that_had_been_replayed_are_taken_out_once(store: LocalStore) -> None:
    key = letters(store, dead=2)
    landed = land(store, line("replayed"))
    counts = {("product", DAY, TENANT): Counts(received=1, accepted=1)}
    moved = [MovedLetters(key, {"product": 1})]
    write_manifest(store, Manifest("replay1", counts, [WrittenObject(landed, {"product": 1}, "")], moved=moved))
    build(store)
    assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 0
    store.delete(key)
    remove(store, "dead_letters")
    assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 0


def test_conflicts_whose_letters_were_removed_stay_accounted_for_when_late_lines_come(store: LocalStore) -> None:
    lines = [line("m-1"), line("m-1", payload_hash="00000000000000bb", source="again")]
    landing = land(store, *lines)
    counts = {("product", DAY, TENANT): Counts(received=2, accepted=2)}
    write_manifest(store, Manifest("import", counts, [WrittenObject(landing, {"product": 2}, "")]))
    build(store)
    store.delete(conflicts_key("product", DAY, TENANT))
    remove(store, "dead_letters")
    assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 0

    for number in (2, 3):
        late = land(store, line("m-1", payload_hash=f"00000000000000c{number}", source=f"late {number}"))
        said = {("product", DAY, TENANT): Counts(received=1, accepted=1)}
        write_manifest(store, Manifest(f"import{number}", said, [WrittenObject(late, {"product": 1}, "")]))
        build(store)
        assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 0, number


@pytest.mark.parametrize("what", ["landing", "dead_letters"])
def test_a_collectors_hour_adds_up_after_its_objects_were_removed(store: LocalStore, what: str) -> None:
    hour = datetime(2026, 1, 15, 10, tzinfo=UTC)
    writer = "collectorab"
    data = line("m-1")
    landing = landing_key(DAY, TENANT, hour, writer, digest(data))
    store.put(landing, compressed(data))
    letter = DeadLetter("invalid_json", "is no JSON", b"{", DAY, TENANT).sealed(SEALS).line
    dead = dead_letter_key("invalid_json", DAY, TENANT, writer, digest(letter), received_hour=hour)
    store.put(dead, compressed(letter))
    counts = {("product", DAY, TENANT): Counts(2, 1, 0, 1)}
    objects = [WrittenObject(landing, {"product": 1}, "")], [WrittenObject(dead, {"_unknown": 1}, "")]
    write_manifest(store, Manifest(writer, counts, *objects, hour=hour, acked={TENANT: 2}))
    build(store)

    def wrong() -> int:
        hours = collector_hours(store, DAY, DAY, STREAMS)
        assert hours.num_rows == 1
        return int(unaccounted(hours, hour + timedelta(days=90)).num_rows)

    assert wrong() == 0
    store.delete(landing if what == "landing" else dead)
    for stream in STREAMS:
        store.delete(raw_key(stream, DAY, TENANT))
    assert wrong() == 1
    remove(store, what)
    assert wrong() == 0


def test_a_statement_is_plain_json_that_names_no_person(store: LocalStore) -> None:
    remove(store, "raw.product")
    (info,) = store.list("removals/")
    assert orjson.loads(store.get(info.key)) == {
        "version": 1,
        "removed": [{"dataset": "raw.product", "tenant": TENANT, "through": DAY.isoformat()}],
    }
