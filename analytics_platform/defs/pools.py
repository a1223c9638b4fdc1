"""Names of the concurrency pools, and how many runs each lets in at once."""

WAREHOUSE_POOL = "warehouse"
"""Held by every asset that writes the warehouse: DuckDB lets one process write at a time."""

WAREHOUSE_POOL_LIMIT = 1
