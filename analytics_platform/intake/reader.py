"""Files of messages as numbered lines: plain, gzip or zstd, told by their first bytes; whole folders; bounded memory.

Every line comes out: what cannot be a message (too long, the fragment at the end of a damaged file) comes out as a
refused line. Blank lines are counted and are no messages. A damaged file gives what stands before the damage and then
says so; it fails neither the file nor its neighbours.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.outcomes import Reason

# What a collector takes in one request; no message is longer, and a longer line is kept by its start.
KEPT_BYTES = 4 * 1024 * 1024
_CHUNK = 256 * 1024
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
# Parallel compressors put a skippable frame (0x184D2A50 to 5F, little-endian) first.
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_BOM = b"\xef\xbb\xbf"


class SourceMissingError(AnalyticsError):
    """A path that was named for import does not exist."""


class Line(NamedTuple):
    """A line that is not blank, without its line end; `refused` says why it can be no message.

    `total_bytes` and `sha256` are set where `raw` is only the start of the line.
    """

    number: int
    raw: bytes
    refused: Reason | None = None
    total_bytes: int | None = None
    sha256: str | None = None


class Source(NamedTuple):
    """A file to read: its path, the name by which reports and dead letters call it, and its size in bytes."""

    path: Path
    name: str
    size: int


@dataclass(slots=True)
class Reading:
    """How far a source has been read: stored bytes, blank lines, and what was wrong with it, if anything."""

    source: Source
    done_bytes: int = 0
    blank_lines: int = 0
    damage: str | None = None


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """The files that the paths name, folders recursively, each once, in a stable order; hidden files are left out.

    Links are followed. What does not open, a folder or a link to nowhere, is a source too: reading it tells the damage.
    Segment's S3 layout (`segment-logs/<source>/<day in ms>/<…>.gz`) is such a folder.

    Raises:
        SourceMissingError: a path does not exist.
    """
    found: dict[str, Source] = {}
    for path in paths:
        if not path.exists():
            raise SourceMissingError(f"{path} does not exist; name a file or a folder of messages")
        for file in _files_below(path) if path.is_dir() else [path]:
            name = file.name if file == path else file.relative_to(path).as_posix()
            readable = os.fsencode(name).decode("utf-8", "replace")
            found.setdefault(os.path.realpath(file), Source(file, readable, _size(file) or 0))
    return list(found.values())


def read_lines(reading: Reading) -> Iterator[Line]:
    """The lines of a source; `reading` tells progress meanwhile and damage at the end."""
    splitter = _Splitter(reading)
    for chunk in _contents(reading):
        yield from splitter.feed(chunk)
    yield from splitter.finish()


def _files_below(folder: Path) -> list[Path]:
    """Files, and folders that do not open; real folders before linked ones, so that a link renames nothing."""
    found: list[Path] = []
    waiting, known = [folder], set[str]()

    def tell(error: OSError) -> None:
        found.append(Path(error.filename))

    for top in waiting:
        for root, folders, names in os.walk(top, onerror=tell):
            if (real := os.path.realpath(root)) in known:
                folders.clear()
                continue
            known.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            waiting += [path for name in folders if (path := Path(root) / name).is_symlink()]
            found += [Path(root) / name for name in names if not name.startswith(".")]
    return sorted(path for path in found if _size(path) is not None)


def _size(path: Path) -> int | None:
    """Bytes to read, 0 where that cannot be told; None of what holds no lines, such as a pipe."""
    try:
        said = path.stat()
    except OSError:  # whoever reads it tells why
        return 0
    if stat.S_ISDIR(said.st_mode):
        return 0
    return said.st_size if stat.S_ISREG(said.st_mode) else None


def _contents(reading: Reading) -> Iterator[bytes]:
    """The decompressed bytes, up to the damage if there is one."""
    path = reading.source.path
    try:
        with path.open("rb") as file:
            codec = _codec(file.read(4))
        yield from _plain(reading) if codec is None else _decompressed(reading, codec)
    except OSError as error:
        reading.damage = f"cannot be read ({error.strerror or error})"


def _codec(start: bytes) -> str | None:
    if start.startswith(_GZIP):
        return "gzip"
    is_skippable = start[1:] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5
    return "zstd" if start == _ZSTD or is_skippable else None


def _plain(reading: Reading) -> Iterator[bytes]:
    with reading.source.path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            reading.done_bytes += len(chunk)
            yield chunk


def _decompressed(reading: Reading, codec: str) -> Iterator[bytes]:
    """All members or frames of a compressed file; on damage, every byte before it."""
    delivered = 0
    try:
        with pa.OSFile(str(reading.source.path)) as file, pa.CompressedInputStream(file, codec) as stream:
            while chunk := stream.read(_CHUNK):
                delivered += len(chunk)
                reading.done_bytes = min(file.tell(), reading.source.size)
                yield chunk
            return
    except OSError as error:
        reading.damage = f"is damaged or cut off ({error}); lines before the damage were read"
    yield _up_to_damage(reading.source.path, codec, delivered)


def _up_to_damage(path: Path, codec: str, delivered: int) -> bytes:
    """What the failing read held back: the bytes between the last whole chunk and the damage."""
    rest = bytearray()
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, codec) as stream:
        while delivered:
            delivered -= len(stream.read(min(delivered, _CHUNK)))
        try:
            while byte := stream.read(1):
                rest += byte
        except OSError:
            return bytes(rest)
    return bytes(rest)


class _Splitter:
    """Cuts chunks into lines and never holds more than `KEPT_BYTES` and a chunk."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._number = 0
        self._held: list[bytes] = []
        self._size = 0
        self._hash: hashlib._Hash | None = None

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in this chunk."""
        first, *others = chunk.split(b"\n")
        if not others:
            self._hold(first)
            return
        last = others.pop()
        found = [self._completed(first), *map(self._line, others)]
        self._hold(last)
        yield from (line for line in found if line is not None)

    def finish(self) -> Iterator[Line]:
        """The last line: whole if the file is, a fragment if it is damaged."""
        if not self._size:
            return
        if self._reading.damage is None:
            line = self._completed(b"")
            if line is not None:
                yield line
            return
        self._number += 1
        yield self._refused(Reason.TRUNCATED_SOURCE)

    def _completed(self, end: bytes) -> Line | None:
        if not self._size:
            return self._line(end)
        self._hold(end)
        if self._hash is not None:
            self._number += 1
            return self._refused(Reason.TOO_LARGE)
        raw = b"".join(self._held)
        self._forget()
        return self._line(raw)

    def _line(self, raw: bytes) -> Line | None:
        """A line without its end; None for a blank one."""
        self._number += 1
        if self._number == 1 and raw.startswith(_BOM):
            raw = raw[len(_BOM) :]
        if raw.endswith(b"\r"):
            raw = raw[:-1]
        if not raw or raw.isspace():
            self._reading.blank_lines += 1
            return None
        return Line(self._number, raw)

    def _hold(self, part: bytes) -> None:
        """Keep the start of a line that goes on; beyond the bound only its hash grows."""
        if not part:
            return
        kept = max(KEPT_BYTES - self._size, 0)
        self._size += len(part)
        if self._size > KEPT_BYTES and self._hash is None:
            self._hash = hashlib.sha256(b"".join(self._held))
        if self._hash is not None:
            self._hash.update(part)
        if kept:
            self._held.append(part[:kept])

    def _refused(self, reason: Reason) -> Line:
        raw, size, sha = b"".join(self._held), self._size, self._hash
        self._forget()
        if sha is None:
            return Line(self._number, raw, reason)
        return Line(self._number, raw, reason, size, sha.hexdigest())

    def _forget(self) -> None:
        self._held, self._size, self._hash = [], 0, None
