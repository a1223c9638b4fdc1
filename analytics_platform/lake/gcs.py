"""A bucket of Google Cloud Storage behind the lake's port.

Credentials are the application's default ones (workload identity, or the file that the environment names). A put with
`if_generation_match=0` is the store's own form of "only if there is none".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from google.api_core.exceptions import GoogleAPIError, NotFound, PreconditionFailed
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.exceptions import RequestException

from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.store import (
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    StoreUnavailableError,
    refuse_unsafe,
)

_ATTEMPT = "put"
_TYPE = "application/octet-stream"
_RETRY = DEFAULT_RETRY.with_timeout(60.0)


class GcsStore:
    """Objects under a prefix of one bucket.

    Args:
        bucket: its name.
        prefix: what stands before every key, without slashes at its ends; may be empty.
        cache: where objects lie that were asked for as files.
        endpoint: address of another server than Google's; with it `credentials` and `project` are given too.
        credentials: whose; None are the application's default ones.
        project: of the requests; None is that of the credentials.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        cache: ObjectCache,
        *,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
        project: str | None = None,
    ) -> None:
        options = {"api_endpoint": endpoint} if endpoint else None
        with _asking("open", bucket):
            self._bucket = Client(project=project, credentials=credentials, client_options=options).bucket(bucket)
        self._prefix, self._cache = f"{prefix}/" if prefix else "", cache

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        """Store `data` in one request; see `ObjectStore.put`."""
        blob, attempt = self._blob(key), uuid.uuid4().hex
        blob.metadata = {_ATTEMPT: attempt}
        generation = 0 if if_none_match else None
        with _asking("put", key):
            try:
                # An upload that is repeated leaves the same object, so it may be, also without a condition.
                blob.upload_from_string(data, _TYPE, if_generation_match=generation, retry=_RETRY)
            except PreconditionFailed as error:
                if not self._holds(key, attempt):
                    raise ObjectExistsError(f"{key} is in the lake already") from error
        self._cache.forget(key)

    def get(self, key: str) -> bytes:
        """Read the whole object."""
        with _asking("get", key):
            data: bytes = self._blob(key).download_as_bytes(retry=_RETRY)
        return data

    def info(self, key: str) -> ObjectInfo | None:
        """Ask for the object's metadata."""
        blob = self._look_up(key)
        return None if blob is None else self._info(blob)

    def list(self, prefix: str) -> list[ObjectInfo]:
        """List by prefix of the key, page by page."""
        with _asking("list", prefix):
            blobs = list(self._bucket.list_blobs(prefix=self._prefix + prefix, retry=_RETRY))
        return sorted(map(self._info, blobs), key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """Remove the object, and this machine's copies of it."""
        with suppress(ObjectMissingError), _asking("delete", key):
            self._blob(key).delete(retry=_RETRY)
        self._cache.forget(key)

    def local_path(self, key: str) -> Path:
        """A file with the newest version's bytes, kept for the next time."""
        blob = self._look_up(key)
        if blob is None:
            raise ObjectMissingError(f"{key} is not in the lake")
        return self._cache.path(key, str(blob.generation), lambda: self.get(key))

    def address(self, key: str) -> str:
        """The object's URL as Google's tools take it."""
        refuse_unsafe(key)
        return f"gs://{self._bucket.name}/{self._prefix}{key}"

    def _blob(self, key: str) -> Blob:
        refuse_unsafe(key)
        return self._bucket.blob(self._prefix + key)

    def _look_up(self, key: str) -> Blob | None:
        refuse_unsafe(key)
        with _asking("look up", key):
            return self._bucket.get_blob(self._prefix + key, retry=_RETRY)

    def _holds(self, key: str, attempt: str) -> bool:
        """Whether this very put took the key: its answer was lost, and the client asked again."""
        blob = self._look_up(key)
        return blob is not None and (blob.metadata or {}).get(_ATTEMPT) == attempt

    def _info(self, blob: Blob) -> ObjectInfo:
        return ObjectInfo(blob.name.removeprefix(self._prefix), blob.size, blob.updated)


@contextmanager
def _asking(verb: str, key: str) -> Iterator[None]:
    """Turn the client's errors into the port's."""
    try:
        yield
    except NotFound as error:
        raise ObjectMissingError(f"{key} is not in the lake") from error
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise StoreUnavailableError(
            f"cannot {verb} {key!r} in Google Cloud Storage; look at its bucket, credentials and roles: {error}"
        ) from error
