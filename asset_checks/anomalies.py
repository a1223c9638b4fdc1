"""A warning per KPI where a series has an anomaly, with tenant, series, day and what was expected."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from asset_checks.factory import Facts, Scope, check

_QUERY = (
    "select cast(day as varchar) as day, tenant_id, series, rule, reason, is_anomaly, score "
    f"from {ANOMALIES_TABLE} where kpi = ? and day between ? and ?"
)


def anomaly_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """One check per KPI, and one of the table as a whole."""
    return [_keyed_check(partitions), *(_check(kpi, partitions) for kpi in catalog.kpis)]


def no_anomaly(rows: Sequence[Mapping[str, Any]]) -> Facts:
    """No series has an anomaly; the newest come first, and of a day those that are furthest off."""
    found = [row for row in rows if row["is_anomaly"]]
    found.sort(key=lambda row: (row["day"], abs(row["score"] or 0.0)), reverse=True)
    offenders = [f"{row['day']} {row['tenant_id']} {row['series']}: {row['reason']} ({row['rule']})" for row in found]
    judged = sum(row["score"] is not None or row["is_anomaly"] for row in rows)
    counts = {"series_days": len(rows), "judged_series_days": judged, "anomalies": len(found)}
    summary = f"{len(found)} of {len(rows)} series-days are anomalies"
    return Facts(not found, summary, counts, offenders, judged, len(found))


def keyed_by_series_day(rows: Sequence[Mapping[str, Any]]) -> Facts:
    """No series has two verdicts on a day, and none is without one of the names that tell it.

    Args:
        rows: `day`, `tenant_id`, `kpi`, `series` and in how many `rows` they stand.
    """
    wrong = [row for row in rows if row["rows"] > 1 or None in row.values()]
    offenders = [f"{row['day']} {row['tenant_id']} {row['kpi']} {row['series']}: {row['rows']} rows" for row in wrong]
    summary = f"{len(wrong)} of {len(rows)} series-days have more than one verdict or no name"
    return Facts(not wrong, summary, {"series_days": len(rows)}, offenders, len(rows), len(wrong))


def _keyed_check(partitions: Partitions) -> dg.AssetChecksDefinition:
    """What `keyed_by` is for dbt's models."""

    def judge(scope: Scope) -> dict[str, Facts]:
        rows = scope.warehouse.query(
            "select day, tenant_id, kpi, series, count(*) as rows "
            f"from {ANOMALIES_TABLE} where day between ? and ? group by all",
            scope.days(),
        )
        return {day: keyed_by_series_day(part.to_pylist()) for day, part in scope.by_day(rows).items()}

    return check(
        keys.ANOMALIES,
        "keyed_by_day_tenant_kpi_series",
        judge,
        description="One row per day, tenant, KPI and series.",
        dimension="uniqueness",
        partitions_def=partitions.day,
    )


def _check(kpi: str, partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
        by_day: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in scope.warehouse.query(_QUERY, [kpi, *scope.days()]).to_pylist():
            by_day[row["day"]].append(row)
        return {day: no_anomaly(by_day[day]) for day in scope.partition_keys or list(by_day)}

    return check(
        keys.ANOMALIES,
        f"no_anomaly_in_{kpi}",
        judge,
        description="Every series of the KPI is within what its own history and the declared rules let expect.",
        dimension="accuracy",
        severity=dg.AssetCheckSeverity.WARN,
        partitions_def=partitions.day,
    )
