"""A small graph whose second month kills the process that builds it, once; run as a program, it is that process.

What is built is written down, one line a run, so that who comes after can see what was built again.
"""

import os
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from analytics_platform.defs import jobs, keys
from analytics_platform.defs.backfill import CHUNK_DAYS, backfill
from analytics_platform.defs.begun_backfills import Asked
from analytics_platform.defs.partitions import days_between, partitions_from, span_of
from analytics_platform.defs.resources import store_from
from analytics_platform.lake.layout import landing_key
from analytics_platform.settings import Settings

FIRST = date(2026, 1, 1)
DAYS = days_between(FIRST, date(2026, 3, 20))
ASKED = Asked(("ops/ledger",), FIRST, DAYS[-1], (), "incident-1")
MONTHS = [f"{DAYS[n]} {DAYS[min(n + CHUNK_DAYS, len(DAYS)) - 1]}" for n in range(0, len(DAYS), CHUNK_DAYS)]


def settings_in(home: Path) -> Settings:
    return Settings(home=home, history_start=FIRST)


def landed_in(home: Path) -> Path:
    """The same home, where something has landed after the days that are asked for."""
    key = landing_key(
        DAYS[-1] + timedelta(days=1), "brabant-rental", datetime(2026, 3, 21, tzinfo=UTC), "test", "0" * 16
    )
    store_from(settings_in(home)).put(key, b"")
    return home


def built(home: Path) -> list[str]:
    return (home / "built").read_text().splitlines()


def graph(home: Path) -> dg.Definitions:
    partitions = partitions_from(FIRST, "Europe/Amsterdam")

    @dg.asset(key=keys.LEDGER, partitions_def=partitions.day, backfill_policy=dg.BackfillPolicy.single_run())
    def ledger(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        first, last = span_of(context)
        if f"{first} {last}" == MONTHS[1] and not (home / "killed").exists():
            (home / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (home / "built").open("a") as file:
            file.write(f"{first} {last}\n")
        return dg.MaterializeResult()

    by_day = [*keys.LOOKING_BACK, *jobs.DAILY_REPORTS, keys.INCIDENTS]
    others = [dg.AssetSpec(key, partitions_def=partitions.day) for key in by_day]
    idle = [_idle(spec) for spec in [dg.AssetSpec(keys.raw("billing"), partitions_def=partitions.day_tenant), *others]]
    of_these = {jobs.INGEST, jobs.BUILD, jobs.LOOK_BACK, jobs.PUBLISH, jobs.INCIDENTS}
    named = [each for each in jobs.jobs() if each.name in of_these]
    return dg.Definitions(assets=[ledger, *idle], jobs=named, executor=dg.in_process_executor)


def _idle(spec: dg.AssetSpec) -> dg.AssetsDefinition:
    @dg.multi_asset(specs=[spec], name="_".join(spec.key.path), backfill_policy=dg.BackfillPolicy.single_run())
    def idle() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    return idle


if __name__ == "__main__":
    home = Path(sys.argv[1])
    backfill(settings_in(home), ASKED, definitions=graph(home))
