"""What a probe answers: what was looked at, what was found, and where something is wrong, the mend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from analytics_platform.catalog import CatalogError

Outcome = Literal["ok", "warn", "fail", "skipped"]
"""`fail`: something will not work, or break a promise. `warn`: it works, and somebody should know. `skipped`: nobody
looked, and `found` says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer.

    Attributes:
        outcome: how it is.
        looked_at: what was looked at, in a few words.
        found: what was seen, or what is wrong, or why nobody looked.
        mend: the setting or the command that mends it; of warnings and failures alone.
    """

    outcome: Outcome
    looked_at: str
    found: str
    mend: str | None = None


def ok(looked_at: str, found: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", looked_at, found)


def warn(looked_at: str, found: str, mend: str) -> Finding:
    """It works, and somebody should know."""
    return Finding("warn", looked_at, found, mend)


def fail(looked_at: str, found: str, mend: str) -> Finding:
    """It does not work, or a promise does not hold."""
    return Finding("fail", looked_at, found, mend)


def skipped(looked_at: str, why: str) -> Finding:
    """Nobody looked."""
    return Finding("skipped", looked_at, why)


def told_by(looked_at: str, error: Exception, *, mend: str) -> Finding:
    """A failure that says its own mend after its last semicolon, as errors of this house do; else the one given."""
    found, told, own = str(error).rpartition("; ")
    return fail(looked_at, found, own) if told else fail(looked_at, own, mend)


def problems_of(error: CatalogError, folder: Path = Path()) -> Iterator[Finding]:
    """A failure for each problem of declarations; `folder` is where their files are, where they do not say it."""
    for problem in error.problems:
        yield fail(str(folder / problem.file), f"{problem.field}: {problem.what}", problem.mend)
