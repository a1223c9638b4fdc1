"""Backups: whether there is a recent one where settings say they are, and none that should be gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from analytics_platform.catalog import load_catalog
from analytics_platform.defs.backing_up import max_age_of_backups, target_of
from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, ok, skipped, warn


def look(deployment: Deployment) -> Iterator[Finding]:
    """The newest by its age, the keys to people, and the oldest by the term of its class."""
    settings, now = deployment.settings, deployment.now
    if settings.backup_target is None:
        yield skipped("backups", "backup_target names no place for them")
        return
    target = target_of(settings)
    backups = target.backups()
    if not backups:
        mend = "run `analytics backup create`, or wait for `daily_backup`"
        yield warn("backups", f"{target.address} holds none", mend)
        return
    newest, wanted = backups[-1], timedelta(hours=settings.backup_max_age_hours)
    told = f"the newest of {len(backups)} is of {newest.made_at:%Y-%m-%d %H:%M} UTC"
    if now - newest.made_at > wanted:
        mend = "run `analytics backup create`, and see why it did not run (backup_max_age_hours)"
        yield warn("backups", f"{told}, older than {settings.backup_max_age_hours:g} hours", mend)
    else:
        yield ok("backups", told)
    if "keys" in newest.apart:
        yield warn(
            "backups", "the keys to people are not in them", "set backup_passphrase, or keep copies of them elsewhere"
        )
    limit = max_age_of_backups(load_catalog(settings.tenants_file, settings.extension_catalog))
    if old := [each.backup_id for each in backups[:-1] if now - each.made_at > limit]:
        found = f"{len(old)} are older than the {limit.days} days of their class: what was erased lives on in them"
        yield warn("backups", found, "run `analytics backup prune`")
