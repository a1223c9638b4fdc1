"""The receipt: who asked, what was found, what became of it, what is kept and why, and when the last bytes are gone.

For a privacy officer, so it names the person by keyed hash alone. It is drawn up from the request and the chain of
evidence, so it can be asked for at any time and says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.retention_clock import kept, retain_until
from analytics_platform.documents import (
    Cell,
    Column,
    Document,
    Notice,
    Paragraph,
    Quantity,
    Section,
    Table,
    date_text,
)
from analytics_platform.governance.erasure.course import as_it_stands, last_of
from analytics_platform.governance.erasure.place import Found
from analytics_platform.governance.erasure.plan import parse_found
from analytics_platform.governance.erasure.requests import ErasureRequest, Requests, State
from analytics_platform.governance.evidence import Evidence

_REASONS: Mapping[str, str] = {
    "legal_obligation": "kept by law (GDPR art. 17(3)(b)); the person is taken out",
    "not_about_the_person": "speaks of things; the person is taken out",
    "legal_hold": "kept as it is by a legal hold (GDPR art. 17(3)(e))",
}
_KEPT_ON = (
    "Between the two dates deleted rows and objects lie where a warehouse or bucket keeps them for its own recovery "
    "(time travel, Fail-safe, old versions): the platform reads nothing there and cannot end it sooner."
)
_BACKUPS = "backups"
ANSWER_WITHIN = timedelta(days=30)
"""One month (GDPR art. 12(3)), counted so that it fits the shortest but February."""


@dataclass(frozen=True, slots=True)
class Purging:
    """How many days each kind of place keeps what was deleted; 0 where it is gone at once.

    Attributes:
        warehouse_days: Snowflake's Time Travel and 7 days of Fail-safe, BigQuery's time travel and its 7.
        lake_days: of old versions, until a bucket's lifecycle rule ends them.
    """

    warehouse_days: int = 0
    lake_days: int = 0

    def of(self, sink: str) -> int:
        """Days of a place."""
        if sink in ("records", "files", "portal record"):
            return 0
        return self.warehouse_days if sink == "warehouse" else self.lake_days


@dataclass(frozen=True, slots=True)
class Line:
    """What became of a dataset's units in a place.

    Attributes:
        sink: the place.
        dataset: the dataset.
        fate: `deleted`, `severed` or `held`.
        units: rows, letters, objects or files.
        reason: why they are kept, as a code; None where they are gone.
        final_erasure_on: when what is kept goes at the end of its term.
        logically_deleted_at: when nobody could read it any more.
        physically_purged_by: when the last copy is gone.
    """

    sink: str
    dataset: str
    fate: str
    units: int
    reason: str | None
    final_erasure_on: date | None
    logically_deleted_at: datetime | None
    physically_purged_by: date | None


@dataclass(frozen=True)
class Receipt:
    """All that can be said of a request without saying whom it is about."""

    request: ErasureRequest
    state: State
    plan: str | None
    approved_by: str | None
    approved_at: datetime | None
    begun_at: datetime | None
    verified_at: datetime | None
    lines: tuple[Line, ...]
    searched: tuple[Mapping[str, Any], ...]
    evidence: tuple[tuple[int, str], ...]
    backups_until: date | None

    def as_dict(self) -> dict[str, Any]:
        """The receipt as plain values."""
        return {**asdict(self), "searched": [dict(each) for each in self.searched]}

    @property
    def answer_due_on(self) -> date:
        """By when the person has an answer."""
        return (self.request.requested_at + ANSWER_WITHIN).date()

    @property
    def final_erasure_on(self) -> date | None:
        """When the last severed record goes."""
        return max((each.final_erasure_on for each in self.lines if each.final_erasure_on), default=None)

    @property
    def physically_purged_by(self) -> date | None:
        """When the last copy of what was deleted is gone."""
        return max((each.physically_purged_by for each in self.lines if each.physically_purged_by), default=None)

    def units(self, fate: str) -> int:
        """Units of a fate."""
        return sum(each.units for each in self.lines if each.fate == fate)


def receipt_of(
    requests: Requests,
    request: ErasureRequest,
    catalog: Catalog,
    purging: Purging,
    now: datetime,
    record: Sequence[Evidence] | None = None,
) -> Receipt:
    """Draw up the receipt of a request as it stands.

    Args:
        requests: all of them.
        request: the one.
        catalog: classes and datasets.
        purging: how long places keep what was deleted.
        now: decides whether an approval is still good.
        record: all that is on record, where it was read before.
    """
    record = requests.record() if record is None else record
    history, plan, state = (
        requests.history(request, record),
        requests.plan(request, record),
        requests.state(request, now, record),
    )
    approval = requests.approvals.approval(plan.hash) if plan else None
    intended, done, verified = (last_of(history, f"erasure_{kind}") for kind in ("intended", "done", "verified"))
    judged = last_of(history, "erasure_verified", "erasure_verification_failed")
    found = [parse_found(each) for each in intended.said["found"]] if intended else list(plan.found if plan else ())
    return Receipt(
        request,
        state,
        plan.hash if plan else None,
        approval.approved_by if approval else None,
        approval.approved_at if approval else None,
        intended.at if intended else None,
        verified.at if verified else None,
        tuple(_line(each, catalog, request.tenant, purging, at) for each, at in as_it_stands(found, history, catalog)),
        tuple(judged.said["searched"]) if judged else (),
        tuple((each.number, each.hash) for each in history),
        _kept_until(catalog, _BACKUPS, done.at) if done else None,
    )


def receipt_document(receipt: Receipt) -> Document:
    """The receipt as a document."""
    request = receipt.request
    return Document(
        title=f"Receipt of an erasure, {request.request_id}",
        subtitle=f"{request.tenant} · {receipt.state}",
        language="en-GB",
        author="Data platform",
        dated=(receipt.verified_at or receipt.begun_at or request.requested_at).date(),
        meta=_meta(receipt),
        sections=[_summary(receipt), _kept(receipt), _places(receipt), _search(receipt), _proof(receipt)],
    )


def _line(found: Found, catalog: Catalog, tenant: str, purging: Purging, done_at: datetime | None) -> Line:
    dataset = catalog.datasets.get(found.dataset)
    retention = catalog.retention_classes[dataset.retention_class] if dataset else None
    reason, final = None, None
    if found.action == "hold":
        reason = "legal_hold"
    elif found.action == "sever" and retention is not None:
        reason = retention.kept_because
        if found.last is not None:
            year_end = catalog.tenants[tenant].financial_year_end
            final = retain_until(found.last, retention, year_end) + timedelta(days=1)
    fate = {"delete": "deleted", "sever": "severed", "hold": "held"}[found.action]
    at = done_at if found.action != "hold" else None
    purged = at.date() + timedelta(days=purging.of(found.sink)) if at else None
    return Line(found.sink, found.dataset, fate, found.units, reason, final, at, purged)


def _kept_until(catalog: Catalog, dataset: str, at: datetime) -> date:
    """The last day that anything of a dataset from before a moment may be kept."""
    retention = catalog.retention_classes[catalog.datasets[dataset].retention_class]
    return kept(at.date(), retention, None).may_until


def _meta(receipt: Receipt) -> list[tuple[str, str]]:
    request = receipt.request
    return [
        ("Person", f"keyed hash {request.subject}"),
        ("Asked by", f"{request.requested_by}, {date_text(request.requested_at.date(), 'en-GB')}"),
        ("Reason", request.reason),
        ("Approved by", receipt.approved_by or "nobody yet"),
        ("Plan", receipt.plan or "none"),
        ("Answer due by", date_text(receipt.answer_due_on, "en-GB")),
    ]


def _summary(receipt: Receipt) -> Section:
    deleted, severed, held = (receipt.units(fate) for fate in ("deleted", "severed", "held"))
    said = {
        "verified": Notice("info", "The person was erased, and a search of every place found nothing."),
        "failed": Notice("error", "The search afterwards found the person again, or could not look everywhere."),
    }
    kind = said.get(receipt.state, Notice("warning", f"The erasure is not done: {receipt.state}."))
    text = (
        f"Deleted: {deleted:,}. Kept without the person: {severed:,}. Kept by a legal hold: {held:,}. "
        "Counted in rows, letters, objects and files over all places; the same event stands in several."
    )
    until = receipt.backups_until
    kept = f"Backups from before are kept until {date_text(until, 'en-GB')} at the latest. " if until else ""
    again = "A backup that is restored is erased again before it is used."
    return Section("What was done", [kind, Paragraph(text), Paragraph(kept + again)])


def _kept(receipt: Receipt) -> Section:
    rows = [
        [
            Cell(each.dataset),
            Cell(each.sink),
            Cell(Quantity(each.units, "count")),
            Cell(each.reason, note=_REASONS.get(each.reason or "", "")),
            Cell(each.final_erasure_on or ("when the hold ends" if each.fate == "held" else "with its source")),
        ]
        for each in receipt.lines
        if each.fate != "deleted"
    ]
    columns = [Column("Dataset"), Column("Place"), Column("Units", "end"), Column("Reason"), Column("Final erasure on")]
    note = "What is kept without the person goes with every other record of its day, at the end of the term."
    return Section("What is kept, and why", [Table("Kept records", columns, rows, "Nothing is kept.", note)])


def _places(receipt: Receipt) -> Section:
    rows = [
        [
            Cell(each.sink),
            Cell(each.dataset),
            Cell(each.fate),
            Cell(Quantity(each.units, "count")),
            Cell(each.logically_deleted_at.date() if each.logically_deleted_at else None),
            Cell(each.physically_purged_by),
        ]
        for each in receipt.lines
    ]
    columns = [
        Column("Place"),
        Column("Dataset"),
        Column("What became of it"),
        Column("Units", "end"),
        Column("Logically deleted on"),
        Column("Physically purged by"),
    ]
    return Section(
        "Place by place", [Table("Everything that was found", columns, rows, "Nothing was found.", _KEPT_ON)]
    )


def _search(receipt: Receipt) -> Section:
    rows = [
        [
            Cell(str(each["sink"])),
            Cell(Quantity(each["searched"], "count")),
            Cell(Quantity(each["units"], "count"), note=each["problem"] or ""),
        ]
        for each in receipt.searched
    ]
    columns = [Column("Searched"), Column("How many", "end"), Column("Found", "end")]
    note = "Every row of every table as text; every object and file as bytes, with what is sealed in them opened."
    return Section("Searched afterwards", [Table("The search", columns, rows, "Not searched yet.", note)])


def _proof(receipt: Receipt) -> Section:
    columns = [Column("Entry of the evidence", "end"), Column("SHA-256")]
    rows = [[Cell(Quantity(number, "count")), Cell(hash_)] for number, hash_ in receipt.evidence]
    return Section("Proof", [Table("Entries of the chain of evidence", columns, rows, "None.")])
