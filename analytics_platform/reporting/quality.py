"""The quality badge of a number: fresh, late, failing or unknown, from the checks of what it is made of.

Pure: evaluations come from whoever keeps them (`defs.page_quality` reads Dagster's event log). What a check judges is
`asset_checks`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

State = Literal["fresh", "late", "failing", "unknown"]


@dataclass(frozen=True, order=True)
class Evaluation:
    """The latest evaluation of a check of something that a KPI is made of; ``severity`` is ERROR or WARN."""

    asset: str
    check: str
    passed: bool
    severity: str


@dataclass(frozen=True)
class Lineage:
    """What a deployment knows of its KPIs beyond their figures.

    Attributes:
        address: of Dagster's web server; None where there is none to link to.
        assets: path of each KPI's table in the asset graph, by KPI.
        evaluations: of what each KPI is made of, by KPI; a KPI that nobody asked about is missing.
    """

    address: str | None = None
    assets: Mapping[str, str] = field(default_factory=dict)
    evaluations: Mapping[str, Sequence[Evaluation]] = field(default_factory=dict)


@dataclass(frozen=True)
class Badge:
    """How far a number can be relied on, out of how many checks, and which of them do not hold."""

    state: State
    checked: int
    failing: tuple[Evaluation, ...]
    as_of: date | None

    def payload(self, *, with_causes: bool) -> dict[str, Any]:
        """As pages read it; the causes may speak of other tenants, so a tenant's page has the state alone."""
        causes = self.failing if with_causes else ()
        return {
            "state": self.state,
            "checked": self.checked,
            "failing": [{"check": each.check, "asset": each.asset, "severity": each.severity} for each in causes],
            "as_of": self.as_of.isoformat() if self.as_of else None,
        }


def badge(evaluations: Iterable[Evaluation] | None, as_of: date | None, day: date) -> Badge:
    """The badge of a KPI on a page of ``day``.

    A failure counts for more than lateness: a late number is right for its day, a failing one may be wrong. A warning
    does not make a number wrong; it is named, and the state stays. Without any evaluation nothing is known, whatever
    the days say.
    """
    known = sorted(evaluations or ())
    failing = tuple(each for each in known if not each.passed)
    if any(each.severity == "ERROR" for each in failing):
        return Badge("failing", len(known), failing, as_of)
    if as_of is None or as_of < day:
        return Badge("late", len(known), failing, as_of)
    return Badge("fresh" if known else "unknown", len(known), failing, as_of)
