"""Who may stand behind a reference: keys are rotated, people are found and references opened, and each goes on record.

The record says who did it, when and why, and never the value: a reference stands there as its keyed hash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.references import Kind, references
from analytics_platform.identities.sealing import unseal
from analytics_platform.identities.suppression import subject_hash
from analytics_platform.identities.table import read_identities
from analytics_platform.lake.store import ObjectStore


class UnregisteredTenantError(AnalyticsError):
    """The tenant is not registered, so it has no keys to be used."""


class UnknownReferenceError(AnalyticsError):
    """The identities table of the tenant does not have the reference."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a person was seen: a reference, the ids that it came with, and the days and messages of it."""

    reference: str
    user_id: str | None
    anonymous_id: str | None
    first: date
    last: date
    messages: int

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class IdentityDesk:
    """What people do with a deployment's identities.

    Args:
        catalog: the tenants.
        store: the lake.
        keys: of all tenants.
        clock: the time in UTC.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        keys: IdentityKeys,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._catalog, self._store, self._keys, self._clock = catalog, store, keys, clock
        self._chain = EvidenceChain(store)

    def rotate(self, tenant: str, *, by: str) -> int:
        """Give a tenant a new version of its keys; the number of it.

        Raises:
            UnregisteredTenantError: the tenant is not registered.
        """
        self._refuse_unregistered(tenant)
        version = self._keys.rotate(tenant).newest.number
        self._record("identity_keys_rotated", tenant, by, {"version": version})
        return version

    def find(self, tenant: str, kind: Kind, value: str, *, by: str) -> tuple[tuple[str, ...], list[Seen]]:
        """The references of a value under all versions, and where they, or the value as an id, were seen.

        Raises:
            UnregisteredTenantError: the tenant is not registered.
        """
        self._refuse_unregistered(tenant)
        known_as = references(self._keys.of(tenant), kind, value)
        table = read_identities(self._store, tenant)
        is_asked = pc.is_in(table["reference"], pa.array(known_as))
        if kind == "id":
            for column in ("user_id", "anonymous_id"):
                is_asked = pc.or_(is_asked, pc.fill_null(pc.equal(table[column], value), False))
        seen = _seen(table.filter(is_asked))
        self._record("identity_sought", tenant, by, {"kind": kind, "found": len(seen)})
        return known_as, seen

    def reveal(self, tenant: str, reference: str, *, by: str, reason: str) -> list[str]:
        """The value that a reference stands for, in the spellings that came.

        Raises:
            UnregisteredTenantError: the tenant is not registered.
            UnknownReferenceError: the table does not have it; nothing was opened.
            UnsealedError: it cannot be opened.
        """
        self._refuse_unregistered(tenant)
        keys, table = self._keys.of(tenant), read_identities(self._store, tenant)
        found = table.filter(pc.equal(table["reference"], reference))["sealed"].unique().to_pylist()
        if not found:
            raise UnknownReferenceError(f"{tenant} has no such reference; name one as the lake has it, in full")
        values = sorted({unseal(keys, sealed).decode() for sealed in found})
        said = {"reference": subject_hash(keys, reference), "reason": reason}
        self._record("identity_revealed", tenant, by, said)
        return values

    def _refuse_unregistered(self, tenant: str) -> None:
        if tenant not in self._catalog.tenants:
            known = ", ".join(sorted(self._catalog.tenants))
            raise UnregisteredTenantError(f"tenant {tenant!r} is not registered; known tenants: {known}")

    def _record(self, kind: str, tenant: str, by: str, said: dict[str, Any]) -> None:
        self._chain.record(kind, tenant, by, said, at=self._clock())


def _seen(rows: pa.Table) -> list[Seen]:
    grouped = rows.group_by(["reference", "user_id", "anonymous_id"])
    found = [
        Seen(
            reference=row["reference"],
            user_id=row["user_id"],
            anonymous_id=row["anonymous_id"],
            first=row["day_min"],
            last=row["day_max"],
            messages=row["messages_sum"],
        )
        for row in grouped.aggregate([("day", "min"), ("day", "max"), ("messages", "sum")]).to_pylist()
    ]
    return sorted(found, key=lambda each: (each.reference, each.user_id or "", each.anonymous_id or ""))
