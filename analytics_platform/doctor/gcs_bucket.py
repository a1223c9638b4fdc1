"""What a bucket of Google Cloud Storage says of itself, against what the settings say of it. It only asks."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

from google.api_core.exceptions import Forbidden, GoogleAPIError
from google.cloud.storage import Client

from analytics_platform.doctor.findings import Finding, fail, ok, skipped
from analytics_platform.lake.stores import bucket_of
from analytics_platform.settings import Settings

_DAY_SECONDS = 86_400
_TIMEOUT_SECONDS = 10


def look_at_bucket(settings: Settings) -> Iterator[Finding]:
    """Versions, soft deletion and retention, of the bucket that lake_url names."""
    name, _ = bucket_of(settings.lake_url or "")
    try:
        bucket = Client().get_bucket(name, timeout=_TIMEOUT_SECONDS)
    except Forbidden:
        yield skipped("bucket", "it does not tell us of itself (storage.buckets.get is not ours)")
        return
    except GoogleAPIError as error:
        yield fail("bucket", str(error), "look at lake_url and the roles of this process")
        return
    yield from told_of(settings, bucket)


def told_of(settings: Settings, bucket: Any) -> Iterator[Finding]:
    """What a bucket says that was asked."""
    soft = bucket.soft_delete_policy.retention_duration_seconds or 0
    kept = ceil(soft / _DAY_SECONDS)
    if bucket.versioning_enabled and not settings.deleted_objects_kept_days:
        found = "the bucket keeps old versions: what is erased stays in them, and records say that it is gone"
        yield fail("versions", found, "end them by a lifecycle rule and set deleted_objects_kept_days to its days")
    elif kept > settings.deleted_objects_kept_days:
        found = (
            f"deleted objects can be brought back for {kept} days, and records say {settings.deleted_objects_kept_days}"
        )
        yield fail("versions", found, f"set deleted_objects_kept_days to {kept}, or end the bucket's soft deletion")
    else:
        yield ok(
            "versions", f"what is deleted is gone within {settings.deleted_objects_kept_days} days, as settings say"
        )
    mode = "none" if not bucket.retention_period else "compliance" if bucket.retention_policy_locked else "governance"
    if mode == settings.lake_object_lock:
        yield ok("object lock", f"{mode}, as lake_object_lock says")
    else:
        found = f"the bucket's retention is {mode}, and lake_object_lock says {settings.lake_object_lock}"
        yield fail("object lock", found, f"set lake_object_lock to {mode}, or change the bucket")
