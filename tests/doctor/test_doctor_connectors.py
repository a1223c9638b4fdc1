"""Connectors as the doctor sees them: files that cannot be used, and secrets that are nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from examined import deployment, the_one, told

from analytics_platform.connectors.loading import raw_example
from analytics_platform.doctor import connectors
from analytics_platform.doctor.examination import examine
from analytics_platform.doctor.probes import Probe


def home_with(folder: Path, *examples: str) -> Path:
    (folder / "connectors").mkdir()
    for name in examples:
        (folder / "connectors" / f"{name}.yaml").write_text(raw_example(name))
    return folder


def test_a_deployment_without_connectors_has_nothing_to_look_at(tmp_path: Path) -> None:
    assert the_one(connectors.look(deployment(tmp_path)), "skipped").found.startswith("no file in")


def test_connectors_whose_secrets_are_there_pass(tmp_path: Path) -> None:
    home = home_with(tmp_path, "zendesk", "finance_export")
    secrets = dict.fromkeys(("zendesk_email", "zendesk_token"), "s3cret")
    found = connectors.look(deployment(home, connector_secrets=secrets))
    assert the_one(found, "ok", "warn", "fail").found == "2: finance_export, zendesk"


def test_a_secret_that_is_nowhere_is_told_with_its_name_and_no_other_is_shown(tmp_path: Path) -> None:
    found = the_one(connectors.look(deployment(home_with(tmp_path, "hubspot"), connector_secrets={"other": "s3cret"})))
    assert (found.outcome, found.looked_at) == ("fail", "hubspot")
    assert "connector_secrets: has no hubspot" in found.found
    assert "ANALYTICS_CONNECTOR_SECRETS" in str(found.mend)
    assert "s3cret" not in repr(found)


def test_each_problem_of_a_file_is_a_finding(tmp_path: Path) -> None:
    home = home_with(tmp_path, "finance_export")
    file = home / "connectors" / "finance_export.yaml"
    file.write_text(file.read_text().replace("source: drop", "source: pigeon"))
    found = the_one(connectors.look(deployment(home)))
    assert (found.looked_at, found.mend) == (str(file), "write one of drop, sql_database, rest_api")


def test_a_pull_without_dlt_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "find_spec", lambda name: None)
    found = connectors.look(deployment(home_with(tmp_path, "moneybird"), connector_secrets={"moneybird_token": "x"}))
    assert any("analytics-platform[connectors]" in each for each in [str(f.mend) for f in found])


def test_a_broken_catalogue_is_not_told_twice(tmp_path: Path) -> None:
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text("oost: {}\n")
    probe = Probe("connectors", "", connectors.look)
    (looked,) = examine(deployment(tmp_path, tenants_file=tenants), [probe], timeout=60)
    assert told(looked.findings) == []
    assert the_one(looked.findings, "skipped").found == "the catalogue does not load"
