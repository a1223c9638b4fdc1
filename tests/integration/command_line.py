"""Homes that are worked on through the `analytics` command, and one of two tenants whose first days it has run.

Belongs here: the command, and its first import, run and query, which take most of a minute and are the same for all who
begin with them. Stays out: what comes of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prepared import copied
from two_tenants import FIRST, LAST, business, write

from analytics_platform.cli import main

COUNTED = "select count(*) as days from kpi.kpi_mrr"
"""What the first query asks."""


@dataclass(frozen=True)
class Home:
    """A fresh deployment and its command line.

    Its first run is a process of its own, as is a command that fails; starting one takes up to six seconds, so the rest
    of the story calls the same command in this process.
    """

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"ANALYTICS_HOME": str(self.path), "DAGSTER_DISABLE_TELEMETRY": "yes"}

    def process(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "analytics_platform.cli", *arguments],
            env={**os.environ, **self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = CliRunner().invoke(main, arguments, env=self.environment, catch_exceptions=False)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def answer(self, *arguments: str) -> Any:
        return answer_of(self.called(*arguments, "--json"))

    def sql(self, query: str) -> list[dict[str, Any]]:
        done = self.called("sql", query, "--format", "json")
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows


def answer_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Deployment:
    """A folder with a home, the file that was imported into it, and what the first commands have said."""

    folder: Path

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @property
    def events(self) -> Path:
        return self.folder / "history.ndjson.gz"

    def said(self, command: str) -> Any:
        return json.loads((self.folder / f"{command}.json").read_text())


def first_run_of(factory: pytest.TempPathFactory, folder: Path) -> Deployment:
    """The two tenants' days, imported, run and asked for; a copy of what the session's tests share."""
    return Deployment(copied(factory, "first_run", folder, _commanded))


def _commanded(folder: Path) -> None:
    made = Deployment(folder)
    write(made.events, business())
    for how, command, *arguments in (
        (made.home.called, "import", str(made.events), "--json"),
        (made.home.process, "run", "--from", FIRST, "--to", LAST, "--json"),
        (made.home.called, "sql", COUNTED, "--format", "json"),
    ):
        answer = answer_of(how(command, *arguments))
        (folder / f"{command}.json").write_text(json.dumps(answer))
