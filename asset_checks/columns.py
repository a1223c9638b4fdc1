"""Recorded columns of the warehouse against declared ones, of tables that live longer than a build.

A table that is made anew has the columns of its model, which dbt's contract holds. Loaded streams, staging and KPI
tables keep their old days: a column that an older release added, dropped or typed otherwise stays until it is seen.
"""

from collections.abc import Collection, Mapping

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest, Translator
from analytics_platform.defs.loaded import stream_table
from analytics_platform.lake.raw import RAW_SCHEMA
from asset_checks.factory import Facts, Scope
from asset_checks.grouped import Found, GroupJudge, Told, check_group

AS_DECLARED = Told(
    "columns_are_as_declared",
    "The table has the declared columns with their types, and no others.",
    "consistency",
    dg.AssetCheckSeverity.ERROR,
)

_ARROW_TYPES: Mapping[str, str] = {
    "date32[day]": "date",
    "string": "varchar",
    "int32": "integer",
    "timestamp[us, tz=UTC]": "timestamp with time zone",
}

_ANY_WHOLE_NUMBER = "number"
_ANY_DECIMAL = "decimal"
_WHOLE_NUMBERS = frozenset({"integer", "bigint"})

Types = Mapping[str, str]
"""Type by column, in lower case as the warehouse names it."""


def column_checks(catalog: Catalog, manifest: Manifest) -> list[dg.AssetChecksDefinition]:
    """One check for each loaded stream, and for each model of marts and KPIs whose table outlives a build.

    Staging tables outlive one too, but models read them by name, and a name that is gone fails the build.
    """
    raw = {field.name: _ARROW_TYPES[str(field.type)] for field in RAW_SCHEMA}
    streams = {keys.loaded(name): (stream_table(name), raw) for name in catalog.streams}
    models = _lasting_models(manifest)
    return [
        check_group("loaded_columns", [AS_DECLARED], list(streams), _judge(streams)),
        check_group("model_columns", [AS_DECLARED], list(models), _judge(models)),
    ]


def columns_are_as_declared(declared: Types, recorded: Types) -> Facts:
    """The recorded columns are the declared ones, by name and type, in any order."""
    offenders = [
        f"{name}: declared {declared.get(name, 'nowhere')}, recorded {recorded.get(name, 'nowhere')}"
        for name in sorted(declared.keys() | recorded.keys())
        if not _alike(declared.get(name), recorded.get(name))
    ]
    summary = f"{len(offenders)} of {len(declared)} columns are not as declared"
    counts = {"declared_columns": len(declared), "recorded_columns": len(recorded)}
    return Facts(not offenders, summary, counts, offenders, len(declared.keys() | recorded.keys()), len(offenders))


def _alike(declared: str | None, recorded: str | None) -> bool:
    """Whether a column has its type; a warehouse with one whole number, or one decimal, calls all of them so."""
    if recorded == _ANY_WHOLE_NUMBER:
        return declared in _WHOLE_NUMBERS
    if recorded == _ANY_DECIMAL:
        return (declared or "").startswith(_ANY_DECIMAL)
    return declared == recorded


def _judge(tables: Mapping[dg.AssetKey, tuple[str, Types]]) -> GroupJudge:
    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        recorded: dict[str, dict[str, str]] = {tables[asset][0]: {} for asset in assets}
        for row in scope.warehouse.query(
            "select table_schema || '.' || table_name as table_name, column_name, lower(data_type) as data_type "
            "from information_schema.columns"
        ).to_pylist():
            if row["table_name"] in recorded:
                recorded[row["table_name"]][row["column_name"]] = row["data_type"]
        return {
            dg.AssetCheckKey(asset, AS_DECLARED.name): columns_are_as_declared(declared, recorded[table])
            for asset, (table, declared) in ((asset, tables[asset]) for asset in assets)
        }

    return judge


def _lasting_models(manifest: Manifest) -> dict[dg.AssetKey, tuple[str, Types]]:
    return {
        Translator().get_asset_key(node): (
            f"{node['schema']}.{node['alias']}",
            {
                column["name"]: str(column["data_type"]).lower().replace(", ", ",")
                for column in node["columns"].values()
            },
        )
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["schema"] in {"marts", "kpi"}
        and node["config"]["materialized"] == "incremental"
    }
