"""The log of replays: which dead letters have moved on, and how each step of a replay became one effect.

Dead-letter objects are never changed. A step of a replay is an entry of the log, numbered without gaps, and put before
anything else with all that the step will put (write ahead); the manifest is put last. A step that was cut short is
finished by whoever comes next, byte for byte, and until then the ledger counts its letters as dead.

    replays/<number>.json    the letters that moved, by object and position; until it is finished, the objects to put
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.layout import REPLAY_PREFIX, replay_key, replay_number
from analytics_platform.lake.manifest import Manifest, parse_manifest, put_manifest
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

Positions = Mapping[str, Sequence[int]]
"""Letters by the key of their object and their place in it, counted from 0."""


class ReplayUnderWayError(AnalyticsError):
    """Another replay took a step meanwhile; nothing of this step was done."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A log entry; one that is finished has no objects and no manifest text any more."""

    number: int
    moved: dict[str, list[int]]
    manifest_key: str
    manifest: str | None = None
    objects: dict[str, bytes] | None = None

    def as_bytes(self) -> bytes:
        said: dict[str, Any] = {"version": 1, "moved": self.moved, "manifest_key": self.manifest_key}
        if self.objects is not None:
            said["manifest"] = self.manifest
            said["objects"] = {key: base64.b64encode(data).decode() for key, data in self.objects.items()}
        return orjson.dumps(said)


class ReplayLog:
    """The log of one lake."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._last = 0

    def moved(self) -> dict[str, set[int]]:
        """The letters that finished steps have moved."""
        found: dict[str, set[int]] = {}
        for info in self._store.list(REPLAY_PREFIX):
            entry = self._entry(info.key)
            if entry.objects is None:
                for key, positions in entry.moved.items():
                    found.setdefault(key, set()).update(positions)
        return found

    def resume(self) -> Manifest | None:
        """Finish the step that was cut short, and return its manifest; None when there is none."""
        numbers = [replay_number(info.key) for info in self._store.list(REPLAY_PREFIX)]
        self._last = max(numbers, default=0)
        if not numbers:
            return None
        entry = self._entry(replay_key(self._last))
        if entry.manifest is None:
            return None
        self._finish(entry)
        return parse_manifest(entry.manifest.encode())

    @property
    def next_number(self) -> int:
        """The number that the next step will have; objects that it puts are named by it."""
        return self._last + 1

    def commit(self, moved: Positions, manifest: Manifest, objects: Mapping[str, bytes]) -> None:
        """Take a step: from the first put on it will happen, whatever happens to this process.

        Raises:
            ReplayUnderWayError: another replay took the step's number.
        """
        entry = _Entry(
            self.next_number,
            {key: list(positions) for key, positions in moved.items()},
            manifest.key,
            manifest.as_bytes().decode(),
            dict(objects),
        )
        try:
            self._store.put(replay_key(entry.number), entry.as_bytes(), if_none_match=True)
        except ObjectExistsError as error:
            raise ReplayUnderWayError(
                "another replay is under way; wait until it has ended, and replay again"
            ) from error
        self._finish(entry)
        self._last = entry.number

    def _finish(self, entry: _Entry) -> None:
        assert entry.manifest is not None
        for key, data in (entry.objects or {}).items():
            with contextlib.suppress(ObjectExistsError):  # put by the attempt before
                self._store.put(key, data, if_none_match=True)
        put_manifest(self._store, entry.manifest_key, entry.manifest.encode())
        self._store.put(replay_key(entry.number), _Entry(entry.number, entry.moved, entry.manifest_key).as_bytes())

    def _entry(self, key: str) -> _Entry:
        said = orjson.loads(self._store.get(key))
        objects = said.get("objects")
        return _Entry(
            replay_number(key),
            said["moved"],
            said["manifest_key"],
            said.get("manifest"),
            None if objects is None else {name: base64.b64decode(data) for name, data in objects.items()},
        )
