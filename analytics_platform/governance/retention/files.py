"""Files of the home folder as a sink: what lies about and is dated by when it was last written.

No tenant can be told, so the longest term that the class can have applies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics_platform.governance.retention.sink import CannotCountError, Tallies, Tally, Waiting
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms


@dataclass(frozen=True, slots=True)
class Place:
    """Files below a folder."""

    folder: Path
    pattern: str


class HomeFiles:
    """Files by dataset.

    Args:
        places: where the files of each dataset lie.
        time_zone: decides on which day a file was written.
    """

    name = "files"

    def __init__(self, places: Mapping[str, Sequence[Place]], time_zone: str) -> None:
        self._places = places
        self._zone = ZoneInfo(time_zone)

    def datasets(self) -> set[str]:
        """See `Sink`."""
        return set(self._places)

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """See `Sink`."""
        for dataset in self._places:
            tallies = Tallies(self.name, dataset, terms)
            for path, day, size in self._files(dataset):
                if due := tallies.due(NO_TENANT, day):
                    due.add(day, f"{path} {size} {day}\n", size)
            yield from tallies.done()

    def remove(self, term: Term) -> None:
        """See `Sink`."""
        for path, day, _ in self._files(term.dataset):
            if term.tenant == NO_TENANT and term.covers(day):
                path.unlink(missing_ok=True)

    def survivors(self, term: Term) -> int:
        """Count with a walk of its own, by the moment that the first day kept begins."""
        count = 0
        for place in self._places[term.dataset]:
            for folder, _, names in os.walk(place.folder, onerror=_refuse) if place.folder.exists() else ():
                for name in names:
                    path = Path(folder) / name
                    if path.match(place.pattern) and path.is_file():
                        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone(self._zone)
                        count += term.covers(written.date())
        return count

    def _files(self, dataset: str) -> list[tuple[Path, date, int]]:
        found = [path for place in self._places[dataset] for path in sorted(place.folder.rglob(place.pattern))]
        stats = [(path, path.stat()) for path in found if path.is_file()]
        return [(path, datetime.fromtimestamp(s.st_mtime, self._zone).date(), s.st_size) for path, s in stats]


def _refuse(error: OSError) -> None:
    raise CannotCountError(f"{error.filename} cannot be listed ({error.strerror}); mend its permissions")
