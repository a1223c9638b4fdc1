"""Erasing again in a lake that is older than an erasure: a backup that was restored.

Nobody knows any more whom an erasure was about, but its statement has the keyed hash of each id and of each identifier
as it was spelled: every text of the tenant's lake that may be one is hashed, and those that match are the person's once
more. Rows of who came back after the erasure match nothing, since a statement ends with its moment.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import orjson

from analytics_platform.governance.erasure.lake import letter_objects, read_parquet, readings_of_letter
from analytics_platform.governance.erasure.links import spelled
from analytics_platform.governance.erasure.person import Person
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.severing import ids_of, texts_of
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import (
    LANDING_PREFIX,
    RAW_PREFIX,
    identities_placed,
    identities_prefix,
    placed,
)
from analytics_platform.lake.store import ObjectStore

_WORD = re.compile(r"[^\s\"'<>,;:=(){}\[\]\\]{3,}")
"""An identifier without spaces."""


@dataclass(frozen=True)
class _Said:
    """What may name a person in one place of a lake, and when that happened."""

    at: datetime
    ids: set[str]
    spelled: set[str]


def erased_again(store: ObjectStore, keys: IdentityKeys, suppressions: Suppressions) -> Iterator[Person]:
    """Those of the erased of whom anything is in the lake again, one per tenant and erasure."""
    for tenant, erasures in suppressions.by_tenant.items():
        everything = [*_in_messages(store, tenant), *_in_identifiers(store, keys, tenant)]
        for erasure in erasures:
            alone = Suppressions({tenant: (erasure,)})
            ids: dict[str, str] = {}
            values: dict[str, str] = {}
            for said in everything:
                ids |= alone.stand_ins(keys, tenant, said.ids, said.at)
                values |= alone.stand_ins(keys, tenant, said.spelled, said.at)
            if known := ids | values:
                yield Person(tenant, frozenset(ids), frozenset(values), "", named=known)


def _in_messages(store: ObjectStore, tenant: str) -> Iterator[_Said]:
    """Every text of a message that may be an id of a person."""
    for info in store.list(RAW_PREFIX):
        if placed(info.key).tenant == tenant:
            for row in read_parquet(store, info.key).to_pylist():
                yield _Said(row["event_at"], ids_of(row), set())
    for info in store.list(LANDING_PREFIX):
        if placed(info.key).tenant == tenant:
            for line in lines_of(store.get(info.key)):
                row = orjson.loads(line)
                yield _Said(datetime.fromisoformat(row["event_at"]).astimezone(UTC), ids_of(row), set())


def _in_identifiers(store: ObjectStore, keys: IdentityKeys, tenant: str) -> Iterator[_Said]:
    """Ids beside identifiers, and everything that may be an identifier as it was spelled."""
    for info in store.list(identities_prefix(tenant)):
        rows = read_parquet(store, info.key).to_pylist()
        ids = {row[name] for row in rows for name in ("reference", "user_id", "anonymous_id") if row[name]}
        yield _Said(_begin(identities_placed(info.key)[1]), ids, spelled(keys.of(tenant), rows))
    for info, lines in letter_objects(store, tenant):
        at = _begin(placed(info.key).day)
        for line in lines:
            yield _Said(at, set(), {text for said in readings_of_letter(keys, info, line) for text in _texts(said)})


def _begin(day: date) -> datetime:
    """What has a day alone has happened from then on."""
    return datetime.combine(day, datetime.min.time(), UTC)


def _texts(said: bytes) -> Iterator[str]:
    """What may be an identifier in what a letter says: its words, and the whole texts of what is JSON."""
    yield from _WORD.findall(said.decode(errors="replace"))
    with contextlib.suppress(orjson.JSONDecodeError):
        yield from texts_of(orjson.loads(said))
