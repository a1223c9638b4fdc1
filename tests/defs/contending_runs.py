"""A code location whose runs contend: what the queue's limits are tried with, by a real daemon.

A sensor asks for the runs that a test writes down; each run notes what it does. `hourly` writes the warehouse's file;
`old_days` stands for a backfill that goes on until it is released.
"""

import json
import os
import time
from pathlib import Path

import dagster as dg
import duckdb

from analytics_platform.defs.pools import WAREHOUSE_POOL

FOLDER = Path(os.environ["CONTENDING_RUNS"])
HOLDS_SECONDS = 1.0


def note(run_id: str, what: str) -> None:
    with (FOLDER / "journal").open("a") as journal:
        journal.write(json.dumps({"run": run_id, "what": what, "pid": os.getpid(), "at": time.time()}) + "\n")


@dg.asset(pool=WAREHOUSE_POOL)
def hourly(context: dg.AssetExecutionContext) -> None:
    note(context.run_id, "begins")
    with duckdb.connect(FOLDER / "warehouse.duckdb"):  # which lets one process in, and fails for a second one
        time.sleep(HOLDS_SECONDS)
    note(context.run_id, "ends")


@dg.asset
def old_days(context: dg.AssetExecutionContext) -> None:
    note(context.run_id, "begins")
    while not (FOLDER / "release").exists():
        time.sleep(0.1)
    note(context.run_id, "ends")


JOBS = [dg.define_asset_job(f"{asset.key.path[0]}_job", [asset]) for asset in (hourly, old_days)]


@dg.sensor(jobs=JOBS, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def asked_for(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    lines = (FOLDER / "asked").read_text().splitlines() if (FOLDER / "asked").exists() else []
    new = [json.loads(line) for line in lines[int(context.cursor or 0) :]]
    requests = [dg.RunRequest(each["name"], job_name=each["job"], tags=each["tags"]) for each in new]
    return dg.SensorResult(requests, cursor=str(len(lines)))


defs = dg.Definitions(assets=[hourly, old_days], jobs=JOBS, sensors=[asked_for])
