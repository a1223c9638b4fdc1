"""Incidents as a table, for `ops.incidents`, the weekly report and the quarterly review."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa

from analytics_platform.alerting.incidents import Incident

INCIDENTS_TABLE = "ops.incidents"

INCIDENTS_SCHEMA = pa.schema(
    [
        pa.field("incident_id", pa.string(), nullable=False),
        pa.field("failure", pa.string(), nullable=False),
        pa.field("asset", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("check_name", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("owner", pa.string(), nullable=False),
        pa.field("dashboards", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("since", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("opened_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("recovered_at", pa.timestamp("us", "UTC")),
        pa.field("openings", pa.int32(), nullable=False),
        pa.field("minutes_to_detect", pa.float64(), nullable=False),
        pa.field("minutes_to_repair", pa.float64()),
    ]
)
"""One row per incident. `dashboards` is a comma-separated list; minutes count from `since` to `opened_at`, and on to
`recovered_at` (null while it is not over)."""


def incidents_table(incidents: Iterable[Incident]) -> pa.Table:
    """The incidents in `INCIDENTS_SCHEMA`."""
    return pa.Table.from_pylist([_row(incident) for incident in incidents], schema=INCIDENTS_SCHEMA)


def _row(incident: Incident) -> dict[str, object]:
    cause = incident.told
    recovered = incident.recovered_at
    return {
        "incident_id": incident.id,
        "failure": cause.failure.value,
        "asset": cause.asset,
        "dataset": cause.dataset,
        "check_name": cause.check,
        "tenant_id": cause.tenant,
        "day": cause.day,
        "severity": incident.severity,
        "owner": incident.owner,
        "dashboards": ",".join(incident.dashboards),
        "status": incident.status,
        "since": cause.since.astimezone(UTC),
        "opened_at": incident.opened_at.astimezone(UTC),
        "recovered_at": recovered.astimezone(UTC) if recovered else None,
        "openings": len(incident.openings),
        "minutes_to_detect": _minutes(cause.since, incident.opened_at),
        "minutes_to_repair": _minutes(incident.opened_at, recovered) if recovered else None,
    }


def _minutes(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() / 60)
