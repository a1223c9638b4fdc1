"""Homes that live through a stage, disturbed or not, and what is found in them: the tests' end of `victim`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disturbance import Kind

ROOMS = ("alerting", "governance", "intake")
"""Folders of tests whose helpers are at hand here: faults are played on every room."""


@dataclass(frozen=True)
class Life:
    """How a stage ended.

    Attributes:
        died: it was killed.
        done: it came to its end, and said so.
        points: those that it passed, where it could still say so.
        error: what it said instead.
    """

    died: bool
    done: bool
    points: int
    error: str

    @property
    def said(self) -> str:
        """Its end in a word."""
        return "killed" if self.died else self.error.strip().rpartition("\n")[2] or "done"


class Lives:
    """Processes that run stages, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, stage: str, home: Path, kind: Kind = "none", at: int = 0, *, seconds: float | None = None) -> Life:
        """Run a stage; `kind` strikes at point `at`, or a kill after so many seconds."""
        asked = {"stage": stage, "home": str(home), "kind": kind, "at": at, "seconds": seconds}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        said = json.loads(answer["said"] or '{"points": 0, "error": ""}')
        return Life(answer["died"], answer["code"] == 0, said["points"], said["error"])

    def run_undisturbed(self, home: Path, *stages: str) -> int:
        """Run stages that have to come to their ends; answers the points of the last."""
        points = 0
        for stage in stages:
            life = self.run(stage, home)
            assert life.done, f"{stage}: {life}"
            points = life.points
        return points

    def judged(self, judge: str, home: Path) -> dict[str, Any]:
        """What a judge finds in a home."""
        self.run_undisturbed(home, judge)
        path = home.parent / f"{home.name}.judged"
        found: dict[str, Any] = json.loads(path.read_text())
        path.unlink()
        return found


@contextmanager
def lives() -> Iterator[Lives]:
    """A process that has imported all that stages need."""
    program = Path(__file__).with_name("victim.py")
    # A program of its own finds the helpers of all tests as pytest does.
    folders = [str(Path(__file__).parents[1] / room) for room in ROOMS]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, *folders])}
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Lives(process)


def differences(found: Any, expected: Any, where: str = "") -> list[str]:
    """Where two findings differ, by path; of what one of them lacks the path alone."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted({*found, *expected})
        return [
            each
            for name in names
            for each in (
                differences(found[name], expected[name], f"{where}/{name}")
                if name in found and name in expected
                else [f"{where}/{name} is {'over' if name in found else 'missing'}"]
            )
        ]
    return [] if found == expected else [f"{where} is {found!r}, not {expected!r}"]
