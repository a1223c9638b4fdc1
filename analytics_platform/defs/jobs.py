"""The jobs: which assets are built together. Schedules, sensors and `analytics run` start nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

INGEST = "ingest"
"""Landing into raw partitions; day x tenant, so each run covers days x tenants."""

LOAD = "load"
"""Raw days into the ledger and the warehouse."""

BUILD = "build"
"""Days from the warehouse's sources to extracts, loads included, so that it rests on no other run."""

PUBLISH = "publish"
"""The pages as of a day."""

REVIEW = "review"
"""The review of a quarter."""

INGEST_LAYERS = ("landing", "raw")
SOURCE_LAYERS = ("reference", "ops", "loaded", "staging")
"""What figures are made from: it has to reach as far back as new data does."""

FIGURE_LAYERS = ("marts", "kpi", "extract")
PAGE_LAYERS = ("dashboard",)
REVIEW_LAYERS = ("governance",)

_LAYERS: Mapping[str, tuple[str, ...]] = {
    INGEST: INGEST_LAYERS,
    LOAD: ("ops", "loaded"),
    BUILD: SOURCE_LAYERS + FIGURE_LAYERS,
    PUBLISH: PAGE_LAYERS,
    REVIEW: REVIEW_LAYERS,
}

_DESCRIPTIONS: Mapping[str, str] = {
    INGEST: "What has landed, into raw partitions (days x tenants).",
    LOAD: "Raw days into the ledger and the warehouse.",
    BUILD: "Days of the warehouse, KPIs and extracts.",
    PUBLISH: "Dashboards as of a day.",
    REVIEW: "The data-quality review of a quarter.",
}


def jobs() -> list[UnresolvedAssetJobDefinition]:
    """All jobs, each over whole layers: an asset that is added to a layer is built without another line."""
    return [
        dg.define_asset_job(name, selection=selection(layers), description=_DESCRIPTIONS[name])
        for name, layers in _LAYERS.items()
    ]


def selection(layers: tuple[str, ...]) -> dg.AssetSelection:
    """All assets of some layers, observed ones too, with their checks."""
    return dg.AssetSelection.key_prefixes(*([layer] for layer in layers), include_sources=True)
