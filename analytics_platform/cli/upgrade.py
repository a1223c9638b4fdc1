"""Upgrade: bring a home of an earlier release to what this program writes."""

from __future__ import annotations

from dataclasses import asdict

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Command
from analytics_platform.cli.common import as_json, read_settings_alone


@click.command(cls=Command)
@click.option("--dry-run", "--plan", "only_plan", is_flag=True, help="Say what would be done; nothing is changed.")
@click.option("--no-backup", is_flag=True, help="Make no backup before, where backup_target names a place for one.")
@as_json
def upgrade(only_plan: bool, no_backup: bool, as_json: bool) -> None:
    """Bring the home of an earlier release to this one's forms; nobody else may use it meanwhile.

    Examples:
        analytics upgrade --dry-run
        analytics upgrade
    """
    from analytics_platform.defs.backing_up import make_backup, target_of
    from analytics_platform.defs.upgrading import pending
    from analytics_platform.defs.upgrading import upgrade as bring_up

    settings, made = read_settings_alone(), None
    steps = pending(settings)
    if steps and not only_plan:
        if settings.backup_target is not None and not no_backup:
            made = make_backup(settings, target_of(settings), by="analytics upgrade", progress=lambda _, __: None)
        steps = bring_up(settings)
    lines = [f"{each.schema:<14} {each.found} -> {each.version}  {each.does}" for each in steps]
    if made is not None:
        lines.append(f"To go back: analytics restore {settings.backup_target} --backup {made.backup_id} --to HOME")
    answer = {"steps": [asdict(each) for each in steps], "backup": made and made.backup_id, "done": not only_plan}
    show(answer, as_json, lines or [f"{settings.home} is of this release"])
