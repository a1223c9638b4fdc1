"""governance/processing_records: the records of processing activities as JSON, HTML and PDF.

Thin: what they say is `governance.processing`'s. They follow from the catalogue alone, so they are written with the
daily governance, and only when they differ.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.documents import render_html, render_pdf
from analytics_platform.governance.processing import Organisation, records_document, records_json
from analytics_platform.lake.layout import processing_records_key
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings


def processing_records_asset(settings: Settings, catalog: Catalog) -> dg.AssetsDefinition:
    """The records, downstream of the plan of retention: both say how long data is kept."""

    @dg.asset(
        key=keys.PROCESSING_RECORDS,
        deps=[keys.RETENTION_PLAN],
        description="Why personal data is processed, whose it is, who reads it and how long it is kept (GDPR art. 30).",
    )
    def records(store: dg.ResourceParam[ObjectStore]) -> dg.MaterializeResult[None]:
        if not are_current(store, settings, catalog):
            for form, data in rendered(settings, catalog).items():
                store.put(processing_records_key(form), data)
        return dg.MaterializeResult(
            metadata={
                "activities": len(catalog.processing_activities),
                "measures": len(catalog.security_measures),
                "page": processing_records_key("html"),
            }
        )

    return records


def are_current(store: ObjectStore, settings: Settings, catalog: Catalog) -> bool:
    """Whether the lake's records say what the catalogue does."""
    key = processing_records_key("json")
    return store.info(key) is not None and store.get(key) == records_json(catalog, organisation_of(settings))


def rendered(settings: Settings, catalog: Catalog) -> dict[str, bytes]:
    """The records by form, as of today; the JSON last, since it is what `are_current` goes by."""
    today = datetime.now(UTC).astimezone(ZoneInfo(settings.reporting_time_zone)).date()
    organisation = organisation_of(settings)
    document = records_document(catalog, organisation, today)
    forms = {"html": render_html(document), "pdf": render_pdf(document)}
    return {**forms, "json": records_json(catalog, organisation)}


def organisation_of(settings: Settings) -> Organisation:
    """Who keeps the records."""
    return Organisation(
        settings.organisation_name, settings.organisation_contact, settings.organisation_privacy_contact
    )
