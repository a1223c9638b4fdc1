"""All that knows Dagster: when things are built, over which partitions, and under which policies.

One module per layer holds its assets (`landing`, `raw`, `ledger`, `loaded`, `dbt`, `extracts`, `dashboards`);
`keys`, `partitions`, `pools` and `policies` hold what they share; `automation` says what starts by itself;
`runs` drives the graph in one process for the command line; `instance`, `event_log` and `serve` are Dagster's own home.

The assets are thin: *what* is computed lives in the lake, the warehouse, dbt and reporting. Checks live in
`asset_checks`, which is above this package; nothing here may import it.
"""
