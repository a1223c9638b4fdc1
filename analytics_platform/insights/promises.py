"""What was promised about time, and whether it was kept: the rows of ``ops.sla_attainment``.

Two promises, judged for each tenant. ``complete_by_deadline``: what had landed of a closed business day by the night's
cut-off is in the dataset by the tier's deadline. ``landed_within_lag``: what lands on a date, of whichever business
day, is in the lake's raw object and in the warehouse within the tier's lag. So an event that comes after the cut-off
never breaks its day's promise in retrospect, and has a promise of its own.

Judged on event days, and on when something was first true: a build counts for a day only if it began after all of the
day's promised objects were in what it is made from, and the first such build decides. A later build, a backfill of
another day or a rewrite of an old partition therefore changes no verdict.

**The table is history and not purely derivable.** Its evidence wears away: retention removes landing objects, a
rewrite gives a raw object a new time, the event log is purged. So a verdict is decided once, soon after it is due, and
what was decided stays (``settled``). While the evidence lasts, deciding anew gives the same rows (that is tested), so
nothing depends on when the decision was made.

Pure: no lake, no warehouse, no Dagster, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from analytics_platform.catalog import Catalog, SlaTier, Tenant
from analytics_platform.insights.deadlines import Due, day_of, due, ends_at
from analytics_platform.insights.expectations import SentDays, is_expected

ATTAINMENT_TABLE = "ops.sla_attainment"

COMPLETE_BY_DEADLINE = "complete_by_deadline"
LANDED_WITHIN_LAG = "landed_within_lag"

COMPLETE, IN_TIME = "complete", "in_time"
NOT_DUE, NOT_EXPECTED = "not_due", "not_expected"
NOTHING_LANDED, NOT_BUILT, LATE = "nothing_landed", "not_built", "late"

COLUMNS: Mapping[str, tuple[pa.DataType, str]] = {
    "day": (
        pa.date32(),
        "The tenant's business day; of `landed_within_lag` the date of landing in the reporting time zone.",
    ),
    "tenant_id": (pa.string(), "The tenant."),
    "dataset": (pa.string(), "Name in the dataset registry; a raw stream is the lake's object and the loaded table."),
    "tier": (pa.string(), "The SLA tier that the promise was made by."),
    "owner": (pa.string(), "The team that answers for the dataset."),
    "severity": (pa.string(), "Of breaking the promise: critical, warning or info."),
    "promise": (pa.string(), "`complete_by_deadline` or `landed_within_lag`."),
    "promised_at": (pa.timestamp("us", tz="UTC"), "By when; of `landed_within_lag` that of the object with most lag."),
    "attained_at": (pa.timestamp("us", tz="UTC"), "When it was there; null while it is not."),
    "is_attained": (pa.bool_(), "Null while it is not due, and where nothing was to be expected."),
    "reason": (pa.string(), "The verdict in one machine-readable word."),
    "cause": (
        pa.string(),
        "The stream's dataset that broke the promise of one made from it; null where it is its own.",
    ),
    "landed_at": (pa.timestamp("us", tz="UTC"), "When the last of what was promised had landed; null where nothing."),
    "objects": (pa.int64(), "Landing objects that were judged."),
}
"""Names, types and descriptions of the table's columns, in their order."""

SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])


@dataclass(frozen=True, slots=True, order=True)
class Receipt:
    """A landing object with lines of a stream, and when it came into the lake."""

    stream: str
    day: date
    tenant: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """What a raw object holds, by the names of landing objects, and when it was written last."""

    names: frozenset[str]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Build:
    """A materialization: when its run began to read, and when the asset's partition was there."""

    started: datetime
    at: datetime
    run_id: str

    def has_read(self, other: Build) -> bool:
        """Whether this build was made from what the other had built."""
        return self.run_id == other.run_id or self.started >= other.at


BuildKey = tuple[str, date, str | None]
"""Asset, day, and the tenant of a raw partition (None downstream)."""


@dataclass(frozen=True)
class Promised:
    """A dataset of which something is promised.

    Attributes:
        dataset: name in the registry.
        owner: team.
        tier: what is promised.
        asset: the asset whose partitions are the dataset's days.
        streams: the streams that it is made from.
    """

    dataset: str
    owner: str
    tier: SlaTier
    asset: str
    streams: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """All that is judged on.

    Attributes:
        since: when the platform ran first; of a day whose night had begun before, nobody promised anything.
        receipts: what has landed of the days and dates that are judged.
        holdings: what raw holds of them, by stream, day and tenant.
        builds: materializations, in any order.
        begun: when something of a tenant landed for the first time, as far as landing goes back.
        sent: event days with data, by stream and tenant.
        lineage: by asset the assets that it is directly made from, from `raw/…` on.
    """

    since: datetime
    receipts: Sequence[Receipt]
    holdings: Mapping[tuple[str, date, str], Holding]
    builds: Mapping[BuildKey, Sequence[Build]]
    begun: Mapping[str, datetime]
    sent: SentDays
    lineage: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Attainment:
    """A row of the table, see ``COLUMNS``."""

    day: date
    tenant_id: str
    dataset: str
    tier: str
    owner: str
    severity: str
    promise: str
    promised_at: datetime
    attained_at: datetime | None
    is_attained: bool | None
    reason: str
    cause: str | None = None
    landed_at: datetime | None = None
    objects: int = 0

    @property
    def key(self) -> tuple[date, str, str, str]:
        """What tells the row from all others."""
        return self.day, self.tenant_id, self.dataset, self.promise

    @property
    def is_open(self) -> bool:
        """Whether a later evaluation may still say more."""
        return self.reason == NOT_DUE or (self.is_attained is False and self.attained_at is None)

    @property
    def waited(self) -> timedelta:
        """How long what was promised took to be there; without end while it is not."""
        if self.attained_at is None or self.landed_at is None:
            return timedelta.max
        return self.attained_at - self.landed_at


def evaluate(
    catalog: Catalog, promised: Sequence[Promised], evidence: Evidence, days: Iterable[date], zone: str, now: datetime
) -> list[Attainment]:
    """Judge both promises for each tenant and day.

    Args:
        catalog: declares the tenants.
        promised: the datasets.
        evidence: of those days.
        days: business days, and dates of landing.
        zone: the reporting time zone.
        now: the moment of judging.
    """
    judge = _Judge(catalog, evidence, zone, now)
    rows = [row for day in sorted(set(days)) for each in promised for row in judge.judged(each, day)]
    return sorted(rows, key=lambda row: row.key)


def settled(before: Iterable[Attainment], now: Iterable[Attainment]) -> list[Attainment]:
    """The rows after an evaluation: what was decided before stays, what was missed may be made good late.

    A broken promise stays broken, at its own deadline; only when it was attained after all is added.
    """
    rows = {row.key: row for row in now}
    for old in before:
        rows[old.key] = _settled(old, rows.get(old.key))
    return [rows[key] for key in sorted(rows)]


def _settled(old: Attainment, new: Attainment | None) -> Attainment:
    if new is None:
        return old
    if old.reason == NOT_DUE:
        return new
    if old.is_attained is False and new.is_attained is False:
        told = replace(new, tier=old.tier, owner=old.owner, severity=old.severity)
        if old.promise == LANDED_WITHIN_LAG and (old.is_open or new.waited >= old.waited):
            return told  # an object that waited longer has come in on the same date
        if old.promise == COMPLETE_BY_DEADLINE and old.is_open:
            return replace(told, promised_at=old.promised_at)
    return old


def as_table(rows: Iterable[Attainment]) -> pa.Table:
    """Rows as they are stored."""
    return pa.Table.from_pylist([{name: getattr(row, name) for name in SCHEMA.names} for row in rows], SCHEMA)


def from_table(table: pa.Table) -> list[Attainment]:
    """Stored rows."""
    return [Attainment(**row) for row in table.select(SCHEMA.names).to_pylist()]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question when an asset held a tenant's day; `deadline` decides which receipts are asked about."""

    asset: str
    day: date
    tenant: str
    due: Due


_ALWAYS = Build(datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), "")
"""Stands for what nothing had landed for: there was nothing to build."""


@dataclass
class _Judge:
    """One evaluation: the evidence, by what it is looked up by, and what was found on the way."""

    catalog: Catalog
    evidence: Evidence
    zone: str
    now: datetime
    _receipts: dict[tuple[str, date, str], list[Receipt]] = field(default_factory=dict)
    _landed_on: dict[tuple[str, str, date], list[Receipt]] = field(default_factory=dict)
    _found: dict[_Asked, Build | None] = field(default_factory=dict)
    _expected: dict[tuple[str, date, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in sorted(self.evidence.receipts):
            if each.at <= self.now:
                self._receipts.setdefault((each.stream, each.day, each.tenant), []).append(each)
                on = day_of(each.at, self.zone)
                self._landed_on.setdefault((each.stream, each.tenant, on), []).append(each)

    def judged(self, promised: Promised, day: date) -> Iterator[Attainment]:
        for tenant in self.catalog.tenants.values():
            of_day = self._of_day(promised, tenant, day)
            if of_day is not None:
                yield of_day
            if promised.dataset == f"raw.{promised.streams[0]}":
                lag = self._of_lag(promised, tenant, day)
                if lag is not None:
                    yield lag

    def _of_day(self, promised: Promised, tenant: Tenant, day: date) -> Attainment | None:
        """The promise of a closed day; None for one that nobody made."""
        when = due(day, tenant.time_zone, self.zone, promised.tier.deadline)
        if when.cut_off <= max(self.evidence.since, self.evidence.begun.get(tenant.tenant_id, _ALWAYS.at)):
            return None
        row = _row(promised, COMPLETE_BY_DEADLINE, day, tenant.tenant_id, when.promised_at)
        if self.now < when.promised_at:
            return row
        if any(self._is_worn(stream, day, tenant.tenant_id) for stream in promised.streams):
            return None
        asked = _Asked(promised.asset, day, tenant.tenant_id, when)
        missing = [stream for stream in promised.streams if self._is_missing(stream, asked)]
        needed = {(each.name, each.at) for stream in promised.streams for each in self._needed(stream, asked)}
        if not missing and not needed:
            return replace(row, reason=NOT_EXPECTED)
        row = replace(row, landed_at=max((at for _, at in needed), default=None), objects=len(needed))
        return self._verdict(row, asked, promised, missing)

    def _verdict(self, row: Attainment, asked: _Asked, promised: Promised, missing: Sequence[str]) -> Attainment:
        found = self._first(asked)
        # While an expected stream has nothing at all, a build of the rest is no complete day.
        has_gap = any(not self._needed(stream, asked) for stream in missing)
        row = replace(row, attained_at=found.at if found and not has_gap else None, is_attained=False)
        if missing:
            return replace(row, reason=NOTHING_LANDED, cause=self._cause(promised, missing))
        if row.attained_at is not None and row.attained_at <= row.promised_at:
            return replace(row, is_attained=True, reason=COMPLETE)
        late = [stream for stream in promised.streams if self._is_stream_late(stream, asked)]
        reason = NOT_BUILT if row.attained_at is None else LATE
        return replace(row, reason=reason, cause=self._cause(promised, late))

    def _of_lag(self, promised: Promised, tenant: Tenant, day: date) -> Attainment | None:
        """The promise of what landed on a date: the object that waited longest speaks for all."""
        stream = promised.streams[0]
        landed = [
            each for each in self._landed_on.get((stream, tenant.tenant_id, day), []) if each.at > self.evidence.since
        ]
        if not landed:
            return None
        lag = timedelta(minutes=promised.tier.max_lag_minutes)
        reached = {each: self._reached(promised.asset, each) for each in landed}
        worst = max(landed, key=lambda each: ((reached[each] or self.now) - each.at, each))
        row = _row(promised, LANDED_WITHIN_LAG, day, tenant.tenant_id, worst.at + lag)
        row = replace(row, landed_at=worst.at, objects=len(landed), attained_at=reached[worst])
        if (reached[worst] or self.now) > row.promised_at:
            return replace(row, is_attained=False, reason=NOT_BUILT if row.attained_at is None else LATE)
        if self.now < ends_at(day, self.zone) or None in reached.values():
            return replace(row, attained_at=None)  # more may land, or has not been loaded yet
        return replace(row, is_attained=True, reason=IN_TIME)

    def _needed(self, stream: str, asked: _Asked) -> list[Receipt]:
        """What is promised: what had landed by the cut-off; else by the deadline; else what came late but expected."""
        landed = self._receipts.get((stream, asked.day, asked.tenant), [])
        for end in (asked.due.cut_off, asked.due.promised_at):
            by_then = [each for each in landed if each.at <= end]
            if by_then:
                return by_then
        return landed if landed and self._is_expected(stream, asked) else []

    def _is_missing(self, stream: str, asked: _Asked) -> bool:
        """Whether nothing of a stream had landed by the deadline although it was expected."""
        landed = self._receipts.get((stream, asked.day, asked.tenant), [])
        return not any(each.at <= asked.due.promised_at for each in landed) and self._is_expected(stream, asked)

    def _is_expected(self, stream: str, asked: _Asked) -> bool:
        key = (stream, asked.day, asked.tenant)
        if key not in self._expected:
            sent = self.evidence.sent.get((stream, asked.tenant), frozenset())
            self._expected[key] = is_expected(asked.day, self.catalog.tenants[asked.tenant], sent)
        return self._expected[key]

    def _is_worn(self, stream: str, day: date, tenant: str) -> bool:
        """Whether the ledger knows of data of which no landing object tells any more when it came."""
        has_data = day in self.evidence.sent.get((stream, tenant), frozenset())
        return has_data and not self._receipts.get((stream, day, tenant))

    def _first(self, asked: _Asked) -> Build | None:
        """The first build of an asset that held what is promised of the day."""
        if asked not in self._found:
            self._found[asked] = self._looked_for(asked)
        return self._found[asked]

    def _looked_for(self, asked: _Asked) -> Build | None:
        layer, _, name = asked.asset.partition("/")
        if layer == "raw":
            return self._first_raw(asked.asset, self._needed(name, asked))
        sources = [self._first(replace(asked, asset=source)) for source in self.evidence.lineage[asked.asset]]
        read = [source for source in sources if source is not None and source is not _ALWAYS]
        if None in sources:
            return None
        if not read:
            return _ALWAYS
        return self._after(asked.asset, asked.day, read)

    def _first_raw(self, asset: str, needed: Sequence[Receipt]) -> Build | None:
        """The first writing of a raw object that held some landing objects.

        Its own last writing, when it names them; or a run that began after they had landed, which is what remains
        known when the object has been written again since.
        """
        if not needed:
            return _ALWAYS
        stream, day, tenant = needed[0].stream, needed[0].day, needed[0].tenant
        landed = max(each.at for each in needed)
        builds = self.evidence.builds.get((asset, day, tenant), ())
        found = [build for build in builds if build.started >= landed and build.at <= self.now]
        holding = self.evidence.holdings.get((stream, day, tenant))
        if holding and holding.names.issuperset(each.name for each in needed) and holding.written_at <= self.now:
            found.append(Build(landed, holding.written_at, ""))
        return min(found, key=lambda build: build.at, default=None)

    def _after(self, asset: str, day: date, read: Sequence[Build]) -> Build | None:
        """The first build of a day that had read all of some others. A page of a later day shows the day too."""
        builds = self.evidence.builds
        if asset.startswith("dashboard/"):
            of = [
                build for (name, built, _), each in builds.items() if name == asset and built >= day for build in each
            ]
        else:
            of = [*builds.get((asset, day, None), ())]
        fit = (build for build in of if build.at <= self.now and all(build.has_read(source) for source in read))
        return min(fit, key=lambda build: build.at, default=None)

    def _reached(self, asset: str, receipt: Receipt) -> datetime | None:
        """When a landing object's lines were in raw and loaded."""
        raw = self._first_raw(f"raw/{receipt.stream}", [receipt])
        loaded = self._after(asset, receipt.day, [raw]) if raw else None
        return loaded.at if loaded else None

    def _is_stream_late(self, stream: str, asked: _Asked) -> bool:
        found = self._first(replace(asked, asset=f"loaded/{stream}"))
        return found is None or found.at > asked.due.promised_at

    @staticmethod
    def _cause(promised: Promised, streams: Sequence[str]) -> str | None:
        causes = [f"raw.{stream}" for stream in streams if f"raw.{stream}" != promised.dataset]
        return causes[0] if causes else None


def _row(promised: Promised, promise: str, day: date, tenant: str, promised_at: datetime) -> Attainment:
    """A row of which nothing is known yet."""
    return Attainment(
        day=day,
        tenant_id=tenant,
        dataset=promised.dataset,
        tier=promised.tier.name,
        owner=promised.owner,
        severity=promised.tier.severity,
        promise=promise,
        promised_at=promised_at,
        attained_at=None,
        is_attained=None,
        reason=NOT_DUE,
    )
