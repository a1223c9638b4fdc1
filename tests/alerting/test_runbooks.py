"""Every class of failure has its runbook, and every command in one is a command that there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from alert_examples import DAMPING, PLACES, START, finding, wrong

from analytics_platform.alerting.findings import Failure
from analytics_platform.alerting.incidents import LifeCycle
from analytics_platform.alerting.messages import Pulse, Words
from analytics_platform.alerting.repair import NOT_REPAIRED_BY_BUILDING, RUNBOOKS, runbook_of
from analytics_platform.alerting.routing import Router
from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.settings import PROJECT_ROOT

PAGES = sorted((PROJECT_ROOT / RUNBOOKS).glob("*.md"))
SECTIONS = ["Symptom", "Impact", "First look", "Mend", "Repair", "Verify", "Tell", "Escalate"]
FENCED = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(analytics [^`]+)`")


def commands(page: Path) -> list[str]:
    text = page.read_text()
    fenced = [line.strip() for block in FENCED.findall(text) for line in block.splitlines()]
    return [*fenced, *INLINE.findall(FENCED.sub("", text))]


def parsed(command: str) -> click.Context:
    """What click makes of a command; raises where it is none. Arguments in capitals stand for the reader's own."""
    program, *arguments = shlex.split(command)
    assert program == "analytics"
    context = main.make_context("analytics", arguments, resilient_parsing=False)
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = context.command.resolve_command(context, rest)
        assert found is not None, name
        context = found.make_context(name, rest, parent=context)
    return context


def test_there_is_a_runbook_for_every_class_of_failure_and_for_silence() -> None:
    assert {page.stem for page in PAGES} == {failure.value for failure in Failure} | {"heartbeat"}
    assert all((PROJECT_ROOT / runbook_of(failure)).is_file() for failure in Failure)


def runbooks_in(text: str) -> list[str]:
    """The pages that a message leads to, by their names in the repository."""
    assert PLACES.runbook_url is not None
    return re.findall(rf"<{re.escape(PLACES.runbook_url)}/([a-z_]+\.md)\|Runbook>", text)


@pytest.mark.parametrize("failure", Failure)
def test_at_once_or_in_the_digest_an_alert_leads_to_its_runbook(failure: Failure, catalog: Catalog) -> None:
    incident = LifeCycle(Router(catalog), DAMPING).observe([], wrong(finding(failure=failure)), START)[-1].incident
    words = Words(catalog, PLACES)
    for message in (words.parent(incident), words.digest(incident.channel, [incident], [], START)):
        assert runbooks_in(message.text) == [Path(runbook_of(failure)).name]


def test_the_heartbeat_leads_to_its_runbook(catalog: Catalog) -> None:
    message = Words(catalog, PLACES).heartbeat("#data-platform", Pulse({}, {}, 0), START)
    (name,) = runbooks_in(str(message.blocks))
    assert (PROJECT_ROOT / RUNBOOKS / name).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_goes_from_the_first_look_to_whom_to_call(page: Path) -> None:
    headings = [line.removeprefix("## ") for line in page.read_text().splitlines() if line.startswith("## ")]
    assert headings == SECTIONS


@pytest.mark.parametrize(
    ("page", "command"),
    [(page, command) for page in PAGES for command in commands(page)],
    ids=lambda value: value.stem if isinstance(value, Path) else value[:40],
)
def test_a_runbooks_commands_are_commands(page: Path, command: str) -> None:
    if command == "analytics import PATH":
        command = f"analytics import {page}"
    assert parsed(command).command.name


@pytest.mark.parametrize("failure", Failure)
def test_a_runbook_has_the_backfill_exactly_where_building_repairs(failure: Failure) -> None:
    said = commands(PROJECT_ROOT / runbook_of(failure))
    has_backfill = any(command.startswith("analytics backfill ") for command in said)
    assert has_backfill == (failure not in NOT_REPAIRED_BY_BUILDING)


def test_a_command_that_there_is_not_would_be_found() -> None:
    for unknown in ("analytics backfil --reason x", "analytics backfill --day 2026-01-01", "analytics alerts note"):
        with pytest.raises((click.UsageError, click.exceptions.NoSuchOption)):
            parsed(unknown)
