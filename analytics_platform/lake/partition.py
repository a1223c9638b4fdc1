"""What a raw Parquet object says of itself: the landing objects that it holds, and what became of their lines.

The statement is the object's key-value metadata, so it is replaced with the rows in one put and can never disagree
with them by a crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.layout import placed, raw_key
from analytics_platform.lake.store import ObjectInfo, ObjectStore

_KEY = b"analytics"


class ForeignObjectError(AnalyticsError):
    """A Parquet object below `raw/` that this platform did not write."""


@dataclass(frozen=True, slots=True)
class RawPartition:
    """One raw object: `landed` lines came in, of which `accepted` are rows.

    `landing_objects` has the lines of this stream per landing object's name, `bytes` is the object's size, `watermark`
    the latest `received_at`, `earliest_occurred_at` the earliest business time of a row; `changed` tells whether this
    build wrote the object. Of an erased person's lines those that had to go are `erased`: landed, and no rows.
    """

    stream: str
    day: date
    tenant: str
    landed: int
    duplicates: int
    conflicts: int
    accepted: int
    bytes: int
    watermark: datetime | None
    earliest_occurred_at: datetime | None
    landing_objects: dict[str, int]
    changed: bool = False
    erased: int = 0

    @property
    def key(self) -> str:
        """The object's key in the lake."""
        return raw_key(self.stream, self.day, self.tenant)


def statement(partition: RawPartition) -> dict[bytes, bytes]:
    """What the object says of itself, as Parquet key-value metadata; the same for the same rows and landing objects."""
    said = {
        "version": 1,
        "landed": partition.landed,
        "duplicates": partition.duplicates,
        "conflicts": partition.conflicts,
        "watermark": partition.watermark,
        "earliest_occurred_at": partition.earliest_occurred_at,
        "landing_objects": partition.landing_objects,
        **({"erased": partition.erased} if partition.erased else {}),
    }
    return {_KEY: orjson.dumps(said, option=orjson.OPT_SORT_KEYS)}


def read_partition(store: ObjectStore, stream: str, info: ObjectInfo) -> RawPartition:
    """What the raw object at `info` says of itself; `accepted` is counted by the Parquet footer, not by the statement.

    Raises:
        ForeignObjectError: the object is no Parquet, or carries no statement.
    """
    said, rows = _footer(store, info.key)
    place = placed(info.key)
    return RawPartition(
        stream=stream,
        day=place.day,
        tenant=place.tenant,
        landed=said["landed"],
        duplicates=said["duplicates"],
        conflicts=said["conflicts"],
        accepted=rows,
        bytes=info.size,
        watermark=_moment(said["watermark"]),
        earliest_occurred_at=_moment(said["earliest_occurred_at"]),
        landing_objects=said["landing_objects"],
        erased=said.get("erased", 0),
    )


def _footer(store: ObjectStore, key: str) -> tuple[dict[str, Any], int]:
    try:
        footer = pq.read_metadata(store.local_path(key))
    except pa.ArrowInvalid as error:
        raise ForeignObjectError(
            f"{key} is no readable Parquet object ({error}); delete it and build it anew"
        ) from error
    text = (footer.metadata or {}).get(_KEY)
    if text is None:
        raise ForeignObjectError(f"{key} does not say which landing objects it holds; delete it and build it anew")
    said: dict[str, Any] = orjson.loads(text)
    return said, footer.num_rows


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
