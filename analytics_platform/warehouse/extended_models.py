"""What a model of an extension must say before it is built: where it belongs, who owns it, what its columns hold.

Belongs here: judging dbt's manifest against the catalogue, for models that an extension brings; the platform's own are
held by its tests. Stays out: what dbt judges itself (syntax, references) and what a table must be checked for
(`asset_checks.demands`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from analytics_platform.catalog import PII_CLASSES, Catalog, Problem

LAYERS = ("staging", "marts", "kpi")
"""The folders below `models/`; the one below is the domain."""


def model_problems(manifest: Mapping[str, Any], catalog: Catalog, extension: Path) -> Iterator[Problem]:
    """What is wrong with the models and seeds of an extension.

    Args:
        manifest: of the project that is put together of the platform's and the extension's files.
        catalog: with what the extension declares.
        extension: its folder.
    """
    for node in manifest["nodes"].values():
        source = extension / "dbt" / node["original_file_path"]
        if node["resource_type"] in ("model", "seed") and source.is_file():
            yield from _problems(node, catalog, extension, str(source))


def _problems(node: Mapping[str, Any], catalog: Catalog, extension: Path, source: str) -> Iterator[Problem]:
    folders = PurePosixPath(node["original_file_path"]).parts[1:-1]
    if node["resource_type"] == "model" and (len(folders) < 2 or folders[0] not in LAYERS):
        mend = f"move it below models/<layer>/<domain>, with one of {', '.join(LAYERS)} as layer"
        yield Problem(source, "(whole file)", "lies in no layer and domain", mend)
        return
    if node["patch_path"] is None:
        yield Problem(source, "(whole file)", "is not described", "list it in a .yml beside it, with all its columns")
        return
    described = str(extension / "dbt" / node["patch_path"].partition("://")[2])
    table = f"{node['schema']}.{node['alias']}"
    dataset = catalog.datasets.get(table)
    registry = str(extension / "catalog" / "datasets.yaml")
    if dataset is None:
        mend = "add it with owner, retention class, tenant column and PII columns, or nothing would ever delete it"
        yield Problem(registry, table, f"is not registered, and {Path(source).name} builds it", mend)
        return
    owner = node["config"].get("meta", {}).get("owner")
    if owner != dataset.owner:
        what = f"{owner!r}, but {registry} says {dataset.owner!r}"
        yield Problem(described, f"{node['name']}.config.meta.owner", what, f"write {dataset.owner}")
    for name, column in node["columns"].items():
        at, pii = f"{node['name']}.columns[{name}]", column.get("config", {}).get("meta", {}).get("pii")
        if not column.get("data_type"):
            yield Problem(described, f"{at}.data_type", "is missing", "write one such as varchar, bigint or date")
        if pii not in PII_CLASSES:
            mend = f"write one of {', '.join(PII_CLASSES)}: what has no class would be kept when a person is erased"
            yield Problem(described, f"{at}.config.meta.pii", f"{pii!r} is no class", mend)
        elif pii != "none" and name not in dataset.pii_columns:
            what = f"lacks {name}, which {Path(described).name} classes as {pii}"
            yield Problem(registry, f"{table}.pii_columns", what, "add it, and to subject_columns where it tells whom")
