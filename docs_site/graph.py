"""The asset graph and its tables: every asset with who keeps it, every check, and every model with its columns."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import dagster as dg

from analytics_platform.defs.manifest import load_manifest
from analytics_platform.settings import Settings
from docs_site.markdown import cell, code, page, table


def assets_page(definitions: dg.Definitions) -> str:
    """The page of all assets, group by group."""
    groups: dict[str, list[dg.AssetSpec]] = defaultdict(list)
    for spec in definitions.resolve_all_asset_specs():
        groups[spec.group_name or "default"].append(spec)
    lede = f"{sum(map(len, groups.values()))} assets in {len(groups)} groups, as Dagster's UI shows them."
    sections = (f"## {group}\n\n{_assets(groups[group])}" for group in sorted(groups))
    return page("Assets", lede, *sections)


def _assets(specs: list[dg.AssetSpec]) -> str:
    rows = (
        (
            code(spec.key.to_user_string()),
            _partitions(spec),
            ", ".join(sorted(spec.kinds)),
            ", ".join(spec.owners),
            _first(spec),
        )
        for spec in sorted(specs, key=lambda each: each.key)
    )
    return table(["asset", "partitions", "kinds", "owner", ""], rows)


def _partitions(spec: dg.AssetSpec) -> str:
    found = spec.partitions_def
    if isinstance(found, dg.MultiPartitionsDefinition):
        return " x ".join(sorted(each.name for each in found.partitions_defs))
    return type(found).__name__.removesuffix("PartitionsDefinition").lower() if found else ""


def _first(spec: dg.AssetSpec) -> str:
    """The first paragraph of a description; dbt puts the SQL below it."""
    return (spec.description or "").partition("\n\n")[0]


def checks_page(definitions: dg.Definitions) -> str:
    """The page of all checks, group by group, as Dagster's UI shows them: those of `asset_checks/` and dbt's tests."""
    graph = definitions.resolve_asset_graph()
    groups: dict[str, list[dg.AssetCheckSpec]] = defaultdict(list)
    for key in graph.asset_check_keys:
        groups[graph.get(key.asset_key).group_name or "default"].append(graph.get_check_spec(key))
    lede = f"{sum(map(len, groups.values()))} checks. How to read one, and what decides: [quality](../quality.md)."
    return page("Checks", lede, *(f"## {group}\n\n{_checks(groups[group])}" for group in sorted(groups)))


def _checks(specs: list[dg.AssetCheckSpec]) -> str:
    rows = (
        (
            code(spec.asset_key.to_user_string()),
            code(spec.name),
            "yes" if spec.blocking else "",
            (spec.description or "").partition("\n\n")[0],
        )
        for spec in sorted(specs, key=lambda each: (each.asset_key, each.name))
    )
    return table(["asset", "check", "blocks", "what it says"], rows)


def tables_page(settings: Settings) -> str:
    """The page of all models and sources of dbt, with their columns."""
    manifest: dict[str, Any] = dict(load_manifest(settings))
    models = [each for each in manifest["nodes"].values() if each["resource_type"] == "model"]
    schemas: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for node in sorted(models, key=lambda each: each["name"]):
        schemas[node["schema"]].append(node)
    lede = "What the warehouse holds, as dbt builds it. `analytics sql` reads it."
    return page(
        "Tables", lede, *(f"## {schema}\n\n" + "\n".join(map(_table, schemas[schema])) for schema in sorted(schemas))
    )


def _table(node: dict[str, Any]) -> str:
    rows = (
        (code(each["name"]), each.get("data_type") or "", each.get("description", ""))
        for each in node["columns"].values()
    )
    return (
        f"### {node['schema']}.{node['name']}\n\n{cell(node['description'])}\n\n{table(['column', 'type', ''], rows)}"
    )
