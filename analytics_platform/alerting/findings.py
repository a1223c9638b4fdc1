"""What can be wrong, as typed facts.

A finding holds names, numbers and times, and no free text: so neither a row, nor an error message that quotes one, nor
personal data can come into an alert.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Severity = Literal["critical", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the least to the gravest."""

Unit = Literal[
    "rows", "events", "percent", "points", "minutes", "score", "minor units", "privileges", "failures", "count"
]
AssetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(/[a-z0-9_]+)*$", max_length=300)]
"""An asset key as Dagster writes it for people, such as kpi/revenue/kpi_mrr."""
CheckName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$", max_length=300)]
"""The name of a check, of a KPI's rule, or of what governance looks for."""
RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GroupName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Failure(StrEnum):
    """The class of what is wrong."""

    RUN_FAILED = "run_failed"
    CHECK_FAILED = "check_failed"
    SLA_BREACHED = "sla_breached"
    KPI_LIMIT = "kpi_limit"
    ANOMALY = "anomaly"
    DEAD_LETTERS = "dead_letters"
    RETENTION = "retention"
    ACCESS = "access"


STANDING = frozenset({Failure.KPI_LIMIT, Failure.ANOMALY})
"""States of a figure that go on from day to day: tomorrow's is today's incident, not a second one."""


class Fact(BaseModel):
    """Base of what is known and kept: frozen, and closed to fields that nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Amount(Fact):
    """A number in a unit."""

    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: Unit


class Moment(Fact):
    """A point in time."""

    at: AwareDatetime


Measured = Amount | Moment


class Fingerprint(NamedTuple):
    """What makes two findings the same: where, about what, and the class of failure."""

    failure: Failure
    asset: str
    check: str | None
    tenant: str | None
    day: date | None


class Finding(Fact):
    """Something that is wrong.

    Attributes:
        failure: its class.
        asset: key of the asset that it is about.
        dataset: that asset's name in the dataset registry, by which owner and tier are known.
        check: name of the check or rule; None for a run, and for a promise about the asset as a whole.
        tenant: whose data; None for all tenants' together.
        day: the partition, or the first of several; None where there is none.
        last_day: the last of several partitions that were judged as one; None where it is `day` alone.
        since: when it went wrong, as far as known.
        observed: what was found; None when nothing is there.
        promised: what it should have been; None when the promise is no number, as for a run.
        severity: as the rule declares it; None leaves it to the dataset's tier.
        owner: as the rule declares it; None leaves it to the dataset.
        dashboards: those downstream; where empty, those that the catalogue knows to show the dataset.
        blocking: whether it keeps what lies downstream from being built.
        run_id: the run that it comes from.
        together: what it is told together with, where one cause breaks more than can be told each for itself; findings
            of one class with the same word are one incident.
        could_not_run: whether the check itself broke, which says nothing about the data.
    """

    failure: Failure
    asset: AssetName
    dataset: str
    check: CheckName | None = None
    tenant: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    day: date | None = None
    last_day: date | None = None
    since: AwareDatetime
    observed: Measured | None = None
    promised: Measured | None = None
    severity: Severity | None = None
    owner: str | None = None
    dashboards: tuple[str, ...] = ()
    blocking: bool = False
    run_id: RunId | None = None
    together: GroupName | None = None
    could_not_run: bool = False

    @property
    def fingerprint(self) -> Fingerprint:
        """What makes it the same finding when it is seen again."""
        day = None if self.failure in STANDING else self.day
        return Fingerprint(self.failure, self.asset, self.check, self.tenant, day)

    @property
    def days(self) -> tuple[date, date] | None:
        """First and last day that it is about; None where it is of no day."""
        return (self.day, self.last_day or self.day) if self.day else None


class Observation(NamedTuple):
    """What a judge saw: what is wrong, and what else it judged and found right.

    What is in neither was not judged, and is believed to be as it was.
    """

    findings: tuple[Finding, ...]
    found_right: frozenset[Fingerprint] = frozenset()
