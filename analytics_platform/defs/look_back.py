"""Which days of the looking-back tables have to be drawn up again: those that time alone may have changed.

Belongs here: spans, for the hourly schedule and for `analytics run` alike. Stays out: what the tables say
(`sla`, `check_results`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions

DAYS_OPEN = 7
"""Days for which a promise that was missed may still be noted as made good late."""


def look_back_spans(
    instance: dg.DagsterInstance, partitions: Partitions, now: datetime
) -> dict[dg.AssetKey, tuple[date, date]]:
    """First and last day to draw up, by table; no day is left out, however long the platform stood still."""
    running = partitions.last_day(now)
    judged, recorded = (_newest(instance, key) for key in keys.LOOKING_BACK)
    judge_from = running - timedelta(days=DAYS_OPEN)
    firsts = {
        keys.SLA_ATTAINMENT: min(judge_from, judged) if judged else judge_from,
        # The day that was recorded last was not over then.
        keys.CHECK_RESULTS: recorded or _first_run(instance, partitions.time_zone) or running,
    }
    return {key: (min(max(first, partitions.first_day), running), running) for key, first in firsts.items()}


def first_run_at(instance: dg.DagsterInstance) -> datetime | None:
    """When the oldest run that Dagster remembers was created; None before the first."""
    runs = instance.get_run_records(limit=1, order_by="create_timestamp", ascending=True)
    return runs[0].create_timestamp if runs else None


def _first_run(instance: dg.DagsterInstance, zone: str) -> date | None:
    began = first_run_at(instance)
    return began.astimezone(ZoneInfo(zone)).date() if began else None


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> date | None:
    built = instance.get_materialized_partitions(key)
    return date.fromisoformat(max(built)) if built else None
