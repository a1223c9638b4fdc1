"""The portal's record as a place: a line that names the person stays and names nobody; other tenants' are untouched.

The record is of all tenants, so no file of it goes whole. A portal keeps the day's file open and adds to its end, in
several processes and without a lock that others could take, so no new file takes an old one's place either: a value is
overwritten where it stands, by as many bytes, and no line that is added meanwhile can be lost.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from analytics_platform.governance.erasure.files import files_of, written_on
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Findings, Found, Held, OneWalk
from analytics_platform.governance.retention.files import Place as FilePlace

DATASET = "portal_audit"
TEXTS = ("who", "audience", "key", "reason", "address")
"""Fields of a line that may name somebody. The portal stands above this room, so the tests hold the two together."""

_TEXT = re.compile(rb'"(?P<field>%s)":(?P<text>"(?:[^"\\]|\\.)*"?)' % "|".join(TEXTS).encode())
"""A field and its text with the quotes, the last of which a line lacks that was cut off by a full disk."""

_NOBODY, _EMPTY = b"null", b'""'
_A_MOMENT_NS = 1_000_000
"""What a changed file's time goes on by: retention and holds go by its day, a backup by whether it is another time."""


@dataclass(frozen=True, slots=True)
class _Change:
    """A line and what is to stand in its place, of the same length."""

    offset: int
    line: bytes


class PortalRecord(OneWalk):
    """The files of the record; units are lines.

    Args:
        places: where they lie.
    """

    name = "portal record"

    def __init__(self, places: Sequence[FilePlace]) -> None:
        self._places = places

    def _changed(self, person: Person, held: Held, *, carry_out: bool) -> Iterator[Found]:
        findings = Findings(self.name)
        for path in files_of(self._places):
            day = written_on(path)
            is_held, changes = held(DATASET, day), list(_changes(path.read_bytes(), person))
            if carry_out and changes and not is_held:
                _overwrite(path, changes)
            if not (is_held and carry_out):
                findings.add(DATASET, "hold" if is_held else "sever", day, len(changes))
        yield from findings.found()


def tenant_of(line: bytes) -> str | None:
    """The tenant as whose audience a page was opened; None of staff, of a login, and of a line that was cut off."""
    try:
        audience: str = orjson.loads(line)["audience"] or ""
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return audience.partition("@")[2] or None


def _changes(data: bytes, person: Person) -> Iterator[_Change]:
    """The lines of a file that name the person and are the tenant's or nobody's."""
    offset = 0
    for line in data.splitlines(keepends=True):
        severed = _severed(line, person)
        if severed != line and tenant_of(line) in (None, person.tenant):
            yield _Change(offset, severed)
        offset += len(line)


def _severed(line: bytes, person: Person) -> bytes:
    """A line without the person; where it was the person who asked, without the address too."""
    gone = {each["field"] for each in _TEXT.finditer(line) if person.is_in_bytes(each["text"])}
    if b"who" in gone:
        gone.add(b"address")
    return _TEXT.sub(lambda each: _nobody(each) if each["field"] in gone else each[0], line)


def _nobody(said: re.Match[bytes]) -> bytes:
    """The field with nothing in it, and white space, which JSON ignores, up to the length that it had."""
    length = len(said["text"])
    nothing = _NOBODY if length >= len(_NOBODY) else _EMPTY
    return b'"%s":%s' % (said["field"], nothing.ljust(length))


def _overwrite(path: Path, changes: Sequence[_Change]) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        for change in changes:
            file.seek(change.offset)
            file.write(change.line)
        file.flush()
        os.fsync(file.fileno())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + _A_MOMENT_NS))
