"""Looker Studio: what a dashboard's report reads, a link that makes the report, and what each field has to be.

Reports of Looker Studio cannot be built as code. What can: a data source per extract (a view in BigQuery, or a CSV in a
bucket), a link of Google's Linking API that opens a copy of a template over them, and a checklist of the fields by
which the template is made and compared. (https://developers.google.com/looker-studio/integrate/linking-api)

**Whose rows a viewer sees is decided by whose credentials a data source uses.** With the viewer's own, BigQuery's row
policies bind; with the owner's they are passed by, so then rows have to be picked by the viewer's address instead
(`viewers_table`), and files in a bucket, which know no rows, may not be used at all. A link carries no secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from analytics_platform.catalog import Catalog, Dashboard, Extract, ExtractColumn, Kpi
from analytics_platform.documents import Cell, Column, Document, Notice, Section, Table
from analytics_platform.errors import AnalyticsError
from analytics_platform.reporting.addable import addable_columns
from analytics_platform.reporting.figures import days_to_mature
from analytics_platform.reporting.headlines import kpi_source
from analytics_platform.warehouse.headlines import money_column

CREATE = "https://lookerstudio.google.com/reporting/create"
VIEWER_EMAIL = "@DS_USER_EMAIL"
"""The parameter of a custom query that holds the viewer's address."""

PARAMETERS = frozenset(
    {
        "billingProjectId",
        "connector",
        "datasetId",
        "datasourceName",
        "path",
        "pathType",
        "projectId",
        "refreshFields",
        "sql",
        "tableId",
        "type",
    }
)
"""Parameters of a data source that a link may carry, all of them documented; none holds a secret."""

_SOURCE_PARAMETER = re.compile(r"ds\.(?P<alias>[A-Za-z0-9_]+)\.(?P<name>[A-Za-z]+)")
_FOLDER = "extracts"
_TYPES: Mapping[str, str] = {
    "date": "Date",
    "timestamp": "Date & Time",
    "string": "Text",
    "integer": "Number",
    "number": "Number",
    "boolean": "Boolean",
}
_UNITS: Mapping[str, str] = {
    "money_minor": "Currency (EUR)",
    "percent": "Percent",
    "score": "Number",
    "minutes": "Number",
    "count": "Number",
}


class LinkError(AnalyticsError):
    """A link is none of the Linking API, or carries what no link may; the text names it."""


@dataclass(frozen=True)
class LookerChoices:
    """What a deployment chooses.

    Attributes:
        source: where the rows are.
        location: BigQuery's dataset, or bucket and folder.
        project: BigQuery's project.
        reports: id of the template by dashboard.
        credentials: whose a data source uses.
        viewers_table: table with tenant and address of each viewer; None where BigQuery's row policies pick rows.
    """

    source: Literal["bigquery", "gcs"] = "bigquery"
    location: str | None = None
    project: str = "analytics"
    reports: Mapping[str, str] = field(default_factory=dict)
    credentials: Literal["viewer", "owner"] = "viewer"
    viewers_table: str | None = None


@dataclass(frozen=True)
class Link:
    """A link of the Linking API, taken apart: the data sources' parameters by alias."""

    report_id: str | None
    report_name: str
    sources: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class FieldEntry:
    """A field of a data source as it has to be.

    Attributes:
        source: alias of the data source.
        name: the column, or the name of a field to make.
        type: as Looker Studio calls it.
        aggregation: the default one; None of what nothing may add up.
        description: what it means.
        formula: of a field that has to be made; None of a column.
    """

    source: str
    name: str
    type: str
    aggregation: str
    description: str
    formula: str | None = None


def report_link(dashboard: Dashboard, choices: LookerChoices) -> str:
    """The link that makes a report of the dashboard over its data sources, from the template where one is set."""
    parameters = {f"c.{name}": value for name, value in _controls(dashboard, choices).items()}
    parameters["r.reportName"] = dashboard.title
    for alias, source in data_sources(dashboard, choices).items():
        parameters |= {f"ds.{alias}.{name}": value for name, value in source.items()}
    return f"{CREATE}?{urlencode(parameters)}"


def parse_link(url: str) -> Link:
    """Take a link apart.

    Raises:
        LinkError: it leads elsewhere, or carries a parameter that no link of ours has.
    """
    parts = urlsplit(url)
    if f"{parts.scheme}://{parts.netloc}{parts.path}" != CREATE or parts.fragment:
        raise LinkError(f"the link leads to {parts.netloc}{parts.path} and not to {CREATE}")
    told = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
    sources: dict[str, dict[str, str]] = {}
    for name, value in told.items():
        found = _SOURCE_PARAMETER.fullmatch(name)
        if found is not None and found["name"] in PARAMETERS:
            sources.setdefault(found["alias"], {})[found["name"]] = value
        elif name not in ("c.reportId", "c.mode", "r.reportName"):
            raise LinkError(f"no link of ours has the parameter {name}")
    return Link(told.get("c.reportId"), told.get("r.reportName", ""), sources)


def data_sources(dashboard: Dashboard, choices: LookerChoices) -> dict[str, dict[str, str]]:
    """The parameters of each extract's data source, by alias: the extract's name.

    BigQuery has no view of an extract that reporting computes itself; it is left out there.
    """
    return {
        extract.name: {
            **_connector(dashboard, extract, choices),
            "datasourceName": f"{dashboard.title}: {extract.name}",
            # The template's types and aggregations stand; new ones would be guessed.
            "refreshFields": "false",
        }
        for extract in dashboard.extracts
        if extract.source is not None or choices.source == "gcs"
    }


def binding_problems(dashboard: Dashboard, link: Link, choices: LookerChoices) -> list[str]:
    """What would show a viewer more rows than its own.

    Owner's credentials pass by every row policy, so each data source has to pick rows by the viewer's address; a file
    cannot.
    """
    if choices.credentials == "viewer":
        return []
    return [
        f"{dashboard.name}/{alias} uses its owner's credentials and picks no rows by viewer; use the viewer's "
        "credentials, or set ANALYTICS_LOOKER_VIEWERS_TABLE for a source in BigQuery"
        for alias, source in link.sources.items()
        if VIEWER_EMAIL not in source.get("sql", "")
    ]


def checklist(catalog: Catalog, dashboard: Dashboard) -> list[FieldEntry]:
    """The fields of a dashboard's data sources: its extracts' columns, and a field per KPI that is read from them."""
    found = []
    for extract in dashboard.extracts:
        kpis = [kpi for kpi in catalog.kpis.values() if _is_read_from(catalog, kpi, dashboard, extract)]
        addable = addable_columns(catalog, dashboard, extract)
        found += [_column_entry(extract, column, adds_up=column.name in addable) for column in extract.columns]
        found += [_kpi_entry(extract, kpi) for kpi in kpis]
    return found


def looker_document(catalog: Catalog, dashboard: Dashboard, choices: LookerChoices, dated: date) -> Document:
    """The checklist with its link, as people read it."""
    link = report_link(dashboard, choices)
    problems = binding_problems(dashboard, parse_link(link), choices)
    notices = [Notice("warning", problem) for problem in problems] or [Notice("info", _whose_rows(choices))]
    return Document(
        title=f"{dashboard.title} in Looker Studio",
        subtitle=dashboard.description,
        language="en-GB",
        author="Data platform",
        dated=dated,
        meta=[("Template", choices.reports.get(dashboard.name, "none set: a blank report")), ("Link", link)],
        sections=[
            Section("Rows", notices),
            *(_section(extract, checklist(catalog, dashboard)) for extract in dashboard.extracts),
        ],
    )


def looker_facts(catalog: Catalog, dashboard: Dashboard, choices: LookerChoices) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "dashboard": dashboard.name,
        "title": dashboard.title,
        "link": report_link(dashboard, choices),
        "template": choices.reports.get(dashboard.name),
        "credentials": choices.credentials,
        "sources": data_sources(dashboard, choices),
        "fields": [asdict(entry) for entry in checklist(catalog, dashboard)],
    }


def _controls(dashboard: Dashboard, choices: LookerChoices) -> dict[str, str]:
    template = choices.reports.get(dashboard.name)
    return {"reportId": template, "mode": "view"} if template else {"mode": "edit"}


def _connector(dashboard: Dashboard, extract: Extract, choices: LookerChoices) -> dict[str, str]:
    if choices.source == "gcs":
        folder = choices.location or f"bucket/{_FOLDER}"
        path = f"{folder.rstrip('/')}/{dashboard.name}/{extract.name}/{extract.name}.csv"
        return {"connector": "googleCloudStorage", "pathType": "FILE", "path": path}
    dataset, view = choices.location or _FOLDER, f"{dashboard.name}__{extract.name}"
    where = {"connector": "bigQuery", "billingProjectId": choices.project}
    if choices.viewers_table is None:
        return {**where, "type": "TABLE", "projectId": choices.project, "datasetId": dataset, "tableId": view}
    # With its owner's credentials no mask binds either, so columns of persons stay out.
    columns = ", ".join(f"rows_of_all.{column.name}" for column in extract.columns if column.pii == "none")
    sql = (
        f"select {columns} from `{choices.project}.{dataset}.{view}` as rows_of_all "
        f"where rows_of_all.tenant_id in "
        f"(select tenant_id from `{choices.viewers_table}` where lower(email) = lower({VIEWER_EMAIL}))"
    )
    return {**where, "type": "CUSTOM_QUERY", "sql": sql}


def _is_read_from(catalog: Catalog, kpi: Kpi, dashboard: Dashboard, extract: Extract) -> bool:
    source = kpi_source(catalog, kpi)
    return (source.dashboard, source.extract.name) == (dashboard.name, extract.name)


def _column_entry(extract: Extract, column: ExtractColumn, *, adds_up: bool) -> FieldEntry:
    seen = "" if column.pii == "none" else f" {column.pii.capitalize()}: not where rows are picked by viewer."
    told = f"{column.description}{seen}"
    return FieldEntry(extract.name, column.name, _TYPES[column.type], "Sum" if adds_up else "None", told)


def _kpi_entry(extract: Extract, kpi: Kpi) -> FieldEntry:
    told = f"{kpi.definition}{_reading_note(kpi)}"
    return FieldEntry(extract.name, kpi.title, _UNITS[kpi.unit], "Auto", told, _formula(extract, kpi))


def _reading_note(kpi: Kpi) -> str:
    """What a reader has to know of the days that the formula is calculated over."""
    stock = " Read it for one day at a time: of a period the last." if kpi.headline.snapshot else ""
    days = days_to_mature(kpi)
    return f"{stock} Days that are not more than {days} days ago are left out." if days else stock


def _formula(extract: Extract, kpi: Kpi) -> str:
    """The headline as Looker Studio calculates it; a percentage there is a fraction that is shown as one."""
    headline = kpi.headline
    if headline.kind == "median":
        return f"MEDIAN({_where(extract, kpi, headline.numerator[0])})"
    figure = _sums(extract, kpi, headline.numerator)
    if headline.kind == "ratio":
        divided = f"({figure})" if len(headline.numerator) > 1 else figure
        divisor = _sums(extract, kpi, headline.denominator)
        figure = f"{divided} / " + (f"({divisor})" if len(headline.denominator) > 1 else divisor)
    # A percentage is scaled by its type, and money is wanted in whole units.
    scale = headline.scale / 100 if kpi.unit in ("percent", "money_minor") else headline.scale
    return figure if scale == 1 else f"{figure} * {scale:g}"


def _sums(extract: Extract, kpi: Kpi, terms: Sequence[str]) -> str:
    columns = [column.name for column in extract.columns]
    text = ""
    for term in terms:
        name = money_column(term.removeprefix("-"), columns, in_reporting=True)
        text += f" {'-' if term.startswith('-') else '+'} SUM({_where(extract, kpi, name)})"
    return text.strip().removeprefix("+ ")


def _where(extract: Extract, kpi: Kpi, column: str) -> str:
    """The column in the rows that the headline is about: of its filter, and of cohorts that had their time."""
    conditions = [f'{name} = "{value}"' for name, value in kpi.headline.filter.items()]
    if days := days_to_mature(kpi):
        # A row cannot be compared with the newest one here, so age is counted to today, whose day is not published yet.
        conditions.append(f"DATETIME_DIFF(TODAY(), {extract.day_column}, DAY) > {days}")
    return f"CASE WHEN {' AND '.join(conditions)} THEN {column} END" if conditions else column


def _section(extract: Extract, entries: Sequence[FieldEntry]) -> Section:
    columns = [
        Column("Field", width=3),
        Column("Type", width=2),
        Column("Aggregation", width=2),
        Column("Formula", width=4),
        Column("Means", width=5),
    ]
    rows = [
        [Cell(each.name), Cell(each.type), Cell(each.aggregation), Cell(each.formula or ""), Cell(each.description)]
        for each in entries
        if each.source == extract.name
    ]
    note = f"Schema version {extract.schema_version}; date range dimension: {extract.day_column}."
    return Section(extract.name, [Table(extract.description, columns, rows, "It has no field.", note=note)])


def _whose_rows(choices: LookerChoices) -> str:
    if choices.viewers_table is not None:
        return f"Each data source shows the rows of the viewer's tenants, by the addresses in {choices.viewers_table}."
    if choices.source == "gcs":
        return "A file holds all tenants: whoever may read the bucket sees every row, so share it with platform staff."
    return "Data sources use the viewer's credentials: BigQuery's row policies say which rows each viewer sees."
