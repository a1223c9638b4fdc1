"""The days between which retention draws its line today, for tests of a deployment with something on both sides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from defs_house import MRR_EXTRACT

from analytics_platform.catalog import load_catalog
from analytics_platform.catalog.retention_clock import last_removable
from analytics_platform.defs import keys
from analytics_platform.defs.retention import reporting_day
from analytics_platform.settings import Settings

NOW = datetime.now(UTC)
TODAY = reporting_day(Settings(), load_catalog(), NOW)
_NEWEST = last_removable(TODAY, load_catalog().retention_classes["fiscal"], "12-31")
assert _NEWEST is not None
OLD = _NEWEST
"""The last day of the newest financial year whose seven years are over."""
KEPT = OLD + timedelta(days=1)
OF_EACH_TERM = (MRR_EXTRACT, keys.extract("finance", "invoice_collection_rate"), keys.extract("customer_health", "nps"))
"""Extracts of figures that are kept long and of such that are not, which are past their term on both days."""
