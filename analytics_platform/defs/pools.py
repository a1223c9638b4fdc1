"""Names of the concurrency pools and of the tag that limits backfills, and how many runs each lets in at once."""

BACKFILL_TAG = "analytics/backfill"
"""On each run of `analytics backfill`, with its id. Not Dagster's own tag: the UI shows its runs below a backfill that
Dagster's database knows, and nowhere else."""

WAREHOUSE_POOL = "warehouse"
"""Held by every asset that writes the warehouse: DuckDB lets one process write at a time."""

CONNECTORS_POOL = "connectors"
"""Held by every stream of a connector. A pool has the limit of the instance, one: sources are asked one at a time, and
no stream is read twice at once on two machines."""

WAREHOUSE_POOL_LIMIT = 1
