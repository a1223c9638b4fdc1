"""Dead letters: what was refused, byte for byte, with the reason and the mend, as objects of the lake.

One NDJSON line per letter. Nobody knows what personal data a refused message holds, so its bytes are sealed under its
tenant's keys, together with their hash and what its request said beside it; the reason, the mend and where the letter
belongs are in clear. `bytes` speaks of the whole line also where only its start was kept. A letter that came over HTTP
also says when, and with which write key: what a replay needs to judge it as it came. Of a message that was refused
because its person was erased nothing is kept but that it came, and of one whose person was erased since (`emptied`).

`encoding` says how the bytes stand in `raw`: `sealed`, `nothing`, and of rows that the raw build set aside, whose
identifiers were split off before, `utf-8`. Older letters stand there as `utf-8` or `base64`, with `sha256` beside.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson
import zstandard

from analytics_platform.lake.layout import UNKNOWN_STREAM, UNKNOWN_TENANT

ERASED = "erased"
"""The reason of letters that keep nothing of their message."""

ZSTD = b"\x28\xb5\x2f\xfd"
"""What compressed bytes begin with (RFC 8878)."""

_LEVEL = 3
_FRAME_HEADER_BYTES = 18


class Seals(Protocol):
    """Who seals what only a tenant's keys may open again, and opens it."""

    def seal(self, tenant: str, plain: bytes) -> str:
        """The sealed text; the same for the same bytes."""

    def unseal(self, tenant: str, sealed: str) -> bytes:
        """The bytes that were sealed."""


@dataclass(frozen=True, slots=True)
class SealedLetter:
    """A letter as it is kept: where it belongs, and its line."""

    reason: str
    day: date
    tenant: str
    stream: str
    line: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused message and where it came from.

    Attributes:
        source: of an import: the file; `line` counts from 1 within it.
        received_at: of a message over HTTP: when it was taken in, in UTC. An import says nothing here, so that the
            same file gives the same letters whenever it is imported.
        key_name: of a message over HTTP: name, kind and site of the write key that it came with; the key's tenant is
            then the letter's.
        shared: of a message over HTTP: what its request said of all its messages (sentAt, type, context).
    """

    reason: str
    detail: str
    raw: bytes
    day: date
    tenant: str = UNKNOWN_TENANT
    stream: str = UNKNOWN_STREAM
    source: str | None = None
    line: int | None = None
    total_bytes: int | None = None
    sha256: str | None = None
    received_at: datetime | None = None
    key_name: str | None = None
    key_kind: str | None = None
    site: str | None = None
    shared: Mapping[str, Any] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether only the start of the message was kept."""
        return self.total_bytes is not None and self.total_bytes > len(self.raw)

    def sealed(self, seals: Seals) -> SealedLetter:
        """The letter as one NDJSON line that keeps nothing personal in clear; the same bytes for the same letter."""
        if self.reason == ERASED:
            return self._kept({"bytes": 0, "cut": False, "encoding": "nothing", "raw": ""})
        beside = {"sha256": self.sha256 or hashlib.sha256(self.raw).hexdigest(), "shared": self.shared}
        content = orjson.dumps(beside, option=orjson.OPT_APPEND_NEWLINE) + self.raw
        size = {"bytes": self.total_bytes or len(self.raw), "cut": self.is_cut}
        return self._kept({**size, "encoding": "sealed", "raw": seals.seal(self.tenant, compressed(content))})

    def in_clear(self) -> SealedLetter:
        """The same for a row of the landing, whose identifiers are sealed within it."""
        return self._kept({"bytes": len(self.raw), "cut": False, "encoding": "utf-8", "raw": self.raw.decode()})

    def _kept(self, content: Mapping[str, Any]) -> SealedLetter:
        letter = {
            "reason": self.reason,
            "detail": self.detail,
            "stream": self.stream,
            "day": self.day,
            "tenant_id": self.tenant,
            "source": self.source,
            "line": self.line,
            **content,
            **self._arrival(),
        }
        line = orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE)
        return SealedLetter(str(self.reason), self.day, self.tenant, self.stream, line)

    def _arrival(self) -> dict[str, Any]:
        """What is known of the way over HTTP; nothing for an import."""
        said = {
            "received_at": self.received_at,
            "key_name": self.key_name,
            "key_kind": self.key_kind,
            "site": self.site,
        }
        return {name: value for name, value in said.items() if value is not None}


def emptied(line: bytes) -> bytes:
    """A letter's line without what it said: it still counts where it was counted, and no replay takes it."""
    said = {name: value for name, value in orjson.loads(line).items() if name not in ("shared", "sha256")}
    nothing = {"detail": "its person was erased", "sha256": "", "cut": True, "encoding": "nothing", "raw": ""}
    return orjson.dumps({**said, **nothing, "erased": True}, option=orjson.OPT_APPEND_NEWLINE)


def compressed(lines: bytes) -> bytes:
    """NDJSON lines as the bytes of a landing or dead-letter object; what is sealed does not shrink any more after."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(lines)


def lines_of(data: bytes) -> list[bytes]:
    """The NDJSON lines of a landing or dead-letter object, each without its newline."""
    return _decompressed(data).splitlines()


def _decompressed(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        return reader.read()


def size_of_lines(path: Path) -> int:
    """Bytes of an object's lines, read from its frame's header; raises ValueError for what is no such object."""
    with path.open("rb") as file:
        header = file.read(_FRAME_HEADER_BYTES)
    try:
        return max(zstandard.frame_content_size(header), 0)
    except zstandard.ZstdError as error:
        raise ValueError(f"{path.name} is no zstd object") from error


def count_by_stream(data: bytes) -> Counter[str]:
    """How many lines of each stream a landing or dead-letter object holds, by reading them."""
    return Counter(orjson.loads(line)["stream"] for line in lines_of(data))


def parse_letter(line: bytes, seals: Seals) -> DeadLetter:
    """The letter that `DeadLetter` made a line of."""
    said = orjson.loads(line)
    content = _content(said, seals)
    received_at = said.get("received_at")
    return DeadLetter(
        reason=said["reason"],
        detail=said["detail"],
        raw=content.raw,
        day=date.fromisoformat(said["day"]),
        tenant=said["tenant_id"],
        stream=said["stream"],
        source=said["source"],
        line=said["line"],
        total_bytes=said["bytes"],
        sha256=content.sha256,
        received_at=None if received_at is None else datetime.fromisoformat(received_at),
        key_name=said.get("key_name"),
        key_kind=said.get("key_kind"),
        site=said.get("site"),
        shared=content.shared,
    )


def raw_in_clear(letter: Mapping[str, Any]) -> bytes:
    """The bytes of a letter that was read back and is not sealed."""
    if letter["encoding"] == "base64":
        return base64.b64decode(letter["raw"])
    return str(letter["raw"]).encode()


class _Content(NamedTuple):
    raw: bytes
    sha256: str | None
    shared: Mapping[str, Any] | None


def _content(said: Mapping[str, Any], seals: Seals) -> _Content:
    if said["encoding"] != "sealed":
        return _Content(raw_in_clear(said), said.get("sha256"), said.get("shared"))
    beside, _, raw = _decompressed(seals.unseal(said["tenant_id"], said["raw"])).partition(b"\n")
    told = orjson.loads(beside)
    return _Content(raw, told["sha256"], told["shared"])
