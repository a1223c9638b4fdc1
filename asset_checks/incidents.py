"""Checks of the table of incidents: reports and reviews rest on it, and an incident that nobody owns is nobody's."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from analytics_platform.alerting.export import INCIDENTS_TABLE
from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from asset_checks.factory import Facts, Scope, check

Row = Mapping[str, Any]


def incident_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks of incidents."""

    def judge(found: Scope) -> Facts:
        return open_incidents_have_an_owner_and_a_next_step(_rows(found), frozenset(catalog.owners))

    return [
        check(
            keys.INCIDENTS,
            "open_incidents_have_an_owner_and_a_next_step",
            judge,
            description="Each open incident is some declared team's, and says what is done next.",
            dimension="completeness",
        ),
        check(
            keys.INCIDENTS,
            "incident_times_are_in_order",
            lambda scope: incident_times_are_in_order(_rows(scope)),
            description="What is over is over after it was opened, and times to detect and repair are those between.",
            dimension="consistency",
        ),
    ]


def open_incidents_have_an_owner_and_a_next_step(rows: Sequence[Row], owners: frozenset[str]) -> Facts:
    """Each open incident has an owner that is declared, and a next step."""
    still_open = [row for row in rows if row["recovered_at"] is None]
    offenders = [row["incident_id"] for row in still_open if row["owner"] not in owners or not row["next_step"]]
    counts = {"incidents": len(rows), "open": len(still_open)}
    summary = f"{len(offenders)} of {len(still_open)} open incidents lack an owner or a next step"
    return Facts(not offenders, summary, counts, offenders, len(still_open), len(offenders))


def incident_times_are_in_order(rows: Sequence[Row]) -> Facts:
    """An id stands for one incident, which ends after it began and is recovered exactly when it has ended."""
    offenders = [row["incident_id"] for row in rows if not _is_in_order(row)]
    repeated = len(rows) - len({row["incident_id"] for row in rows})
    summary = f"{len(offenders)} of {len(rows)} incidents have times that cannot be, {repeated} ids stand twice"
    passed, counts = not offenders and not repeated, {"incidents": len(rows), "repeated": repeated}
    return Facts(passed, summary, counts, offenders, len(rows), len(offenders) + repeated)


def _is_in_order(row: Row) -> bool:
    has_ended = row["recovered_at"] is not None
    ends_after = not has_ended or row["recovered_at"] >= row["opened_at"]
    is_marked = (row["status"] == "recovered") == has_ended == (row["minutes_to_repair"] is not None)
    return bool(ends_after and is_marked and row["minutes_to_detect"] >= 0)


def _rows(scope: Scope) -> list[Row]:
    rows: list[Row] = scope.warehouse.query(f"select * from {INCIDENTS_TABLE}").to_pylist()
    return rows
