"""Replay: dead letters through the gate once more, after the plan or the registry was mended.

Each letter is judged as it came: over HTTP with its write key and its time of receipt, an import as an import. What is
admitted lands, or is a duplicate if it arrived otherwise meanwhile; what is refused for the same reason stays as it is,
and for another moves to that reason. Letters are taken in steps of bounded size, each of which has one effect however
often it is cut short (`lake.replays`), and a letter that moved is never judged again.

Not replayable is a letter of which only a part was kept, or nothing because its person was erased, and a conflict that
the raw build set aside: the build judges that one anew itself, each time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, cast

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import read_suppressions
from analytics_platform.intake.collector.requests import write_key_of
from analytics_platform.intake.gate import HISTORY_START, Gate
from analytics_platform.intake.importer import ID_CONFLICT
from analytics_platform.intake.landed import LandedMessages
from analytics_platform.intake.outcomes import Admitted, KeyKind, Reason, Rejected, Site, WriteKeyContext
from analytics_platform.intake.seen import Seen
from analytics_platform.intake.write_keys import WriteKeys
from analytics_platform.lake.changes import within
from analytics_platform.lake.dead_letters import DeadLetter, Seals, compressed, lines_of, parse_letter
from analytics_platform.lake.layout import (
    DEAD_PREFIX,
    dead_letter_key,
    dead_letter_prefix,
    digest,
    is_conflicts_of_raw,
    landing_key,
    placed,
)
from analytics_platform.lake.manifest import Counts, Manifest, MovedLetters, WrittenObject
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.replays import ReplayLog
from analytics_platform.lake.store import ObjectInfo, ObjectStore

_WRITER = "replay"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_STEP_LETTERS = 5_000
_STEP_BYTES = 8 * 1024 * 1024


Remade = Callable[[DeadLetter], bytes | Rejected]
"""What a letter says today: its own bytes, or what a connector makes of the row that it keeps."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; None means all. Both days belong to the range."""

    reason: str | None = None
    tenant: str | None = None
    first: date | None = None
    last: date | None = None


class Found(NamedTuple):
    """A dead letter that has not moved on, and where it lies: its object's key and its position there."""

    key: str
    position: int
    letter: DeadLetter


@dataclass(slots=True)
class ReplayReport:
    """The account of one call: `replayed = accepted + duplicates + still_dead`.

    `reasons` counts the still dead by the reason that they have now; `resumed` are letters of a replay that was cut
    short, which this call finished.
    """

    accepted: int = 0
    duplicates: int = 0
    still_dead: int = 0
    not_replayable: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    resumed: int = 0

    @property
    def replayed(self) -> int:
        """Letters that were judged again."""
        return self.accepted + self.duplicates + self.still_dead

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "replayed": self.replayed,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "still_dead": self.still_dead,
            "not_replayable": self.not_replayable,
            "reasons": dict(sorted(self.reasons.items())),
            "resumed": self.resumed,
        }


def dead_letters(store: ObjectStore, selection: Selection, seals: Seals) -> Iterator[Found]:
    """The selected letters that have not moved on, object by object, opened.

    Raises:
        UnsafeKeyError: the reason cannot be one.
        UnsealedError: a letter was sealed with a key that this deployment does not have.
    """
    moved = ReplayLog(store).moved()
    for info in _objects(store, selection):
        yield from _letters(store, info.key, moved.get(info.key, set()), seals)


def replay(
    store: ObjectStore,
    catalog: Catalog,
    selection: Selection,
    *,
    identities: IdentityKeys,
    history_start: date = HISTORY_START,
    keys: WriteKeys | None = None,
    now: datetime | None = None,
    remade: Remade = lambda letter: letter.raw,
) -> ReplayReport:
    """Judge the selected letters again, and move those for which the answer has changed.

    Args:
        store: the lake.
        catalog: the plan and the tenants as they are now.
        selection: the letters.
        identities: the keys that letters are opened and sealed with.
        history_start: the first day that a message may belong to.
        keys: the write keys that imported messages may carry; by default the catalogue's.
        now: the clock that bounds the times of imports.
        remade: gives the message of a letter.

    Raises:
        ReplayUnderWayError: another replay took a step meanwhile; what this one had done until then is done.
    """
    log = ReplayLog(store)
    report = ReplayReport()
    resumed = log.resume()
    if resumed is not None:
        report.resumed = sum(counts.received for counts in resumed.counts.values())
    judge = _Judge(store, catalog, identities, history_start, keys, now or datetime.now(UTC), remade)
    seals = TenantSeals(identities)
    step = _Step(log.next_number, seals)
    moved = log.moved()
    for info in _objects(store, selection):
        for found in _letters(store, info.key, moved.get(info.key, set()), seals):
            _take(found, judge, step, report)
        if step.is_full:
            step.commit(log)
            step = _Step(log.next_number, seals)
    step.commit(log)
    return report


def _objects(store: ObjectStore, selection: Selection) -> Iterator[ObjectInfo]:
    prefix = DEAD_PREFIX if selection.reason is None else dead_letter_prefix(selection.reason)
    for info in store.list(prefix):
        place = placed(info.key)
        if selection.tenant in (None, place.tenant) and within(place.day, selection.first, selection.last):
            yield info


def _letters(store: ObjectStore, key: str, moved: set[int], seals: Seals) -> Iterator[Found]:
    for position, line in enumerate(lines_of(store.get(key))):
        if position not in moved:
            yield Found(key, position, parse_letter(line, seals))


def is_replayable(found: Found) -> bool:
    """Whether the whole message was kept, and nobody else judges it anew."""
    letter = found.letter
    is_whole = not letter.is_cut and letter.reason not in (Reason.TRUNCATED_SOURCE, Reason.ERASED)
    return is_whole and not is_conflicts_of_raw(placed(found.key).name)


def _take(found: Found, judge: _Judge, step: _Step, report: ReplayReport) -> None:
    """Judge one letter; it moves unless the answer is the same as before."""
    if not is_replayable(found):
        report.not_replayable += 1
        return
    outcome = judge.outcome(found.letter)
    if isinstance(outcome, Rejected):
        report.still_dead += 1
        report.reasons[str(outcome.reason)] += 1
        if outcome.reason != found.letter.reason:
            step.refuse(found, outcome)
        return
    message, is_new = outcome
    if is_new:
        report.accepted += 1
        step.land(found, message)
    else:
        report.duplicates += 1
        step.drop(found, message)


class _Judge:
    """Judges letters as they came, by the catalogue as it is now."""

    def __init__(
        self,
        store: ObjectStore,
        catalog: Catalog,
        identities: IdentityKeys,
        history_start: date,
        keys: WriteKeys | None,
        now: datetime,
        remade: Remade,
    ) -> None:
        self._remade = remade
        self._catalog, self._identities = catalog, identities
        self._history_start, self._keys, self._now = history_start, keys, now
        self._removals, self._erased = read_removals(store), read_suppressions(store)
        self._landed = LandedMessages(store)
        self._gates: dict[str | None, Gate] = {}

    def outcome(self, letter: DeadLetter) -> Rejected | tuple[Admitted, bool]:
        """A refusal, or the message and whether it is new."""
        message = self._admitted(letter)
        if isinstance(message, Rejected):
            return message
        seen = self._landed.judge(message)
        if seen is Seen.CONFLICT:
            return Rejected(Reason.ID_CONFLICT, ID_CONFLICT, message.tenant, message.day, message.stream)
        return message, seen is Seen.NEW

    def _admitted(self, letter: DeadLetter) -> Admitted | Rejected:
        raw = self._remade(letter)
        if isinstance(raw, Rejected):
            return replace(raw, tenant=letter.tenant, day=letter.day, stream=letter.stream)
        if letter.received_at is None or letter.key_name is None:
            tenant = letter.tenant if letter.tenant in self._catalog.tenants else None
            return self._gate(tenant).admit(raw, received_at=self._now)
        if letter.tenant not in self._catalog.tenants:
            return Rejected(Reason.UNKNOWN_TENANT, f"tenant {letter.tenant!r} of the write key is not registered")
        key = WriteKeyContext(
            letter.tenant, letter.key_name, cast("KeyKind", letter.key_kind), cast("Site", letter.site)
        )
        gate = self._gate(None)
        if letter.reason == Reason.TENANT_MISMATCH and not _is_own(letter, key, gate):
            return Rejected(Reason.TENANT_MISMATCH, letter.detail, letter.tenant, letter.day, letter.stream)
        return gate.admit(raw, received_at=letter.received_at, key=key, shared=letter.shared)

    def _gate(self, tenant: str | None) -> Gate:
        if tenant not in self._gates:
            self._gates[tenant] = Gate(
                self._catalog,
                identities=self._identities,
                suppressed=lambda: self._erased,
                tenant=tenant,
                history_start=self._history_start,
                keys=self._keys,
                removed=self._removals.covers_raw,
            )
        return self._gates[tenant]


def _is_own(letter: DeadLetter, key: WriteKeyContext, gate: Gate) -> bool:
    """Whether a message carries no write key, or one of the sender whose request it came with.

    The collector compares the keys' texts, of which only the message's is kept.
    """
    plain = write_key_of(letter.raw)
    if plain is None:
        return True
    found = gate.key_context(plain)
    return found is not None and (found.tenant, found.source) == (key.tenant, key.source)


class _Place(NamedTuple):
    reason: str | None
    day: date
    tenant: str


@dataclass(slots=True)
class _Object:
    lines: bytearray = field(default_factory=bytearray)
    streams: Counter[str] = field(default_factory=Counter)
    received_at: datetime = _LONG_AGO


class _Step:
    """Letters that move together: what they become, and the account of it."""

    def __init__(self, number: int, seals: Seals) -> None:
        self._seals = seals
        # The number keeps objects of equal lines from different steps apart, and with it their account.
        self._writer = f"{_WRITER}{number}"
        self._objects: dict[_Place, _Object] = {}
        self._moved: dict[str, list[int]] = {}
        self._streams: dict[str, Counter[str]] = {}
        self._counts: dict[tuple[str, date, str], Counts] = {}
        self._letters = self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the step has grown as large as one may."""
        return self._letters >= _STEP_LETTERS or self._bytes >= _STEP_BYTES

    def land(self, found: Found, message: Admitted) -> None:
        """Move a letter to the landing."""
        self._count(found, message.stream, message.day, message.tenant).accepted += 1
        target = self._add(_Place(None, message.day, message.tenant), message.line, message.stream)
        target.received_at = max(target.received_at, message.received_at)

    def drop(self, found: Found, message: Admitted) -> None:
        """Move a letter whose message arrived otherwise out of the dead."""
        self._count(found, message.stream, message.day, message.tenant).duplicates += 1

    def refuse(self, found: Found, rejected: Rejected) -> None:
        """Move a letter to its new reason."""
        letter = found.letter
        moved = replace(
            letter,
            reason=str(rejected.reason),
            detail=rejected.detail,
            day=rejected.day or letter.day,
            tenant=rejected.tenant or letter.tenant,
            stream=rejected.stream or letter.stream,
        )
        self._count(found, moved.stream, moved.day, moved.tenant).dead_lettered += 1
        self._add(_Place(moved.reason, moved.day, moved.tenant), moved.sealed(self._seals).line, moved.stream)

    def commit(self, log: ReplayLog) -> None:
        """Let it happen; a step in which nothing moves leaves no trace."""
        if not self._moved:
            return
        manifest = Manifest(
            self._writer,
            counts=self._counts,
            moved=[MovedLetters(key, dict(sorted(streams.items()))) for key, streams in self._streams.items()],
        )
        objects: dict[str, bytes] = {}
        for place, item in sorted(self._objects.items(), key=lambda entry: (entry[0].reason or "", *entry[0][1:])):
            key, data = self._key(place, item), compressed(bytes(item.lines))
            objects[key] = data
            named = manifest.landing if place.reason is None else manifest.dead_letters
            named.append(WrittenObject(key, dict(sorted(item.streams.items())), hashlib.sha256(data).hexdigest()))
        log.commit(self._moved, manifest, objects)

    def _key(self, place: _Place, item: _Object) -> str:
        sha = digest(bytes(item.lines))
        if place.reason is None:
            return landing_key(place.day, place.tenant, item.received_at, self._writer, sha)
        return dead_letter_key(place.reason, place.day, place.tenant, self._writer, sha)

    def _add(self, place: _Place, line: bytes, stream: str) -> _Object:
        item = self._objects.setdefault(place, _Object())
        item.lines += line
        item.streams[stream] += 1
        self._bytes += len(line)
        return item

    def _count(self, found: Found, stream: str, day: date, tenant: str) -> Counts:
        """Note that the letter moves, and where to it is counted."""
        self._moved.setdefault(found.key, []).append(found.position)
        self._streams.setdefault(found.key, Counter())[found.letter.stream] += 1
        self._letters += 1
        counts = self._counts.setdefault((stream, day, tenant), Counts())
        counts.received += 1
        return counts
