"""The rules that a KPI's figures are watched by: what counts as an anomaly, and what somebody is told of.

An anomaly is a figure that its own history does not explain; it becomes a row and a warning. An alert is a figure that
the business has said it does not want; the rules are here, the sending is elsewhere. What a rule computes is in
:mod:`analytics_platform.insights`.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, wrong
from analytics_platform.catalog.values import Name

Severity = Literal["info", "warning", "critical"]
Measure = Literal["percent", "points"]
Positive = Annotated[float, Constrained(gt=0)]
Days = Annotated[int, Constrained(ge=1)]
Limited = TypeVar("Limited", "LimitsRule", "AlertRule")


class SeasonalRule(Declared):
    """More than ``threshold`` robust standard deviations from what weekday and level let expect.

    Nothing is judged before ``min_history_days`` days with a figure.
    """

    threshold: Positive = 3.8
    min_history_days: Annotated[int, Constrained(ge=14)] = 28


class LimitsRule(Declared):
    """Figures that cannot be right, in the KPI's unit; the limits themselves are allowed."""

    lower: float | None = None
    upper: float | None = None

    @model_validator(mode="after")
    def _limits_leave_room(self) -> "LimitsRule":
        return _leaves_room(self)


class ChangeRule(Declared):
    """A figure that moved by more than ``at_most`` against ``days`` days before, in percent of it or in points."""

    at_most: Positive
    measure: Measure
    days: Days = 1


class AnomalyRules(Declared):
    """How the series of a KPI are judged, day by day; a rule that is null is not applied.

    ``owner`` is who is told, the KPI's by default. ``missing`` reports days without a figure where there always
    was one. ``sub_series`` are the drill-down columns by whose values the total is judged as well.
    """

    severity: Severity
    owner: Name | None = None
    seasonal: SeasonalRule | None = SeasonalRule()
    limits: LimitsRule | None = None
    change: ChangeRule | None = None
    missing: bool = True
    sub_series: Listed[Name] = ()


class AlertRule(Declared):
    """A figure that somebody is to be told of.

    ``target``: short of the KPI's target by more than ``tolerance`` on ``days`` days in a row. ``limits``: below
    ``lower`` or above ``upper`` on that many days in a row. ``change``: moved by more than ``at_most`` (in ``measure``)
    against the figure of ``days`` days before, in the direction that is not wanted.
    """

    name: Name
    kind: Literal["target", "limits", "change"]
    severity: Severity
    owner: Name | None = None
    days: Days = 1
    tolerance: Annotated[float, Constrained(ge=0)] = 0.0
    lower: float | None = None
    upper: float | None = None
    at_most: Positive | None = None
    measure: Measure | None = None

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> "AlertRule":
        if self.kind == "limits":
            _leaves_room(self)
        elif self.lower is not None or self.upper is not None:
            raise wrong(f"a {self.kind} rule has no limits", "remove lower and upper, or write kind: limits")
        if (self.kind == "change") != (self.at_most is not None and self.measure is not None):
            raise wrong("at_most and measure belong to a change rule and to no other", "write both there, or neither")
        return self


def _leaves_room(rule: Limited) -> Limited:
    if rule.lower is None and rule.upper is None:
        raise wrong("limits nothing", "write lower, upper or both")
    if rule.lower is not None and rule.upper is not None and rule.lower >= rule.upper:
        raise wrong(f"{rule.lower} leaves nothing below {rule.upper}", "write a smaller number", field="lower")
    return rule
