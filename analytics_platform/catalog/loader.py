"""From the YAML files of the catalogue to one :class:`~analytics_platform.catalog.model.Catalog`, or to a CatalogError.

What belongs here is how files become declarations: names that stand as keys, and lists that are named elsewhere
(vocabularies, holiday calendars). What a declaration must hold is in its model, what several must agree on in
:mod:`~analytics_platform.catalog.cross_references`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from analytics_platform.catalog.cross_references import find_problems
from analytics_platform.catalog.dashboards import Dashboard
from analytics_platform.catalog.errors import CatalogError, Problem
from analytics_platform.catalog.governance import (
    AccessRole,
    Dataset,
    Owner,
    RetentionClass,
    SlaTier,
    staging_datasets,
)
from analytics_platform.catalog.kpis import Kpi
from analytics_platform.catalog.model import Catalog
from analytics_platform.catalog.plan import Field, Stream, Vocabulary
from analytics_platform.catalog.tenants import HolidayCalendar, Tenant
from analytics_platform.catalog.validation import Problems, join, validate
from analytics_platform.catalog.yaml_file import read_yaml

Model = TypeVar("Model", bound=BaseModel)


def load_catalog(tenants_file: Path | None = None, *, root: Path | None = None) -> Catalog:
    """Load and check the whole catalogue.

    Args:
        tenants_file: a YAML file of more tenants, a list or a mapping by tenant id, beside those of the catalogue.
        root: the folder to load instead of the one that is shipped.

    Raises:
        CatalogError: with every problem that was found, each naming file, field and mend.
    """
    folder = _Folder(root or Path(__file__).parent)
    vocabularies = folder.registry("vocabularies.yaml", Vocabulary)
    calendars = folder.registry("holiday_calendars.yaml", HolidayCalendar)
    common_fields = tuple(folder.registry("common_fields.yaml", Field).values())
    streams = _streams(folder, common_fields, vocabularies)
    declared = {
        "streams": streams,
        "common_fields": common_fields,
        "vocabularies": vocabularies,
        "kpis": folder.registry("kpis.yaml", Kpi),
        "owners": folder.registry("owners.yaml", Owner),
        "sla_tiers": folder.registry("sla_tiers.yaml", SlaTier),
        "retention_classes": folder.registry("retention_classes.yaml", RetentionClass),
        "access_roles": folder.registry("access_roles.yaml", AccessRole),
        "datasets": {**staging_datasets(streams.values()), **folder.registry("datasets.yaml", Dataset)},
        "dashboards": folder.registry("dashboards.yaml", Dashboard, named_lists=("extracts", "columns")),
        "holiday_calendars": calendars,
        "tenants": _tenants(folder, tenants_file, calendars),
    }
    folder.problems.raise_if_any()
    return _agreeing(Catalog.model_validate(declared))


def _agreeing(catalog: Catalog) -> Catalog:
    problems = find_problems(catalog)
    if problems:
        raise CatalogError(problems)
    return catalog


class _Folder:
    """The catalogue's folder, read file by file; problems are gathered and told together."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems = Problems()

    def mapping(self, file: str, path: Path | None = None) -> dict[str, Any]:
        """Read a file that must hold a mapping; empty when it does not load, with the problem gathered."""
        with self.problems.gathered():
            return _as_mapping(read_yaml(path or self.root / file, file), file, "")
        return {}

    def registry(self, file: str, model: type[Model], named_lists: Sequence[str] = ()) -> dict[str, Model]:
        """Read a file of declarations by name; ``named_lists`` are the keys below that go by name as well."""
        loaded: dict[str, Model] = {}
        for name, body in self.mapping(file).items():
            with self.problems.gathered():
                entry = _named(name, body, file, name, named_lists)
                loaded[name] = validate(model, entry, file, name)
        return loaded

    def files(self, below: str) -> Iterator[str]:
        """The YAML files of a sub-folder in the order of their names; any other file there is a problem."""
        for path in sorted((self.root / below).glob("[!.]*")):
            file = f"{below}/{path.name}"
            if path.suffix == ".yaml":
                yield file
            else:
                self.problems.extend([Problem(file, "(whole file)", "is not read", "name it .yaml or move it away")])


def _streams(
    folder: _Folder, common_fields: tuple[Field, ...], vocabularies: Mapping[str, Vocabulary]
) -> dict[str, Stream]:
    loaded = []
    for file in folder.files("plan"):
        with folder.problems.gathered():
            declared = _lists_by_name(folder.mapping(file), file, "", ("events", "fields"))
            for event in _entries(declared, "events"):
                _complete_event(event, declared.get("name"), common_fields, vocabularies, file)
            loaded.append(_in_file_of_its_name(validate(Stream, declared, file), "name", file))
    return {stream.name: stream for stream in sorted(loaded, key=lambda stream: stream.order)}


def _complete_event(
    event: dict[str, Any],
    stream: object,
    common_fields: tuple[Field, ...],
    vocabularies: Mapping[str, Vocabulary],
    file: str,
) -> None:
    """Add what the file leaves unsaid: the event's stream, the common fields, and the values of vocabularies."""
    event.update(stream=stream, common_fields=common_fields)
    for field in _entries(event, "fields"):
        if "vocabulary" not in field:
            continue
        vocabulary = vocabularies.get(field["vocabulary"])
        if vocabulary is None:
            at = f"events[{event['name']}].fields[{field['name']}].vocabulary"
            known = ", ".join(vocabularies)
            raise _wrong(file, at, f"{field['vocabulary']!r} is not a vocabulary", f"write one of {known}")
        field["enum"] = vocabulary.values


def _tenants(folder: _Folder, tenants_file: Path | None, calendars: Mapping[str, HolidayCalendar]) -> dict[str, Tenant]:
    loaded: dict[str, Tenant] = {}
    for file, at, body in _declared_tenants(folder, tenants_file):
        with folder.problems.gathered():
            tenant = _tenant(body, calendars, file, at)
            if at == "":
                _in_file_of_its_name(tenant, "tenant_id", file)
            if tenant.tenant_id in loaded:
                raise _wrong(file, join(at, "tenant_id"), f"{tenant.tenant_id} is declared twice", "keep one of them")
            loaded[tenant.tenant_id] = tenant
    return loaded


def _declared_tenants(folder: _Folder, tenants_file: Path | None) -> Iterator[tuple[str, str, Any]]:
    """Yield file, path within it, and what is written there, for each tenant."""
    for file in folder.files("tenants"):
        yield file, "", folder.mapping(file)
    if tenants_file is None:
        return
    file = tenants_file.name
    with folder.problems.gathered():
        declared = read_yaml(tenants_file, file)
        if isinstance(declared, list):
            yield from ((file, f"[{index}]", body) for index, body in enumerate(declared))
        else:
            for name, body in _as_mapping(declared, file, "").items():
                yield file, name, {"tenant_id": name, **_as_mapping(body, file, name)}


def _tenant(body: Any, calendars: Mapping[str, HolidayCalendar], file: str, at: str) -> Tenant:
    declared = _lists_by_name(_as_mapping(body, file, at), file, at, ("write_keys",))
    named = declared.get("holiday_calendar")
    if named is not None and named not in calendars:
        mend = f"write one of {', '.join(calendars)}"
        raise _wrong(file, join(at, "holiday_calendar"), f"{named!r} is not a calendar", mend)
    tenant = validate(Tenant, declared, file, at)
    shared = calendars[named].days if named is not None else {}
    return tenant.model_copy(update={"holidays": tuple(sorted({*shared, *tenant.holidays}))})


def _named(name: str, body: Any, file: str, at: str, named_lists: Sequence[str]) -> dict[str, Any]:
    """Put the key into the body as its name, all the way down the lists that go by name."""
    entry = _as_mapping(body, file, at)
    if "name" in entry:
        raise _wrong(file, join(at, "name"), "is said by the key already", "remove it")
    return {"name": name, **_lists_by_name(entry, file, at, named_lists)}


def _lists_by_name(entry: dict[str, Any], file: str, at: str, keys: Sequence[str]) -> dict[str, Any]:
    """Turn the mapping under the first of the keys into a list of named entries, and so on within them."""
    if not keys or keys[0] not in entry:
        return entry
    below = join(at, keys[0])
    members = _as_mapping(entry[keys[0]], file, below).items()
    return {**entry, keys[0]: [_named(name, body, file, f"{below}[{name}]", keys[1:]) for name, body in members]}


def _entries(entry: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = entry.get(key, [])
    return found


def _as_mapping(value: Any, file: str, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(file, at or "(whole file)", "is not a mapping", "write key: value lines")
    for key in value:
        if not isinstance(key, str):
            raise _wrong(file, join(at, str(key)), "is not a name", "write text, between quotes if it must be")
    return value


def _in_file_of_its_name(declared: Model, key: str, file: str) -> Model:
    name, stem = getattr(declared, key), Path(file).stem
    if name != stem:
        raise _wrong(file, key, f"{name!r} stands in a file of another name", f"write {stem}, or rename the file")
    return declared


def _wrong(file: str, field: str, what: str, mend: str) -> CatalogError:
    return CatalogError([Problem(file, field, what, mend)])
