"""Which store a deployment's lake is in: the folder of its home, or the bucket that a URL names.

The clients of buckets are extras of the package and imported only here, when their URL is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.store import LocalStore, ObjectStore

LAKE_URL = r"(?P<scheme>s3|gs)://(?P<bucket>[a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:/(?P<prefix>[^/]+(?:/[^/]+)*))?/?"
"""A bucket, and the prefix below which the lake's keys begin."""


class StoreUrlError(AnalyticsError):
    """The lake's URL names no store that there is; the text says what to write or install."""


@dataclass(frozen=True)
class BucketPlace:
    """What a bucket needs on this machine.

    Attributes:
        cache: folder for objects that are read as files.
        cache_bytes: how large it may grow.
        s3: how S3 is reached.
    """

    cache: Path
    cache_bytes: int
    s3: S3Options = field(default_factory=S3Options)


def open_store(url: str | None, root: Path, place: BucketPlace) -> ObjectStore:
    """The store of a lake.

    Args:
        url: `s3://bucket/prefix` or `gs://bucket/prefix`; None for the folder `root`.
        root: the folder of a lake without a bucket.
        place: what a bucket needs.

    Raises:
        StoreUrlError: the URL has another form, or its client is not installed.
    """
    if url is None:
        return LocalStore(root)
    bucket, prefix = bucket_of(url)
    scheme = url.partition("://")[0]
    cache = ObjectCache(place.cache, place.cache_bytes)
    try:
        return _s3(bucket, prefix, cache, place) if scheme == "s3" else _gcs(bucket, prefix, cache)
    except ImportError as error:
        extra = {"s3": "aws", "gs": "gcs"}[scheme]
        raise StoreUrlError(f"{url} needs {error.name}; install analytics-platform[{extra}]") from error


def bucket_of(url: str) -> tuple[str, str]:
    """Bucket and prefix of a lake's URL.

    Raises:
        StoreUrlError: it names no bucket.
    """
    found = re.fullmatch(LAKE_URL, url)
    if found is None:
        raise StoreUrlError(f"lake_url {url!r} names no bucket; write s3://bucket/prefix or gs://bucket/prefix")
    return found["bucket"], found["prefix"] or ""


def _s3(bucket: str, prefix: str, cache: ObjectCache, place: BucketPlace) -> ObjectStore:
    from analytics_platform.lake.s3 import S3Store

    return S3Store(bucket, prefix, place.s3, cache)


def _gcs(bucket: str, prefix: str, cache: ObjectCache) -> ObjectStore:
    from analytics_platform.lake.gcs import GcsStore

    return GcsStore(bucket, prefix, cache)
