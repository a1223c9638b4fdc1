"""The records of processing follow from the catalogue, and what they cannot say is not silently left out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import orjson

from analytics_platform.catalog import Catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs.records import are_current, rendered
from analytics_platform.documents import render_html
from analytics_platform.governance.processing import Organisation, processing_records, records_document
from analytics_platform.lake.layout import processing_records_key
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from asset_checks.records import records_are_current

NOBODY = Organisation(None, None, None)
SOMEBODY = Organisation("Rental Software B.V.", "Dam 1, Amsterdam", "privacy@rental.test")


def test_every_dataset_with_personal_data_is_in_an_entry_with_its_columns_and_limit(catalog: Catalog) -> None:
    entries = [kept for record in processing_records(catalog) for kept in record.kept]

    for dataset in catalog.datasets.values():
        if dataset.pii_columns:
            (entry,) = [each for each in entries if dataset.name in each.datasets]
            assert set(dataset.pii_columns) <= set(entry.columns)
            assert entry.retention_class == dataset.retention_class
            assert str(catalog.retention_classes[dataset.retention_class].max_keep) in entry.kept_at_most


def test_readers_are_the_roles_that_see_personal_columns(catalog: Catalog) -> None:
    by_name = {record.name: record for record in processing_records(catalog)}

    assert set(by_name["revenue_reporting"].roles) == {"Administrator", "Finance"}
    assert "Auditor" not in {role for record in by_name.values() for role in record.roles}


def test_the_document_says_what_article_30_asks_for_and_is_not_set(catalog: Catalog) -> None:
    incomplete = render_html(records_document(catalog, NOBODY, date(2026, 3, 1))).decode()
    complete = render_html(records_document(catalog, SOMEBODY, date(2026, 3, 1))).decode()

    assert "ANALYTICS_ORGANISATION_PRIVACY_CONTACT" in incomplete
    assert "not set" not in complete
    assert "privacy@rental.test" in complete
    for activity in catalog.processing_activities.values():
        assert activity.title in complete


def test_the_names_that_the_document_asks_for_are_settings() -> None:
    names = {f"organisation_{name}" for name in Organisation.__dataclass_fields__}

    assert names <= set(Settings.model_fields)


def test_records_are_current_until_a_declaration_changes(catalog: Catalog, store: LocalStore, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert not are_current(store, settings, catalog)
    for form, data in rendered(settings, catalog).items():
        store.put(processing_records_key(form), data)

    assert are_current(store, settings, catalog)
    assert orjson.loads(store.get(processing_records_key("json")))["on_behalf_of"]
    assert store.get(processing_records_key("pdf")).startswith(b"%PDF")
    named = settings.model_copy(update={"organisation_name": "Rental Software B.V."})
    assert not are_current(store, named, catalog)


def test_the_check_fails_on_records_of_yesterday(catalog: Catalog) -> None:
    assert records_are_current(catalog, is_current=True).passed
    assert not records_are_current(catalog, is_current=False).passed


def test_every_measure_names_checks_of_the_graph(catalog: Catalog, tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path))
    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}

    for measure in catalog.security_measures.values():
        assert set(measure.proven_by) <= names, measure.name
