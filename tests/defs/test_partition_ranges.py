"""Spans that the web server draws are those that Dagster makes, and are made once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum
from importlib import import_module

import dagster as dg
import pytest
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset, PartitionsSubset
from dagster_graphql.implementation.partition_status_utils import build_multi_partition_ranges_generic
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.defs import partition_ranges
from analytics_platform.defs.partitions import TENANT_PARTITIONS, partitions_from

PARTITIONS = partitions_from(date(2026, 1, 1), "Europe/Amsterdam").day_tenant
TENANTS = ["a", "b", "c"]


class Status(Enum):
    """As Dagster's own."""

    BUILT = 1
    FAILED = 2


@pytest.fixture(scope="module")
def instance() -> dg.DagsterInstance:
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions(TENANT_PARTITIONS, TENANTS)
    return instance


def tenants(of_day: Mapping[Status, PartitionsSubset]) -> dict[Status, list[str]]:
    return {status: sorted(subset.get_partition_keys()) for status, subset in of_day.items()}


KEYS = st.frozensets(
    st.builds(lambda day, tenant: f"2026-01-{day:02}|{tenant}", st.integers(1, 9), st.sampled_from(TENANTS))
)


@given(KEYS, KEYS)
def test_spans_are_dagsters(instance: dg.DagsterInstance, built: frozenset[str], failed: frozenset[str]) -> None:
    subsets = {Status.BUILT: DefaultPartitionsSubset(built), Status.FAILED: DefaultPartitionsSubset(failed)}
    stock = build_multi_partition_ranges_generic(subsets, PARTITIONS, instance, tenants)
    assert partition_ranges.ranges(subsets, PARTITIONS, tenants) == stock


def test_equal_partitions_are_gone_through_once_and_others_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = import_module(partition_ranges.PAGES[0])
    monkeypatch.setattr(pages, partition_ranges.NAME, build_multi_partition_ranges_generic)
    partition_ranges.share_ranges()
    build = getattr(pages, partition_ranges.NAME)
    made: list[Mapping[Status, PartitionsSubset]] = []
    first, second = (DefaultPartitionsSubset(frozenset({f"2026-01-0{n}|a"})) for n in (1, 2))
    for subset in (first, first, second, first):
        (span,) = build({Status.BUILT: subset}, PARTITIONS, instance, lambda each: made.append(each))
        assert {f"{span.primary_dim_start_key}|a"} == subset.subset
    assert len(made) == 2


def test_the_web_server_calls_what_is_replaced_by_that_name() -> None:
    import_module("dagster_graphql.schema")
    for page in partition_ranges.PAGES:
        assert callable(getattr(import_module(page), partition_ranges.NAME))
