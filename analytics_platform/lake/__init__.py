"""The lake: immutable landing objects, raw Parquet partitions, and the ledger that is derived from both.

What belongs here: where objects live (`layout`), how they are stored (`store`), what an import call promises
(`manifest`, `dead_letters`), the function from landing to raw (`raw`), what of it is stale (`changes`) and whether it
adds up (`ledger`). What stays out: judging events (that is `intake`), the warehouse, and anything that knows Dagster.
"""
