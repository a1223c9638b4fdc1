"""The backup of every day: there only with a place for it, in a job of its own, and judged by what the place holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from defs_house import House, new_house

from analytics_platform.alerting.findings import Failure
from analytics_platform.alerting.judges import judge_runs
from analytics_platform.backup.contents import backup_id_of
from analytics_platform.backup.target import BackupTarget
from analytics_platform.defs import keys
from analytics_platform.defs.backing_up import BackupUnderWayError, back_up, target_of
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.watching import Graph, Position, Record
from analytics_platform.governance.evidence import EvidenceChain
from asset_checks.backups import newest_backup_is_whole

pytestmark = pytest.mark.integration

OLD = datetime.now(UTC) - timedelta(days=100)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home with one message in its lake, and a folder for backups."""
    folder = tmp_path_factory.mktemp("daily")
    house = new_house(folder / "home", backup_target=str(folder / "target"))
    house.settings.home.mkdir()
    house.land_invoice("one", "2026-03-04T10:00:00Z")
    return house


@pytest.fixture(scope="module")
def target(house: House) -> BackupTarget:
    return target_of(house.settings)


@pytest.fixture(scope="module")
def made(house: House, target: BackupTarget) -> dg.ExecuteInProcessResult:
    """The job's run, beside a backup that is older than its class allows."""
    old, _ = back_up(house.settings, target, by="ann", progress=quiet)
    aged = replace(old, backup_id=backup_id_of(OLD), made_at=OLD)
    target.commit(aged, target.contents(old))
    target.remove(old.backup_id)
    with open_instance(house.settings) as instance:
        return house.definitions.resolve_job_def("back_up").execute_in_process(instance=instance)


def quiet(_done: int, _all: int) -> None: ...


def test_the_job_makes_a_backup_says_what_it_is_and_removes_what_is_too_old(
    house: House, target: BackupTarget, made: dg.ExecuteInProcessResult
) -> None:
    (backup,) = target.backups()
    (materialization,) = made.asset_materializations_for_node("governance__backup")
    said = {name: value.value for name, value in materialization.metadata.items()}
    assert said["backup"] == backup.backup_id
    assert said["removed"] == [backup_id_of(OLD)]
    assert (said["bytes_added"], said["things"]) == (backup.new_bytes, len(target.contents(backup)))
    assert said["target"] == str(target.store.root)  # type: ignore[attr-defined]
    recorded = {(each.kind, each.by) for each in EvidenceChain(house.store).entries()}
    assert {("backup_made", "dagster"), ("backups_pruned", "dagster")} <= recorded


def test_its_check_holds_and_holds_up_nobody(made: dg.ExecuteInProcessResult) -> None:
    (evaluation,) = made.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed, evaluation.blocking) == ("newest_backup_is_whole", True, False)


def test_it_is_part_of_no_other_job_and_has_what_every_asset_has(house: House) -> None:
    repository = house.definitions.get_repository_def()
    having = {
        job.name
        for job in repository.get_all_jobs()
        if not job.name.startswith("__") and keys.BACKUP in job.asset_layer.executable_asset_keys
    }
    assert having == {"back_up"}
    (spec,) = [each for each in house.definitions.resolve_all_asset_specs() if each.key == keys.BACKUP]
    assert (spec.owners, spec.group_name) == (["team:data_platform"], "governance_backups")
    assert (spec.metadata["dataset"], spec.metadata["retention_class"]) == ("backups", "technical")
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36))
    assert spec.description
    assert spec.kinds


def test_its_hour_is_after_the_daily_governance(house: House) -> None:
    schedule = house.definitions.resolve_schedule_def("daily_backup")
    assert schedule.cron_schedule == "0 6 * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_piece_that_is_gone_is_found_by_the_listing_and_a_damaged_list_too(
    target: BackupTarget, made: dg.ExecuteInProcessResult
) -> None:
    assert made.success
    backup = target.backup()
    lost = target.contents(backup)[0]
    key = f"pieces/{lost.pieces[0][:2]}/{lost.pieces[0]}"
    data = target.store.get(key)
    target.store.delete(key)
    found = newest_backup_is_whole(target)
    target.store.put(key, data)
    assert not found.passed
    assert f"{lost.part} {lost.name} lacks 1 of its pieces" in found.offenders
    assert newest_backup_is_whole(target).passed

    contents = f"contents/{backup.backup_id}.zst"
    data = target.store.get(contents)
    target.store.put(contents, data[:-1])
    found = newest_backup_is_whole(target)
    target.store.put(contents, data)
    assert (found.passed, found.failed) == (False, 1)
    assert "is not what was written" in found.summary


def test_a_summary_that_does_not_add_up_is_found(target: BackupTarget, made: dg.ExecuteInProcessResult) -> None:
    assert made.success
    backup = target.backup()
    miscounted = {**backup.counts, "lake": {**backup.counts["lake"], "things": 0}}
    key = f"backups/{backup.backup_id}.json"
    target.store.put(key, replace(backup, counts=miscounted).as_bytes())
    found = newest_backup_is_whole(target)
    target.store.put(key, backup.as_bytes())
    (offender,) = found.offenders
    assert offender.startswith("lake: the summary says 0, the list ")


def test_where_there_is_no_backup_it_does_not_hold(tmp_path: Path, house: House) -> None:
    found = newest_backup_is_whole(target_of(house.settings, str(tmp_path / "empty")))
    assert not found.passed
    assert "make one first" in found.summary


def test_two_backups_of_a_home_do_not_go_at_once(house: House, tmp_path: Path) -> None:
    other = target_of(house.settings, str(tmp_path / "other"))
    refused: list[str] = []

    def second(_done: int, _all: int) -> None:
        with pytest.raises(BackupUnderWayError, match="let it end"):
            back_up(house.settings, other, by="bob", progress=quiet)
        refused.append("second")

    first, _ = back_up(house.settings, other, by="ann", progress=second)
    assert refused
    assert [each.backup_id for each in other.backups()] == [first.backup_id]


def test_a_backup_that_is_refused_fails_its_run_and_is_alerted_as_other_assets_are(
    house: House, made: dg.ExecuteInProcessResult, tmp_path: Path
) -> None:
    """A home that has never seen what the target's journal says: another deployment, or an older state of this one."""
    assert made.success
    other = new_house(tmp_path / "home", backup_target=house.settings.backup_target)
    with open_instance(other.settings) as instance:
        job = other.definitions.resolve_job_def("back_up")
        assert not job.execute_in_process(instance=instance, raise_on_error=False).success
        graph = Graph(other.definitions.get_repository_def())
        runs, _ = Record(instance, graph).read(Position.parse(None, datetime.now(UTC)))
    (finding,) = judge_runs(runs, known=()).findings
    assert (finding.failure, finding.asset, finding.dataset) == (Failure.RUN_FAILED, "governance/backup", "backups")
