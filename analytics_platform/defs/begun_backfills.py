"""What backfills are asked for, and those that have not come to their end: the home keeps each as `backfill-<id>.json`.

Belongs here: what is on record of one, and which of its runs have succeeded. Stays out: building (`backfill`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from analytics_platform.defs.partitions import RANGE_END_TAG, RANGE_START_TAG
from analytics_platform.defs.pools import BACKFILL_TAG
from analytics_platform.errors import AnalyticsError
from analytics_platform.home_state import write_json

Place = tuple[str, str | None, str | None]
"""A step's job and range, which no other step of a backfill has."""


class BackfillRefusedError(AnalyticsError):
    """What was asked for cannot be built; the text names the option and the mend."""


@dataclass(frozen=True)
class Asked:
    """What a backfill is asked for.

    Attributes:
        assets: keys as people write them, such as ops/ledger; everything downstream of them is built too.
        first: first day; None for the newest built one.
        last: last day.
        tenants: whose raw partitions; all tenants' when empty.
        reason: why, for whoever reads the runs.
    """

    assets: tuple[str, ...]
    first: date | None
    last: date | None
    tenants: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Begun:
    """A backfill that has not come to its end."""

    backfill_id: str
    asked: Asked

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`; days are called as in the report of any run."""
        return self._values("from", "to")

    def record(self, home: Path) -> None:
        """Keep it until it is forgotten; whole or not at all, since every backfill reads what is on record."""
        write_json(self._path(home), self._values("first", "last"))

    def forget(self, home: Path) -> None:
        """It has come to its end, or nobody wants the rest of it."""
        self._path(home).unlink(missing_ok=True)

    def built(self, instance: dg.DagsterInstance) -> set[Place]:
        """What runs of it have built before it broke off."""
        ours = dg.RunsFilter(tags={BACKFILL_TAG: self.backfill_id}, statuses=[dg.DagsterRunStatus.SUCCESS])
        return {
            (run.job_name, run.tags.get(RANGE_START_TAG), run.tags.get(RANGE_END_TAG))
            for run in instance.get_runs(filters=ours)
        }

    def _values(self, first: str, last: str) -> dict[str, Any]:
        return {
            "backfill_id": self.backfill_id,
            "assets": list(self.asked.assets),
            first: str(self.asked.first),
            last: str(self.asked.last),
            "tenants": list(self.asked.tenants),
            "reason": self.asked.reason,
        }

    def _path(self, home: Path) -> Path:
        return home / f"backfill-{self.backfill_id}.json"


def all_begun(home: Path) -> list[Begun]:
    """Those on record, in the order in which they were begun or last taken up."""
    _give_old_record_its_name(home)
    return [_read(path) for path in sorted(home.glob("backfill-*.json"), key=lambda path: path.stat().st_mtime_ns)]


def begun_before(home: Path, backfill_id: str | None, option: str) -> Begun:
    """The one of that id, or without one the newest.

    Args:
        home: the deployment's home.
        backfill_id: as its run's tag and its report have it.
        option: of the command, for the error.

    Raises:
        BackfillRefusedError: there is none; names those that there are.
    """
    known = all_begun(home)
    if not known:
        raise BackfillRefusedError(f"{option}: no backfill has broken off here")
    found = next((each for each in reversed(known) if backfill_id in (None, each.backfill_id)), None)
    if found is None:
        names = ", ".join(each.backfill_id for each in known)
        raise BackfillRefusedError(
            f"{option}: no backfill {backfill_id!r} has broken off here; those that have: {names}"
        )
    return found


def _give_old_record_its_name(home: Path) -> None:
    """A home from when there was place for one alone has it in `backfill.json`."""
    old = home / "backfill.json"
    if old.exists():
        old.rename(_read(old)._path(home))


def _read(path: Path) -> Begun:
    known = json.loads(path.read_text(encoding="utf-8"))
    days = {name: date.fromisoformat(known[name]) for name in ("first", "last")}
    asked = Asked(tuple(known["assets"]), **days, tenants=tuple(known["tenants"]), reason=known["reason"])
    return Begun(known["backfill_id"], asked)
