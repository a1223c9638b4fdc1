"""Which write keys are valid now: what the collector asks for every request.

The register is read again when its file has changed, which is looked up once a second, and for each key that is not
known: a revoked key stops working at once, a new one works with its first request, and nothing needs a restart.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from analytics_platform.catalog import Catalog, CatalogError, hash_write_key
from analytics_platform.intake.key_registry import RegisteredKey, effective_keys
from analytics_platform.intake.outcomes import WriteKeyContext

_LOG = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0

_HASHES_REMEMBERED = 10_000

_Signature = tuple[int, int, int] | None


class WriteKeys:
    """The write keys of the catalogue and of the deployment's register.

    A register that cannot be read any more (a slip of an editor, a lost file) changes nothing: what was known before
    goes on, since a key that is refused by mistake costs events. `problem` says so until it is mended.

    Args:
        catalog: the tenants and their keys.
        registry_file: the deployment's register; None for none.
        clock: seconds that only go forward; for tests.

    Raises:
        CatalogError: the register cannot be read at the start.
    """

    def __init__(
        self, catalog: Catalog, registry_file: Path | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog = catalog
        self._file = registry_file
        self._clock = clock
        self._signature = self._signed()
        self._keys = self._read()
        self._check_at = clock() + _CHECK_SECONDS
        self.problem: str | None = None

    def context(self, plain: str, at: datetime) -> WriteKeyContext | None:
        """Who sends with a plain write key; None when no key like it is valid at that moment."""
        if self._clock() >= self._check_at:
            self._check_at = self._clock() + _CHECK_SECONDS
            self._refresh()
        sha256 = _hashed(plain)
        if sha256 not in self._keys:  # a key that was made just now: the clients drop what a 401 refuses
            self._refresh()
        found = self._keys.get(sha256)
        if found is None or not found[0].is_valid(at):
            return None
        return found[1]

    def registered(self, plain: str) -> WriteKeyContext | None:
        """Whose a plain write key is or was: old events keep their sender when its key has expired since."""
        found = self._keys.get(_hashed(plain))
        return None if found is None else found[1]

    def _refresh(self) -> None:
        signature = self._signed()
        if signature == self._signature:
            return
        if signature is None:
            self._report(f"{self._file} is gone; put it back, or an empty file in its place")
            return
        try:
            self._keys = self._read()
        except CatalogError as error:
            self._report(str(error))
            return
        self._signature, self.problem = signature, None

    def _report(self, problem: str) -> None:
        """Say a problem once, for as long as it is the same."""
        if problem != self.problem:
            _LOG.error("write keys stay as they were: %s", problem)
            self.problem = problem

    def _read(self) -> dict[str, tuple[RegisteredKey, WriteKeyContext]]:
        keys = effective_keys(self._catalog, self._file)
        return {
            sha256: (key, WriteKeyContext(key.tenant, key.name, key.kind, key.site, key.events_per_second))
            for sha256, key in keys.items()
        }

    def _signed(self) -> _Signature:
        """What changes when the file is replaced or written."""
        if self._file is None:
            return None
        try:
            found = os.stat(self._file)  # noqa: PTH116 - asked for while requests wait
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=_HASHES_REMEMBERED)
def _hashed(plain: str) -> str:
    """The same few keys come with every request."""
    return hash_write_key(plain)
