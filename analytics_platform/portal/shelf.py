"""The pages that there are, through the lake's port: one by its key, and all that an audience may open.

What the start page lists comes from the very patterns that decide whether a page may be opened, so it can show nothing
else. A page that is made from the catalogue is served like the others and lies in no lake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

from analytics_platform.catalog import Audience, Catalog
from analytics_platform.governance.access.pages import TRACKING_PLAN_KEY, granted_pages
from analytics_platform.governance.access.policy import Policy
from analytics_platform.lake.layout import WEEKLY_REPORT_PREFIX, weekly_report_prefix
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError, ObjectStore, UnsafeKeyError
from analytics_platform.portal.rights import CATALOG_FOLDER
from analytics_platform.tracking.plan_page import render_plan_page

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "json": "application/json",
    "png": "image/png",
}
"""What is served, by the end of its key; nothing else is."""

WEEKS_SHOWN = 8

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9@=_.-]{0,99}(/[A-Za-z0-9][A-Za-z0-9@=_.-]{0,99}){0,5}")
_FORMS = ("html", "pdf", "json")


@dataclass(frozen=True)
class Shelved:
    """Something to read, in one or more forms.

    Attributes:
        dataset: which it belongs to.
        audience: as which it may be opened.
        stem: its key without the form.
        forms: those that there are, the one to read first.
        published_at: when it was written last.
    """

    dataset: str
    audience: Audience
    stem: str
    forms: tuple[str, ...]
    published_at: datetime


class Shelf:
    """The pages of one lake.

    Args:
        store: the lake.
        today: the day by which the newest weeks are found.
    """

    def __init__(self, store: ObjectStore, today: Callable[[], date]) -> None:
        self._store, self._today = store, today
        self._plan: tuple[Catalog | None, bytes, datetime] = (None, b"", datetime.min.replace(tzinfo=UTC))

    def read(self, key: str, catalog: Catalog) -> bytes | None:
        """A page's bytes; None where there is none."""
        if key == TRACKING_PLAN_KEY:
            return self._plan_page(catalog)[0]
        try:
            return self._store.get(key)
        except (ObjectMissingError, UnsafeKeyError):
            return None

    def is_there(self) -> bool:
        """Whether the store answers; raises what it raises."""
        self._store.info("dashboards/index.html")
        return True

    def of(self, policy: Policy, audience: Audience, catalog: Catalog) -> list[Shelved]:
        """All that an audience may open and that is there."""
        found: dict[tuple[str, str], list[ObjectInfo]] = {}
        for dataset, pattern in granted_pages(policy, audience):
            for info in self._listed(pattern, catalog):
                found.setdefault((dataset, info.key.rpartition(".")[0]), []).append(info)
        return [_shelved(dataset, audience, stem, infos) for (dataset, stem), infos in found.items()]

    def _listed(self, pattern: str, catalog: Catalog) -> Iterator[ObjectInfo]:
        if pattern == TRACKING_PLAN_KEY:
            body, at = self._plan_page(catalog)
            yield ObjectInfo(pattern, len(body), at)
        elif pattern.startswith(WEEKLY_REPORT_PREFIX):
            yield from self._weeks(pattern)
        elif "*" in pattern:
            fits = re.compile("[^/]*".join(map(re.escape, pattern.split("*"))))
            yield from (each for each in self._store.list(pattern.partition("*")[0]) if fits.fullmatch(each.key))
        elif (info := self._store.info(pattern)) is not None:
            yield info

    def _weeks(self, pattern: str) -> Iterator[ObjectInfo]:
        """Reports of the newest weeks: a listing of all of them would grow with every week and tenant."""
        who = PurePosixPath(pattern).name.removesuffix("*")
        today = self._today()
        monday = today - timedelta(days=today.weekday())
        for back in range(1, WEEKS_SHOWN + 1):
            yield from self._store.list(f"{weekly_report_prefix(monday - timedelta(weeks=back))}{who}")

    def _plan_page(self, catalog: Catalog) -> tuple[bytes, datetime]:
        """The tracking plan; made anew when the catalogue was read anew."""
        if self._plan[0] is not catalog:
            changed = max(path.stat().st_mtime for path in (CATALOG_FOLDER / "plan").rglob("*.yaml"))
            self._plan = (catalog, render_plan_page(catalog).encode(), datetime.fromtimestamp(changed, UTC))
        return self._plan[1], self._plan[2]


def servable(path: str) -> str | None:
    """The key that a path asks for, if it could be a page's: names that begin with a letter or digit, a known form."""
    if len(path) > 300 or _KEY.fullmatch(path) is None:
        return None
    return path if form_of(path) in MEDIA_TYPES else None


def form_of(key: str) -> str:
    """The form of a page, by the end of its key."""
    return key.rpartition(".")[2]


def _shelved(dataset: str, audience: Audience, stem: str, infos: list[ObjectInfo]) -> Shelved:
    there = {form_of(info.key) for info in infos}
    forms = tuple(form for form in _FORMS if form in there)
    return Shelved(dataset, audience, stem, forms, max(info.modified_at for info in infos))
