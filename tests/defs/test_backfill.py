"""What a backfill takes, and what it refuses; on a real lake and instance, without running anything."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import broken_off
import dagster as dg
import pytest
from click.testing import CliRunner
from defs_house import House, new_house
from filelock import FileLock

from analytics_platform.catalog import load_catalog
from analytics_platform.cli import main
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.backfill import CHUNK_DAYS, BackfillAtWorkError, Plan, backfill, give_up
from analytics_platform.defs.begun_backfills import Asked, BackfillRefusedError, Begun, all_begun
from analytics_platform.defs.changes import Watermark
from analytics_platform.defs.instance import instance_config, open_instance
from analytics_platform.defs.partitions import RANGE_END_TAG, RANGE_START_TAG
from analytics_platform.defs.policies import dataset_name
from analytics_platform.defs.pools import BACKFILL_TAG
from analytics_platform.defs.resources import store_from
from analytics_platform.defs.runs import NothingLandedError, Step
from analytics_platform.governance.retention.sink import CannotCountError
from analytics_platform.lake.removals import Removed, state_removals
from analytics_platform.settings import Settings

DAY = date(2026, 3, 4)
TENANTS = list(load_catalog().tenants)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return new_house(tmp_path_factory.mktemp("backfill"))


@pytest.fixture
def instance(house: House) -> Iterator[dg.DagsterInstance]:
    with open_instance(house.settings) as instance:
        yield instance


def asked(*assets: str, first: date | None = DAY, last: date | None = None, **changed: object) -> Asked:
    whole = {"assets": assets, "first": first, "last": last, "tenants": (), "reason": "incident-1", **changed}
    return Asked(**whole)  # type: ignore[arg-type]


def steps(house: House, instance: dg.DagsterInstance, what: Asked) -> list[Step]:
    plan = Plan(house.settings, house.definitions, instance)
    return list(plan.steps(plan.understood(what)))


def spans(made: list[Step]) -> list[tuple[str, str, str]]:
    return [(step.job, step.tags[RANGE_START_TAG], step.tags[RANGE_END_TAG]) for step in made]


def test_an_asset_is_built_with_all_that_is_made_from_it(house: House, instance: dg.DagsterInstance) -> None:
    made = steps(house, instance, asked("ops/ledger"))
    assert spans(made) == [(jobs.BUILD, str(DAY), str(DAY)), (jobs.PUBLISH, str(DAY), str(DAY))]
    built = {key.to_user_string() for key in made[0].assets}
    assert {"ops/ledger", "loaded/billing", "kpi/revenue/kpi_mrr", "extract/finance/mrr"} <= built
    assert not built & {"raw/billing", "ops/incidents"}


@pytest.mark.parametrize("assets", [(), ("ops/ledger",)])
def test_what_no_event_makes_is_built_with_those_that_read_it(
    house: House, instance: dg.DagsterInstance, assets: tuple[str, ...]
) -> None:
    made = steps(house, instance, asked(*assets, last=DAY + timedelta(days=CHUNK_DAYS)))
    registry = {keys.loaded(table) for table in keys.REGISTRY_TABLES}
    dimensions = {dg.AssetKey(["marts", "core", name]) for name in ("dim_tenants", "dim_days")}
    built = [step.assets for step in made if step.job == jobs.BUILD]
    assert len(built) == 2
    assert all(registry | dimensions | {dg.AssetKey(["reference", "fx_rates"])} <= each for each in built)


def test_a_kpi_is_built_without_what_lies_before_it(house: House, instance: dg.DagsterInstance) -> None:
    made = steps(house, instance, asked("kpi/revenue/kpi_mrr"))
    assert not any(keys.layer(key) in {"raw", "ops", "loaded", "staging", "marts"} for key in made[0].assets)


def test_an_extract_is_built_alone(house: House, instance: dg.DagsterInstance) -> None:
    made = steps(house, instance, asked("extract/finance/mrr"))
    assert made[0].assets == {keys.extract("finance", "mrr")}


def test_a_raw_stream_is_built_for_the_tenants_that_are_named(house: House, instance: dg.DagsterInstance) -> None:
    made = steps(house, instance, asked("raw/billing", tenants=(TENANTS[1],)))
    partition = f"{DAY}|{TENANTS[1]}"
    assert spans(made)[0] == (jobs.INGEST, partition, partition)
    assert made[0].assets == {keys.raw("billing")}
    assert keys.LEDGER in made[1].assets
    everybody = steps(house, instance, asked("raw/billing"))[0]
    assert everybody.partitions == len(TENANTS)


def test_raw_partitions_that_lack_what_has_landed_come_first(house: House, instance: dg.DagsterInstance) -> None:
    late = DAY + timedelta(days=2)
    house.land_invoice("late", f"{late}T10:00:00Z")
    ingest, *_ = steps(house, instance, asked("ops/ledger", first=late))
    assert (ingest.job, ingest.partitions, ingest.assets) == (jobs.INGEST, 1, frozenset())
    assert steps(house, instance, asked("ops/ledger"))[0].job == jobs.BUILD


def test_a_long_backfill_goes_month_by_month(house: House, instance: dg.DagsterInstance) -> None:
    last = DAY + timedelta(days=CHUNK_DAYS)
    made = spans(
        steps(house, instance, asked("ops/ledger", first=DAY + timedelta(days=3), last=last + timedelta(days=3)))
    )
    first = DAY + timedelta(days=3)
    end = first + timedelta(days=CHUNK_DAYS - 1)
    assert made[0] == (jobs.BUILD, str(first), str(end))
    assert made[1][1] == str(end + timedelta(days=1))
    assert [job for job, _, _ in made] == [jobs.BUILD, jobs.BUILD, jobs.PUBLISH]


def test_pages_are_as_of_the_newest_built_day(house: House, instance: dg.DagsterInstance) -> None:
    newest = date(2026, 3, 20)
    tags = Watermark(datetime.now(UTC), newest).tags()
    instance.add_run(dg.DagsterRun(job_name=jobs.BUILD, status=dg.DagsterRunStatus.SUCCESS, tags=tags))
    assert spans(steps(house, instance, asked("ops/ledger")))[-1] == (jobs.PUBLISH, str(newest), str(newest))
    assert Plan(house.settings, house.definitions, instance).understood(asked("ops/ledger", first=None)).first == newest


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (asked("ops/legder"), "--asset: there is no asset 'ops/legder'; did you mean ops/ledger"),
        (asked("kpi_mrr"), "did you mean kpi/revenue/kpi_mrr"),
        (asked("raw/billing", first=date(2021, 1, 1)), "--from: 2021-01-01 has no partition; days go from 2026-01-01"),
        (asked("raw/billing", last=date(2999, 1, 1)), "--to: 2999-01-01 has no partition"),
        (asked("raw/billing", last=DAY - timedelta(days=1)), "--to: 2026-03-03 is before the first day"),
        (asked("raw/billing", first=None, last=DAY), "--to: there is no first day; write --from"),
        (asked("raw/billing", tenants=("nobody",)), "--tenant: there is no tenant 'nobody'; registered are"),
        (asked("ops/ledger", tenants=(TENANTS[0],)), "--tenant: a partition of ops/ledger is a day of all tenants"),
        (asked("ops/ledger", reason="  "), "--reason: write why"),
        (asked("ops/ledger", reason="x" * 201), "--reason: write why, in 1 to 200"),
    ],
    ids=lambda value: None if isinstance(value, Asked) else value[:30],
)
def test_what_cannot_be_is_refused_with_the_option_and_the_mend(house: House, what: Asked, said: str) -> None:
    with pytest.raises(BackfillRefusedError) as refused:
        backfill(house.settings, what, definitions=house.definitions)
    assert said in str(refused.value)


def test_where_nothing_has_landed_it_says_so_and_leaves_no_record(tmp_path: Path) -> None:
    settings, day = broken_off.settings_in(tmp_path), replace(broken_off.ASKED, last=broken_off.FIRST)
    with pytest.raises(NothingLandedError, match=r"nothing has landed yet.*`analytics import`"):
        backfill(settings, day, definitions=broken_off.graph(tmp_path))
    assert all_begun(tmp_path) == []


def test_who_interrupts_one_is_told_what_takes_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = broken_off.graph(broken_off.landed_in(tmp_path))
    monkeypatch.setattr("analytics_platform.defs.backfill.run_steps", Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr("analytics_platform.defs.manifest.ensure_manifest", Mock())
    monkeypatch.setattr("analytics_platform.definitions.build_definitions", lambda _: graph)
    done = CliRunner().invoke(main, ["--home", str(tmp_path), "backfill", "--asset", "ops/ledger", "--reason", "x"])
    (begun,) = all_begun(tmp_path)
    told = f"Interrupted; `analytics backfill --resume {begun.backfill_id}` builds the rest"
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (130, told)


def test_a_second_backfill_waits_for_the_first(house: House) -> None:
    with FileLock(house.settings.home / "backfill.lock"), pytest.raises(BackfillAtWorkError, match="wait for it"):
        backfill(house.settings, asked("ops/ledger"), definitions=house.definitions)


@pytest.mark.parametrize("runs", [3, 4, 10])
def test_backfills_of_both_kinds_leave_a_place_in_the_queue(tmp_path: Path, runs: int) -> None:
    config = instance_config(Settings(home=tmp_path, dagster_concurrent_runs=runs))["concurrency"]["runs"]
    limits = {each["key"]: each["limit"] for each in config["tag_concurrency_limits"]}
    assert min(limits["dagster/backfill"], limits[BACKFILL_TAG]) >= 1
    assert limits["dagster/backfill"] + limits[BACKFILL_TAG] < config["max_concurrent_runs"] == runs


def test_a_backfill_that_is_killed_is_taken_up_where_it_broke_off(tmp_path: Path) -> None:
    command = [sys.executable, broken_off.__file__, str(broken_off.landed_in(tmp_path))]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert broken_off.built(tmp_path) == broken_off.MONTHS[:1]
    settings, graph = broken_off.settings_in(tmp_path), broken_off.graph(tmp_path)
    day = replace(broken_off.ASKED, first=broken_off.FIRST, last=broken_off.FIRST, reason="another")
    between = backfill(settings, day, definitions=graph)
    assert [each.asked for each in between.others] == [broken_off.ASKED]
    (told,) = between.as_dict()["broken_off"]
    assert (told["from"], told["to"]) == (str(broken_off.ASKED.first), str(broken_off.ASKED.last))
    done = backfill(settings, None, definitions=graph)
    assert broken_off.built(tmp_path) == [broken_off.MONTHS[0], f"{day.first} {day.last}", *broken_off.MONTHS[1:]]
    assert done.report.ok
    assert done.others == []
    assert done.begun.asked == broken_off.ASKED
    with pytest.raises(BackfillRefusedError, match="--resume: no backfill has broken off here"):
        backfill(settings, None, definitions=graph)


@pytest.fixture
def removed_again(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """In place of the removal of what came back: a home of which the ledger alone is built has no warehouse."""
    removal = Mock()
    monkeypatch.setattr("analytics_platform.defs.runs.remove_again", removal)
    return removal


def remove_ledger(home: Path, through: date) -> None:
    """State that retention has removed the ledger's days up to one, of every tenant."""
    removed = [Removed(dataset_name(keys.LEDGER), tenant, through) for tenant in TENANTS]
    state_removals(store_from(broken_off.settings_in(home)), "0" * 64, removed)


def test_days_that_retention_removed_are_left_out_and_said_to_be(tmp_path: Path, removed_again: Mock) -> None:
    graph = broken_off.graph(broken_off.landed_in(tmp_path))
    gone = broken_off.FIRST + timedelta(days=2)
    remove_ledger(tmp_path, gone)
    what = replace(broken_off.ASKED, last=gone + timedelta(days=3))
    done = backfill(broken_off.settings_in(tmp_path), what, definitions=graph)
    assert done.report.ok
    assert done.report.removed == 3
    assert removed_again.call_count == 1
    assert broken_off.built(tmp_path) == [f"{gone + timedelta(days=1)} {what.last}"]


@pytest.mark.usefixtures("removed_again")
def test_where_retention_has_left_nothing_of_it_nothing_is_built(tmp_path: Path) -> None:
    graph = broken_off.graph(broken_off.landed_in(tmp_path))
    what = replace(broken_off.ASKED, last=broken_off.FIRST)
    remove_ledger(tmp_path, broken_off.FIRST)
    done = backfill(broken_off.settings_in(tmp_path), what, definitions=graph)
    assert done.report.removed == 1
    assert done.report.ok
    assert jobs.BUILD not in {run.job for run in done.report.runs}


def test_the_rest_of_one_is_less_than_what_retention_has_left_of_it(tmp_path: Path, removed_again: Mock) -> None:
    command = [sys.executable, broken_off.__file__, str(broken_off.landed_in(tmp_path))]
    remove_ledger(tmp_path, broken_off.FIRST)
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    left = [str(broken_off.FIRST + timedelta(days=1)) + broken_off.MONTHS[0][10:], *broken_off.MONTHS[1:]]
    assert broken_off.built(tmp_path) == left[:1]
    backfill(broken_off.settings_in(tmp_path), None, definitions=broken_off.graph(tmp_path))
    assert broken_off.built(tmp_path) == left
    # What came back with the month that was built before it broke off, too.
    assert removed_again.call_args.args[-1] == broken_off.FIRST


def test_raw_partitions_that_retention_removed_are_left_out_and_counted(tmp_path: Path) -> None:
    house = new_house(tmp_path)
    gone = [Removed("raw.billing", TENANTS[0], DAY), Removed("raw.product", TENANTS[0], DAY)]
    state_removals(house.store, "0" * 64, gone)
    last = DAY + timedelta(days=1)
    with open_instance(house.settings) as instance:
        made = steps(house, instance, asked("raw/billing", "raw/crm", last=last, tenants=(TENANTS[0],)))
        alone = steps(house, instance, asked("raw/billing", last=last, tenants=(TENANTS[0],)))
    raw = [(step.tags[RANGE_START_TAG], step.left_out) for step in made if step.job == jobs.INGEST]
    billing = frozenset({keys.raw("billing")})
    assert raw == [(f"{DAY}|{TENANTS[0]}", billing), (f"{last}|{TENANTS[0]}", frozenset())]
    built = {step.tags[RANGE_START_TAG]: step.builds(keys.raw("billing")) for step in alone if step.job == jobs.INGEST}
    assert built == {f"{DAY}|{TENANTS[0]}": False, f"{last}|{TENANTS[0]}": True}


def test_where_a_build_failed_its_failure_is_told_and_not_what_cannot_be_counted(
    tmp_path: Path, removed_again: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = broken_off.graph(broken_off.landed_in(tmp_path))
    remove_ledger(tmp_path, broken_off.FIRST)
    removed_again.side_effect = CannotCountError("the rows of ops.ledger cannot be counted")
    what = replace(broken_off.ASKED, last=broken_off.FIRST + timedelta(days=1))
    with pytest.raises(CannotCountError):
        backfill(broken_off.settings_in(tmp_path), what, definitions=graph)
    monkeypatch.setattr(broken_off, "span_of", Mock(side_effect=OSError("no room")))
    done = backfill(broken_off.settings_in(tmp_path), what, definitions=graph)
    assert "no room" in str([run.error for run in done.report.runs])


def test_of_several_that_broke_off_each_is_found_and_can_be_given_up(house: House) -> None:
    begun = [Begun(f"0000000{number}", asked("ops/ledger", last=DAY)) for number in (2, 1, 3)]
    for each in begun:
        each.record(house.settings.home)
    old = house.settings.home / "backfill-00000002.json"
    old.rename(house.settings.home / "backfill.json")
    assert all_begun(house.settings.home) == begun
    with pytest.raises(
        BackfillRefusedError, match="'9' has broken off here; those that have: 00000002, 00000001, 00000003"
    ):
        backfill(house.settings, None, resume="9", definitions=house.definitions)
    assert give_up(house.settings, "00000001") == begun[1]
    assert all_begun(house.settings.home) == [begun[0], begun[2]]
    begun[0].record(house.settings.home)
    assert all_begun(house.settings.home) == [begun[2], begun[0]]
    for left in ("00000002", "00000003"):
        give_up(house.settings, left)
    assert not [*house.settings.home.glob("backfill*.json")]
    with pytest.raises(BackfillRefusedError, match="--forget: no backfill has broken off here"):
        give_up(house.settings, "00000002")
