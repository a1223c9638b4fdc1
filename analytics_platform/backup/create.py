"""Making a backup: each thing that a home holds is read once, and only what the target has not is put.

What has the size and the time of writing that the newest backup knows is taken to be what it was and is not read
again, unless it was written so shortly before that backup that one second could hold two versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from analytics_platform.backup.contents import Backup, DamagedBackupError, Kept, Part, pack
from analytics_platform.backup.target import BackupTarget, NoBackupError
from analytics_platform.lake.store import ObjectMissingError
from analytics_platform.migration.parts import Progress, Step, at_once, batches

SPARED = timedelta(hours=24)
"""Pieces of this age are not swept, whoever names them: a backup that puts them is under way."""

_RESUMED = SPARED / 2
_SAME_SECOND = timedelta(seconds=3)
_AT_ONCE = 64


@dataclass(frozen=True)
class Offered:
    """A thing that a home holds.

    Attributes:
        part: lake, home, warehouse or dagster.
        name: as in `Kept`.
        size: in bytes.
        written: when it was written, in microseconds since 1970; None where that does not tell whether it has changed.
        read: gives when it was written and its bytes, piece by piece, as they are in that moment; raises
            `ObjectMissingError` when it is gone.
    """

    part: Part
    name: str
    size: int
    written: int | None
    read: Callable[[], tuple[int, Iterable[bytes]]]


@dataclass
class Writing:
    """A backup under way into a target.

    Args:
        target: where it goes.
        step: told each step before it is taken.
    """

    target: BackupTarget
    step: Step = lambda _: None
    kept: list[Kept] = field(default_factory=list)
    new_bytes: int = 0

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        self._there = {sha256 for sha256, at in self.target.pieces().items() if at > now - _RESUMED}
        self._known: Mapping[tuple[Part, str], Kept] = {}
        self._trusted_before = 0
        try:
            newest = self.target.backup()
            known = self.target.contents(newest)
        except (NoBackupError, DamagedBackupError):  # then everything is put anew
            return
        self._known = {(each.part, each.name): each for each in known}
        self._there |= {piece for each in known for piece in each.pieces}
        self._trusted_before = int((newest.made_at - _SAME_SECOND).timestamp() * 1e6)

    def take(self, offered: Sequence[Offered], progress: Progress) -> None:
        """Keep some things of a part."""
        done = 0
        for some in batches(offered, _AT_ONCE):
            self.step(f"keep {some[0].part} {some[0].name}")
            for _, kept in at_once(some, self._keep):
                if kept is not None:
                    self.kept.append(kept)
            done += len(some)
            progress(done, len(offered))

    def commit(self, backup: Backup) -> None:
        """Make it a backup.

        Raises:
            DamagedBackupError: pieces that it rests on were swept meanwhile.
        """
        self.step("commit")
        self.target.commit(backup, self.kept)
        there = self.target.pieces().keys()
        if missing := {piece for each in self.kept for piece in each.pieces} - there:
            self.target.remove(backup.backup_id)
            raise DamagedBackupError(f"{len(missing):,} pieces were swept by a prune at the same time; make it again")

    def hash_of_contents(self) -> str:
        """SHA-256 of the list of contents as it is stored."""
        return hashlib.sha256(pack(self.kept)).hexdigest()

    def counts(self) -> dict[str, dict[str, int]]:
        """Things and bytes, by part."""
        found: dict[str, dict[str, int]] = {}
        for each in self.kept:
            counted = found.setdefault(each.part, {"things": 0, "bytes": 0})
            counted["things"] += 1
            counted["bytes"] += each.size
        return found

    def _keep(self, offered: Offered) -> Kept | None:
        """None when it was removed meanwhile: a backup is of what was there while it was read."""
        known = self._known.get((offered.part, offered.name))
        if (
            known is not None
            and (known.size, known.written) == (offered.size, offered.written)
            and known.written < self._trusted_before
        ):
            return known
        try:
            written, pieces = offered.read()
            return self._put(offered, written, pieces)
        except ObjectMissingError:
            return None

    def _put(self, offered: Offered, written: int, pieces: Iterable[bytes]) -> Kept:
        whole, size, names = hashlib.sha256(), 0, []
        for piece, name in _named(pieces):
            whole.update(piece)
            size += len(piece)
            names.append(name)
            if name not in self._there:
                self.new_bytes += self.target.put(piece)
                self._there.add(name)
        return Kept(offered.part, offered.name, size, written, whole.hexdigest(), tuple(names))


def _named(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
    return ((piece, hashlib.sha256(piece).hexdigest()) for piece in pieces)
