"""Where the model's rows come from: published extracts, or their views in a warehouse. M, Power Query's language.

One project is for one kind of source. A model could ask a parameter which connector to use, but the service reads a
query for every source that it may ever touch and wants credentials (and for files a gateway) for each of them before it
refreshes anything. So the kind is chosen when the project is built, and where the source lies is a parameter of it.

Published extracts are read by their manifest, which names every object of one whole publication: a reader never sees
half of one, nor an object that a later one has replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from analytics_platform.catalog import Extract
from analytics_platform.catalog.dashboards import ColumnType

SourceKind = Literal["folder", "https", "adls", "snowflake", "bigquery"]
_WAREHOUSES = frozenset({"snowflake", "bigquery"})

VIEWS_SCHEMA = "extracts"
READ_EXTRACT = "ReadExtract"
"""The shared function of the model: dashboard and extract in, a table out."""

M_TYPES: Mapping[ColumnType, str] = {
    "date": "type date",
    "timestamp": "type datetime",
    "string": "type text",
    "integer": "Int64.Type",
    "number": "type number",
    "boolean": "type logical",
}

_LISTED = """(dashboard as text, extract as text) as table =>
let
    Root = Text.TrimEnd(Text.Replace(ExtractLocation, "\\", "/"), "/"),
    Listed = {files},
    Files = Table.AddColumn(Listed, "Path", each Text.Replace([Folder Path], "\\", "/") & [Name], type text),
    Manifest = Json.Document(Files{{[Path = Root & "/" & dashboard & "/manifest.json"]}}[Content]),
    Days = Record.FieldValues(Record.Field(Manifest[tables], extract)[days]),
    Keys = List.Transform(Days, each Root & "/" & Text.AfterDelimiter([key], "/")),
    Wanted = Table.FromColumns({{Keys}}, {{"Path"}}),
    Found = Table.NestedJoin(Wanted, {{"Path"}}, Files, {{"Path"}}, "File", JoinKind.LeftOuter)
in
    Table.Combine(List.Transform(Found[File], each Parquet.Document(_{{0}}[Content])))"""
"""Files are taken from one listing of a fixed folder: a path made up for each file would be a source of its own to the
service, and each of them would want credentials."""

_SERVED = """(dashboard as text, extract as text) as table =>
let
    Open = (path as text) as binary => Binary.Buffer(Web.Contents(ExtractLocation, [RelativePath = path])),
    Manifest = Json.Document(Open(dashboard & "/manifest.json")),
    Days = Record.FieldValues(Record.Field(Manifest[tables], extract)[days])
in
    Table.Combine(List.Transform(Days, each Parquet.Document(Open(Text.AfterDelimiter([key], "/")))))"""

_READERS: Mapping[SourceKind, str] = {
    "folder": _LISTED.format(files="Folder.Files(ExtractLocation)"),
    "adls": _LISTED.format(files="AzureStorage.DataLake(ExtractLocation)"),
    "snowflake": (
        "(dashboard as text, extract as text) as table =>\n"
        "let\n"
        "    Databases = Snowflake.Databases(SnowflakeServer, SnowflakeWarehouse),\n"
        '    Database = Databases{[Name = SnowflakeDatabase, Kind = "Database"]}[Data],\n'
        '    Schema = Database{[Name = "EXTRACTS", Kind = "Schema"]}[Data],\n'
        '    View = Schema{[Name = Text.Upper(dashboard & "__" & extract), Kind = "View"]}[Data]\n'
        "in\n"
        "    Table.TransformColumnNames(View, Text.Lower)"
    ),
    "bigquery": (
        "(dashboard as text, extract as text) as table =>\n"
        "let\n"
        "    Projects = GoogleBigQuery.Database([BillingProject = BigQueryProject]),\n"
        "    Project = Projects{[Name = BigQueryProject]}[Data],\n"
        '    Dataset = Project{[Name = "extracts", Kind = "Schema"]}[Data]\n'
        "in\n"
        '    Dataset{[Name = dashboard & "__" & extract, Kind = "View"]}[Data]'
    ),
    "https": _SERVED,
}
_PARAMETERS: Mapping[SourceKind, tuple[tuple[str, str], ...]] = {
    "folder": (("ExtractLocation", r"C:\analytics\lake\extracts"),),
    "https": (("ExtractLocation", "https://lake.example.com/extracts"),),
    "adls": (("ExtractLocation", "https://account.dfs.core.windows.net/lake/extracts"),),
    "snowflake": (
        ("SnowflakeServer", "account.snowflakecomputing.com"),
        ("SnowflakeWarehouse", "REPORTING"),
        ("SnowflakeDatabase", "ANALYTICS"),
    ),
    "bigquery": (("BigQueryProject", "analytics"),),
}
"""Parameters with what stands in them where nobody says better; the first is the location."""


@dataclass(frozen=True)
class Source:
    """A kind of source and where it lies.

    Attributes:
        kind: which connector reads it.
        location: folder, address, server or project; None leaves an example to be replaced in Power BI Desktop.
    """

    kind: SourceKind = "folder"
    location: str | None = None

    @property
    def is_warehouse(self) -> bool:
        """Whether rows come from a warehouse's views and not from published files."""
        return self.kind in _WAREHOUSES

    @property
    def parameters(self) -> dict[str, str]:
        """The model's parameters with their values."""
        found = dict(_PARAMETERS[self.kind])
        if self.location is not None:
            found[next(iter(found))] = self.location
        return found

    @property
    def reader(self) -> str:
        """The function that reads an extract."""
        return _READERS[self.kind]


def parameter(value: str) -> str:
    """A text parameter of the model as M writes it."""
    return f'{m_text(value)} meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]'


def m_text(value: str) -> str:
    """A text as M writes it; `#(` would begin an escape."""
    return '"' + value.replace("#(", "#(#)(").replace('"', '""') + '"'


def partition(dashboard: str, extract: Extract, keyed: Mapping[str, str]) -> str:
    """The query of an extract's table: the declared columns in their types, and the keys of its dimensions.

    Args:
        dashboard: whose extract it is.
        extract: its declaration; a column that an older file lacks is null.
        keyed: columns to make, by name, each from the tenant and a column.
    """
    chosen = ", ".join(m_text(column.name) for column in extract.columns)
    typed = ", ".join(f"{{{m_text(column.name)}, {M_TYPES[column.type]}}}" for column in extract.columns)
    steps = [
        ("Source", f"{READ_EXTRACT}({m_text(dashboard)}, {m_text(extract.name)})"),
        ("Chosen", f"Table.SelectColumns(Source, {{{chosen}}}, MissingField.UseNull)"),
        ("Typed", f"Table.TransformColumnTypes(Chosen, {{{typed}}})"),
    ]
    for number, (key, column) in enumerate(keyed.items(), 1):
        made = f'each [tenant_id] & "|" & ([{column}] ?? ""), type text'
        steps.append((f"Keyed{number}", f"Table.AddColumn({steps[-1][0]}, {m_text(key)}, {made})"))
    lines = ",\n".join(f"    {name} = {expression}" for name, expression in steps)
    return f"let\n{lines}\nin\n    {steps[-1][0]}"


def views(dashboard: str, extract: Extract) -> str:
    """The view of a warehouse that shows an extract: the declared columns of the table that it is cut from."""
    columns = ", ".join(column.name for column in extract.columns)
    return (
        f"create or replace view {VIEWS_SCHEMA}.{dashboard}__{extract.name} as\n"
        f"select {columns}\nfrom {extract.source};\n"
    )
