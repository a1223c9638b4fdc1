"""The way from files to dashboards: import, run, sql, demo, up, manifest."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics_platform.cli import reports
from analytics_platform.cli.answers import FORMATS, show
from analytics_platform.cli.command import Command
from analytics_platform.cli.common import Day, Tenant, as_json, progress_bar, read_catalog, read_settings, working
from analytics_platform.cli.portal import demo_users

if TYPE_CHECKING:
    import dagster as dg

    from analytics_platform.defs.begun_backfills import Begun
    from analytics_platform.defs.run_report import RunReport
    from analytics_platform.demo.live import LiveReport
    from analytics_platform.intake.importer import ImportReport

_NEWEST = "newest"
_DEMO_SEED = 20_260_101

_FIRST_QUERY = "select day, tenant_id, currency, mrr_minor from kpi.kpi_mrr order by day desc limit 5"

_YOUNG_OBJECTS = 50_000
"""A run makes objects by the million, and after each 700 of them Python would look for cycles among the young ones."""


@click.command("import", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--tenant", type=Tenant(), help="The tenant that all messages belong to; else each names its own.")
@as_json
def import_(paths: tuple[Path, ...], tenant: str | None, as_json: bool) -> None:
    """Take Segment messages (NDJSON: plain, .gz, .zst; files, folders, Segment's S3 layout) into the lake.

    Examples:
        analytics import exports/ --tenant brabant-rental
        analytics import messages.ndjson.gz --json
    """
    report = _import(paths, tenant, quiet=as_json)
    show(report.as_dict(), as_json, _import_lines(report))


@click.command(cls=Command)
@click.option("--from", "first", type=Day(), help="First day; by default the earliest that new data has touched.")
@click.option("--to", "last", type=Day(), help="Last day; by default the newest closed day that has data.")
@as_json
def run(first: date | None, last: date | None, as_json: bool) -> None:
    """Build everything for those days, through Dagster, in this process.

    Examples:
        analytics run
        analytics run --from 2026-11-01 --to 2026-11-20
        analytics run --json
    """
    from analytics_platform.intake.collector.waiting import waiting_line

    report, settings = _run(first, last, quiet=as_json), read_settings()
    waiting = waiting_line(settings.spool_root, settings.collector_segment_seconds, datetime.now(UTC))
    show(report.as_dict(), as_json, [*run_lines(report), *([waiting] if waiting else [])])
    sys.exit(0 if report.ok else 1)


@click.command(cls=Command)
@click.option("--asset", "assets", multiple=True, help="What to build, such as ops/ledger; all raw assets by default.")
@click.option("--from", "first", type=Day(), help="First day; by default the newest that is built.")
@click.option("--to", "last", type=Day(), help="Last day; by default the first one.")
@click.option(
    "--tenant", "tenants", type=Tenant(), multiple=True, help="Whose raw partitions; all tenants' by default."
)
@click.option("--reason", default="", help="Why; it stands on the runs.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[ID]",
    help="Take up the rest of one that was killed or has failed: the newest, or that of an id.",
)
@click.option("--forget", metavar="ID", help="Keep one that was killed or has failed no longer.")
@as_json
def backfill(
    assets: tuple[str, ...],
    first: date | None,
    last: date | None,
    tenants: tuple[str, ...],
    reason: str,
    resume: str | None,
    forget: str | None,
    as_json: bool,
) -> None:
    """Build partitions again, and everything that is made from them for those days.

    One backfill at a time, month by month, so that the hourly run goes on. It mends nothing at its source: do that
    first.

    Examples:
        analytics backfill --asset kpi/revenue/kpi_mrr --from 2026-11-24 --to 2026-11-24 --reason incident-4f1c09aa21
        analytics backfill --from 2026-11-01 --to 2026-11-24 --tenant delta-events
        analytics backfill --resume
        analytics backfill --resume 3fa9c01b
    """
    if (resume or forget) and (assets or first or last or tenants or reason or (resume and forget)):
        option = "--resume" if resume else "--forget"
        raise click.UsageError(f"{option} goes by what one that broke off was asked for; leave the other options out")
    from analytics_platform.defs.backfill import backfill as build_again
    from analytics_platform.defs.backfill import give_up
    from analytics_platform.defs.begun_backfills import Asked
    from analytics_platform.defs.manifest import ensure_manifest

    if forget:
        given_up = give_up(read_settings(), forget)
        show({"forgotten": given_up.backfill_id}, as_json, [f"Forgotten: {_backfill_line(given_up)}"])
        return
    ensure_manifest(read_settings())
    with progress_bar("Building again", as_json) as progress:
        asked = None if resume else Asked(assets, first, last, tenants, reason)
        which = None if resume == _NEWEST else resume
        done = build_again(read_settings(), asked, progress, resume=which)
    head = f"Backfill {_backfill_line(done.begun)}"
    waiting = [
        f"Broken off before: {_backfill_line(each)} ({each.asked.reason}); take up its rest with "
        f"analytics backfill --resume {each.backfill_id}, or drop it with --forget {each.backfill_id}"
        for each in done.others
    ]
    show(done.as_dict(), as_json, [head, *run_lines(done.report), *waiting])
    sys.exit(0 if done.report.ok else 1)


def _backfill_line(begun: Begun) -> str:
    """Which backfill it is, of what."""
    built = begun.asked
    whose = f" of {', '.join(built.tenants)}" if built.tenants else ""
    return f"{begun.backfill_id}: {', '.join(built.assets)}{whose}, {built.first} to {built.last}"


@click.command(cls=Command)
@click.argument("query")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@as_json
def sql(query: str, form: str, as_json: bool) -> None:
    """Ask the warehouse; read-only. With --json the answer is a list of rows, each an object of its columns.

    Examples:
        analytics sql "select * from kpi.kpi_mrr order by day desc limit 5"
        analytics sql "select count(*) as n from marts.fct_invoices" --json
    """
    from analytics_platform.defs.resources import warehouse_from

    answer = warehouse_from(read_settings()).query(query)
    click.echo(FORMATS["json" if as_json else form](answer))


@click.command(cls=Command)
@click.option("--seed", type=int, default=_DEMO_SEED, show_default=True, help="The same seed gives the same events.")
@click.option("--to", "last", type=Day(), help="Last simulated day; by default yesterday.")
@click.option("--live/--no-live", default=True, show_default=True, help="Also send live events through a collector.")
@as_json
def demo(seed: int, last: date | None, live: bool, as_json: bool) -> None:
    """Four rental companies: import a simulated year, send live events through a collector, run the whole graph.

    Examples:
        analytics demo
        analytics demo --no-live --to 2026-11-20
    """
    _write_rbac()
    imported = _import_simulated(seed, last, quiet=as_json)
    burst = _live(seed) if live else None
    definitions = _definitions()
    report = _run(None, None, quiet=as_json, definitions=definitions)
    week = reports.build_week(reports.newest(), definitions) if report.ok else None
    answer = {"import": imported.as_dict(), "live": burst and burst.as_dict(), "run": report.as_dict()}
    told = _import_lines(imported) if imported.read else ["The simulated history is in the lake already"]
    lines = [*told, *_live_lines(burst), *run_lines(report)]
    show(
        {**answer, "report": week and week.as_dict()},
        as_json,
        [*lines, *(run_lines(week) if week and not week.ok else []), *_where_things_are()],
    )
    sys.exit(0 if report.ok and week and week.ok else 1)


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the web server binds.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option(
    "--collector-port",
    type=click.IntRange(0, 65535),
    help="Port of the collector; 0 takes a free one.  [default: ANALYTICS_COLLECTOR_PORT, else 8080]",
)
@click.option(
    "--portal-port",
    type=click.IntRange(0, 65535),
    help="Port of the portal; 0 takes a free one.  [default: ANALYTICS_PORTAL_PORT, else 8000]",
)
def up(host: str, port: int, collector_port: int | None, portal_port: int | None) -> None:
    """Take events in, serve the portal and Dagster's UI with its schedules and sensors, until interrupted.

    Examples:
        analytics up
        analytics up --port 3001 --collector-port 0 --portal-port 0
    """
    from analytics_platform.defs.manifest import ensure_manifest
    from analytics_platform.defs.serve import Ports, serve

    ensure_manifest(read_settings())
    click.echo("\n".join([*demo_users(), *_where_things_are()]))
    serve(read_settings(), host=host, port=port, ports=Ports(collector_port, portal_port))


@click.command(cls=Command)
@click.option("--docs", is_flag=True, help="Also write dbt's documentation site.")
@click.option("--quiet", is_flag=True, help="Say nothing unless it fails.")
@as_json
def manifest(docs: bool, quiet: bool, as_json: bool) -> None:
    """Build dbt's manifest, which the asset graph is made from.

    Examples:
        analytics manifest
        analytics manifest --docs
    """
    from analytics_platform.defs.manifest import build_manifest

    path = build_manifest(read_settings(), docs=docs)
    if not quiet:
        show({"manifest": str(path)}, as_json, [str(path)])


def _import(paths: Sequence[Path], tenant: str | None, *, quiet: bool) -> ImportReport:
    from analytics_platform.defs.resources import identity_keys_from, store_from
    from analytics_platform.intake.importer import import_paths
    from analytics_platform.intake.write_keys import WriteKeys

    settings, catalog = read_settings(), read_catalog()
    with progress_bar("Importing", quiet) as progress:
        return import_paths(
            paths,
            catalog=catalog,
            store=store_from(settings),
            identities=identity_keys_from(settings),
            tenant=tenant,
            history_start=settings.history_start,
            keys=WriteKeys(catalog, settings.write_keys_file),
            progress=progress,
        )


def _run(first: date | None, last: date | None, *, quiet: bool, definitions: dg.Definitions | None = None) -> RunReport:
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
    from analytics_platform.defs.manifest import ensure_manifest
    from analytics_platform.defs.runs import run_days

    ensure_manifest(read_settings())
    with progress_bar("Building", quiet) as progress:
        return run_days(read_settings(), first, last, progress=progress, definitions=definitions)


def _definitions() -> dg.Definitions:
    """The graph, made once for a command that runs it more than once."""
    from analytics_platform.defs.manifest import ensure_manifest
    from analytics_platform.defs.runs import load_definitions

    ensure_manifest(read_settings())
    return load_definitions(read_settings())


def _import_simulated(seed: int, last: date | None, *, quiet: bool) -> ImportReport:
    """Import what the lake lacks of the demo's history up to `last`."""
    from analytics_platform.defs.resources import store_from
    from analytics_platform.demo.history import SimulatedHistory
    from analytics_platform.intake.importer import ImportReport

    settings = read_settings()
    history = SimulatedHistory(settings.home, read_catalog(), seed)
    last, lake = last or datetime.now(UTC).date() - timedelta(days=1), settings.lake_url or str(settings.lake_root)
    if not history.reaches(last):
        with working("Simulating"):
            history.extend(last)
    lacking = history.lacking(store_from(settings), lake)
    if not lacking:
        return ImportReport()
    report = _import(lacking, None, quiet=quiet)
    history.note_import(lake)
    return report


def _write_rbac() -> None:
    """Who holds which role in the demo business, unless somebody has put an export of his own there."""
    from analytics_platform.demo.rbac import write_export
    from analytics_platform.settings import RBAC_EXPORT

    write_export(read_settings().home / RBAC_EXPORT, read_catalog(), datetime.now(UTC))


def _live(seed: int) -> LiveReport:
    from analytics_platform.defs.resources import store_from
    from analytics_platform.demo.live import live_burst

    settings = read_settings()
    with working("Sending live events"):
        return live_burst(settings, read_catalog(), store_from(settings), seed=seed)


def _import_lines(report: ImportReport) -> list[str]:
    lines = [
        f"Read {report.read:,} messages: {report.accepted:,} accepted, {report.duplicates:,} duplicates, "
        f"{report.dead_lettered:,} dead letters"
    ]
    lines += [f"  {reason}: {count:,}" for reason, count in sorted(report.reasons.items())]
    lines += ["  what was wrong with them, and the mend: analytics dead-letters show"] if report.dead_lettered else []
    return lines + [f"  warning: {warning}" for warning in report.warnings]


def _live_lines(report: LiveReport | None) -> list[str]:
    if report is None:
        return []
    return [
        f"Live: {report.burst.tenants} tenants at work through the collector; this hour it acknowledged "
        f"{report.acked:,} messages = {report.landed:,} landed + {report.dead_lettered:,} dead letters"
    ]


def run_lines(report: RunReport) -> list[str]:
    """A run as a person reads it; warnings stand apart from what failed."""
    span = f", {report.first} to {report.last}" if report.first else ""
    lines = [f"Built {report.built.total():,} partitions of {len(report.built)} assets{span}"]
    if report.is_idle:
        lines = ["Nothing has changed since the last build"]
    if report.removed:
        lines.append(f"  {report.removed:,} partitions were left out: retention has removed them")
    lines += [f"  {run.job} run {run.run_id}: {run.status}: {run.error}" for run in report.runs if run.error]
    failed = [each for each in report.checks_failed if each.severity == "ERROR"]
    warnings = [each for each in report.checks_failed if each.severity != "ERROR"]
    told = f", {len(warnings)} warning{'s' if len(warnings) > 1 else ''}" if warnings else ""
    lines.append(f"Checks: {report.checks_passed:,} passed, {len(failed)} failed{told}")
    lines += [f"  {each.asset} {each.check}: {each.description}" for each in failed]
    lines += [f"  warning: {each.asset} {each.check}: {each.description}" for each in warnings]
    return [*lines, *_held_back_lines(report), *incident_lines(report)]


def _held_back_lines(report: RunReport) -> list[str]:
    """Days on which nothing was built, so that nobody takes them for done."""
    lines = [f"  held back: {each.partition}: {each.asset} {each.check}" for each in report.held_back]
    if lines:
        lines.insert(0, "Nothing was built on these partitions; once they are repaired, the next run builds them")
    left = report.left_out
    return lines + ([f"  not tried: {len(left)} days from {left[0]} to {left[-1]}"] if left else [])


def incident_lines(report: RunReport) -> list[str]:
    """What the judges made of a run, and where to look."""
    told = report.look.as_dict()
    changed = [f"{told[name]} {name}" for name in ("opened", "recovered") if told[name]]
    line = f"Incidents: {told['open']} open"
    if told["open"]:
        line += f" ({', '.join(f'{told[each]} {each}' for each in ('critical', 'warning', 'info') if told[each])})"
    line += "".join(f", {each} now" for each in changed)
    lines = [f"{line}; see `analytics alerts list`" if told["open"] or changed else line]
    return lines + ([f"  figures were not judged: {told['postponed']}"] if told["postponed"] else [])


def _typed() -> str:
    """What brought us here, to be typed again: `.venv/bin/analytics` is on nobody's PATH after `make run`."""
    return sys.argv[0] if sys.argv[0] == f"{Path(sys.prefix).name}/bin/analytics" else "analytics"


def _where_things_are() -> list[str]:
    from analytics_platform.defs.resources import store_from, warehouse_from

    settings = read_settings()
    warehouse = warehouse_from(settings).address
    return [
        f"Dashboards  {store_from(settings).address('dashboards/index.html')}",
        *reports.newest_written(),
        f"Lake        {settings.lake_url or settings.lake_root}",
        f"Warehouse   {warehouse}  (ask it with: {_typed()} sql '{_FIRST_QUERY}')",
    ]
