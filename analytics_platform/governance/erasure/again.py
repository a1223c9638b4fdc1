"""Erasing again in a lake that is older than an erasure: a backup that was restored.

Nobody knows any more whom an erasure was about, but its statement has the keyed hash of each id: every text of the
tenant's lake that may be an id is hashed, and those that match are the person's ids once more. Rows of who came back
after the erasure match nothing, since a statement ends with its moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson

from analytics_platform.governance.erasure.lake import read_parquet
from analytics_platform.governance.erasure.person import Person
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.severing import ids_of
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import (
    LANDING_PREFIX,
    RAW_PREFIX,
    identities_prefix,
    placed,
)
from analytics_platform.lake.store import ObjectStore


def erased_again(store: ObjectStore, keys: IdentityKeys, suppressions: Suppressions) -> Iterator[Person]:
    """Those of the erased of whom anything is in the lake again, one per tenant and erasure."""
    for tenant, erasures in suppressions.by_tenant.items():
        texts = list(_texts(store, tenant))
        for erasure in erasures:
            alone = Suppressions({tenant: (erasure,)})
            known: dict[str, str] = {}
            for at, said in texts:
                known |= alone.stand_ins(keys, tenant, said, at)
            if known:
                yield Person(tenant, frozenset(known), frozenset(), "", named=known)


def _texts(store: ObjectStore, tenant: str) -> Iterator[tuple[datetime, set[str]]]:
    """Every text that may be an id of a person, and when what it stands in happened."""
    for info in store.list(RAW_PREFIX):
        if placed(info.key).tenant == tenant:
            yield from ((row["event_at"], ids_of(row)) for row in read_parquet(store, info.key).to_pylist())
    for info in store.list(LANDING_PREFIX):
        if placed(info.key).tenant == tenant:
            for line in lines_of(store.get(info.key)):
                row = orjson.loads(line)
                yield datetime.fromisoformat(row["event_at"]).astimezone(UTC), ids_of(row)
    for info in store.list(identities_prefix(tenant)):
        for row in read_parquet(store, info.key).to_pylist():
            at = datetime.combine(row["day"], datetime.min.time(), UTC)
            yield at, {row[name] for name in ("reference", "user_id", "anonymous_id") if row[name]}
