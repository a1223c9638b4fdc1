"""Every dataset that grows old lies in a place that retention reaches, and every personal column with it."""

from datetime import date
from pathlib import Path

import pytest
from retention_house import TODAY, RetentionHouse

from analytics_platform.catalog import Catalog
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.defs.resources import store_from, warehouse_from
from analytics_platform.defs.retention import reporting_day, sinks_of
from analytics_platform.governance.evidence import Evidence
from analytics_platform.governance.retention.plan import draw_plan
from analytics_platform.governance.retention.sink import Sink, Tally
from analytics_platform.governance.retention.terms import Term, Terms
from analytics_platform.lake.layout import raw_key
from analytics_platform.lake.removals import Removals, Removed
from analytics_platform.settings import Settings
from asset_checks.retention import (
    every_personal_column_is_registered,
    nothing_is_overdue,
    nothing_was_removed_early,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path)
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return settings


@pytest.fixture
def sinks(settings: Settings, catalog: Catalog) -> list[Sink]:
    return sinks_of(settings, catalog, store_from(settings), warehouse_from(settings))


def without(catalog: Catalog, name: str, **changes: object) -> Catalog:
    """The catalogue with one dataset changed."""
    declared = {field: getattr(catalog, field) for field in Catalog.model_fields}
    changed = catalog.datasets[name].model_copy(update=changes)
    return Catalog.model_validate({**declared, "datasets": {**catalog.datasets, name: changed}})


def test_every_dataset_that_grows_old_is_in_a_sink_and_no_sink_has_another(sinks: list[Sink], catalog: Catalog) -> None:
    reached = {name for sink in sinks for name in sink.datasets()}
    dated = {name for name, dataset in catalog.datasets.items() if dataset.standing is None}
    assert dated - reached == set()
    assert reached - set(catalog.datasets) == set()


def test_every_personal_column_is_in_a_target(sinks: list[Sink], catalog: Catalog, settings: Settings) -> None:
    facts = every_personal_column_is_registered(catalog, load_manifest(settings), sinks)
    assert facts.passed, facts.offenders
    assert facts.counts["personal_columns"] > 100


def test_a_personal_column_that_only_dbt_knows_fails(sinks: list[Sink], catalog: Catalog, settings: Settings) -> None:
    poorer = without(catalog, "marts.fct_invoices", subject_columns=(), pii_columns=())
    facts = every_personal_column_is_registered(poorer, load_manifest(settings), sinks)
    assert list(facts.offenders) == ["marts.fct_invoices.customer_ref"]


def test_a_personal_column_of_a_dataset_that_nothing_removes_fails(settings: Settings, catalog: Catalog) -> None:
    standing = without(catalog, "marts.fct_leads", standing="Somebody thought so.")
    sinks = sinks_of(settings, standing, store_from(settings), warehouse_from(settings))
    facts = every_personal_column_is_registered(standing, load_manifest(settings), sinks)
    assert "marts.fct_leads.lead_id" in facts.offenders


def test_what_is_beyond_its_limit_is_overdue_and_what_waits_for_a_plan_is_not(tmp_path: Path, catalog: Catalog) -> None:
    house = RetentionHouse(catalog, tmp_path)
    house.fill()
    due = Terms(catalog, TODAY, overdue=True)
    facts = nothing_is_overdue(house.desk.sinks, due)
    # Removable by now: letters of September, a file, and both years' invoices; beyond the limit: the older of them.
    assert not facts.passed
    assert any("marts.fct_invoices brabant-rental: 1" in each for each in facts.offenders)
    assert not any("dead_letters" in each for each in facts.offenders)
    house.hold()
    held = Terms(catalog, TODAY, house.desk.holds.in_force(TODAY), overdue=True)
    assert nothing_is_overdue(house.desk.sinks, held).passed


@pytest.mark.parametrize(("through", "passed"), [(date(2018, 12, 31), True), (date(2019, 1, 1), False)])
def test_a_removal_before_the_end_of_the_term_is_found(
    settings: Settings, catalog: Catalog, through: date, passed: bool
) -> None:
    from retention_house import NOW

    removed = Removed("raw.billing", "brabant-rental", through, (), "plan")
    removals = Removals({("raw.billing", "brabant-rental"): (removed,)})
    intent = Evidence(1, NOW, "removal_intended", "plan", "bob", {}, "0" * 64)
    assert nothing_was_removed_early(settings, catalog, [intent], removals).passed is passed
    assert not nothing_was_removed_early(settings, catalog, [], removals).passed


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        # In Amsterdam the year is new for an hour before it is in London, and a tenant's day ends in London.
        ("2026-12-31T22:59:59+00:00", date(2026, 12, 31)),
        ("2026-12-31T23:30:00+00:00", date(2026, 12, 31)),
        ("2027-01-01T00:00:00+00:00", date(2027, 1, 1)),
    ],
)
def test_a_day_is_over_when_it_is_over_in_every_tenants_zone(
    settings: Settings, catalog: Catalog, moment: str, day: date
) -> None:
    from datetime import datetime

    assert reporting_day(settings, catalog, datetime.fromisoformat(moment)) == day


def test_a_plan_looks_at_each_object_once_and_names_each_tenant_once(tmp_path: Path, catalog: Catalog) -> None:
    """What a plan costs is what there is to list: 3 streams x 40 days x 4 tenants, one listing each."""
    from datetime import timedelta

    from analytics_platform.governance.retention.objects import Family, LakeObjects, in_partition
    from analytics_platform.lake.store import LocalStore, ObjectInfo

    class Counting(LocalStore):
        listed: list[str]
        read = 0

        def list(self, prefix: str) -> list[ObjectInfo]:
            self.listed = [*getattr(self, "listed", []), prefix]
            return super().list(prefix)

        def get(self, key: str) -> bytes:
            self.read += 1
            return super().get(key)

    store = Counting(tmp_path / "lake")
    streams = ["product", "crm", "billing"]
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(40)]
    for stream in streams:
        for day in days:
            for tenant in catalog.tenants:
                store.put(raw_key(stream, day, tenant), b"rows")
    families = [Family(f"raw.{stream}", f"raw/{stream}/", in_partition) for stream in streams]
    plan = draw_plan(catalog, [LakeObjects(store, families, streams)], [], TODAY, "ann")
    assert sorted(store.listed) == sorted(["raw_empty/", *(f"raw/{stream}/" for stream in streams)])
    assert store.read == 0
    # Thirteen months are over for product, not two years for customers nor seven for invoices.
    assert [(target.dataset, target.units) for target in plan.targets] == [("raw.product", 40)] * 4
    assert len(plan.as_bytes()) < 4_000


def test_a_term_covers_every_day_up_to_its_last_but_for_those_held() -> None:
    from analytics_platform.lake.removals import Span

    term = Term("raw.billing", "t", date(2018, 12, 31), (Span(date(2018, 3, 1), date(2018, 3, 31)),))
    covered = [date(2018, 2, 28), date(2018, 4, 1), date(2018, 12, 31), date(1990, 1, 1)]
    assert all(term.covers(day) for day in covered)
    assert not any(term.covers(day) for day in (date(2018, 3, 1), date(2018, 3, 31), date(2019, 1, 1)))


def test_tallies_hold_days_counts_and_marks_and_nothing_else() -> None:
    assert set(Tally.__dataclass_fields__) == {
        "dataset",
        "sink",
        "tenant",
        "through",
        "first",
        "last",
        "units",
        "bytes",
        "mark",
        "held",
    }
