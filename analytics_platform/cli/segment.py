"""The Segment workspace as code: what `apply` would change, and changing it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import agreed, as_json, read_catalog, read_settings
from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    from analytics_platform.tracking.segment.api import PublicApi
    from analytics_platform.tracking.segment.changes import Change, Outcome, Step
    from analytics_platform.tracking.segment.workspace import Actual

_SIGNS = {"create": "+", "update": "~", "delete": "-", "connect": "+"}


class SegmentNotConfiguredError(AnalyticsError):
    """A setting that the Segment workspace needs is not given."""


@click.group(cls=Group)
def segment() -> None:
    """The Segment workspace: tracking plan, sources, destinations to the collector."""


@segment.command()
@as_json
def plan(as_json: bool) -> None:
    """Show what differs from the catalogue; nothing is written.

    Examples:
        analytics segment plan
    """
    with _opened() as (_, found, _actual):
        changes = _changes(found)
    lines = _told(changes) or ["The workspace is as the catalogue says"]
    show({"changes": [_answer(change) for change in changes]}, as_json, [*lines, *_summary(changes)])


@segment.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def apply(yes: bool, as_json: bool) -> None:
    """Make the workspace as the catalogue says; exit code 1 when a part could not be made.

    Examples:
        analytics segment apply
        analytics segment apply --yes --json
    """
    with _opened() as (api, found, actual):
        from analytics_platform.tracking.segment.changes import make

        changes = _changes(found)
        if changes and not yes:
            click.echo("\n".join([*_told(changes), *_summary(changes)]), err=True)
            agreed("Make these changes?")
        outcomes = list(make(found, api, actual))
    ok = all(outcome.state == "made" for outcome in outcomes)
    lines = [line for outcome in outcomes for line in _outcome_lines(outcome)] or ["Nothing to do"]
    mend = [] if ok else ["Not all could be made; mend the cause and run `analytics segment apply` again"]
    show({"ok": ok, "outcomes": [_outcome_answer(each) for each in outcomes]}, as_json, [*lines, *mend])
    sys.exit(0 if ok else 1)


@contextmanager
def _opened() -> Iterator[tuple[PublicApi, Sequence[Step], Actual]]:
    """The workspace of the settings' token, what it lacks, and how it was found."""
    from analytics_platform.tracking.segment.api import BASE_URLS, PublicApi
    from analytics_platform.tracking.segment.changes import steps
    from analytics_platform.tracking.segment.desired import WebhookSecret, desired_workspace
    from analytics_platform.tracking.segment.workspace import read_workspace

    settings = read_settings()
    if settings.segment_token is None:
        raise SegmentNotConfiguredError("segment_token: not set; give ANALYTICS_SEGMENT_TOKEN a Public API token")
    webhooks = [
        WebhookSecret(each.write_key.get_secret_value(), each.secret.get_secret_value())
        for each in settings.collector_webhooks
    ]
    if webhooks and settings.segment_webhook_url is None:
        raise SegmentNotConfiguredError(
            "segment_webhook_url: not set, though collector_webhooks is; give the collector's public URL of /v1/webhook"
        )
    desired = desired_workspace(read_catalog(), settings.segment_webhook_url, webhooks)
    base_url = settings.segment_api_url or BASE_URLS[settings.segment_region]
    with PublicApi(base_url, settings.segment_token.get_secret_value()) as api:
        actual = read_workspace(api, desired)
        yield api, steps(desired, actual), actual


def _changes(found: Sequence[Step]) -> list[Change]:
    return [change for step in found for change in step.changes]


def _told(changes: Sequence[Change]) -> list[str]:
    return [line for change in changes for line in _lines(change)]


def _lines(change: Change) -> list[str]:
    head = f"{_SIGNS[change.action]} {change.action} {change.kind} {change.name}"
    return [head, *(f"    {detail}" for detail in change.details)]


def _summary(changes: Sequence[Change]) -> list[str]:
    counts = {action: sum(change.action == action for change in changes) for action in _SIGNS}
    return [", ".join(f"{count} to {action}" for action, count in counts.items() if count)] if changes else []


def _outcome_lines(outcome: Outcome) -> list[str]:
    lines = [f"{outcome.state}: {change.action} {change.kind} {change.name}" for change in outcome.step.changes]
    return [*lines, *([f"    {outcome.problem}"] if outcome.problem else [])]


def _answer(change: Change) -> dict[str, Any]:
    return {"action": change.action, "kind": change.kind, "name": change.name, "details": list(change.details)}


def _outcome_answer(outcome: Outcome) -> dict[str, Any]:
    changes = [_answer(change) for change in outcome.step.changes]
    return {"state": outcome.state, "problem": outcome.problem, "changes": changes}
