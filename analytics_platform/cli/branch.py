"""Environments of branches: the prefix of a branch, those that are in the warehouse, and dropping one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import agreed, as_json, read_settings
from analytics_platform.cli.keys import Span

if TYPE_CHECKING:
    from analytics_platform.settings import Settings
    from analytics_platform.warehouse import SharedWarehouse
    from analytics_platform.warehouse.branches import BranchSchemas, Where

_DETACHED = "HEAD"


@click.group(cls=Group)
def branch() -> None:
    """Environments of branches in a shared warehouse: schemas with a prefix of their own."""


@branch.command()
@click.argument("branch_name", metavar="[BRANCH]", required=False)
@as_json
def name(branch_name: str | None, as_json: bool) -> None:
    """Say which settings are a branch's, by default of the branch that git is on; nothing is made.

    Examples:
        analytics branch name
        analytics branch name feature/on-time --json
    """
    from analytics_platform.warehouse.branches import branch_prefix, schemas_with

    of = branch_name or _current_branch()
    prefix = branch_prefix(of)
    chosen = branch_settings(read_settings(), prefix)
    answer = {"branch": of, "prefix": prefix, "schemas": schemas_with(prefix), "settings": chosen}
    show(answer, as_json, [f"{setting}={value}" for setting, value in chosen.items()])


@branch.command("list")
@click.option("--older-than", type=Span(), metavar="AGE", help="Only those whose first schema is as old: 7d, 12h.")
@as_json
def list_(older_than: timedelta | None, as_json: bool) -> None:
    """Show the branch environments of the configured warehouse, oldest first.

    Examples:
        analytics branch list --older-than 7d
    """
    now = datetime.now(UTC)
    from analytics_platform.warehouse.branches import branch_schemas

    found = branch_schemas(*_warehouse(read_settings()))
    shown = [each for each in found if older_than is None or now - each.made_at >= older_than]
    answer = {"branches": [_told(each, now) for each in shown]}
    lines = [f"{e.prefix:<34} {_age(e, now):>6}  {len(e.schemas)} schemas" for e in shown]
    show(answer, as_json, lines or ["No branch environments"])


@branch.command()
@click.argument("branch_name", metavar="[BRANCH]", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def drop(branch_name: str | None, yes: bool, as_json: bool) -> None:
    """Drop a branch's schemas with all that is in them; by default those of this environment's own prefix.

    Examples:
        analytics branch drop feature/on-time
        analytics branch drop feature/on-time --yes
    """
    from analytics_platform.warehouse.branches import (
        NotABranchError,
        branch_prefix,
        drop_schemas,
        environment_of,
        schemas_with,
    )

    settings = read_settings()
    prefix = branch_prefix(branch_name) if branch_name else settings.warehouse_schema_prefix
    if not prefix:
        raise NotABranchError("this is no branch environment: warehouse_schema_prefix is not set; name the branch")
    warehouse, where = _warehouse(settings)
    environment = environment_of(warehouse, where, prefix)
    if environment is None:
        raise NotABranchError(f"{warehouse.address} has none of {', '.join(schemas_with(prefix))}")
    if not yes:
        click.echo("\n".join(environment.schemas), err=True)
        agreed(f"Drop these in {warehouse.address}, with all that is in them?")
    drop_schemas(warehouse, where, environment)
    lake = branch_settings(settings, prefix).get("ANALYTICS_LAKE_URL")
    lines = [f"Dropped {schema}" for schema in environment.schemas]
    lines += [f"Its lake is left, for its bucket's lifecycle rule or for you: {lake}"] if lake else []
    show({"prefix": prefix, "dropped": environment.schemas, "lake": lake}, as_json, lines)


def branch_settings(settings: Settings, prefix: str) -> Mapping[str, str]:
    """What a branch's environment has set, beside what it shares with the environment that it is made in.

    Its lake lies beside the other one and never below it: who lists all of that one would find the branch's too.
    """
    chosen = {"ANALYTICS_ENVIRONMENT": "ci", "ANALYTICS_WAREHOUSE_SCHEMA_PREFIX": prefix}
    if settings.lake_url is not None:
        scheme, _, path = settings.lake_url.rstrip("/").partition("://")
        bucket, *folders = path.split("/")
        above = folders[:-1] if folders[-2:-1] == ["branches"] else [*folders[:-1], "branches"]
        if folders:
            chosen["ANALYTICS_LAKE_URL"] = f"{scheme}://{'/'.join([bucket, *above, prefix.rstrip('_')])}"
    return chosen


def _current_branch() -> str:
    """The branch that the working folder's git is on."""
    from analytics_platform.warehouse.branches import NotABranchError

    asked = subprocess.run(["git", "rev-parse", "--abbrev-ref", "HEAD"], capture_output=True, text=True, check=False)
    found = asked.stdout.strip()
    if asked.returncode or found == _DETACHED:
        raise NotABranchError("git is on no branch here; name the branch")
    return found


def _warehouse(settings: Settings) -> tuple[SharedWarehouse, Where]:
    from analytics_platform.defs.resources import warehouse_from
    from analytics_platform.warehouse import SharedWarehouse
    from analytics_platform.warehouse.branches import NotABranchError, Where

    warehouse = warehouse_from(settings)
    if not isinstance(warehouse, SharedWarehouse):
        raise NotABranchError(
            f"{settings.warehouse} is a file of its home: give the branch a home of its own (ANALYTICS_HOME), and "
            "remove that folder when the branch is gone"
        )
    places = {
        "snowflake": Where(settings.snowflake_database),
        "bigquery": Where(settings.bigquery_project, settings.bigquery_region),
    }
    return warehouse, places[warehouse.dialect]


def _told(environment: BranchSchemas, now: datetime) -> Mapping[str, object]:
    hours = round((now - environment.made_at).total_seconds() / 3600, 1)
    return {
        "prefix": environment.prefix,
        "schemas": environment.schemas,
        "made_at": environment.made_at,
        "age_hours": hours,
    }


def _age(environment: BranchSchemas, now: datetime) -> str:
    age = now - environment.made_at
    return f"{age.days} d" if age.days else f"{age.seconds // 3600} h"
