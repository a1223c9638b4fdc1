"""The review as a document: the same content, worded once, for HTML and PDF alike.

Only wording and order: no figure is computed here that the content does not hold, but for sums and shares of what
stands in the same table. First what a signer must read (verdicts, money, promises, incidents), then the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from analytics_platform.catalog import SignoffRole
from analytics_platform.documents import (
    Cell,
    Column,
    Document,
    Notice,
    PageBreak,
    Paragraph,
    Section,
    Table,
    date_text,
    moment_text,
    render_html,
    render_pdf,
    span_text,
)
from analytics_platform.governance.review.archive import Form, Render, Review
from analytics_platform.governance.review.document_evidence import evidence_sections
from analytics_platform.governance.review.document_parts import LANGUAGE, text
from analytics_platform.governance.review.document_summary import summary_sections
from analytics_platform.governance.review.signing import Standing

SECTION_TITLES: Mapping[str, str] = {
    "format": "format of the file",
    "scope": "quarter, data cut and rules",
    "sources": "sources",
    "verdicts": "verdicts",
    "scorecard": "scorecard",
    "intake": "messages",
    "control_totals": "control totals",
    "promises": "promises about time",
    "incidents": "incidents",
    "schema_changes": "schema changes",
    "waivers": "waivers",
    "drift": "retention, erasure and access",
    "actions": "actions",
    "method": "method",
}
_RUNS_SHOWN = 40


def review_document(review: Review, now: Standing, roles: Mapping[str, SignoffRole], time_zone: str) -> Document:
    """The document of a review as it stands.

    Args:
        review: content and building.
        now: status and signatures.
        roles: who is asked to sign, from the catalogue.
        time_zone: in which moments are written.
    """
    scope = review.content.scope
    return Document(
        title=f"Data-quality review {scope.quarter}",
        subtitle=f"{span_text(scope.first_day, scope.as_of, LANGUAGE)} · {now.status}",
        language=LANGUAGE,
        author="Data platform",
        dated=scope.as_of,
        meta=_cover(review, now, time_zone),
        sections=[
            _signoff(review, now, roles, time_zone),
            PageBreak(),
            *summary_sections(review.content),
            PageBreak(),
            *evidence_sections(review.content, time_zone),
            _runs(review),
        ],
    )


def render(review: Review, now: Standing, roles: Mapping[str, SignoffRole], time_zone: str) -> Render:
    """A function that renders the review in a form."""
    document = review_document(review, now, roles, time_zone)

    def rendered(form: Form) -> bytes:
        return render_html(document) if form == "html" else render_pdf(document)

    return rendered


def _cover(review: Review, now: Standing, time_zone: str) -> list[tuple[str, str]]:
    scope, built = review.content.scope, review.building
    zone = ZoneInfo(time_zone)
    newest = built.newest_evaluation_at
    evaluated = f"; newest evaluation {moment_text(newest.astimezone(zone), LANGUAGE)}" if newest else ""
    return [
        ("Status", now.status),
        ("Quarter", f"{scope.quarter}, {span_text(scope.first_day, scope.last_day, LANGUAGE)}"),
        ("Data cut", f"business days up to {date_text(scope.as_of, LANGUAGE)}{evaluated}"),
        ("Content (SHA-256)", review.sha256),
        ("Policy (SHA-256)", scope.policy_sha256),
        ("Compared with", f"{scope.previous} ({scope.previous_sha256})" if scope.previous else "no earlier review"),
        ("Built", moment_text(built.built_at.astimezone(zone), LANGUAGE)),
        ("Run", f"{built.run_id}; evidence of {len(built.evidence_runs)} runs, named at the end"),
    ]


def _signoff(review: Review, now: Standing, roles: Mapping[str, SignoffRole], time_zone: str) -> Section:
    zone = ZoneInfo(time_zone)
    rows = [
        [
            Cell(_title(each.role, roles)),
            Cell(each.signer),
            Cell(each.signed_at.astimezone(zone)),
            Cell("signed this content", "good", note=each.reason or ""),
        ]
        for each in now.current
    ]
    rows += [
        [Cell(_title(role, roles)), text(None), text(None), Cell("not signed yet", "unknown")]
        for role in now.open_roles
    ]
    rows += [
        [
            Cell(_title(void.signature.role, roles)),
            Cell(void.signature.signer),
            Cell(void.signature.signed_at.astimezone(zone)),
            Cell("void: another content", "bad", note=f"differs in: {section_names(void.differs)}"),
        ]
        for void in now.void
    ]
    columns = [Column("Role", width=3), Column("Name", width=3), Column("Signed", width=3), Column("Standing", width=5)]
    attests = [[Cell(role.title), Cell(role.attests)] for role in roles.values()]
    return Section(
        "Sign-off",
        [
            *_notices(review, now),
            Table("Signatures", columns, rows, "No role is declared."),
            Table(
                "What a signature attests",
                [Column("Role", width=2), Column("Attests", width=9)],
                attests,
                "No role is declared.",
                note="A signature binds to the SHA-256 of the content above. A building that differs voids it.",
            ),
        ],
    )


def section_names(names: Iterable[str]) -> str:
    """Sections of the content as a reader knows them."""
    return ", ".join(SECTION_TITLES.get(name, name) for name in names)


def _notices(review: Review, now: Standing) -> list[Notice]:
    scope = review.content.scope
    notices = [Notice("error", problem) for problem in now.problems]
    if not scope.is_over:
        notices.append(Notice("warning", f"A preview up to {date_text(scope.as_of, LANGUAGE)}: it cannot be signed."))
    if now.status == "SIGNED":
        notices.append(Notice("info", "SIGNED: every role has signed this content."))
    else:
        notices.append(Notice("warning", "DRAFT: not every role has signed this content."))
    return notices


def _title(role: str, roles: Mapping[str, SignoffRole]) -> str:
    return roles[role].title if role in roles else role


def _runs(review: Review) -> Section:
    runs = review.building.evidence_runs
    if not runs:
        return Section("Runs behind the evidence", [Paragraph("No evaluation names a run.")])
    more = f" and {len(runs) - _RUNS_SHOWN:,} more, which review.json names" if len(runs) > _RUNS_SHOWN else ""
    return Section("Runs behind the evidence", [Paragraph(f"{', '.join(runs[:_RUNS_SHOWN])}{more}.")])
