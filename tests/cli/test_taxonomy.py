"""`analytics taxonomy`: drift is told by file with the mend, and a breaking change ends in exit code 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from analytics_platform.cli import main
from analytics_platform.tracking import generated
from analytics_platform.tracking.generated import REPOSITORY, Generated
from analytics_platform.tracking.taxonomy import CATALOG_PATH
from analytics_platform.warehouse import project_files, staging_models


def test_the_repository_is_current() -> None:
    result = CliRunner().invoke(main, ["taxonomy", "check", "--json"])

    assert json.loads(result.output)["drifted"] == []
    assert result.exit_code == 0


def test_drift_is_told_by_file_with_the_command_that_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = tmp_path / "dbt/models/staging"
    shutil.copytree(staging_models.STAGING_FOLDER, staging)
    (staging / "billing/stg_billing__invoice_paid.sql").unlink()
    old = f"-- {staging_models.GENERATOR} wrote this once\n"
    (staging / "billing/stg_billing__invoice_lost.sql").write_text(old)
    monkeypatch.setattr(generated, "GENERATED", (Generated("models.py", lambda _: "x\n"),))
    monkeypatch.setattr(project_files, "PROJECT_FILES", (Generated("groups.yml", lambda _: "y\n"),))
    monkeypatch.setattr(generated, "REPOSITORY", tmp_path)
    monkeypatch.setattr(staging_models, "STAGING_FOLDER", staging)
    monkeypatch.setattr(staging_models.generated_files, "__defaults__", (staging,))

    result = CliRunner().invoke(main, ["taxonomy", "check"])

    assert result.exit_code == 1
    assert "not current: models.py" in result.output
    assert "not current: groups.yml" in result.output
    assert "not current: dbt/models/staging/billing/stg_billing__invoice_paid.sql" in result.output
    assert "not current: dbt/models/staging/billing/stg_billing__invoice_lost.sql" in result.output
    assert "analytics taxonomy generate" in result.output


def test_generate_changes_nothing_where_all_is_current() -> None:
    result = CliRunner().invoke(main, ["taxonomy", "generate", "--json"])

    assert json.loads(result.output)["changed"] == []


def test_diff_of_two_folders_ends_in_one_when_it_breaks_and_says_why(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / CATALOG_PATH, tmp_path / "new")
    plan = tmp_path / "new/plan/billing.yaml"
    plan.write_text(plan.read_text().replace("      payment_id: ", "      paiment_id: ", 1))
    folders = [str(REPOSITORY / CATALOG_PATH), str(tmp_path / "new")]

    breaking = CliRunner().invoke(main, ["taxonomy", "diff", *folders])
    nothing = CliRunner().invoke(main, ["taxonomy", "diff", folders[0], folders[0], "--json"])

    assert breaking.exit_code == 1
    assert "breaking: invoice.paid.payment_id: the field is gone" in breaking.output
    assert (nothing.exit_code, json.loads(nothing.output)["changes"]) == (0, [])


def test_diff_of_what_is_no_plan_is_one_line() -> None:
    result = CliRunner().invoke(main, ["taxonomy", "diff", "no-such-thing", "HEAD"])

    assert result.exit_code == 1
    assert "Error: 'no-such-thing' is no folder" in result.output


def test_the_compiled_plan_is_what_diff_reads(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(CliRunner().invoke(main, ["taxonomy", "compile"]).output)

    result = CliRunner().invoke(main, ["taxonomy", "diff", str(tmp_path / "plan.json"), str(REPOSITORY / CATALOG_PATH)])

    assert (result.exit_code, result.output) == (0, "0 changes, 0 breaking without a new schema version\n")
