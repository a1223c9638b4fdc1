"""Import of files: every line read, judged, de-duplicated and landed, and an account that adds up.

One call is one unit: its manifest is put last. A call that died before that is simply made again: what it had landed
is found in the landing and counted as duplicates, what it had not is landed now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import read_suppressions
from analytics_platform.intake.gate import HISTORY_START, Gate
from analytics_platform.intake.landed import LandedMessages
from analytics_platform.intake.landing import Landing
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected
from analytics_platform.intake.reader import KEPT_BYTES, Line, Reading, Source, find_sources, read_lines
from analytics_platform.intake.seen import Seen
from analytics_platform.intake.write_keys import WriteKeys
from analytics_platform.lake.dead_letters import DeadLetter, Seals
from analytics_platform.lake.layout import UNKNOWN_STREAM, UNKNOWN_TENANT
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import ObjectStore

Progress = Callable[[int, int], None]
"""Called with the stored bytes read so far and in all."""

WRITER = "import"
_LINES_BETWEEN_PAUSES = 1_000
_REFUSED_LINES = {
    Reason.TOO_LARGE: f"the line is longer than {KEPT_BYTES:,} bytes, only its start is kept; break lines",
    Reason.TRUNCATED_SOURCE: "the file ends or is damaged within this line; import a whole copy of the file",
}
ID_CONFLICT = (
    "messageId: came before with another payload, which was kept; send the second message under an id of its own"
)


@dataclass(slots=True)
class ImportReport:
    """The account of one call: `read = accepted + duplicates + dead_lettered`; blank lines are no messages.

    `sources` has the lines of each file, `warnings` what a person should look at, `days` the (day, tenant) partitions
    that something landed in.
    """

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    blank_lines: int = 0
    sources: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    days: list[tuple[date, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values; scripts rely on the first five keys."""
        return {
            "read": self.read,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "dead_lettered": self.dead_lettered,
            "reasons": self.reasons,
            "blank_lines": self.blank_lines,
            "sources": self.sources,
            "warnings": self.warnings,
            "days": [{"day": day.isoformat(), "tenant_id": tenant} for day, tenant in self.days],
        }


def import_paths(
    paths: Sequence[Path],
    *,
    catalog: Catalog,
    store: ObjectStore,
    identities: IdentityKeys,
    tenant: str | None = None,
    history_start: date = HISTORY_START,
    keys: WriteKeys | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import files and folders of Segment messages (NDJSON; plain, gzip or zstd) into the landing.

    Args:
        paths: files, or folders that are read recursively.
        catalog: plan and tenants.
        store: the lake.
        identities: the keys that identifiers and dead letters are sealed with.
        tenant: tenant of all messages; without it each message's write key or `properties.tenant_id` tells.
        history_start: the first day that a message may belong to.
        keys: the write keys that messages may carry; by default the catalogue's.
        now: the clock; a message from beyond it is suspect, and a line without a day is filed under its day.
        progress: told how far the reading is.

    Raises:
        SourceMissingError: a path does not exist; nothing was read.
        UnknownTenantError: `tenant` is not registered; nothing was read.
    """
    erased = read_suppressions(store)
    gate = Gate(
        catalog,
        identities=identities,
        suppressed=lambda: erased,
        tenant=tenant,
        history_start=history_start,
        keys=keys,
        removed=read_removals(store).covers_raw,
    )
    call = _Call(gate, store, TenantSeals(identities), now or datetime.now(UTC))
    sources = find_sources(paths)
    total, done = sum(source.size for source in sources), 0
    for source in sources:
        reading = Reading(source)
        for _ in call.read(reading):
            if progress is not None:
                progress(done + reading.done_bytes, total)
        done += source.size
    return call.finish()


class _Call:
    """One import from its first line to its manifest."""

    def __init__(self, gate: Gate, store: ObjectStore, seals: Seals, now: datetime) -> None:
        self._gate = gate
        self._seals = seals
        self._now = now
        self._landing = Landing(store, WRITER)
        self._landed = LandedMessages(store)
        self._reasons: Counter[str] = Counter()
        self._report = ImportReport()

    def read(self, reading: Reading) -> Iterator[None]:
        """Take every line of a source, pausing now and then for whoever shows progress."""
        lines = 0
        for lines, line in enumerate(read_lines(reading), start=1):
            self._take(line, reading.source)
            if lines % _LINES_BETWEEN_PAUSES == 0:
                yield
        self._report.sources.append({"name": reading.source.name, "read": lines})
        self._report.blank_lines += reading.blank_lines
        if reading.damage is not None:
            self._report.warnings.append(f"{reading.source.name} {reading.damage}")
        yield

    def finish(self) -> ImportReport:
        """Land what waits and close the account."""
        self._landing.finish(self._report.sources)
        counts = self._landing.counts
        self._report.read = counts.received
        self._report.accepted = counts.accepted
        self._report.duplicates = counts.duplicates
        self._report.dead_lettered = counts.dead_lettered
        self._report.reasons = dict(sorted(self._reasons.items()))
        self._report.days = self._landing.partitions
        return self._report

    def _take(self, line: Line, source: Source) -> None:
        if line.refused is not None:
            self._refuse(Rejected(line.refused, _REFUSED_LINES[line.refused]), line, source)
            return
        outcome = self._gate.admit(line.raw, received_at=self._now)
        if isinstance(outcome, Rejected):
            self._refuse(outcome, line, source)
            return
        self._admit(outcome, line, source)

    def _admit(self, message: Admitted, line: Line, source: Source) -> None:
        seen = self._landed.judge(message)
        if seen is Seen.NEW:
            self._landing.land(message)
        elif seen is Seen.DUPLICATE:
            self._landing.drop(message)
        else:
            conflict = Rejected(Reason.ID_CONFLICT, ID_CONFLICT, message.tenant, message.day, message.stream)
            self._refuse(conflict, line, source)

    def _refuse(self, rejected: Rejected, line: Line, source: Source) -> None:
        self._reasons[str(rejected.reason)] += 1
        letter = DeadLetter(
            reason=rejected.reason,
            detail=rejected.detail,
            raw=line.raw,
            day=rejected.day or self._now.date(),
            tenant=rejected.tenant or UNKNOWN_TENANT,
            stream=rejected.stream or UNKNOWN_STREAM,
            source=source.name,
            line=line.number,
            total_bytes=line.total_bytes,
            sha256=line.sha256,
        )
        self._landing.refuse(letter.sealed(self._seals))
