"""The ``analytics`` command: what people and scripts call.

Each verb here only reads arguments, calls the room that does the work, and shows the answer; rooms are imported when
their verb is called, so that ``analytics --help`` answers at once. An expected failure is one line on standard error
that says what, why and the mend, with exit code 1; wrong usage is exit code 2.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics_platform.catalog import Catalog
    from analytics_platform.defs.runs import RunReport
    from analytics_platform.intake.importer import ImportReport
    from analytics_platform.settings import Settings

Progress = Callable[[int, int], None]

_DEMO_DAYS = 365
_DEMO_SEED = 20_260_101


class _Day(click.ParamType):  # type: ignore[type-arg]
    """A business day written as YYYY-MM-DD."""

    name = "day"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as YYYY-MM-DD", param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="analytics-platform")
def main() -> None:
    """Events in, eight executive KPIs and five dashboards out."""


as_json = click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")


@main.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--tenant", help="The tenant that all messages belong to; else each names its own.")
@as_json
def import_(paths: tuple[Path, ...], tenant: str | None, as_json: bool) -> None:
    """Take Segment messages (NDJSON: plain, .gz, .zst; files, folders, Segment's S3 layout) into the lake."""
    with _expected_failures():
        report = _import(paths, tenant, quiet=as_json)
    _show(report.as_dict(), as_json, _import_lines(report))


@main.command()
@click.option("--from", "first", type=_Day(), help="First day; by default the earliest that new data has touched.")
@click.option("--to", "last", type=_Day(), help="Last day; by default the newest day that has data.")
@as_json
def run(first: date | None, last: date | None, as_json: bool) -> None:
    """Build everything for those days, through Dagster, in this process."""
    with _expected_failures():
        report = _run(first, last, quiet=as_json)
    _show(report.as_dict(), as_json, _run_lines(report))
    sys.exit(0 if report.ok else 1)


@main.command()
@click.argument("query")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def sql(query: str, form: str) -> None:
    """Ask the warehouse; read-only."""
    with _expected_failures():
        from analytics_platform.defs.resources import warehouse_from

        answer = warehouse_from(_settings()).query(query)
    click.echo(_FORMATS[form](answer))


@main.command()
@click.option("--seed", type=int, default=_DEMO_SEED, show_default=True, help="The same seed gives the same events.")
@click.option("--to", "last", type=_Day(), help="Last simulated day; by default yesterday.")
@as_json
def demo(seed: int, last: date | None, as_json: bool) -> None:
    """Simulate a year of four rental companies, import it and run the whole graph."""
    with _expected_failures():
        imported = _import([_simulated(seed, last)], None, quiet=as_json)
        report = _run(None, None, quiet=as_json)
    _show(
        {"import": imported.as_dict(), "run": report.as_dict()},
        as_json,
        [*_import_lines(imported), *_run_lines(report), *_where_things_are()],
    )
    sys.exit(0 if report.ok else 1)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the web server binds.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
def up(host: str, port: int) -> None:
    """Serve Dagster's UI with its schedules and sensors until interrupted."""
    with _expected_failures():
        from analytics_platform.defs.manifest import ensure_manifest
        from analytics_platform.defs.serve import serve

        ensure_manifest(_settings())
        click.echo("\n".join(_where_things_are()))
        serve(_settings(), host=host, port=port)


@main.command()
@click.option("--docs", is_flag=True, help="Also write dbt's documentation site.")
@click.option("--quiet", is_flag=True, help="Say nothing unless it fails.")
def manifest(docs: bool, quiet: bool) -> None:
    """Build dbt's manifest, which the asset graph is made from."""
    with _expected_failures():
        from analytics_platform.defs.manifest import build_manifest

        path = build_manifest(_settings(), docs=docs)
    if not quiet:
        click.echo(path)


def _settings() -> Settings:
    from analytics_platform.settings import Settings

    return Settings.from_environment()


def _catalog() -> Catalog:
    from analytics_platform.catalog import load_catalog

    return load_catalog(_settings().tenants_file)


def _import(paths: Sequence[Path], tenant: str | None, *, quiet: bool) -> ImportReport:
    from analytics_platform.defs.resources import store_from
    from analytics_platform.intake.importer import import_paths

    settings = _settings()
    with _progress("Importing", quiet) as progress:
        return import_paths(
            paths,
            catalog=_catalog(),
            store=store_from(settings),
            tenant=tenant,
            history_start=settings.history_start,
            progress=progress,
        )


def _run(first: date | None, last: date | None, *, quiet: bool) -> RunReport:
    from analytics_platform.defs.manifest import ensure_manifest
    from analytics_platform.defs.runs import run_days

    ensure_manifest(_settings())
    with _progress("Building", quiet) as progress:
        return run_days(_settings(), first, last, progress=progress)


def _simulated(seed: int, last: date | None) -> Path:
    """The folder with the demo's events up to `last`; a later demo of the same seed continues the same history."""
    from analytics_platform.demo.simulation import simulate

    last = last or datetime.now(UTC).date() - timedelta(days=1)
    folder = _settings().home / "demo" / f"seed-{seed}"
    told = folder.with_suffix(".json")
    days = json.loads(told.read_text()) if told.exists() else None
    first = date.fromisoformat(days["first"]) if days else last - timedelta(days=_DEMO_DAYS - 1)
    if not days or date.fromisoformat(days["last"]) < last:
        simulate(_catalog(), seed=seed, first_day=first, last_day=last, folder=folder)
        told.write_text(json.dumps({"first": first.isoformat(), "last": last.isoformat()}))
    return folder


def _import_lines(report: ImportReport) -> list[str]:
    lines = [
        f"Read {report.read:,} messages: {report.accepted:,} accepted, {report.duplicates:,} duplicates, "
        f"{report.dead_lettered:,} dead letters"
    ]
    lines += [f"  {reason}: {count:,}" for reason, count in sorted(report.reasons.items())]
    return lines + [f"  warning: {warning}" for warning in report.warnings]


def _run_lines(report: RunReport) -> list[str]:
    if not report.runs:
        return ["Nothing has changed since the last build"]
    span = f", {report.first} to {report.last}" if report.first else ""
    lines = [f"Built {report.built.total():,} partitions of {len(report.built)} assets{span}"]
    lines += [f"  {run.job} run {run.run_id}: {run.status}: {run.error}" for run in report.runs if run.error]
    lines.append(f"Checks: {report.checks_passed:,} passed, {len(report.checks_failed)} failed")
    return lines + [f"  {failed.asset} {failed.check}: {failed.description}" for failed in report.checks_failed]


def _where_things_are() -> list[str]:
    settings = _settings()
    return [
        f"Dashboards  {settings.lake_root / 'dashboards' / 'index.html'}",
        f"Lake        {settings.lake_root}",
        f"Warehouse   {settings.warehouse_path}  (ask it with: analytics sql 'select * from kpi.kpi_mrr limit 5')",
    ]


def _show(answer: Mapping[str, Any], as_json: bool, lines: Sequence[str]) -> None:
    click.echo(json.dumps(answer, indent=2, default=_json_value) if as_json else "\n".join(lines))


def _as_table(answer: pa.Table) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(*answer.column_names)
    for row in answer.to_pylist():
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console = Console(file=io.StringIO(), width=max(80, 24 * answer.num_columns), no_color=True)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip()


def _as_json(answer: pa.Table) -> str:
    return json.dumps(answer.to_pylist(), indent=2, default=_json_value)


def _json_value(value: object) -> int | float | str:
    """What JSON has no type for: whole decimals (sums of integers) stay exact, times are ISO 8601, the rest is text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _as_csv(answer: pa.Table) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(answer.column_names)
    writer.writerows(row.values() for row in answer.to_pylist())
    return lines.getvalue().rstrip("\n")


_FORMATS: Mapping[str, Callable[[pa.Table], str]] = {"table": _as_table, "json": _as_json, "csv": _as_csv}


@contextmanager
def _progress(title: str, quiet: bool) -> Iterator[Progress | None]:
    """A progress bar on a terminal; nothing in pipes, logs and ``--json``."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _expected_failures() -> Iterator[None]:
    """Show a failure that the user can mend as one message; all others keep their traceback."""
    try:
        yield
    except AnalyticsError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
