"""The records of processing activities (GDPR art. 30), made from the catalogue: content, and the document of it.

Belongs here: what each activity touches, for how long and who reads it, worked out from its datasets. Stays out: what
is declared (`catalog.processing`), and where the document is kept (`defs.records`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date

import orjson

from analytics_platform.catalog import Catalog, Dataset
from analytics_platform.catalog.processing import Capacity, LegalBasis, ProcessingActivity, SecurityMeasure
from analytics_platform.documents import (
    Cell,
    Column,
    Document,
    Language,
    Notice,
    PageBreak,
    Paragraph,
    Quantity,
    Section,
    Table,
)

_LANGUAGE: Language = "en-GB"
_BASES: Mapping[LegalBasis, str] = {
    "consent": "consent, art. 6(1)(a)",
    "contract": "contract, art. 6(1)(b)",
    "legal_obligation": "legal obligation, art. 6(1)(c)",
    "vital_interests": "vital interests, art. 6(1)(d)",
    "public_task": "public task, art. 6(1)(e)",
    "legitimate_interests": "legitimate interests, art. 6(1)(f)",
}


@dataclass(frozen=True)
class Organisation:
    """Who keeps the records (art. 30(1)(a) and 30(2)(a)); None is not known, which the document says."""

    name: str | None
    contact: str | None
    privacy_contact: str | None


@dataclass(frozen=True)
class KeptData:
    """Personal data of one retention class within an activity.

    Attributes:
        retention_class: the class.
        columns: names of personal columns, each once.
        datasets: names of the datasets.
        kept_at_least: what the law asks for; None where it asks for nothing.
        kept_at_most: the limit, and from when it counts.
        on_erasure: what a person's request does to the rows.
    """

    retention_class: str
    columns: tuple[str, ...]
    datasets: tuple[str, ...]
    kept_at_least: str | None
    kept_at_most: str
    on_erasure: str


@dataclass(frozen=True)
class ProcessingRecord:
    """One entry of the records, as art. 30(1)(b) to (g) and 30(2)(b) to (d) ask for."""

    name: str
    title: str
    purpose: str
    capacity: Capacity
    legal_basis: tuple[str, ...]
    interest: str | None
    data_subjects: tuple[str, ...]
    kept: tuple[KeptData, ...]
    roles: tuple[str, ...]
    disclosed_to: tuple[str, ...]
    transfers: str

    def as_dict(self) -> dict[str, object]:
        """The entry as JSON values."""
        return asdict(self)


def processing_records(catalog: Catalog) -> list[ProcessingRecord]:
    """An entry per declared activity, in the order of their file."""
    return [_record(catalog, activity) for activity in catalog.processing_activities.values()]


def records_json(catalog: Catalog, organisation: Organisation) -> bytes:
    """The records for programs: the same bytes as long as they say the same."""
    said = {
        "kept_by": asdict(organisation),
        "on_behalf_of": [tenant.name for tenant in catalog.tenants.values()],
        "activities": [record.as_dict() for record in processing_records(catalog)],
        "measures": [measure.model_dump() for measure in catalog.security_measures.values()],
    }
    return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def records_document(catalog: Catalog, organisation: Organisation, as_of: date) -> Document:
    """The records as a document.

    Args:
        catalog: the activities, the tenants on whose behalf data is processed, and what protects it.
        organisation: who keeps the records.
        as_of: the day that the catalogue was read.
    """
    return Document(
        title="Records of processing activities",
        subtitle="Article 30 of the General Data Protection Regulation",
        language=_LANGUAGE,
        author=organisation.name or "Data platform",
        dated=as_of,
        meta=_who(organisation, catalog),
        sections=[
            *_missing(organisation),
            *(_section(record) for record in processing_records(catalog)),
            PageBreak(),
            _measures(catalog.security_measures.values()),
        ],
    )


def _record(catalog: Catalog, activity: ProcessingActivity) -> ProcessingRecord:
    touched = [each for each in catalog.datasets.values() if each.pii_columns and activity.covers(each.name)]
    # A page has a column about people only for who may read the extract that it comes from, so the extract says who.
    read = [each for each in touched if each.layer != "dashboard"]
    by_class: dict[str, list[Dataset]] = {}
    for dataset in touched:
        by_class.setdefault(dataset.retention_class, []).append(dataset)
    return ProcessingRecord(
        name=activity.name,
        title=activity.title,
        purpose=activity.purpose,
        capacity=activity.capacity,
        legal_basis=tuple(_BASES[basis] for basis in activity.legal_basis),
        interest=activity.interest,
        data_subjects=activity.data_subjects,
        kept=tuple(_kept(catalog, name, datasets) for name, datasets in by_class.items()),
        roles=tuple(
            role.title
            for role in catalog.access_roles.values()
            if role.max_pii != "none" and any(role.may_see(dataset.name) for dataset in read)
        ),
        disclosed_to=activity.disclosed_to,
        transfers=activity.transfers,
    )


def _kept(catalog: Catalog, name: str, datasets: list[Dataset]) -> KeptData:
    retention = catalog.retention_classes[name]
    return KeptData(
        retention_class=name,
        columns=tuple(dict.fromkeys(column for dataset in datasets for column in dataset.pii_columns)),
        datasets=tuple(dataset.name for dataset in datasets),
        kept_at_least=str(retention.min_keep) if retention.min_keep.about_days else None,
        kept_at_most=f"{retention.max_keep} from the {retention.clock.replace('_', ' ')}",
        on_erasure=retention.on_erasure,
    )


def _who(organisation: Organisation, catalog: Catalog) -> list[tuple[str, str]]:
    tenants = ", ".join(tenant.name for tenant in catalog.tenants.values())
    return [
        ("Kept by", organisation.name or "not set"),
        ("Contact", organisation.contact or "not set"),
        ("Data protection officer or privacy contact", organisation.privacy_contact or "not set"),
        ("On behalf of (as processor)", tenants),
    ]


def _missing(organisation: Organisation) -> list[Section | PageBreak]:
    missing = [f"ANALYTICS_ORGANISATION_{name.upper()}" for name, value in asdict(organisation).items() if not value]
    if not missing:
        return []
    return [Section("Incomplete", [Notice("warning", f"Article 30 asks for what is not set: {', '.join(missing)}.")])]


def _section(record: ProcessingRecord) -> Section:
    facts = [
        ("Purpose", record.purpose),
        ("Capacity", record.capacity),
        ("Legal basis", "; ".join(record.legal_basis) + (f": {record.interest}" if record.interest else "")),
        ("Whom the data is about", "; ".join(record.data_subjects)),
        ("Roles that read it", ", ".join(record.roles) or "none"),
        ("Disclosed to", "; ".join(record.disclosed_to) or "nobody else"),
        ("Outside the European Economic Area", record.transfers),
    ]
    return Section(
        record.title,
        [
            Table(
                "What, why and for whom",
                [Column("", width=3), Column("", width=9)],
                [[Cell(name), Cell(text)] for name, text in facts],
                "",
            ),
            _kept_table(record.kept),
        ],
    )


def _kept_table(kept: Iterable[KeptData]) -> Table:
    columns = [
        Column("Class", width=2),
        Column("Personal data", width=5),
        Column("Datasets", "end", width=1),
        Column("Kept at least", width=2),
        Column("Kept at most", width=3),
        Column("On a request to be erased", width=3),
    ]
    rows = [
        [
            Cell(each.retention_class),
            Cell(", ".join(each.columns)),
            Cell(Quantity(len(each.datasets), "count")),
            Cell(each.kept_at_least),
            Cell(each.kept_at_most),
            Cell("the row is deleted" if each.on_erasure == "delete" else "the person is severed from the row"),
        ]
        for each in kept
    ]
    return Table("Personal data and its time limits", columns, rows, "No personal data.")


def _measures(measures: Iterable[SecurityMeasure]) -> Section:
    columns = [Column("Measure", width=2), Column("What it does", width=6), Column("Checks that prove it", width=4)]
    rows = [
        [Cell(each.title), Cell(each.description), Cell(", ".join(each.proven_by) or "none: organisational")]
        for each in measures
    ]
    return Section(
        "Technical and organisational measures (art. 32)",
        [
            Paragraph("Checks are those of the asset graph; their results are in the quarterly data-quality review."),
            Table("Measures", columns, rows, "None declared."),
        ],
    )
