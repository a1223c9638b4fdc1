"""BI tools: the Power BI project in a folder, what is wrong with one, and the links of Looker Studio."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.governance.access.desk import AccessDesk
    from analytics_platform.reporting.power_bi.review import Wanted
    from analytics_platform.settings import Settings

_SOURCES = ("folder", "https", "adls", "snowflake", "bigquery")


@click.group(cls=Group)
def bi() -> None:
    """Power BI and Looker Studio: a project to open, a review of it, links that make reports."""


_source = click.option(
    "--source",
    type=click.Choice(_SOURCES),
    help="What Power BI reads: published extracts in a folder, over https or in ADLS, or a warehouse's views; "
    "by default ANALYTICS_POWER_BI_SOURCE.",
)


@bi.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_source
@click.option("--location", help="Where that is, as Power BI Desktop reaches it; can be changed there as a parameter.")
@as_json
def build(folder: Path, source: str | None, location: str | None, as_json: bool) -> None:
    """Write the Power BI project into FOLDER, an empty one or that of an earlier project.

    Examples:
        analytics bi build power-bi/
        analytics bi build power-bi/ --source folder --location /srv/analytics/lake/extracts
    """
    from analytics_platform.defs.bi import power_bi_files
    from analytics_platform.reporting.power_bi.folder import write_folder

    settings = _settings(source, location)
    desk, _ = _review(settings)
    files = power_bi_files(settings, read_catalog(), desk)
    changed = write_folder(folder, files)
    parameters = _parameters(settings)
    pbip = folder / "Analytics.pbip"
    answer = {
        "folder": str(folder),
        "open": str(pbip),
        "files": len(files),
        "changed": changed,
        "parameters": parameters,
    }
    lines = [
        f"{len(files)} files in {folder}, {changed} of them changed.",
        "Next:",
        f"  1. Open {pbip} in Power BI Desktop.",
        "  2. Home > Transform data > Edit parameters:",
        *(f"       {name} = {value}" for name, value in parameters.items()),
        "  3. Refresh, look at the pages, publish to a workspace.",
        "  4. In the workspace give each role its group, and each group the role Viewer (docs/power-bi.md).",
    ]
    show(answer, as_json, lines)


@bi.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@_source
@click.option(
    "--schemas",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of github.com/microsoft/json-schemas: judge the JSON files by Microsoft's schemas too.",
)
@as_json
def check(folder: Path | None, source: str | None, schemas: Path | None, as_json: bool) -> None:
    """Review a Power BI project: that in FOLDER, or the one that would be built. Fails when anything is wrong.

    Examples:
        analytics bi check
        analytics bi check power-bi/
    """
    from analytics_platform.defs.bi import power_bi_files
    from analytics_platform.reporting.power_bi.folder import read_folder
    from analytics_platform.reporting.power_bi.review import review
    from analytics_platform.reporting.power_bi.schemas import schema_problems

    settings = _settings(source, None)
    desk, wanted = _review(settings)
    files = read_folder(folder) if folder else power_bi_files(settings, read_catalog(), desk)
    findings = {str(rule): (each.checked, list(each.problems)) for rule, each in review(files, wanted).items()}
    if schemas is not None:
        findings["files_follow_microsofts_schemas"] = (len(files), schema_problems(files, schemas))
    answer = {rule: {"checked": checked, "problems": problems} for rule, (checked, problems) in findings.items()}
    lines = []
    for rule, (checked, problems) in findings.items():
        lines.append(f"{'wrong' if problems else 'good ':<6}{rule:<34}{checked:>6} looked at, {len(problems)} wrong")
        lines += [f"        {problem}" for problem in problems]
    show(answer, as_json, [*lines, "How pages look, and whether DAX and M are valid, only Power BI Desktop can say."])
    sys.exit(1 if any(problems for _, problems in findings.values()) else 0)


@bi.command()
@click.argument("dashboard", required=False)
@as_json
def links(dashboard: str | None, as_json: bool) -> None:
    """Links that make each dashboard's report in Looker Studio; of DASHBOARD alone, with its fields.

    Examples:
        analytics bi links
        analytics bi links finance --json
    """
    from analytics_platform.defs.bi import looker_choices
    from analytics_platform.reporting.extracts import find_dashboard
    from analytics_platform.reporting.looker_studio import looker_facts

    catalog, choices = read_catalog(), looker_choices(read_settings())
    boards = [find_dashboard(catalog, dashboard)] if dashboard else list(catalog.dashboards.values())
    told = [looker_facts(catalog, board, choices) for board in boards]
    lines = []
    for each in told:
        template = each["template"] or "no template set (ANALYTICS_LOOKER_REPORTS): a blank report"
        lines += [f"{each['title']} ({template})", f"  {each['link']}"]
        lines += [
            f"  {field['source']:<28} {field['name']:<34} {field['type']:<16} {field['aggregation']:<6} "
            f"{field['formula'] or ''}".rstrip()
            for field in (each["fields"] if dashboard else ())
        ]
    show({"links": told}, as_json, lines)


def _settings(source: str | None, location: str | None) -> Settings:
    """This deployment's choices, with those of the command in their place."""
    settings = read_settings()
    chosen: dict[str, str | None] = {"power_bi_source": source} if source else {}
    # The location of the settings is that of their own source.
    chosen |= {"power_bi_location": location} if location or source else {}
    return settings.model_copy(update=chosen)


def _review(settings: Settings) -> tuple[AccessDesk, Wanted]:
    from analytics_platform.defs.access import access_desk
    from analytics_platform.defs.bi import power_bi_wanted
    from analytics_platform.defs.manifest import ensure_manifest, load_manifest

    ensure_manifest(settings)
    catalog, manifest = read_catalog(), load_manifest(settings)
    desk = access_desk(settings, catalog, manifest)
    return desk, power_bi_wanted(settings, catalog, manifest, desk)


def _parameters(settings: Settings) -> dict[str, str]:
    from analytics_platform.reporting.power_bi.sources import Source

    return Source(settings.power_bi_source, settings.power_bi_location).parameters
