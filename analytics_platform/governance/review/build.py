"""From tables, the catalogue and the last review to the content of this one: reading and judging, nothing kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.review.content import Building, Content, IntakeRow, Method, Scope, content_hash
from analytics_platform.governance.review.control_totals import control_totals
from analytics_platform.governance.review.drift import drift
from analytics_platform.governance.review.evidence import CHECK_RESULTS, LEDGER, Evidence
from analytics_platform.governance.review.follow_up import actions, waivers
from analytics_platform.governance.review.incidents import incidents
from analytics_platform.governance.review.promises import promises
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.governance.review.schema_changes import schema_of
from analytics_platform.governance.review.scorecard import Evaluations, read_evaluations, scorecard
from analytics_platform.governance.review.verdicts import Findings, stated_rules, verdicts
from analytics_platform.warehouse import Warehouse

_NO_RULES = frozenset(
    {
        "tenants",
        "holiday_calendars",
        "owners",
        "dashboards",
        "common_fields",
        "vocabularies",
        "waivers",
        "review_actions",
    }
)
"""Collections of the catalogue that state no rule; every other one, also a new one, is part of the policy hash."""

_INTAKE = (
    "select stream, sum(received) as received, sum(accepted) as accepted, sum(duplicates) as duplicates, "
    f"sum(dead_lettered) as dead_lettered from {LEDGER.table} where day between ? and ? group by stream order by stream"
)

_NOTES = (
    "An evaluation of a check speaks about the quarter when its partition's day lies in it, one without a "
    "partition when it "
    "was made in it. The last evaluation of each partition counts: what was repaired holds.",
    "Not measured means that no check judged it. It is never counted as 0 or as 100 percent.",
    "A change on last quarter compares the failing share of the rules that both quarters had, and no other; a "
    "check with "
    "another threshold or severity is another rule.",
    "Control totals are added up from the JSON of the raw billing events by code that shares nothing with the "
    "models, and "
    "compared with gold in the tenant's currency and in EUR at finance's fixed monthly rates (fx_rates).",
    "A waiver excuses evaluations from the day of its approval to the day on which it expires, both included. What it "
    "excuses is a reservation.",
    "Times to detect and to repair are minutes; medians leave out incidents of which the time is not known.",
    "The policy hash is the SHA-256 of every rule that the catalogue declares (plan, datasets, KPI rules, tiers, "
    "classes, "
    "roles). Signatures bind to the SHA-256 of this content; when it was built, and by which runs, is no part of it.",
)


class QuarterNotBegunError(AnalyticsError):
    """A review of a quarter of which no day has closed was asked for."""


@dataclass(frozen=True)
class Previous:
    """The last quarter's review: its content, or why there is none to compare with."""

    content: Content | None
    missing: str | None


def review_content(
    warehouse: Warehouse, catalog: Catalog, quarter: Quarter, previous: Previous, *, time_zone: str, now: datetime
) -> tuple[Content, Evaluations]:
    """The content of a quarter's review, and the evaluations that it rests on.

    Args:
        warehouse: the tables.
        catalog: rules, owners, waivers and actions.
        quarter: the quarter; of a running one, the days that have closed.
        previous: the review before it.
        time_zone: the reporting time zone.
        now: decides which days have closed, and nothing else.

    Raises:
        QuarterNotBegunError: no day of the quarter has closed.
    """
    scope = _scope(catalog, quarter, previous, time_zone, now)
    first, last = scope.first_day, scope.as_of
    evidence = Evidence(warehouse)
    evaluations = read_evaluations(evidence, first, last)
    before = previous.content
    zones = {tenant.tenant_id: tenant.time_zone for tenant in catalog.tenants.values()}
    findings = Findings(
        scope=scope,
        scorecard=scorecard(evaluations, catalog, evidence.missing(CHECK_RESULTS), before),
        control_totals=control_totals(evidence, first, last, zones),
        promises=promises(evidence, catalog, first, last, before),
        incidents=incidents(evidence, first, last, time_zone),
        drift=drift(evidence, first, last),
    )
    content = Content(
        scope=scope,
        sources=evidence.states(),
        verdicts=verdicts(findings, catalog),
        scorecard=findings.scorecard,
        intake=_intake(evidence, first, last),
        control_totals=findings.control_totals,
        promises=findings.promises,
        incidents=findings.incidents,
        schema_changes=schema_of(catalog, before, previous.missing),
        waivers=waivers(catalog, evaluations, first, last),
        drift=findings.drift,
        actions=actions(catalog, before, str(quarter), last),
        method=Method(rules=stated_rules(), notes=_NOTES),
    )
    return content, evaluations


def building(evaluations: Evaluations, run_id: str, now: datetime) -> Building:
    """What the cover says of this building."""
    return Building(
        built_at=now, run_id=run_id, evidence_runs=evaluations.run_ids, newest_evaluation_at=evaluations.newest_at
    )


def policy_hash(catalog: Catalog) -> str:
    """The SHA-256 of the catalogue's rules: what is promised, checked, kept and allowed."""
    declared = catalog.model_dump(mode="json", exclude=set(_NO_RULES))
    return hashlib.sha256(json.dumps(declared, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _scope(catalog: Catalog, quarter: Quarter, previous: Previous, time_zone: str, now: datetime) -> Scope:
    closed: date = now.astimezone(ZoneInfo(time_zone)).date() - timedelta(days=1)
    if closed < quarter.first_day:
        raise QuarterNotBegunError(
            f"no day of {quarter} has closed yet; the first closes at the end of {quarter.first_day}"
        )
    before = previous.content
    return Scope(
        quarter=str(quarter),
        first_day=quarter.first_day,
        last_day=quarter.last_day,
        as_of=min(quarter.last_day, closed),
        policy_sha256=policy_hash(catalog),
        previous=before.scope.quarter if before else None,
        previous_sha256=content_hash(before) if before else None,
    )


def _intake(evidence: Evidence, first: date, last: date) -> tuple[IntakeRow, ...]:
    rows = evidence.read(LEDGER, _INTAKE, [first, last])
    return tuple(_intake_row({name: row[name] if name == "stream" else int(row[name]) for name in row}) for row in rows)


def _intake_row(row: dict[str, str | int]) -> IntakeRow:
    received, *ended = (int(row[name]) for name in ("received", "accepted", "duplicates", "dead_lettered"))
    return IntakeRow.model_validate({**row, "unexplained": received - sum(ended)})
