"""Which event of an asset is its newest, found without a look at those of others.

A planner that is asked for the highest id that some condition holds for may go down all ids until it holds. Of an asset
whose events were written before those of a dozen others, that is the whole log: a million and a half rows for a hundred
tenants over three years, at each look at each asset. So the statements here leave a planner no order to go by but that
of an index over the asset's own events.

Belongs here: those statements, and the index that they need beside Dagster's. Stays out: what is concluded from an id
(`event_batches`, `planned_partitions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as db
from dagster import AssetCheckKey, AssetKey, DagsterEventType
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.sql import ColumnElement, Select

_CHECKS = AssetCheckExecutionsTable.c
_EVENTS = SqlEventLogStorageTable.c

_CHECKS_A_QUERY = 100
"""SQLite takes a bounded number of columns and values in one statement."""

BY_EVALUATION = db.Index(
    "idx_asset_check_executions_newest", _CHECKS.asset_key, _CHECKS.check_name, _CHECKS.evaluation_event_storage_id
)
"""Made with Dagster's own tables; in tables from before it is added by an upgrade."""


def add_index(storage: SqlEventLogStorage) -> None:
    """Give tables from before the index that they lack."""
    with storage.index_connection() as index:
        BY_EVALUATION.create(index, checkfirst=True)


def events_after(asset_key: AssetKey, of_type: DagsterEventType, after: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions on events: those of an asset and a type that are newer than one, which may be 0.

    Equal columns and a higher id would say the same, and could be looked for by the id alone.
    """
    asset, kind = asset_key.to_string(), of_type.value
    place = db.tuple_(_EVENTS.asset_key, _EVENTS.dagster_event_type, _EVENTS.id)
    return (
        _EVENTS.asset_key.is_not(None),
        place > db.tuple_(asset, kind, after),
        db.tuple_(_EVENTS.asset_key, _EVENTS.dagster_event_type) <= db.tuple_(asset, kind),
    )


def newest_event(asset_key: AssetKey, of_type: DagsterEventType, after: int = 0) -> Select[int]:
    """The id of an asset's newest event of a type after a known one; no row for none."""
    order = (_EVENTS.asset_key.desc(), _EVENTS.dagster_event_type.desc(), _EVENTS.id.desc())
    return db.select(_EVENTS.id).where(*events_after(asset_key, of_type, after)).order_by(*order).limit(1)


def newest_evaluation(check: AssetCheckKey) -> Select[int]:
    """The id of the newest plan's or evaluation's event of a check, null for none."""
    of_check = (_CHECKS.asset_key == check.asset_key.to_string(), _CHECKS.check_name == check.name)
    return db.select(db.func.max(_CHECKS.evaluation_event_storage_id)).where(*of_check)


def newest_evaluations(index: Connection, checks: Sequence[AssetCheckKey]) -> dict[AssetCheckKey, int]:
    """Those of some checks; none is told of a check that has none."""
    found: dict[AssetCheckKey, int] = {}
    for start in range(0, len(checks), _CHECKS_A_QUERY):
        asked = checks[start : start + _CHECKS_A_QUERY]
        each = [newest_evaluation(check).scalar_subquery().label(f"of_{n}") for n, check in enumerate(asked)]
        ids: Sequence[Any] = index.execute(db.select(*each)).one()
        found |= {check: event_id for check, event_id in zip(asked, ids, strict=True) if event_id is not None}
    return found


def newest_executions(index: Connection, checks: Sequence[AssetCheckKey]) -> dict[AssetCheckKey, RowMapping]:
    """The newest row of each of some checks that have one."""
    rows: dict[AssetCheckKey, RowMapping] = {}
    place = db.tuple_(_CHECKS.asset_key, _CHECKS.check_name, _CHECKS.evaluation_event_storage_id)
    newest = {
        (check.asset_key.to_string(), check.name, event_id): check
        for check, event_id in newest_evaluations(index, checks).items()
    }
    for start in range(0, len(newest), _CHECKS_A_QUERY):
        asked = list(newest)[start : start + _CHECKS_A_QUERY]
        found = index.execute(db.select(AssetCheckExecutionsTable).where(place.in_(asked))).mappings()
        rows |= {newest[row["asset_key"], row["check_name"], row["evaluation_event_storage_id"]]: row for row in found}
    return rows
