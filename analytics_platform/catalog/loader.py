"""From the YAML files of the catalogue to one :class:`~analytics_platform.catalog.model.Catalog`, or to a CatalogError.

What belongs here is which file holds what, and what files leave unsaid. What a declaration must hold is in its model,
what several must agree on in :mod:`~analytics_platform.catalog.cross_references`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics_platform.catalog.cross_references import find_problems
from analytics_platform.catalog.dashboards import Dashboard
from analytics_platform.catalog.errors import CatalogError, Problem, wrong_in
from analytics_platform.catalog.folder import (
    ADDITIONS,
    Folder,
    clash,
    in_file_of_its_name,
    lists_by_name,
    look_up,
)
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

_OF_AN_EXTENSION = (
    ADDITIONS,
    "plan/",
    "tenants/",
    "translations/",
    "access_roles.yaml",
    "dashboards.yaml",
    "datasets.yaml",
    "holiday_calendars.yaml",
    "kpis.yaml",
    "owners.yaml",
    "personal_data_patterns.yaml",
    "processing_activities.yaml",
    "references.yaml",
    "retention_classes.yaml",
    "review_actions.yaml",
    "security_measures.yaml",
    "signoff_roles.yaml",
    "sla_tiers.yaml",
    "stream_quality.yaml",
    "value_limits.yaml",
    "vocabularies.yaml",
    "waivers.yaml",
)
"""What an extension may declare: all but what every event has, and what is split off from every message."""


def load_catalog(
    tenants_file: Path | None = None, extension: Path | None = None, *, root: Path | None = None
) -> Catalog:
    """Load and check the whole catalogue.

    Args:
        tenants_file: a YAML file of more tenants, a list or a mapping by tenant id, beside those of the catalogue.
        extension: the folder with what a deployment declares besides, laid out as the catalogue's.
        root: the folder to load instead of the one that is shipped.

    Raises:
        CatalogError: with every problem that was found, each naming file, field and mend.
    """
    if extension is not None and not extension.parent.is_dir():
        mend = "mend the setting extension_folder, or make one with `analytics extension new`"
        raise wrong_in(str(extension.parent), "(whole folder)", "is not there", mend)
    folder = Folder(root or Path(__file__).parent, extension)
    folder.refuse_unread(_OF_AN_EXTENSION)
    vocabularies = folder.registry("vocabularies.yaml", Vocabulary, grows_by="values")
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
        "access_roles": folder.registry("access_roles.yaml", AccessRole, grows_by="datasets"),
        "datasets": {**staging_datasets(streams.values()), **folder.registry("datasets.yaml", Dataset)},
        "stream_quality": folder.registry("stream_quality.yaml", StreamQuality),
        "references": folder.registry("references.yaml", Reference),
        "value_limits": folder.registry("value_limits.yaml", TableLimits, ("limits",)),
        "personal_data_patterns": folder.registry("personal_data_patterns.yaml", PersonalDataPattern),
        "direct_identifiers": folder.document("direct_identifiers.yaml", DirectIdentifiers),
        "dashboards": folder.registry(
            "dashboards.yaml", Dashboard, ("extracts", "columns"), ("views", "measures"), grows_by="kpis"
        ),
        "holiday_calendars": calendars,
        "tenants": load_tenants(folder, tenants_file, calendars),
        "signoff_roles": folder.registry("signoff_roles.yaml", SignoffRole),
        "waivers": folder.registry("waivers.yaml", Waiver),
        "review_actions": folder.registry("review_actions.yaml", ReviewAction),
        "processing_activities": folder.registry("processing_activities.yaml", ProcessingActivity, grows_by="datasets"),
        "security_measures": folder.registry("security_measures.yaml", SecurityMeasure),
        "translations": _load_translations(folder),
    }
    folder.problems.raise_if_any()
    return _agreeing(Catalog.model_validate(declared), folder)


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


def _agreeing(catalog: Catalog, folder: Folder) -> Catalog:
    problems = [folder.at_home(problem) for problem in find_problems(catalog)]
    if problems:
        raise CatalogError(problems)
    return catalog


def _load_streams(
    folder: Folder, common_fields: tuple[Field, ...], vocabularies: Mapping[str, Vocabulary]
) -> dict[str, Stream]:
    loaded: dict[str, Stream] = {}
    for file in folder.files("plan"):
        with folder.problems.gathered():
            declared = lists_by_name(folder.read(file), file, "", ("events", "fields"))
            for event in declared.get("events", []):
                event |= {"stream": declared.get("name"), "common_fields": common_fields}
                _fill_in_vocabularies(event, vocabularies, file)
            if (known := loaded.get(Path(file).stem)) is not None:
                declared = _with_events_of(known, declared, file)
            stream = in_file_of_its_name(validate(Stream, declared, file), "name", file)
            loaded[stream.name] = stream
    return {stream.name: stream for stream in sorted(loaded.values(), key=lambda stream: stream.order)}


def _with_events_of(stream: Stream, declared: dict[str, Any], file: str) -> dict[str, Any]:
    """A stream of the platform with the events that an extension's file of its name declares besides."""
    if said := declared.keys() - {"name", "events"}:
        mend = "leave it out: an extension may give the stream more events, and nothing else"
        raise CatalogError(
            Problem(file, key, f"is said in plan/{stream.name}.yaml already", mend) for key in sorted(said)
        )
    for event in declared["events"]:
        if event["name"] in {each.name for each in stream.events}:
            raise clash(file, f"events[{event['name']}]", f"in plan/{stream.name}.yaml")
    return {**dict(stream), **declared, "events": [*map(dict, stream.events), *declared["events"]]}


def _load_translations(folder: Folder) -> dict[str, Translation]:
    """The texts by language; an extension adds those of what it declares."""
    loaded: dict[str, Translation] = {}
    for file in folder.files("translations"):
        with folder.problems.gathered():
            language, declared = Path(file).stem, folder.read(file)
            if (known := loaded.get(language)) is not None:
                more = validate(Translation, {**{kind: {} for kind in Translation.model_fields}, **declared}, file)
                loaded[language] = _with_texts_of(known, more, file)
            else:
                loaded[language] = validate(Translation, declared, file)
    return loaded


def _with_texts_of(texts: Translation, more: Translation, file: str) -> Translation:
    """Texts of the platform and an extension's of the same language. Raises CatalogError where both say one."""
    joined = {}
    for kind in Translation.model_fields:
        known, added = getattr(texts, kind), getattr(more, kind)
        for name in known.keys() & added.keys():
            raise clash(file, f"{kind}.{name}", f"in translations/{Path(file).name}")
        joined[kind] = {**known, **added}
    return texts.model_copy(update=joined)


def _fill_in_vocabularies(event: dict[str, Any], vocabularies: Mapping[str, Vocabulary], file: str) -> None:
    """Give each field that names a vocabulary its values."""
    for field in event.get("fields", []):
        if "vocabulary" in field:
            at = f"events[{event['name']}].fields[{field['name']}].vocabulary"
            field["enum"] = look_up(field["vocabulary"], vocabularies, "a vocabulary", file, at).values
