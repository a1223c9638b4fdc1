"""The lake's store: a folder, S3's protocol as moto and as lesser servers speak it, Google's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from examined import deployment, the_one, told
from gcs_server import gcs_server
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Bucket, Client
from s3_servers import deaf_to, new_bucket, s3_server, skewed

from analytics_platform.doctor import store
from analytics_platform.doctor.findings import Finding
from analytics_platform.doctor.gcs_bucket import told_of
from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.gcs import GcsStore
from analytics_platform.lake.store import LocalStore, ObjectInfo
from analytics_platform.settings import Settings


@pytest.fixture(autouse=True)
def keys_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr("analytics_platform.lake.s3._ATTEMPTS", 1)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with s3_server() as address:
        yield address


def look(home: Path, address: str, bucket: str, **choices: Any) -> list[Finding]:
    chosen = {"lake_url": f"s3://{bucket}/pre/fix", "lake_s3_endpoint": address, "lake_s3_path_style": True, **choices}
    return list(store.look(deployment(home, **chosen)))


def outcomes(found: list[Finding]) -> dict[str, str]:
    return {each.looked_at: each.outcome for each in found}


def test_a_folder_passes_and_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    found = list(store.look(deployment(tmp_path)))
    assert outcomes(found) == dict.fromkeys(("store", "clock", "listing", "conditional put", "delete"), "ok")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_is_not_made_yet_is_tried_beside_and_not_made(tmp_path: Path) -> None:
    assert told(store.look(deployment(tmp_path / "home"))) == []
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_passes_and_keeps_nothing(address: str, tmp_path: Path) -> None:
    client, bucket = new_bucket(address)
    found = look(tmp_path, address, bucket, lake_s3_encryption="AES256")
    assert set(outcomes(found).values()) == {"ok"}
    assert set(outcomes(found)) >= {"conditional put", "versions", "object lock", "encryption"}
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)


def test_a_server_that_does_not_know_the_condition_fails(tmp_path: Path) -> None:
    with s3_server(deaf_to("If-None-Match")) as address:
        client, bucket = new_bucket(address)
        found = look(tmp_path, address, bucket)
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    failed = the_one(found, "fail")
    assert failed.looked_at == "conditional put"
    assert "8 of 8 racing conditional puts of one key won" in failed.found
    assert "Use a store with conditional writes" in (failed.mend or "")


def test_encryption_that_is_asked_for_and_not_given_fails(tmp_path: Path) -> None:
    with s3_server(deaf_to("X-Amz-Server-Side-Encryption")) as address:
        found = look(tmp_path, address, new_bucket(address)[1], lake_s3_encryption="AES256")
    failed = the_one(found)
    assert (failed.looked_at, failed.found) == ("encryption", "AES256 was asked for, and the object has none")


class Stale(LocalStore):
    """Gives what was there first, as a cache in front of a store does."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        if data != b"second":
            super().put(key, data, if_none_match=if_none_match)


class Forgetful(LocalStore):
    """Names only the first object of a prefix, as listings do that lag behind."""

    def list(self, prefix: str) -> list[ObjectInfo]:
        return super().list(prefix)[:1]


class Clinging(LocalStore):
    """Takes a deletion and keeps the object."""

    def delete(self, key: str) -> None:
        del key


@pytest.mark.parametrize(
    ("kind", "failing", "says"),
    [
        (Stale, "store", "a reader sees yesterday's partition"),
        (Forgetful, "listing", "raw partitions would miss events"),
        (Clinging, "delete", "erasure would not hold"),
    ],
)
def test_a_store_that_does_not_do_what_the_lake_relies_on_fails(
    tmp_path: Path, kind: type[LocalStore], failing: str, says: str
) -> None:
    failed = the_one(store.tried(kind(tmp_path), "it"), "fail")
    assert (failed.looked_at, says in failed.found) == (failing, True)


@pytest.mark.parametrize(("ahead", "outcome"), [(60, "warn"), (-900, "fail")])
def test_a_clock_that_is_not_the_stores_is_told(tmp_path: Path, ahead: int, outcome: str) -> None:
    with s3_server(skewed(timedelta(seconds=ahead))) as address:
        found = look(tmp_path, address, new_bucket(address)[1], lake_s3_encryption="AES256")
    clock = the_one(found)
    assert (clock.looked_at, clock.outcome) == ("clock", outcome)
    assert ("behind" if ahead > 0 else "ahead of") in clock.found


def test_old_versions_that_nobody_knows_of_break_erasure(address: str, tmp_path: Path) -> None:
    client, bucket = new_bucket(address)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert "what is erased stays in them" in the_one(look(tmp_path, address, bucket), "fail").found
    known = look(tmp_path, address, bucket, deleted_objects_kept_days=30)
    assert outcomes(known)["versions"] == "ok"


def test_an_object_lock_that_settings_do_not_know_fails(address: str, tmp_path: Path) -> None:
    client, bucket = new_bucket(address, locked=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    client.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    choices: dict[str, Any] = {"deleted_objects_kept_days": 30}
    unknown = the_one(look(tmp_path, address, bucket, **choices), "fail")
    assert unknown.mend == "the bucket has Object Lock: set lake_object_lock to its mode"
    other = the_one(look(tmp_path, address, bucket, lake_object_lock="compliance", **choices), "fail")
    assert (other.looked_at, other.mend) == ("object lock", "set lake_object_lock to governance, or change the bucket")
    known = look(tmp_path, address, bucket, lake_object_lock="governance", **choices)
    assert {each.outcome for each in known} - {"warn"} == {"ok"}


def test_a_bucket_that_is_not_there_and_a_store_out_of_reach_say_what_to_mend(address: str, tmp_path: Path) -> None:
    missing = the_one(look(tmp_path, address, "nowhere"))
    assert (missing.outcome, missing.mend) == ("fail", "make the bucket, or name another in lake_url")
    unreachable = the_one(look(tmp_path, "http://127.0.0.1:9", "lake"))
    assert (unreachable.outcome, "look at lake_s3_endpoint" in (unreachable.mend or "")) == ("fail", True)


def test_google_passes_through_the_same_port(tmp_path: Path) -> None:
    with gcs_server() as (address, bucket):
        cache = ObjectCache(tmp_path / "cache", 1 << 20)
        tried = GcsStore("lake", "", cache, endpoint=address, credentials=AnonymousCredentials(), project="p")
        found = list(store.tried(tried, "gs://lake"))
    assert [each.outcome for each in found] == ["ok"] * 5
    assert bucket.objects == {}


def google(**told_by_google: Any) -> Bucket:
    bucket = Bucket(Client(project="p", credentials=AnonymousCredentials()), "lake")
    bucket._set_properties(told_by_google)
    return bucket


@pytest.mark.parametrize(
    ("said", "choices", "failing"),
    [
        ({}, {}, []),
        ({"softDeletePolicy": {"retentionDurationSeconds": "604800"}}, {}, ["versions"]),
        ({"softDeletePolicy": {"retentionDurationSeconds": "604800"}}, {"deleted_objects_kept_days": 7}, []),
        ({"versioning": {"enabled": True}}, {}, ["versions"]),
        ({"retentionPolicy": {"retentionPeriod": "86400", "isLocked": True}}, {}, ["object lock"]),
        (
            {"retentionPolicy": {"retentionPeriod": "86400", "isLocked": True}},
            {"lake_object_lock": "compliance"},
            [],
        ),
    ],
)
def test_what_googles_bucket_says_is_held_against_the_settings(
    tmp_path: Path, said: dict[str, Any], choices: dict[str, Any], failing: list[str]
) -> None:
    settings = Settings(home=tmp_path, lake_url="gs://lake", **choices)
    assert [each.looked_at for each in told_of(settings, google(**said)) if each.outcome == "fail"] == failing
