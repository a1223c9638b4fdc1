"""Legal holds: what must stay whatever its term says, for a matter, in somebody's name, until a day.

A hold and its release are objects that are never changed, so who held what and when stays known. A hold without first
or last day reaches over all days; one without tenant over all tenants.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

import orjson

from analytics_platform.catalog.governance import pattern_covers
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.lake.layout import governance_key, governance_prefix
from analytics_platform.lake.removals import Span
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

_HOLDS = "holds"
_RELEASES = "hold_releases"
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class HoldError(AnalyticsError):
    """A hold cannot be declared or released as asked."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold.

    Attributes:
        hold_id: its name, such as `dispute-2026-004`.
        matter: the case or the audit that asks for it.
        declared_by: who answers for it.
        declared_at: when it was declared, in UTC.
        expires_on: the last day on which it holds; it can be declared anew before.
        datasets: patterns of dataset names.
        tenant: the one tenant that it is about; None for all.
        first: first business day that it keeps.
        last: last business day.
    """

    hold_id: str
    matter: str
    declared_by: str
    declared_at: datetime
    expires_on: date
    datasets: tuple[str, ...] = ("*",)
    tenant: str | None = None
    first: date = date.min
    last: date = date.max

    def span(self, dataset: str, tenant: str) -> Span | None:
        """The days of a dataset and tenant that it keeps; rows of no single tenant are kept by any tenant's hold."""
        of_tenant = self.tenant in (None, tenant) or tenant.startswith("_") or tenant == "all"
        if of_tenant and any(pattern_covers(pattern, dataset) for pattern in self.datasets):
            return Span(self.first, self.last)
        return None


@dataclass(frozen=True, slots=True)
class Release:
    """The end of a hold before it expires."""

    hold_id: str
    released_by: str
    released_at: datetime
    reason: str


class Holds:
    """The holds of one lake."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def declare(self, hold: Hold) -> None:
        """Declare a hold and put it on record.

        Raises:
            HoldError: its id is taken or none, it has expired, or it ends before it begins.
        """
        if _ID.fullmatch(hold.hold_id) is None:
            raise HoldError(f"{hold.hold_id!r} is no id of a hold: write lower-case letters, digits, - and _")
        if hold.expires_on < hold.declared_at.date():
            raise HoldError(f"expires on {hold.expires_on}, which is over; give a day to come")
        if hold.last < hold.first:
            raise HoldError(f"the last day held, {hold.last}, is before the first, {hold.first}")
        data = orjson.dumps(asdict(hold), option=orjson.OPT_SORT_KEYS)
        try:
            self._store.put(governance_key(_HOLDS, hold.hold_id), data, if_none_match=True)
        except ObjectExistsError as error:
            raise HoldError(f"there was a hold {hold.hold_id} before; choose another id") from error
        self._record("hold_declared", hold.hold_id, hold.declared_by, orjson.loads(data), hold.declared_at)

    def release(self, hold_id: str, *, by: str, reason: str, now: datetime) -> Release:
        """End a hold.

        Raises:
            HoldError: there is no such hold, or it was released before.
        """
        if hold_id not in {hold.hold_id for hold in self.all()}:
            raise HoldError(f"there is no hold {hold_id}; see `analytics retention holds list`")
        release = Release(hold_id, by, now, reason)
        data = orjson.dumps(asdict(release), option=orjson.OPT_SORT_KEYS)
        try:
            self._store.put(governance_key(_RELEASES, hold_id), data, if_none_match=True)
        except ObjectExistsError as error:
            raise HoldError(f"the hold {hold_id} was released before") from error
        self._record("hold_released", hold_id, by, {"reason": reason}, now)
        return release

    def all(self) -> list[Hold]:
        """Every hold that was ever declared, in the order of their ids."""
        return [_hold(self._store.get(info.key)) for info in self._store.list(governance_prefix(_HOLDS))]

    def released(self) -> dict[str, Release]:
        """The releases, by hold."""
        found = [orjson.loads(self._store.get(info.key)) for info in self._store.list(governance_prefix(_RELEASES))]
        return {
            said["hold_id"]: Release(
                said["hold_id"], said["released_by"], datetime.fromisoformat(said["released_at"]), said["reason"]
            )
            for said in found
        }

    def in_force(self, today: date) -> Sequence[Hold]:
        """The holds that keep something today."""
        released = self.released()
        return [hold for hold in self.all() if hold.hold_id not in released and hold.expires_on >= today]

    def _record(self, kind: str, hold_id: str, by: str, said: dict[str, object], at: datetime) -> None:
        EvidenceChain(self._store).record_once(kind, hold_id, by, said, at=at)


def _hold(data: bytes) -> Hold:
    said = orjson.loads(data)
    return Hold(
        hold_id=said["hold_id"],
        matter=said["matter"],
        declared_by=said["declared_by"],
        declared_at=datetime.fromisoformat(said["declared_at"]).astimezone(UTC),
        expires_on=date.fromisoformat(said["expires_on"]),
        datasets=tuple(said["datasets"]),
        tenant=said["tenant"],
        first=date.fromisoformat(said["first"]),
        last=date.fromisoformat(said["last"]),
    )
