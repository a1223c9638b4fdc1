"""`analytics review`: what a reviewer sees, from building over signing to what was changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from review_tables import Tables, quarter_of_rows

from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.governance.review.desk import ReviewDesk
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.lake.layout import review_key
from analytics_platform.lake.store import LocalStore

QUARTER = Quarter(2025, 3)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment with a quarter of tables and no review."""
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    tables = Tables(tmp_path / "warehouse.duckdb")
    quarter_of_rows(tables, QUARTER.first_day)
    tables.close()
    return tmp_path


@pytest.fixture
def sha256(home: Path, catalog: Catalog) -> str:
    """The hash of a review that was built."""
    tables = Tables(home / "copy.duckdb", like=home / "warehouse.duckdb")
    desk = ReviewDesk(LocalStore(home / "lake"), catalog, "Europe/Amsterdam")
    built = desk.build(tables.warehouse, QUARTER, "run-1", datetime(2025, 10, 1, 5, tzinfo=UTC))
    return built.review.sha256


def review(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["review", *arguments])


def answer(*arguments: str) -> dict[str, Any]:
    done = review(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def sign(role: str, name: str, content: str, *more: str) -> Result:
    return review("sign", "2025Q3", "--role", role, "--name", name, "--content", content, *more)


def test_a_review_is_built_through_dagster_and_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_HISTORY_START", "2025-01-01")
    told = answer("build", "2025Q3")
    assert told["status"] == "DRAFT"
    assert told["open_roles"] == ["finance", "operations", "data_owner"]
    assert answer("show", "2025Q3")["content_sha256"] == told["content_sha256"]
    assert (home / "lake" / review_key("2025Q3", "pdf")).exists()
    assert "has no partition" in review("build", "2024Q4").output


def test_verdicts_hash_signatures_and_files_are_shown(home: Path, sha256: str) -> None:
    done = review("show", "2025q3")
    assert done.exit_code == 0
    for expected in ("2025Q3", "DRAFT", f"Content {sha256}", "Finance: with reservations", "Open    finance"):
        assert expected in done.output
    assert str(home / "lake" / review_key("2025Q3", "html")) in done.output


def test_three_people_sign_and_it_is_signed(sha256: str) -> None:
    assert "still to sign: operations, data_owner" in sign("finance", "Eva Jansen", sha256[:12]).output
    sign("operations", "Daan de Wit", sha256)
    assert "It is SIGNED" in sign("data_owner", "Noor Visser", sha256).output
    told = answer("show", "2025Q3")
    assert (told["status"], [each["signer"] for each in told["signatures"]]) == (
        "SIGNED",
        ["Eva Jansen", "Daan de Wit", "Noor Visser"],
    )


def test_refusals_are_one_line_with_the_mend(sha256: str) -> None:
    for done in (sign("cfo", "Eva Jansen", sha256), sign("finance", "Eva Jansen", "0" * 64)):
        assert (done.exit_code, done.output.count("\n")) == (1, 1)


def test_a_second_person_signs_with_a_reason_that_is_shown(sha256: str) -> None:
    sign("finance", "Eva Jansen", sha256)
    assert sign("finance", "Piet Bakker", sha256).exit_code == 1
    assert sign("finance", "Piet Bakker", sha256, "--reason", "Second pair of eyes").exit_code == 0
    assert "Piet Bakker" in review("show", "2025Q3").output
    assert "(Second pair of eyes)" in review("show", "2025Q3").output


def test_what_was_changed_fails_the_command_and_is_named(home: Path, sha256: str) -> None:
    sign("finance", "Eva Jansen", sha256)
    path = home / "lake" / review_key("2025Q3", "json")
    path.write_text(path.read_text().replace('"source_minor": 1000', '"source_minor": 1001', 1))
    done = review("show", "2025Q3")
    assert done.exit_code == 1
    assert "CHANGED review.json says" in done.output
    assert "Void    finance: Eva Jansen" in done.output
    assert "differs in control_totals" in done.output


@pytest.mark.parametrize("verb", ["show", "build"])
def test_what_is_no_quarter_is_refused_with_an_example(verb: str) -> None:
    done = review(verb, "2025-07-01")
    assert done.exit_code == 1
    assert "write one such as 2026Q3" in done.output


def test_a_review_that_was_not_built_names_the_command() -> None:
    assert "analytics review build 2025Q3" in review("show", "2025Q3").output
