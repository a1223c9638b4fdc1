"""A span of days in one backfill, and the same days in runs of one day each: `python -m benchmarks.backfill --home F`.

The home is a finished demo's, and is copied, since a backfill writes. Both ways build everything from raw to extracts
for the same days; what is told are seconds of CPU and wall, and rows of Dagster's event log. Single days cost much the
same each, so by default three of them, spread over the span, stand for all; `--singles 30` runs every one.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from analytics_platform.defs.backfill import Asked, backfill
from analytics_platform.defs.runs import load_definitions
from analytics_platform.settings import Settings

MAX_RATIO = 0.2
"""A month in one backfill, of what thirty single days cost."""


@dataclass(frozen=True)
class Cost:
    """Seconds, and rows that the event log has more."""

    wall: float
    cpu: float
    rows: int

    def __str__(self) -> str:
        return f"{self.cpu:8.1f} s CPU {self.wall:8.1f} s wall {self.rows:10,} rows of the event log"


def event_rows(settings: Settings) -> int:
    """Rows of the index of events, which all runs share."""
    with sqlite3.connect(settings.dagster_home / "history" / "runs" / "index.db") as connection:
        rows: int = connection.execute("select count(*) from event_logs").fetchone()[0]
        return rows


def cost(home: Path, spans: Sequence[tuple[date, date]]) -> Cost:
    """Build some spans of a copied home, one backfill each."""
    with TemporaryDirectory(prefix="analytics-bench-") as folder:
        copied = Path(folder) / "home"
        shutil.copytree(home, copied)
        settings = Settings(home=copied)
        definitions = load_definitions(settings)
        rows, started, worked = event_rows(settings), time.perf_counter(), time.process_time()
        for first, last in spans:
            done = backfill(settings, Asked((), first, last, (), "benchmark"), definitions=definitions)
            broken = [run for run in done.report.runs if run.status != "SUCCESS"]
            if broken:
                raise SystemExit(f"{first} to {last}: {broken[0].error}")
        wall, cpu = time.perf_counter() - started, time.process_time() - worked
        return Cost(wall, cpu, event_rows(settings) - rows)


def spread(days: Sequence[date], count: int) -> list[date]:
    """As many days of a span, from its first to its last."""
    if count >= len(days) or count < 2:
        return list(days[-count:])
    return [days[n * (len(days) - 1) // (count - 1)] for n in range(count)]


def main(home: Path, last: date, days: int, singles: int) -> int:
    """Print both ways; exit code 1 when a month in one costs more than its bound."""
    dates = [last - timedelta(days=n) for n in reversed(range(days))]
    whole = cost(home, [(dates[0], dates[-1])])
    print(f"{days} days in one backfill       {whole}", flush=True)
    run = spread(dates, singles)
    single = cost(home, [(day, day) for day in run])
    print(f"{len(run)} backfills of one day      {single}")
    times = days / len(run)
    cpu, wall, rows = (
        each / (times * other)
        for each, other in ((whole.cpu, single.cpu), (whole.wall, single.wall), (whole.rows, single.rows))
    )
    print(f"ratio of one to {days} such days: {cpu:.3f} of CPU, {wall:.3f} of wall time, {rows:.3f} of rows")
    return 0 if days < 30 or cpu <= MAX_RATIO else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="the home of a finished demo; it is left as it is")
    parser.add_argument("--last", type=date.fromisoformat, required=True, help="last day")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--singles", type=int, default=3, help="days of the span that are built one by one")
    given = parser.parse_args()
    sys.exit(main(given.home.resolve(), given.last, given.days, given.singles))
