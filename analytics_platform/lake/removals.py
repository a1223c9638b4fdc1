"""What retention has removed for good: the statements that keep it from coming back.

A statement is put before the first deletion (write ahead) and stays. Whoever builds a partition or counts what
came in asks here: a day that is covered is not built, not loaded, and not missed by the ledger.

    removals/<plan hash>.json    datasets, the newest removed day of each tenant, and the days that a hold kept
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from analytics_platform.lake.layout import REMOVAL_PREFIX, removal_key
from analytics_platform.lake.store import ObjectStore


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def holds(self, day: date) -> bool:
        """Whether the day is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Removed:
    """Of a dataset and tenant every day up to `through` is removed, but for those that were `held`.

    `plan` is the hash of the plan that asked for it.
    """

    dataset: str
    tenant: str
    through: date
    held: tuple[Span, ...] = ()
    plan: str = ""

    def covers(self, day: date) -> bool:
        """Whether the day is removed."""
        return day <= self.through and not any(span.holds(day) for span in self.held)


@dataclass(frozen=True)
class Removals:
    """Everything that was ever removed."""

    by_place: Mapping[tuple[str, str], tuple[Removed, ...]] = field(default_factory=dict)

    def covers(self, dataset: str, tenant: str, day: date) -> bool:
        """Whether a day of a dataset and tenant was removed."""
        removed = self.by_place.get((dataset, tenant))  # asked for every message, and nearly always nothing
        return removed is not None and any(each.covers(day) for each in removed)

    def covers_raw(self, stream: str, tenant: str, day: date) -> bool:
        """Whether a raw partition was removed."""
        return self.covers(f"raw.{stream}", tenant, day)

    def covers_all(self, dataset: str, tenants: Iterable[str], day: date) -> bool:
        """Whether a day of a dataset was removed for all of the tenants; false when there are none."""
        asked = list(tenants)
        return bool(asked) and all(self.covers(dataset, tenant, day) for tenant in asked)

    def newest(self, datasets: Iterable[str]) -> date | None:
        """The newest day that was removed of any of the datasets, for whichever tenant."""
        wanted = set(datasets)
        return max(
            (each.through for (name, _), removed in self.by_place.items() if name in wanted for each in removed),
            default=None,
        )

    def __bool__(self) -> bool:
        return bool(self.by_place)


def state_removals(store: ObjectStore, plan_hash: str, removed: Iterable[Removed]) -> None:
    """Put the statement of a plan; of one that broke off, days that came under a hold since are left out anew."""
    said = [
        {
            "dataset": each.dataset,
            "tenant": each.tenant,
            "through": each.through,
            **({"held": [[span.first, span.last] for span in each.held]} if each.held else {}),
        }
        for each in sorted(removed, key=lambda each: (each.dataset, each.tenant))
    ]
    store.put(removal_key(plan_hash), orjson.dumps({"version": 1, "removed": said}))


def read_removals(store: ObjectStore) -> Removals:
    """All statements of a lake."""
    found: dict[tuple[str, str], tuple[Removed, ...]] = {}
    for info in store.list(REMOVAL_PREFIX):
        for entry in orjson.loads(store.get(info.key))["removed"]:
            removed = _removed(entry, info.key.rpartition("/")[2].removesuffix(".json"))
            place = (removed.dataset, removed.tenant)
            found[place] = (*found.get(place, ()), removed)
    return Removals(found)


def _removed(entry: Mapping[str, Any], plan: str) -> Removed:
    held = tuple(Span(date.fromisoformat(first), date.fromisoformat(last)) for first, last in entry.get("held", ()))
    return Removed(entry["dataset"], entry["tenant"], date.fromisoformat(entry["through"]), held, plan)
