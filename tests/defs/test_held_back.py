"""A bad day holds back what depends on it and nothing else. The tests share one house and go in order."""

from datetime import date

import dagster as dg
import pytest
from defs_house import MRR, MRR_EXTRACT, House, new_house

from analytics_platform.defs import jobs, keys
from analytics_platform.defs.changes import last_watermark
from analytics_platform.defs.held_back import SPLIT_FROM_TAG
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import RANGE_END_TAG, RANGE_START_TAG
from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import run_days
from analytics_platform.lake.layout import landing_prefix

pytestmark = pytest.mark.integration

FIRST, BAD, LAST = date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 6)
TENANT = "brabant-rental"
BALANCES = dg.AssetCheckKey(keys.LEDGER, "ledger_balances")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Five days with an invoice each; one landing object of the bad day is lost before anything is built."""
    house = new_house(tmp_path_factory.mktemp("home")).up_to(MRR_EXTRACT)
    for day in range(FIRST.day, LAST.day + 1):
        house.land_invoice(f"d{day}", f"2026-03-{day:02}T10:00:00Z")
    return house


def lost_object(house: House) -> tuple[str, bytes]:
    (landed,) = house.store.list(landing_prefix(BAD, TENANT))
    return landed.key, house.store.get(landed.key)


def materialized(house: House, key: dg.AssetKey) -> set[str]:
    with open_instance(house.settings) as instance:
        return set(instance.get_materialized_partitions(key))


def run(house: House, first: date | None = None, last: date | None = None) -> RunReport:
    return run_days(house.settings, first, last, definitions=house.definitions)


@pytest.fixture(scope="module")
def kept(house: House) -> tuple[str, bytes]:
    key, body = lost_object(house)
    house.store.delete(key)
    return key, body


@pytest.fixture(scope="module")
def report(house: House, kept: tuple[str, bytes]) -> RunReport:
    return run(house, FIRST, LAST)


def test_the_days_around_a_bad_one_are_built_and_it_is_not(house: House, report: RunReport) -> None:
    around = {"2026-03-02", "2026-03-03", "2026-03-05", "2026-03-06"}
    assert materialized(house, MRR) == around
    assert materialized(house, keys.loaded("billing")) == around
    assert materialized(house, MRR_EXTRACT) == around


def test_the_report_names_the_day_and_the_check_and_is_not_well(report: RunReport) -> None:
    assert not report.ok
    assert report.as_dict()["held_back"] == [
        {"partition": BAD.isoformat(), "asset": "ops/ledger", "check": "ledger_balances"}
    ]
    assert report.left_out == []


def test_pages_are_published_as_of_the_last_good_day(house: House, report: RunReport) -> None:
    assert materialized(house, keys.EXPECTATIONS_REPORT) == {LAST.isoformat()}


def test_the_rest_says_which_run_it_is_the_rest_of_and_does_only_what_was_left(house: House, report: RunReport) -> None:
    with open_instance(house.settings) as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name=jobs.BUILD))
        (failed,) = [each for each in runs if each.status == dg.DagsterRunStatus.FAILURE]
        rest = [each for each in runs if SPLIT_FROM_TAG in each.tags]
        assert {each.tags[SPLIT_FROM_TAG] for each in rest} == {failed.run_id}
        spans = sorted((each.tags[RANGE_START_TAG], each.tags[RANGE_END_TAG]) for each in rest)
        assert spans == [("2026-03-02", "2026-03-03"), ("2026-03-05", "2026-03-06")]
    assert report.built["ops/ledger"] == 5


def test_dagster_shows_how_the_check_stands_in_each_partition(house: House, report: RunReport) -> None:
    with open_instance(house.settings) as instance:
        infos = instance.event_log_storage.get_asset_check_partition_info([BALANCES])
        assert all(info.is_current for info in infos if info.partition_key)
        status = {info.partition_key: info.latest_execution_status.value for info in infos if info.partition_key}
    assert status == {f"2026-03-{day:02}": "FAILED" if day == BAD.day else "SUCCEEDED" for day in range(2, 7)}


def test_a_build_that_leaves_days_out_is_not_complete(house: House, report: RunReport) -> None:
    with open_instance(house.settings) as instance:
        assert last_watermark(instance) is None


def test_a_run_for_the_bad_day_alone_builds_nothing_on_it(house: House, report: RunReport) -> None:
    alone = run(house, BAD, BAD)
    assert [each.partition for each in alone.held_back] == [BAD.isoformat()]
    assert not alone.ok
    assert BAD.isoformat() not in materialized(house, MRR)
    # Nothing good was built, so the pages stay as they were.
    assert "report/expectations" not in alone.built


def test_a_repaired_day_is_built_by_the_next_run_by_itself(
    house: House, report: RunReport, kept: tuple[str, bytes]
) -> None:
    house.store.put(*kept)
    repaired = run(house)
    assert repaired.held_back == []
    assert BAD.isoformat() in materialized(house, MRR)
    with open_instance(house.settings) as instance:
        watermark = last_watermark(instance)
        (record,) = instance.event_log_storage.get_asset_check_partition_info([BALANCES], partition_keys=["2026-03-04"])
    assert watermark is not None
    assert watermark.built_to == LAST
    assert record.latest_execution_status.value == "SUCCEEDED"
