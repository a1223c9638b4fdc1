"""Tables of `ops` with quality in them, for tests of what reads them: promises and checks of every outcome.

Rows are written out with few words (`a_check(failed=3, checked=100)`, `a_promise(is_attained=False)`) and come with the
columns and types that the graph writes.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from analytics_platform.defs.check_results import CHECK_RESULTS_TABLE
from analytics_platform.defs.check_results import SCHEMA as CHECK_RESULTS_SCHEMA
from analytics_platform.insights.promises import (
    COMPLETE,
    COMPLETE_BY_DEADLINE,
    LATE,
    NOT_EXPECTED,
    Attainment,
)
from analytics_platform.warehouse import Warehouse

DAY = date(2026, 3, 2)


def a_check(day: date = DAY, **said: Any) -> dict[str, Any]:
    """A row of `ops.check_results`: a check that held over 100 units, unless said otherwise.

    With `failed` units the check did not pass; each row has a time of its own when `evaluated_at` is given.
    """
    failed = said.get("failed", 0)
    row = {
        "day": day,
        "evaluated_at": datetime.combine(day, time(3), UTC),
        "asset": "kpi/revenue/kpi_mrr",
        "check_name": "mrr_movements_reconcile",
        "partition": (day - timedelta(days=1)).isoformat(),
        "dataset": "kpi.kpi_mrr",
        "dimension": "accuracy",
        "severity": "ERROR",
        "blocking": False,
        "passed": not failed,
        "could_not_run": False,
        "checked": 100,
        "failed": failed,
        "threshold": None,
        "run_id": f"run-{day}",
    }
    return _overlaid(row, said)


def a_promise(day: date = DAY, **said: Any) -> Attainment:
    """A row of `ops.sla_attainment`: kept an hour before its deadline, unless said otherwise.

    With `is_attained=False` it was attained two hours late; with None nothing was to be expected.
    """
    promised_at = said.get("promised_at", datetime.combine(day + timedelta(days=1), time(5), UTC))
    is_attained = said.get("is_attained", True)
    row = {
        "day": day,
        "tenant_id": "brabant-rental",
        "dataset": "kpi.kpi_mrr",
        "tier": "gold",
        "owner": "finance",
        "severity": "critical",
        "promise": COMPLETE_BY_DEADLINE,
        "promised_at": promised_at,
        "attained_at": promised_at + timedelta(hours=-1 if is_attained else 2) if is_attained is not None else None,
        "is_attained": is_attained,
        "reason": {True: COMPLETE, False: LATE, None: NOT_EXPECTED}[is_attained],
        "landed_at": promised_at - timedelta(hours=4) if is_attained is not None else None,
        "objects": 1 if is_attained is not None else 0,
    }
    return Attainment(**_overlaid(row, said))


def write_check_results(warehouse: Warehouse, rows: Iterable[dict[str, Any]]) -> None:
    """Put rows in the place of the whole table."""
    warehouse.replace_table(CHECK_RESULTS_TABLE, pa.Table.from_pylist(list(rows), CHECK_RESULTS_SCHEMA))


def _overlaid(row: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    return {**row, **said}
