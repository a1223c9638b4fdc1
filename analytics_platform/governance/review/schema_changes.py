"""Schema changes: what events, extracts and datasets are declared to hold, against what the last review recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from analytics_platform.catalog import Catalog, Event, Extract
from analytics_platform.governance.review.content import Content, Schema, SchemaChange

Columns = Mapping[str, str]


def schema_of(catalog: Catalog, previous: Content | None, not_compared: str | None) -> Schema:
    """The declared schemas with their hash, and the changes since the last review.

    Args:
        catalog: what is declared.
        previous: the last quarter's review.
        not_compared: why there is none.
    """
    snapshot = _snapshot(catalog)
    text = json.dumps(snapshot, sort_keys=True, separators=(",", ":"))
    return Schema(
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        snapshot=snapshot,
        compared_with=previous.scope.quarter if previous else None,
        not_compared=not_compared,
        changes=tuple(_changes(previous.schema_changes.snapshot, snapshot)) if previous else (),
    )


def _snapshot(catalog: Catalog) -> dict[str, dict[str, str]]:
    events = {f"event {event.name}": _of_event(event) for event in catalog.events.values()}
    extracts = {
        f"extract {dashboard.name}.{extract.name}": _of_extract(extract)
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    }
    datasets = {
        f"dataset {dataset.name}": {"retention_class": dataset.retention_class, "pii": ", ".join(dataset.pii_columns)}
        for dataset in catalog.datasets.values()
    }
    return {**events, **extracts, **datasets}


def _of_event(event: Event) -> dict[str, str]:
    return {field.name: f"{field.type}{', required' if field.required else ''}, {field.pii}" for field in event.fields}


def _of_extract(extract: Extract) -> dict[str, str]:
    columns = {column.name: f"{column.type}, {column.pii}" for column in extract.columns}
    # Why a version came to be is said once it is declared, so a review of before says nothing less than it did.
    reasons = {f"(version {version})": f"{change.kind}: {change.why}" for version, change in extract.changes.items()}
    return {"(version)": str(extract.schema_version), **reasons, **columns}


def _changes(before: Mapping[str, Columns], now: Mapping[str, Columns]) -> Iterator[SchemaChange]:
    for name in sorted(before.keys() | now.keys()):
        if name not in before:
            yield SchemaChange(name=name, change="added", detail=f"{len(now[name])} columns")
        elif name not in now:
            yield SchemaChange(name=name, change="removed", detail=f"{len(before[name])} columns")
        elif before[name] != now[name]:
            yield SchemaChange(name=name, change="changed", detail="; ".join(_differences(before[name], now[name])))


def _differences(before: Columns, now: Columns) -> Iterator[str]:
    for column in sorted(before.keys() | now.keys()):
        if column not in before:
            yield f"{column} added ({now[column]})"
        elif column not in now:
            yield f"{column} removed"
        elif before[column] != now[column]:
            yield f"{column}: {before[column]} became {now[column]}"
