"""Figures of retention, erasure and access drift, from the tables of those who carry them out.

Each figure is declared with its table and its SQL. While a table does not exist, or has other columns, its figures
are not measured, and the review says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from analytics_platform.governance.review.content import Figure
from analytics_platform.governance.review.evidence import Evidence, Source

RETENTION = Source(
    "retention", "ops.retention_runs", ("day", "rows_deleted", "rows_surviving"), "what retention deleted and left"
)
ERASURE = Source("erasure", "ops.erasures", ("day", "state"), "requests for erasure and how they stand")
ACCESS = Source(
    "access drift",
    "ops.access_drift",
    ("day", "extra_privileges", "missing_privileges"),
    "what is granted beside the access policy",
)


DRIFT_SOURCES = (RETENTION, ERASURE, ACCESS)


@dataclass(frozen=True)
class DriftFigure:
    """A figure: `value` is SQL over the rows of the quarter; above `is_bad_above` it is a finding."""

    source: Source
    name: str
    value: str
    is_bad_above: int | None = None


FIGURES = (
    DriftFigure(RETENTION, "rows deleted because their time was over", "coalesce(sum(rows_deleted), 0)"),
    DriftFigure(RETENTION, "rows that should be gone and are not", "coalesce(sum(rows_surviving), 0)", is_bad_above=0),
    DriftFigure(ERASURE, "erasures verified", "coalesce(sum(case when state = 'verified' then 1 else 0 end), 0)"),
    DriftFigure(
        ERASURE, "erasures failed", "coalesce(sum(case when state = 'failed' then 1 else 0 end), 0)", is_bad_above=0
    ),
    DriftFigure(ACCESS, "privileges beyond the policy", "coalesce(max(extra_privileges), 0)", is_bad_above=0),
    DriftFigure(ACCESS, "privileges that are missing", "coalesce(max(missing_privileges), 0)", is_bad_above=0),
)


def drift(evidence: Evidence, first: date, last: date) -> tuple[Figure, ...]:
    """All declared figures of the days `first` to `last`."""
    return tuple(_figure(evidence, declared, first, last) for declared in FIGURES)


def _figure(evidence: Evidence, declared: DriftFigure, first: date, last: date) -> Figure:
    source = declared.source
    missing = evidence.missing(source)
    sql = f"select count(*) as seen, {declared.value} as value from {source.table} where day between ? and ?"
    found = evidence.read(source, sql, [first, last])
    if found and not found[0]["seen"]:
        missing = f"{source.table} has no row of these days"
    value = int(found[0]["value"]) if found and not missing else None
    is_bad = value is not None and declared.is_bad_above is not None and value > declared.is_bad_above
    return Figure(area=source.name, name=declared.name, table=source.table, value=value, missing=missing, is_bad=is_bad)
