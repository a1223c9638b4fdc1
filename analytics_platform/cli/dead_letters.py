"""Dead letters: list, show, replay."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analytics_platform.cli.answers import show as show_answer
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import Day, Tenant, as_json, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.intake.replay import Found, ReplayReport, Selection
    from analytics_platform.lake.dead_letters import Seals
    from analytics_platform.lake.store import ObjectStore

_SHOWN = 20
_SHOWN_CHARACTERS = 2_000
_MASK = "***"
_NAMED_KEY = re.compile(r'("write_?key"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)
_BARE_KEY = re.compile(r"\bwk_[A-Za-z0-9]{32}\b")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

F = TypeVar("F", bound=Callable[..., Any])


def _selecting(command: F) -> F:
    for option in (
        click.option("--to", "last", type=Day(), help="Last business day."),
        click.option("--from", "first", type=Day(), help="First business day."),
        click.option("--tenant", type=Tenant("_unknown"), help="Only this tenant's; _unknown for letters of none."),
        click.option("--reason", help="Only those refused for this reason, such as unknown_event."),
    ):
        command = option(command)
    return command


@click.group("dead-letters", cls=Group)
def dead_letters() -> None:
    """What the gate refused: kept sealed, byte for byte, until the plan is mended and it is replayed."""


@dead_letters.command("list")
@_selecting
@as_json
def list_(as_json: bool, **selected: Any) -> None:
    """Count dead letters by reason, tenant, day and stream.

    Examples:
        analytics dead-letters list
        analytics dead-letters list --reason unknown_event --from 2026-11-01
    """
    from analytics_platform.intake.replay import dead_letters

    found = (each.letter for each in dead_letters(_store(), _selection(**selected), _seals()))
    counts = Counter((letter.reason, letter.tenant, letter.day, letter.stream) for letter in found)
    names = ("reason", "tenant_id", "day", "stream")
    groups = [{**dict(zip(names, group, strict=True)), "letters": n} for group, n in sorted(counts.items())]
    lines = [
        f"{n:>9,}  {reason:<18} {tenant:<20} {day}  {stream}"
        for (reason, tenant, day, stream), n in sorted(counts.items())
    ]
    show_answer({"total": counts.total(), "groups": groups}, as_json, [*lines, f"{counts.total():>9,}  in all"])


@dead_letters.command()
@_selecting
@click.option("--limit", type=click.IntRange(min=1), default=_SHOWN, show_default=True, help="How many.")
@as_json
def show(limit: int, as_json: bool, **selected: Any) -> None:
    """Show letters with what was wrong and how to mend it; write keys are masked.

    Examples:
        analytics dead-letters show --tenant delta-events --limit 3
    """
    from analytics_platform.intake.replay import dead_letters

    found = list(itertools.islice(dead_letters(_store(), _selection(**selected), _seals()), limit))
    lines = [line for each in found for line in _lines(each)]
    show_answer({"letters": [_told(each) for each in found]}, as_json, lines or ["No dead letters"])


@dead_letters.command()
@_selecting
@as_json
def replay(as_json: bool, **selected: Any) -> None:
    """Send letters through the gate once more, after the plan or the tenant registry was mended.

    Examples:
        analytics dead-letters replay --reason unknown_event
    """
    from analytics_platform.connectors.landing import remade
    from analytics_platform.connectors.loading import load_connectors
    from analytics_platform.defs.resources import identity_keys_from
    from analytics_platform.intake.replay import replay
    from analytics_platform.intake.write_keys import WriteKeys

    settings, catalog = read_settings(), read_catalog()
    keys = WriteKeys(catalog, settings.write_keys_file)
    report = replay(
        _store(),
        catalog,
        _selection(**selected),
        identities=identity_keys_from(settings),
        history_start=settings.history_start,
        keys=keys,
        remade=remade(load_connectors(settings.connectors_folder, catalog), catalog, identity_keys_from(settings)),
    )
    show_answer(report.as_dict(), as_json, _replay_lines(report))


def _store() -> ObjectStore:
    from analytics_platform.defs.resources import store_from

    return store_from(read_settings())


def _seals() -> Seals:
    from analytics_platform.defs.resources import identity_keys_from
    from analytics_platform.identities.sealing import TenantSeals

    return TenantSeals(identity_keys_from(read_settings()))


def _selection(reason: str | None, tenant: str | None, first: date | None, last: date | None) -> Selection:
    from analytics_platform.intake.replay import Selection

    return Selection(reason, tenant, first, last)


def masked(text: str) -> str:
    """The text without write keys: those that a message names, and those that look like ours."""
    return _BARE_KEY.sub(_MASK, _NAMED_KEY.sub(rf"\g<1>{_MASK}", text))


def _told(found: Found) -> Mapping[str, Any]:
    from analytics_platform.intake.replay import is_replayable

    letter = found.letter
    return {
        "reason": letter.reason,
        "detail": letter.detail,
        "tenant_id": letter.tenant,
        "day": letter.day,
        "stream": letter.stream,
        "source": letter.source,
        "line": letter.line,
        "received_at": letter.received_at.isoformat() if letter.received_at else None,
        "key_name": letter.key_name,
        "replayable": is_replayable(found),
        "bytes": letter.total_bytes,
        "message": masked(letter.raw.decode("utf-8", "backslashreplace")),
        "object": found.key,
    }


def _lines(found: Found) -> list[str]:
    told = _told(found)
    came = f"key {told['key_name']} at {told['received_at']}" if told["key_name"] else ""
    file = f"{told['source']} line {told['line']}" if told["source"] else ""
    from_where = came or file or "the raw build"
    kept = "" if told["replayable"] else " (cannot be replayed)"
    text, rest = told["message"][:_SHOWN_CHARACTERS], max(len(told["message"]) - _SHOWN_CHARACTERS, 0)
    return [
        f"{told['reason']}  {told['tenant_id']}  {told['day']}  {told['stream']}  from {from_where}{kept}",
        f"  {_printable(told['detail'])}",
        f"  {_printable(text)}{f'… and {rest:,} characters more' if rest else ''}",
    ]


def _printable(text: str) -> str:
    """What a producer sent, without what a terminal would obey."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _replay_lines(report: ReplayReport) -> list[str]:
    lines = [
        f"Replayed {report.replayed:,} letters: {report.accepted:,} accepted, {report.duplicates:,} duplicates, "
        f"{report.still_dead:,} still dead"
    ]
    lines += [f"  {reason}: {count:,}" for reason, count in sorted(report.reasons.items())]
    if report.not_replayable:
        lines.append(
            f"{report.not_replayable:,} cannot be replayed: only a part was kept, or the raw build judges them; "
            "send those messages again"
        )
    if report.resumed:
        lines.append(f"{report.resumed:,} letters of a replay that was cut short have moved before that")
    return [*lines, "Build what landed with: analytics run"] if report.accepted or report.resumed else lines
