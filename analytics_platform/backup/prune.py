"""Which backups stay: the newest always, then one a day, a week and a month for as many as were asked for.

None but the newest is older than the class of the dataset `backups` allows, whatever was asked for: what was erased or
removed lives on in a backup until it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analytics_platform.backup.contents import Backup
from analytics_platform.backup.create import SPARED
from analytics_platform.backup.target import BackupTarget


@dataclass(frozen=True, slots=True)
class Rule:
    """How many days, weeks and months keep their newest backup, and the age that none may have."""

    daily: int = 14
    weekly: int = 8
    monthly: int = 0
    max_age: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune came to."""

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    pieces: int
    size: int


def due(backups: Sequence[Backup], rule: Rule, now: datetime) -> list[Backup]:
    """The backups that go, the oldest first."""
    stays = {each.backup_id for each in backups[-1:]}
    for number, period in ((rule.daily, _day), (rule.weekly, _week), (rule.monthly, _month)):
        stays |= _newest_of_each(backups, period, number)
    newest = backups[-1].backup_id if backups else ""
    young = {each.backup_id for each in backups if now - each.made_at < rule.max_age}
    return [each for each in backups if each.backup_id not in (stays & (young | {newest}))]


def prune(target: BackupTarget, rule: Rule, now: datetime) -> Pruned:
    """Take away what is due, and the pieces that no backup names any more."""
    backups = target.backups()
    gone = [each.backup_id for each in due(backups, rule, now)]
    for backup_id in gone:
        target.remove(backup_id)
    left = target.backups()
    keep = {piece for each in left for kept in target.contents(each) for piece in kept.pieces}
    pieces, size = target.sweep(keep, now - SPARED)
    return Pruned(tuple(each.backup_id for each in left), tuple(gone), pieces, size)


def _newest_of_each(backups: Sequence[Backup], period: Callable[[datetime], tuple[int, ...]], number: int) -> set[str]:
    newest = {period(each.made_at.astimezone(UTC)): each.backup_id for each in backups}
    return {newest[each] for each in sorted(newest)[-number:]} if number else set()


def _day(at: datetime) -> tuple[int, ...]:
    return at.year, at.month, at.day


def _week(at: datetime) -> tuple[int, ...]:
    return tuple(at.isocalendar()[:2])


def _month(at: datetime) -> tuple[int, ...]:
    return at.year, at.month
