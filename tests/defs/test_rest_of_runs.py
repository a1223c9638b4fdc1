"""What is left of a run when blocking checks fail in some of its days, judged on a small graph and a real instance."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from defs_house import House

from analytics_platform.definitions import build_definitions
from analytics_platform.defs import jobs
from analytics_platform.defs.automation import PUBLISHES_TAG
from analytics_platform.defs.changes import COMPLETE_TAG, Watermark
from analytics_platform.defs.held_back import SPANS_A_SPLIT, SPLIT_FROM_TAG, SPLITS_DEEP, SPLITS_TAG, held_back
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import RANGE_END_TAG, RANGE_START_TAG, range_tags
from analytics_platform.settings import Settings
from asset_checks.factory import Facts, Scope, check

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01")
NIGHTLY = {
    **Watermark(dg.DagsterInstance.__init__ and __import__("datetime").datetime(2026, 2, 1), date(2026, 1, 5)).tags(),
    PUBLISHES_TAG: "true",
    "dagster/priority": "5",
}
