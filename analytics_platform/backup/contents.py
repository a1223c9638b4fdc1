"""What a backup says of itself: a summary, and one line for each thing that it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import zstandard

from analytics_platform.errors import AnalyticsError

VERSION = 1
"""Of summaries and contents; a program reads those of its own version and older ones."""

Part = Literal["home", "dagster", "warehouse", "lake"]
"""In the order in which they are read: what is derived before what it is derived from."""


class DamagedBackupError(AnalyticsError):
    """A backup is not what was written; the text names what is at fault."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An object or a file as a backup keeps it.

    Attributes:
        part: lake, home, warehouse or dagster.
        name: a key of the lake, a name of `home_files`, or a path within Dagster's folder.
        size: in bytes.
        written: when it was written, in microseconds since 1970.
        sha256: of all its bytes.
        pieces: hashes of the pieces that it is put together from.
    """

    part: Part
    name: str
    size: int
    written: int
    sha256: str
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Backup:
    """The summary of a backup.

    Attributes:
        backup_id: its moment, as it stands in keys.
        made_at: when it was begun, in UTC: what was there by then is in it.
        ended_at: when the last of it was read.
        made_by: who answers for it.
        contents: SHA-256 of the list of contents as it is stored.
        counts: things and bytes, by part.
        tables: rows by table of the warehouse.
        apart: by part, what keeps it where that is not the backup.
        versions: of what is persisted, as the home had them (`home_state`).
        facts: what else tells the moment: the newest landing object, the head of the evidence.
        new_bytes: what this backup added to its target.
        version: of this form.
    """

    backup_id: str
    made_at: datetime
    ended_at: datetime
    made_by: str
    contents: str
    counts: Mapping[str, Mapping[str, int]]
    tables: Mapping[str, int]
    apart: Mapping[str, str]
    versions: Mapping[str, int]
    facts: Mapping[str, Any] = field(default_factory=dict)
    new_bytes: int = 0
    version: int = VERSION

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)

    def as_bytes(self) -> bytes:
        """The same bytes for the same summary."""
        return orjson.dumps(self.as_dict(), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def backup_id_of(at: datetime) -> str:
    """The name of a backup that begins at a moment: to the millisecond, in the order of time as text too."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03}Z"


def parse_backup(key: str, data: bytes) -> Backup:
    """The summary that `Backup.as_bytes` wrote.

    Raises:
        DamagedBackupError: it is none, or of a newer form.
    """
    try:
        said = orjson.loads(data)
        newer = said["version"] > VERSION
        times = {name: datetime.fromisoformat(said[name]) for name in ("made_at", "ended_at")}
        found = None if newer else Backup(**{**said, **times})
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedBackupError(f"{key} is no summary of a backup ({error}); choose another backup") from error
    if found is None:
        raise DamagedBackupError(f"{key} is of a newer version of this program; use that one")
    return found


def pack(kept: Iterable[Kept]) -> bytes:
    """A list of contents as it is stored: JSON lines, compressed."""
    lines = [orjson.dumps([each.part, each.name, each.size, each.written, each.sha256, each.pieces]) for each in kept]
    return zstandard.ZstdCompressor(level=3).compress(b"\n".join(lines))


def unpack(data: bytes) -> list[Kept]:
    """The list that `pack` made."""
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(data).splitlines()
    return [
        Kept(part, name, size, written, sha256, tuple(pieces))
        for part, name, size, written, sha256, pieces in map(orjson.loads, lines)
    ]
