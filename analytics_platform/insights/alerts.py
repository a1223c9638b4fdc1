"""Alert rules over KPI figures: which of the declared rules apply to a day, and whom they concern.

Pure; sending is elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from analytics_platform.catalog import AlertRule, Catalog, Kpi, Severity


@dataclass(frozen=True)
class KpiFigure:
    """A KPI's headline for one tenant (or ``all``) and day; None where there is nothing to divide by."""

    kpi: str
    tenant_id: str
    day: date
    value: float | None


@dataclass(frozen=True)
class Alert:
    """A rule that applies.

    Attributes:
        kpi: name of the KPI.
        rule: name of the rule.
        tenant_id: whose figure, or ``all``.
        day: the day.
        severity: as declared.
        owner: who is told, a name of owners.yaml.
        observed: the day's figure.
        bound: what it should have kept to.
        reason: why, in words.
    """

    kpi: str
    rule: str
    tenant_id: str
    day: date
    severity: Severity
    owner: str
    observed: float
    bound: float
    reason: str


Figures = Mapping[date, float]


def evaluate_alert_rules(catalog: Catalog, figures: Iterable[KpiFigure], day: date) -> list[Alert]:
    """The alerts of one day.

    Args:
        catalog: declares the rules.
        figures: of that day and as many before it as the rules look back; later ones are not looked at.
        day: the day; for a KPI that settles, one that has.
    """
    series: dict[tuple[str, str], dict[date, float]] = defaultdict(dict)
    for figure in figures:
        if figure.value is not None and figure.day <= day:
            series[figure.kpi, figure.tenant_id][figure.day] = figure.value
    alerts = []
    for (name, tenant), values in sorted(series.items()):
        kpi = catalog.kpis[name]
        for rule in kpi.alerts:
            bound = _broken_bound(kpi, rule, values, day)
            if bound is not None:
                alerts.append(_alert(kpi, rule, tenant, day, values[day], bound))
    return alerts


def _broken_bound(kpi: Kpi, rule: AlertRule, values: Figures, day: date) -> float | None:
    """What the figure should have kept to, None where it did or nothing is known."""
    if day not in values:
        return None
    if rule.kind == "change":
        return _broken_change(kpi, rule, values, day)
    lower, upper = _limits(kpi, rule)
    lasting = [values.get(day - timedelta(n)) for n in range(rule.days)]
    if lower is not None and all(value is not None and value < lower for value in lasting):
        return lower
    if upper is not None and all(value is not None and value > upper for value in lasting):
        return upper
    return None


def _limits(kpi: Kpi, rule: AlertRule) -> tuple[float | None, float | None]:
    if rule.kind == "limits" or kpi.target is None:
        return rule.lower, rule.upper
    return (kpi.target - rule.tolerance, None) if kpi.direction == "up" else (None, kpi.target + rule.tolerance)


def _broken_change(kpi: Kpi, rule: AlertRule, values: Figures, day: date) -> float | None:
    """Only the direction that is not wanted alerts."""
    then = values.get(day - timedelta(rule.days))
    if then is None or rule.at_most is None:
        return None
    room = abs(then) * rule.at_most / 100 if rule.measure == "percent" else rule.at_most
    bound = then - room if kpi.direction == "up" else then + room
    is_worse = values[day] < bound if kpi.direction == "up" else values[day] > bound
    return bound if is_worse else None


def _alert(kpi: Kpi, rule: AlertRule, tenant: str, day: date, observed: float, bound: float) -> Alert:
    side = "below" if observed < bound else "above"
    when = f"against {rule.days} days before" if rule.kind == "change" else f"for {rule.days} days"
    reason = f"{kpi.title} is {observed:,.6g}, {side} {bound:,.6g} {when}"
    return Alert(kpi.name, rule.name, tenant, day, rule.severity, rule.owner or kpi.owner, observed, bound, reason)
