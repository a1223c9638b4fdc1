"""The policy as configuration of dbt: who may select each model, and what protects a table that was made anew. Pure.

A fragment for `models:` of dbt_project.yml, by warehouse. dbt runs a model's post-hooks before it grants, and a table
that was replaced has no grants until then: so nobody reads it unprotected. On BigQuery readers have no right on the
tables themselves, so there are hooks alone. DuckDB has neither; the embedded project stays without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from analytics_platform.governance.access.bigquery import Project, row_statements
from analytics_platform.governance.access.policy import Policy
from analytics_platform.governance.access.snowflake import attachments, readers, role_name
from analytics_platform.governance.access.tables import Table


def compile_dbt(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], database: str, project: Project
) -> dict[str, str]:
    """The fragments by file."""
    snowflake: dict[str, Any] = {}
    bigquery: dict[str, Any] = {}
    for reader in readers(policy, tables, tenants):
        if reader.table.dbt_path is None:
            continue
        _place(snowflake, reader.table.dbt_path)["+grants"] = {"select": [role_name(each) for each in reader.audiences]}
        if hooks := attachments(policy, reader, database):
            _place(snowflake, reader.table.dbt_path)["+post-hook"] = hooks
        if hooks := row_statements(reader, project):
            _place(bigquery, reader.table.dbt_path)["+post-hook"] = hooks
    return {"dbt/snowflake.yml": _fragment(snowflake), "dbt/bigquery.yml": _fragment(bigquery)}


def _place(tree: dict[str, Any], path: Iterable[str]) -> dict[str, Any]:
    for part in path:
        tree = tree.setdefault(part, {})
    return tree


def _fragment(models: dict[str, Any]) -> str:
    return yaml.safe_dump({"models": models}, sort_keys=True, width=10_000, allow_unicode=True)
