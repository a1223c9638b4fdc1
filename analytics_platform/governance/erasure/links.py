"""From what a requester gives to all ids of the person: references, the ids they came with, and one step of links.

    identifiers  ──► references under every version of the keys ──► ids that they came with (the identities table)
    ids          ──► ids that a message ties to them: identify, alias, a lead's creation, a lead that became a customer
    all of them  ──► the other identifiers that came with them (the identities table)

One step and no further: a device that a family shares ties one person to the next, and somebody has to look at that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from analytics_platform.catalog import Catalog
from analytics_platform.governance.erasure.lake import read_parquet, searched
from analytics_platform.governance.erasure.person import Person, any_mentions
from analytics_platform.identities.keys import IdentityKeys, TenantKeys
from analytics_platform.identities.references import Kind, references
from analytics_platform.identities.sealing import unseal
from analytics_platform.lake.layout import identities_prefix, placed, raw_prefix
from analytics_platform.lake.store import ObjectStore

_SAYS_WHO = ("identify", "alias")
_LEAD = "lead.created"
_NOT_SPELLED = ("name", "text", "ip")
"""Kinds that are searched for by their reference alone: as they are spelled they are other people's too."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a requester knows of a person: ids, and identifiers with their kind."""

    ids: frozenset[str]
    identifiers: frozenset[tuple[Kind, str]] = frozenset()
    excluded: frozenset[str] = frozenset()


def known_as(store: ObjectStore, catalog: Catalog, keys: IdentityKeys, tenant: str, given: Given) -> Person:
    """All that the person is found to be known as; `stand_in` is empty, as nothing is erased yet."""
    of_tenant = keys.of(tenant)
    ids = {*given.ids, *(each for kind, value in given.identifiers for each in references(of_tenant, kind, value))}
    values = {value for kind, value in given.identifiers if kind not in _NOT_SPELLED}
    table = list(_identities(store, tenant))
    came_with = (row for row in table if row["reference"] in ids)
    ids |= _texts(came_with, ("user_id", "anonymous_id")) - given.excluded
    ids |= _linked(store, catalog, Person(tenant, frozenset(ids), frozenset(values), "")) - given.excluded
    for row in table:
        if {row["user_id"], row["anonymous_id"]} & ids and row["reference"] not in given.excluded:
            ids.add(row["reference"])
    values |= _spelled(of_tenant, table, ids)
    return Person(tenant, frozenset(ids), frozenset(values), "")


def _identities(store: ObjectStore, tenant: str) -> Iterator[dict[str, Any]]:
    for info in store.list(identities_prefix(tenant)):
        yield from read_parquet(store, info.key).to_pylist()


def _spelled(keys: TenantKeys, table: Iterable[Mapping[str, Any]], ids: Collection[str]) -> set[str]:
    """The identifiers behind references, as they were sent."""
    return spelled(keys, (row for row in table if row["reference"] in ids))


def spelled(keys: TenantKeys, rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """The identifiers of rows of the identities table, as they were sent; kinds that tell nobody apart are left out."""
    return {unseal(keys, sealed).decode() for sealed in {e["sealed"] for e in rows if e["kind"] not in _NOT_SPELLED}}


def _linked(store: ObjectStore, catalog: Catalog, person: Person) -> set[str]:
    """Ids that messages tie to those of the person."""
    return {
        each
        for stream in catalog.streams
        for row in _mentioning(store, stream, person)
        if not (ids := _tied(catalog, stream, row)).isdisjoint(person.ids)
        for each in ids
    }


def _mentioning(store: ObjectStore, stream: str, person: Person) -> Iterator[dict[str, Any]]:
    for info in store.list(raw_prefix(stream)):
        if placed(info.key).tenant == person.tenant and person.terms:
            rows: pa.Table = read_parquet(store, info.key)
            yield from rows.filter(any_mentions(person, rows, searched(rows.schema))).to_pylist()


def _tied(catalog: Catalog, stream: str, row: Mapping[str, Any]) -> set[str]:
    """Ids of one person that a message names together."""
    properties, traits, extra = (orjson.loads(row[name] or "{}") for name in ("properties", "traits", "extra"))
    said: list[Any] = []
    if row["type"] in _SAYS_WHO:
        said = [row["user_id"], row["anonymous_id"], extra.get("previousId"), (traits or {}).get("lead_id")]
    elif row["event"] is not None:
        event = next((each for each in catalog.streams[stream].events if each.name == row["event"]), None)
        fields = event.pii_fields if event else ()
        said = [properties.get(field.name) for field in fields if field.pii == "pseudonymous"]
        said += [row["user_id"], row["anonymous_id"]] if row["event"] == _LEAD else []
    return {each for each in said if isinstance(each, str) and each}


def _texts(rows: Iterable[Mapping[str, Any]], names: Iterable[str]) -> set[str]:
    wanted = tuple(names)
    return {row[name] for row in rows for name in wanted if row[name]}
