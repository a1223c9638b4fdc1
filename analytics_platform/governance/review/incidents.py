"""Incidents of the quarter: what was wrong, why, and how long it took to see and to repair."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from analytics_platform.governance.review.content import IncidentRow, Incidents
from analytics_platform.governance.review.evidence import INCIDENTS, Evidence

_QUERY = (
    f"select {', '.join(INCIDENTS.columns)} from {INCIDENTS.table} "
    "where opened_at < ? and (opened_at >= ? or recovered_at is null or recovered_at >= ?) "
    "order by opened_at, incident_id"
)
_GRAVEST_FIRST = {"critical": 0, "warning": 1, "info": 2}


def incidents(evidence: Evidence, first: date, last: date, time_zone: str) -> Incidents:
    """Incidents opened on the days `first` to `last` of the time zone, or not over when these began; gravest first."""
    zone = ZoneInfo(time_zone)
    begins = datetime.combine(first, time(), zone)
    ends = datetime.combine(last + timedelta(days=1), time(), zone)
    rows = [_row(found) for found in evidence.read(INCIDENTS, _QUERY, [ends, begins, begins])]
    rows.sort(key=lambda row: (_GRAVEST_FIRST.get(row.severity, 3), row.opened_at, row.incident_id))
    return Incidents(
        missing=evidence.missing(INCIDENTS),
        rows=tuple(rows),
        median_minutes_to_detect=_median(row.minutes_to_detect for row in rows),
        median_minutes_to_repair=_median(row.minutes_to_repair for row in rows),
    )


def _row(found: dict[str, Any]) -> IncidentRow:
    same = (
        "incident_id",
        "failure",
        "severity",
        "status",
        "asset",
        "tenant_id",
        "opened_at",
        "recovered_at",
        "openings",
        "cause",
        "next_step",
    )
    return IncidentRow(
        **{name: found[name] for name in same},
        domain=found["owner"],
        check=found["check_name"],
        day=found["partition_day"],
        minutes_to_detect=_minutes(found["minutes_to_detect"]),
        minutes_to_repair=_minutes(found["minutes_to_repair"]),
    )


def _minutes(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 1) if known else None
