"""Backup and restore: make, list, compare and prune backups, and lay one down in an empty home."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Command, Group
from analytics_platform.cli.common import (
    as_json,
    progress_bar,
    read_settings,
    read_settings_alone,
)

if TYPE_CHECKING:
    from analytics_platform.backup.contents import Backup
    from analytics_platform.defs.restoring import Restored
    from analytics_platform.migration.parts import Difference

_SHOWN = 40

_TARGET = click.argument("target", required=False)
_ID = click.option("--backup", "backup_id", metavar="ID", help="Which one; by default the newest.")
_BY = click.option("--by", required=True, metavar="NAME", help="Who answers for this; goes on record.")


@click.group(cls=Group)
def backup() -> None:
    """Backups in TARGET, a folder or a bucket's URL; by default the setting backup_target."""


@backup.command()
@_TARGET
@_BY
@as_json
def create(target: str | None, by: str, as_json: bool) -> None:
    """Back up lake, warehouse, Dagster's records and the home's files; the platform may run meanwhile.

    Examples:
        analytics backup create --by "Ann Smit"
        analytics backup create s3://rental-backups/eu --by nightly --json
    """
    with progress_bar("Backing up", as_json) as progress:
        from analytics_platform.defs.backing_up import back_up, target_of

        settings = read_settings()
        made, pruned = back_up(settings, target_of(settings, target), by=by, progress=progress)
    lines = [*_lines(made), f"Added {made.new_bytes:,} bytes to what the target had"]
    lines += [f"Removed, beyond the age of their class: {', '.join(pruned.removed)}"] if pruned.removed else []
    show({**made.as_dict(), "removed": pruned.removed}, as_json, lines)


@backup.command("list")
@_TARGET
@as_json
def list_(target: str | None, as_json: bool) -> None:
    """Say which backups there are, the oldest first.

    Examples:
        analytics backup list
        analytics backup list /mnt/backups --json
    """
    from analytics_platform.defs.backing_up import target_of

    backups = target_of(read_settings_alone(), target).backups()
    lines = [line for each in backups for line in _lines(each)[:1]] or ["There is no backup"]
    show({"backups": [each.as_dict() for each in backups]}, as_json, lines)


@backup.command()
@_TARGET
@_ID
@as_json
def verify(target: str | None, backup_id: str | None, as_json: bool) -> None:
    """Read a backup whole and compare every byte with its hash; exit code 1 and names where anything differs.

    Examples:
        analytics backup verify
    """
    with progress_bar("Comparing", as_json) as progress:
        from analytics_platform.backup.restore import compare
        from analytics_platform.defs.backing_up import target_of

        place = target_of(read_settings_alone(), target)
        found = place.backup(backup_id)
        verified = compare(place, place.contents(found), progress)
    is_whole = not verified.differences
    summary = f"{found.backup_id}: {verified.things:,} things, {verified.size:,} bytes are what was written"
    lines = [summary] if is_whole else _differences(verified.differences)
    show({"ok": is_whole, "backup": found.backup_id, **asdict(verified)}, as_json, lines)
    sys.exit(0 if is_whole else 1)


@backup.command()
@_TARGET
@_BY
@click.option("--keep-daily", type=click.IntRange(min=0), default=14, show_default=True)
@click.option("--keep-weekly", type=click.IntRange(min=0), default=8, show_default=True)
@click.option("--keep-monthly", type=click.IntRange(min=0), default=0, show_default=True)
@as_json
def prune(target: str | None, by: str, keep_daily: int, keep_weekly: int, keep_monthly: int, as_json: bool) -> None:
    """Keep the newest of so many days, weeks and months, none older than the class of the dataset backups allows.

    Examples:
        analytics backup prune --by "Ann Smit" --keep-daily 14 --keep-weekly 8
    """
    from analytics_platform.defs.backing_up import prune_backups, rule_of, target_of

    settings = read_settings()
    rule = rule_of(settings, keep_daily, keep_weekly, keep_monthly)
    pruned = prune_backups(settings, target_of(settings, target), rule, by=by)
    lines = [
        f"Kept {len(pruned.kept)}, removed {len(pruned.removed)}: {', '.join(pruned.removed) or 'none'}",
        f"Removed {pruned.pieces:,} pieces, {pruned.size:,} bytes, that no backup names",
    ]
    show(asdict(pruned), as_json, lines)


@click.command(cls=Command)
@click.argument("source", metavar="FROM")
@click.option(
    "--to",
    "home",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The new home: an empty folder.",
)
@_ID
@click.option(
    "--keys",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with identity_keys.json, reference.key and users.json, kept by hand; by default what the target has "
    "sealed under backup_passphrase.",
)
@click.option(
    "--erasures",
    metavar="HOME|URL",
    help="A home or a lake's bucket that still lives, whose records of erasures and removals are newer than the "
    "target's journal.",
)
@as_json
def restore(
    source: str, home: Path, backup_id: str | None, keys: Path | None, erasures: str | None, as_json: bool
) -> None:
    """Restore a backup into a new home, without what was removed or erased since.

    Examples:
        analytics restore /mnt/backups --to /srv/restored
        analytics restore s3://rental-backups/eu --to /srv/restored --keys /mnt/keys
    """
    with progress_bar("Restoring", as_json) as progress:
        from analytics_platform.defs.backing_up import target_of
        from analytics_platform.defs.restoring import From, living_records, restore_home

        settings = read_settings_alone()
        records = living_records(settings, erasures) if erasures else None
        origin = From(target_of(settings, source), backup_id, keys, records)
        restored = restore_home(settings, origin, home, progress)
    show({"home": str(home), **restored.as_dict()}, as_json, _restored_lines(restored, home))


def _lines(made: Backup) -> list[str]:
    held = ", ".join(f"{part} {each['things']:,} ({each['bytes']:,} bytes)" for part, each in made.counts.items())
    apart = [f"Not in it: {what}: {where}" for what, where in made.apart.items()]
    return [f"{made.backup_id} by {made.made_by}: {held}", *apart]


def _differences(found: tuple[Difference, ...]) -> list[str]:
    shown = [f"{each.part} {each.name} {each.what}" for each in found[:_SHOWN]]
    return [*shown, f"and {len(found) - _SHOWN:,} more; --json has all of them"] if found[_SHOWN:] else shown


def _restored_lines(restored: Restored, home: Path) -> list[str]:
    return [
        f"Restored {restored.backup} of {restored.made_at:%Y-%m-%d %H:%M} UTC: {restored.things:,} objects and files, "
        f"{restored.rows:,} rows",
        f"Removed again: {restored.removed_again:,} rows, objects and files; runs ended: {restored.runs_ended}",
        f"Evidence: {restored.evidence:,} entries, the chain holds; the ledger balances",
        *(f"Not in it: {what}: {where}" for what, where in restored.apart.items()),
        f"Next: ANALYTICS_HOME={home} analytics run",
    ]
