"""Dead letters: what was refused, verbatim, with the reason and the mend, as objects of the lake.

One NDJSON line per letter. The bytes stand in `raw` as text where they are UTF-8 and as base64 where they are not
(`encoding` says which); `bytes` and `sha256` speak of the whole line also where only its start was kept. A letter that
came over HTTP also says when, and with which write key: what a replay needs to judge it as it came. Of a letter whose
person was erased nothing is left but that it came (`emptied`).
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import zstandard

from analytics_platform.lake.layout import UNKNOWN_STREAM, UNKNOWN_TENANT

_LEVEL = 3
_FRAME_HEADER_BYTES = 18


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

    def as_line(self) -> bytes:
        """The letter as one NDJSON line, the same bytes for the same letter."""
        text, encoding = _readable(self.raw)
        letter = {
            "reason": self.reason,
            "detail": self.detail,
            "stream": self.stream,
            "day": self.day,
            "tenant_id": self.tenant,
            "source": self.source,
            "line": self.line,
            "bytes": self.total_bytes or len(self.raw),
            "sha256": self.sha256 or hashlib.sha256(self.raw).hexdigest(),
            "cut": self.is_cut,
            "encoding": encoding,
            "raw": text,
            **self._arrival(),
        }
        return orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE)

    def _arrival(self) -> dict[str, Any]:
        """What is known of the way over HTTP; nothing for an import."""
        said = {
            "received_at": self.received_at,
            "key_name": self.key_name,
            "key_kind": self.key_kind,
            "site": self.site,
            "shared": self.shared,
        }
        return {name: value for name, value in said.items() if value is not None}


def emptied(line: bytes) -> bytes:
    """A letter's line without what it said: it still counts where it was counted, and no replay takes it."""
    said = {name: value for name, value in orjson.loads(line).items() if name != "shared"}
    nothing = {"detail": "its person was erased", "sha256": "", "cut": True, "encoding": "utf-8", "raw": ""}
    return orjson.dumps({**said, **nothing, "erased": True}, option=orjson.OPT_APPEND_NEWLINE)


def compressed(lines: bytes) -> bytes:
    """NDJSON lines as the bytes of a landing or dead-letter object."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(lines)


def lines_of(data: bytes) -> list[bytes]:
    """The NDJSON lines of a landing or dead-letter object, each without its newline."""
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        return reader.read().splitlines()


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


def parse_letter(line: bytes) -> DeadLetter:
    """The letter that `DeadLetter.as_line` wrote."""
    said = orjson.loads(line)
    received_at = said.get("received_at")
    return DeadLetter(
        reason=said["reason"],
        detail=said["detail"],
        raw=raw_bytes(said),
        day=date.fromisoformat(said["day"]),
        tenant=said["tenant_id"],
        stream=said["stream"],
        source=said["source"],
        line=said["line"],
        total_bytes=said["bytes"],
        sha256=said["sha256"],
        received_at=None if received_at is None else datetime.fromisoformat(received_at),
        key_name=said.get("key_name"),
        key_kind=said.get("key_kind"),
        site=said.get("site"),
        shared=said.get("shared"),
    )


def raw_bytes(letter: dict[str, Any]) -> bytes:
    """The refused bytes of a letter that was read back."""
    if letter["encoding"] == "base64":
        return base64.b64decode(letter["raw"])
    return str(letter["raw"]).encode()


def _readable(raw: bytes) -> tuple[str, str]:
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode("ascii"), "base64"
