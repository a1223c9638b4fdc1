"""The lake's objects on their way from a folder into a bucket: whole, once, resumable, and compared byte by byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from killed import is_killed
from moto.server import ThreadedMotoServer

from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.changes import earliest_change_since
from analytics_platform.lake.dated import RECORDS_PREFIX, DatedStore
from analytics_platform.lake.s3 import S3Store
from analytics_platform.lake.store import LocalStore, ObjectStore
from analytics_platform.migration.lake import LakeMove
from analytics_platform.migration.parts import OtherDataError, SourceInUseError
from analytics_platform.migration.state import STATE_FILE, MigrationState

OBJECTS = {
    "landing/day=2026-01-05/tenant=acme/20260105T10-importer-0000000000000001.ndjson.zst": b"landed",
    "raw/product/day=2026-01-05/tenant=acme/events.parquet": b"rows",
    "suppressions/tenant=acme/er-1.json": b"{}",
    "evidence/0000000001.json": b"{}",
    "extracts/executive/headline/day=2026-01-05/0123456789abcdef.parquet": b"",
    "odd/täglich/of %3F&": b"\x00\xff",
    **{f"dead/unknown_event/day=2026-01-{n:02}/tenant=acme/x.ndjson.zst": b"%d" % n for n in range(1, 29)},
}
LONG_AGO = datetime(2026, 1, 6, 4, 5, 6, 789_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["s3", "folder"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path / "other" / "lake")
    for name, value in {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    address = request.getfixturevalue("s3_address")
    bucket = f"lake-{abs(hash(request.node.name)) % 10**9}"
    client = boto3.client("s3", endpoint_url=address, region_name="eu-central-1")
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    options = S3Options(address, "eu-central-1", path_style=True)
    return S3Store(bucket, "pre/fix", options, ObjectCache(tmp_path / "cache", 1 << 20))


@pytest.fixture
def source(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "lake")
    for key, data in OBJECTS.items():
        store.put(key, data)
        os.utime(store.local_path(key), (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    store.put("probes/abc", b"1")
    store.put("governance/locks/removal.json", b"1")
    return store


@pytest.fixture
def state(tmp_path: Path) -> Iterator[MigrationState]:
    opened = MigrationState(tmp_path / STATE_FILE)
    yield opened
    opened.close()


def move(
    source: ObjectStore, target: ObjectStore, state: MigrationState, step: Callable[[str], None] = lambda _: None
) -> LakeMove:
    return LakeMove(DatedStore(source), DatedStore(target), state, step)


def quiet(_done: int, _all: int) -> None: ...


def content(store: ObjectStore) -> dict[str, bytes]:
    return {info.key: store.get(info.key) for info in store.list("") if not info.key.startswith(RECORDS_PREFIX)}


def test_every_object_comes_over_with_its_bytes_and_its_time(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    moved = move(source, target, state).run(quiet)
    assert (moved.copied, moved.removed, moved.total) == (len(OBJECTS), 0, len(OBJECTS))
    assert content(target) == OBJECTS
    dated = DatedStore(target)
    assert {info.modified_at for info in dated.list("raw/")} == {LONG_AGO}
    info = dated.info("odd/täglich/of %3F&")
    assert info is not None
    assert info.modified_at == LONG_AGO
    compared = move(source, target, state).verify(quiet)
    assert compared.differences == ()
    assert compared.units == len(OBJECTS)


def test_what_is_brought_has_not_changed_since_the_last_build(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    move(source, target, state).run(quiet)
    assert earliest_change_since(DatedStore(target), LONG_AGO) is None
    target.put("dead/late/day=2026-01-05/tenant=acme/y.ndjson.zst", b"written after the migration")
    (late,) = DatedStore(target).list("dead/late/")
    assert abs((late.modified_at - datetime.now(UTC)).total_seconds()) < 60


def test_a_second_run_brings_nothing_and_follows_what_the_source_lost_and_changed(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    move(source, target, state).run(quiet)
    assert move(source, target, state).run(quiet).copied == 0

    erased, changed = "suppressions/tenant=acme/er-1.json", "raw/product/day=2026-01-05/tenant=acme/events.parquet"
    source.delete(erased)
    source.put(changed, b"rows without the person")
    told = {
        (each.name, each.what.split(" in the")[0]) for each in move(source, target, state).verify(quiet).differences
    }
    assert {name for name, _ in told} == {erased, changed}

    moved = move(source, target, state).run(quiet)
    assert (moved.copied, moved.removed) == (1, 1)
    assert content(target) == {**{k: v for k, v in OBJECTS.items() if k != erased}, changed: b"rows without the person"}
    assert move(source, target, state).verify(quiet).differences == ()


def test_the_comparison_names_a_changed_byte_a_missing_and_a_foreign_object(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    move(source, target, state).run(quiet)
    first, second = sorted(OBJECTS)[:2]
    target.put(first, bytes([OBJECTS[first][0] ^ 1]) + OBJECTS[first][1:])
    target.delete(second)
    target.put("raw/foreign", b"1")
    told = {each.name: each.what for each in move(source, target, state).verify(quiet).differences}
    assert told.keys() == {first, second, "raw/foreign"}
    assert "other bytes" in told[first]
    assert told[second] == "is missing in the target"
    assert told["raw/foreign"] == "is not in the source"


def test_a_time_that_is_not_the_sources_is_a_difference(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    move(source, target, state).run(quiet)
    target.delete(f"{RECORDS_PREFIX}evidence.json")
    (told,) = move(source, target, state).verify(quiet).differences
    assert told.name == "evidence/0000000001.json"
    assert "was written at 2026-01-06 04:05:06.789" in told.what


def test_a_target_with_other_objects_is_refused(source: LocalStore, target: ObjectStore, state: MigrationState) -> None:
    target.put("raw/theirs", b"1")
    with pytest.raises(OtherDataError, match=r"1 objects that this migration has not brought \(raw/theirs\)"):
        move(source, target, state).run(quiet)
    assert content(target) == {"raw/theirs": b"1"}


def test_a_key_that_holds_other_bytes_is_refused_and_left_alone(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    target.put("evidence/0000000001.json", b"theirs")
    with pytest.raises(OtherDataError, match=r"evidence/0000000001\.json holds other bytes"):
        move(source, target, state).run(quiet)
    assert target.get("evidence/0000000001.json") == b"theirs"


def test_a_target_that_was_used_since_is_refused(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    move(source, target, state).run(quiet)
    key = "raw/product/day=2026-01-05/tenant=acme/events.parquet"
    later = datetime(2099, 1, 1, tzinfo=UTC)
    target.put(key, b"built anew")
    if isinstance(target, LocalStore):
        os.utime(target.local_path(key), (later.timestamp(), later.timestamp()))
    else:  # a bucket's second may be the one of the migration
        noted = state.objects(target.address("x")[:-1])[key]
        assert noted.put_at is not None
        state.brought(target.address("x")[:-1], [replace(noted, put_at=noted.put_at - 3600)])
    with pytest.raises(OtherDataError, match=f"used since: 1 objects were written anew \\({key}\\)"):
        move(source, target, state).run(quiet)
    assert target.get(key) == b"built anew"


def test_an_attempt_that_broke_off_after_it_replaced_an_object_is_no_stranger(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    move(source, target, state).run(quiet)
    key, place = "evidence/0000000001.json", target.address("x")[:-1]
    noted = state.objects(place)[key]
    assert noted.put_at is not None
    state.brought(place, [replace(noted, put_at=noted.put_at - 3600)])  # as if it had been put in another second
    source.put(key, b"{ }")

    def break_off(step: str) -> None:
        if step == f"lake: note {key}":
            raise InterruptedError(step)

    with pytest.raises(InterruptedError):
        move(source, target, state, break_off).run(quiet)
    assert target.get(key) == b"{ }"
    assert move(source, target, state).run(quiet).copied == 1
    assert move(source, target, state).verify(quiet).differences == ()


def test_a_source_that_changes_meanwhile_is_told(
    source: LocalStore, target: ObjectStore, state: MigrationState
) -> None:
    def land(step: str) -> None:
        if step == "lake: note the times":
            source.put("landing/day=2026-01-06/tenant=acme/late", b"1")

    with pytest.raises(SourceInUseError, match="1 objects of the source changed while it was copied"):
        move(source, target, state, land).run(quiet)
    move(source, target, state).run(quiet)
    assert move(source, target, state).verify(quiet).differences == ()


def test_killed_before_any_step_and_begun_again_it_ends_the_same(
    source: LocalStore, target: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_platform.migration.lake._NOTED_AT_ONCE", 4)
    attempts = 0

    def act(step: Callable[[str], None]) -> None:
        move(source, target, MigrationState(tmp_path / STATE_FILE), step).run(quiet)

    while is_killed(attempts, act):
        attempts += 1
        if attempts == 3:
            source.delete("odd/täglich/of %3F&")
            source.put("evidence/0000000001.json", b"{ }")
    assert attempts >= 5
    state = MigrationState(tmp_path / STATE_FILE)
    assert move(source, target, state).verify(quiet).differences == ()
    assert len(content(target)) == len(OBJECTS) - 1
    assert move(source, target, state).run(quiet).copied == 0
    state.close()
