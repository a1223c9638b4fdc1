"""The arithmetic of the sizing guide: `python -m benchmarks.sizing` writes its tables into docs/sizing.md.

Everything comes from `sizing.yaml`: measured costs of an event, list prices, what was assumed. A deployment that has
measured its own events or has other prices changes the file and runs it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from analytics_platform.settings import PROJECT_ROOT

INPUTS = Path(__file__).with_name("sizing.yaml")
GUIDE = PROJECT_ROOT / "docs" / "sizing.md"

_HOURS, _MONTH, _STREAMS = 24, 30.4375, 7
_REWRITES = (_HOURS - 1) / 2
"""How often a row of today is read and written again: an event of the first hour 23 times, of the last never."""

_RELOADS = (_HOURS + 1) / 2
"""How often a row is loaded: each hour's load replaces the day."""


@dataclass(frozen=True)
class Scale:
    """One size of business, and what follows for it.

    Args:
        events: a day.
        tenants: that send them.
        segment_seconds: the setting `collector_segment_seconds`.
        inputs: `sizing.yaml`.
    """

    events: int
    tenants: int
    segment_seconds: int
    inputs: Mapping[str, Any]

    @property
    def peak(self) -> float:
        """Events in the busiest second."""
        return self.events / 86_400 * self._assumed["peak"]

    @property
    def collectors(self) -> int:
        """Pods; never fewer than two, so that one can restart."""
        per_pod = self._measured["collector_events_s"] * self._assumed["collector_use"] * self._assumed["cores_per_pod"]
        return max(2, ceil(self.peak / per_pod))

    @property
    def landing_objects(self) -> float:
        """A day. A segment becomes one object for each tenant in it; a tenant that sends seldom is not in each."""
        segments = self.collectors * 86_400 / self.segment_seconds
        return min(segments * self.tenants, self.events)

    @property
    def ingest_hours(self) -> float:
        """Core hours a day from landing to raw, rewriting the running day each hour included."""
        return self._core_hours(self._measured["raw"]["cpu_us"] + _REWRITES * self._measured["next_hour"]["cpu_us"])

    @property
    def load_hours(self) -> float:
        """Core hours a day of loads into DuckDB and of its staging layer."""
        return self._core_hours(_RELOADS * self._measured["load"]["cpu_us"] + self._measured["staging"]["cpu_us"])

    @property
    def lake_tb(self) -> float:
        """Terabytes once the terms are reached: landing objects for their days, raw for its months."""
        raw_days = self._assumed["raw_months"] * _MONTH
        bytes_kept = (
            self._measured["import"]["bytes"] * self._assumed["landing_days"]
            + self._measured["raw"]["bytes"] * raw_days
        )
        return self.events * bytes_kept / 1e12

    @property
    def duckdb_tb(self) -> float:
        """Terabytes of the embedded warehouse's file at its term: raw and staging."""
        each = self._measured["load"]["bytes"] + self._measured["staging"]["bytes"]
        return self._history * each / 1e12

    @property
    def lake_month(self) -> float:
        """Dollars a month of the bucket: bytes at their term, and puts of landing and raw.

        Of raw the most that there can be: each stream of each tenant with events in every hour. A stream without any
        has no object.
        """
        raw_objects = min(_STREAMS * self.tenants * _HOURS, self.events)
        puts = (self.landing_objects + raw_objects) * _MONTH / 1000 * self._prices["s3_put_1000"]
        return self.lake_tb * 1000 * self._prices["s3_gb_month"] + puts

    @property
    def compute_month(self) -> float:
        """Dollars a month of collectors, of ingestion, and of two cores for Dagster and the portal."""
        collectors = self.collectors * self._assumed["cores_per_pod"] * _HOURS
        return (collectors + self.ingest_hours + 2 * _HOURS) * _MONTH * self._prices["vcpu_hour"] + self._prices[
            "postgres_month"
        ]

    @property
    def duckdb_month(self) -> float:
        """Dollars a month of the embedded warehouse's work."""
        return (self.load_hours + self.night_hours) * _MONTH * self._prices["vcpu_hour"]

    @property
    def night_hours(self) -> float:
        """Core hours of a night at the history's full length."""
        return self._history * float(self._measured["night"]["cpu_us"]) / 3.6e9

    @property
    def snowflake_month(self) -> float:
        """Dollars a month: hourly loads of at least a minute, the night, and storage."""
        cores = self._assumed["snowflake_xs_cores"]
        hourly = max(_HOURS / 60, self.load_hours / cores)
        statements = self._assumed["snowflake_statements"] * self._assumed["snowflake_statement_s"]
        night = self.night_hours / cores + statements / self._assumed["snowflake_threads"] / 3600
        storage = self.duckdb_tb * self._prices["snowflake_tb_month"]
        return (hourly + night) * _MONTH * self._prices["snowflake_credit"] + storage

    @property
    def bigquery_month(self) -> float:
        """Dollars a month: bytes that staging and the night read, and storage; load jobs cost nothing."""
        night = self._history * self._measured["logical_staging_bytes"] * self._measured["night_reads"]
        staging = self.events * self._measured["logical_raw_bytes"]
        stored = self._history * (self._measured["logical_raw_bytes"] + self._measured["logical_staging_bytes"])
        return (night + staging) * _MONTH / 2**40 * self._prices["bigquery_tib"] + stored / 2**30 * self._prices[
            "bigquery_gib_month"
        ]

    @cached_property
    def _history(self) -> float:
        """Events that the warehouse holds at its term."""
        return float(self.events * self._assumed["warehouse_months"] * _MONTH)

    def _core_hours(self, cpu_us: float) -> float:
        return self.events * cpu_us / 3.6e9

    @property
    def _measured(self) -> Mapping[str, Any]:
        return self.inputs["measured"]  # type: ignore[no-any-return]

    @property
    def _assumed(self) -> Mapping[str, Any]:
        return self.inputs["assumed"]  # type: ignore[no-any-return]

    @property
    def _prices(self) -> Mapping[str, Any]:
        return self.inputs["prices"]  # type: ignore[no-any-return]


_Column = tuple[str, Callable[[Scale], str]]

_FIRST: tuple[_Column, ...] = (
    ("events a day", lambda each: f"{each.events:,}"),
    ("tenants", lambda each: f"{each.tenants:,}"),
)
TABLES: Mapping[str, tuple[_Column, ...]] = {
    "work": (
        *_FIRST,
        ("events in the peak second", lambda each: f"{each.peak:,.0f}"),
        ("collectors", lambda each: f"{each.collectors}"),
        ("`collector_segment_seconds`", lambda each: f"{each.segment_seconds}"),
        ("landing objects a day", lambda each: f"{each.landing_objects:,.0f}"),
        ("ingestion, core hours a day", lambda each: f"{each.ingest_hours:,.2f}"),
        ("loads and staging, core hours a day", lambda each: f"{each.load_hours:,.2f}"),
        ("night, core hours", lambda each: f"{each.night_hours:,.1f}"),
    ),
    "growth": (
        *_FIRST,
        ("lake, TB", lambda each: f"{each.lake_tb:,.2f}"),
        ("raw and staging in DuckDB or Snowflake, TB", lambda each: f"{each.duckdb_tb:,.2f}"),
    ),
    "cost": (
        *_FIRST,
        ("bucket", lambda each: f"{each.lake_month:,.0f}"),
        ("collectors, ingestion, Dagster, PostgreSQL", lambda each: f"{each.compute_month:,.0f}"),
        ("warehouse: DuckDB", lambda each: f"{each.duckdb_month:,.0f}"),
        ("warehouse: Snowflake", lambda each: f"{each.snowflake_month:,.0f}"),
        ("warehouse: BigQuery", lambda each: f"{each.bigquery_month:,.0f}"),
    ),
}
"""The guide's tables by the name of their place in it."""


def scales(inputs: Mapping[str, Any]) -> list[Scale]:
    """The sizes that the guide speaks of."""
    return [Scale(**scale, inputs=inputs) for scale in inputs["scales"]]


def read_inputs() -> dict[str, Any]:
    """What stands in `sizing.yaml`."""
    inputs: dict[str, Any] = yaml.safe_load(INPUTS.read_text(encoding="utf-8"))
    return inputs


def rendered(guide: str, inputs: Mapping[str, Any]) -> str:
    """The guide with its tables made anew."""
    for name, columns in TABLES.items():
        place = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        guide, found = place.subn(rf"\g<1>{_table(columns, scales(inputs))}\g<2>", guide)
        if found != 1:
            raise SystemExit(f"{GUIDE}: one place `<!-- table: {name} -->` … `<!-- end -->` is needed, found {found}")
    return guide


def _table(columns: Sequence[_Column], rows: Sequence[Scale]) -> str:
    lines = [
        [title for title, _ in columns],
        ["---:" for _ in columns],
        *([value(row) for _, value in columns] for row in rows),
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    GUIDE.write_text(rendered(GUIDE.read_text(encoding="utf-8"), read_inputs()), encoding="utf-8")
