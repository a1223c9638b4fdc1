"""Each question that the pages of docs/ put to the warehouse names tables and columns that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify

from analytics_platform.catalog import Catalog
from analytics_platform.defs.manifest import ensure_manifest, load_manifest
from analytics_platform.settings import PROJECT_ROOT, Settings

QUERY = re.compile(r"analytics sql (?:\"([^\"]+)\"|'([^']+)')")
PAGES = [each for each in sorted((PROJECT_ROOT / "docs").rglob("*.md")) if QUERY.search(each.read_text())]
MADE_BY_THE_READER = {"kpi_ticket_escalations", "stg_facility__gate_opened", "stg_support__ticket_escalated"}
"""Tables that a how-to adds."""

Columns = dict[str, dict[str, dict[str, str]]]


def queries(page: Path) -> list[str]:
    return ["".join(each) for each in QUERY.findall(page.read_text())]


def columns(catalog: Catalog, home: Path) -> Columns:
    """The columns of each table by schema, of models and sources as dbt has them, of others as the catalogue has."""
    ensure_manifest(Settings(home=home))
    manifest = load_manifest(Settings(home=home))
    found: Columns = {}
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        if node["columns"]:
            found.setdefault(node["schema"], {})[node["name"]] = dict.fromkeys(node["columns"], "unknown")
    for name, dataset in catalog.datasets.items():
        schema, _, table = name.partition(".")
        if table and dataset.columns:
            found.setdefault(schema, {}).setdefault(table, dict.fromkeys(dataset.columns, "unknown"))
    return found


def wrong_in(query: str, known: Columns) -> str | None:
    """What a query names that is not there."""
    parsed = sqlglot.parse_one(query, dialect="duckdb")
    tables = {(each.db, each.name) for each in parsed.find_all(exp.Table)}
    if any(name in MADE_BY_THE_READER for _, name in tables):
        return None
    if unknown := [f"{schema}.{name}" for schema, name in sorted(tables) if name not in known.get(schema, {})]:
        return ", ".join(unknown)
    try:
        qualify(parsed, schema=known, dialect="duckdb", quote_identifiers=False)
    except OptimizeError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def known(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Columns:
    return columns(catalog, tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_asks_for_what_is_there(page: Path, known: Columns) -> None:
    assert {query: wrong for query in queries(page) if (wrong := wrong_in(query, known))} == {}


@pytest.mark.parametrize(
    "query",
    [
        "select met_at from ops.sla_attainment",
        "select day from kpi.kpi_nothing",
        "select day from kpi.kpi_mrr where tenant = 'x'",
    ],
)
def test_what_is_not_there_is_found(query: str, known: Columns) -> None:
    assert wrong_in(query, known)
