"""What a weekly report tells beside the KPIs: anomalies, promises about time, and incidents, out of the warehouse.

Rows are filtered in the query, so a tenant's report never holds another's. A table that was never built is None and
not an empty list: nothing known is not nothing wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.insights.currencies import with_currencies
from analytics_platform.reporting.periods import Span
from analytics_platform.reporting.sources import STAFF
from analytics_platform.warehouse import Warehouse

SLA_TABLE = "ops.sla_attainment"
INCIDENTS_TABLE = "ops.incidents"

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class WeekFacts:
    """What one audience is told; None where the table was never built.

    Attributes:
        anomalies: day, tenant_id, kpi, series, observed, expected, rule, score, currency (None is the reporting one, or
            no money); furthest off first.
        promises: tier, tenant_id, kept, due per tier and tenant, over the week.
        incidents: severity, failure, asset, tenant_id, since, owner, next_step; gravest and oldest first.
    """

    anomalies: Rows | None
    promises: Rows | None
    incidents: Rows | None


def week_facts(warehouse: Warehouse, catalog: Catalog, audience: str, week: Span, seen_at: datetime) -> WeekFacts:
    """Read what an audience is told of a week.

    Args:
        warehouse: where the tables are.
        catalog: knows which KPIs are money.
        audience: whose report it is.
        week: its days.
        seen_at: incidents are those that were open then.
    """
    present = _present(warehouse)
    own = "true" if audience == STAFF else "tenant_id = ?"
    whose = [] if audience == STAFF else [audience]

    def read(table: str, sql: str, parameters: Sequence[object]) -> Rows | None:
        return warehouse.query(sql, [*parameters, *whose]).to_pylist() if table in present else None

    # An incident's next step is written by colleagues for colleagues: a tenant is told that there is one at most.
    step = "next_step" if audience == STAFF else "cast(null as varchar)"
    anomalies = read(ANOMALIES_TABLE, _ANOMALIES.format(own=own), [week.first, week.last])
    return WeekFacts(
        anomalies and with_currencies(warehouse, catalog, anomalies),
        read(SLA_TABLE, _PROMISES.format(own=own), [week.first, week.last]),
        read(INCIDENTS_TABLE, _INCIDENTS.format(own=own, step=step), [seen_at, seen_at]),
    )


_ANOMALIES = (
    "select cast(day as date) as day, tenant_id, kpi, series, observed, expected, rule, score "
    f"from {ANOMALIES_TABLE} where is_anomaly and day between ? and ? and {{own}} "
    "order by abs(coalesce(score, 0)) desc, day desc, kpi, tenant_id, series"
)
_PROMISES = (
    "select tier, tenant_id, count(*) filter (where is_attained) as kept, count(is_attained) as due "
    f"from {SLA_TABLE} where day between ? and ? and {{own}} group by tier, tenant_id order by tier, tenant_id"
)
_INCIDENTS = (
    "select severity, failure, asset, tenant_id, since, owner, {step} as next_step "
    f"from {INCIDENTS_TABLE} where opened_at <= ? and (recovered_at is null or recovered_at > ?) and {{own}} "
    "order by case severity when 'critical' then 0 when 'warning' then 1 else 2 end, since, incident_id"
)


def _present(warehouse: Warehouse) -> frozenset[str]:
    rows = warehouse.query("select table_schema || '.' || table_name as name from information_schema.tables")
    return frozenset(row["name"] for row in rows.to_pylist())
