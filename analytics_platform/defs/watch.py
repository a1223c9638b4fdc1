"""One look at everything that could be wrong: runs, checks, promises, figures, refused events.

The sensor `alerts` looks every minute, `analytics run` and `analytics backfill` look when they are done. All of them
share one position, kept with the incidents, so it does not matter who looks first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.alerting.desk import AlertDesk, OvertakenError, Reading
from analytics_platform.alerting.figures import (
    FIGURES,
    LEDGER_TABLE,
    PROMISES,
    REFUSALS,
    FigureJudges,
    News,
    attainment_rows,
    figure_rows,
    ledger_rows,
    tables_there,
)
from analytics_platform.alerting.findings import SEVERITIES, Observation, Severity
from analytics_platform.alerting.incidents import Event
from analytics_platform.alerting.judges import RUNS_AND_CHECKS, judge_runs
from analytics_platform.catalog import Catalog
from analytics_platform.defs.watching import Graph, Position, Record
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.insights.promises import ATTAINMENT_TABLE
from analytics_platform.warehouse import Warehouse, WarehouseBusyError

RUNS, TABLES = "runs and checks", "figures, promises and refused events"
"""The judges, as the heartbeat names them; the record of each has its name."""

ATTEMPTS = 5
"""Looks that another process overtook before this one gives up; each overtaking means that somebody else judged."""


@dataclass
class Look:
    """What a look came to.

    Attributes:
        runs: runs that were judged.
        events: what happened to incidents.
        open_incidents: how many are not over now, by severity.
        postponed: why figures, promises and refusals were not judged, where they should have been.
    """

    runs: int = 0
    events: Counter[Event] = field(default_factory=Counter)
    open_incidents: Mapping[Severity, int] = field(default_factory=dict)
    postponed: str | None = None

    @property
    def is_news(self) -> bool:
        """Whether any incident changed."""
        return bool(self.events)

    def as_dict(self) -> dict[str, object]:
        """As plain values, for `--json`; the names are stable."""
        return {
            "open": sum(self.open_incidents.values()),
            **{severity: self.open_incidents.get(severity, 0) for severity in reversed(SEVERITIES)},
            "opened": self.events[Event.OPENED] + self.events[Event.REOPENED],
            "recovered": self.events[Event.RECOVERED],
            "postponed": self.postponed,
        }


class Watch:
    """Looks, and hands what it sees to the desk."""

    def __init__(
        self, desk: AlertDesk, catalog: Catalog, warehouse: Warehouse, repository: dg.RepositoryDefinition, zone: str
    ) -> None:
        self._desk = desk
        self._catalog = catalog
        self._warehouse = warehouse
        self._zone = zone
        self._graph = Graph(repository)
        self._judges = FigureJudges(catalog, self._graph.asset_of)

    def look(self, instance: dg.DagsterInstance, now: datetime) -> Look:
        """Judge all that is new, and do what time alone brings.

        Raises:
            OvertakenError: other processes kept judging in between; they have told what there was.
        """
        look = Look()
        position = self._runs(Record(instance, self._graph), look, now)
        self._tables(position, look, now)
        look.events.update(change.event for change in self._desk.settle(now))
        look.open_incidents = self._desk.open_incidents()
        return look

    def _runs(self, record: Record, look: Look, now: datetime) -> Position:
        """Read on until there is no run left; an empty reading shows that somebody looks."""
        overtaken = 0
        while True:
            before = self._desk.position(RUNS)
            position = Position.parse(before, now)
            runs, after = record.read(position)
            seen = judge_runs(runs, self._desk.wrong(RUNS_AND_CHECKS))
            try:
                self._observe(RUNS, seen, Reading(RUNS, before, after.text()), look, now)
            except OvertakenError:
                overtaken += 1
                if overtaken == ATTEMPTS:
                    raise
                continue
            look.runs += len(runs)
            if not runs:
                return after

    def _tables(self, position: Position, look: Look, now: datetime) -> None:
        """Judge the tables when a run has built one of them, or a day has closed, since they were."""
        today = now.astimezone(ZoneInfo(self._zone)).date()
        before, after = self._desk.position(TABLES), f"{today} {position.tables}"
        if before == after:
            return
        news = News(today - timedelta(days=1), self._zone, now)
        try:
            with self._warehouse.reading():
                seen = self._judged_tables(news)
        except WarehouseBusyError as error:
            look.postponed = str(error)
            return
        try:
            self._observe(TABLES, seen, Reading(TABLES, before, after), look, now)
        except OvertakenError:
            look.postponed = "another process has judged them meanwhile"

    def _judged_tables(self, news: News) -> Observation:
        """What the tables say; one that no run has built yet says nothing."""
        there = tables_there(self._warehouse)
        seen: list[Observation] = []
        if ATTAINMENT_TABLE in there:
            known = self._desk.wrong(PROMISES)
            seen.append(self._judges.promises(attainment_rows(self._warehouse, news, known), news, known))
        if ANOMALIES_TABLE in there:
            known = self._desk.wrong(FIGURES)
            rows = figure_rows(self._warehouse, self._catalog, news)
            seen += [self._judges.limits(rows, news, known), self._judges.anomalies(rows, news, known)]
        if LEDGER_TABLE in there:
            known = self._desk.wrong(REFUSALS)
            seen.append(self._judges.refusals(ledger_rows(self._warehouse, news, known), news, known))
        findings = tuple(finding for each in seen for finding in each.findings)
        return Observation(findings, frozenset(right for each in seen for right in each.found_right))

    def _observe(self, judge: str, seen: Observation, reading: Reading, look: Look, now: datetime) -> None:
        hit = {asset: self._graph.dashboards_of(asset) for asset in {each.asset for each in seen.findings}}
        findings = tuple(
            each if each.dashboards else each.model_copy(update={"dashboards": hit[each.asset]})
            for each in seen.findings
        )
        changes = self._desk.observe(judge, seen._replace(findings=findings), now, reading)
        look.events.update(change.event for change in changes)
