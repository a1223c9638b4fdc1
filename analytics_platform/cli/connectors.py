"""Connectors by hand: which there are, whether one would work, and a run of one now."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show as show_answer
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.connectors.loading import AnyConnector
    from analytics_platform.connectors.running import Deployment, Shown
    from analytics_platform.connectors.state import Account

_SHOWN_ROWS = 5


@click.group(cls=Group)
def connectors() -> None:
    """What does not arrive as events: dropped files, tables of a database, APIs.

    Examples:
        analytics connectors list
    """


@connectors.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the connectors of this deployment, and how the last run of each stream went.

    Examples:
        analytics connectors list --json
    """
    deployment, known = _deployment(), _known()
    found = [_listed(deployment, connector, stream) for connector in known.values() for stream in connector.streams]
    lines = [
        f"{each['connector']}/{each['stream']:<20} {each['source']:<13} every {each['every_hours']} h  {_last(each)}"
        for each in found
    ]
    show_answer(
        {"connectors": found}, as_json, lines or ["No connectors; `analytics connectors example NAME` starts one"]
    )


@connectors.command()
@click.argument("name")
@click.option("--rows", type=click.IntRange(min=1), default=_SHOWN_ROWS, show_default=True, help="How many to show.")
@as_json
def check(name: str, rows: int, as_json: bool) -> None:
    """Try a connector: its file, its source, and what its first rows would become. Nothing lands.

    Examples:
        analytics connectors check hubspot --rows 3
    """
    from analytics_platform.connectors.loading import named
    from analytics_platform.connectors.running import first_rows

    deployment, connector = _deployment(), named(_known(), name)
    now = datetime.now(UTC)
    shown = {stream: first_rows(deployment, connector, stream, rows, now) for stream in connector.streams}
    answer = {"connector": name, "streams": {stream: [asdict(each) for each in said] for stream, said in shown.items()}}
    show_answer(answer, as_json, [f"{name}: its file is sound and its source answers", *_shown_lines(shown)])


@connectors.command()
@click.argument("name")
@click.option("--stream", help="One of its streams; all of them by default.")
@as_json
def run(name: str, stream: str | None, as_json: bool) -> None:
    """Take what is new of a connector into the landing, now.

    Examples:
        analytics connectors run finance_export
    """
    from analytics_platform.connectors.loading import UnknownConnectorError, named
    from analytics_platform.connectors.running import run_stream

    deployment, connector = _deployment(), named(_known(), name)
    if stream is not None and stream not in connector.streams:
        raise UnknownConnectorError(f"{name} has no stream {stream!r}; it has {', '.join(connector.streams)}")
    accounts = {
        each: run_stream(deployment, connector, each, datetime.now(UTC))
        for each in ([stream] if stream else connector.streams)
    }
    lines = [line for each, account in accounts.items() for line in _account_lines(each, account)]
    show_answer({"connector": name, "streams": {each: a.as_dict() for each, a in accounts.items()}}, as_json, lines)
    sys.exit(0 if all(account.balances for account in accounts.values()) else 1)


@connectors.command()
@click.argument("name", required=False)
def example(name: str | None) -> None:
    """Print an example configuration to begin with; without a name, which there are.

    Examples:
        analytics connectors example zendesk > connectors/zendesk.yaml
    """
    from analytics_platform.connectors.loading import EXAMPLES, raw_example

    text = raw_example(name) if name else "\n".join(sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
    click.echo(text.rstrip("\n"))


def _deployment() -> Deployment:
    from analytics_platform.defs.connectors import deployment_of

    return deployment_of(read_settings(), read_catalog())


def _known() -> dict[str, AnyConnector]:
    from analytics_platform.connectors.loading import load_connectors

    return load_connectors(read_settings().connectors_folder, read_catalog())


def _listed(deployment: Deployment, connector: AnyConnector, stream: str) -> dict[str, Any]:
    from analytics_platform.connectors.state import read_state

    last = read_state(deployment.store, connector.name, stream).last
    return {
        "connector": connector.name,
        "title": connector.title,
        "owner": connector.owner,
        "source": connector.source,
        "stream": stream,
        "every_hours": connector.every_hours,
        "events": sorted({rule.event for rule in connector.streams[stream].rules.values()}),
        "last": last.as_dict() if last else None,
    }


def _last(listed: Mapping[str, Any]) -> str:
    last = listed["last"]
    if last is None:
        return "has not run yet"
    return (
        f"{last['finished_at']}: {last['rows']:,} rows, {last['accepted']:,} accepted, {last['dead_lettered']:,} dead"
    )


def _shown_lines(shown: Mapping[str, list[Shown]]) -> list[str]:
    lines = []
    for stream, said in shown.items():
        lines.append(f"{stream}: {len(said)} shown" if said else f"{stream}: there is no row")
        lines += [f"  {each.rule:<20} {each.outcome:<18} {each.detail}".rstrip() for each in said if each.detail]
        lines += [f"  {each.rule:<20} {each.outcome:<18} {dict(each.properties)}" for each in said if not each.detail]
    return lines


def _account_lines(stream: str, account: Account) -> list[str]:
    lines = [
        f"{stream}: {account.rows:,} rows by {account.rules} rules: {account.accepted:,} accepted, "
        f"{account.duplicates:,} duplicates, {account.dead_lettered:,} dead letters, {account.skipped:,} left out"
    ]
    if account.changed:
        lines.append(f"  {account.changed:,} of the duplicates had changed since; their rules keep the first")
    return lines + [f"  {reason}: {count:,}" for reason, count in sorted(account.reasons.items())]
