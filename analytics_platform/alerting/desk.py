"""Where findings become incidents and incidents become messages.

Each call is one transaction: what changes is kept together with the messages that tell of it, or neither is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from analytics_platform.alerting.findings import Failure, Finding, Fingerprint, Observation, Severity
from analytics_platform.alerting.incidents import Change, Damping, Event, Incident, LifeCycle, Mute, Note
from analytics_platform.alerting.messages import Places, Pulse, Words
from analytics_platform.alerting.outbox import UNSENT, Message
from analytics_platform.alerting.routing import PLATFORM_OWNER, Router, delivery_of
from analytics_platform.alerting.store import AlertStore, Session
from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError

_DIGEST, _HEARTBEAT, _JUDGED = "digest", "heartbeat", "judged "
SILENT_AFTER = timedelta(hours=1)
"""A judge looks every minute; an hour without one is an alerter that is broken, not a quiet one."""

_NOTHING_SAID = (Event.NOTED, Event.REFRESHED, Event.RECOVERED)
"""For none of these does an incident that nobody was told of get a message."""


class UnknownIncidentError(AnalyticsError):
    """No incident has that id."""


class OvertakenError(AnalyticsError):
    """Another judge has read on meanwhile: what this one saw may be old, and it has to look again."""


class Reading(NamedTuple):
    """How far a judge has read in a record that several processes read.

    Attributes:
        name: the record.
        before: the position that it read from; None for the beginning.
        after: the position that it has reached.
    """

    name: str
    before: str | None
    after: str


class AlertDesk:
    """Takes findings in and writes messages out."""

    def __init__(self, catalog: Catalog, store: AlertStore, places: Places, damping: Damping | None = None) -> None:
        self._store = store
        self._router = Router(catalog)
        self._damping = damping or Damping()
        self._life_cycle = LifeCycle(self._router, self._damping)
        self._words = Words(catalog, places)
        self._zone = ZoneInfo(places.time_zone)

    def observe(
        self, judge: str, observation: Observation, at: datetime, reading: Reading | None = None
    ) -> list[Change]:
        """Take in what a judge saw.

        Args:
            judge: its name, which the heartbeat shows with the time.
            observation: what it found wrong, and what it found right.
            at: when.
            reading: how far it has read, where it reads a record by and by; kept together with what it saw.

        Raises:
            OvertakenError: another judge has read that record on meanwhile; nothing is taken in.
        """
        with self._store.transaction() as session:
            if reading is not None:
                if session.position(reading.name) != reading.before:
                    raise OvertakenError(f"another process has judged {reading.name} meanwhile; look again")
                session.move(reading.name, reading.after)
            session.mark(_JUDGED + judge, at)
            changes = self._life_cycle.observe(self._current(session, at), observation, at)
            return self._keep(session, changes, at)

    def position(self, name: str) -> str | None:
        """How far a record has been judged; None where it never was."""
        with self._store.transaction() as session:
            return session.position(name)

    def wrong(self, failures: Iterable[Failure]) -> tuple[Finding, ...]:
        """What is wrong by what is known, of some classes."""
        classes = frozenset(failures)
        with self._store.transaction() as session:
            return tuple(
                finding for each in session.incidents() for finding in each.failing if finding.failure in classes
            )

    def open_incidents(self) -> dict[Severity, int]:
        """How many incidents are not over, by severity."""
        with self._store.transaction() as session:
            return dict(Counter(each.severity for each in session.incidents() if each.status != "recovered"))

    def failing(self, failures: Iterable[Failure], at: datetime) -> frozenset[Fingerprint]:
        """What is wrong by what is known, for a judge that looks at everything of some classes every time.

        Such a judge hands these in as found right beside its findings; those win.
        """
        classes = frozenset(failures)
        with self._store.transaction() as session:
            known = [finding for incident in self._current(session, at) for finding in incident.failing]
        return frozenset(finding.fingerprint for finding in known if finding.failure in classes)

    def settle(self, at: datetime) -> list[Change]:
        """Do what time alone brings: flapping that is over, mutes that have ended."""
        with self._store.transaction() as session:
            current = self._current(session, at)
            changes = self._keep(session, self._life_cycle.settle(current, at), at)
            mutes = session.mutes(at)
            ended = [
                Change(Event.UNMUTED, incident)
                for incident in self._current(session, at)
                if incident.is_withheld and not _is_muted(incident, mutes, at)
            ]
            return changes + self._keep(session, ended, at)

    def mute(self, incident_id: str, until: datetime, by: str, reason: str, *, all_days: bool) -> Mute:
        """Keep silent about an incident until a time.

        Args:
            incident_id: the incident.
            until: when the silence ends.
            by: who wants it.
            reason: why.
            all_days: also about the same failure of other partitions.

        Raises:
            UnknownIncidentError: there is no such incident.
        """
        cause = self.incident(incident_id).cause
        mute = Mute(
            asset=cause.asset,
            check=cause.check,
            tenant=cause.tenant,
            day=None if all_days else cause.day,
            until=until,
            by=by,
            reason=reason,
        )
        with self._store.transaction() as session:
            session.mute(mute)
        return mute

    def note(self, incident_id: str, at: datetime, by: str, *, cause: str | None, next_step: str | None) -> Incident:
        """Keep what people found out; a part that is not given stays as it was.

        Args:
            incident_id: the incident.
            at: when.
            by: who says so.
            cause: why it happened.
            next_step: what is done next.

        Raises:
            UnknownIncidentError: there is no such incident.
        """
        known = self.incident(incident_id)
        with self._store.transaction() as session:
            incident = next(each for each in session.incidents() if each.id == known.id)
            before = incident.note
            told = Note(
                cause=cause or (before.cause if before else None),
                next_step=next_step or (before.next_step if before else None),
                by=by,
                at=at,
            )
            noted = incident.model_copy(update={"note": told})
            session.save(noted)
        return noted

    def incident(self, incident_id: str) -> Incident:
        """The incident of that id.

        Raises:
            UnknownIncidentError: there is none.
        """
        with self._store.transaction() as session:
            found = [incident for incident in session.incidents() if incident.id == incident_id]
        if not found:
            raise UnknownIncidentError(
                f"there is no incident {incident_id!r}; `analytics alerts list --all` shows them"
            )
        return found[0]

    def mutes_of(self, incidents: Iterable[Incident], at: datetime) -> dict[str, datetime]:
        """Until when each of the incidents is muted, by id; those that are not are left out."""
        with self._store.transaction() as session:
            mutes = session.mutes(at)
        until = {each.id: [mute.until for mute in mutes if mute.covers(each, at)] for each in incidents}
        return {incident: max(times) for incident, times in until.items() if times}

    def digest(self, at: datetime) -> list[Message]:
        """Write the daily digest of each channel that has something in it, once a day."""
        with self._store.transaction() as session:
            last = session.marks().get(_DIGEST)
            if last and self._day(last) == self._day(at):
                return []
            since = last or at - timedelta(days=1)
            mutes = session.mutes(at)
            shown = [each for each in session.incidents(since) if _belongs_into_digest(each, mutes, at)]
            messages = [self._digest(channel, shown, at) for channel in sorted({each.channel for each in shown})]
            for message in messages:
                session.write(message, at)
            session.mark(_DIGEST, at)
        return messages

    def heartbeat(self, at: datetime) -> Message:
        """Write the day's proof of life to the platform's own channel."""
        with self._store.transaction() as session:
            marks = session.marks()
            judged = {name.removeprefix(_JUDGED): when for name, when in marks.items() if name.startswith(_JUDGED)}
            still_open = Counter(each.severity for each in session.incidents() if each.status != "recovered")
            unsent = sum(1 for each in session.outbox(UNSENT) if each.attempts)
            looked = max(judged.values(), default=None)
            silent = looked if looked and at - looked > SILENT_AFTER else None
            pulse = Pulse(judged, dict(still_open), unsent, silent)
            message = self._words.heartbeat(self._router.channel(PLATFORM_OWNER), pulse, at)
            session.write(message, at)
            session.mark(_HEARTBEAT, at)
        return message

    def _digest(self, channel: str, shown: Sequence[Incident], at: datetime) -> Message:
        own = [incident for incident in shown if incident.channel == channel]
        still_open = [incident for incident in own if incident.status != "recovered"]
        return self._words.digest(channel, still_open, [each for each in own if each.status == "recovered"], at)

    def _current(self, session: Session, at: datetime) -> list[Incident]:
        return session.incidents(at - self._damping.reopen_within)

    def _keep(self, session: Session, changes: Sequence[Change], at: datetime) -> list[Change]:
        """Keep the changes in order, with their messages; flags that an earlier one set hold for the later."""
        mutes = session.mutes(at)
        flags: dict[str, dict[str, bool]] = {}
        kept = []
        for event, incident in changes:
            known = incident.model_copy(update=flags.get(incident.id, {}))
            told = self._tell(session, event, known, _is_muted(known, mutes, at), at)
            flags[told.id] = {"is_announced": told.is_announced, "is_withheld": told.is_withheld}
            session.save(told)
            kept.append(Change(event, told))
        return kept

    def _tell(self, session: Session, event: Event, incident: Incident, muted: bool, at: datetime) -> Incident:
        """Write what a change has to say; answers the incident with what has been said of it."""
        if incident.is_announced:
            return self._tell_on(session, event, incident, muted, at)
        if event is Event.UNMUTED:
            incident = incident.model_copy(update={"is_withheld": False})
        if event in _NOTHING_SAID or delivery_of(incident.severity) == "digest" or not incident.failing:
            return incident
        if muted:
            return incident.model_copy(update={"is_withheld": True})
        session.write(self._words.parent(incident), at)
        return incident.model_copy(update={"is_announced": True})

    def _tell_on(self, session: Session, event: Event, incident: Incident, muted: bool, at: datetime) -> Incident:
        """Go on in a thread: the parent always shows how things stand, which calls nobody; a reply does."""
        if event is Event.NOTED:
            return incident
        if event is not Event.UNMUTED:
            session.write(self._words.parent(incident, "edit"), at)
        is_quiet = event is Event.REFRESHED or (incident.status == "flapping" and event is not Event.FLAPPING)
        if muted:
            return incident if is_quiet else incident.model_copy(update={"is_withheld": True})
        if event is Event.UNMUTED:
            incident = incident.model_copy(update={"is_withheld": False})
            is_quiet = not incident.failing
        if not is_quiet:
            session.write(self._words.reply(incident, event, at), at)
        return incident

    def _day(self, at: datetime) -> object:
        return at.astimezone(self._zone).date()


def _is_muted(incident: Incident, mutes: Sequence[Mute], at: datetime) -> bool:
    return any(mute.covers(incident, at) for mute in mutes)


def _belongs_into_digest(incident: Incident, mutes: Sequence[Mute], at: datetime) -> bool:
    return delivery_of(incident.severity) == "digest" and not _is_muted(incident, mutes, at)
