"""A migration of a whole home: what its plan says, whom it refuses to disturb, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from filelock import FileLock

from analytics_platform.alerting.store import SqliteStore
from analytics_platform.cli import main
from analytics_platform.defs.migrating import NothingToMigrateError, opened_parts, quiet_source
from analytics_platform.defs.resources import embedded_warehouse, store_from
from analytics_platform.governance.retention.lock import removing
from analytics_platform.migration.parts import Item, OtherDataError, SourceInUseError
from analytics_platform.settings import Settings
from analytics_platform.warehouse import WarehouseBusyError

DAY = date(2026, 1, 5)


@pytest.fixture
def old(tmp_path: Path) -> Settings:
    """A home with a little of everything that a home holds."""
    settings = Settings(home=tmp_path / "old")
    store_from(settings).put("landing/day=2026-01-05/tenant=acme/x.ndjson.zst", b"1")
    embedded_warehouse(settings).replace_days("kpi.kpi_mrr", pa.table({"day": [DAY], "mrr": [1]}), DAY, DAY)
    settings.identity_keys_file.write_text("{}")
    settings.identity_keys_file.chmod(0o600)
    with SqliteStore(settings.alerts_path).transaction() as session:
        session.move("runs", "1")
    settings.portal_root.mkdir()
    (settings.portal_root / "users.json").write_text("[]")
    return settings


@pytest.fixture
def new(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "new")


def quiet(_done: int, _all: int) -> None: ...


def items(new: Settings, old: Settings) -> Mapping[tuple[str, str], Item]:
    with opened_parts(new, old.home) as parts:
        return {(item.part, item.name): item for part in parts for item in part.plan()}


def run(new: Settings, old: Settings) -> None:
    with opened_parts(new, old.home) as parts, quiet_source(new, old.home):
        for part in parts:
            part.run(quiet)


def test_the_plan_says_of_everything_what_becomes_of_it_and_why(new: Settings, old: Settings) -> None:
    old.spool_root.mkdir()
    planned = items(new, old)
    assert planned["lake", "landing/"].fate == "copied"
    assert planned["warehouse", "kpi.kpi_mrr"].units == 1
    assert planned["home", "identity keys"].fate == "copied"
    assert planned["home", "spools"].reason
    assert planned["dagster", "all of it"].fate == "left"
    assert all(item.reason for item in planned.values() if item.fate != "copied")
    run(new, old)
    assert all(item.done == item.units for item in items(new, old).values() if item.fate == "copied")


def test_a_home_comes_over_into_another_and_compares_alike(new: Settings, old: Settings) -> None:
    run(new, old)
    assert new.identity_keys_file.read_text() == "{}"
    assert new.identity_keys_file.stat().st_mode & 0o777 == 0o600
    assert new.alerts_path.exists()
    with opened_parts(new, old.home) as parts:
        assert [part.verify(quiet).differences for part in parts] == [(), (), (), ()]
    new.identity_keys_file.write_text("{ }")
    with opened_parts(new, old.home, ["home"]) as (home,):
        (told,) = home.verify(quiet).differences
        assert (told.name, told.what) == ("identity keys", "differs in the target")
        with pytest.raises(OtherDataError, match=r"identity_keys\.json is there and is not what"):
            home.run(quiet)


def test_a_file_that_is_in_the_way_is_left_alone(new: Settings, old: Settings) -> None:
    new.home.mkdir()
    new.identity_keys_file.write_text("theirs")
    with pytest.raises(OtherDataError):
        run(new, old)
    assert new.identity_keys_file.read_text() == "theirs"


def test_one_and_the_same_place_is_refused(old: Settings) -> None:
    with pytest.raises(NothingToMigrateError, match="source and target are one"), opened_parts(old, None):
        pass


def test_a_folder_that_is_no_home_is_refused(old: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToMigrateError, match="neither a lake nor a warehouse"), opened_parts(old, tmp_path):
        pass


def test_in_one_home_only_what_settings_name_elsewhere_is_moved(old: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    settings = Settings(home=old.home, lake_url="s3://a-bucket/lake")
    fates = {part: item.fate for (part, _), item in items(settings, old).items()}
    assert fates == {"home": "stays", "lake": "copied", "warehouse": "stays", "dagster": "stays"}


@pytest.mark.parametrize("name", ["spool/collector1/lock", "backfill.lock"])
def test_a_source_with_a_service_at_work_is_refused(new: Settings, old: Settings, name: str) -> None:
    lock = old.home / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock), pytest.raises(SourceInUseError), quiet_source(new, old.home):
        pass
    with quiet_source(new, old.home):
        pass


def test_a_source_whose_warehouse_is_being_built_is_refused(
    new: Settings, old: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_platform.defs.migrating._PATIENCE_SECONDS", 0.1)
    with (
        embedded_warehouse(old).exclusive(),
        pytest.raises(WarehouseBusyError, match="in use"),
        quiet_source(new, old.home),
    ):
        pass


def test_nobody_builds_in_the_source_meanwhile(new: Settings, old: Settings) -> None:
    with quiet_source(new, old.home), pytest.raises(WarehouseBusyError):
        embedded_warehouse(old, 0.1).replace_table("ops.anything", pa.table({"n": [1]}))


def test_a_source_that_removes_something_is_refused(new: Settings, old: Settings) -> None:
    with (
        removing(store_from(old), "retention", datetime.now(UTC).date()),
        pytest.raises(SourceInUseError, match="retention removes something"),
        quiet_source(new, old.home),
    ):
        pass


def test_what_a_spool_still_holds_is_shipped_first_when_the_home_is_left(new: Settings, old: Settings) -> None:
    segment = old.spool_root / "collector1" / "000001.segment"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"waits")
    with pytest.raises(SourceInUseError, match="1 segments that are not in the lake yet"), quiet_source(new, old.home):
        pass
    with quiet_source(old, None):
        pass


def test_the_command_answers_scripts_and_fails_on_a_difference(
    new: Settings, old: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(new.home))
    arguments = ["--from", str(old.home), "--json"]
    planned, ran, verified = (
        CliRunner().invoke(main, ["migrate", verb, *arguments]) for verb in ("plan", "run", "verify")
    )
    assert {item["part"] for item in json.loads(planned.stdout)["items"]} == {"home", "lake", "warehouse", "dagster"}
    assert {each["part"]: each["copied"] for each in json.loads(ran.stdout)["parts"]}["lake"] == 1
    assert json.loads(verified.stdout)["ok"] is True
    assert verified.exit_code == 0

    embedded_warehouse(new).replace_days("kpi.kpi_mrr", pa.table({"day": [DAY], "mrr": [2]}), DAY, DAY)
    verified = CliRunner().invoke(main, ["migrate", "verify", "--from", str(old.home), "--part", "warehouse"])
    assert verified.exit_code == 1
    assert "kpi.kpi_mrr lacks 1 rows of the source on 2026-01-05 and has 1 others" in verified.stdout
