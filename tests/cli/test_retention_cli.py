"""`analytics retention`: from a plan to its verification, and legal holds."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analytics_platform.cli import main
from analytics_platform.lake.layout import dead_letter_key
from analytics_platform.lake.store import LocalStore

TODAY = datetime.now(UTC).date()
OLD, NEW = TODAY - timedelta(days=70), TODAY - timedelta(days=5)
TENANT = "brabant-rental"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a dead letter past its term and one within it."""
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    store = LocalStore(tmp_path / "lake")
    for day in (OLD, NEW):
        store.put(dead_letter_key("invalid_json", day, TENANT, "w", "a" * 16), b"letter")
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["retention", *arguments])


def answer(*arguments: str) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.output)
    return said


def letters(home: Path) -> int:
    return len(LocalStore(home / "lake").list("dead/"))


def test_from_a_plan_to_its_verification(home: Path) -> None:
    plan = answer("plan", "--by", "ann")
    assert (plan["units"], plan["targets"][0]["dataset"], plan["targets"][0]["tenant"]) == (1, "dead_letters", TENANT)
    refused = call("apply", plan["plan"], "--by", "bob")
    assert refused.exit_code == 1
    assert "nobody has approved" in refused.output
    own = call("approve", plan["plan"], "--by", "ann")
    assert own.exit_code == 1
    assert "somebody else" in own.output
    assert answer("approve", plan["plan"][:12], "--by", "bob")["approved_by"] == "bob"
    assert answer("apply", plan["plan"], "--by", "bob", "--dry-run")["fits"]
    assert letters(home) == 2
    assert answer("apply", plan["plan"], "--by", "bob") == {
        "ok": True,
        "plan": plan["plan"],
        "targets": 1,
        "units": 1,
        "already_done": False,
        "held_back": [],
        "survivors": [],
    }
    assert letters(home) == 1
    verified = answer("verify")
    assert (verified["ok"], verified["evidence"], len(verified["plans"])) == (True, 5, 1)
    assert "Nothing is to be removed" in call("plan", "--by", "ann").output


def test_a_survivor_and_a_tampered_record_are_failures(home: Path) -> None:
    plan = answer("plan", "--by", "ann")["plan"]
    answer("approve", plan, "--by", "bob")
    answer("apply", plan, "--by", "bob")
    store = LocalStore(home / "lake")
    store.put(dead_letter_key("invalid_json", OLD, TENANT, "w", "b" * 16), b"letter")
    survived = call("verify", plan)
    assert survived.exit_code == 1
    assert "1 left" in survived.output
    entry = store.list("evidence/")[1].key
    store.put(entry, store.get(entry).replace(b"bob", b"bot"))
    tampered = call("verify")
    assert tampered.exit_code == 1
    assert "was changed" in tampered.output


def test_a_dry_run_of_a_stale_plan_says_what_has_changed_and_fails(home: Path) -> None:
    plan = answer("plan", "--by", "ann")["plan"]
    LocalStore(home / "lake").put(dead_letter_key("invalid_json", OLD, TENANT, "w", "b" * 16), b"letter")
    result = call("apply", plan, "--by", "bob", "--dry-run")
    assert result.exit_code == 1
    assert f"lake dead_letters {TENANT}" in result.output


def test_what_will_be_due_can_be_foreseen_but_not_approved(home: Path) -> None:
    later = answer("plan", "--by", "ann", "--as-of", str(TODAY + timedelta(days=90)))
    assert (later["units"], later["kept"]) == (2, False)
    assert "there is no plan" in call("approve", later["plan"], "--by", "bob").output


def test_a_hold_keeps_what_is_due_until_it_is_released(home: Path) -> None:
    until = str(TODAY + timedelta(days=30))
    held = answer("holds", "add", "case-7", "--by", "lawyer", "--matter", "a dispute", "--until", until)
    assert (held["datasets"], held["tenant"], held["from"]) == (["*"], None, None)
    assert answer("plan", "--by", "ann")["units"] == 0
    assert [hold["state"] for hold in answer("holds", "list")["holds"]] == ["in force"]
    answer("holds", "release", "case-7", "--by", "lawyer", "--reason", "settled")
    assert answer("holds", "list")["holds"] == []
    assert [hold["state"] for hold in answer("holds", "list", "--all")["holds"]] == ["released"]
    assert answer("plan", "--by", "ann")["units"] == 1


@pytest.mark.parametrize(
    ("scope", "text"),
    [(["--tenant", "nobody"], "no registered tenant"), (["--dataset", "nothing.*"], "covers no dataset")],
)
def test_a_hold_that_reaches_nothing_is_refused(scope: list[str], text: str) -> None:
    until = str(TODAY + timedelta(days=30))
    result = call("holds", "add", "case-8", "--by", "lawyer", "--matter", "a dispute", "--until", until, *scope)
    assert result.exit_code == 1
    assert text in result.output


def test_days_are_days() -> None:
    result = call("holds", "add", "x", "--by", "a", "--matter", "m", "--until", "tomorrow")
    assert (result.exit_code, "write it as YYYY-MM-DD" in result.output) == (2, True)
