"""Alerts: what is wrong, what was said about it, and what is still to be said."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_catalog, read_settings
from analytics_platform.cli.keys import Span

if TYPE_CHECKING:
    from analytics_platform.alerting.delivery import DeliveryReport
    from analytics_platform.alerting.desk import AlertDesk
    from analytics_platform.alerting.findings import Finding
    from analytics_platform.alerting.incidents import Incident
    from analytics_platform.alerting.outbox import Waiting
    from analytics_platform.alerting.store import SqliteStore


@click.group(cls=Group)
def alerts() -> None:
    """Incidents and the messages about them; without a Slack token the messages stay here."""


@alerts.command("list")
@click.option("--all", "everything", is_flag=True, help="Also incidents that are over.")
@click.option("--owner", help="Only this team's.")
@as_json
def list_(everything: bool, owner: str | None, as_json: bool) -> None:
    """Show incidents, oldest first, and how many messages wait.

    Examples:
        analytics alerts list
        analytics alerts list --all --owner finance --json
    """
    now = datetime.now(UTC)
    with _store().transaction() as session:
        known = session.incidents()
    unsent = len(_unsent())
    shown = [each for each in known if (everything or each.recovered_at is None) and owner in (None, each.owner)]
    muted = _desk().mutes_of(shown, now)
    answer = {"incidents": [_told(each, muted.get(each.id)) for each in shown], "unsent_messages": unsent}
    lines = [_line(each, muted.get(each.id)) for each in shown] or ["No incidents"]
    show(answer, as_json, [*lines, f"{unsent} messages wait to be sent"])


@alerts.command("show")
@click.argument("incident")
@as_json
def show_(incident: str, as_json: bool) -> None:
    """Show an incident and every message about it, sent or not.

    Examples:
        analytics alerts show 4f1c09aa21
    """
    found = _desk().incident(incident)
    muted = _desk().mutes_of([found], datetime.now(UTC)).get(found.id)
    with _store().transaction() as session:
        messages = [each for each in session.outbox() if each.message.incident == found.id]
    lines = [_line(found, muted), *_failing_lines(found), *_note_lines(found)]
    for each in messages:
        lines += ["", f"{_standing(each)}", *(f"  {line}" for line in each.message.text.splitlines())]
    answer = {"incident": _told(found, muted), "messages": [_message(each) for each in messages]}
    show(answer, as_json, lines)


@alerts.command()
@click.argument("incident")
@click.option("--for", "span", type=Span(), required=True, help="How long, such as 12h.")
@click.option("--reason", required=True, help="Why; whoever comes next reads it.")
@click.option("--by", help="Who mutes; by default the user of this machine.")
@click.option("--all-days", is_flag=True, help="Also the same failure of other days.")
@as_json
def mute(incident: str, span: timedelta, reason: str, by: str | None, all_days: bool, as_json: bool) -> None:
    """Say nothing about an incident for a while; it is told again if it still fails then.

    Examples:
        analytics alerts mute 4f1c09aa21 --for 12h --reason "The supplier mends it tonight"
    """
    until = datetime.now(UTC) + span
    kept = _desk().mute(incident, until, by or getpass.getuser(), reason, all_days=all_days)
    what = "all its days" if all_days else "its day"
    show(kept.model_dump(mode="json"), as_json, [f"{incident} is muted for {what} until {until:%Y-%m-%d %H:%M} UTC"])


@alerts.command()
@click.argument("incident")
@click.option("--cause", help="Why it happened; the quarterly review prints it.")
@click.option("--next-step", help="What is done next.")
@click.option("--by", help="Who says so; by default the user of this machine.")
@as_json
def note(incident: str, cause: str | None, next_step: str | None, by: str | None, as_json: bool) -> None:
    """Keep why an incident happened, and what is done next; a part that is not given stays as it was.

    Examples:
        analytics alerts note 4f1c09aa21 --cause "A bank holiday" --next-step "None"
    """
    told = {"--cause": cause, "--next-step": next_step}
    _refuse_note(told)
    now = datetime.now(UTC)
    noted = _desk().note(incident, now, by or getpass.getuser(), cause=cause, next_step=next_step)
    show({**_told(noted, None)}, as_json, [_line(noted, None), *_note_lines(noted)])


@alerts.command()
@as_json
def send(as_json: bool) -> None:
    """Do what is due by now, and send what waits to Slack.

    Examples:
        analytics alerts send
    """
    _desk().settle(datetime.now(UTC))
    report = _sent()
    left = _unsent()
    if report is None:
        lines = [f"There is no Slack token (ANALYTICS_SLACK_TOKEN): {len(left)} messages stay in the outbox"]
        show({"sent": 0, "unsent": len(left), "errors": {}}, as_json, lines)
        return
    answer = {**vars(report), "errors": dict(report.errors), "unsent": len(left)}
    lines = [f"Sent {report.sent} messages ({report.found} had arrived before), {len(left)} wait"]
    lines += [f"  {error}: {count}" for error, count in sorted(report.errors.items())]
    show(answer, as_json, lines + [f"  {_standing(each)}" for each in left])
    sys.exit(1 if left else 0)


@alerts.command()
@as_json
def digest(as_json: bool) -> None:
    """Write the day's digests of warnings, one for each channel, once a day.

    Examples:
        analytics alerts digest
    """
    messages = _desk().digest(datetime.now(UTC))
    show(
        {"messages": [_content(each.model_dump()) for each in messages]},
        as_json,
        _texts([each.text for each in messages]),
    )


@alerts.command()
@click.option("--check", "within", type=Span(), help="Write nothing: fail when the last one is older than this.")
@as_json
def heartbeat(within: timedelta | None, as_json: bool) -> None:
    """Write the day's proof that alerting is alive, or check that there was one.

    Examples:
        analytics alerts heartbeat
        analytics alerts heartbeat --check 26h
    """
    now = datetime.now(UTC)
    if within is None:
        message = _desk().heartbeat(now)
        show({"message": _content(message.model_dump())}, as_json, _texts([message.text]))
        return
    with _store().transaction() as session:
        last = session.marks().get("heartbeat")
    alive = last is not None and now - last <= within
    said = f"The last heartbeat was at {last:%Y-%m-%d %H:%M} UTC" if last else "There was no heartbeat yet"
    show({"alive": alive, "last_at": last}, as_json, [said])
    sys.exit(0 if alive else 1)


def _store() -> SqliteStore:
    from analytics_platform.defs.resources import alert_store_from

    return alert_store_from(read_settings())


def _desk() -> AlertDesk:
    from analytics_platform.defs.resources import desk_from

    return desk_from(read_settings(), read_catalog())


def _sent() -> DeliveryReport | None:
    """What was sent; None where there is no token."""
    from analytics_platform.defs.resources import delivery_from

    delivery = delivery_from(read_settings())
    return delivery.deliver() if delivery else None


def _unsent() -> list[Waiting]:
    from analytics_platform.alerting.outbox import UNSENT

    with _store().transaction() as session:
        return session.outbox(UNSENT)


def _told(incident: Incident, muted_until: datetime | None) -> Mapping[str, Any]:
    cause = incident.told
    return {
        "id": incident.id,
        "severity": incident.severity,
        "status": incident.status,
        "muted_until": muted_until,
        "failure": cause.failure.value,
        "asset": cause.asset,
        "check": cause.check,
        "tenant": cause.tenant,
        "day": cause.day,
        "since": cause.since,
        "opened_at": incident.opened_at,
        "recovered_at": incident.recovered_at,
        "owner": incident.owner,
        "channel": incident.channel,
        "dashboards": list(incident.dashboards),
        "failing": [each.model_dump(mode="json") for each in incident.failing],
        "note": incident.note.model_dump(mode="json") if incident.note else None,
    }


def _line(incident: Incident, muted_until: datetime | None) -> str:
    cause = incident.told
    muted = f", muted until {muted_until:%Y-%m-%d %H:%M} UTC" if muted_until else ""
    where = f"{cause.asset} {cause.check or ''}".rstrip()
    whose = f"{cause.tenant or 'all tenants'}, {_days(cause)}"
    if len(incident.failing) > 1:
        whose += f" and {len(incident.failing) - 1} more"
    standing = f"{incident.severity:<8} {incident.status:<9}"
    return f"{incident.id}  {standing} {cause.failure.value:<13} {where} ({whose}; {incident.owner}{muted})"


def _refuse_note(parts: Mapping[str, str | None]) -> None:
    from analytics_platform.alerting.incidents import MAX_NOTE_CHARACTERS
    from analytics_platform.errors import AnalyticsError

    if not any(parts.values()):
        raise AnalyticsError("--cause, --next-step: write at least one of them")
    for option, text in parts.items():
        if text is not None and not text.strip():
            raise AnalyticsError(f"{option}: it is empty; write a sentence, or leave the option out")
        if text and len(text) > MAX_NOTE_CHARACTERS:
            raise AnalyticsError(
                f"{option}: {len(text)} characters; write at most {MAX_NOTE_CHARACTERS}, and link to the rest"
            )


def _failing_lines(incident: Incident) -> list[str]:
    """What is wrong now, each by itself, where it is more than the incident's own line says."""
    if len(incident.failing) < 2:
        return []
    lines = [
        f"  {each.failure.value} {each.asset} {each.check or ''}".rstrip()
        + f" ({each.tenant or 'all tenants'}, {_days(each)})"
        for each in incident.failing
    ]
    return [f"{len(lines)} things fail:", *lines]


def _note_lines(incident: Incident) -> list[str]:
    note = incident.note
    if note is None:
        return []
    said = f"({note.by}, {note.at:%Y-%m-%d %H:%M} UTC)"
    parts = {"Cause": note.cause, "Next step": note.next_step}
    return [f"{name}: {text} {said}" for name, text in parts.items() if text]


def _days(finding: Finding) -> str:
    if finding.day is None:
        return "no day"
    return f"{finding.day} to {finding.last_day}" if finding.last_day else str(finding.day)


def _message(waiting: Waiting) -> Mapping[str, Any]:
    told = _content(waiting.message.model_dump())
    return {**told, "state": waiting.state, "attempts": waiting.attempts, "error": waiting.error, "ts": waiting.ts}


def _content(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**message, "blocks": list(message["blocks"])}


def _standing(waiting: Waiting) -> str:
    message = waiting.message
    why = f", {waiting.error} after {waiting.attempts} attempt(s)" if waiting.error else ""
    return f"{message.kind} to {message.channel}: {waiting.state}{why}"


def _texts(texts: list[str]) -> list[str]:
    return texts or ["Nothing to say"]
