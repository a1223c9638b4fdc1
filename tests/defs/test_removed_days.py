"""Which assets a run leaves out, for which days, once retention has removed something."""

from datetime import date, timedelta

import pytest

from analytics_platform.defs import keys
from analytics_platform.defs.removed_days import RemovedDayError, daily_parts, raw_parts, refuse_removed_day
from analytics_platform.defs.runs import _ingest_steps
from analytics_platform.lake.removals import Removals, Removed

STREAMS = ["billing", "product"]
TENANTS = ["a", "b"]
FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]


def removals(*removed: tuple[str, str, date]) -> Removals:
    return Removals({(name, tenant): (Removed(name, tenant, through),) for name, tenant, through in removed})


def test_an_ingestion_builds_the_streams_that_are_left_and_no_others() -> None:
    gone = removals(("raw.product", "a", DAYS[1]))
    steps = _ingest_steps({(day, "a") for day in DAYS[:3]}, TENANTS, STREAMS, gone)
    built = {
        (step.tags["dagster/asset_partition_range_start"], stream): step.builds(keys.raw(stream))
        for step in steps
        for stream in STREAMS
    }
    assert built == {
        ("2026-03-01|a", "billing"): True,
        ("2026-03-01|a", "product"): False,
        ("2026-03-03|a", "billing"): True,
        ("2026-03-03|a", "product"): True,
    }


def test_partitions_without_any_stream_left_are_no_part_of_a_run() -> None:
    gone = removals(("raw.product", "a", DAYS[0]), ("raw.billing", "a", DAYS[0]))
    assert raw_parts([(DAYS[0], "a")], STREAMS, gone) == []
    assert raw_parts([(DAYS[0], "b")], STREAMS, gone) == [(frozenset(), {(DAYS[0], "b")})]


def test_days_are_cut_where_an_asset_is_removed_for_every_tenant() -> None:
    product, billing = keys.loaded("product"), keys.loaded("billing")
    gone = removals(("raw.product", "a", DAYS[2]), ("raw.product", "b", DAYS[1]))
    assert list(daily_parts(DAYS, [product, billing], gone, TENANTS)) == [
        (frozenset({product}), DAYS[0], DAYS[1]),
        (frozenset(), DAYS[2], DAYS[3]),
    ]


def test_a_day_of_which_nothing_is_left_is_refused_with_the_first_that_can_be_built() -> None:
    gone = removals(*((f"raw.{stream}", tenant, DAYS[1]) for stream in STREAMS for tenant in TENANTS))
    with pytest.raises(RemovedDayError, match="days from 2026-03-03 on can be"):
        refuse_removed_day(gone, STREAMS, TENANTS, DAYS[0])
    refuse_removed_day(gone, STREAMS, TENANTS, DAYS[2])
    refuse_removed_day(Removals(), STREAMS, TENANTS, DAYS[0])
