"""``analytics doctor``: what is wrong with this deployment, and the mend."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Command
from analytics_platform.cli.common import as_json as json_option
from analytics_platform.cli.common import near

if TYPE_CHECKING:
    from analytics_platform.doctor.examination import Looked
    from analytics_platform.doctor.findings import Outcome

_COLOURS: dict[Outcome, str] = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "dim"}
_TOLD: dict[Outcome, str] = {"ok": "ok", "warn": "to look at", "fail": "failed", "skipped": "skipped"}
_NAME, _OUTCOME = 11, 7
_INDENT = _NAME + _OUTCOME + 2
_WIDEST, _NARROWEST, _ONE_LINE = 110, 30, 1_000_000
_WRAPPER = partial(textwrap.TextWrapper, break_long_words=False, break_on_hyphens=False)
"""A path, an address or a command is copied whole."""


class ProbeNames(click.ParamType):  # type: ignore[type-arg]
    """The name of a probe; the list of them is only read when somebody names one."""

    name = "probe"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or wrong usage."""
        from analytics_platform.doctor.probes import PROBES

        known = [probe.name for probe in PROBES]
        if value not in known:
            self.fail(f"{value!r} is no probe; {near(value, 'probes', known)}", param, ctx)
        return value


@click.command(cls=Command)
@click.option("--only", type=ProbeNames(), multiple=True, help="Only this probe; may be given several times.")
@click.option("--thorough", is_flag=True, help="Also what takes long: load the asset graph.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Seconds per probe.")
@json_option
def doctor(only: tuple[str, ...], thorough: bool, timeout: float, as_json: bool) -> None:
    """Say what is wrong with this deployment, and the mend.

    Looks at settings, versions, clock, disks, store, warehouse, Dagster, Slack and more (docs/doctor.md), with the
    parts that the platform itself works with. Leaves nothing behind, and shows no secret. Exit code 1 where something
    fails; warnings and what was skipped do not count.

    Examples:
        analytics doctor
        analytics doctor --only store --only warehouse
        analytics doctor --json
    """
    from analytics_platform.doctor.deployment import Deployment
    from analytics_platform.doctor.examination import chosen, examine, outcomes

    deployment = Deployment(is_thorough=thorough or "graph" in only)
    looked = examine(
        deployment, list(chosen(only, deployment)), timeout=timeout, tell=None if as_json else show_findings
    )
    counts = outcomes(looked)
    told = ", ".join(f"{counts[outcome]} {word}" for outcome, word in _TOLD.items() if counts[outcome])
    by_outcome = {str(outcome): counts[outcome] for outcome in _TOLD}
    answer = {"passed": not counts["fail"], **by_outcome, "probes": [asdict(each) for each in looked]}
    show(answer, as_json, ["", told])
    _end(int(bool(counts["fail"])), looked)


def _end(code: int, looked: Sequence[Looked]) -> None:
    """End with a code. What is still at work has threads of its own, for which Python would wait."""
    if any(each.is_overdue for each in looked):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def show_findings(looked: Looked) -> None:
    """Print a probe's findings: its name in front of the first, the mend under what is wrong."""
    from rich.console import Console
    from rich.text import Text

    # It sees by itself whether there is a terminal, how wide it is, and whether somebody has set NO_COLOR.
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    # A log is searched line by line.
    room = min(console.width, _WIDEST) - _INDENT if console.is_terminal else _ONE_LINE
    with console.capture() as told:
        for number, finding in enumerate(looked.findings):
            line = Text().append(f"{'' if number else looked.probe:<{_NAME}} ", style="bold")
            line.append(f"{finding.outcome:<{_OUTCOME}} ", style=_COLOURS[finding.outcome])
            is_named = finding.looked_at.lower() != looked.probe
            text = f"{finding.looked_at}: {finding.found}" if is_named else finding.found
            console.print(line.append(_wrapped(text, room)))
            if finding.mend:
                console.print(f"{'':{_INDENT}}→ {_wrapped(finding.mend, room - 2, 2)}")
    # Written by us: where nobody reads any more, rich would end the process with a code of its own.
    sys.stdout.write(told.get())
    sys.stdout.flush()


def _wrapped(text: str, room: int, indent: int = 0) -> str:
    """A text in lines of at most so many characters; the second and all further ones begin below the first."""
    lines = [part for line in text.splitlines() for part in _WRAPPER(max(room, _NARROWEST)).wrap(line)]
    return f"\n{'':{_INDENT + indent}}".join(lines)
