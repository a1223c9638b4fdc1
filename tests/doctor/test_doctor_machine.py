"""What the machine has: clock, time zones, packages, disks, the spool, keys of identities."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from examined import deployment, the_one, told
from packaging.requirements import Requirement

from analytics_platform.catalog import Catalog
from analytics_platform.doctor import clock, disk, identity_keys, spool, versions
from analytics_platform.doctor.findings import Finding
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.settings import Settings

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_this_machine_passes(tmp_path: Path) -> None:
    of = deployment(tmp_path)
    for look in (clock.look, disk.look):
        assert told(look(of), "fail") == []


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [(0, "ok"), (-29, "ok"), (45, "warn"), (-45, "warn"), (301, "fail"), (-86_400, "fail")],
)
def test_how_far_a_clock_may_be_from_a_servers(ahead: int, outcome: str) -> None:
    found = clock.offset("the store's clock", NOW, NOW + timedelta(seconds=ahead))
    assert found.outcome == outcome
    assert (
        outcome == "ok" or f"{abs(ahead):,} s {'ahead of' if ahead > 0 else 'behind'} the store's clock" in found.found
    )


@pytest.mark.parametrize(
    ("release", "now", "says"),
    [
        ("2026b", NOW, "ok time zones"),
        ("2023c", NOW, "warn time zones"),
        ("", NOW, "does not say"),
        ("2026b", NOW.replace(year=1970), "fail clock: it says 1970"),
    ],
)
def test_time_zone_data_tells_its_age_and_a_clock_that_was_never_set(release: str, now: datetime, says: str) -> None:
    (found,) = told([clock.judged_release("here", release, now)], "ok", "warn", "fail")
    assert says in found


def test_packages_that_are_missing_too_old_or_of_another_dagster_are_told() -> None:
    needed = [
        Requirement('duckdb<3,>=2.0; extra == "platform"'),
        Requirement('boto3>=1.40; extra == "aws"'),
        Requirement('polars>=2.1; extra == "gcs"'),
        Requirement("pydantic>=2.11"),
    ]
    installed = {"duckdb": "1.5.5", "pydantic": "2.12.0", "dagster": "1.13.27", "dagster-dbt": "0.29.27"}

    found = told(versions.unmet(needed, {"platform", "aws"}, installed))

    assert found == ["fail packages: duckdb is 1.5.5, and not <3,>=2.0", "fail packages: boto3 is not installed"]
    assert told(versions.traps(installed)) == []
    apart = the_one(versions.traps({**installed, "dagster-postgres": "0.29.26"}))
    assert apart.mend == "pip install dagster-postgres==0.29.27"


def test_this_environment_has_what_the_package_says(tmp_path: Path) -> None:
    assert told(versions.look(deployment(tmp_path)), "fail") == []
    assert versions.python_version(">=3.11,<3.13", "3.14.1").outcome == "fail"


def test_from_sources_nobody_knows_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PACKAGE", "analytics-platform-of-nobody")
    assert [each.outcome for each in versions.look(deployment(tmp_path))] == ["skipped"]


def test_extras_follow_the_choices(tmp_path: Path) -> None:
    assert versions.needed_extras(Settings(home=tmp_path)) == set()
    chosen = Settings(home=tmp_path, lake_url="gs://lake", dagster_postgres_host="db")
    assert versions.needed_extras(chosen) == {"gcs", "postgres"}


def test_a_home_that_is_not_made_yet_is_fine_where_it_can_be(tmp_path: Path) -> None:
    found = list(disk.look(deployment(tmp_path / "a" / "home")))
    assert told(found) == []
    assert f"will be made in {tmp_path}" in found[0].found
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_a_file_or_out_of_reach_fails(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert "cannot be written" in the_one(disk.look(deployment(tmp_path / "home"))).found


def test_a_warehouse_that_a_purge_could_not_copy_is_told(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    with (tmp_path / "warehouse.duckdb").open("wb") as file:
        file.truncate(free.f_bavail * free.f_frsize * 2)  # a hole: it takes no room
    assert "a purge copies the warehouse" in the_one(disk.look(deployment(tmp_path))).found


def test_copies_of_a_bucket_have_to_fit(tmp_path: Path) -> None:
    found = the_one(disk.look(deployment(tmp_path, lake_url="s3://lake", lake_cache_bytes=2**60)))
    assert (found.looked_at, "more than fits" in found.found) == ("cache", True)


def spool_of(home: Path) -> Path:
    folder = home / "spool" / "collector0123456789abcdef"
    folder.mkdir(parents=True)
    return folder


def test_a_spool_that_empties_itself_passes_and_nothing_stays_in_it(tmp_path: Path) -> None:
    folder = spool_of(tmp_path)
    (folder / "0000000001.segment").write_bytes(b"new")
    found = list(spool.look(deployment(tmp_path, collector_spool_max_bytes=2**20)))
    assert [each.outcome for each in found] == ["ok"] * 3
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["0000000001.segment"]


def test_without_a_collector_there_is_no_spool_to_look_at(tmp_path: Path) -> None:
    assert [each.outcome for each in spool.look(deployment(tmp_path))] == ["skipped"]


def test_a_home_that_others_of_the_machine_may_read_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    assert the_one(disk.look(deployment(home))).mend == f"chmod o= {home}"
    home.chmod(0o750)
    assert told(disk.look(deployment(home))) == []


def test_a_disk_with_less_room_than_the_collector_wants_refuses_events(tmp_path: Path) -> None:
    spool_of(tmp_path)
    found = the_one(spool.look(deployment(tmp_path, collector_min_free_bytes=2**60)))
    assert (found.outcome, "events are refused" in found.found) == ("fail", True)


def test_a_disk_that_is_full_before_the_spool_is_told(tmp_path: Path) -> None:
    spool_of(tmp_path)
    found = the_one(spool.look(deployment(tmp_path, collector_spool_max_bytes=2**60)))
    assert (found.outcome, "is full before collector_spool_max_bytes" in found.found) == ("warn", True)


def test_segments_that_nobody_ships_that_fill_the_spool_or_could_not_be_read_are_told(tmp_path: Path) -> None:
    folder = spool_of(tmp_path)
    segment = folder / "0000000001.segment"
    segment.write_bytes(bytes(5000))
    (folder / "0000000000.damaged").write_bytes(b"")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    os.utime(segment, (hour_ago.timestamp(), hour_ago.timestamp()))

    found = told(spool.look(deployment(tmp_path, collector_spool_max_bytes=4096)))

    assert len(found) == 3
    assert "fail segments: 1 segments of collector0123456789abcdef could not be read" in found[0]
    assert "fail segments: 0.0 MiB wait" in found[1]
    assert f"the oldest since {hour_ago:%Y-%m-%d %H:%M} UTC" in found[2]


def test_a_spool_that_takes_no_write_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").symlink_to("/proc")
    assert "takes no write" in told(spool.look(deployment(tmp_path)), "fail")[0]


def keys_of(catalog: Catalog, home: Path) -> Path:
    for tenant in catalog.tenants:
        IdentityKeys(home / "identity_keys.json").of(tenant)
    return home / "identity_keys.json"


def look_at_keys(home: Path, **choices: object) -> list[Finding]:
    return list(identity_keys.look(deployment(home, **choices)))


def test_keys_of_all_tenants_that_their_owner_alone_can_read_pass(catalog: Catalog, tmp_path: Path) -> None:
    keys_of(catalog, tmp_path)
    assert told(look_at_keys(tmp_path)) == []
    assert "same disk" in the_one(look_at_keys(tmp_path, environment="production")).found


@pytest.mark.parametrize(("mode", "outcome"), [(0o644, "fail"), (0o640, "warn"), (0o400, None)])
def test_keys_that_others_can_read_are_told(catalog: Catalog, tmp_path: Path, mode: int, outcome: str | None) -> None:
    keys_of(catalog, tmp_path).chmod(mode)
    assert [each.outcome for each in look_at_keys(tmp_path) if each.mend] == ([outcome] if outcome else [])


def test_keys_that_are_missing_fail_where_several_processes_would_make_their_own(tmp_path: Path) -> None:
    assert told(look_at_keys(tmp_path)) == []
    assert the_one(look_at_keys(tmp_path, environment="staging")).outcome == "fail"


def test_a_tenant_without_keys_fails_where_a_collector_would_not_start(catalog: Catalog, tmp_path: Path) -> None:
    IdentityKeys(tmp_path / "identity_keys.json").of(next(iter(catalog.tenants)))
    assert told(look_at_keys(tmp_path)) == []
    found = told(look_at_keys(tmp_path, environment="staging"), "fail")
    assert len(found) == 1
    assert "none of " in found[0]


def test_keys_in_the_lake_or_broken_are_told(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    assert "whoever copies that" in told(look_at_keys(tmp_path, identity_keys_file=tmp_path / "lake" / "keys.json"))[0]
    (tmp_path / "identity_keys.json").write_text("{")
    (tmp_path / "identity_keys.json").chmod(0o600)
    assert "put back the file" in (the_one(look_at_keys(tmp_path)).mend or "")


def test_of_a_package_that_the_lock_has_twice_the_version_for_this_python_counts() -> None:
    lock = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:bb
colorama==0.4.6 ; sys_platform == 'no such' \\
    --hash=sha256:cc
Py_Package==1.0 \\
    --hash=sha256:dd
"""
    wanted = "2.4.6" if sys.version_info < (3, 12) else "2.5.5"
    assert versions.pins_of(lock) == {"numpy": wanted, "py-package": "1.0"}
