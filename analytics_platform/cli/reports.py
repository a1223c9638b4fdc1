"""Weekly reports: build one, show what it says and where it lies, list those that there are."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, near, read_settings, working
from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    import dagster as dg

    from analytics_platform.defs.run_report import RunReport
    from analytics_platform.lake.store import ObjectStore


class NotWrittenError(AnalyticsError):
    """A week has no report, or none for an audience."""


class Week(click.ParamType):  # type: ignore[type-arg]
    """A week, written as its Monday (2026-11-16) or as 2026-W47."""

    name = "week"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The week's Monday, or wrong usage."""
        if isinstance(value, date):
            return value
        try:
            if "W" in value:
                year, _, number = value.partition("-W")
                return date.fromisocalendar(int(year), int(number), 1)
            day = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a week; write its Monday as YYYY-MM-DD, or YYYY-Www", param, ctx)
        if day.weekday() != 0:
            self.fail(f"{day} is a {day:%A}; its week begins on {day - timedelta(days=day.weekday())}", param, ctx)
        return day


@click.group(cls=Group)
def report() -> None:
    """Weekly reports, one per audience: HTML, PDF, JSON, and a picture."""


@report.command()
@click.argument("week", type=Week(), required=False)
@as_json
def build(week: date | None, as_json: bool) -> None:
    """Build the report of a week that is over (by default the newest), through Dagster, in this process.

    Examples:
        analytics report build
        analytics report build 2026-W47
    """
    monday = week or newest()
    with working("Building the report"):
        outcome = build_week(monday)
    lines = [*_run_lines(outcome), *where(monday)]
    show({"week": monday, "files": _files(monday), **outcome.as_dict()}, as_json, lines)
    sys.exit(0 if outcome.ok else 1)


@report.command("show")
@click.argument("week", type=Week(), required=False)
@click.option("--audience", default="all", show_default=True, help="A tenant, or all.")
@as_json
def show_(week: date | None, audience: str, as_json: bool) -> None:
    """Say what a report says first and where it lies; with --json the whole report.

    Examples:
        analytics report show
        analytics report show 2026-11-16 --audience delta-events
    """
    from analytics_platform.defs.resources import store_from
    from analytics_platform.lake.layout import weekly_report_key

    store, monday = store_from(read_settings()), week or newest()
    _require_written(store, monday, audience)
    told = json.loads(store.get(weekly_report_key(monday, audience, "json")))
    page = store.address(weekly_report_key(monday, audience, "html"))
    show(told, as_json, [*_told(told), page])


@report.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the weeks that have a report.

    Examples:
        analytics report list
    """
    from analytics_platform.defs.resources import store_from
    from analytics_platform.reporting.weekly import written_weeks

    weeks = written_weeks(store_from(read_settings()))
    answer = {"weeks": [{"week": week, "files": _files(week)} for week in weeks]}
    lines = [f"{week}  week {week.isocalendar().week:>2}  {len(_files(week))} files" for week in weeks]
    show(answer, as_json, lines or ["No report has been built; analytics report build"])


def newest() -> date:
    """The Monday of the newest week that is over in the reporting time zone."""
    from analytics_platform.reporting.weekly import newest_week

    return newest_week(datetime.now(UTC).astimezone(ZoneInfo(read_settings().reporting_time_zone)).date())


def build_week(monday: date, definitions: dg.Definitions | None = None) -> RunReport:
    """Build a week's report.

    Raises:
        DayOutOfRangeError: the week is not over, or before history.
    """
    from analytics_platform.defs import jobs
    from analytics_platform.defs.manifest import ensure_manifest
    from analytics_platform.defs.runs import DayOutOfRangeError, run_partition

    settings = read_settings()
    if not settings.history_start <= monday <= newest():
        weeks = f"those that begin from {settings.history_start} to {newest()}"
        raise DayOutOfRangeError(f"the week of {monday} has no partition: weeks that are over are {weeks}")
    ensure_manifest(settings)
    return run_partition(settings, jobs.REPORT, monday.isoformat(), definitions=definitions)


def newest_written() -> list[str]:
    """Where the newest report lies that was built, as a line; nothing where none was."""
    from analytics_platform.defs.resources import store_from
    from analytics_platform.reporting.weekly import written_weeks

    return [line for week in written_weeks(store_from(read_settings()))[-1:] for line in where(week)]


def where(monday: date) -> list[str]:
    """Where a week's report for staff lies, as a line."""
    from analytics_platform.defs.resources import store_from
    from analytics_platform.lake.layout import weekly_report_key

    return [f"Report      {store_from(read_settings()).address(weekly_report_key(monday, 'all', 'html'))}"]


def _files(monday: date) -> list[str]:
    from analytics_platform.defs.resources import store_from
    from analytics_platform.lake.layout import weekly_report_prefix

    store = store_from(read_settings())
    return [store.address(info.key) for info in store.list(weekly_report_prefix(monday))]


def _require_written(store: ObjectStore, monday: date, audience: str) -> None:
    from analytics_platform.lake.layout import weekly_report_prefix

    written = [Path(info.key).stem for info in store.list(weekly_report_prefix(monday)) if info.key.endswith(".json")]
    if not written:
        raise NotWrittenError(f"the week of {monday} has no report; build it with `analytics report build {monday}`")
    if audience not in written:
        raise NotWrittenError(
            f"--audience: the week of {monday} has no report for {audience!r}; {near(audience, 'audiences', written)}"
        )


def _told(told: dict[str, Any]) -> list[str]:
    """The first section of a report, as lines."""
    points = [
        f"  {item['mark'] or ' '} {item['text']} {item['note']}".rstrip()
        for block in told["sections"][0]["blocks"]
        for item in (block["items"] if block["kind"] == "points" else [{"mark": "!", "note": "", **block}])
    ]
    return [f"{told['title']}: {told['subtitle']}", *points]


def _run_lines(outcome: RunReport) -> list[str]:
    """What Dagster said, as a run of days would say it."""
    from analytics_platform.cli.pipeline import run_lines

    return run_lines(outcome)
