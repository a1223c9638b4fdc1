"""Power BI and Looker Studio: whether what is set is whole, and names what there is."""

from __future__ import annotations

from collections.abc import Iterator

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, warn
from analytics_platform.settings import Settings


def look(deployment: Deployment) -> Iterator[Finding]:
    """What was set of both."""
    settings = deployment.settings
    chosen = {name for name in settings.model_fields_set if name.startswith(("power_bi_", "looker_"))}
    if not chosen:
        yield skipped("BI", "nothing of Power BI and Looker Studio is set; projects and links are made with examples")
        return
    problems = [*_power_bi(settings), *_looker(settings, set(deployment.catalog.dashboards))]
    yield from problems
    if not problems:
        refresh = "refreshed" if settings.refreshes_power_bi else "not refreshed"
        yield ok(
            "BI", f"Power BI reads {settings.power_bi_source}, {refresh}; Looker Studio reads {settings.looker_source}"
        )


def _power_bi(settings: Settings) -> Iterator[Finding]:
    warehouse: str = settings.warehouse
    if "power_bi_source" in settings.model_fields_set and settings.power_bi_location is None:
        found = f"power_bi_source is {settings.power_bi_source}, and the project gets an example for its place"
        yield warn("Power BI", found, "set power_bi_location")
    if settings.power_bi_source in ("snowflake", "bigquery") and settings.power_bi_source != warehouse:
        found = (
            f"power_bi_source is {settings.power_bi_source}, and its views are not: warehouse is {settings.warehouse}"
        )
        yield fail("Power BI", found, "set power_bi_source to what there is, such as https")


def _looker(settings: Settings, dashboards: set[str]) -> Iterator[Finding]:
    if unknown := sorted(settings.looker_reports.keys() - dashboards):
        found = f"looker_reports names {', '.join(unknown)}, and dashboards are {', '.join(sorted(dashboards))}"
        yield fail("Looker Studio", found, "correct the names in looker_reports")
    if not settings.looker_reports:
        return
    if missing := sorted(dashboards - settings.looker_reports.keys()):
        yield warn("Looker Studio", f"no template for {', '.join(missing)}", "add their ids to looker_reports")
    if settings.looker_source == "gcs" and settings.looker_location is None:
        yield fail("Looker Studio", "looker_source is gcs without a bucket", "set looker_location to bucket/folder")
    warehouse: str = settings.warehouse
    if settings.looker_source == "bigquery" and warehouse != "bigquery":
        found = f"looker_source is bigquery, and warehouse is {settings.warehouse}: nothing writes its views"
        yield warn("Looker Studio", found, "copy the extracts there yourself, or set looker_source to gcs")
    if settings.looker_credentials == "owner" and settings.looker_viewers_table is None:
        found = "owner's credentials show every viewer all rows"
        yield fail("Looker Studio", found, "set looker_viewers_table, or looker_credentials to viewer")
