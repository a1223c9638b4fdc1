"""What a signer reads first: verdicts, control totals, promises, incidents, failing checks, waivers and actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analytics_platform.documents import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Notice,
    PageBreak,
    Points,
    Quantity,
    Section,
    Table,
    Verdict,
)
from analytics_platform.governance.review.content import (
    ActionStanding,
    Answer,
    Content,
    ControlTotals,
    Total,
)
from analytics_platform.governance.review.content import Verdict as Judged
from analytics_platform.governance.review.document_parts import count, money, points, share, text, unmeasured

ANSWERS: Mapping[Answer, Verdict] = {"yes": "good", "with reservations": "warning", "no": "bad"}
_ACTIONS: Mapping[ActionStanding, Verdict] = {
    "open": "neutral",
    "overdue": "bad",
    "closed": "good",
    "removed": "warning",
}


def summary_sections(content: Content) -> list[Section | PageBreak]:
    """The sections, in the order in which a signer asks."""
    return [
        _verdicts(content),
        PageBreak(),
        _control_totals(content.control_totals),
        PageBreak(),
        _promises(content),
        _waivers(content),
        _actions(content),
        _drift(content),
    ]


def _verdicts(content: Content) -> Section:
    return Section(
        "Can each team rely on its data?",
        [Figures(_cards(content)), *(block for verdict in content.verdicts for block in _verdict(verdict))],
    )


def _verdict(verdict: Judged) -> list[Block]:
    measured = f"{verdict.measured_datasets} of {verdict.datasets} datasets measured"
    reasons = [Cell(f"{reason.rule}: {reason.saw}", ANSWERS[reason.answer]) for reason in verdict.reasons]
    return [
        Section(
            verdict.title,
            [
                Points(
                    [
                        Cell(
                            f"{verdict.question} {verdict.answer.capitalize()}.", ANSWERS[verdict.answer], note=measured
                        ),
                        *reasons,
                    ]
                )
            ],
        )
    ]


def _cards(content: Content) -> list[Figure]:
    totals, kinds = content.control_totals.totals, content.promises.kinds
    agreeing = sum(total.agrees for total in totals)
    due, kept = sum(kind.due for kind in kinds), sum(kind.attained for kind in kinds)
    still = sum(row.recovered_at is None for row in content.incidents.rows)
    failing = sum(rule.failing > rule.waived for rule in content.scorecard.rules)
    judged = sum(rule.judged > 0 for rule in content.scorecard.rules)
    return [
        Figure("Control totals that agree", _of(agreeing, len(totals))),
        Figure("Promises about time kept", share(kept, due) if due else unmeasured()),
        Figure("Checks that fail", _of(failing, judged)),
        Figure(
            "Incidents not over",
            _of(still, len(content.incidents.rows)) if not content.incidents.missing else unmeasured(),
        ),
    ]


def _of(part: int, whole: int) -> Cell:
    return Cell(Quantity(part, "count"), note=f"of {whole:,}") if whole else unmeasured()


def _control_totals(control: ControlTotals) -> Section:
    blocks: list[Block] = [Notice("warning", f"Not measured: {reason}.") for reason in control.missing]
    names = list(dict.fromkeys(total.name for total in control.totals))
    blocks += [_totals_table(name, [total for total in control.totals if total.name == name]) for name in names]
    return Section("Financial control totals: source against gold", blocks)


def _totals_table(name: str, totals: Sequence[Total]) -> Table:
    columns = [
        Column("Tenant", width=8),
        Column("Source", "end", width=6),
        Column("Gold", "end", width=6),
        Column("Difference", "end", width=4),
        Column("Source in EUR", "end", width=6),
        Column("Gold in EUR", "end", width=6),
        Column("Difference in EUR", "end", width=4),
    ]
    rows = [
        [
            Cell(f"{total.tenant_id} ({total.currency})"),
            money(total.source_minor, total.currency),
            money(total.gold_minor, total.currency),
            money(total.difference_minor, total.currency, _agrees(total.difference_minor)),
            money(total.source_eur_minor, "EUR"),
            money(total.gold_eur_minor, "EUR"),
            money(total.difference_eur_minor, "EUR", _agrees(total.difference_eur_minor)),
        ]
        for total in totals
    ]
    return Table(
        name.capitalize() if not name.startswith("MRR") else name, columns, [*rows, *_sum(totals)], "No amounts."
    )


def _sum(totals: Sequence[Total]) -> list[list[Cell]]:
    source = [total.source_eur_minor for total in totals if total.source_eur_minor is not None]
    gold = [total.gold_eur_minor for total in totals if total.gold_eur_minor is not None]
    if len(source) < len(totals) or len(gold) < len(totals):
        return []  # a sum without one of its parts would look like the whole
    difference = sum(gold) - sum(source)
    return [
        [
            Cell("all tenants"),
            *[text(None)] * 3,
            money(sum(source), "EUR"),
            money(sum(gold), "EUR"),
            money(difference, "EUR", _agrees(difference)),
        ]
    ]


def _agrees(difference: int | None) -> Verdict | None:
    return None if difference is None else "bad" if difference else "good"


def _promises(content: Content) -> Section:
    promises = content.promises
    if promises.missing:
        return Section("Promises about time (SLA)", [Notice("warning", f"Not measured: {promises.missing}.")])
    columns = [
        Column("Tier", width=2),
        Column("Promise", width=4),
        Column("Due", "end", width=2),
        Column("Kept", "end", width=2),
        Column("Attainment", "end", width=3),
        Column("On last quarter", "end", width=3),
        Column("Worst tenant", width=4),
        Column("Its attainment", "end", width=3),
    ]
    rows = [
        [
            Cell(kind.tier),
            Cell(kind.promise.replace("_", " ")),
            count(kind.due),
            count(kind.attained),
            share(kind.attained, kind.due),
            points(kind.change_points, more_is_better=True),
            text(kind.worst_tenant or "none: all kept"),
            share(kind.worst_attained or 0, kind.worst_due) if kind.worst_due else text(None),
        ]
        for kind in promises.kinds
    ]
    tenants = [
        [Cell(each.tenant_id), count(each.due), count(each.attained), share(each.attained, each.due)]
        for each in promises.tenants
    ]
    by_tenant = [Column("Tenant", width=4), *(Column(title, "end", width=2) for title in ("Due", "Kept", "Attainment"))]
    return Section(
        "Promises about time (SLA)",
        [
            Table("Attainment by tier and promise", columns, rows, "No promise was due."),
            Table("Attainment by tenant, the worst first", by_tenant, tenants, "No promise was due."),
        ],
    )


def _waivers(content: Content) -> Section:
    columns = [
        Column("Check", width=5),
        Column("Reason", width=5),
        Column("Approved", width=4),
        Column("Expires", width=3),
        Column("Excuses", "end", width=2),
    ]
    rows = [
        [
            Cell(f"{row.check} of {row.dataset}"),
            Cell(row.reason),
            Cell(row.approved_on, note=f"by {row.approved_by}"),
            Cell(
                row.expires_on,
                "bad" if row.has_expired and row.failing_after_expiry else "warning" if row.has_expired else None,
                note=f"expired; {row.failing_after_expiry} failing since" if row.has_expired else "",
            ),
            count(row.excused),
        ]
        for row in content.waivers
    ]
    note = "A waiver excuses evaluations from its approval until it expires; what it excuses is a reservation."
    return Section(
        "Waivers", [Table("Failures that are excused", columns, rows, "No waiver in this quarter.", note=note)]
    )


def _actions(content: Content) -> Section:
    columns = [
        Column("Raised in", width=2),
        Column("Action", width=7),
        Column("Owner", width=3),
        Column("Due", width=3),
        Column("Standing", width=5),
    ]
    rows = [
        [
            Cell(row.raised_in),
            Cell(row.action),
            Cell(row.domain),
            Cell(row.due_on),
            Cell(row.standing, _ACTIONS[row.standing], note=row.outcome or ""),
        ]
        for row in content.actions
    ]
    empty = "No action was open, and none has been raised."
    return Section("Actions of last quarter and of this one", [Table("Actions", columns, rows, empty)])


def _drift(content: Content) -> Section:
    columns = [Column("Area", width=2), Column("Figure", width=5), Column("Value", width=4)]
    rows = [
        [
            Cell(figure.area),
            Cell(figure.name),
            unmeasured(figure.missing or "")
            if figure.value is None
            else count(figure.value, "bad" if figure.is_bad else "good"),
        ]
        for figure in content.drift
    ]
    return Section("Retention, erasure and access", [Table("Deviations", columns, rows, "Nothing is declared.")])
