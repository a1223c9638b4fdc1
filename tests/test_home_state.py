"""What state a home is in: who may use it, and that every persisted form is on the list."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from analytics_platform import home_state
from analytics_platform.home_state import (
    HOME_FILE,
    RESTORE_FILE,
    SCHEMAS,
    HomeState,
    HomeStateError,
    current_versions,
    mark_new,
    read_state,
    require_usable,
    write_json,
    write_state,
)
from analytics_platform.settings import PROJECT_ROOT, Settings

PACKAGE = PROJECT_ROOT / "analytics_platform"
WRITES = re.compile(r'create table if not exists|"version": (1|VERSION)[,}]|^VERSION = \d|^FORMAT = ', re.MULTILINE)
NO_STATE_OF_OURS = {
    "tracking.delivery": "the name of the library in each message",
    "tracking.model_files": "OpenAPI's document",
    "tracking.segment.desired": "what Segment is asked for",
    "warehouse.duckdb": "tables whose columns come with their rows: WRITTEN in defs.upgrading",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_every_module_that_persists_a_form_of_its_own_is_on_the_list() -> None:
    listed = {module for schema in SCHEMAS for module in schema.modules}
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if WRITES.search(path.read_text(encoding="utf-8"))
    }
    assert found - listed - NO_STATE_OF_OURS.keys() == set()
    assert {module for module in listed if not (PACKAGE / f"{module.replace('.', '/')}.py").exists()} == set()


def test_the_page_on_upgrades_has_every_form_with_its_version() -> None:
    page = (PROJECT_ROOT / "docs" / "upgrade.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+) \|", page, re.MULTILINE))
    assert told == {schema.name: str(schema.version) for schema in SCHEMAS}


def test_a_home_that_is_not_there_or_from_before_may_be_used(settings: Settings) -> None:
    require_usable(settings)
    assert read_state(settings.home) == HomeState({})


def test_a_new_home_is_of_this_program_and_one_with_a_warehouse_is_not_said_to_be(settings: Settings) -> None:
    mark_new(settings)
    assert read_state(settings.home).versions == current_versions()
    (settings.home / HOME_FILE).unlink()
    settings.warehouse_path.write_bytes(b"rows of an earlier program")
    mark_new(settings)
    assert read_state(settings.home).versions == {}


@pytest.mark.parametrize(
    ("versions", "upgrading", "told"),
    [
        ({"raw": 2}, None, "newer release: raw has version 2, and this program knows 1"),
        ({"clouds": 1}, None, "clouds has version 1, and this program knows none"),
        ({"raw": 1}, "raw", "broke off at raw; run `analytics upgrade`"),
    ],
)
def test_a_home_of_a_newer_release_or_half_way_is_refused(
    settings: Settings, versions: dict[str, int], upgrading: str | None, told: str
) -> None:
    write_state(settings.home, HomeState(versions, upgrading))
    with pytest.raises(HomeStateError, match=told):
        require_usable(settings)


def test_a_home_that_wants_an_upgrade_or_releases_between_is_told_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = next(schema for schema in SCHEMAS if schema.name == "raw")
    write_state(settings.home, HomeState({"raw": 2}))
    monkeypatch.setattr(home_state, "SCHEMAS", (replace(raw, version=4, opens=3, upgrades=2),))
    with pytest.raises(HomeStateError, match=r"earlier release \(raw\); run `analytics upgrade`"):
        require_usable(settings)
    monkeypatch.setattr(home_state, "SCHEMAS", (replace(raw, version=4, opens=3, upgrades=3),))
    with pytest.raises(HomeStateError, match="upgrades from 3 on"):
        require_usable(settings)


def test_a_home_that_is_being_restored_is_refused(settings: Settings) -> None:
    write_json(settings.home / RESTORE_FILE, {"backup": "20260101T000000Z", "target": "/backups"})
    with pytest.raises(HomeStateError, match=r"analytics restore /backups --to .* --backup 20260101T000000Z"):
        require_usable(settings)


@pytest.mark.parametrize("said", ["", "[]", '{"versions": {"raw": "x"}}', json.dumps({"versions": {}})])
def test_a_file_that_is_not_what_was_written_is_refused(settings: Settings, said: str) -> None:
    (settings.home / HOME_FILE).write_text(said)
    with pytest.raises(HomeStateError, match="put it back from a backup"):
        require_usable(settings)
