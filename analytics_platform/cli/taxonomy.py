"""The tracking plan's verbs: is what is generated current, write it, and what does a change of the plan break."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from analytics_platform.catalog import Catalog

_MEND = "run `analytics taxonomy generate` and commit what it writes"


@click.group(cls=Group)
def taxonomy() -> None:
    """The tracking plan: what is generated from it, and what its changes break."""


@taxonomy.command()
@click.option("--complete", is_flag=True, help="Fail also when a file cannot be judged for lack of Node.js.")
@as_json
def check(complete: bool, as_json: bool) -> None:
    """Is the plan sound, and every file that is generated from it current? Exit code 1 when not.

    Examples:
        analytics taxonomy check
        analytics taxonomy check --complete --json
    """
    from analytics_platform.catalog import load_catalog
    from analytics_platform.tracking.generated import GENERATED, drifted, unjudged
    from analytics_platform.warehouse.project_files import PROJECT_FILES

    catalog = load_catalog()
    found = [*drifted(catalog, (*GENERATED, *PROJECT_FILES)), *_drifted_staging(catalog)]
    unknown = unjudged()
    ok = not found and not (complete and unknown)
    answer = {"ok": ok, "events": len(catalog.events), "drifted": found, "mend": _MEND if found else None}
    lines = [f"not current: {path}" for path in found] + ([_MEND] if found else [])
    lines += [f"could not be judged: {path}: {missing}" for path, missing in unknown.items()]
    good = (
        f"{len(catalog.events)} events; every generated file {'that can be judged here ' if unknown else ''}is current"
    )
    show({**answer, "unjudged": unknown}, as_json, lines if found else [*lines, good])
    sys.exit(0 if ok else 1)


@taxonomy.command()
@as_json
def generate(as_json: bool) -> None:
    """Write every file that is generated from the catalogue and committed.

    Examples:
        analytics taxonomy generate
    """
    from analytics_platform.catalog import load_catalog
    from analytics_platform.tracking.generated import GENERATED, unjudged, write
    from analytics_platform.warehouse.project_files import PROJECT_FILES
    from analytics_platform.warehouse.staging_models import write_staging

    catalog = load_catalog()
    written = write(catalog, (*GENERATED, *PROJECT_FILES))
    changed = [*written, *(_relative(path) for path in write_staging(catalog))]
    unknown = unjudged()
    lines = [f"written: {path}" for path in changed] + [f"not written: {path}: {why}" for path, why in unknown.items()]
    show({"changed": changed, "unjudged": unknown}, as_json, [*lines, f"{len(changed)} files changed"])


@taxonomy.command()
@click.option("--out", type=click.Path(dir_okay=False, writable=True), default="-", help="File to write; - prints it.")
def page(out: str) -> None:
    """Write the plan as a page for people: one HTML file that needs no network.

    Examples:
        analytics taxonomy page --out plan.html
    """
    from analytics_platform.tracking.plan_page import render_plan_page

    text = render_plan_page(read_catalog())
    with click.open_file(out, "w", encoding="utf-8") as file:
        file.write(text)


@taxonomy.command("compile")
def compile_() -> None:
    """Print the plan as JSON, to publish it and to compare with it later.

    Examples:
        analytics taxonomy compile > plan.json
    """
    from analytics_platform.tracking.taxonomy import compile_plan

    click.echo(compile_plan(read_catalog().events).model_dump_json(indent=2))


@taxonomy.command()
@click.argument("old")
@click.argument("new")
@as_json
def diff(old: str, new: str, as_json: bool) -> None:
    """Say what changed from OLD to NEW: catalogue folders, git revisions, or compiled plans (JSON).

    Exit code 1 when a breaking change comes without a new schema version of its event.

    Examples:
        analytics taxonomy diff v1.2.0 HEAD
        analytics taxonomy diff plan.json analytics_platform/catalog --json
    """
    from analytics_platform.tracking.generated import REPOSITORY
    from analytics_platform.tracking.plan_diff import diff_plans, lines
    from analytics_platform.tracking.taxonomy import read_plan

    found = diff_plans(read_plan(old, REPOSITORY), read_plan(new, REPOSITORY))
    show(found.as_dict(), as_json, list(lines(found)))
    sys.exit(1 if found.blocking else 0)


def _drifted_staging(catalog: Catalog) -> list[str]:
    """The staging models that are missing, not what the catalogue renders, or of an event that is gone."""
    from analytics_platform.warehouse.staging_models import STAGING_FOLDER, generated_files, render_staging

    rendered = {STAGING_FOLDER / name: text for name, text in render_staging(catalog).items()}
    committed = {path: path.read_text(encoding="utf-8") for path in generated_files()}
    paths = {*rendered, *committed}
    return [_relative(path) for path in sorted(paths) if rendered.get(path) != committed.get(path)]


def _relative(path: Path) -> str:
    from analytics_platform.tracking.generated import REPOSITORY

    return str(path.relative_to(REPOSITORY))
