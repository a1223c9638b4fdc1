"""The evidence behind a review: incidents, failing checks, messages, schema changes, scorecard, sources and method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

from analytics_platform.documents import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Notice,
    PageBreak,
    Paragraph,
    Points,
    Quantity,
    Section,
    Table,
    Verdict,
)
from analytics_platform.governance.review.content import Cell as ScoreCell
from analytics_platform.governance.review.content import Content, IncidentRow, Rule, Standing
from analytics_platform.governance.review.document_parts import (
    NOT_MEASURED,
    count,
    minutes,
    points,
    share,
    text,
    unmeasured,
)
from analytics_platform.governance.review.scorecard import DIMENSIONS

TOP_FAILING = 10

_STANDINGS: Mapping[Standing, Verdict] = {
    "holds": "good",
    "warns": "warning",
    "waived": "warning",
    "fails": "bad",
    "not measured": "unknown",
}
_SEVERITIES: Mapping[str, Verdict] = {"critical": "bad", "warning": "warning"}


def evidence_sections(content: Content, time_zone: str) -> list[Section | PageBreak]:
    """The sections."""
    return [
        _incidents(content, ZoneInfo(time_zone)),
        _failing_checks(content),
        _intake(content),
        _schema_changes(content),
        PageBreak(),
        _scorecard(content),
        PageBreak(),
        _method(content),
    ]


def _incidents(content: Content, zone: ZoneInfo) -> Section:
    found = content.incidents
    if found.missing:
        return Section("Incidents", [Notice("warning", f"Not measured: {found.missing}.")])
    columns = [
        Column("Incident", width=4),
        Column("What", width=7),
        Column("Opened", width=4),
        Column("To detect", "end", width=3),
        Column("To repair", "end", width=3),
        Column("Cause", width=5),
    ]
    medians = [
        Figure("Incidents", count(len(found.rows))),
        Figure("Median time to detect", minutes(found.median_minutes_to_detect)),
        Figure("Median time to repair", minutes(found.median_minutes_to_repair)),
    ]
    rows = [_incident(row, zone) for row in found.rows]
    return Section(
        "Incidents", [Figures(medians), Table("Gravest first", columns, rows, "No incident in this quarter.")]
    )


def _incident(row: IncidentRow, zone: ZoneInfo) -> list[Cell]:
    where = " ".join(part for part in (row.asset, row.check) if part)
    whose = f"{row.tenant_id or 'all tenants'}{f', {row.day}' if row.day else ''}; {row.domain}"
    repaired = minutes(row.minutes_to_repair) if row.recovered_at else Cell("not over", "bad", note=row.next_step or "")
    return [
        Cell(row.incident_id, _SEVERITIES.get(row.severity), note=row.severity),
        Cell(f"{row.failure.replace('_', ' ')}: {where}", note=whose),
        Cell(row.opened_at.astimezone(zone), note=f"opened {row.openings} times" if row.openings > 1 else ""),
        minutes(row.minutes_to_detect),
        repaired,
        Cell(row.cause) if row.cause else Cell("not told", "warning"),
    ]


def _failing_checks(content: Content) -> Section:
    columns = [
        Column("Check", width=7),
        Column("Severity", width=2),
        Column("Times failed", "end", width=2),
        Column("Failing still", "end", width=2),
        Column("Excused", "end", width=2),
        Column("First and last", width=4),
    ]
    rows = [_failing_check(rule) for rule in top_failing(content.scorecard.rules)]
    note = "Times failed counts every evaluation, those repaired since included."
    return Section(
        "Checks that failed most often",
        [Table(f"At most {TOP_FAILING}", columns, rows, "No check failed.", note=note)],
    )


def top_failing(rules: Iterable[Rule]) -> list[Rule]:
    """The rules that failed, the most often first."""
    failed = [rule for rule in rules if rule.times_failed]
    return sorted(failed, key=lambda rule: (-rule.times_failed, rule.asset, rule.check))[:TOP_FAILING]


def _failing_check(rule: Rule) -> list[Cell]:
    still = rule.failing - rule.waived
    return [
        Cell(rule.check, note=rule.dataset),
        Cell("error" if rule.severity == "ERROR" else "warning"),
        count(rule.times_failed),
        count(still, "good" if not still else "bad" if rule.severity == "ERROR" else "warning"),
        count(rule.waived),
        text(f"{rule.first_failed_on} to {rule.last_failed_on}"),
    ]


def _intake(content: Content) -> Section:
    columns = [
        Column("Stream", width=3),
        *(
            Column(title, "end", width=2)
            for title in ("Received", "Accepted", "Duplicates", "Refused", "Share refused", "Unexplained")
        ),
    ]
    rows = [
        [
            Cell(row.stream),
            count(row.received),
            count(row.accepted),
            count(row.duplicates),
            count(row.dead_lettered),
            share(row.dead_lettered, row.received),
            count(row.unexplained, "bad" if row.unexplained else "good"),
        ]
        for row in content.intake
    ]
    note = "Received = accepted + duplicates + refused; what is left over is unexplained."
    missing = next((each.missing for each in content.sources if each.table == "ops.ledger"), None)
    empty = f"Not measured: {missing}." if missing else "No message in this quarter."
    return Section("What became of the messages", [Table("Messages by stream", columns, rows, empty, note=note)])


def _schema_changes(content: Content) -> Section:
    schema = content.schema_changes
    if schema.compared_with is None:
        why = schema.not_compared or "there is no earlier review"
        return Section(
            "Schema changes", [Notice("info", f"Not measured: {why}. This review records the schema {schema.sha256}.")]
        )
    columns = [Column("Schema", width=4), Column("Change", width=2), Column("What", width=7)]
    rows = [[Cell(change.name), Cell(change.change), Cell(change.detail)] for change in schema.changes]
    caption = f"Since the review of {schema.compared_with}"
    note = f"The schema recorded here has the SHA-256 {schema.sha256}."
    return Section(
        "Schema changes", [Table(caption, columns, rows, "Nothing was added, removed or changed.", note=note)]
    )


def _scorecard(content: Content) -> Section:
    titles = {verdict.domain: verdict.title for verdict in content.verdicts}
    cells = sorted(content.scorecard.cells, key=lambda cell: cell.domain)
    intro = Paragraph(
        "Each cell says how many of the judged evaluations fail. Not measured means that no check judged it: it "
        "is neither 0 "
        "nor 100 percent. The second table of each domain has the units that the checks count, the share of failures "
        "that they allow, and the change of the failing share on last quarter over the rules that both quarters had."
    )
    domains = groupby(cells, key=lambda cell: cell.domain)
    return Section(
        "Scorecard: dataset by dimension (DAMA-UK)",
        [intro, *(Section(titles.get(name, name), _domain(list(group))) for name, group in domains)],
    )


def _domain(cells: Sequence[ScoreCell]) -> list[Block]:
    by_dataset = {name: list(group) for name, group in groupby(cells, key=lambda cell: cell.dataset)}
    seen = {name: row for name, row in by_dataset.items() if any(cell.rules for cell in row)}
    unseen = [name for name in by_dataset if name not in seen]
    columns = [Column("Dataset", width=6), *(Column(name.capitalize(), width=4) for name in DIMENSIONS)]
    rows = [[Cell(name), *(_square(cell) for cell in row)] for name, row in seen.items()]
    blocks: list[Block] = []
    if rows:
        blocks = [
            Table("Failing evaluations of those judged", columns, rows, ""),
            _units(cell for row in seen.values() for cell in row if cell.rules),
        ]
    if unseen:
        reasons = sorted({cell.reason or "" for name in unseen for cell in by_dataset[name]})
        blocks.append(Paragraph(f"Not measured in any dimension ({'; '.join(reasons)}): {', '.join(unseen)}."))
    return blocks


def _square(cell: ScoreCell) -> Cell:
    if cell.judged is None or cell.failing is None:
        return Cell(NOT_MEASURED, "unknown")
    return Cell(f"{cell.failing:,} of {cell.judged:,}", _STANDINGS[cell.standing])


def _units(cells: Iterable[ScoreCell]) -> Table:
    columns = [
        Column("Dataset", width=6),
        Column("Dimension", width=3),
        Column("Checks", "end", width=2),
        Column("Units checked", "end", width=3),
        Column("Units failed", "end", width=2),
        Column("Allowed", "end", width=2),
        Column("On last quarter", "end", width=3),
    ]
    rows = [
        [
            Cell(cell.dataset),
            Cell(cell.dimension, _STANDINGS[cell.standing]),
            count(cell.rules),
            count(cell.checked),
            count(cell.failed),
            text(None) if cell.threshold is None else Cell(Quantity(cell.threshold, "fraction", decimals=2)),
            points(cell.change_points, more_is_better=False),
        ]
        for cell in cells
    ]
    note = "A dash: the checks count no units, state no share, or have no rule in common with last quarter."
    return Table("Units checked and failed", columns, rows, "", note=note)


def _method(content: Content) -> Section:
    sources = [
        [Cell(each.table, note=each.tells), unmeasured(each.missing) if each.missing else Cell("read", "good")]
        for each in content.sources
    ]
    rules = [[Cell(rule.code), Cell(rule.answer), Cell(rule.says)] for rule in content.method.rules]
    return Section(
        "Method",
        [
            Table("Sources", [Column("Table", width=5), Column("Standing", width=4)], sources, "None."),
            Table(
                "Rules of the verdicts: the gravest that applies decides; where none does, the answer is yes",
                [Column("Rule", width=1), Column("Leads to", width=3), Column("When", width=9)],
                rules,
                "None.",
            ),
            Points([Cell(note) for note in content.method.notes]),
        ],
    )
