"""report/weekly in the graph: its partitions, its Monday, its message, and a run with its checks on a small lake."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pyarrow as pa
import pytest
from published_days import put_day
from reporting.kpi_tables import KpiTables, publish, write_kpi_tables

from analytics_platform.alerting.outbox import UNSENT
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.partitions import partitions_from
from analytics_platform.defs.resources import store_from, warehouse_from
from analytics_platform.defs.runs import run_partition
from analytics_platform.lake.layout import EXTRACT_PREFIX, weekly_report_key
from analytics_platform.reporting.weekly import newest_week, weekly_inputs
from analytics_platform.settings import Settings
from asset_checks.factory import Scope
from asset_checks.reports import figures_of_week, forms_of_week, tenants_of_week

MONDAY = datetime(2026, 3, 9, 4, tzinfo=UTC)
"""Five in the morning in Amsterdam."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("weekly"), history_start=date(2026, 1, 1))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return settings


@pytest.fixture(scope="module")
def definitions(home: Settings) -> dg.Definitions:
    return build_definitions(home)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings(home=tmp_path)) as opened:
        yield opened


def test_weeks_are_named_by_mondays_and_exist_once_they_are_over() -> None:
    week = partitions_from(date(2026, 1, 1), "Europe/Amsterdam").week
    names = week.get_partition_keys(current_time=datetime(2026, 1, 18, 22, 59, tzinfo=UTC))
    assert names == ["2026-01-05"]
    assert week.get_partition_keys(current_time=datetime(2026, 1, 18, 23, 1, tzinfo=UTC))[-1] == "2026-01-12"


def test_it_descends_from_every_extract_it_reads_and_from_what_is_told_beside(definitions: dg.Definitions) -> None:
    (spec,) = [spec for spec in definitions.resolve_all_asset_specs() if spec.key == keys.WEEKLY_REPORT]
    read = {keys.extract(*source) for source in weekly_inputs(load_catalog())}
    assert {dep.asset_key for dep in spec.deps} == read | {keys.ANOMALIES, keys.SLA_ATTAINMENT, keys.INCIDENTS}
    assert spec.freshness_policy is not None
    assert spec.freshness_policy.deadline_cron == "0 6 * * 1"  # type: ignore[attr-defined]
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys if key.asset_key == spec.key}
    assert checks >= {"figures_equal_warehouse", "forms_carry_the_same_numbers", "report_holds_only_its_tenant"}


def tick(definitions: dg.Definitions, instance: dg.DagsterInstance, at: datetime) -> list[dg.RunRequest]:
    schedule = definitions.resolve_schedule_def("monday_report")
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=definitions.get_repository_def()
    )
    return list(schedule.evaluate_tick(context).run_requests or [])


def test_monday_waits_for_sunday_until_nine(
    definitions: dg.Definitions, instance: dg.DagsterInstance, home: Settings
) -> None:
    assert tick(definitions, instance, MONDAY) == []
    (late,) = tick(definitions, instance, MONDAY + timedelta(hours=4))
    assert (late.partition_key, late.run_key) == ("2026-03-02", "2026-03-02")
    store, sunday = store_from(home), date(2026, 3, 8)
    for source in weekly_inputs(load_catalog()):
        put_day(store, *source, sunday, pa.table({"day": [sunday], "tenant_id": ["brabant-rental"]}))
    (request,) = tick(definitions, instance, MONDAY)
    assert request.run_key == late.run_key
    in_an_hour, tags = MONDAY + timedelta(hours=1), {"dagster/partition": "2026-03-02"}
    by_hand = dg.DagsterRun(jobs.REPORT, run_id=str(uuid4()), status=dg.DagsterRunStatus.SUCCESS, tags=tags)
    instance.add_run(by_hand)
    assert len(tick(definitions, instance, in_an_hour)) == 1, "made by hand, perhaps before Sunday was there"
    tags["dagster/schedule_name"] = "monday_report"
    for status, asks_again in ((dg.DagsterRunStatus.FAILURE, True), (dg.DagsterRunStatus.STARTED, False)):
        instance.add_run(dg.DagsterRun(jobs.REPORT, run_id=str(uuid4()), status=status, tags=tags))
        assert bool(tick(definitions, instance, in_an_hour)) is asks_again
    assert len(tick(definitions, instance, MONDAY + timedelta(days=7, hours=4))) == 1
    for info in store.list(EXTRACT_PREFIX):
        store.delete(info.key)


def test_a_run_writes_every_form_passes_its_checks_and_leaves_one_message(
    home: Settings, definitions: dg.Definitions
) -> None:
    catalog = load_catalog()
    week = newest_week(datetime.now(UTC).date())
    last = week + timedelta(days=6)
    tables = KpiTables(list(catalog.tenants.values()), last=last, days=16)
    publish(write_kpi_tables(home.warehouse_path, tables), store_from(home), catalog, last - timedelta(15), last)
    report = run_partition(home, jobs.REPORT, week.isoformat(), definitions=definitions)
    assert report.ok, report.as_dict()
    assert report.checks_passed == 3
    with SqliteStore(home.alerts_path).transaction() as session:
        (waiting,) = session.outbox(UNSENT)
    assert waiting.message.key == f"report weekly {week} all"
    assert waiting.message.channel == "#data-platform"
    assert waiting.message.pictures[0].key == weekly_report_key(week, "all", "png")
    _a_changed_figure_is_found(home, week)


def _a_changed_figure_is_found(home: Settings, week: date) -> None:
    """The same judges on a report whose figures were changed, and on one with another tenant's name."""
    store, catalog = store_from(home), load_catalog()
    scope = Scope(store, warehouse_from(home), [week.isoformat()])
    key = weekly_report_key(week, "noord-rigging", "json")
    body = store.get(key)
    assert figures_of_week(scope, catalog, week).passed
    changed = json.loads(body)
    for told in changed["facts"]["kpis"]:
        told["value"] = (told["value"] or 0) + 1
    store.put(key, json.dumps(changed).encode())
    assert not figures_of_week(scope, catalog, week).passed
    store.put(key, body.replace(b'pts"', b'pts, or more"'))
    assert not forms_of_week(store, catalog, week).passed
    store.put(key, body.replace(b"Noord Rigging", b"Delta Events"))
    assert not tenants_of_week(store, catalog, week).passed
    store.put(key, body)
