"""Flow conversion and tenant activity once more, in plain Python.

Belongs here: naive readings of `kpis.md`. Stays out: drawing facts, assertions.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date

from fixture import Message
from reference import Registry
from reference_growth import month_end, months_from

FlowKey = tuple[date, str, str | None, str, str]


def flow_rows(messages: Sequence[Message], registry: Registry) -> dict[FlowKey, dict[str, int]]:
    """Return the rows of `kpi_flow_conversion`: runs by day, tenant, project, flow and step."""
    outcomes: dict[tuple[FlowKey, str], set[str]] = defaultdict(set)
    flow_runs: dict[tuple[date, str, str | None, str], set[str]] = defaultdict(set)
    for each in messages:
        if each.event == "ui.flow_step":
            own = each.properties
            flow = (registry.on_day(each), each.tenant, each.project, own["flow"])
            flow_runs[flow].add(own["flow_run_id"])
            outcomes[(*flow, own["step"]), own["flow_run_id"]].add(own["outcome"])
    rows: dict[FlowKey, Counter[str]] = defaultdict(Counter)
    for (key, _), told in outcomes.items():
        end = next((outcome for outcome in ("completed", "failed", "abandoned") if outcome in told), "open")
        rows[key].update(["reached", end])
    return {
        key: {
            "flow_runs": len(flow_runs[key[:4]]),
            **{f"{name}_runs": row[name] for name in ("reached", "completed", "failed", "abandoned")},
        }
        for key, row in rows.items()
    }


ActivityKey = tuple[date, str, int]


def activity_rows(
    messages: Sequence[Message], registry: Registry, last: date
) -> dict[ActivityKey, tuple[int | None, int | None, int | None]]:
    """Return whether a tenant was active, on how many days and with how many steps, built up to a day."""
    steps: dict[str, list[date]] = defaultdict(list)
    for each in messages:
        if each.event == "ui.flow_step" and registry.on_day(each) <= last:
            steps[each.tenant].append(registry.on_day(each))
    rows: dict[ActivityKey, tuple[int | None, int | None, int | None]] = {}
    for tenant, taken in steps.items():
        cohort = min(taken).replace(day=1)
        for number in range(months_from(cohort, last) + 1):
            own = [day for day in taken if months_from(cohort, day) == number]
            ended = month_end(cohort, number) <= last
            rows[cohort, tenant, number] = (min(len(own), 1), len(set(own)), len(own)) if ended else (None, None, None)
    return rows
