"""The erased, wherever messages come in: statements in the lake that a person's old messages may not return.

A statement holds keyed hashes of the person's ids, never an id, and for each the stand-in that took its place where the
law keeps the record. It covers what happened up to the moment of the erasure: somebody who comes back later is let in.

    suppressions/<tenant>/<request>.json    {"version": 1, "through": <moment>, "stand_ins": {<hash>: <stand-in>}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from analytics_platform.identities.keys import IdentityKeys, TenantKeys
from analytics_platform.lake.layout import SUPPRESSION_PREFIX, suppression_key, suppression_prefix
from analytics_platform.lake.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Suppression:
    """One erasure of a tenant.

    Attributes:
        request: id of the request.
        through: the last moment whose messages are covered, in UTC.
        stand_ins: by keyed hash of an id (`subject_hash`), what stands in its place where a record is kept.
    """

    request: str
    through: datetime
    stand_ins: Mapping[str, str]


@dataclass(frozen=True)
class Suppressions:
    """All erasures of a lake, by tenant."""

    by_tenant: Mapping[str, tuple[Suppression, ...]] = field(default_factory=dict)

    def stand_ins(self, keys: IdentityKeys, tenant: str, ids: Iterable[str], at: datetime) -> dict[str, str]:
        """Of some ids in a message that happened at a moment, those of erased people, each with its stand-in."""
        known = self.by_tenant.get(tenant)
        if not known:
            return {}
        covering = [each for each in known if at <= each.through]
        if not covering:
            return {}
        secret, found = keys.of(tenant), {}
        for said in ids:
            hashed = subject_hash(secret, said)
            stand_in = next((each.stand_ins[hashed] for each in covering if hashed in each.stand_ins), None)
            if stand_in is not None:
                found[said] = stand_in
        return found


def subject_hash(keys: TenantKeys, said: str) -> str:
    """How a statement names an id of a person: keyed, so that the list gives nobody away."""
    return keys.fingerprint(f"subject\0{said}")


def state_suppression(store: ObjectStore, tenant: str, suppression: Suppression) -> None:
    """Put a statement; the same request puts the same one again."""
    said = {
        "version": 1,
        "through": suppression.through.astimezone(UTC).isoformat(),
        "stand_ins": dict(sorted(suppression.stand_ins.items())),
    }
    store.put(suppression_key(tenant, suppression.request), orjson.dumps(said))


def read_suppressions(store: ObjectStore) -> Suppressions:
    """All statements of a lake."""
    found: dict[str, tuple[Suppression, ...]] = {}
    for info in store.list(SUPPRESSION_PREFIX):
        tenant = info.key.split("/")[1]
        request = info.key.removeprefix(suppression_prefix(tenant)).removesuffix(".json")
        said = orjson.loads(store.get(info.key))
        entry = Suppression(request, datetime.fromisoformat(said["through"]), said["stand_ins"])
        found[tenant] = (*found.get(tenant, ()), entry)
    return Suppressions(found)
