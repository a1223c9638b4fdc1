"""From the YAML files of the catalogue to one :class:`~analytics_platform.catalog.model.Catalog`, or to a CatalogError.

What belongs here is which file holds what, and what files leave unsaid. What a declaration must hold is in its model,
what several must agree on in :mod:`~analytics_platform.catalog.cross_references`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics_platform.catalog.cross_references import find_problems
from analytics_platform.catalog.dashboards import Dashboard
from analytics_platform.catalog.errors import CatalogError
from analytics_platform.catalog.folder import Folder, in_file_of_its_name, lists_by_name, look_up
from analytics_platform.catalog.governance import (
    AccessRole,
    Dataset,
    Owner,
    RetentionClass,
    SlaTier,
    staging_datasets,
)
from analytics_platform.catalog.identifiers import DirectIdentifiers
from analytics_platform.catalog.kpis import Kpi
from analytics_platform.catalog.model import Catalog
from analytics_platform.catalog.plan import Event, Field, Stream, Vocabulary
from analytics_platform.catalog.processing import ProcessingActivity, SecurityMeasure
from analytics_platform.catalog.quality import PersonalDataPattern, Reference, StreamQuality, TableLimits
from analytics_platform.catalog.reviews import ReviewAction, SignoffRole, Waiver
from analytics_platform.catalog.tenant_files import load_tenants
from analytics_platform.catalog.tenants import HolidayCalendar
from analytics_platform.catalog.translations import Translation
from analytics_platform.catalog.validation import validate


def load_catalog(tenants_file: Path | None = None, *, root: Path | None = None) -> Catalog:
    """Load and check the whole catalogue.

    Args:
        tenants_file: a YAML file of more tenants, a list or a mapping by tenant id, beside those of the catalogue.
        root: the folder to load instead of the one that is shipped.

    Raises:
        CatalogError: with every problem that was found, each naming file, field and mend.
    """
    folder = Folder(root or Path(__file__).parent)
    vocabularies = folder.registry("vocabularies.yaml", Vocabulary)
    calendars = folder.registry("holiday_calendars.yaml", HolidayCalendar)
    common_fields = tuple(folder.registry("common_fields.yaml", Field).values())
    folder.problems.raise_if_any()  # else each use of what did not load would be a problem too
    streams = _load_streams(folder, common_fields, vocabularies)
    declared = {
        "streams": streams,
        "common_fields": common_fields,
        "vocabularies": vocabularies,
        "kpis": folder.registry("kpis.yaml", Kpi, ("alerts",)),
        "owners": folder.registry("owners.yaml", Owner),
        "sla_tiers": folder.registry("sla_tiers.yaml", SlaTier),
        "retention_classes": folder.registry("retention_classes.yaml", RetentionClass),
        "access_roles": folder.registry("access_roles.yaml", AccessRole),
        "datasets": {**staging_datasets(streams.values()), **folder.registry("datasets.yaml", Dataset)},
        "stream_quality": folder.registry("stream_quality.yaml", StreamQuality),
        "references": folder.registry("references.yaml", Reference),
        "value_limits": folder.registry("value_limits.yaml", TableLimits, ("limits",)),
        "personal_data_patterns": folder.registry("personal_data_patterns.yaml", PersonalDataPattern),
        "direct_identifiers": folder.document("direct_identifiers.yaml", DirectIdentifiers),
        "dashboards": folder.registry("dashboards.yaml", Dashboard, ("extracts", "columns"), ("views", "measures")),
        "holiday_calendars": calendars,
        "tenants": load_tenants(folder, tenants_file, calendars),
        "signoff_roles": folder.registry("signoff_roles.yaml", SignoffRole),
        "waivers": folder.registry("waivers.yaml", Waiver),
        "review_actions": folder.registry("review_actions.yaml", ReviewAction),
        "processing_activities": folder.registry("processing_activities.yaml", ProcessingActivity),
        "security_measures": folder.registry("security_measures.yaml", SecurityMeasure),
        "translations": {Path(file).stem: folder.document(file, Translation) for file in folder.files("translations")},
    }
    folder.problems.raise_if_any()
    return _agreeing(Catalog.model_validate(declared))


def load_plan(root: Path) -> dict[str, Event]:
    """Load the events of a catalogue's folder and nothing else of it, so that older folders can be read as well.

    Raises:
        CatalogError: with every problem that was found in the plan, its common fields and its vocabularies.
    """
    folder = Folder(root)
    vocabularies = folder.registry("vocabularies.yaml", Vocabulary)
    common_fields = tuple(folder.registry("common_fields.yaml", Field).values())
    folder.problems.raise_if_any()
    streams = _load_streams(folder, common_fields, vocabularies)
    folder.problems.raise_if_any()
    return {event.name: event for stream in streams.values() for event in stream.events}


def _agreeing(catalog: Catalog) -> Catalog:
    problems = find_problems(catalog)
    if problems:
        raise CatalogError(problems)
    return catalog


def _load_streams(
    folder: Folder, common_fields: tuple[Field, ...], vocabularies: Mapping[str, Vocabulary]
) -> dict[str, Stream]:
    loaded = []
    for file in folder.files("plan"):
        with folder.problems.gathered():
            declared = lists_by_name(folder.read(file), file, "", ("events", "fields"))
            for event in declared.get("events", []):
                event |= {"stream": declared.get("name"), "common_fields": common_fields}
                _fill_in_vocabularies(event, vocabularies, file)
            loaded.append(in_file_of_its_name(validate(Stream, declared, file), "name", file))
    return {stream.name: stream for stream in sorted(loaded, key=lambda stream: stream.order)}


def _fill_in_vocabularies(event: dict[str, Any], vocabularies: Mapping[str, Vocabulary], file: str) -> None:
    """Give each field that names a vocabulary its values."""
    for field in event.get("fields", []):
        if "vocabulary" in field:
            at = f"events[{event['name']}].fields[{field['name']}].vocabulary"
            field["enum"] = look_up(field["vocabulary"], vocabularies, "a vocabulary", file, at).values
