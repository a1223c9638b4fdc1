"""What the command line shows: formats of answers, and failures as one line."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from analytics_platform.cli import main
from analytics_platform.cli.pipeline import run_lines
from analytics_platform.defs.run_report import FailedCheck, RunOutcome, RunReport
from analytics_platform.warehouse import DuckDBWarehouse

DAY = date(2026, 1, 1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    rows = pa.table({"day": pa.array([DAY, DAY], pa.date32()), "amount": [2**60, 2**60], "note": ['a "b", c', None]})
    DuckDBWarehouse(tmp_path / "warehouse.duckdb").replace_days("raw.events", rows, DAY, DAY)
    return tmp_path


def analytics(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.usefixtures("home")
def test_sums_of_integers_are_exact_numbers_in_json() -> None:
    done = analytics(
        "sql", "select day, sum(amount) as n, avg(amount) as a from raw.events group by 1", "--format", "json"
    )
    assert json.loads(done.output) == [{"day": "2026-01-01", "n": 2**61, "a": float(2**60)}]


def test_what_a_command_writes_is_not_for_other_users_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    before = os.umask(0o022)
    try:
        assert analytics("init").exit_code == 0
        assert [path for path in (tmp_path / "home").rglob("*") if path.stat().st_mode & 0o007] == []
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o750
    finally:
        assert os.umask(before) == 0o022


@pytest.mark.usefixtures("home")
def test_csv_quotes_what_needs_it() -> None:
    done = analytics("sql", "select note, amount from raw.events order by note", "--format", "csv")
    assert done.output == f'note,amount\n"a ""b"", c",{2**60}\n,{2**60}\n'


@pytest.mark.usefixtures("home")
def test_a_table_shows_every_column_and_row() -> None:
    done = analytics("sql", "select note, amount from raw.events")
    assert "note" in done.output
    assert done.output.count(str(2**60)) == 2


@pytest.mark.usefixtures("home")
def test_columns_of_one_name_stay_two_and_in_their_places() -> None:
    query = "select 'x' as tenant_id, 'q' as tenant_id, 5 as z"
    assert analytics("sql", query, "--format", "csv").output == "tenant_id,tenant_id,z\nx,q,5\n"
    row = analytics("sql", query).output.splitlines()[3]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["x", "q", "5"]
    done = analytics("sql", query, "--json")
    assert done.exit_code == 1
    assert "several columns called tenant_id" in done.output
    assert "`as`" in json.loads(done.stdout)["mend"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("query", ["", " ", "/* select 1 */"])
def test_a_query_that_asks_for_nothing_is_told(query: str) -> None:
    done = analytics("sql", query, "--json")
    assert done.exit_code == 1
    assert set(json.loads(done.stdout)) == {"error", "what", "mend"}


@pytest.mark.usefixtures("home")
def test_a_wrong_query_is_one_error_without_a_traceback() -> None:
    done = analytics("sql", "select nothing from nowhere")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "nowhere" in done.output


@pytest.mark.usefixtures("home")
def test_a_run_without_data_says_how_to_bring_some_in() -> None:
    done = analytics("run")
    assert done.exit_code == 1
    assert "analytics import" in done.output


def test_a_warning_is_not_told_as_a_failure() -> None:
    report = RunReport(DAY, DAY, runs=[RunOutcome("1", "build", "SUCCESS", None)], checks_passed=3)
    report.checks_failed = [FailedCheck("kpi/a", "no_anomaly", "2 of 9", "WARN"), FailedCheck("b", "c", "d", "ERROR")]
    assert run_lines(report)[1:] == [
        "Checks: 3 passed, 1 failed, 1 warning",
        "  b c: d",
        "  warning: kpi/a no_anomaly: 2 of 9",
        "Incidents: 0 open",
    ]
    report.checks_failed = []
    assert run_lines(report)[1:] == ["Checks: 3 passed, 0 failed", "Incidents: 0 open"]


def test_each_verb_explains_itself() -> None:
    for verb in main.commands:
        done = analytics(verb, "--help")
        assert done.exit_code == 0
        assert main.commands[verb].help
