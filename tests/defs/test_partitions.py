"""Rectangles cover exactly what was asked for."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.defs.partitions import (
    MAX_RAW_PARTITIONS,
    GraphTooLargeError,
    Rectangle,
    days_between,
    parse_raw_key,
    partitions_from,
    raw_key,
    rectangles,
    refuse_too_many,
)

FIRST = date(2026, 1, 1)
TENANTS = ["b", "d", "a", "c"]  # the order in which they joined, which is Dagster's
places = st.tuples(st.integers(0, 12).map(lambda n: FIRST + timedelta(n)), st.sampled_from(TENANTS))


@given(st.sets(places))
def test_rectangles_cover_each_partition_once_and_no_other(partitions: set[tuple[date, str]]) -> None:
    covered = [each for rectangle in rectangles(partitions, TENANTS) for each in rectangle.partitions]
    assert sorted(covered) == sorted(partitions)


@given(st.sets(places, min_size=1))
def test_the_tenants_of_a_rectangle_are_neighbours_in_dagsters_order(partitions: set[tuple[date, str]]) -> None:
    for rectangle in rectangles(partitions, TENANTS):
        start = TENANTS.index(rectangle.tenants[0])
        assert list(rectangle.tenants) == TENANTS[start : start + len(rectangle.tenants)]


def test_a_year_of_all_tenants_is_one_run() -> None:
    year = {(day, tenant) for day in days_between(FIRST, date(2026, 12, 31)) for tenant in TENANTS}
    assert rectangles(year, TENANTS) == [Rectangle(FIRST, date(2026, 12, 31), tuple(TENANTS))]


def test_dagster_reads_the_tags_of_a_rectangle_as_exactly_its_partitions() -> None:
    partitions = partitions_from(FIRST, "Europe/Amsterdam")
    rectangle = Rectangle(date(2026, 1, 2), date(2026, 1, 4), ("d", "a"))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("tenant", TENANTS)
        start, end = rectangle.tags.values()
        swept = partitions.day_tenant.get_partition_keys_in_range(
            dg.PartitionKeyRange(start, end), dynamic_partitions_store=instance
        )
    assert sorted(parse_raw_key(key) for key in swept) == sorted(rectangle.partitions)


def test_a_raw_key_reads_back_as_its_day_and_tenant() -> None:
    assert parse_raw_key(raw_key((FIRST, "brabant-rental"))) == (FIRST, "brabant-rental")


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2026, 3, 28, 22, 59, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 7, 1, 22, 0, tzinfo=UTC), date(2026, 7, 2)),
    ],
)
def test_the_running_day_is_the_last_partition_from_its_first_minute(now: datetime, last: date) -> None:
    partitions = partitions_from(FIRST, "Europe/Amsterdam")
    assert partitions.last_day(now) == last
    with partition_loading_context(effective_dt=now):
        assert partitions.day.get_last_partition_key() == last.isoformat()


def test_history_and_tenants_within_the_budget_say_nothing_until_it_is_nearly_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    partitions = partitions_from(FIRST, "Europe/Amsterdam")
    now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    refuse_too_many(partitions, 0, now)
    refuse_too_many(partitions, 365, now)
    assert not caplog.messages
    refuse_too_many(partitions, MAX_RAW_PARTITIONS // 365, now)
    assert "149,650 partitions of each raw asset, which may have 150,000" in caplog.text


def test_more_raw_partitions_than_can_be_shown_are_refused_with_the_first_day_that_could_be() -> None:
    partitions = partitions_from(date(2016, 1, 1), "Europe/Amsterdam")
    now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    with pytest.raises(GraphTooLargeError, match=r"set ANALYTICS_HISTORY_START to 20..-..-.. or later") as refused:
        refuse_too_many(partitions, 50, now)
    assert "200,900 partitions" in str(refused.value)
    first = date.fromisoformat(str(refused.value).partition("START to ")[2][:10])
    refuse_too_many(partitions_from(first, "Europe/Amsterdam"), 50, now)
    with pytest.raises(GraphTooLargeError):
        refuse_too_many(partitions_from(first - timedelta(days=1), "Europe/Amsterdam"), 50, now)
