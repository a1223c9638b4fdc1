"""What a statement is made for, so that a warehouse that is paid by use can say what each asset costs.

Belongs here: the description and its text in a query's tag. Stays out: who knows what is at work (`defs.attribution`),
and which warehouse a workload runs on, which settings say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Literal

Workload = Literal["hourly", "nightly", "backfill"]
"""Hourly loads and whoever asks meanwhile; nightly builds, pages and governance; backfills, which may be large."""

APPLICATION = "analytics_platform"


@dataclass(frozen=True)
class Work:
    """An asset, the days of it that are worked on, the run and its workload. It names no tenant and no person.

    Attributes:
        asset: its key, such as loaded/billing; empty outside of runs, such as for `analytics sql`.
        first: first day; None where an asset has no days.
        last: last day.
        run: Dagster's id of the run.
        workload: what kind of run.
    """

    asset: str = ""
    first: date | None = None
    last: date | None = None
    run: str = ""
    workload: Workload = "hourly"

    @property
    def tag(self) -> str:
        """The text of a query's tag: JSON with the names that docs/snowflake.md's queries read."""
        days = {"first_day": self.first, "last_day": self.last}
        said = {
            "application": APPLICATION,
            "asset": self.asset,
            **{name: day.isoformat() for name, day in days.items() if day},
            "run": self.run,
            "workload": self.workload,
        }
        return json.dumps({name: value for name, value in said.items() if value})


def no_work() -> Work:
    """Outside of runs nobody knows more."""
    return Work()
