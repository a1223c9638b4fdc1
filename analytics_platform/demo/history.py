"""The simulated history of a home: up to which day it goes, and what of it a lake has.

A later day continues the history: only what has arrived since is written and is there to be imported. Imported again,
a year would be so many duplicates, all of its partitions would be built anew, and checks would say so.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.demo.simulation import SUFFIX, simulate
from analytics_platform.home_state import write_json
from analytics_platform.lake.layout import landing_prefix
from analytics_platform.lake.store import ObjectStore

DAYS = 365
"""How long a history is when it begins."""


class SimulatedHistory:
    """What was simulated from a seed in a home: files in `demo/seed-<seed>`, and beside the folder what they are.

    Args:
        home: the deployment's home.
        catalog: the declared tenants.
        seed: of all luck.
    """

    def __init__(self, home: Path, catalog: Catalog, seed: int) -> None:
        self._catalog, self._seed = catalog, seed
        self._folder = home / "demo" / f"seed-{seed}"
        self._told = self._folder.with_suffix(".json")

    def reaches(self, last: date) -> bool:
        """Whether it goes up to a day."""
        known = self._known()
        return bool(known) and date.fromisoformat(known["last"]) >= last

    def extend(self, last: date) -> None:
        """Simulate up to a day."""
        known = self._known()
        first = date.fromisoformat(known["first"]) if known else last - timedelta(days=DAYS - 1)
        simulate(
            self._catalog,
            seed=self._seed,
            first_day=first,
            last_day=last,
            folder=self._folder,
            known_to=date.fromisoformat(known["last"]) if known else None,
        )
        write_json(self._told, {**known, "first": str(first), "last": str(last)})

    def lacking(self, store: ObjectStore, lake: str) -> list[Path]:
        """The files that a lake has not; all of them where it was emptied since, or is another.

        Args:
            store: the lake.
            lake: its address.
        """
        files = sorted(self._folder.rglob(f"*{SUFFIX}"))
        imported_to, into = self._known().get("imported", (None, None))
        if into != lake or not self._is_there(store, date.fromisoformat(imported_to)):
            return files
        return [path for path in files if _first_arrival(path) > imported_to]

    def note_import(self, lake: str) -> None:
        """A lake has all of it."""
        known = self._known()
        write_json(self._told, {**known, "imported": [known["last"], lake]})

    def _known(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._told.read_text(encoding="utf-8")) if self._told.exists() else {}
        return found

    def _is_there(self, store: ObjectStore, day: date) -> bool:
        return any(store.list(landing_prefix(day, tenant)) for tenant in self._catalog.tenants)


def _first_arrival(path: Path) -> str:
    """The day from which on a file has what arrived; that of a whole month is named by the month."""
    name = path.name.removesuffix(SUFFIX)
    return name if name.count("-") > 1 else f"{name}-01"
