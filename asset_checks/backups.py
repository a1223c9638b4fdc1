"""Checks of backups: what the newest one is made of is where it was put.

By listings alone, so that it costs no second reading: `analytics backup verify` compares every byte.
"""

from collections import Counter

import dagster as dg

from analytics_platform.backup.contents import DamagedBackupError, Kept
from analytics_platform.backup.restore import compare_listing
from analytics_platform.backup.target import BackupTarget, NoBackupError
from analytics_platform.defs import keys
from analytics_platform.defs.backing_up import target_of
from analytics_platform.settings import Settings
from asset_checks.factory import Facts, check


def backup_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """All checks of backups, where there is a place for them."""
    if settings.backup_target is None:
        return []
    return [
        check(
            keys.BACKUP,
            "newest_backup_is_whole",
            lambda _: newest_backup_is_whole(target_of(settings)),
            description="The newest backup's list of contents is as it was written and adds up to its summary, and "
            "each piece that it names is in the target.",
            dimension="completeness",
        )
    ]


def newest_backup_is_whole(target: BackupTarget) -> Facts:
    """Summary, list of contents and pieces of the newest backup belong together, and none is missing."""
    try:
        backup = target.backup()
        kept = target.contents(backup)
    except (NoBackupError, DamagedBackupError) as error:
        return Facts(False, str(error), checked=1, failed=1)
    listed = compare_listing(target, kept)
    offenders = [f"{each.part} {each.name} {each.what}" for each in listed.differences]
    offenders += [
        f"{part}: the summary says {said}, the list {found} things"
        for part, said, found in _miscounted({part: each["things"] for part, each in backup.counts.items()}, kept)
    ]
    summary = f"{backup.backup_id}: {len(offenders)} of {listed.things:,} things are not as its summary says"
    counts = {"things": listed.things, "bytes": listed.size}
    return Facts(not offenders, summary, counts, offenders, checked=listed.things, failed=len(offenders))


def _miscounted(said: dict[str, int], kept: list[Kept]) -> list[tuple[str, int, int]]:
    found = Counter[str](each.part for each in kept)
    return [
        (part, said.get(part, 0), found[part])
        for part in sorted(said.keys() | found.keys())
        if said.get(part, 0) != found[part]
    ]
