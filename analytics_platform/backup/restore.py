"""Laying a backup down in a folder, and comparing every byte of it.

Begun again after it was broken off, it writes what is not there or other than it was. Stays out: whether the folder may
be written to, and what has to happen before anybody uses it (`defs.restoring`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics_platform.backup.contents import DamagedBackupError, Kept
from analytics_platform.backup.target import BackupTarget
from analytics_platform.migration.parts import Difference, Progress, Step, at_once, batches

_AT_ONCE = 64
_READ = 1 << 20


@dataclass(frozen=True)
class Verified:
    """What reading a backup came to."""

    things: int
    size: int
    differences: tuple[Difference, ...]


def lay_down(
    target: BackupTarget,
    kept: Sequence[Kept],
    place: Callable[[Kept], Path],
    progress: Progress,
    step: Step = lambda _: None,
) -> int:
    """Write what a backup keeps, with the time at which it was written, and return how much had to be.

    Args:
        target: where the backup is.
        kept: its contents.
        place: the file that a thing becomes.
        progress: told what is done.
        step: told each step before it is taken.

    Raises:
        DamagedBackupError: naming what is not as it was written.
    """
    written = done = 0
    for some in batches(kept, _AT_ONCE):
        step(f"lay down {some[0].part} {some[0].name}")
        written += sum(changed for _, changed in at_once(some, lambda each: _write(target, each, place(each))))
        done += len(some)
        progress(done, len(kept))
    return written


def compare(target: BackupTarget, kept: Sequence[Kept], progress: Progress) -> Verified:
    """Read every piece of a backup and compare it with its hash."""
    found, done = [], 0
    for some in batches(kept, _AT_ONCE):
        for each, problem in at_once(some, lambda each: _problem(target, each)):
            if problem:
                found.append(Difference(each.part, each.name, problem))
        done += len(some)
        progress(done, len(kept))
    return Verified(len(kept), sum(each.size for each in kept), tuple(found))


def compare_listing(target: BackupTarget, kept: Sequence[Kept]) -> Verified:
    """Look for the pieces of a backup in a listing of its target, without reading any: what is gone is found."""
    there = target.pieces().keys()
    gone = ((each, sum(piece not in there for piece in each.pieces)) for each in kept)
    found = [Difference(each.part, each.name, f"lacks {lost} of its pieces") for each, lost in gone if lost]
    return Verified(len(kept), sum(each.size for each in kept), tuple(found))


def _write(target: BackupTarget, kept: Kept, path: Path) -> bool:
    moment = (kept.written * 1000, kept.written * 1000)
    if path.is_file() and path.stat().st_size == kept.size and _digest(_chunks(path)) == kept.sha256:
        os.utime(path, ns=moment)
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as file:
        for piece in kept.pieces:
            file.write(target.get(piece))
    if (found := _digest(_chunks(draft))) != kept.sha256:
        draft.unlink()
        raise DamagedBackupError(f"{kept.part} {kept.name} is {found} and not what was written; choose another backup")
    os.utime(draft, ns=moment)
    draft.replace(path)
    return True


def _problem(target: BackupTarget, kept: Kept) -> str:
    try:
        found = _digest(target.get(piece) for piece in kept.pieces)
    except DamagedBackupError as error:
        return str(error)
    return "" if found == kept.sha256 else f"is {found} in the backup instead of {kept.sha256}"


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_READ):
            yield chunk
