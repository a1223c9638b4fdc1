"""Can a team rely on its data? By stated rules, each of which answers `no` or `with reservations`; else it is `yes`.

A domain is what an owner of the catalogue answers for. The gravest rule that applies decides, and every rule that
applies is a reason on the page. The rules as applied are part of the content (`method`), so whoever signs signs them
too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.content import (
    Answer,
    Cell,
    ControlTotals,
    Figure,
    IncidentRow,
    Incidents,
    MethodRule,
    Promises,
    Reason,
    Rule,
    Scope,
    Scorecard,
    Verdict,
)
from analytics_platform.governance.review.promises import Kept
from analytics_platform.governance.review.scorecard import PLATFORM_DOMAIN

KEPT_FOR_NO_RESERVATION = 0.99
KEPT_FOR_RELIANCE = 0.90

_MONEY_TABLE = "kpi.kpi_mrr"
"""The domain that owns this table owns the control totals."""

_GRAVITY: dict[Answer, int] = {"yes": 0, "with reservations": 1, "no": 2}


@dataclass(frozen=True)
class Findings:
    """All sections that a verdict looks at."""

    scope: Scope
    scorecard: Scorecard
    control_totals: ControlTotals
    promises: Promises
    incidents: Incidents
    drift: tuple[Figure, ...]


@dataclass(frozen=True)
class Domain:
    """What of the findings concerns one domain."""

    name: str
    findings: Findings
    owns_money: bool
    promised: frozenset[str]

    @property
    def rules(self) -> list[Rule]:
        """The domain's checks."""
        return [rule for rule in self.findings.scorecard.rules if rule.domain == self.name]

    @property
    def cells(self) -> list[Cell]:
        """The domain's part of the scorecard."""
        return [cell for cell in self.findings.scorecard.cells if cell.domain == self.name]

    @property
    def measured(self) -> set[str]:
        """The datasets that at least one check judged."""
        return {cell.dataset for cell in self.cells if cell.rules}

    @property
    def incidents(self) -> list[IncidentRow]:
        """The domain's incidents."""
        return [row for row in self.findings.incidents.rows if row.domain == self.name]

    @property
    def kept(self) -> Kept | None:
        """The domain's promises; None where none was due or measured."""
        found = [Kept(each.due, each.attained) for each in self.findings.promises.domains if each.domain == self.name]
        return found[0] if found else None


Seen = str | None
"""What a rule saw where it applies, else None."""


@dataclass(frozen=True)
class VerdictRule:
    """A rule: its code, the answer that it leads to, its words, and what it looks at."""

    code: str
    answer: Answer
    says: str
    looks: Callable[[Domain], Seen]


def verdicts(findings: Findings, catalog: Catalog) -> tuple[Verdict, ...]:
    """A verdict for each owner that answers for datasets, in the catalogue's order."""
    owned = {dataset.owner for dataset in catalog.datasets.values()}
    return tuple(
        _verdict(_domain(name, findings, catalog), catalog.owners[name].title)
        for name in catalog.owners
        if name in owned
    )


def stated_rules() -> tuple[MethodRule, ...]:
    """The rules in words."""
    return tuple(MethodRule(code=rule.code, answer=rule.answer, says=rule.says) for rule in RULES)


def _domain(name: str, findings: Findings, catalog: Catalog) -> Domain:
    money = catalog.datasets.get(_MONEY_TABLE)
    promised = (each.name for each in catalog.datasets.values() if each.owner == name and each.sla_tier)
    return Domain(name, findings, money is not None and money.owner == name, frozenset(promised))


def _verdict(domain: Domain, title: str) -> Verdict:
    reasons = [
        Reason(rule=rule.code, answer=rule.answer, saw=seen)
        for rule in RULES
        if (seen := rule.looks(domain)) is not None
    ]
    answer = max((reason.answer for reason in reasons), key=_GRAVITY.__getitem__, default="yes")
    return Verdict(
        domain=domain.name,
        title=title,
        question=f"Can {title} rely on its data of {domain.findings.scope.quarter}?",
        answer=answer,
        reasons=tuple(reasons),
        datasets=len({cell.dataset for cell in domain.cells}),
        measured_datasets=len(domain.measured),
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _named(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _failing(domain: Domain, severity: str) -> Seen:
    rules = [rule for rule in domain.rules if rule.severity == severity and rule.failing > rule.waived]
    left = sum(rule.failing - rule.waived for rule in rules)
    names = _named([f"{rule.check} of {rule.dataset}" for rule in rules])
    return f"{_counted(left, 'failing evaluation')} of {_counted(len(rules), 'check')}: {names}" if rules else None


def _errors_stand(domain: Domain) -> Seen:
    return _failing(domain, "ERROR")


def _money_differs(domain: Domain) -> Seen:
    if not domain.owns_money:
        return None
    off = [total for total in domain.findings.control_totals.totals if not total.agrees]
    names = _named([f"{total.name} of {total.tenant_id} ({total.currency})" for total in off])
    return f"{_counted(len(off), 'control total')} off: {names}" if off else None


def _nothing_measured(domain: Domain) -> Seen:
    return None if domain.measured else "no dataset was measured"


def _critical_open(domain: Domain) -> Seen:
    still = [row.incident_id for row in domain.incidents if row.severity == "critical" and row.recovered_at is None]
    return f"{_counted(len(still), 'critical incident')} not over: {_named(still)}" if still else None


def _promises_broken(domain: Domain) -> Seen:
    kept = domain.kept
    return _share(kept) if kept and kept.share < KEPT_FOR_RELIANCE else None


def _promises_weak(domain: Domain) -> Seen:
    kept = domain.kept
    return _share(kept) if kept and KEPT_FOR_RELIANCE <= kept.share < KEPT_FOR_NO_RESERVATION else None


def _share(kept: Kept) -> str:
    return f"{kept.attained} of {kept.due} promises about time were kept"


def _is_preview(domain: Domain) -> Seen:
    scope = domain.findings.scope
    return None if scope.is_over else f"the quarter is seen up to {scope.as_of} only"


def _warnings_stand(domain: Domain) -> Seen:
    return _failing(domain, "WARN")


def _is_waived(domain: Domain) -> Seen:
    rules = [rule for rule in domain.rules if rule.waived]
    waived = sum(rule.waived for rule in rules)
    names = _named([f"{rule.check} of {rule.dataset}" for rule in rules])
    return f"{_counted(waived, 'failing evaluation')} excused: {names}" if rules else None


def _could_not_run(domain: Domain) -> Seen:
    rules = [rule for rule in domain.rules if rule.could_not_run]
    count = sum(rule.could_not_run for rule in rules)
    names = _named([f"{rule.check} of {rule.dataset}" for rule in rules])
    return f"{_counted(count, 'evaluation')} could not run: {names}" if rules else None


def _unmeasured(domain: Domain) -> Seen:
    missing = sorted(domain.promised - domain.measured)
    if not missing or not domain.measured:
        return None
    return f"{len(missing)} of {len(domain.promised)} datasets with a promise: {_named(missing)}"


def _money_unmeasured(domain: Domain) -> Seen:
    if not domain.owns_money:
        return None
    totals = domain.findings.control_totals
    without_rate = sorted({total.currency for total in totals.totals if total.difference_eur_minor is None})
    reasons = [*totals.missing, *(f"no rate to EUR for {currency}" for currency in without_rate)]
    return "; ".join(reasons) or None


def _promises_unmeasured(domain: Domain) -> Seen:
    missing = domain.findings.promises.missing
    if domain.promised and missing:
        return missing
    return "no promise was due" if domain.promised and domain.kept is None else None


def _incidents_unmeasured(domain: Domain) -> Seen:
    return domain.findings.incidents.missing


def _unexplained(domain: Domain) -> Seen:
    grave = [row for row in domain.incidents if row.severity in ("critical", "warning")]
    still = sum(row.recovered_at is None and row.severity == "warning" for row in grave)
    silent = sum(not row.cause for row in grave)
    said = [f"{_counted(still, 'warning')} not over"] if still else []
    said += [f"{_counted(silent, 'incident')} without a cause"] if silent else []
    return ", ".join(said) or None


def _drifts(domain: Domain) -> Seen:
    if domain.name != PLATFORM_DOMAIN:
        return None
    bad = [f"{figure.name}: {figure.value}" for figure in domain.findings.drift if figure.is_bad]
    unmeasured = sorted({figure.area for figure in domain.findings.drift if figure.value is None})
    return "; ".join(bad + ([f"not measured: {', '.join(unmeasured)}"] if unmeasured else [])) or None


RULES: tuple[VerdictRule, ...] = (
    VerdictRule(
        "N1", "no", "A check of severity ERROR fails for data of the quarter, and no waiver covers it.", _errors_stand
    ),
    VerdictRule("N2", "no", "A financial control total differs by a cent or more (owner of MRR).", _money_differs),
    VerdictRule("N3", "no", "A critical incident of the domain is not over.", _critical_open),
    VerdictRule(
        "N4", "no", f"Fewer than {KEPT_FOR_RELIANCE:.0%} of the promises about time were kept.", _promises_broken
    ),
    VerdictRule("N5", "no", "Nothing was measured: what nobody looked at is not relied on.", _nothing_measured),
    VerdictRule("R1", "with reservations", "The quarter is not over.", _is_preview),
    VerdictRule("R2", "with reservations", "A check of severity WARN fails, and no waiver covers it.", _warnings_stand),
    VerdictRule("R3", "with reservations", "A failure is excused by a waiver.", _is_waived),
    VerdictRule("R4", "with reservations", "A check could not run.", _could_not_run),
    VerdictRule("R5", "with reservations", "A dataset with a promise about time was not measured at all.", _unmeasured),
    VerdictRule(
        "R6",
        "with reservations",
        f"Fewer than {KEPT_FOR_NO_RESERVATION:.0%} of the promises about time were kept.",
        _promises_weak,
    ),
    VerdictRule("R7", "with reservations", "A control total could not be drawn up (owner of MRR).", _money_unmeasured),
    VerdictRule("R8", "with reservations", "Promises about time were not measured.", _promises_unmeasured),
    VerdictRule("R9", "with reservations", "Incidents were not measured.", _incidents_unmeasured),
    VerdictRule("R10", "with reservations", "A warning is not over, or a grave incident has no cause.", _unexplained),
    VerdictRule(
        "R11",
        "with reservations",
        "Retention, erasure or access deviates or was not measured (data platform).",
        _drifts,
    ),
)
"""All rules, gravest first; each is judged on its own."""
