"""governance/backup: the backup of every day, where the setting `backup_target` names a place for it.

Registration is the gate: without a place there is no asset, no job and no schedule, so nothing can fail for want of
one. Belongs here: the asset and its hour. Stays out: what a backup is made of (`backing_up`), and its check
(`asset_checks.backups`).
"""

from datetime import timedelta

import dagster as dg

from analytics_platform.backup.contents import Backup
from analytics_platform.backup.prune import Pruned
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.backing_up import back_up, target_of
from analytics_platform.settings import Settings

DAILY = "0 6 * * *"
"""An hour after the daily governance: what it removed in the morning is not in the backup of the day."""

MAKER = "dagster"
"""Who answers for the daily backup, on record."""

_SHORTEST = timedelta(minutes=1)
"""Dagster has no freshness policy of less."""


def backup_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The backup, where there is a place for it.

    It waits in no pool: the warehouse is held only while its file is copied, and builds go on beside the rest.
    """
    if settings.backup_target is None:
        return []

    @dg.asset(
        key=keys.BACKUP,
        deps=[keys.EVIDENCE],
        kinds={"python", "file"},
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=max(timedelta(hours=settings.backup_max_age_hours), _SHORTEST)
        ),
        description="Lake, warehouse, run records and the home's files in the place that backup_target names; "
        "backups beyond the age of their class are removed.",
    )
    def backup() -> dg.MaterializeResult[None]:
        target = target_of(settings)
        made, pruned = back_up(settings, target, by=MAKER, progress=_unseen)
        return dg.MaterializeResult(metadata=_told(made, pruned, target.address))

    return [backup]


def backup_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Once a day, where there is a place for backups."""
    if settings.backup_target is None:
        return []
    return [
        dg.ScheduleDefinition(
            name="daily_backup",
            job_name=jobs.BACK_UP,
            cron_schedule=DAILY,
            execution_timezone=settings.reporting_time_zone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Backs the deployment up, and removes backups that are beyond the age of their class.",
        )
    ]


def _told(made: Backup, pruned: Pruned, address: str) -> dict[str, dg.MetadataValue]:
    return {
        "backup": dg.MetadataValue.text(made.backup_id),
        "target": dg.MetadataValue.text(address),
        "bytes_added": dg.MetadataValue.int(made.new_bytes),
        "things": dg.MetadataValue.int(sum(each["things"] for each in made.counts.values())),
        "bytes": dg.MetadataValue.int(sum(each["bytes"] for each in made.counts.values())),
        "kept": dg.MetadataValue.int(len(pruned.kept)),
        "removed": dg.MetadataValue.json(list(pruned.removed)),
        "not_in_it": dg.MetadataValue.json(dict(made.apart)),
    }


def _unseen(done: int, total: int) -> None:
    """A run shows no bar."""
    del done, total
