"""Incidents as a table, for `ops.incidents`, the weekly report and the quarterly review."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import UTC, datetime

import pyarrow as pa

from analytics_platform.alerting.incidents import Incident
from analytics_platform.alerting.repair import next_step

INCIDENTS_TABLE = "ops.incidents"

_TIME = pa.timestamp("us", "UTC")

INCIDENTS_SCHEMA = pa.schema(
    [
        pa.field("incident_id", pa.string(), nullable=False),
        pa.field("failure", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("owner", pa.string(), nullable=False),
        pa.field("asset", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("check_name", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("partition_day", pa.date32()),
        pa.field("since", _TIME, nullable=False),
        pa.field("opened_at", _TIME, nullable=False),
        pa.field("recovered_at", _TIME),
        pa.field("minutes_to_detect", pa.float64(), nullable=False),
        pa.field("minutes_to_repair", pa.float64()),
        pa.field("openings", pa.int32(), nullable=False),
        pa.field("cause", pa.string()),
        pa.field("next_step", pa.string()),
        pa.field("dashboards", pa.string(), nullable=False),
    ]
)
"""One row per incident. `dashboards` is a comma-separated list; minutes count from `since` to `opened_at`, and on to
`recovered_at` (null while it is not over). `cause` is what people found out; `next_step` what they said is next, else
what repairs it, and null when it is over. `partition_day` is the first of several days that are told together."""


def incidents_table(incidents: Iterable[Incident], tenants: Container[str]) -> pa.Table:
    """The incidents in `INCIDENTS_SCHEMA`; `tenants` are those that are registered."""
    return pa.Table.from_pylist([_row(incident, tenants) for incident in incidents], schema=INCIDENTS_SCHEMA)


def _row(incident: Incident, tenants: Container[str]) -> dict[str, object]:
    opened_for = incident.cause
    recovered = incident.recovered_at
    return {
        "incident_id": incident.id,
        "failure": opened_for.failure.value,
        "severity": incident.severity,
        "status": incident.status,
        "owner": incident.owner,
        "asset": opened_for.asset,
        "dataset": opened_for.dataset,
        "check_name": opened_for.check,
        "tenant_id": opened_for.tenant,
        "partition_day": opened_for.day,
        "since": opened_for.since.astimezone(UTC),
        "opened_at": incident.opened_at.astimezone(UTC),
        "recovered_at": recovered.astimezone(UTC) if recovered else None,
        "minutes_to_detect": _minutes(opened_for.since, incident.opened_at),
        "minutes_to_repair": _minutes(incident.opened_at, recovered) if recovered else None,
        "openings": len(incident.openings),
        "cause": incident.note.cause if incident.note else None,
        "next_step": next_step(incident, tenants),
        "dashboards": ",".join(incident.dashboards),
    }


def _minutes(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() / 60)
