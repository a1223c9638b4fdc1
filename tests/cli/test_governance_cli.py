"""`analytics governance`: records, backups, and proving that what was forgotten stays forgotten."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analytics_platform.cli import main
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.layout import dead_letter_key
from analytics_platform.lake.store import LocalStore

TODAY = datetime.now(UTC).date()
OLD, NEW = TODAY - timedelta(days=70), TODAY - timedelta(days=5)
TENANT = "brabant-rental"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a dead letter past its term and one within it."""
    home = tmp_path / "home"
    monkeypatch.setenv("ANALYTICS_HOME", str(home))
    monkeypatch.setenv("ANALYTICS_BACKUP_TARGET", str(tmp_path / "target"))
    monkeypatch.setenv("ANALYTICS_BACKUP_PASSPHRASE", "correct horse battery staple")
    store, seals = LocalStore(home / "lake"), TenantSeals(IdentityKeys(home / "identity_keys.json"))
    for day in (OLD, NEW):
        letter = DeadLetter("invalid_json", "no JSON", b"letter", day, tenant=TENANT).sealed(seals)
        store.put(dead_letter_key("invalid_json", day, TENANT, "w", "a" * 16), compressed(letter.line))
    return home


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def answer(*arguments: str) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.output)
    return said


def removed() -> None:
    plan = answer("retention", "plan", "--by", "ann")["plan"]
    answer("retention", "approve", plan, "--by", "bob")
    answer("retention", "apply", plan, "--by", "bob")


def letters(home: Path) -> list[str]:
    return [info.key for info in LocalStore(home / "lake").list("dead/")]


def test_what_was_removed_since_a_backup_is_not_restored(home: Path, tmp_path: Path) -> None:
    made = answer("backup", "create", "--by", "ann")
    assert made["counts"]["lake"]["things"] == 2
    removed()
    assert len(letters(home)) == 1

    restored = answer("restore", str(tmp_path / "target"), "--to", str(tmp_path / "new"))

    assert (restored["things"], restored["removed_again"]) == (2, 1)
    assert letters(tmp_path / "new") == letters(home)
    evidence = LocalStore(tmp_path / "new" / "lake").list("evidence/")
    assert [info.key for info in evidence] == [info.key for info in LocalStore(home / "lake").list("evidence/")]


def test_without_a_removal_everything_comes_back(home: Path, tmp_path: Path) -> None:
    answer("backup", "create", "--by", "ann")

    restored = answer("restore", str(tmp_path / "target"), "--to", str(tmp_path / "new"))

    assert restored["removed_again"] == 0
    assert letters(tmp_path / "new") == letters(home)


def test_verifying_leaves_nothing_behind(home: Path) -> None:
    answer("backup", "create", "--by", "ann")
    removed()
    before = sorted(path.name for path in home.iterdir())

    verified = answer("governance", "verify")

    assert verified["ok"]
    assert verified["restored"]["removed_again"] == 1
    assert sorted(path.name for path in home.iterdir()) == before


def test_without_a_backup_nothing_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = call("governance", "verify")
    assert refused.exit_code == 1
    assert "no backup; make one first" in refused.output

    monkeypatch.delenv("ANALYTICS_BACKUP_TARGET")
    assert "backup_target" in call("governance", "verify").output


def test_a_changed_entry_of_evidence_is_found(home: Path) -> None:
    answer("backup", "create", "--by", "ann")
    (entry,) = LocalStore(home / "lake").list("evidence/")
    path = home / "lake" / entry.key
    path.write_bytes(path.read_bytes().replace(b"ann", b"eve"))

    refused = call("governance", "verify")

    assert refused.exit_code == 1
    assert "was changed" in refused.output


def test_a_home_that_lives_is_not_restored_over(home: Path, tmp_path: Path) -> None:
    answer("backup", "create", "--by", "ann")

    refused = call("restore", str(tmp_path / "target"), "--to", str(home))

    assert refused.exit_code == 1
    assert "name a folder that is empty" in refused.output


def test_backups_are_listed_compared_and_pruned(tmp_path: Path) -> None:
    made = answer("backup", "create", "--by", "ann")
    assert [each["backup_id"] for each in answer("backup", "list")["backups"]] == [made["backup_id"]]
    assert answer("backup", "verify")["ok"]
    assert answer("backup", "prune", "--by", "ann")["kept"] == [made["backup_id"]]

    contents = tmp_path / "target" / "pieces"
    next(path for path in contents.rglob("*") if path.is_file()).unlink()
    refused = call("backup", "verify")
    assert refused.exit_code == 1
    assert "missing or damaged" in refused.output


def test_the_records_of_processing_are_written_for_people_and_programs(tmp_path: Path) -> None:
    written = answer("governance", "records", "--to", str(tmp_path / "records"))["written"]

    assert set(written) == {"html", "pdf", "json"}
    assert "Records of processing activities" in Path(written["html"]).read_text()
    assert json.loads(Path(written["json"]).read_text())["activities"]
