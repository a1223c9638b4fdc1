"""Promises through the real graph: a quiet tenant stays stale, whatever is built. The tests share a house, in order.

Time is real but for what has to lie in the past or in the future: the time at which a landing object came in, the day
on which the platform ran first, and the moment of judging.
"""

import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from uuid import uuid4
from zoneinfo import ZoneInfo

import dagster as dg
import orjson
import pytest
from defs_house import House
from known_keys import KEYS

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.partitions import TENANT_PARTITIONS, partitions_from, range_tags
from analytics_platform.defs.partitions import raw_key as raw_partition
from analytics_platform.defs.resources import build_resources, warehouse_from
from analytics_platform.defs.sla import Lineage, lineage_of, promised_datasets, sla_attainment_asset
from analytics_platform.insights.expectations import StaleTenant, sent_days, stale_tenants
from analytics_platform.insights.promises import ATTAINMENT_TABLE, Attainment, from_table
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.layout import LANDING_PREFIX, placed, raw_key
from analytics_platform.settings import Settings
from asset_checks.look_back import look_back_checks

pytestmark = pytest.mark.integration

ZONE = "Europe/Amsterdam"
QUIET, LIVELY = "zeeland-stage", "utrecht-sound"
TODAY = datetime.now(ZoneInfo(ZONE)).date()
EXTRACT = keys.extract("finance", "mrr")
CUSTOMERS = dg.AssetKey(["marts", "core", "dim_customers"])
"""A check that blocks refers to it."""

MISSED = TODAY - timedelta(days=2)
"""The first day on which the quiet tenant sent nothing; it was due yesterday."""

HISTORY = [TODAY - timedelta(days=n) for n in range(9, 0, -1)]
_TENANT = """
{tenant}:
  name: {tenant}
  country: NL
  time_zone: Europe/Amsterdam
  currency: EUR
  financial_year_end: "12-31"
  business_hours: {hours}
"""
_EVERY_DAY = "{" + ", ".join(f'{day}: {{opens: "09:00", closes: "17:00"}}' for day in range(1, 8)) + "}"


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


class SlaHouse(House):
    """A house with two tenants of its own, that have no holidays."""

    @cached_property
    def catalog(self) -> Catalog:
        return load_catalog(self.settings.tenants_file)

    def receive(self, tenant: str, days: Sequence[date], *, in_time: bool) -> None:
        """Import an invoice a day; in time is in the evening of the day, else it is now."""
        path = self.settings.home / "invoices.ndjson"
        path.write_bytes(b"\n".join(orjson.dumps(_invoice(tenant, day)) for day in days) + b"\n")
        before = {info.key for info in self.store.list(LANDING_PREFIX)}
        report = import_paths([path], catalog=self.catalog, store=self.store, identities=KEYS, tenant=None)
        assert report.accepted == len(days), report.as_dict()
        for info in self.store.list(LANDING_PREFIX):
            if in_time and info.key not in before:
                landed = datetime.combine(placed(info.key).day, time(20, 10), UTC).timestamp()
                os.utime(self.store.local_path(info.key), (landed, landed))

    def build(self, first: date, last: date) -> None:
        """Ingest what has landed for some days, then build what leads to one extract: the rows below are of it."""
        tenants = list(self.catalog.tenants)
        graph = self.definitions.resolve_asset_graph()
        behind = dg.AssetSelection.assets(EXTRACT, CUSTOMERS).upstream().resolve(graph)
        ends = [raw_partition(each) for each in ((first, tenants[0]), (last, tenants[-1]))]
        with open_instance(self.settings) as instance:
            instance.add_dynamic_partitions(TENANT_PARTITIONS, tenants)
            for name, tags in (
                (jobs.INGEST, range_tags(*ends)),
                (jobs.BUILD, range_tags(first.isoformat(), last.isoformat())),
            ):
                job = self.definitions.resolve_job_def(name)
                chosen = [key for key in job.asset_layer.executable_asset_keys if key in {*behind, keys.LEDGER}]
                assert job.execute_in_process(instance=instance, asset_selection=chosen, tags=tags).success

    def look_back(self, now: datetime, *, from_scratch: bool = False) -> list[Attainment]:
        """Evaluate the last days as of a moment; from scratch forgets what was decided before."""
        warehouse = warehouse_from(self.settings)
        partitions = partitions_from(self.settings.history_start, ZONE)
        if from_scratch:
            warehouse.replace_table(ATTAINMENT_TABLE, warehouse.query(f"select * from {ATTAINMENT_TABLE} limit 0"))
        asset = sla_attainment_asset(self.catalog, partitions, list(self._assets()), lambda: now)
        checks = [each for each in look_back_checks(self.catalog, partitions) if _checked(each) == keys.SLA_ATTAINMENT]
        with open_instance(self.settings) as instance:
            result = dg.materialize(
                [asset, *checks],
                instance=instance,
                resources=build_resources(self.settings),
                tags=range_tags((TODAY - timedelta(days=7)).isoformat(), TODAY.isoformat()),
            )
        evaluations = {each.check_name: each for each in result.get_asset_check_evaluations()}
        assert evaluations["verdicts_agree_with_their_times"].passed
        assert set(evaluations) == {
            "verdicts_agree_with_their_times",
            *(f"{tier}_promises_are_kept" for tier in self.catalog.sla_tiers),
        }
        return self.attainment()

    def attainment(self) -> list[Attainment]:
        return from_table(warehouse_from(self.settings).query(f"select * from {ATTAINMENT_TABLE} order by all"))

    def stale(self, now: datetime) -> list[StaleTenant]:
        return stale_tenants(self.catalog, sent_days(warehouse_from(self.settings), TODAY), ZONE, now)

    def _assets(self) -> Sequence[dg.AssetsDefinition]:
        graph = self.definitions.resolve_asset_graph()
        return [each for each in graph.assets_defs if not set(each.keys) & set(keys.LOOKING_BACK)]


def _checked(check: dg.AssetChecksDefinition) -> dg.AssetKey:
    return next(iter(check.check_keys)).asset_key


def _invoice(tenant: str, day: date) -> dict[str, object]:
    moment = f"{datetime.combine(day, time(0, 1), ZoneInfo(ZONE)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    name = f"{tenant}-{day:%Y%m%d}-{uuid4().hex}"
    return {
        "type": "track",
        "event": "invoice.issued",
        "messageId": name,
        "userId": "u-1",
        "timestamp": moment,
        "originalTimestamp": moment,
        "sentAt": moment,
        "receivedAt": moment,
        "properties": {
            "schema_version": 1,
            "tenant_id": tenant,
            "invoice_id": f"inv-{name}",
            "booking_id": f"book-{name}",
            "customer_ref": "cust-1",
            "amount_minor": 12_100,
            "tax_minor": 2_100,
            "currency": "EUR",
            "issued_at": moment,
            "due_at": moment,
        },
    }


def of(rows: Sequence[Attainment], tenant: str, day: date, promise: str = "complete_by_deadline") -> list[Attainment]:
    """What was decided of datasets that billing alone is behind."""
    alone = {"raw.billing", "kpi.kpi_mrr", "extracts.finance.mrr"}
    return [
        row for row in rows if (row.tenant_id, row.day, row.promise) == (tenant, day, promise) and row.dataset in alone
    ]


def of_closed_days(rows: Sequence[Attainment]) -> list[Attainment]:
    return [row for row in rows if row.promise == "complete_by_deadline"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> SlaHouse:
    """Nine days of two tenants, imported before the platform ran first."""
    home = tmp_path_factory.mktemp("sla")
    tenants = home / "tenants.yaml"
    tenants.write_text("".join(_TENANT.format(tenant=tenant, hours=_EVERY_DAY) for tenant in (QUIET, LIVELY)))
    settings = Settings(home=home, history_start=HISTORY[0], tenants_file=tenants, reporting_time_zone=ZONE)
    if not manifest_path(settings).exists():
        build_manifest(settings)
    house = SlaHouse(settings, build_definitions(settings))
    house.receive(QUIET, [day for day in HISTORY if day < MISSED], in_time=True)
    house.receive(LIVELY, HISTORY, in_time=True)
    house.build(HISTORY[0], HISTORY[-1])
    return house


def test_history_from_before_the_first_run_is_no_breach(house: SlaHouse) -> None:
    rows = house.look_back(datetime.now(UTC))
    assert {row.day for row in rows} <= {TODAY - timedelta(days=1), TODAY}
    assert {row.is_attained for row in rows} == {None}


def test_a_day_that_came_in_time_was_kept_and_one_that_did_not_come_is_a_breach(house: SlaHouse) -> None:
    runs = sqlite3.connect(house.settings.dagster_home / "history" / "runs.db")
    with runs:  # the platform has been running for longer than this test
        runs.execute("update runs set create_timestamp = ? where id = 1", [f"{HISTORY[0]} 00:00:00"])
    runs.close()
    house.receive(LIVELY, [TODAY], in_time=False)
    house.build(TODAY, TODAY)
    rows = house.look_back(noon(TODAY + timedelta(days=2)), from_scratch=True)
    lively, quiet = of(rows, LIVELY, TODAY), of(rows, QUIET, TODAY)
    assert {row.reason for row in lively} == {"complete"}
    assert all(row.is_attained and row.attained_at and row.attained_at < row.promised_at for row in lively)
    assert {(row.reason, row.is_attained) for row in quiet} == {("nothing_landed", False)}
    assert {row.dataset: row.cause for row in quiet}["kpi.kpi_mrr"] == "raw.billing"
    assert len(lively) == len(quiet) == 3


def test_what_was_built_after_the_deadline_was_late(house: SlaHouse) -> None:
    late = of(house.attainment(), LIVELY, MISSED)
    assert {(row.is_attained, row.reason) for row in late} == {(False, "late")}


def test_the_quiet_tenant_is_stale_and_the_lively_one_is_not(house: SlaHouse) -> None:
    (stale,) = house.stale(datetime.now(UTC))
    assert (stale.tenant_id, stale.stream) == (QUIET, "billing")
    assert (stale.newest_day, stale.expected_day) == (MISSED - timedelta(days=1), MISSED)


def test_what_landed_is_promised_within_the_lag_on_the_date_of_its_landing(house: SlaHouse) -> None:
    (row,) = of(house.attainment(), LIVELY, TODAY, "landed_within_lag")
    assert (row.is_attained, row.reason) == (True, "in_time")


def test_a_backfill_of_an_old_day_changes_no_verdict_and_makes_nobody_fresh(house: SlaHouse) -> None:
    judged_at = noon(TODAY + timedelta(days=2))
    before, stale = of_closed_days(house.attainment()), house.stale(datetime.now(UTC))
    house.receive(QUIET, [HISTORY[3]], in_time=False)
    house.build(HISTORY[3], HISTORY[3])
    assert of_closed_days(house.look_back(judged_at)) == before
    assert of_closed_days(house.look_back(judged_at, from_scratch=True)) == before
    assert house.stale(datetime.now(UTC)) == stale


def test_a_rewrite_of_partitions_changes_no_verdict_and_makes_nobody_fresh(house: SlaHouse) -> None:
    judged_at = noon(TODAY + timedelta(days=3))
    before, stale = house.look_back(judged_at), house.stale(datetime.now(UTC))
    for tenant, day in ((LIVELY, TODAY), (QUIET, HISTORY[-5])):
        key = raw_key("billing", day, tenant)
        house.store.put(key, house.store.get(key))
        rewritten = noon(TODAY + timedelta(days=2)).timestamp()
        os.utime(house.store.local_path(key), (rewritten, rewritten))
    assert house.look_back(judged_at) == before
    assert house.look_back(judged_at, from_scratch=True) == before
    assert house.stale(datetime.now(UTC)) == stale


def test_a_day_that_comes_late_stays_broken_is_noted_as_made_good_and_ends_the_staleness(house: SlaHouse) -> None:
    before = of(house.attainment(), QUIET, MISSED)
    assert {(row.is_attained, row.attained_at) for row in before} == {(False, None)}
    house.receive(QUIET, [MISSED, MISSED + timedelta(days=1)], in_time=False)
    house.build(MISSED, TODAY)
    after = of(house.look_back(noon(TODAY + timedelta(days=3))), QUIET, MISSED)
    assert {(row.is_attained, row.reason) for row in after} == {(False, "nothing_landed")}
    assert [row.promised_at for row in after] == [row.promised_at for row in before]
    assert all(row.attained_at and row.attained_at > row.promised_at for row in after)
    assert house.stale(datetime.now(UTC)) == []


def test_what_was_decided_outlives_its_evidence(house: SlaHouse) -> None:
    before = house.attainment()
    for info in house.store.list(LANDING_PREFIX):
        house.store.delete(info.key)
    assert house.look_back(noon(TODAY + timedelta(days=3))) == before


@pytest.fixture(scope="module")
def lineage(house: SlaHouse) -> Lineage:
    return lineage_of(list(house.definitions.resolve_asset_graph().assets_defs))


def test_every_stream_kpi_extract_and_dashboard_with_a_tier_is_promised(house: SlaHouse, lineage: Lineage) -> None:
    promised = {each.dataset for each in promised_datasets(house.catalog, lineage)}
    expected = {
        name
        for name, dataset in house.catalog.datasets.items()
        if dataset.sla_tier
        and (dataset.layer in {"kpi", "extract", "dashboard"} or name.removeprefix("raw.") in house.catalog.streams)
    }
    assert promised == expected


def test_what_is_behind_a_dataset_is_read_from_the_graph(house: SlaHouse, lineage: Lineage) -> None:
    streams = {each.dataset: each.streams for each in promised_datasets(house.catalog, lineage)}
    assert streams["raw.billing"] == ("billing",)
    assert streams["kpi.kpi_mrr"] == ("billing",)
    assert streams["dashboard.executive_overview"] == tuple(sorted(house.catalog.streams))
