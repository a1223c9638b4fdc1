"""A part of the asset graph that runs are as narrow as: most tests of runs care for one way through it, not for all.

Belongs here: which assets are left. Stays out: deployments and what is asked of them.
"""

from __future__ import annotations

import dagster as dg

from analytics_platform.defs import jobs, keys

CUSTOMERS = dg.AssetKey(["marts", "core", "dim_customers"])
"""A check that blocks refers to it, whatever is built."""

LEFT_BEHIND = {keys.LEDGER, keys.INCIDENTS, *keys.LOOKING_BACK, keys.EXPECTATIONS_REPORT}
"""What every run accounts for itself in, and of its pages the one that shows whatever there is."""


def up_to(whole: dg.Definitions, *ends: dg.AssetKey) -> dg.Definitions:
    """The graph with narrower jobs: all of the lake, what leads to the ends, and what every run leaves behind it."""
    made = whole.resolve_asset_graph()
    lake = dg.AssetSelection.key_prefixes(*([layer] for layer in jobs.INGEST_LAYERS))
    kept = (lake | dg.AssetSelection.assets(*ends, CUSTOMERS).upstream()).resolve(made) | LEFT_BEHIND
    narrower = {
        job.name: whole.resolve_job_def(job.name).asset_layer.executable_asset_keys & kept for job in (whole.jobs or ())
    }
    return dg.Definitions(
        assets=whole.assets,
        asset_checks=whole.asset_checks,
        jobs=[dg.define_asset_job(name, selection=[*assets]) for name, assets in narrower.items() if assets],
        resources=whole.resources,
        executor=whole.executor,
    )
