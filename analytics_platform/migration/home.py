"""The few files that only a home holds: keys to people, write keys, who may use the portal, incidents and messages.

Where source and target are one home they are in their place. Stays out: what is a service's own (spool, sessions) and
what every build or command writes anew; the plan says of each why it is left.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analytics_platform.migration.parts import (
    Compared,
    Difference,
    Fate,
    Item,
    Moved,
    OtherDataError,
    Progress,
    Step,
)
from analytics_platform.migration.state import Brought, MigrationState

PART = "home"


@dataclass(frozen=True, slots=True)
class HomeFile:
    """A file, and where it goes; one and the same path where it stays."""

    name: str
    source: Path
    target: Path

    @property
    def is_there(self) -> bool:
        """Whether source and target are the same file."""
        return self.source == self.target


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Files that are not copied, and why."""

    name: str
    path: Path
    fate: Fate
    reason: str


class HomeMove:
    """Files on their way from one home into another.

    Args:
        files: what is copied.
        left: what is not.
        place: the target's home.
        state: what was brought already.
        step: told each step.
    """

    name = PART

    def __init__(
        self,
        files: Sequence[HomeFile],
        left: Sequence[LeftBehind],
        place: Path,
        state: MigrationState,
        step: Step = lambda _: None,
    ) -> None:
        self._files = [each for each in files if each.source.is_file()]
        self._left, self._place, self._state, self._step = left, f"home {place}", state, step

    def plan(self) -> list[Item]:
        """By file; see `Part`."""
        noted = self._state.objects(self._place)
        copied = [
            Item(
                PART,
                file.name,
                "stays" if file.is_there else "copied",
                1,
                file.source.stat().st_size,
                int(file.name in noted),
                "source and target are one file" if file.is_there else "",
            )
            for file in self._files
        ]
        return copied + [
            Item(PART, each.name, each.fate, *_extent(each.path), reason=each.reason)
            for each in self._left
            if each.path.exists()
        ]

    def run(self, progress: Progress) -> Moved:
        """See `Part`."""
        noted, copied = self._state.objects(self._place), 0
        moving = [file for file in self._files if not file.is_there]
        for done, file in enumerate(moving, 1):
            ours, theirs = _digest(file.source), _digest(file.target)
            if theirs not in (None, ours) and not _is_ours(theirs, noted.get(file.name)):
                raise OtherDataError(
                    f"{file.target} is there and is not what this migration has brought; move it away, or stay with it"
                )
            if ours != theirs:
                brought = Brought(file.name, file.source.stat().st_size, 0, ours or "")
                self._step(f"home: begin {file.name}")
                self._state.brought(self._place, [brought])
                self._step(f"home: write {file.name}")
                _write(file)
                self._step(f"home: note {file.name}")
                self._state.brought(self._place, [replace(brought, put_at=0)])
                copied += 1
            progress(done, len(moving))
        return Moved(PART, copied, 0, len(moving))

    def verify(self, progress: Progress) -> Compared:
        """See `Part`."""
        moving = [file for file in self._files if not file.is_there]
        found, digest = [], hashlib.sha256()
        for done, file in enumerate(moving, 1):
            ours, theirs = _digest(file.source), _digest(file.target)
            digest.update(f"{file.name} {ours}\n".encode())
            if theirs != ours:
                found.append(Difference(PART, file.name, "differs in the target" if theirs else "is missing there"))
            progress(done, len(moving))
        return Compared(PART, len(moving), tuple(found), digest.hexdigest())


def _is_ours(sha256: str | None, noted: Brought | None) -> bool:
    """Whether what is in the target may be replaced: we brought it, or were killed when we were about to."""
    return noted is not None and (noted.put_at is None or noted.sha256 == sha256)


def _write(file: HomeFile) -> None:
    """Write a copy that is whole or not there, for the same eyes as the original."""
    file.target.parent.mkdir(parents=True, exist_ok=True)
    draft = file.target.with_name(f".{file.target.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as written:
        written.write(_content(file.source))
        written.flush()
        os.fsync(written.fileno())
    draft.chmod(file.source.stat().st_mode & 0o777)
    draft.replace(file.target)


def _content(path: Path) -> bytes:
    """A file's bytes; of a database, those that a new one would have with the same rows."""
    if path.suffix != ".sqlite":
        return path.read_bytes()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as source, sqlite3.connect(":memory:") as copy:
        source.backup(copy)
        return bytes(copy.serialize())


def _digest(path: Path) -> str | None:
    """What a file holds as a hash, None when there is none; of a database, what its rows are."""
    if not path.is_file():
        return None
    if path.suffix != ".sqlite":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def _extent(path: Path) -> tuple[int, int]:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return len(files), sum(each.stat().st_size for each in files)
