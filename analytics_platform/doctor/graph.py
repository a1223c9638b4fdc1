"""Whether the asset graph loads, as a code server loads it; it takes seconds, so only where somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, told_by
from analytics_platform.errors import AnalyticsError

_DEEPEST = "run `dagster definitions validate -m analytics_platform.definitions` for the whole trace"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Load it in this process."""
    if not deployment.is_thorough:
        yield skipped("asset graph", "loading it takes seconds; --thorough or --only graph does it")
        return
    from analytics_platform.defs.health import graph_size

    try:
        assets, checks, jobs = graph_size(deployment.settings)
    except AnalyticsError as error:
        yield told_by("asset graph", error, mend=_DEEPEST)
    except Exception as error:  # noqa: BLE001 - whatever keeps the graph from loading is what was asked for
        yield fail("asset graph", f"it does not load: {type(error).__name__}: {error}", _DEEPEST)
    else:
        yield ok("asset graph", f"loads with {assets} assets, {checks} checks, {jobs} jobs")
