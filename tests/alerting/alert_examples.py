"""Findings, times and a desk that the tests of alerting share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics_platform.alerting.desk import AlertDesk
from analytics_platform.alerting.findings import Amount, Failure, Finding, Observation
from analytics_platform.alerting.incidents import Damping, Incident
from analytics_platform.alerting.messages import Places
from analytics_platform.alerting.outbox import Waiting
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog

DAY = date(2026, 11, 24)
START = datetime(2026, 11, 25, 5, 30, tzinfo=UTC)
PLACES = Places("https://dagster.example/", "https://wiki.example/runbooks", "Europe/Amsterdam")
DAMPING = Damping()


def after(**span: float) -> datetime:
    """A time so long after the start."""
    return START + timedelta(**span)


def finding(**changed: Any) -> Finding:
    """A blocking check on MRR that failed for one tenant and day (gold, so critical)."""
    usual: dict[str, Any] = {
        "failure": Failure.CHECK_FAILED,
        "asset": "kpi/revenue/kpi_mrr",
        "dataset": "kpi.kpi_mrr",
        "check": "movements_reconcile",
        "tenant": "delta-events",
        "day": DAY,
        "since": START,
        "observed": Amount(value=12, unit="rows"),
        "promised": Amount(value=0, unit="rows"),
        "blocking": True,
        "run_id": "run-1",
    }
    return Finding(**{**usual, **changed})


def failed_run(**changed: Any) -> Finding:
    return finding(**{"failure": Failure.RUN_FAILED, "check": None, "observed": None, "promised": None, **changed})


def warning(**changed: Any) -> Finding:
    """A check that does not block: a warning."""
    return finding(**{"check": "volume_is_usual", "blocking": False, **changed})


def wrong(*findings: Finding) -> Observation:
    return Observation(findings)


def right(*findings: Finding) -> Observation:
    """What was judged again and found right."""
    return Observation((), frozenset(each.fingerprint for each in findings))


class Desk:
    """A desk with its store, and what tests ask of both."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self.store = SqliteStore(folder / "alerts.sqlite")
        self.desk = AlertDesk(catalog, self.store, PLACES, DAMPING)

    def see(self, observation: Observation, at: datetime = START) -> list[str]:
        """Take in what a judge saw; answers the events."""
        return [change.event.value for change in self.desk.observe("checks", observation, at)]

    def settle(self, at: datetime) -> list[str]:
        return [change.event.value for change in self.desk.settle(at)]

    @property
    def incidents(self) -> list[Incident]:
        with self.store.transaction() as session:
            return session.incidents()

    @property
    def incident(self) -> Incident:
        (only,) = self.incidents
        return only

    @property
    def outbox(self) -> list[Waiting]:
        with self.store.transaction() as session:
            return session.outbox()

    @property
    def states(self) -> list[str]:
        return [each.state for each in self.outbox]

    def said(self) -> list[str]:
        """Kinds of messages in order, but for edits that a newer one took the place of."""
        return kinds(each for each in self.outbox if each.state != "superseded")


def kinds(messages: Iterable[Waiting]) -> list[str]:
    return [each.message.kind for each in messages]
