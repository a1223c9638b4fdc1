"""The lake as it was published when somebody began to read, whatever is published meanwhile.

A page is made of many extracts, one after the other. Each dashboard's manifest is read once, so all that is read by it
is of one publication; what a publication stops naming stays for a day (`extracts.GRACE`), longer than any page takes.
Stays out: putting publications into force (`extracts`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from analytics_platform.lake.layout import EXTRACT_PREFIX
from analytics_platform.lake.store import ObjectInfo, ObjectStore

_MANIFEST = "/manifest.json"


class AsPublished:
    """A store whose manifests of extracts do not change any more once they were read."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._manifests: dict[str, bytes] = {}
        self.info: Callable[[str], ObjectInfo | None] = store.info
        self.list: Callable[[str], list[ObjectInfo]] = store.list
        self.delete: Callable[[str], None] = store.delete
        self.local_path: Callable[[str], Path] = store.local_path
        self.address: Callable[[str], str] = store.address

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        """See `ObjectStore.put`."""
        self._store.put(key, data, if_none_match=if_none_match)

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`; a manifest is what it was the first time."""
        if not (key.startswith(EXTRACT_PREFIX) and key.endswith(_MANIFEST)):
            return self._store.get(key)
        if key not in self._manifests:
            self._manifests[key] = self._store.get(key)
        return self._manifests[key]
