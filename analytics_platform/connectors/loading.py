"""From the YAML files of a deployment's folder to its connectors, held against the catalogue; every problem is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.declared import Declared
from analytics_platform.catalog.errors import Problem, wrong_in
from analytics_platform.catalog.folder import as_mapping
from analytics_platform.catalog.identifiers import plain_name
from analytics_platform.catalog.plan import Event
from analytics_platform.catalog.validation import Problems, validate
from analytics_platform.catalog.yaml_file import read_yaml
from analytics_platform.connectors.declared import (
    KINDS,
    ApiConnector,
    DatabaseConnector,
    DropConnector,
    Rule,
    SecretReference,
    secret_reference,
)
from analytics_platform.errors import AnalyticsError

AnyConnector = DropConnector | DatabaseConnector | ApiConnector

EXAMPLES = Path(__file__).parent / "examples"
_SAID_BY_ITSELF = frozenset({"schema_version", "tenant_id"})


class UnknownConnectorError(AnalyticsError):
    """No file of the deployment is of that name."""


def load_connectors(folder: Path, catalog: Catalog) -> dict[str, AnyConnector]:
    """The connectors of a folder by name; none where there is no folder.

    Raises:
        CatalogError: with every problem that was found, each naming file, field and mend.
    """
    loaded: dict[str, AnyConnector] = {}
    problems = Problems()
    for path in sorted(folder.glob("[!.]*.yaml")):
        with problems.gathered():
            loaded[path.stem] = load_connector(path, catalog)
    problems.raise_if_any()
    return loaded


def load_connector(path: Path, catalog: Catalog) -> AnyConnector:
    """One connector, by its file.

    Raises:
        CatalogError: with what is wrong in it.
    """
    body = as_mapping(read_yaml(path, path.name), path.name, "")
    if "name" in body:
        raise wrong_in(path.name, "name", "is said by the file's name already", "remove it")
    kind = body.get("source")
    if not isinstance(kind, str) or kind not in KINDS:
        raise wrong_in(path.name, "source", f"{kind!r} is no source", f"write one of {', '.join(KINDS)}")
    model: type[Declared] = KINDS[kind]
    connector = validate(model, {"name": path.stem, **body}, path.name)
    assert isinstance(connector, AnyConnector)
    problems = Problems()
    problems.extend([Problem(path.name, *said) for said in _disagreements(connector, catalog)])
    problems.raise_if_any()
    return connector


def named(connectors: Mapping[str, AnyConnector], name: str) -> AnyConnector:
    """The connector of a name.

    Raises:
        UnknownConnectorError: there is none.
    """
    if name not in connectors:
        known = ", ".join(connectors) or "none yet"
        raise UnknownConnectorError(f"connector {name!r} has no file in connectors_folder; known: {known}")
    return connectors[name]


def _disagreements(connector: AnyConnector, catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    """Field, problem and mend of what the catalogue has otherwise."""
    if connector.owner not in catalog.owners:
        yield "owner", f"{connector.owner!r} is no team", f"write one of {', '.join(catalog.owners)}"
    for stream, declared in connector.streams.items():
        for name, rule in declared.rules.items():
            at = f"streams.{stream}.rules.{name}"
            for field, what, mend in _rule(connector, rule, catalog):
                yield f"{at}.{field}", what, mend


def _rule(connector: AnyConnector, rule: Rule, catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    event = catalog.events.get(rule.event)
    if event is None:
        yield "event", f"{rule.event!r} is not in the tracking plan", f"write one of {', '.join(catalog.events)}"
        return
    yield from _tenant(connector, rule, catalog)
    yield from _properties(rule, event)
    personal = {plain_name(name) for names in catalog.direct_identifiers.traits.values() for name in names}
    personal -= {plain_name("id")}
    for number, column in enumerate(rule.key):
        if plain_name(column.rpartition(".")[2]) in personal:
            yield (
                f"key[{number}]",
                f"{column!r} tells who somebody is, and a message id is no place for that",
                "name the thing by an id of its own",
            )


def _tenant(connector: AnyConnector, rule: Rule, catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    tenant = rule.tenant or connector.tenant
    if tenant is None:
        yield "tenant", "is said nowhere", "write `tenant: ID` or `tenant: {column: NAME}`, here or for the connector"
    named = [tenant] if isinstance(tenant, str) else list((tenant.values or {}).values()) if tenant else []
    for each in named:
        if each not in catalog.tenants:
            yield "tenant", f"{each!r} is not registered", f"write one of {', '.join(catalog.tenants)}, or register it"


def _properties(rule: Rule, event: Event) -> Iterator[tuple[str, str, str]]:
    fields = {field.name: field for field in event.all_fields}
    for name, value in rule.properties.items():
        if name in _SAID_BY_ITSELF:
            yield f"properties.{name}", "is said by the connector itself", "remove it"
        elif name not in fields:
            known = ", ".join(sorted(fields.keys() - _SAID_BY_ITSELF))
            yield f"properties.{name}", f"is no property of {event.name}", f"write one of {known}"
        elif value.reference is not None and fields[name].pii == "none":
            yield f"properties.{name}.reference", f"{name} speaks of nobody in the plan", "map the value as it is"
    for field in event.all_fields:
        if field.required and field.name not in rule.properties and field.name not in _SAID_BY_ITSELF:
            yield f"properties.{field.name}", f"is missing, and {event.name} requires it", "say where it comes from"
    if rule.timestamp is None and event.occurred_at is None:
        yield "timestamp", f"is missing, and {event.name} has no property that says when", "name the column"


def raw_example(name: str) -> str:
    """An example configuration that is shipped, as text.

    Raises:
        UnknownConnectorError: there is none of that name.
    """
    known = {path.stem: path for path in EXAMPLES.glob("*.yaml")}
    if name not in known:
        raise UnknownConnectorError(f"{name!r} is no example; there are {', '.join(sorted(known))}")
    return known[name].read_text(encoding="utf-8")


def resolved(value: Any, secret: Callable[[SecretReference], str]) -> Any:
    """A configuration with its references replaced by what `secret` gives for them."""
    if (reference := secret_reference(value)) is not None:
        return secret(reference)
    if isinstance(value, dict):
        return {key: resolved(held, secret) for key, held in value.items()}
    if isinstance(value, list):
        return [resolved(held, secret) for held in value]
    return value
