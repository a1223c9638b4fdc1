"""The lake's store, tried through its port: what everything above it relies on, and whose clock it goes by.

Objects are written below `probes/`, where nobody reads, and removed again. What only a bucket can say of itself
(versions, encryption, locks) stands in `s3_bucket` and `gcs_bucket`.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from analytics_platform.defs.resources import s3_options, store_from
from analytics_platform.doctor.clock import offset
from analytics_platform.doctor.deployment import Deployment, standing_folder
from analytics_platform.doctor.findings import Finding, fail, ok, told_by
from analytics_platform.intake.collector.probe import StoreProbeError, probe_conditional_puts
from analytics_platform.lake.layout import probe_key
from analytics_platform.lake.store import LocalStore, ObjectMissingError, ObjectStore, StoreUnavailableError
from analytics_platform.lake.stores import StoreUrlError
from analytics_platform.settings import Settings

_ROUNDS, _WRITERS = 3, 8

_BY_ANSWER = {
    "RequestTimeTooSkewed": "let NTP set this machine's clock (`timedatectl set-ntp true`)",
    "NoSuchBucket": "make the bucket, or name another in lake_url",
    "AccessDenied": "let its policy give us GetObject, PutObject, DeleteObject and ListBucket",
    "Forbidden": "let its policy give us GetObject, PutObject, DeleteObject and ListBucket",
    "credentials": "give this process credentials: a role of the pod or machine, or the cloud's own variables",
    "InvalidAccessKeyId": "give this process other credentials; the store does not know these",
    "SignatureDoesNotMatch": "look at the secret key, and at lake_s3_region",
    "Content-MD5": "the bucket has Object Lock: set lake_object_lock to its mode",
    "PermanentRedirect": "set lake_s3_region to the bucket's own",
    "Could not connect": "look at lake_s3_endpoint, the network policy and the proxy",
    "timed out": "look at lake_s3_endpoint, the network policy and the proxy",
}
"""What to mend, by what the client's error says."""

_LOOK = "look at lake_url, its credentials and its policy"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Put, read, list, race, delete; then what the bucket says of itself."""
    settings = deployment.settings
    try:
        with _store(settings) as (store, where):
            yield from tried(store, where)
            if settings.lake_url is not None:
                yield from _of_bucket(settings, store)
    except StoreUrlError as error:
        yield told_by("store", error, mend=_LOOK)
    except StoreUnavailableError as error:
        yield unavailable(error)


def tried(store: ObjectStore, where: str) -> Iterator[Finding]:
    """What the lake needs of a store, one thing after the other.

    Args:
        store: it.
        where: its name for people.

    Raises:
        StoreUnavailableError: it does not answer, or refuses.
    """
    prefix = probe_key(f"doctor{uuid.uuid4().hex}")
    key = f"{prefix}0"
    at = datetime.now(UTC)
    store.put(key, b"first")  # where this fails there is nothing to tidy, and nobody to ask for it
    try:
        yield from _reading(store, key, where, at)
        yield _listing(store, prefix, key)
        yield _racing(store)
        yield _deleting(store, key)
    finally:
        for info in store.list(prefix):
            store.delete(info.key)


def unavailable(error: Exception) -> Finding:
    """The failure of a store that does not answer or refuses."""
    text = str(error.__cause__ or error)
    return fail("store", text, next((mend for part, mend in _BY_ANSWER.items() if part in text), _LOOK))


def _reading(store: ObjectStore, key: str, where: str, at: datetime) -> Iterator[Finding]:
    store.put(key, b"second")
    if (read := store.get(key)) != b"second" or store.local_path(key).read_bytes() != b"second":
        found = f"{where} gave {read!r} where an object had just been replaced: a reader sees yesterday's partition"
        yield fail("store", found, "use a store that is consistent, without a cache in front of it")
        return
    yield ok("store", f"{where} takes, replaces and gives objects")
    info = store.info(key)
    if info is None or info.size != len(b"second"):
        yield fail("store", f"it tells {info} of an object of 6 bytes", "use a store that tells size and time")
        return
    yield offset("the store's clock", info.modified_at, at)


def _listing(store: ObjectStore, prefix: str, key: str) -> Finding:
    beside = f"{prefix}1"
    store.put(beside, b"")
    named = [info.key for info in store.list(prefix)]
    if named == [key, beside] and [info.key for info in store.list(key)] == [key]:
        return ok("listing", "names at once what was put, by prefix and in order")
    found = f"it names {len(named)} objects where two were put, or not in order: raw partitions would miss events"
    return fail("listing", found, "use a store whose listings are consistent")


def _racing(store: ObjectStore) -> Finding:
    try:
        probe_conditional_puts(store, rounds=_ROUNDS, writers=_WRITERS)
    except StoreProbeError as error:
        what, _, mend = str(error).partition(". ")
        return fail("conditional put", what, mend or _LOOK)
    return ok("conditional put", f"one of {_WRITERS} writers wins, each of {_ROUNDS} times")


def _deleting(store: ObjectStore, key: str) -> Finding:
    store.delete(key)
    store.delete(key)
    try:
        store.get(key)
    except ObjectMissingError:
        if not store.list(key):
            return ok("delete", "removes at once")
    return fail(
        "delete", "what was deleted is still there: erasure would not hold", "let its policy give us DeleteObject"
    )


@contextmanager
def _store(settings: Settings) -> Iterator[tuple[ObjectStore, str]]:
    """The lake's store; where its folder is not made yet, another one on the same disk, for as long as we look."""
    if settings.lake_url is not None:
        yield store_from(settings), settings.lake_url
    elif settings.lake_root.is_dir():
        yield store_from(settings), str(settings.lake_root)
    else:
        folder = standing_folder(settings.lake_root)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as place:
            yield LocalStore(standing_folder(settings.lake_root) / place), f"the disk of {folder}"


def _of_bucket(settings: Settings, store: ObjectStore) -> Iterator[Finding]:
    """The client of a bucket is only there where one is used."""
    if (settings.lake_url or "").startswith("s3://"):
        from analytics_platform.doctor.s3_bucket import look_at_bucket

        yield from look_at_bucket(settings, s3_options(settings), store)
    else:
        from analytics_platform.doctor.gcs_bucket import look_at_bucket as look_at_google

        yield from look_at_google(settings)
