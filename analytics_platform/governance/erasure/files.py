"""Files of the home folder as a place: logs, parts of uploads, the demo's files; and the spool, shipped first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import ErasureRefusedError, Findings, Found, Held
from analytics_platform.governance.erasure.records import SUFFIXES
from analytics_platform.governance.retention.files import Place as FilePlace
from analytics_platform.intake.collector.segments import read_content
from analytics_platform.lake.dead_letters import ZSTD, lines_of


class HomeFiles:
    """Files by dataset: one that mentions the person goes whole; nothing is made from any of them any more."""

    name = "files"

    def __init__(self, places: Mapping[str, Sequence[FilePlace]]) -> None:
        self._places = places

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for dataset, path in self._concerned(person):
            day = written_on(path)
            findings.add(dataset, "hold" if held(dataset, day) else "delete", day)
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for dataset, path in self._concerned(person):
            day = written_on(path)
            if not held(dataset, day):
                path.unlink(missing_ok=True)
                findings.add(dataset, "delete", day)
        yield from findings.found()

    def _concerned(self, person: Person) -> Iterator[tuple[str, Path]]:
        for dataset, places in self._places.items():
            for path in files_of(places):
                if path.suffix not in SUFFIXES and person.is_in_bytes(readable(path.read_bytes())):
                    yield dataset, path


def files_of(places: Sequence[FilePlace]) -> list[Path]:
    """The files of some places, each once, in order."""
    found = {path for place in places for path in place.folder.rglob(place.pattern)}
    return sorted(path for path in found if path.is_file())


def readable(data: bytes) -> bytes:
    """A file's bytes, decompressed where they are compressed as the platform does it."""
    return b"\n".join(lines_of(data)) if data.startswith(ZSTD) else data


def refuse_unshipped(spool: Path, person: Person) -> None:
    """Raise while a collector of this home has acknowledged messages of the person that are not in the lake yet.

    Raises:
        ErasureRefusedError: naming the folder and the mend.
    """
    for path in sorted([*spool.rglob("*.segment"), *spool.rglob("*.damaged")]):
        blocks = read_content(path.read_bytes()).blocks
        if any(block.tenant == person.tenant and person.is_in_bytes(block.lines) for block in blocks):
            raise ErasureRefusedError(
                f"{path.parent} holds messages of the person that are not in the lake yet; a collector that runs ships "
                "them within a minute, one that died ships them when it is started again (`analytics collector`); "
                f"a damaged segment is looked at and removed. Then run again. (found in {path.name})"
            )


def written_on(path: Path) -> date:
    """The day in UTC on which a file was written last: the one by which a hold keeps it."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
