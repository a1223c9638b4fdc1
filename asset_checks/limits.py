"""Values of marts and KPI tables within their declared ranges (`value_limits.yaml`).

Beyond what dbt's tests hold: those say what must be true of every row, these also what may be false of a few.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.quality import TableLimits, ValueLimit
from analytics_platform.defs.dbt import Manifest, key_of_table
from asset_checks.factory import Facts, Scope
from asset_checks.grouped import Found, GroupJudge, Told, check_group

WITHIN = Told(
    "values_are_within_limits",
    "Columns and ratios lie in their declared ranges, and few rows lack a value that they should have.",
    "validity",
)


@dataclass(frozen=True)
class Measured:
    """What a limit found.

    Attributes:
        limit: its name.
        rows: all rows that were looked at.
        judged: of these, with a value.
        outside: of the judged, out of range.
        lowest: value, None without any.
        highest: value.
    """

    limit: str
    rows: int
    judged: int
    outside: int
    lowest: float | None = None
    highest: float | None = None


def limit_checks(catalog: Catalog, manifest: Manifest) -> list[dg.AssetChecksDefinition]:
    """One check for each table that has limits."""
    tables = {key_of_table(manifest, name): limits for name, limits in catalog.value_limits.items()}
    return [check_group("tables_within_limits", [WITHIN], list(tables), _judge(tables))]


def values_are_within_limits(table: TableLimits, measured: Mapping[str, Measured]) -> Facts:
    """No limit of the table has more rows outside than it allows, and none lacks more values."""
    offenders, checked, failed = list[str](), 0, 0
    for limit in table.limits:
        found = measured[limit.name]
        missing = found.rows - found.judged
        if found.outside > limit.max_share * found.judged:
            what = f"{found.outside} of {found.judged} rows lie outside of {_range(limit)}"
            offenders.append(f"{limit.name}: {what} (found {_span(found)})")
        if limit.max_null_share is not None and missing > limit.max_null_share * found.rows:
            offenders.append(f"{limit.name}: {missing} of {found.rows} rows have no {limit.column}")
        checked += found.judged if limit.max_null_share is None else found.rows
        failed += found.outside + (0 if limit.max_null_share is None else missing)
    summary = f"{len(offenders)} of {len(table.limits)} limits do not hold; {failed:,} of {checked:,} values outside"
    counts = {"rows": max((each.rows for each in measured.values()), default=0), "limits": len(table.limits)}
    return Facts(not offenders, summary, counts, offenders, checked, failed)


def limits_query(table: TableLimits, first: date, last: date) -> tuple[str, list[object]]:
    """One row per limit of a table: `limit`, `rows`, `judged`, `outside`, `lowest`, `highest`."""
    parts = []
    for limit in table.limits:
        value, outside = _value(limit), _outside(limit)
        parts.append(
            f"select '{table.name}' as table_name, '{limit.name}' as name, count(*) as rows, "
            f"count({value}) as judged, count(*) filter ({outside}) as outside, "
            f"{_extreme('min', limit)} as lowest, {_extreme('max', limit)} as highest from rows_of_run"
        )
    where, parameters = "", list[object]()
    if table.day_column:
        where, parameters = f" where {table.day_column} between ? and ?", [first, last]
    sql = f"with rows_of_run as (select * from {table.name}{where}) {' union all '.join(parts)}"
    return sql, parameters


def _judge(tables: Mapping[dg.AssetKey, TableLimits]) -> GroupJudge:
    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        queries = [limits_query(tables[asset], *scope.days()) for asset in assets]
        sql = " union all ".join(f"select * from ({query})" for query, _ in queries)
        rows = scope.warehouse.query(sql, [each for _, parameters in queries for each in parameters]).to_pylist()
        measured: dict[str, dict[str, Measured]] = {tables[asset].name: {} for asset in assets}
        for row in rows:
            name = row["name"]
            measured[row["table_name"]][name] = Measured(
                name, row["rows"], row["judged"], row["outside"], row["lowest"], row["highest"]
            )
        return {
            dg.AssetCheckKey(asset, WITHIN.name): values_are_within_limits(tables[asset], measured[tables[asset].name])
            for asset in assets
        }

    return judge


def _value(limit: ValueLimit) -> str:
    return limit.column if limit.over is None else f"{limit.column} * 1.0 / nullif({limit.over}, 0)"


def _is_number(limit: ValueLimit) -> bool:
    return limit.minimum is not None or limit.maximum is not None


def _outside(limit: ValueLimit) -> str:
    value = _value(limit)
    bounds = [f"{value} < {limit.minimum}"] if limit.minimum is not None else []
    bounds += [f"{value} > {limit.maximum}"] if limit.maximum is not None else []
    return " or ".join(bounds) or "false"


def _extreme(function: str, limit: ValueLimit) -> str:
    return f"cast({function}({_value(limit)}) as double)" if _is_number(limit) else "cast(null as double)"


def _span(found: Measured) -> str:
    return "no values" if found.lowest is None else f"{found.lowest:g} to {found.highest:g}"


def _range(limit: ValueLimit) -> str:
    low = "any" if limit.minimum is None else f"{limit.minimum:g}"
    return f"{low} to {'any' if limit.maximum is None else f'{limit.maximum:g}'}"
