"""A bucket of S3, or of a store that speaks its protocol, behind the lake's port.

Credentials come from where boto3 finds them (environment, profile, instance or pod role) and from nowhere in our
settings. Stays out: bucket policies, lifecycle rules and replication, which are the bucket owner's.
"""

from __future__ import annotations

import hashlib
import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.store import (
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    StoreUnavailableError,
    refuse_unsafe,
)

_TAKEN = {"PreconditionFailed", "412"}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_ATTEMPT = "put"
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 60, 6


class CutAnswerError(Exception):
    """The store's answer did not arrive whole."""


class S3Store:
    """Objects under a prefix of one bucket.

    Args:
        bucket: its name.
        prefix: what stands before every key, without slashes at its ends; may be empty.
        options: how it is reached.
        cache: where objects lie that were asked for as files.
    """

    def __init__(self, bucket: str, prefix: str, options: S3Options, cache: ObjectCache) -> None:
        self._bucket, self._prefix, self._cache = bucket, f"{prefix}/" if prefix else "", cache
        self._options = options
        self._client = s3_client(options)

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        """Store `data` in one request; see `ObjectStore.put`."""
        attempt = uuid.uuid4().hex
        condition = {"IfNoneMatch": "*", "Metadata": {_ATTEMPT: attempt}} if if_none_match else {}
        with self._asking("put", key):
            try:
                self._client.put_object(**self._at(key), Body=data, **condition, **self._put_options(data))
            except ClientError as error:
                if not (if_none_match and _code(error) in _TAKEN):
                    raise
                if not self._holds(key, attempt):
                    raise ObjectExistsError(f"{key} is in the lake already") from error
        self._cache.forget(key)

    def get(self, key: str) -> bytes:
        """Read the whole object."""
        with self._asking("get", key):
            found = self._client.get_object(**self._at(key))
            _refuse_cut(found, "ContentLength")
            body: bytes = found["Body"].read()
        return body

    def info(self, key: str) -> ObjectInfo | None:
        """Ask for the object's head."""
        head = self._head(key)
        return None if head is None else ObjectInfo(key, head["ContentLength"], head["LastModified"])

    def list(self, prefix: str) -> list[ObjectInfo]:
        """List by prefix of the key, page by page."""
        found = []
        with self._asking("list", prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                _refuse_cut(page, "IsTruncated")
                found += [
                    ObjectInfo(each["Key"].removeprefix(self._prefix), each["Size"], each["LastModified"])
                    for each in page.get("Contents", [])
                ]
        return sorted(found, key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """Remove the object, and this machine's copies of it."""
        with self._asking("delete", key):
            self._client.delete_object(**self._at(key))
        self._cache.forget(key)

    def local_path(self, key: str) -> Path:
        """A file with the newest version's bytes, kept for the next time."""
        head = self._head(key)
        if head is None:
            raise ObjectMissingError(f"{key} is not in the lake")
        return self._cache.path(key, head["ETag"], lambda: self.get(key))

    def address(self, key: str) -> str:
        """The object's URL as S3's tools take it."""
        refuse_unsafe(key)
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _at(self, key: str) -> dict[str, str]:
        refuse_unsafe(key)
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _put_options(self, data: bytes) -> dict[str, str]:
        chosen = put_options(self._options)
        if self._options.has_object_lock:
            chosen["ContentMD5"] = b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        return chosen

    def _head(self, key: str) -> Mapping[str, Any] | None:
        try:
            with self._asking("head", key):
                head: Mapping[str, Any] = self._client.head_object(**self._at(key))
                _refuse_cut(head, "ContentLength", "ETag", "LastModified")
        except ObjectMissingError:
            return None
        return head

    def _holds(self, key: str, attempt: str) -> bool:
        """Whether this very put took the key: its answer was lost, and the client asked again."""
        head = self._head(key)
        return head is not None and head["Metadata"].get(_ATTEMPT) == attempt

    @contextmanager
    def _asking(self, verb: str, key: str) -> Iterator[None]:
        """Turn the client's errors into the port's."""
        try:
            yield
        except ClientError as error:
            if _code(error) in _MISSING:
                raise ObjectMissingError(f"{key} is not in the lake") from error
            raise StoreUnavailableError(f"{self._where(verb, key)}: {error}") from error
        except (BotoCoreError, ResponseParserError, CutAnswerError) as error:
            raise StoreUnavailableError(f"{self._where(verb, key)}: {error}") from error

    def _where(self, verb: str, key: str) -> str:
        return f"cannot {verb} {key!r} in bucket {self._bucket}; look at its address, credentials and policy"


def _refuse_cut(answer: Mapping[str, Any], *needed: str) -> None:
    """Raise where an answer lacks what each one has.

    Whoever cuts a connection within the head of an answer makes a shorter head of it, which Python's HTTP takes for the
    whole: an object without bytes, a listing without objects.
    """
    missing = [name for name in needed if name not in answer]
    if missing:
        raise CutAnswerError(f"the answer was cut off: it has no {' and no '.join(missing)}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def s3_client(options: S3Options) -> Any:
    """A client of the bucket's store."""
    return boto3.client(
        "s3",
        endpoint_url=options.endpoint,
        region_name=options.region,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS},
            s3={"addressing_style": "path" if options.path_style else "auto"},
            # Stores beside AWS do not all know the newer checksums; TLS and ETag guard the way.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def put_options(options: S3Options) -> dict[str, str]:
    """What is asked for with each put."""
    chosen: dict[str, str] = {}
    if options.encryption != "none":
        chosen["ServerSideEncryption"] = options.encryption
    if options.kms_key is not None:
        chosen["SSEKMSKeyId"] = options.kms_key
    return chosen
