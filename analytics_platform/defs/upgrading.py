"""Bringing a home from the versions that it has to those that this program writes, one step after the other.

A step says what it brings up; it may be killed anywhere and run again. While one is under way the home is refused to
everybody else (`home_state`), and the version is noted when it has ended. To add one: raise the version in
`home_state.SCHEMAS` and write the step here, under the schema's name and the version that it leads to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace

import pyarrow as pa
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from analytics_platform.alerting.export import INCIDENTS_SCHEMA, INCIDENTS_TABLE
from analytics_platform.catalog import load_catalog
from analytics_platform.defs.check_results import CHECK_RESULTS_TABLE
from analytics_platform.defs.check_results import SCHEMA as CHECK_RESULTS_SCHEMA
from analytics_platform.defs.erasure import ERASURES_SCHEMA, ERASURES_TABLE
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.ledger import COLLECTOR_HOURS_TABLE, LEDGER_TABLE
from analytics_platform.defs.loaded import stream_table
from analytics_platform.defs.manifest import ensure_manifest, load_manifest
from analytics_platform.defs.migrating import embedded, refuse_services
from analytics_platform.defs.newest_events import add_index
from analytics_platform.defs.resources import embedded_warehouse, warehouse_from
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.access.desk import DRIFT_SCHEMA, DRIFT_TABLE
from analytics_platform.governance.access.memberships import MEMBERSHIPS_SCHEMA, MEMBERSHIPS_TABLE
from analytics_platform.governance.evidence import EVIDENCE_SCHEMA, EVIDENCE_TABLE
from analytics_platform.home_state import SCHEMAS, HomeState, Schema, read_state, require_known, write_state
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.insights.anomalies import SCHEMA as ANOMALIES_SCHEMA
from analytics_platform.insights.promises import ATTAINMENT_TABLE
from analytics_platform.insights.promises import SCHEMA as ATTAINMENT_SCHEMA
from analytics_platform.lake.collector_hours import COLLECTOR_HOURS_SCHEMA
from analytics_platform.lake.ledger import LEDGER_SCHEMA
from analytics_platform.lake.schema import RAW_SCHEMA
from analytics_platform.migration.parts import Step
from analytics_platform.settings import Settings
from analytics_platform.warehouse import SharedWarehouse, table_columns

WRITTEN: Mapping[str, pa.Schema] = {
    ANOMALIES_TABLE: ANOMALIES_SCHEMA,
    ATTAINMENT_TABLE: ATTAINMENT_SCHEMA,
    CHECK_RESULTS_TABLE: CHECK_RESULTS_SCHEMA,
    COLLECTOR_HOURS_TABLE: COLLECTOR_HOURS_SCHEMA,
    DRIFT_TABLE: DRIFT_SCHEMA,
    ERASURES_TABLE: ERASURES_SCHEMA,
    EVIDENCE_TABLE: EVIDENCE_SCHEMA,
    INCIDENTS_TABLE: INCIDENTS_SCHEMA,
    LEDGER_TABLE: LEDGER_SCHEMA,
    MEMBERSHIPS_TABLE: MEMBERSHIPS_SCHEMA,
}
"""Tables that Python writes, beside raw."""

_TYPES: Mapping[str, str] = {"string": "varchar", "date32[day]": "date", "double": "double", "bool": "boolean"}


class UpgradeRefusedError(AnalyticsError):
    """A step has to be done by hand first; the text says what."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A form that is not of this program's version yet.

    Attributes:
        schema: its name.
        found: the version that the home has.
        version: the one that it will have.
        does: what is done, in words.
    """

    schema: str
    found: int
    version: int
    does: str


@dataclass(frozen=True, slots=True)
class _Way:
    """How a form comes to a version."""

    does: str
    bring: Callable[[Settings], None]


def pending(settings: Settings) -> list[Pending]:
    """What an upgrade would do, in order; nothing is changed.

    Raises:
        HomeStateError: the home is newer than this program, or too old for it.
    """
    state = read_state(settings.home)
    require_known(settings.home, state)
    return [
        Pending(schema.name, version - 1, version, way.does)
        for schema in SCHEMAS
        for version, way in _ways(schema, state)
    ]


def upgrade(settings: Settings, step: Step = lambda _: None) -> list[Pending]:
    """Bring a home to this program's versions, while nobody else uses it.

    Args:
        settings: the deployment.
        step: told each step before it is taken.

    Raises:
        HomeStateError: as `pending`.
        SourceInUseError: naming who is at work in it.
        UpgradeRefusedError: something has to be done by hand first.
    """
    done = pending(settings)
    if not done:
        return []
    settings.home.mkdir(parents=True, exist_ok=True)
    state = read_state(settings.home)
    refuse_services(embedded(settings, None))
    for schema in SCHEMAS:
        for version, way in _ways(schema, state):
            step(f"begin {schema.name} {version}")
            write_state(settings.home, replace(state, upgrading=schema.name))
            step(f"bring {schema.name} {version}")
            way.bring(settings)
            step(f"note {schema.name} {version}")
            state = HomeState({**state.versions, schema.name: version})
    write_state(settings.home, state)
    return done


def _ways(schema: Schema, state: HomeState) -> Iterator[tuple[int, _Way]]:
    for version in range(state.version(schema) + 1, schema.version + 1):
        yield version, _WAYS.get((schema.name, version), _AS_IT_IS)


def _add_columns(settings: Settings) -> None:
    """Give tables the columns that they lack, empty: rows from before say nothing there.

    dbt adds columns at the end of a model's build, which is too late for a model that reads its own table.
    """
    warehouse = warehouse_from(settings)
    built = table_columns(warehouse)
    changes = [
        f'alter table {name} add column if not exists "{column}" {kind}'
        for name, columns in _wanted(settings).items()
        if name in built
        for column, kind in columns.items()
        if column not in {each.lower() for each in built[name]}
    ]
    if changes and isinstance(warehouse, SharedWarehouse):
        raise UpgradeRefusedError(
            f"tables of {warehouse.address} lack columns; add them there and begin again: {'; '.join(changes)}"
        )
    if changes:
        with embedded_warehouse(settings).opened() as connection:
            for change in changes:
                connection.execute(change)


def _wanted(settings: Settings) -> dict[str, dict[str, str]]:
    """Types by column of every table that outlives a build: those that Python writes, and dbt's incremental ones."""
    streams = {
        stream_table(name): RAW_SCHEMA
        for name in load_catalog(settings.tenants_file, settings.extension_catalog).streams
    }
    written = {
        name: {field.name: _type(field.type) for field in schema} for name, schema in {**WRITTEN, **streams}.items()
    }
    ensure_manifest(settings)
    models = [
        node
        for node in load_manifest(settings)["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "incremental"
    ]
    return written | {
        f"{node['schema']}.{node['alias']}": {
            column["name"].lower(): column["data_type"] for column in node["columns"].values()
        }
        for node in models
    }


def _type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "bigint"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    return _TYPES[str(kind)]


def _migrate_instance(settings: Settings) -> None:
    """What `dagster instance migrate` does; Dagster's own revisions say what is left to do."""
    # The event log's storage tells its steps on standard output, where the answer of a command belongs.
    with redirect_stdout(sys.stderr), open_instance(settings) as instance:
        instance.upgrade(lambda _: None)


def _add_index(settings: Settings) -> None:
    """What looks at how checks stand go by."""
    with open_instance(settings) as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, SqlEventLogStorage)
        add_index(storage)


_AS_IT_IS = _Way("nothing: it is read as it stands", lambda _: None)
_WAYS: Mapping[tuple[str, int], _Way] = {
    ("warehouse", 1): _Way("adds columns that tables lack which no build makes anew", _add_columns),
    ("dagster", 1): _Way("brings Dagster's tables to this Dagster's revision", _migrate_instance),
    ("dagster", 2): _Way("adds an index to Dagster's table of checks", _add_index),
}
