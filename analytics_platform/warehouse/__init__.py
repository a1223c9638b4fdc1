"""The warehouse behind one port: what the platform writes to it and asks of it, whichever product it is.

``port`` is the contract, ``duckdb`` the embedded adapter, ``staging_models`` writes dbt's staging layer from the plan.
Models and KPI logic stay out: they are dbt's.
"""

from analytics_platform.warehouse.duckdb import DuckDBWarehouse
from analytics_platform.warehouse.port import (
    QueryError,
    RequestedWarehouse,
    SharedWarehouse,
    Warehouse,
    WarehouseBusyError,
    WarehouseMissingError,
    WarehouseUnreachableError,
    has_table,
    row_text,
    table_columns,
)

__all__ = [
    "DuckDBWarehouse",
    "QueryError",
    "RequestedWarehouse",
    "SharedWarehouse",
    "Warehouse",
    "WarehouseBusyError",
    "WarehouseMissingError",
    "WarehouseUnreachableError",
    "has_table",
    "row_text",
    "table_columns",
]
