"""The jobs: which assets are built together. Schedules, sensors and `analytics run` start nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from analytics_platform.defs import keys

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

INCIDENTS = "incidents"
"""The table of incidents alone, as soon as one of them has changed."""

LOOK_BACK = "look_back"
"""What runs did: promises kept, and every evaluation of a check. It changes no figure, so nothing waits for it."""

REPORT = "report"
"""The report of a week."""
GOVERN = "govern"
"""What is past its term or to be erased: removed as far as somebody has approved it. Then who may see what is left."""

BACK_UP = "back_up"
"""The backup of the day, alone: nothing waits for it, and it is part of no other job."""

CONNECT = "connect"
"""What is new at the sources of connectors, into the landing; it exists where there are connectors."""

INGEST_LAYERS = ("landing", "raw")
SOURCE_LAYERS = ("reference", "ops", "loaded", "staging")
"""What figures are made from: it has to reach as far back as new data does."""

FIGURE_LAYERS = ("marts", "kpi", "extract")
PAGE_LAYERS = ("dashboard", "report", "bi")

DAILY_REPORTS = (keys.EXPECTATIONS_REPORT,)
"""Reports of a day; those of other spans have jobs of their own."""

_LAYERS: Mapping[str, tuple[str, ...]] = {
    INGEST: INGEST_LAYERS,
    LOAD: ("ops", "loaded"),
    BUILD: SOURCE_LAYERS + FIGURE_LAYERS,
    PUBLISH: PAGE_LAYERS,
}

_ASSETS: Mapping[str, tuple[dg.AssetKey, ...]] = {
    LOOK_BACK: keys.LOOKING_BACK,
    INCIDENTS: (keys.INCIDENTS,),
    REPORT: (keys.WEEKLY_REPORT,),
    REVIEW: (keys.REVIEW,),
    GOVERN: (*keys.GOVERNING, *keys.ACCESS),
    BACK_UP: (keys.BACKUP,),
}

_DESCRIPTIONS: Mapping[str, str] = {
    INGEST: "What has landed, into raw partitions (days x tenants).",
    LOAD: "Raw days into the ledger and the warehouse.",
    BUILD: "Days of the warehouse, KPIs and extracts.",
    PUBLISH: "Dashboards, daily reports and what BI tools read, as of a day.",
    LOOK_BACK: "Promises kept, and evaluations of checks, by day.",
    INCIDENTS: "Incidents as they stand.",
    REVIEW: "The data-quality review of a quarter.",
    REPORT: "The report of a week.",
    GOVERN: "What is past its term or to be erased, removed once it is approved; who may see what is left.",
    CONNECT: "What is new at connectors' sources, into the landing.",
    BACK_UP: "The backup of the day, where `backup_target` names a place.",
}


def jobs(*, backs_up: bool = False, connects: bool = False) -> list[UnresolvedAssetJobDefinition]:
    """All jobs, each over whole layers: an asset that is added to a layer is built without another line.

    Args:
        backs_up: whether the deployment has a place for backups, and so an asset and a job that make them.
        connects: whether it has connectors.
    """
    by_layer = [
        dg.define_asset_job(name, selection=selection(layers), description=_DESCRIPTIONS[name])
        for name, layers in {**_LAYERS, **({CONNECT: ("connectors",)} if connects else {})}.items()
    ]
    by_asset = [
        dg.define_asset_job(name, selection=dg.AssetSelection.assets(*assets), description=_DESCRIPTIONS[name])
        for name, assets in _ASSETS.items()
        if name != BACK_UP or backs_up
    ]
    return [*by_layer, *by_asset]


def selection(layers: tuple[str, ...]) -> dg.AssetSelection:
    """All assets of some layers with their checks; of reports the daily ones, and none that looks back on runs."""
    whole = [[layer] for layer in layers if layer != "report"]
    chosen = dg.AssetSelection.key_prefixes(*whole, include_sources=True) - dg.AssetSelection.assets(*keys.LOOKING_BACK)
    return chosen | dg.AssetSelection.assets(*DAILY_REPORTS) if "report" in layers else chosen
