"""Drop folders: which files are whole and not taken yet, and their private copies.

A file is whole when nobody has touched it for a while and it did not change while it was copied; names of parts
(`.part`, `.tmp`, `~$…`, hidden files) are left alone until they are renamed. It is known by its content, so a file that
comes again under another name is not taken twice, and one that changed under its name is another file.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from analytics_platform.connectors.declared import DropConnector, DropStream
from analytics_platform.connectors.reading import RefusedFileError
from analytics_platform.connectors.staging import private_file
from analytics_platform.errors import AnalyticsError

_PARTS = (".part", ".tmp", ".crdownload", ".filepart", ".swp")
_LOCKS = ("~$", ".~", ".")
_CHUNK = 1024 * 1024


class StuckFileError(AnalyticsError):
    """A file was taken and cannot be put away. The text names the file and the mend."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A whole file: where it lies, and what tells that it is still the same."""

    path: Path
    size: int
    changed_ns: int

    def is_same(self) -> bool:
        """Whether it lies there as it did."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed_ns)


def drop_folder(connector: DropConnector, files: Path) -> Path:
    """Where somebody puts the files of a connector; `files` is the home's folder of connectors' files."""
    return Path(connector.folder).expanduser() if connector.folder else files / "drops" / connector.name


def whole_files(connector: DropConnector, stream: DropStream, files: Path, now: datetime) -> Iterator[Dropped]:
    """The files of a stream that nobody is writing any more, oldest first."""
    found: list[Dropped] = []
    for path in drop_folder(connector, files).glob(stream.files):
        if path.name.startswith(_LOCKS) or path.suffix.lower() in _PARTS or not path.is_file() or path.is_symlink():
            continue
        stat = path.stat()
        if stat.st_size and now.timestamp() - stat.st_mtime >= connector.settle_seconds:
            found.append(Dropped(path, stat.st_size, stat.st_mtime_ns))
    yield from sorted(found, key=lambda each: (each.changed_ns, each.path.name))


def copied(dropped: Dropped, to: Path) -> str | None:
    """Copy a file and return the SHA-256 of what was copied; None when it changed meanwhile.

    Raises:
        RefusedFileError: it cannot be read.
    """
    sha = hashlib.sha256()
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with private_file(to) as copy:
            for chunk in _content(dropped.path):
                sha.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        return None
    return sha.hexdigest() if dropped.is_same() else None


def put_away(connector: DropConnector, dropped: Dropped, sha256: str, files: Path) -> None:
    """Delete or keep a file that was taken; one that has changed since stays where it is.

    Raises:
        StuckFileError: it may be neither deleted nor moved.
    """
    if not dropped.is_same():
        return
    try:
        _remove(connector, dropped, sha256, files)
    except OSError as error:
        told = f"{dropped.path.name}: was taken and cannot be put away ({_why(error)}); let this user write its folder"
        raise StuckFileError(told) from error


def _content(path: Path) -> Iterator[bytes]:
    """What a file holds.

    Raises:
        FileNotFoundError: it is gone.
        RefusedFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError:
        raise
    except OSError as error:
        told = f"{path.name}: cannot be read ({_why(error)}); let this user read it"
        raise RefusedFileError(told) from error


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _remove(connector: DropConnector, dropped: Dropped, sha256: str, files: Path) -> None:
    if connector.afterwards == "delete":
        dropped.path.unlink(missing_ok=True)
        return
    kept = files / "taken" / connector.name
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.move(dropped.path, kept / f"{sha256[:12]}-{dropped.path.name}")
