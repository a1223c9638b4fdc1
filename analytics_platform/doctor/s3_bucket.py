"""What a bucket of S3 says of itself, against what the settings say of it. It only asks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from analytics_platform.doctor.findings import Finding, fail, ok, skipped, warn
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.layout import probe_key
from analytics_platform.lake.s3 import s3_client
from analytics_platform.lake.store import ObjectStore
from analytics_platform.lake.stores import bucket_of
from analytics_platform.settings import Settings

_NOT_TOLD = {"AccessDenied", "403", "Forbidden", "MethodNotAllowed", "NotImplemented", "501"}
_NO_LOCK = "ObjectLockConfigurationNotFoundError"


def look_at_bucket(settings: Settings, options: S3Options, store: ObjectStore) -> Iterator[Finding]:
    """Versions, Object Lock and encryption."""
    bucket, _ = bucket_of(settings.lake_url or "")
    client = s3_client(options)
    yield _told("versions", lambda: _versions(settings, client.get_bucket_versioning(Bucket=bucket)))
    yield _told("object lock", lambda: _lock(settings, client, bucket))
    yield _told("encryption", lambda: _encryption(settings, client, store))


def _told(looked_at: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _NOT_TOLD:
            return skipped(looked_at, f"the store does not tell us ({code})")
        return fail(looked_at, f"{code}: {error}", "look at the bucket and its policy")


def _versions(settings: Settings, told: Mapping[str, Any]) -> Finding:
    if told.get("Status", "") not in {"Enabled", "Suspended"}:
        if settings.deleted_objects_kept_days:
            found = "the bucket keeps none, and deleted_objects_kept_days says that it does"
            return warn("versions", found, "set deleted_objects_kept_days to 0")
        return ok("versions", "the bucket keeps none: what is deleted is gone")
    if settings.deleted_objects_kept_days:
        return ok("versions", f"kept; records promise that they end within {settings.deleted_objects_kept_days} days")
    found = "the bucket keeps old versions: what is erased stays in them, and records say that it is gone"
    mend = "end old versions by a lifecycle rule and set deleted_objects_kept_days to its days, or keep no versions"
    return fail("versions", found, mend)


def _lock(settings: Settings, client: Any, bucket: str) -> Finding:
    try:
        told = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != _NO_LOCK:
            raise
        told = {}
    rule = told.get("Rule", {}).get("DefaultRetention", {})
    mode = str(rule.get("Mode", "none")).lower()
    if mode == settings.lake_object_lock:
        return ok("object lock", f"{mode}, as lake_object_lock says")
    found = f"the bucket's is {mode}, and lake_object_lock says {settings.lake_object_lock}: erasure would plan wrongly"
    return fail("object lock", found, f"set lake_object_lock to {mode}, or change the bucket")


def _encryption(settings: Settings, client: Any, store: ObjectStore) -> Finding:
    key = probe_key(f"doctor{uuid.uuid4().hex}")
    bucket, prefix = bucket_of(settings.lake_url or "")
    store.put(key, b"sealed?")
    try:
        head = client.head_object(Bucket=bucket, Key=f"{prefix}/{key}".lstrip("/"))
    finally:
        store.delete(key)
    got = head.get("ServerSideEncryption")
    if settings.lake_s3_encryption not in ("none", got):
        found = f"{settings.lake_s3_encryption} was asked for, and the object has {got or 'none'}"
        return fail("encryption", found, "use a store that encrypts, or set lake_s3_encryption to what it does")
    if got is None:
        found = "objects are not encrypted by the store"
        return warn("encryption", found, "set lake_s3_encryption, give the bucket a default, or encrypt its disks")
    return ok("encryption", str(got))
