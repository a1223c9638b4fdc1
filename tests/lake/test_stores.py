"""What the lake needs of a store, asked of every store: a folder, S3's protocol over HTTP, and Google's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from gcs_server import Bucket, gcs_server
from google.auth.credentials import AnonymousCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landed_lines import DAY, STREAMS, TENANT, land, line
from moto.server import ThreadedMotoServer

from analytics_platform.intake.collector.probe import probe_conditional_puts
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.gcs import GcsStore
from analytics_platform.lake.layout import placed
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.s3 import S3Store
from analytics_platform.lake.store import (
    LocalStore,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStore,
    StoreUnavailableError,
    UnsafeKeyError,
)
from analytics_platform.lake.stores import BucketPlace, StoreUrlError, open_store

KINDS = ("folder", "s3", "gcs")


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def keys_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def gcs(tmp_path: Path) -> Iterator[tuple[GcsStore, Bucket]]:
    with gcs_server() as (address, bucket):
        cache = ObjectCache(tmp_path / "cache", 1 << 20)
        yield (
            GcsStore("lake", "pre/fix", cache, endpoint=address, credentials=AnonymousCredentials(), project="p"),
            bucket,
        )


@pytest.fixture
def s3(s3_address: str, keys_of_aws: None, tmp_path: Path, request: pytest.FixtureRequest) -> S3Store:
    del keys_of_aws
    bucket = f"lake-{abs(hash(request.node.name)) % 10**9}"
    client = boto3.client("s3", endpoint_url=s3_address)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return S3Store(bucket, "pre/fix", S3Options(s3_address, path_style=True), ObjectCache(tmp_path / "cache", 1 << 20))


@pytest.fixture(params=KINDS)
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path / "lake")
    made = request.getfixturevalue(request.param)
    return made[0] if request.param == "gcs" else made


def test_what_was_put_is_read_back_listed_and_deleted(any_store: ObjectStore) -> None:
    any_store.put("a/b/one", b"1")
    any_store.put("a/b/one", b"one")
    any_store.put("a/bc", b"22")
    any_store.put("b/empty", b"")

    assert any_store.get("a/b/one") == b"one"
    assert any_store.get("b/empty") == b""
    assert any_store.local_path("a/b/one").read_bytes() == b"one"
    assert [(info.key, info.size) for info in any_store.list("a/b")] == [("a/b/one", 3), ("a/bc", 2)]
    assert [info.key for info in any_store.list("a/b/")] == ["a/b/one"]
    assert [info.key for info in any_store.list("")] == ["a/b/one", "a/bc", "b/empty"]
    assert any_store.list("nothing/") == []
    info = any_store.info("a/bc")
    assert info is not None
    assert info == any_store.list("a/bc")[0]
    assert abs(info.modified_at - datetime.now(UTC)) < timedelta(minutes=5)

    any_store.delete("a/b/one")
    any_store.delete("a/b/one")
    assert any_store.info("a/b/one") is None
    for read in (any_store.get, any_store.local_path):
        with pytest.raises(ObjectMissingError, match="a/b/one"):
            read("a/b/one")


def test_a_file_of_an_object_is_always_of_its_newest_version(any_store: ObjectStore) -> None:
    any_store.put("day/table", b"old")
    assert any_store.local_path("day/table").read_bytes() == b"old"
    any_store.put("day/table", b"new")
    assert any_store.local_path("day/table").read_bytes() == b"new"


def test_the_first_of_two_conditional_puts_wins(any_store: ObjectStore) -> None:
    any_store.put("step/1", b"first", if_none_match=True)
    with pytest.raises(ObjectExistsError, match="step/1"):
        any_store.put("step/1", b"first", if_none_match=True)
    assert any_store.get("step/1") == b"first"


def test_of_many_racing_conditional_puts_one_wins(any_store: ObjectStore) -> None:
    def put(number: int) -> int | None:
        try:
            any_store.put("the/key", b"%d" % number, if_none_match=True)
        except ObjectExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(put, range(24)) if number is not None]

    assert len(winners) == 1
    assert any_store.get("the/key") == b"%d" % winners[0]


def test_the_probe_of_a_collector_finds_every_store_fit(any_store: ObjectStore) -> None:
    probe_conditional_puts(any_store, rounds=2)
    assert any_store.list("") == []


def test_a_copy_of_an_object_is_synced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ObjectCache(tmp_path, 1 << 20)
    named: list[list[Path]] = []
    monkeypatch.setattr(os, "fsync", lambda _: named.append([path for path in tmp_path.glob("*/*") if path.is_file()]))
    path = cache.path("a/file", "1", lambda: b"bytes")
    assert (path.read_bytes(), named) == (b"bytes", [[]])


def test_what_a_killed_download_left_in_the_cache_goes_when_nobody_can_be_at_it_any_more(tmp_path: Path) -> None:
    young, old = tmp_path / ".young", tmp_path / ".old"
    for left in (young, old):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    ObjectCache(tmp_path, 1 << 20).path("a/file", "1", lambda: b"bytes")
    assert (young.exists(), old.exists()) == (True, False)


def test_landing_objects_that_came_together_are_told_apart_in_every_store(any_store: ObjectStore) -> None:
    sealed = line("m-2") + line("m-3", identifiers="sealed")
    names = [placed(land(any_store, data)).name for data in (line("m-1"), sealed)]
    taken: list[dict[str, int]] = []

    (built,) = build_partitions(
        any_store,
        streams=["product"],
        partitions=[(DAY, TENANT)],
        identifiers=lambda _, found: taken.append(
            {name: sum(each.lines for each in said) for name, said in found.apart().items()}
        ),
    )

    assert built.landing_objects == {names[0]: 1, names[1]: 2}
    assert taken == [{names[1]: 1}]


def test_raw_partitions_have_the_same_bytes_in_every_store(any_store: ObjectStore, tmp_path: Path) -> None:
    folder = LocalStore(tmp_path / "beside")
    for store in (any_store, folder):
        for lines in ([line("m-1"), line("b-1", stream="billing")], [line("m-1"), line("m-2")]):
            land(store, *lines)
            build_partitions(store, streams=STREAMS, partitions=[(DAY, TENANT)])

    assert [info.key for info in any_store.list("")] == [info.key for info in folder.list("")]
    assert all(any_store.get(info.key) == folder.get(info.key) for info in folder.list(""))
    assert scan(any_store, "product", DAY, DAY).read_all().num_rows == 2


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/./b", "a/\0", ".uploads/x", "a/"])
def test_no_key_leaves_the_lake(any_store: ObjectStore, key: str) -> None:
    with pytest.raises(UnsafeKeyError):
        any_store.put(key, b"x")
    with pytest.raises(UnsafeKeyError):
        any_store.address(key)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    folder=st.text(st.sampled_from("az=+ %~'ü&€?#:|."), max_size=6),
    name=st.text(st.sampled_from("az=+ %~'ü&€?#:|."), max_size=6),
    data=st.binary(max_size=40),
)
def test_odd_names_and_bytes_come_back_as_they_went(
    any_store: ObjectStore, folder: str, name: str, data: bytes
) -> None:
    key = f"odd/in{folder}/of{name}"
    any_store.put(key, data)
    assert any_store.get(key) == data
    assert key in [info.key for info in any_store.list("odd/")]
    any_store.delete(key)


def test_a_conditional_put_whose_answer_was_lost_is_known_as_ones_own(gcs: tuple[GcsStore, Bucket]) -> None:
    store, bucket = gcs
    bucket.faults[:] = [None]
    store.put("step/1", b"mine", if_none_match=True)
    assert store.get("step/1") == b"mine"
    bucket.faults[:] = [None]
    with pytest.raises(ObjectExistsError):
        store.put("step/1", b"mine", if_none_match=True)


def test_a_store_that_refuses_for_a_moment_is_asked_again(gcs: tuple[GcsStore, Bucket]) -> None:
    store, bucket = gcs
    bucket.faults[:] = [503, 429]
    store.put("a", b"1")
    bucket.faults[:] = [500]
    assert store.get("a") == b"1"


def test_a_store_that_denies_says_what_was_asked_and_where_to_look(gcs: tuple[GcsStore, Bucket]) -> None:
    store, bucket = gcs
    bucket.faults[:] = [403]
    with pytest.raises(StoreUnavailableError, match=r"cannot get 'a'.*roles"):
        store.get("a")


def test_a_bucket_that_is_not_there_is_no_missing_object(s3_address: str, keys_of_aws: None, tmp_path: Path) -> None:
    del keys_of_aws
    store = S3Store("nowhere", "", S3Options(s3_address, path_style=True), ObjectCache(tmp_path, 1))
    with pytest.raises(StoreUnavailableError, match=r"cannot list '' in bucket nowhere"):
        store.list("")


def test_a_store_out_of_reach_is_unavailable(
    keys_of_aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del keys_of_aws
    monkeypatch.setattr("analytics_platform.lake.s3._ATTEMPTS", 1)
    store = S3Store("lake", "", S3Options("http://127.0.0.1:9", path_style=True), ObjectCache(tmp_path, 1))
    with pytest.raises(StoreUnavailableError, match="cannot put 'a'"):
        store.put("a", b"1")


def test_encryption_that_is_chosen_is_asked_for_with_every_put(s3_address: str, s3: S3Store, tmp_path: Path) -> None:
    bucket = s3.address("a").split("/")[2]
    options = S3Options(s3_address, path_style=True, encryption="aws:kms", kms_key="the-key")
    S3Store(bucket, "", options, ObjectCache(tmp_path, 1)).put("sealed", b"1")
    head = boto3.client("s3", endpoint_url=s3_address).head_object(Bucket=bucket, Key="sealed")
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"].endswith("the-key")


def test_copies_stay_within_their_size_and_leave_with_their_object(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path, 10)
    old = cache.path("a", "1", lambda: b"12345678")
    assert cache.path("a", "1", lambda: pytest.fail("downloaded twice")) == old
    fresh = cache.path("b", "1", lambda: b"12345678")
    assert old.exists(), "asked for a moment ago, somebody may read it"
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    cache.path("c", "1", lambda: b"1")
    assert not old.exists()
    assert fresh.exists()
    cache.forget("b")
    assert not fresh.exists()


def test_an_object_that_another_process_forgets_while_its_copy_gets_its_name_is_copied_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, other, named = ObjectCache(tmp_path, 1 << 20), ObjectCache(tmp_path, 1 << 20), os.replace
    forgets = iter(["a/file", "a/file"])

    def slow(source: Path, target: Path) -> None:
        if key := next(forgets, None):
            other.forget(key)
        named(source, target)

    monkeypatch.setattr(os, "replace", slow)
    assert cache.path("a/file", "1", lambda: b"bytes").read_bytes() == b"bytes"
    assert [path for path in tmp_path.glob(".*") if path.is_file()] == []


def test_room_is_made_while_another_process_forgets_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, looked_at = ObjectCache(tmp_path, 1), Path.stat
    keys = [f"a/{number}" for number in range(3)]
    for key in keys:
        cache.path(key, "1", lambda: b"bytes")
    others = iter(keys)

    def slow(path: Path, **said: bool) -> os.stat_result:
        if path.parent.parent == tmp_path:  # of the first copy, when all have been listed
            for key in others:
                ObjectCache(tmp_path, 1).forget(key)
        return looked_at(path, **said)

    monkeypatch.setattr(Path, "stat", slow)
    assert cache.path("b", "1", lambda: b"1").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [("s3://my-bucket", "s3://my-bucket/a/b"), ("s3://my-bucket/lake/eu/", "s3://my-bucket/lake/eu/a/b")],
)
def test_a_url_names_bucket_and_prefix(url: str, expected: str, keys_of_aws: None, tmp_path: Path) -> None:
    del keys_of_aws
    place = BucketPlace(tmp_path / "cache", 1)
    assert open_store(url, tmp_path, place).address("a/b") == expected


def test_without_a_url_the_lake_is_the_folder(tmp_path: Path) -> None:
    assert open_store(None, tmp_path, BucketPlace(tmp_path / "c", 1)).address("a") == str(tmp_path / "a")


@pytest.mark.parametrize("url", ["http://bucket", "s3://", "s3://B", "gs://bucket//a", "bucket"])
def test_a_url_of_another_form_is_refused_with_what_to_write(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUrlError, match="s3://bucket/prefix"):
        open_store(url, tmp_path, BucketPlace(tmp_path, 1))
