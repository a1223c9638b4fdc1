"""The life of an incident: opened, updated, flapping, recovered; and mutes.

Pure: known incidents and an observation come in, changes come out.

There is one incident per check or promise, tenant and partition. Nothing changes when the same finding is seen again,
and an incident recovers only when all that it was about has been judged and found right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, Field

from analytics_platform.alerting.findings import Fact, Finding, Fingerprint, Observation, Severity
from analytics_platform.alerting.routing import Route, Router, gravest, is_one_failure

Status = Literal["open", "flapping", "recovered"]

MAX_NOTE_CHARACTERS = 500
"""A few sentences: the review prints them, and a story belongs into the post-mortem."""


class Note(Fact):
    """What people found out about an incident: why it happened, and what is done next."""

    cause: Annotated[str, Field(max_length=MAX_NOTE_CHARACTERS)] | None
    next_step: Annotated[str, Field(max_length=MAX_NOTE_CHARACTERS)] | None
    by: Annotated[str, Field(min_length=1, max_length=100)]
    at: AwareDatetime


class Incident(Fact):
    """Something that somebody has to see to, and what has become of it.

    Attributes:
        id: what people call it.
        cause: what it was opened for.
        failing: what is wrong now.
        seen: everything that it has ever been about.
        severity: the gravest that it has had.
        owner: who answers.
        channel: where they are told.
        dashboards: what it hits.
        status: flapping keeps silent until it has been quiet for a while, whichever way.
        opened_at: when it was first seen.
        turned_at: when it last began or ceased to fail.
        recovered_at: when it was over; None while it is not.
        openings: each time that it began to fail.
        is_announced: whether it has a message of its own.
        is_withheld: whether a mute has kept back something that should have been said.
        revision: counts its changes.
        note: what people found out; it is shown and reviewed, and never sent.
    """

    id: str
    cause: Finding
    failing: tuple[Finding, ...]
    seen: tuple[Fingerprint, ...]
    severity: Severity
    owner: str
    channel: str
    dashboards: tuple[str, ...]
    status: Status
    opened_at: AwareDatetime
    turned_at: AwareDatetime
    recovered_at: AwareDatetime | None
    openings: tuple[AwareDatetime, ...]
    is_announced: bool = False
    is_withheld: bool = False
    revision: int = 1
    note: Note | None = None

    @property
    def told(self) -> Finding:
        """The finding that speaks for it: what it was opened for as last seen, or else what is left of it."""
        own = (finding for finding in self.failing if finding.fingerprint == self.cause.fingerprint)
        return next(own, next(iter(self.failing), self.cause))


class Mute(Fact):
    """Silence about one thing that is wrong, until a time; of all its partitions where `day` is None."""

    asset: str
    check: str | None
    tenant: str | None
    day: date | None
    until: AwareDatetime
    by: str
    reason: str

    def covers(self, incident: Incident, at: datetime) -> bool:
        """Whether the incident is silent at that time."""
        cause = incident.cause
        same = (self.asset, self.check, self.tenant) == (cause.asset, cause.check, cause.tenant)
        return same and self.day in (None, cause.day) and at < self.until


class Event(StrEnum):
    """What happened to an incident; what is only noted is kept and told to nobody."""

    OPENED = "opened"
    UPDATED = "updated"
    REFRESHED = "refreshed"
    REOPENED = "reopened"
    FLAPPING = "flapping"
    NOTED = "noted"
    STEADY = "steady"
    RECOVERED = "recovered"
    UNMUTED = "unmuted"


_TELLING = (Event.NOTED, Event.REFRESHED, Event.UPDATED, Event.FLAPPING, Event.REOPENED, Event.OPENED)
"""What findings do to an incident, from what says least to what says most."""


class Change(NamedTuple):
    """What happened, and the incident after it."""

    event: Event
    incident: Incident


@dataclass(frozen=True)
class Damping:
    """When coming and going is one incident, and when it is told no more.

    Attributes:
        reopen_within: a failure that comes back this soon continues its incident.
        openings: so many openings within `window` are flapping.
        window: the time over which openings count, and how long flapping has to be quiet to be over.
    """

    reopen_within: timedelta = timedelta(hours=6)
    openings: int = 3
    window: timedelta = timedelta(hours=6)


class LifeCycle:
    """Applies observations to incidents."""

    def __init__(self, router: Router, damping: Damping) -> None:
        self._router = router
        self._damping = damping

    def observe(self, known: Iterable[Incident], observation: Observation, at: datetime) -> list[Change]:
        """What an observation changes.

        Args:
            known: incidents that are not over, and those that are only just.
            observation: what was judged.
            at: when.

        Returns:
            The changes in order; an incident has one for all that was found wrong of it, and one for what was right,
            each with the incident after it.
        """
        current = {incident.id: incident for incident in known}
        found: dict[str, Change] = {}
        for finding in sorted(observation.findings, key=_checks_first):
            change = self._found(list(current.values()), finding, at)
            if change:
                current[change.incident.id] = change.incident
                found[change.incident.id] = _as_one(found.get(change.incident.id), change)
        changes = [*found.values()]
        right = observation.found_right - {finding.fingerprint for finding in observation.findings}
        for incident in list(current.values()):
            change = self._found_right(incident, right, at)
            if change:
                changes.append(change)
        return changes

    def settle(self, known: Iterable[Incident], at: datetime) -> list[Change]:
        """What time alone changes: flapping that has been quiet is over, well or ill."""
        quiet = [each for each in known if each.status == "flapping" and at - each.turned_at >= self._damping.window]
        return [_steady(incident, at) if incident.failing else _recovered(incident, at) for incident in quiet]

    def is_current(self, incident: Incident, at: datetime) -> bool:
        """Whether an incident can still change: it is not over, or may yet come back."""
        return incident.recovered_at is None or at - incident.recovered_at <= self._damping.reopen_within

    def _found(self, current: Sequence[Incident], finding: Finding, at: datetime) -> Change | None:
        route = self._router.route(finding)
        incident = self._home(current, finding, at)
        if incident is None:
            return Change(Event.OPENED, _opened(finding, route, at))
        if not incident.failing:
            return self._back(incident, finding, route, at)
        return _still(incident, finding, route)

    def _home(self, current: Sequence[Incident], finding: Finding, at: datetime) -> Incident | None:
        """The incident that a finding belongs to, the newest where several would do."""
        usable = sorted((each for each in current if self.is_current(each, at)), key=lambda each: each.opened_at)
        for incident in reversed(usable):
            if finding.fingerprint in incident.seen:
                return incident
        return next((each for each in usable if is_one_failure(finding, each.failing)), None)

    def _back(self, incident: Incident, finding: Finding, route: Route, at: datetime) -> Change:
        since = at - self._damping.window
        openings = (*(opening for opening in incident.openings if opening > since), at)
        back = _changed(
            _with(incident, finding, route), turned_at=at, recovered_at=None, openings=openings, status="open"
        )
        if incident.status == "flapping":
            return Change(Event.NOTED, _changed(back, status="flapping"))
        if len(openings) >= self._damping.openings:
            return Change(Event.FLAPPING, _changed(back, status="flapping"))
        return Change(Event.REOPENED, back)

    def _found_right(self, incident: Incident, right: frozenset[Fingerprint], at: datetime) -> Change | None:
        left = tuple(finding for finding in incident.failing if finding.fingerprint not in right)
        if len(left) == len(incident.failing):
            return None
        after = _changed(incident, failing=left, revision=incident.revision + 1)
        if left:
            return Change(Event.REFRESHED, after)
        after = _changed(after, turned_at=at)
        return Change(Event.NOTED, after) if incident.status == "flapping" else _recovered(after, at)


def _as_one(before: Change | None, change: Change) -> Change:
    """What was seen at once is told at once, by what says most: thirty partitions are one opening."""
    if before is None:
        return change
    return Change(max(before.event, change.event, key=_TELLING.index), change.incident)


def _checks_first(finding: Finding) -> tuple[bool, str, str, str, str]:
    """A check before the run that it failed: it is the cause; the rest only makes the order certain."""
    return finding.check is None, finding.asset, finding.check or "", finding.tenant or "", str(finding.day)


def _opened(finding: Finding, route: Route, at: datetime) -> Incident:
    named = "\x1f".join(str(part) for part in (*finding.fingerprint, at.isoformat()))
    return Incident(
        id=hashlib.sha256(named.encode()).hexdigest()[:10],
        cause=finding,
        failing=(finding,),
        seen=(finding.fingerprint,),
        severity=route.severity,
        owner=route.owner,
        channel=route.channel,
        dashboards=route.dashboards,
        status="open",
        opened_at=at,
        turned_at=at,
        recovered_at=None,
        openings=(at,),
    )


def _still(incident: Incident, finding: Finding, route: Route) -> Change | None:
    """An incident that fails on: told when it is about more or graver, kept up to date when figures move."""
    after = _with(incident, finding, route)
    before = next((each for each in incident.failing if each.fingerprint == finding.fingerprint), None)
    if after.severity != incident.severity or finding.fingerprint not in incident.seen:
        return Change(Event.UPDATED, after)
    if before is None or _figures(before) != _figures(finding):
        return Change(Event.REFRESHED, after)
    # The newer run has to be known: when it is told as failed too, it is told with this incident.
    return Change(Event.NOTED, after) if before.run_id != finding.run_id else None


def _figures(finding: Finding) -> tuple[object, ...]:
    return finding.day, finding.last_day, finding.observed, finding.promised


def _with(incident: Incident, finding: Finding, route: Route) -> Incident:
    """The incident with a finding as it is now; what it was since, it stays since."""
    before = next((each for each in incident.failing if each.fingerprint == finding.fingerprint), finding)
    finding = finding.model_copy(update={"since": min(before.since, finding.since)})
    others = (each for each in incident.failing if each.fingerprint != finding.fingerprint)
    seen = incident.seen if finding.fingerprint in incident.seen else (*incident.seen, finding.fingerprint)
    return _changed(
        incident,
        failing=(*others, finding),
        seen=seen,
        severity=gravest((incident.severity, route.severity)),
        dashboards=tuple(sorted({*incident.dashboards, *route.dashboards})),
        revision=incident.revision + 1,
    )


def _steady(incident: Incident, at: datetime) -> Change:
    after = _changed(incident, status="open", openings=(at,), revision=incident.revision + 1)
    return Change(Event.STEADY, after)


def _recovered(incident: Incident, at: datetime) -> Change:
    after = _changed(incident, status="recovered", recovered_at=at, revision=incident.revision + 1)
    return Change(Event.RECOVERED, after)


def _changed(incident: Incident, **values: object) -> Incident:
    return incident.model_copy(update=values)
