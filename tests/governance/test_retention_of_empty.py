"""Raw partitions that are built and empty are due with their stream, although no object is theirs alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from analytics_platform.catalog import Catalog
from analytics_platform.governance.retention.objects import Family, LakeObjects, in_partition
from analytics_platform.governance.retention.plan import draw_plan
from analytics_platform.governance.retention.terms import Term
from analytics_platform.lake.built import empty_partition, find_empty, state_empty
from analytics_platform.lake.layout import raw_key
from analytics_platform.lake.store import LocalStore

TODAY = date(2026, 11, 27)
OLD, NEW = date(2020, 3, 1), date(2026, 11, 1)
STREAMS = ("product", "billing")


def lake(tmp_path: Path, tenant: str) -> tuple[LocalStore, LakeObjects]:
    """Two days of which `product` has rows on neither and `billing` on the old one."""
    store = LocalStore(tmp_path / "lake")
    for day in (OLD, NEW):
        state_empty(store, [empty_partition(stream, day, tenant, ["x"]) for stream in STREAMS], [])
    store.put(raw_key("billing", OLD, tenant), b"rows")
    families = [Family(f"raw.{stream}", f"raw/{stream}/", in_partition) for stream in STREAMS]
    return store, LakeObjects(store, families, STREAMS)


def test_an_empty_partition_is_due_is_removed_and_leaves_nothing(tmp_path: Path, catalog: Catalog) -> None:
    tenant = next(iter(catalog.tenants))
    store, objects = lake(tmp_path, tenant)
    plan = draw_plan(catalog, [objects], [], TODAY, "ann")
    # Thirteen months are over for product, not seven years for invoices.
    ((target),) = plan.targets
    assert (target.dataset, target.tenant, target.units, target.bytes) == ("raw.product", tenant, 1, 0)

    term = Term("raw.product", tenant, target.through)
    assert objects.survivors(term) == 1
    objects.remove(term)
    assert objects.survivors(term) == 0
    left = {day: set(found.names) for day in (OLD, NEW) if (found := find_empty(store, day, tenant))}
    assert left == {OLD: {"billing"}, NEW: {"product", "billing"}}


def test_a_plan_stays_the_same_while_another_stream_of_the_day_is_removed(tmp_path: Path, catalog: Catalog) -> None:
    tenant = next(iter(catalog.tenants))
    _, objects = lake(tmp_path, tenant)
    before = draw_plan(catalog, [objects], [], TODAY, "ann")
    objects.remove(Term("raw.billing", tenant, OLD))
    assert draw_plan(catalog, [objects], [], TODAY, "ann").as_bytes() == before.as_bytes()
