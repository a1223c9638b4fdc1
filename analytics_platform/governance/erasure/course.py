"""The course of an erasure as its entries in the chain of evidence tell it: what has become of what was found.

A legal hold may keep something beyond the first `erasure_done`. When the hold has ended and the rest is gone another
entry says so: what an earlier one named as held and a later one does not has gone in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from analytics_platform.catalog import Catalog
from analytics_platform.governance.erasure.database import DatabaseTexts
from analytics_platform.governance.erasure.lake import ExtractObjects, RawObjects
from analytics_platform.governance.erasure.place import Action, Found, action_of
from analytics_platform.governance.erasure.plan import parse_found
from analytics_platform.governance.erasure.portal_record import PortalRecord
from analytics_platform.governance.erasure.records import SqliteFiles
from analytics_platform.governance.erasure.tables import WarehouseRows
from analytics_platform.governance.evidence import Evidence

_BY_CLASS = frozenset({RawObjects.name, ExtractObjects.name, WarehouseRows.name})
_ALWAYS_SEVERED = frozenset({SqliteFiles.name, DatabaseTexts.name, PortalRecord.name})
"""Places that go by the class of a dataset, and places that never delete; all others always do."""

_Place = tuple[str, str]


def last_of(history: Sequence[Evidence], *kinds: str) -> Evidence | None:
    """The newest entry of any of some kinds."""
    return next((each for each in reversed(history) if each.kind in kinds), None)


def held_in(done: Evidence) -> list[Found]:
    """What legal holds keep, as an `erasure_done` says it."""
    return [parse_found(each) for each in done.said["held"]]


def as_it_stands(
    found: Sequence[Found], history: Sequence[Evidence], catalog: Catalog
) -> list[tuple[Found, datetime | None]]:
    """What was found, with what has become of it by now and when; no time before the first `erasure_done`.

    Args:
        found: as it was intended, with what holds kept then.
        history: the entries about the request.
        catalog: says what becomes of what no hold keeps any more.
    """
    done = [each for each in history if each.kind == "erasure_done"]
    if not done:
        return [(each, None) for each in found]
    kept = {_place(each): each for each in held_in(done[-1])}
    planned = {_place(each) for each in found if each.action == "hold"}
    lines = [(each, done[0].at) for each in found if each.action != "hold"]
    for each in found:
        if each.action == "hold":
            fates = _fates(each, kept.get(_place(each)), catalog)
            lines += [(fate, _since(done, _place(each))) for fate in fates]
    # A hold may have come between the plan and the end.
    lines += [(each, done[-1].at) for place, each in kept.items() if place not in planned]
    return sorted(lines, key=lambda line: (line[0].sink, line[0].dataset, line[0].action))


def _fates(held: Found, kept: Found | None, catalog: Catalog) -> Iterator[Found]:
    """What a hold still keeps of what it kept, and what of it has gone since."""
    if kept is not None:
        yield kept
    gone = held.units - (kept.units if kept else 0)
    if gone > 0:
        yield replace(held, action=_after_a_hold(held, catalog), units=gone)


def _after_a_hold(held: Found, catalog: Catalog) -> Action:
    """What becomes of what a hold has kept; a receipt outlives datasets, so one may not be registered any more."""
    if held.sink in _ALWAYS_SEVERED:
        return "sever"
    return action_of(catalog, held.dataset) if held.sink in _BY_CLASS and held.dataset in catalog.datasets else "delete"


def _since(done: Sequence[Evidence], place: _Place) -> datetime:
    """The first entry since which a place holds as much as the newest says."""
    units = [sum(each.units for each in held_in(entry) if _place(each) == place) for entry in done]
    changed = [number for number, each in enumerate(units) if each != units[-1]]
    return done[changed[-1] + 1 if changed else 0].at


def _place(found: Found) -> _Place:
    return found.sink, found.dataset
