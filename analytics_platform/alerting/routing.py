"""Who is told, how urgently, and which incident a finding belongs to. Pure.

    failure                     severity                                      told
    run, SLA, dead letters      the tier's; warning without a tier            critical: now
    check, blocking             the tier's, at least warning                  warning, info: daily digest
    check, not blocking         the tier's, at most warning
    KPI limit, anomaly          as the rule declares, else the tier's
    retention, access           critical

A finding for which nobody is declared goes to the platform's own team: it is told rather than swallowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from analytics_platform.alerting.findings import SEVERITIES, Failure, Finding, Severity
from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError

PLATFORM_OWNER = "data_platform"
"""Who answers for the alerts themselves, and for what nobody else does."""

Delivery = Literal["now", "digest"]


class NobodyToTellError(AnalyticsError):
    """The catalogue declares no team that could be told."""


@dataclass(frozen=True)
class Route:
    """Where a finding goes."""

    owner: str
    channel: str
    severity: Severity
    dashboards: tuple[str, ...]


class Router:
    """The decisions that follow from the catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        if PLATFORM_OWNER not in catalog.owners:
            raise NobodyToTellError(f"owners.yaml: there is no {PLATFORM_OWNER!r}, to whom alerts go; declare it")
        self._catalog = catalog

    def route(self, finding: Finding) -> Route:
        """Owner, channel, severity and dashboards of a finding."""
        dataset = self._catalog.datasets.get(finding.dataset)
        declared = finding.owner or (dataset.owner if dataset else PLATFORM_OWNER)
        owner = declared if declared in self._catalog.owners else PLATFORM_OWNER
        tier = dataset.sla_tier if dataset else None
        promised = self._catalog.sla_tiers[tier].severity if tier else "warning"
        dashboards = finding.dashboards or self._dashboards(finding.dataset)
        return Route(owner, self.channel(owner), severity_of(finding, promised), dashboards)

    def channel(self, owner: str) -> str:
        """The team's Slack channel."""
        return self._catalog.owners[owner].slack_channel

    def _dashboards(self, dataset: str) -> tuple[str, ...]:
        """The dashboards that show a KPI table, an extract or a page, by what is declared."""
        kpis = {kpi.name for kpi in self._catalog.kpis.values() if dataset in (kpi.table, kpi.headline_table)}
        shown = {board.name for board in self._catalog.dashboards.values() if kpis & set(board.kpis)}
        own = {
            board.name
            for board in self._catalog.dashboards.values()
            if dataset == f"dashboard.{board.name}" or dataset.startswith(f"extracts.{board.name}.")
        }
        return tuple(sorted(shown | own))


def severity_of(finding: Finding, promised: Severity) -> Severity:
    """The severity of a finding about a dataset whose tier promises `promised`."""
    if finding.failure in (Failure.RETENTION, Failure.ACCESS):
        return "critical"
    if finding.severity is not None:
        return finding.severity
    if finding.failure is Failure.CHECK_FAILED:
        return gravest((promised, "warning")) if finding.blocking else slightest((promised, "warning"))
    return promised


def delivery_of(severity: Severity) -> Delivery:
    """Whether somebody is told now or by the daily digest."""
    return "now" if severity == "critical" else "digest"


def gravest(severities: Iterable[Severity]) -> Severity:
    """The gravest of some severities."""
    return max(severities, key=SEVERITIES.index)


def slightest(severities: Iterable[Severity]) -> Severity:
    """The slightest of some severities."""
    return min(severities, key=SEVERITIES.index)


def is_one_failure(finding: Finding, failing: Iterable[Finding]) -> bool:
    """Whether a finding and what is failing already are one failure told twice.

    Dagster tells a blocking check that fails by the check and by its run. One run is told with one check: a second
    blocking check of it stays an incident of its own, whichever of them is seen first. And what its judge has
    put together is told together: many partitions of a check, a team's promises about a day.
    """
    failing = tuple(failing)
    if any(_are_told_together(finding, other) for other in failing):
        return True
    if finding.failure is Failure.RUN_FAILED:
        return any(_is_blocking_check(other) and _share_a_run(finding, other) for other in failing)
    if not _is_blocking_check(finding) or any(_is_blocking_check(other) for other in failing):
        return False
    return any(other.failure is Failure.RUN_FAILED and _share_a_run(finding, other) for other in failing)


def _are_told_together(one: Finding, other: Finding) -> bool:
    return one.together is not None and (one.failure, one.together) == (other.failure, other.together)


def _is_blocking_check(finding: Finding) -> bool:
    return finding.check is not None and finding.blocking


def _share_a_run(one: Finding, other: Finding) -> bool:
    same = (one.asset, one.tenant, one.day) == (other.asset, other.tenant, other.day)
    return same and one.run_id is not None and one.run_id == other.run_id
