"""Which days have to be built: what has changed in the lake against what the last complete build had seen.

The watermark is kept as tags on the run that completed a build, so there is no second place that could disagree with
Dagster's own record. A build is complete when it reached every day that changes asked for; a backfill of some older
days is not, and moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from analytics_platform.lake.changes import earliest_change_since, landed_partitions
from analytics_platform.lake.store import ObjectStore

CHANGES_UNTIL_TAG = "analytics/changes_until"
BUILT_TO_TAG = "analytics/built_to"
COMPLETE_TAG = "analytics/complete_build"


@dataclass(frozen=True)
class Watermark:
    """How far the last complete build went.

    Attributes:
        changes_until: changes in the lake up to this moment are in the KPI tables.
        built_to: the last day that they were built for.
    """

    changes_until: datetime
    built_to: date

    def tags(self) -> dict[str, str]:
        """The tags that note it on the run that completes a build."""
        return {
            COMPLETE_TAG: "true",
            CHANGES_UNTIL_TAG: self.changes_until.astimezone(UTC).isoformat(),
            BUILT_TO_TAG: self.built_to.isoformat(),
        }


def last_watermark(instance: DagsterInstance) -> Watermark | None:
    """The watermark of the newest complete build that succeeded; None before the first."""
    runs = instance.get_runs(RunsFilter(tags={COMPLETE_TAG: "true"}, statuses=[DagsterRunStatus.SUCCESS]), limit=1)
    if not runs:
        return None
    tags = runs[0].tags
    return Watermark(datetime.fromisoformat(tags[CHANGES_UNTIL_TAG]), date.fromisoformat(tags[BUILT_TO_TAG]))


def first_day_to_build(store: ObjectStore, watermark: Watermark | None) -> date | None:
    """The earliest day whose figures may differ from what is built; None when nothing has landed or changed.

    The day after the last built one counts too: its first events may have arrived before that build and have been
    none of its business. Days before the first landed one have no figures to change.
    """
    landed = [day for day, _ in landed_partitions(store)]
    if not landed:
        return None
    if watermark is None:
        return min(landed)
    candidates = [earliest_change_since(store, watermark.changes_until)]
    if max(landed) > watermark.built_to:
        candidates.append(watermark.built_to + timedelta(days=1))
    days = [max(day, min(landed)) for day in candidates if day is not None]
    return min(days, default=None)


def has_changed_since(store: ObjectStore, watermark: Watermark) -> bool:
    """Whether raw holds anything that the last complete build had not seen."""
    return earliest_change_since(store, watermark.changes_until) is not None
