"""What a review says, section by section, and the hash that a signature binds to.

Everything here is content: whoever changes a word of it changes the hash. What is known only of one building (when,
by which run, which runs the evidence comes from) is `Building`, stands on the cover, and is no part of the hash; so a
review that is built again from the same evidence keeps its signatures. Content therefore holds no time of building,
and nothing that a passing evaluation, run once more, would change.

Money is in minor units, shares are between 0 and 1, `None` is always *not measured* and never 0.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from analytics_platform.catalog.governance import Dimension

Answer = Literal["yes", "with reservations", "no"]
Standing = Literal["holds", "warns", "waived", "fails", "not measured"]
"""Of a cell of the scorecard, by its worst rule: `warns` is a failure of a check that is only a warning."""

ActionStanding = Literal["open", "overdue", "closed", "removed"]


class Part(BaseModel):
    """Base of all content: frozen, closed, finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scope(Part):
    """Of what the review speaks: business days from `first_day` to `as_of`, and by which rules (`policy_sha256`)."""

    quarter: str
    first_day: date
    last_day: date
    as_of: date
    policy_sha256: str
    previous: str | None
    previous_sha256: str | None

    @property
    def is_over(self) -> bool:
        """Whether the review covers the whole quarter; one that does not is a preview that nobody can sign."""
        return self.as_of == self.last_day


class SourceState(Part):
    """A table that the review reads; `missing` says why it could not, None when it was read."""

    name: str
    table: str
    tells: str
    missing: str | None


class Reason(Part):
    """Why a verdict is what it is: the rule's code, and what it saw."""

    rule: str
    answer: Answer
    saw: str


class Verdict(Part):
    """Whether a domain's team can rely on its data."""

    domain: str
    title: str
    question: str
    answer: Answer
    reasons: tuple[Reason, ...]
    datasets: int
    measured_datasets: int


class Rule(Part):
    """How one check stood over the quarter: the last evaluation of each partition counts.

    `dimension` is None where the check declares none: it counts in verdicts and stands in no cell. `judged` of them
    could be judged, `failing` of these fail, `waived` of these are excused. `checked` and `failed` add up the units
    that the check counts (None: it counts none); `threshold` is the share of failures that it allows. `times_failed`
    counts all evaluations that failed, those repaired since included.
    """

    dataset: str
    domain: str
    dimension: Dimension | None
    asset: str
    check: str
    severity: Literal["ERROR", "WARN"]
    blocking: bool
    judged: int
    failing: int
    waived: int
    could_not_run: int
    checked: int | None
    failed: int | None
    threshold: float | None
    times_failed: int
    first_failed_on: date | None
    last_failed_on: date | None

    @property
    def identity(self) -> tuple[str, str, str | None, str, float | None]:
        """What makes it the same rule in another quarter; with another threshold it is another."""
        return self.asset, self.check, self.dimension, self.severity, self.threshold


class Cell(Part):
    """A dataset in one dimension; `change_points` is of the failing share, over the rules that both quarters had."""

    dataset: str
    domain: str
    dimension: Dimension
    standing: Standing
    reason: str | None
    rules: int
    judged: int | None
    failing: int | None
    waived: int | None
    checked: int | None
    failed: int | None
    threshold: float | None
    common_rules: int
    change_points: float | None


class Scorecard(Part):
    """Every dataset in every dimension, and the rules behind the cells."""

    cells: tuple[Cell, ...]
    rules: tuple[Rule, ...]


class IntakeRow(Part):
    """What became of a stream's messages in the quarter."""

    stream: str
    received: int
    accepted: int
    duplicates: int
    dead_lettered: int
    unexplained: int


class Total(Part):
    """A control total of a tenant and currency: raw events added up apart from the models, against the models' table.

    The `_eur_minor` amounts are None where a rate is missing; a side without any row is 0.
    """

    name: str
    tenant_id: str
    currency: str
    source_minor: int
    gold_minor: int
    source_eur_minor: int | None
    gold_eur_minor: int | None

    @property
    def difference_minor(self) -> int:
        """Gold less source, in the tenant's currency."""
        return self.gold_minor - self.source_minor

    @property
    def difference_eur_minor(self) -> int | None:
        """Gold less source, in EUR."""
        if self.source_eur_minor is None or self.gold_eur_minor is None:
            return None
        return self.gold_eur_minor - self.source_eur_minor

    @property
    def agrees(self) -> bool:
        """Whether source and gold are equal to the cent, in both currencies."""
        return self.difference_minor == 0 and self.difference_eur_minor in (0, None)


class ControlTotals(Part):
    """All control totals; `missing` says which could not be drawn up, and why."""

    missing: tuple[str, ...]
    totals: tuple[Total, ...]


class Attainment(Part):
    """Promises of one kind: how many were due, how many were kept, and by whom they were kept least."""

    tier: str
    promise: str
    due: int
    attained: int
    change_points: float | None
    worst_tenant: str | None
    worst_due: int | None
    worst_attained: int | None


class TenantAttainment(Part):
    """A tenant's promises, all kinds together; the least kept come first."""

    tenant_id: str
    due: int
    attained: int


class DomainAttainment(Part):
    """A domain's promises; `severity` is that of its gravest tier."""

    domain: str
    due: int
    attained: int


class Promises(Part):
    """SLA attainment; `missing` says why there is none."""

    missing: str | None
    kinds: tuple[Attainment, ...]
    tenants: tuple[TenantAttainment, ...]
    domains: tuple[DomainAttainment, ...]


class IncidentRow(Part):
    """An incident that was opened in the quarter, or not over when it began."""

    incident_id: str
    failure: str
    severity: str
    status: str
    domain: str
    asset: str
    check: str | None
    tenant_id: str | None
    day: date | None
    opened_at: AwareDatetime
    recovered_at: AwareDatetime | None
    minutes_to_detect: float | None
    minutes_to_repair: float | None
    openings: int
    cause: str | None
    next_step: str | None


class Incidents(Part):
    """All of them; the medians are over those whose time is known."""

    missing: str | None
    rows: tuple[IncidentRow, ...]
    median_minutes_to_detect: float | None
    median_minutes_to_repair: float | None


class SchemaChange(Part):
    """A table or event that is not what it was in the last review."""

    name: str
    change: Literal["added", "removed", "changed"]
    detail: str


class Schema(Part):
    """What columns and versions are declared now (`name -> column -> type`), and what changed since the last review."""

    sha256: str
    snapshot: dict[str, dict[str, str]]
    compared_with: str | None
    not_compared: str | None
    changes: tuple[SchemaChange, ...]


class WaiverRow(Part):
    """A waiver that holds or ended within the quarter; `excused` evaluations were failing and are waived by it."""

    name: str
    dataset: str
    check: str
    reason: str
    approved_by: str
    approved_on: date
    expires_on: date
    has_expired: bool
    excused: int
    failing_after_expiry: int


class Figure(Part):
    """One figure of retention, erasure or access drift; `value` None is not measured, for the reason given."""

    area: str
    name: str
    table: str
    value: int | None
    missing: str | None
    is_bad: bool


class ActionRow(Part):
    """What was to be done, and how it stands at the end of the quarter."""

    name: str
    raised_in: str
    action: str
    domain: str
    due_on: date
    standing: ActionStanding
    closed_on: date | None
    outcome: str | None


class MethodRule(Part):
    """A rule of the verdicts, as it was applied."""

    code: str
    answer: Answer
    says: str


class Method(Part):
    """How the figures came about."""

    rules: tuple[MethodRule, ...]
    notes: tuple[str, ...]


class Content(Part):
    """The whole review. Each field is a section, and is told apart when two contents differ."""

    format: Literal[1] = 1
    scope: Scope
    sources: tuple[SourceState, ...]
    verdicts: tuple[Verdict, ...]
    scorecard: Scorecard
    intake: tuple[IntakeRow, ...]
    control_totals: ControlTotals
    promises: Promises
    incidents: Incidents
    schema_changes: Schema
    waivers: tuple[WaiverRow, ...]
    drift: tuple[Figure, ...]
    actions: tuple[ActionRow, ...]
    method: Method


class Building(Part):
    """What is true of one building alone, shown on the cover: no part of what is signed.

    `evidence_runs` are the runs whose evaluations the content rests on, `newest_evaluation_at` the newest of those.
    """

    built_at: AwareDatetime
    run_id: str
    evidence_runs: tuple[str, ...]
    newest_evaluation_at: AwareDatetime | None


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def canonical(part: BaseModel) -> bytes:
    """The one way to write a part as bytes: JSON with sorted keys, without spaces, in UTF-8."""
    return _bytes(part.model_dump(mode="json"))


def content_hash(content: Content) -> str:
    """The SHA-256 of the canonical content, in hexadecimal: what a signature binds to."""
    return hashlib.sha256(canonical(content)).hexdigest()


def section_hashes(content: Content) -> dict[str, str]:
    """The SHA-256 of each section's canonical JSON, by which a voided signature tells what differs."""
    sections = content.model_dump(mode="json")
    return {name: hashlib.sha256(_bytes(section)).hexdigest() for name, section in sections.items()}


def _bytes(plain: object) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
