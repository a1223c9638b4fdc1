"""A deployment of a test's own, and what a probe finds there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding
from analytics_platform.settings import Settings


def deployment(home: Path, *, is_thorough: bool = False, **choices: Any) -> Deployment:
    return Deployment(is_thorough, lambda: Settings(home=home, **choices))


def told(findings: Iterable[Finding], *outcomes: str) -> list[str]:
    """What was found, of some outcomes, by default of those that somebody should mend."""
    wanted = outcomes or ("warn", "fail")
    return [f"{each.outcome} {each.looked_at}: {each.found}" for each in findings if each.outcome in wanted]


def the_one(findings: Iterable[Finding], *outcomes: str) -> Finding:
    (found,) = [each for each in findings if each.outcome in (outcomes or ("warn", "fail"))]
    return found
