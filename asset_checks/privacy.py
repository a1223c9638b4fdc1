"""Personal data where none may be: text columns of marts, KPI tables and extracts that are classed `none`.

Searched with the catalogue's patterns (`personal_data_patterns.yaml`). What is told is how many values of which column
look like what, and never a value: the report of a leak must not be one.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg
import polars as pl

from analytics_platform.catalog import Catalog, Extract
from analytics_platform.catalog.quality import PersonalDataPattern
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest, Translator
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.reporting.extracts import ExtractMissingError, scan_extract
from asset_checks.factory import Facts, Scope
from asset_checks.grouped import Found, GroupJudge, Told, check_group

NO_PERSONAL_DATA = Told(
    "no_personal_data_where_none_may_be",
    "No value of a column that is classed `none` looks like an e-mail address, a telephone number, a bank account, an "
    "IP address or a person's name; found ones are counted by column and not shown.",
    "validity",
    dg.AssetCheckSeverity.ERROR,
)

Patterns = Mapping[str, PersonalDataPattern]


@dataclass(frozen=True)
class Column:
    """A text column that may hold no personal data.

    Attributes:
        table: of the warehouse, as `schema.name`.
        name: the column's.
        has_day: whether the table's rows have a `day`, so that a run looks at its own.
    """

    table: str
    name: str
    has_day: bool


def privacy_checks(catalog: Catalog, manifest: Manifest) -> list[dg.AssetChecksDefinition]:
    """One check for every model of marts and KPI tables, and for every extract."""
    tables = _tables(manifest)
    extracts = {
        keys.extract(dashboard.name, extract.name): (dashboard.name, extract)
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    }
    patterns, harmless = catalog.personal_data_patterns, _organisations(catalog)
    told = [NO_PERSONAL_DATA]
    return [
        check_group("tables_without_personal_data", told, list(tables), _of_tables(tables, patterns, harmless)),
        check_group("extracts_without_personal_data", told, list(extracts), _of_extracts(extracts, patterns, harmless)),
    ]


def no_personal_data_where_none_may_be(values: int, finds: Mapping[tuple[str, str], int], columns: int) -> Facts:
    """No value of the columns looks like personal data.

    Args:
        values: different values that were looked at.
        finds: by column and pattern, how many of them match.
        columns: how many were looked at.
    """
    found = {key: count for key, count in finds.items() if count}
    offenders = [f"column {column}: {count} values look like {pattern}" for (column, pattern), count in found.items()]
    failed = sum(found.values())
    summary = f"{failed} of {values:,} different values in {columns} columns look like personal data"
    counts = {"columns": columns, **{f"{pattern}_in_{column}": count for (column, pattern), count in found.items()}}
    return Facts(not found, summary, counts, offenders, values, failed)


def finds_in(values: Collection[str], patterns: Patterns, harmless: Collection[str]) -> dict[str, int]:
    """How many values each pattern finds, leaving out harmless ones (names of tenants, which are organisations)."""
    return {
        name: sum(1 for value in values if value not in harmless and re.search(each.pattern, value))
        for name, each in patterns.items()
    }


def suspects_query(columns: Sequence[Column], patterns: Patterns, first: date, last: date) -> tuple[str, list[object]]:
    """One row per column with values: `table_name`, `column_name`, `values`, and `suspects`: what any pattern finds.

    The suspects stay in this process, where the patterns tell them apart; almost always there are none. Each table is
    read once, and the patterns are looked for once, among the different values of all of them: a query with a part per
    column takes eight times as long on tables of a few rows.
    """
    any_pattern = "|".join(f"({each.pattern})" for each in patterns.values())
    of_table: dict[tuple[str, bool], list[str]] = {}
    for column in columns:
        of_table.setdefault((column.table, column.has_day), []).append(column.name)
    parts, parameters = [], list[object]([any_pattern])
    for (table, has_day), names in of_table.items():
        texts = ", ".join(f"cast({name} as varchar) as {name}" for name in names)
        where = "where day between ? and ?" if has_day else ""
        parts.append(
            # Products differ in how they write a column's name.
            f"select distinct '{table}' as table_name, lower(column_name) as column_name, value "
            f"from (select {texts} from {table} {where}) as texts "
            f"unpivot (value for column_name in ({', '.join(names)}))"
        )
        parameters += (first, last) if has_day else ()
    sql = (
        "select table_name, column_name, count(*) as values, list(value) filter (is_suspect) as suspects "
        "from (select table_name, column_name, value, regexp_matches(value, ?) as is_suspect "
        f"from ({' union all '.join(parts)}) as found) as judged group by table_name, column_name"
    )
    return sql, parameters


def _of_tables(
    tables: Mapping[dg.AssetKey, Sequence[Column]], patterns: Patterns, harmless: Collection[str]
) -> GroupJudge:
    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        columns = [column for asset in assets for column in tables[asset]]
        answered: dict[tuple[str, str], tuple[int, Sequence[str]]] = {}
        if columns:
            for row in scope.warehouse.query(*suspects_query(columns, patterns, *scope.days())).to_pylist():
                answered[row["table_name"], row["column_name"]] = row["values"], row["suspects"] or ()
        return {
            _key(asset): _facts(
                {column.name: answered.get((column.table, column.name), (0, ())) for column in tables[asset]},
                patterns,
                harmless,
            )
            for asset in assets
        }

    return judge


def _of_extracts(
    extracts: Mapping[dg.AssetKey, tuple[str, Extract]], patterns: Patterns, harmless: Collection[str]
) -> GroupJudge:
    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        found = {}
        for asset in assets:
            dashboard, extract = extracts[asset]
            names = [column.name for column in extract.columns if column.type == "string" and column.pii == "none"]
            values = _published_values(scope, dashboard, extract.name, names)
            found[_key(asset)] = _facts({name: (len(each), each) for name, each in values.items()}, patterns, harmless)
        return found

    return judge


def _published_values(scope: Scope, dashboard: str, extract: str, names: Sequence[str]) -> dict[str, list[str]]:
    """The different values of the columns, of the published days within the scope."""
    first, last = scope.days()
    if not names:
        return {}
    try:
        rows = scan_extract(scope.store, dashboard, extract, first, last)
    except ExtractMissingError:
        return {name: [] for name in names}
    frame = rows.select(pl.col(name).drop_nulls().unique().implode() for name in names).collect()
    return {name: frame[name][0].to_list() for name in names}


def _facts(answered: Mapping[str, tuple[int, Sequence[str]]], patterns: Patterns, harmless: Collection[str]) -> Facts:
    finds = {
        (column, pattern): count
        for column, (_, suspects) in answered.items()
        for pattern, count in finds_in(suspects, patterns, harmless).items()
    }
    return no_personal_data_where_none_may_be(sum(count for count, _ in answered.values()), finds, len(answered))


def _tables(manifest: Manifest) -> dict[dg.AssetKey, list[Column]]:
    """The text columns without a class of every model in marts and KPI tables."""
    tables: dict[dg.AssetKey, list[Column]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["schema"] in {"marts", "kpi"}:
            table, columns = f"{node['schema']}.{node['alias']}", node["columns"].values()
            tables[Translator().get_asset_key(node)] = [
                Column(table, column["name"], "day" in node["columns"])
                for column in columns
                if column["data_type"] == "varchar" and column["config"]["meta"]["pii"] == "none"
            ]
    texts = ("kpi", "series", "rule", "reason")
    return {**tables, keys.ANOMALIES: [Column(ANOMALIES_TABLE, name, has_day=True) for name in texts]}


def _organisations(catalog: Catalog) -> frozenset[str]:
    return frozenset(name for tenant in catalog.tenants.values() for name in (tenant.name, tenant.tenant_id))


def _key(asset: dg.AssetKey) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(asset, NO_PERSONAL_DATA.name)
