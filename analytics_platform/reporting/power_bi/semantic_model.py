"""The semantic model as TMDL files: tables, relationships, parameters, measures, and roles that come in as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analytics_platform.catalog import ExtractColumn, Kpi
from analytics_platform.catalog.dashboards import ColumnType
from analytics_platform.reporting.addable import addable_columns
from analytics_platform.reporting.power_bi import dax, names, sources
from analytics_platform.reporting.power_bi.measures import Measure, kpi_measures
from analytics_platform.reporting.power_bi.model import TENANT, TENANT_COLUMN, Dimension, Fact, Model
from analytics_platform.reporting.power_bi.names import DATE, DATE_KEY, KPIS, identity
from analytics_platform.reporting.power_bi.tmdl import Node, column_reference, parse, render
from analytics_platform.warehouse.headlines import ALL_TENANTS

DATA_TYPES: Mapping[ColumnType, str] = {
    "date": "dateTime",
    "timestamp": "dateTime",
    "string": "string",
    "integer": "int64",
    "number": "double",
    "boolean": "boolean",
}
_FORMATS: Mapping[ColumnType, str] = {
    "date": "yyyy-mm-dd",
    "timestamp": "yyyy-mm-dd hh:mm:ss",
    "integer": "#,##0",
    "number": "#,##0.00",
}
_COMPATIBILITY = "1601"
_KEY = "Key"
_CULTURE = "en-GB"

_DATE_COLUMNS: tuple[tuple[str, str, str, str | None], ...] = (
    ("Year", "YEAR([Date])", "0", None),
    ("Quarter", '"Q" & QUARTER([Date]) & " " & YEAR([Date])', "", "Quarter order"),
    ("Quarter order", "YEAR([Date]) * 10 + QUARTER([Date])", "0", None),
    ("Month", 'FORMAT([Date], "mmm yyyy", "en-GB")', "", "Month order"),
    ("Month order", "YEAR([Date]) * 100 + MONTH([Date])", "0", None),
    ("Week", '"Week of " & FORMAT([Date] - WEEKDAY([Date], 2) + 1, "yyyy-mm-dd")', "", None),
)
"""Calculated columns of the date table: name, DAX, format, and what orders it."""


def semantic_model_files(model: Model, roles: Mapping[str, str]) -> dict[str, str]:
    """The files of the model's `definition` folder.

    Args:
        model: what is in it.
        roles: the text of each role by its name, as the access policy compiles it for this model.
    """
    tables = [*(_fact(model, fact) for fact in model.facts), _date(model), _tenant(model)]
    tables += [*(_dimension(each) for each in model.dimensions), _kpis(model)]
    return {
        "database.tmdl": render([_database()]),
        "model.tmdl": render([_model_node(model), *_references(tables, roles)]),
        "expressions.tmdl": render(_expressions(model)),
        "relationships.tmdl": render(_relationships(model)),
        **{f"tables/{table.name}.tmdl": render([table]) for table in tables},
        **{f"roles/{name}.tmdl": render(parse(text)) for name, text in sorted(roles.items())},
    }


def _database() -> Node:
    return Node("database", names.PROJECT, properties={"compatibilityLevel": _COMPATIBILITY})


def _model_node(model: Model) -> Node:
    order = ",".join(f'"{name}"' for name in model.source.parameters)
    return Node(
        "model",
        "Model",
        properties={
            "culture": _CULTURE,
            "defaultPowerBIDataSourceVersion": "powerBI_V3",
            "discourageImplicitMeasures": True,
            "sourceQueryCulture": _CULTURE,
        },
        children=(
            Node("annotation", "__PBI_TimeIntelligenceEnabled", "0"),
            Node("annotation", "PBI_QueryOrder", f"[{order}]"),
        ),
    )


def _references(tables: Iterable[Node], roles: Mapping[str, str]) -> list[Node]:
    return [*(Node("ref table", each.name) for each in tables), *(Node("ref role", name) for name in sorted(roles))]


def _expressions(model: Model) -> list[Node]:
    parameters = [
        _expression(name, sources.parameter(value), "Text") for name, value in model.source.parameters.items()
    ]
    return [*parameters, _expression(sources.READ_EXTRACT, model.source.reader, "Function")]


def _expression(name: str, value: str, result: str) -> Node:
    annotation = Node("annotation", "PBI_ResultType", result)
    return Node("expression", name, value, {"lineageTag": identity("expression", name)}, children=(annotation,))


def _relationships(model: Model) -> list[Node]:
    found = []
    for fact in model.facts:
        found.append(_relationship(fact, fact.extract.day_column, DATE, DATE_KEY))
        found.append(_relationship(fact, TENANT_COLUMN, TENANT, TENANT))
        found += [_relationship(fact, each.key, each.name, _KEY) for each in model.dimensions_of(fact)]
    return found


def _relationship(fact: Fact, column: str, table: str, key: str) -> Node:
    return Node(
        "relationship",
        identity("relationship", fact.name, column, table),
        properties={"fromColumn": column_reference(fact.name, column), "toColumn": column_reference(table, key)},
    )


def _fact(model: Model, fact: Fact) -> Node:
    keys = {each.key: each.column for each in model.dimensions_of(fact)}
    addable = addable_columns(model.catalog, model.catalog.dashboards[fact.dashboard], fact.extract)
    columns = [_column(fact, each, is_summed=each.name in addable) for each in fact.extract.columns]
    columns += [_key_column(fact, key, column) for key, column in keys.items()]
    partition = Node(
        "partition",
        fact.name,
        "m",
        {"mode": "import"},
        {"source": sources.partition(fact.dashboard, fact.extract, keys)},
    )
    return Node(
        "table",
        fact.name,
        properties={"lineageTag": identity("table", fact.name)},
        children=(*columns, partition, Node("annotation", "Extract", f"{fact.dashboard}/{fact.extract.name}")),
        description=f"{fact.extract.description} Schema version {fact.extract.schema_version}.",
    )


def _column(fact: Fact, column: ExtractColumn, *, is_summed: bool) -> Node:
    return _text_column(
        fact.name,
        column.name,
        DATA_TYPES[column.type],
        column.description,
        format_string=_FORMATS.get(column.type, ""),
        summarize="sum" if is_summed else "none",
        is_hidden=column.name in (TENANT_COLUMN, fact.extract.day_column),
    )


def _key_column(fact: Fact, key: str, column: str) -> Node:
    told = f"Tenant and {column}, which meet the shared dimension."
    return _text_column(fact.name, key, "string", told, is_hidden=True)


def _text_column(
    table: str,
    name: str,
    data_type: str,
    description: str,
    *,
    format_string: str = "",
    summarize: str = "none",
    is_hidden: bool = False,
    source: str | None = None,
) -> Node:
    """A column that rows come with; `source` is another name of it where it comes from."""
    properties: dict[str, str | bool] = {"dataType": data_type}
    properties |= {"isHidden": True} if is_hidden else {}
    properties |= {"isNameInferred": True} if source else {}
    properties |= {"formatString": format_string} if format_string else {}
    properties |= {
        "lineageTag": identity("column", table, name),
        "summarizeBy": summarize,
        "sourceColumn": source or name,
    }
    annotation = Node("annotation", "SummarizationSetBy", "User")
    return Node("column", name, None, properties, children=(annotation,), description=description)


def _calculated(name: str, expression: str, columns: Iterable[Node], description: str, **properties: str) -> Node:
    partition = Node("partition", name, "calculated", {"mode": "import"}, {"source": expression})
    return Node(
        "table",
        name,
        properties={"lineageTag": identity("table", name), **properties},
        children=(*columns, partition),
        description=description,
    )


def _date(model: Model) -> Node:
    days = [dax.column(fact.name, fact.extract.day_column) for fact in model.facts]
    bounds = {name: f"{name}X({{{', '.join(f'{name}({day})' for day in days)}}}, [Value])" for name in ("MIN", "MAX")}
    key = _text_column(DATE, DATE_KEY, "dateTime", "The business day.", format_string="yyyy-mm-dd", source="[Date]")
    key = Node("column", DATE_KEY, None, {"isKey": True, **key.properties}, {}, key.children, key.description)
    columns = [key, *(_date_column(*each) for each in _DATE_COLUMNS)]
    expression = f"CALENDAR(\n    {bounds['MIN']},\n    {bounds['MAX']}\n)"
    told = "Every day that any extract has, without a gap; marked as the model's date table."
    return _calculated(DATE, expression, columns, told, dataCategory="Time")


def _date_column(name: str, expression: str, format_string: str, ordered_by: str | None) -> Node:
    is_text = not format_string
    properties: dict[str, str | bool] = {"dataType": "string" if is_text else "int64"}
    properties |= {} if is_text else {"formatString": format_string}
    properties |= {"isHidden": True} if name.endswith("order") else {}
    properties |= {"lineageTag": identity("column", DATE, name), "summarizeBy": "none"}
    properties |= {"sortByColumn": f"'{ordered_by}'"} if ordered_by else {}
    return Node("column", name, expression, properties)


def _tenant(model: Model) -> Node:
    parts = [f"    DISTINCT({dax.column(fact.name, TENANT_COLUMN)})" for fact in model.facts]
    united = "UNION(\n" + ",\n".join(parts) + "\n)" if len(parts) > 1 else parts[0].strip()
    real = f"FILTER(DISTINCT({united}), [{TENANT_COLUMN}] <> {dax.text(ALL_TENANTS)})"
    expression = f"SELECTCOLUMNS({real}, {dax.text(TENANT)}, [{TENANT_COLUMN}])"
    column = _text_column(TENANT, TENANT, "string", "Tenant.", source=f"[{TENANT}]")
    return _calculated(TENANT, expression, [column], "Every tenant that any extract has rows of.")


def _dimension(dimension: Dimension) -> Node:
    parts = [
        "    SELECTCOLUMNS("
        f"{dax.table(fact.name)}, {dax.text(_KEY)}, {dax.column(fact.name, dimension.key)}, "
        f"{dax.text(TENANT_COLUMN)}, {dax.column(fact.name, TENANT_COLUMN)}, "
        f"{dax.text(dimension.name)}, {dax.column(fact.name, dimension.column)})"
        for fact in dimension.facts
    ]
    told = next(c.description for c in dimension.facts[0].extract.columns if c.name == dimension.column)
    columns = [
        _text_column(dimension.name, _KEY, "string", "Tenant and value.", is_hidden=True, source=f"[{_KEY}]"),
        _text_column(dimension.name, TENANT_COLUMN, "string", "Tenant.", is_hidden=True, source=f"[{TENANT_COLUMN}]"),
        _text_column(dimension.name, dimension.name, "string", told, source=f"[{dimension.name}]"),
    ]
    expression = "DISTINCT(UNION(\n" + ",\n".join(parts) + "\n))"
    where = ", ".join(fact.name for fact in dimension.facts)
    return _calculated(dimension.name, expression, columns, f"Every value of {dimension.column} in {where}.")


def _kpis(model: Model) -> Node:
    measures = [_measure(each) for kpi in _in_order(model.catalog.kpis.values()) for each in kpi_measures(model, kpi)]
    placeholder = _text_column(KPIS, "Value", "int64", "Holds nothing.", is_hidden=True, source="[Value]")
    return _calculated(
        KPIS,
        'SELECTCOLUMNS({0}, "Value", [Value])',
        [*measures, placeholder],
        "The numbers that the business is steered by; each measure says how it is defined.",
    )


def _measure(measure: Measure) -> Node:
    properties: dict[str, str | bool] = {"formatString": measure.format}
    properties |= {"isHidden": True} if measure.is_hidden else {}
    properties |= {"displayFolder": measure.folder, "lineageTag": identity("measure", measure.name)}
    return Node("measure", measure.name, measure.expression, properties, description=measure.description)


def _in_order(kpis: Iterable[Kpi]) -> list[Kpi]:
    return sorted(kpis, key=lambda kpi: (kpi.dashboard, kpi.title))
