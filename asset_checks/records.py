"""Checks of the records of processing: they say what the catalogue does."""

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.records import are_current
from analytics_platform.settings import Settings
from asset_checks.factory import Facts, check


def records_checks(settings: Settings, catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks of the records."""
    return [
        check(
            keys.PROCESSING_RECORDS,
            "records_are_current",
            lambda scope: records_are_current(catalog, is_current=are_current(scope.store, settings, catalog)),
            description="The records in the lake say what the catalogue says now, of every purpose and measure.",
            dimension="consistency",
        ),
    ]


def records_are_current(catalog: Catalog, *, is_current: bool) -> Facts:
    """The records were written from the declarations of today."""
    activities = len(catalog.processing_activities)
    summary = f"records of {activities} activities {'are' if is_current else 'are not'} those of the catalogue"
    return Facts(is_current, summary, {"activities": activities}, checked=activities, failed=int(not is_current))
