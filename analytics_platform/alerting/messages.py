"""The words of alerts: what an engineer who has just woken up has to know, in the order in which they need it.

Severity, what broke, since when, promised against actual, whose it is, whom it hits, the command that repairs it, and
where to look. The parent says how things stand and is edited when they change; the thread says what changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from analytics_platform.alerting.block_kit import (
    MAX_FALLBACK_CHARACTERS,
    clipped,
    context,
    fields,
    header,
    link,
    literal,
    section,
    within_limit,
)
from analytics_platform.alerting.findings import SEVERITIES, Amount, Failure, Finding, Measured, Severity
from analytics_platform.alerting.incidents import Event, Incident
from analytics_platform.alerting.outbox import Block, Message, MessageKind
from analytics_platform.alerting.repair import RUNBOOKS, command_for
from analytics_platform.catalog import Catalog

TITLES: Mapping[Failure, str] = {
    Failure.RUN_FAILED: "Run failed",
    Failure.CHECK_FAILED: "Check failed",
    Failure.SLA_BREACHED: "Late",
    Failure.KPI_LIMIT: "KPI outside its limit",
    Failure.ANOMALY: "Unusual figure",
    Failure.DEAD_LETTERS: "Many events refused",
    Failure.RETENTION: "Kept too long or deleted too early",
    Failure.ACCESS: "Access differs from the policy",
}
_MARKS: Mapping[Severity, str] = {
    "critical": ":red_circle:",
    "warning": ":large_orange_circle:",
    "info": ":large_blue_circle:",
}
_NEWS: Mapping[Event, str] = {
    Event.UPDATED: ":heavy_plus_sign: *More is wrong, or it is graver.*",
    Event.REOPENED: ":leftwards_arrow_with_hook: *It is back.*",
    Event.FLAPPING: ":twisted_rightwards_arrows: *Flapping*: it keeps coming and going. Silent until it is steady.",
    Event.STEADY: ":heavy_exclamation_mark: *No longer flapping: it fails steadily.*",
    Event.RECOVERED: ":white_check_mark: *Recovered.*",
    Event.UNMUTED: ":bell: *The mute is over and it still fails.*",
}
_BEFORE: Mapping[Failure, str] = {
    Failure.RUN_FAILED: "mend what the run's first failed step says, then",
    Failure.CHECK_FAILED: "mend what the check found, then",
    Failure.SLA_BREACHED: "see that the day has landed, then",
    Failure.KPI_LIMIT: "the figure may well be right; if its data was wrong, mend that, then",
    Failure.ANOMALY: "the figure may well be right; if its data was wrong, mend that, then",
    Failure.DEAD_LETTERS: "mend what refused them, `analytics dead-letters replay`, then",
}
"""What comes before the command: it builds again, and mends nothing that is wrong in its source."""

MOST_CAUSES = 12
"""So many things that are wrong together are listed; nobody reads more at night, and the command has them all."""


@dataclass(frozen=True)
class Places:
    """Where links lead to, and whose clock the words go by.

    Attributes:
        dagster_url: base address of Dagster's UI.
        runbook_url: the folder of the runbooks; None leaves them as a path in the repository.
        time_zone: the reporting time zone.
    """

    dagster_url: str
    runbook_url: str | None
    time_zone: str


@dataclass(frozen=True)
class Pulse:
    """What the heartbeat tells.

    Attributes:
        judged: when each kind of judging last reported.
        open_incidents: how many are not over, by severity.
        unsent: messages that wait, and have been tried.
        silent_since: when runs were last judged, where that is too long ago; None while somebody looks.
    """

    judged: Mapping[str, datetime]
    open_incidents: Mapping[Severity, int]
    unsent: int
    silent_since: datetime | None = None


class Words:
    """Renders incidents, digests and heartbeats."""

    def __init__(self, catalog: Catalog, places: Places) -> None:
        self._catalog = catalog
        self._places = places
        self._zone = ZoneInfo(places.time_zone)

    def parent(self, incident: Incident, kind: MessageKind = "parent") -> Message:
        """How an incident stands: the message that opens its thread, or (`edit`) what replaces it."""
        blocks = [
            header(self._headline(incident)),
            *fields(self._facts(incident)),
            *self._causes(incident),
            *([section(self._repair(incident))] if incident.failing else []),
            context(self._links(incident)),
        ]
        key = f"{incident.id}:parent" if kind == "parent" else f"{incident.id}:edit:{incident.revision}"
        return self._message(key, incident, kind, self._summary(incident), blocks)

    def reply(self, incident: Incident, event: Event, at: datetime) -> Message:
        """What has changed, for the thread."""
        lines = [f"{_NEWS[event]} {self._time(at)}"]
        if event is Event.RECOVERED:
            lines.append(f"It lasted {_lasted(incident)}; {len(incident.openings)} opening(s).")
        else:
            lines += self._listed(incident.failing, incident)
            lines.append(self._repair(incident))
        text = "\n".join(lines)
        blocks = [section(text), context(f"Incident `{incident.id}` · {self._owner(incident)}")]
        return self._message(f"{incident.id}:{event}:{incident.revision}", incident, "reply", text, blocks)

    def digest(self, channel: str, open_: Sequence[Incident], over: Sequence[Incident], at: datetime) -> Message:
        """A day's warnings of one channel: what is open, and what is over since the last digest."""
        day = at.astimezone(self._zone).date()
        graver_first = sorted(open_, key=lambda each: (-SEVERITIES.index(each.severity), each.opened_at))
        lines = [self._digest_line(incident) for incident in graver_first]
        lines += [f":white_check_mark: {self._what(each.told)} recovered after {_lasted(each)}" for each in over]
        title = f"Daily digest {day:%a %d %b %Y}: {len(open_)} open, {len(over)} recovered"
        more = "There is more than Slack shows: `analytics alerts list`"
        blocks = within_limit([header(title), *(section(line) for line in lines)], more)
        text = clipped("\n".join([f"*{title}*", *lines]), MAX_FALLBACK_CHARACTERS)
        key = f"digest:{day}:{channel}"
        return Message(key=key, incident=None, kind="digest", channel=channel, text=text, blocks=blocks)

    def heartbeat(self, channel: str, pulse: Pulse, at: datetime) -> Message:
        """Proof that the alerter is alive; one a day."""
        day = at.astimezone(self._zone).date()
        judged = [f"{literal(name)} {self._time(when)}" for name, when in sorted(pulse.judged.items())]
        counts = ", ".join(f"{pulse.open_incidents.get(each, 0)} {each}" for each in reversed(SEVERITIES))
        lines = [
            self._alive(pulse, at),
            f"Open incidents: {counts}. Messages that could not be sent yet: {pulse.unsent}.",
            f"Last judged: {'; '.join(judged) or 'nothing yet'}",
            "No heartbeat by this time tomorrow means that nobody is watching: see the runbook.",
        ]
        text = clipped("\n".join(lines), MAX_FALLBACK_CHARACTERS)
        blocks = (section(text), context(self._runbook("heartbeat")))
        key = f"heartbeat:{day}"
        return Message(key=key, incident=None, kind="heartbeat", channel=channel, text=text, blocks=blocks)

    def _alive(self, pulse: Pulse, at: datetime) -> str:
        """Whether somebody looks: a heart that beats over a sensor that stopped would hide it."""
        if pulse.silent_since is None:
            return f":heartbeat: *Alerting is alive*, {self._time(at)}"
        return (
            f":rotating_light: *Nobody has judged runs and checks since {self._time(pulse.silent_since)}.* "
            "See the ticks of the sensor `alerts` in Dagster."
        )

    def command(self, incident: Incident) -> str | None:
        """What builds the partitions of an incident again; None where building repairs nothing."""
        return command_for(incident, self._catalog.tenants)

    def _message(self, key: str, incident: Incident, kind: MessageKind, text: str, blocks: Sequence[Block]) -> Message:
        return Message(
            key=key,
            incident=incident.id,
            kind=kind,
            channel=incident.channel,
            text=clipped(text, MAX_FALLBACK_CHARACTERS),
            blocks=within_limit(blocks, f"There is more: `analytics alerts show {incident.id}`"),
        )

    def _headline(self, incident: Incident) -> str:
        """A title of our words and of names that can hold no markup."""
        cause = incident.told
        standing = {"open": incident.severity.upper(), "flapping": "FLAPPING", "recovered": "RECOVERED"}
        mark = ":white_check_mark:" if incident.status == "recovered" else _MARKS[incident.severity]
        others = len({each.asset for each in incident.failing} - {cause.asset})
        more = f" and {others} more" if others else ""
        return f"{mark} {standing[incident.status]} · {TITLES[cause.failure]}: {cause.asset}{more}"

    def _facts(self, incident: Incident) -> list[tuple[str, str]]:
        cause = incident.told
        facts = [
            ("What", self._check(cause)),
            ("Since", self._time(cause.since)),
            ("Promised", self._measured(cause.promised, "to succeed")),
            ("Actual", self._actual(cause)),
            ("Owner", self._owner(incident)),
            ("Tenant", self._tenant(cause.tenant)),
            ("Day", self._days(incident)),
            ("Dashboards", self._dashboards(incident)),
        ]
        if incident.recovered_at:
            facts.append(("Recovered", f"{self._time(incident.recovered_at)}, after {_lasted(incident)}"))
        return facts

    def _causes(self, incident: Incident) -> list[Block]:
        """What else is wrong, where it is more than what it was opened for."""
        others = [finding for finding in incident.failing if finding is not incident.told]
        return [section("*Also*\n" + "\n".join(self._listed(others, incident)))] if others else []

    def _listed(self, findings: Sequence[Finding], incident: Incident) -> list[str]:
        lines = [self._cause(finding) for finding in findings[:MOST_CAUSES]]
        left = len(findings) - len(lines)
        return [*lines, f"and {left} more: `analytics alerts show {incident.id}`"] if left else lines

    def _cause(self, finding: Finding) -> str:
        promised = self._measured(finding.promised, "to succeed")
        return f"{self._what(finding)}: {self._actual(finding)}, promised {promised}"

    def _actual(self, finding: Finding) -> str:
        if finding.could_not_run:
            return "the check could not run, which says nothing about the data"
        return self._measured(finding.observed, "nothing there" if finding.promised else "it failed")

    def _days(self, incident: Incident) -> str:
        """The partition, or the first and last of those that fail together."""
        own = [each for each in incident.failing if each.failure is incident.told.failure] or [incident.told]
        days = sorted({day for finding in own if finding.days for day in finding.days})
        if not days:
            return "not of a day"
        partitions = f" ({len(own)} partitions)" if len(own) > 1 else ""
        return f"{days[0]} to {days[-1]}{partitions}" if len(days) > 1 else f"{days[0]}{partitions}"

    def _what(self, finding: Finding) -> str:
        day = f", {finding.day}" if finding.day else ""
        day += f" to {finding.last_day}" if finding.last_day else ""
        check = f" {self._check(finding)}" if finding.check else ""
        return f"{TITLES[finding.failure]}: {finding.asset}{check}, {self._tenant(finding.tenant)}{day}"

    def _summary(self, incident: Incident) -> str:
        lines = [
            self._headline(incident),
            *(f"{name}: {value}" for name, value in self._facts(incident)),
            *([self._repair(incident)] if incident.failing else []),
            self._links(incident),
        ]
        return "\n".join(lines)

    def _digest_line(self, incident: Incident) -> str:
        cause, dashboards = incident.told, self._dashboards(incident)
        return (
            f"{_MARKS[incident.severity]} *{incident.severity}* {self._cause(cause)}\n"
            f"Since {self._time(cause.since)} · {self._owner(incident)} · dashboards: {dashboards}\n"
            f"{self._repair(incident)}\n{self._links(incident)}"
        )

    def _repair(self, incident: Incident) -> str:
        command = self.command(incident)
        if command is None:
            return "*Repair*\nBuilding it again repairs nothing: see the runbook."
        return f"*Repair*: {_BEFORE[incident.told.failure]}\n`{command}`"

    def _links(self, incident: Incident) -> str:
        cause, base = incident.told, self._places.dagster_url.rstrip("/")
        asset = f"{base}/assets/{quote(cause.asset)}"
        if cause.failure is Failure.CHECK_FAILED:
            query = {"view": "checks"}
        elif cause.day:
            query = {"view": "partitions", "partition": _partition(cause)}
        else:
            query = {"view": "overview"}
        links = [link(f"{asset}?{urlencode(query)}", "Asset in Dagster")]
        if cause.run_id:
            links.append(link(f"{base}/runs/{cause.run_id}", "Run"))
        return " · ".join([*links, self._runbook(cause.failure), f"Incident `{incident.id}`"])

    def _runbook(self, name: str) -> str:
        base = self._places.runbook_url
        return link(f"{base.rstrip('/')}/{name}.md", "Runbook") if base else f"Runbook: {RUNBOOKS}/{name}.md"

    def _owner(self, incident: Incident) -> str:
        owner = self._catalog.owners[incident.owner]
        return f"{literal(owner.title)} ({literal(owner.slack_channel)}); then {literal(owner.escalation)}"

    def _check(self, finding: Finding) -> str:
        return literal(finding.check) if finding.check else TITLES[finding.failure].lower()

    def _tenant(self, tenant: str | None) -> str:
        if tenant is None:
            return "all tenants"
        known = self._catalog.tenants.get(tenant)
        return f"{literal(known.name)} ({literal(tenant)})" if known else literal(tenant)

    def _dashboards(self, incident: Incident) -> str:
        boards = self._catalog.dashboards
        titles = (literal(boards[name].title if name in boards else name) for name in incident.dashboards)
        return ", ".join(titles) or "none known"

    def _measured(self, measured: Measured | None, otherwise: str) -> str:
        if measured is None:
            return otherwise
        return f"{measured.value:,.10g} {measured.unit}" if isinstance(measured, Amount) else self._time(measured.at)

    def _time(self, at: datetime) -> str:
        return f"{at.astimezone(self._zone):%a %d %b %Y %H:%M} ({self._places.time_zone})"


def _partition(finding: Finding) -> str:
    """The partition's key in Dagster: raw assets are partitioned day x tenant, all others by day."""
    if finding.asset.startswith("raw/") and finding.tenant:
        return f"{finding.day}|{finding.tenant}"
    return str(finding.day)


def _lasted(incident: Incident) -> str:
    ended = incident.recovered_at or incident.turned_at
    minutes = int((ended - incident.opened_at).total_seconds() // 60)
    days, hours, left = minutes // 1440, minutes // 60 % 24, minutes % 60
    return " ".join(f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (left, "min")) if count) or "0 min"
