"""loaded/<table>: the warehouse's copies of raw streams and of the tenant registry, which dbt reads as its sources.

A load replaces days, so it may be repeated; its check compares the counts with the lake. Typing and meaning are dbt's.
"""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from analytics_platform.catalog import Catalog, Stream, Tenant
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.lake.raw import scan
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse


def stream_table(stream: str) -> str:
    """The warehouse table of a stream."""
    return f"raw.{stream}"


def loaded_stream_assets(catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    """Load the run's days of each stream, after the ledger has found that they add up."""

    @dg.multi_asset(
        name="loaded_streams",
        specs=[_stream_spec(stream) for stream in catalog.streams.values()],
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        pool=WAREHOUSE_POOL,
    )
    def loaded_streams(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult[None]]:
        first, last = span_of(context)
        for stream in catalog.streams:
            if keys.loaded(stream) in context.selected_asset_keys:
                rows = scan(store, stream, first, last)
                count = warehouse.replace_days(stream_table(stream), rows, first, last)
                yield dg.MaterializeResult(asset_key=keys.loaded(stream), metadata={"rows": count})

    return loaded_streams


def registry_assets(catalog: Catalog) -> dg.AssetsDefinition:
    """Load the tenant registry whole: it says how tenants are, not how they were on a day."""

    @dg.multi_asset(name="loaded_registry", specs=_registry_specs(), can_subset=True, pool=WAREHOUSE_POOL)
    def loaded_registry(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[None]]:
        for table, rows in registry_tables(catalog).items():
            if keys.loaded(table) in context.selected_asset_keys:
                count = warehouse.replace_table(stream_table(table), rows)
                yield dg.MaterializeResult(asset_key=keys.loaded(table), metadata={"dagster/row_count": count})

    return loaded_registry


def registry_tables(catalog: Catalog) -> dict[str, pa.Table]:
    """The registry as the tables that dbt reads."""
    tenants = list(catalog.tenants.values())
    return {
        "tenants": pa.Table.from_pylist([_tenant_row(tenant) for tenant in tenants], _TENANTS),
        "tenant_business_hours": pa.Table.from_pylist(
            [
                {"tenant_id": tenant.tenant_id, "weekday": weekday, "opens_at": opens, "closes_at": closes}
                for tenant in tenants
                for weekday, (opens, closes) in sorted(tenant.business_hours.items())
            ],
            _BUSINESS_HOURS,
        ),
        "tenant_holidays": pa.Table.from_pylist(
            [{"tenant_id": tenant.tenant_id, "holiday_on": day} for tenant in tenants for day in tenant.holidays],
            _HOLIDAYS,
        ),
    }


_TENANTS = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("name", pa.string()),
        ("country", pa.string()),
        ("time_zone", pa.string()),
        ("currency", pa.string()),
        ("financial_year_end", pa.string()),
        ("on_time_threshold_minutes", pa.int32()),
    ]
)
_BUSINESS_HOURS = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("weekday", pa.int32()),
        ("opens_at", pa.string()),
        ("closes_at", pa.string()),
    ]
)
_HOLIDAYS = pa.schema([("tenant_id", pa.string()), ("holiday_on", pa.date32())])


def _stream_spec(stream: Stream) -> dg.AssetSpec:
    by_day = dg.MultiToSingleDimensionPartitionMapping("day")
    return dg.AssetSpec(
        keys.loaded(stream.name),
        deps=[dg.AssetDep(keys.raw(stream.name), partition_mapping=by_day), keys.LEDGER],
        description=f"Events of the stream {stream.name} in the warehouse, as they are in the lake.",
        metadata={"dagster/table_name": stream_table(stream.name)},
    )


def _registry_specs() -> list[dg.AssetSpec]:
    descriptions = {
        "tenants": "Registered tenants: time zone, currency, financial year, and what counts as on time.",
        "tenant_business_hours": "Opening hours of each tenant by weekday (1 is Monday), in its own time zone.",
        "tenant_holidays": "Days on which a tenant is closed.",
    }
    return [
        dg.AssetSpec(
            keys.loaded(table),
            description=descriptions[table],
            metadata={"dagster/table_name": stream_table(table)},
        )
        for table in keys.REGISTRY_TABLES
    ]


def _tenant_row(tenant: Tenant) -> dict[str, object]:
    return {name: getattr(tenant, name) for name in _TENANTS.names}
