"""What is promised and who answers: owners, SLA tiers, retention classes, access roles, and the registry of datasets.

Only declarations: retention, erasure and grants are carried out elsewhere, from what stands here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, matching, wrong
from analytics_platform.catalog.plan import Event, PiiClass, Stream
from analytics_platform.catalog.values import ClockTime, Name, SlackChannel, Text

_DAYS_A_MONTH = 30.4375  # 365.25 / 12

DatasetName = Annotated[
    str, matching(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", "write a dotted name such as kpi.kpi_mrr")
]
DatasetPattern = Annotated[
    str,
    matching(r"\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.?\*)?", "write a dataset's name, or its beginning and *"),
]


class Owner(Declared):
    """A team that answers for data; in Dagster ``team:<name>``."""

    name: Name
    title: Text
    slack_channel: SlackChannel
    escalation: Text


AssetLayer = Literal[
    "landing",
    "raw",
    "ops",
    "loaded",
    "registry",
    "reference",
    "staging",
    "marts",
    "kpi",
    "extract",
    "dashboard",
    "report",
    "bi",
    "governance",
]
"""A layer of assets, for what is asked of it; ``registry`` is the tables loaded from the tenant registry."""

CheckPattern = Annotated[
    str, matching(r"[a-z][a-z0-9_]*\*?", "write a check's name, or its beginning and *, such as keyed_by*")
]


class SlaTier(Declared):
    """A promise about time, and what is asked of data that is promised.

    ``deadline`` is the time of the next day, in the reporting time zone, by which a closed day is complete;
    ``max_lag_minutes`` is how long landed data may wait for the hourly run; ``severity`` is that of breaking either.
    ``demands`` are the checks that every asset of a layer must have.
    """

    name: Name
    title: Text
    description: Text
    deadline: ClockTime
    max_lag_minutes: int = Constrained(ge=1)
    severity: Literal["critical", "warning", "info"]
    demands: Mapping[AssetLayer, Listed[CheckPattern]]


class Duration(Declared):
    """A length of calendar time; months and years are calendar ones, so it has no fixed number of days."""

    years: int = Constrained(default=0, ge=0, le=10_000)
    months: int = Constrained(default=0, ge=0, le=10_000)
    days: int = Constrained(default=0, ge=0, le=10_000)

    @property
    def about_days(self) -> float:
        """Its length in days with months of average length: for comparison, never for deleting."""
        return (12 * self.years + self.months) * _DAYS_A_MONTH + self.days

    def __str__(self) -> str:
        parts = [
            f"{n} {unit}" for n, unit in ((self.years, "years"), (self.months, "months"), (self.days, "days")) if n
        ]
        return " ".join(parts) or "0 days"


class RetentionClass(Declared):
    """How long data must and may be kept, counted from ``clock``.

    ``business_date`` is the event's own; ``end_of_financial_year`` the end of the financial year that holds it.
    Removal begins ``remove_after`` the clock's start, so that a plan can be approved and carried out before
    ``max_keep``; by default that is ``min_keep``, or ``max_keep`` where nothing has to be kept. ``on_erasure`` says
    what an erasure does to a person's rows: delete them, or keep them with the person severed, for the reason that
    ``kept_because`` gives as a code.
    """

    name: Name
    title: Text
    description: Text
    clock: Literal["business_date", "end_of_financial_year"]
    min_keep: Duration
    max_keep: Duration
    remove_after: Duration | None = None
    on_erasure: Literal["delete", "sever"] = "delete"
    kept_because: Literal["legal_obligation", "not_about_the_person"] | None = None
    basis: Text

    @property
    def removal_begins(self) -> Duration:
        """How long after the clock's start removal begins."""
        if self.remove_after is not None:
            return self.remove_after
        return self.min_keep if self.min_keep.about_days else self.max_keep

    @model_validator(mode="after")
    def _what_is_kept_has_a_reason(self) -> "RetentionClass":
        if (self.on_erasure == "sever") != (self.kept_because is not None):
            raise wrong(
                "does not go with on_erasure",
                "say why rows are kept where on_erasure is sever, and nothing where it is delete",
                field="kept_because",
            )
        return self

    @model_validator(mode="after")
    def _may_is_not_shorter_than_must(self) -> "RetentionClass":
        if self.max_keep.about_days <= 0:
            raise wrong("keeps nothing", "write how long the data may be kept, such as {months: 25}", field="max_keep")
        if self.max_keep.about_days < self.min_keep.about_days:
            raise wrong(
                f"{self.max_keep} is shorter than min_keep, {self.min_keep}",
                f"write {self.min_keep} or longer",
                field="max_keep",
            )
        if not self.min_keep.about_days <= self.removal_begins.about_days <= self.max_keep.about_days:
            raise wrong(
                f"{self.removal_begins} is not between min_keep, {self.min_keep}, and max_keep, {self.max_keep}",
                "write when removal begins, late enough for the one and early enough for the other",
                field="remove_after",
            )
        return self


@dataclass(frozen=True, order=True)
class Audience:
    """A role, or a role for one tenant; what everybody in it sees is the same."""

    role: str
    tenant: str | None = None

    @property
    def name(self) -> str:
        """Under this name it stands in every target, and in the keys of its pages."""
        return self.role if self.tenant is None else f"{self.role}@{self.tenant}"


class AccessRole(Declared):
    """Who may see what; what no role grants is denied.

    ``tenants: own`` filters rows to the principal's tenants; columns above ``max_pii`` are masked. ``rbac_names`` are
    the roles of the product's RBAC that mean this one; without any, the one of the same name.
    """

    name: Name
    title: Text
    description: Text
    tenants: Literal["all", "own"]
    max_pii: PiiClass
    datasets: Listed[DatasetPattern] = Constrained(min_length=1)
    rbac_names: Listed[Text] = ()

    @property
    def meant_by(self) -> tuple[str, ...]:
        """The names of the product's RBAC under which a principal holds the role."""
        return tuple(self.rbac_names) or (self.name,)

    def may_see(self, dataset: str) -> bool:
        """Whether one of the role's patterns covers the dataset of that name."""
        return any(pattern_covers(pattern, dataset) for pattern in self.datasets)

    def audiences(self, tenants: Iterable[str]) -> list[Audience]:
        """The role itself where it sees all tenants, and the role for each tenant where it sees its own."""
        return audiences_of_role(self.name, self.tenants, tenants)


def audiences_of_role(role: str, rows: Literal["all", "own"], tenants: Iterable[str]) -> list[Audience]:
    """The audiences of a role among these tenants."""
    return [Audience(role)] if rows == "all" else [Audience(role, tenant) for tenant in tenants]


def pattern_covers(pattern: str, dataset: str) -> bool:
    """Whether a dataset pattern (a name, or its beginning and ``*``) covers the name."""
    return dataset.startswith(pattern[:-1]) if pattern.endswith("*") else dataset == pattern


Dimension = Literal["completeness", "validity", "uniqueness", "consistency", "timeliness", "accuracy"]
"""What a check says of data, after DAMA-UK's six dimensions of data quality; reviews count by them."""

Layer = Literal[
    "landing", "raw", "staging", "marts", "kpi", "extract", "dashboard", "report", "bi", "ops", "governance"
]


class Dataset(Declared):
    """A table or other sink, for retention, erasure and access.

    ``tenant_column`` is None where tenants are kept apart by path; ``subject_columns`` say whom a row is about,
    ``pii_columns`` are all whose class is not none (the subject columns among them). ``sla_tier`` is None where nothing
    is promised about time. ``demands`` are checks that the dataset must have beside those that its tier demands.
    ``columns`` are those of class none of a table that neither the plan nor dbt nor the dashboards describe; a column
    that nothing describes is masked for everybody.
    ``clock_column`` has a row's business date, which retention counts from; a row without one is still in force.
    ``clock_unit: month`` says that the column names a month by its first day. ``standing`` says why nothing in the
    dataset grows old, so that retention leaves it alone.
    """

    name: DatasetName
    layer: Layer
    description: Text
    owner: Name
    retention_class: Name
    sla_tier: Name | None
    tenant_column: Name | None
    subject_columns: Listed[Name] = ()
    pii_columns: Listed[Name] = ()
    columns: Listed[Name] = ()
    demands: Listed[CheckPattern] = ()
    clock_column: Name = "day"
    clock_unit: Literal["day", "month"] = "day"
    standing: Text | None = None

    @model_validator(mode="after")
    def _subjects_are_pii(self) -> "Dataset":
        missing = [column for column in self.subject_columns if column not in self.pii_columns]
        if missing:
            raise wrong(
                f"{', '.join(missing)} would tell a person but are not listed", "add them here", field="pii_columns"
            )
        return self


def staging_datasets(streams: Iterable[Stream]) -> dict[str, Dataset]:
    """The registry's entries of the staging tables by name.

    They follow from the plan: one per event, owned and kept as its stream, with the PII that its fields are classed as.
    """
    datasets = [_staging(stream, event) for stream in streams for event in stream.events]
    return {dataset.name: dataset for dataset in datasets}


def _staging(stream: Stream, event: Event) -> Dataset:
    return Dataset(
        name=f"staging.stg_{stream.name}__{event.table_name}",
        layer="staging",
        description=f"Typed rows of {event.name}.",
        owner=stream.owner,
        retention_class=stream.retention_class,
        sla_tier=stream.sla_tier,
        tenant_column="tenant_id",
        subject_columns=tuple(field.name for field in event.pii_fields if field.pii in ("pseudonymous", "personal")),
        pii_columns=tuple(field.name for field in event.pii_fields),
    )
