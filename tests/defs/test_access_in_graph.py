"""Access in the real graph and on the command line, over one small home. The tests go in order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from access_truth import Truth, fill
from click.testing import CliRunner, Result

from analytics_platform.alerting.findings import Failure
from analytics_platform.catalog import load_catalog
from analytics_platform.cli import main
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.alerts import watch_from
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.resources import alert_store_from, warehouse_from
from analytics_platform.demo.rbac import write_export
from analytics_platform.governance.access.drift import Drift
from analytics_platform.settings import RBAC_EXPORT, Settings
from asset_checks.access import (
    compiled_is_live,
    every_privilege_is_there,
    every_role_is_known,
    export_is_fresh,
    no_principal_vanished,
)

pytestmark = pytest.mark.integration

MEMBERS = "select principal, role from ops.role_memberships"


@dataclass(frozen=True)
class House:
    settings: Settings
    definitions: dg.Definitions

    def govern(self) -> dg.ExecuteInProcessResult:
        """The access assets of the daily job, as its schedule runs them."""
        job = self.definitions.resolve_job_def("govern")
        with open_instance(self.settings) as instance:
            return job.execute_in_process(instance=instance, asset_selection=list(keys.ACCESS), raise_on_error=False)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = warehouse_from(self.settings).query(sql).to_pylist()
        return rows


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    tables = ("kpi.kpi_mrr", "marts.fct_invoices", "marts.fct_touches", "ops.ledger")
    fill(settings.warehouse_path, Truth(), tables)
    return House(settings, build_definitions(settings))


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def failed(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {name: each.severity.value for name, each in evaluations(result).items() if not each.passed}


def metadata(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> Mapping[str, Any]:
    events = result.get_asset_materialization_events()
    return {
        name: each.value
        for event in events
        if event.asset_key == key
        for name, each in event.materialization.metadata.items()
    }


def test_access_is_downstream_of_the_data_that_it_governs_and_after_removal(house: House) -> None:
    spec = next(each for each in house.definitions.resolve_all_asset_specs() if each.key == keys.ACCESS_POLICIES)
    upstream = {dep.asset_key.to_user_string() for dep in spec.deps}
    assert {"marts/revenue/fct_invoices", "extract/finance/mrr", "loaded/billing", "ops/ledger"} <= upstream
    assert "governance/retention_sweep" in upstream
    assert spec.group_name == "governance_access"


def test_without_a_source_nobody_holds_a_role_and_the_daily_job_says_what_to_set(house: House) -> None:
    result = house.govern()
    assert result.success
    assert failed(result) == {}
    assert "ANALYTICS_RBAC_SOURCE" in metadata(result, keys.ROLE_MEMBERSHIPS)["next_step"]
    assert house.rows("select * from ops.role_memberships") == []
    assert evaluations(result)["unknown_principal_sees_nothing"].passed


def test_the_demos_export_is_read_and_its_addresses_are_in_no_row(house: House) -> None:
    write_export(house.settings.home / RBAC_EXPORT, load_catalog(), datetime.now(UTC))
    result = house.govern()
    assert failed(result) == {}
    told = metadata(result, keys.ROLE_MEMBERSHIPS)
    assert (told["principals"], told["source"]) == (24, "file rbac.json")
    rows = house.rows(MEMBERS)
    assert {row["role"] for row in rows} == set(load_catalog().access_roles)
    assert sum(row["principal"].startswith("ref_") for row in rows) == 4
    assert b"office@" not in house.settings.warehouse_path.read_bytes()


def test_what_was_applied_is_in_the_metadata(house: House) -> None:
    told = metadata(house.govern(), keys.ACCESS_POLICIES)
    assert told["status"] == "DRAFT"
    assert told["files"] == len(list((house.settings.access_root / "files").iterdir())) == 11
    assert Path(told["matrix"]).read_bytes().startswith(b"<!")
    assert told["audiences"]["auditor"] == {"datasets": 4, "rows": 8}
    assert len(told["policy_sha256"]) == 64


def test_a_grant_by_hand_becomes_a_critical_incident_although_the_same_run_takes_it_away(house: House) -> None:
    with duckdb.connect(str(house.settings.warehouse_path)) as connection:
        connection.execute('create view "audience_growth".invoices as from marts.fct_invoices')
    result = house.govern()
    assert result.success
    assert failed(result) == {"compiled_is_live": "ERROR"}
    watch = watch_from(house.settings, house.definitions.get_repository_def())
    with open_instance(house.settings) as instance:
        watch.look(instance, datetime.now(UTC))
    with alert_store_from(house.settings).transaction() as session:
        incidents = [each for each in session.incidents() if each.cause.failure is Failure.ACCESS]
    assert [(each.cause.check, each.severity) for each in incidents] == [("compiled_is_live", "critical")]
    assert max(row["extra_privileges"] for row in house.rows("select * from ops.access_drift")) == 1


def call(house: House, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("ANALYTICS_HOME", str(house.settings.home))
    return CliRunner().invoke(main, ["access", *arguments])


def test_the_command_compiles_every_target_into_a_folder(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = call(house, monkeypatch, "compile", "--out", str(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert all((tmp_path / name).stat().st_size for name in answer["files"])
    folders = {name.split("/")[0] for name in answer["files"]}
    assert folders >= {"duckdb", "snowflake", "bigquery", "dbt", "power_bi", "pages", "questions", "matrix.html"}
    assert json.loads((tmp_path / "policy.json").read_text())["roles"][0]["name"] == "admin"


def test_the_command_fails_on_drift_and_mends_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(house, monkeypatch, "diff").exit_code == 0
    path = house.settings.access_root / "files" / "executive.duckdb"
    path.unlink()
    lacking = call(house, monkeypatch, "diff", "--json")
    assert lacking.exit_code == 1
    told = json.loads(lacking.output)
    assert (told["extra_privileges"], {each["severity"] for each in told["drift"]}) == (0, {"warning"})
    assert call(house, monkeypatch, "apply", "--by", "bob").exit_code == 0
    assert call(house, monkeypatch, "diff").exit_code == 0
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table kpi.more as select 1 as x")
    assert "critical" in call(house, monkeypatch, "diff").output
    assert call(house, monkeypatch, "apply", "--by", "bob").exit_code == 1  # it was beyond the policy
    assert call(house, monkeypatch, "apply", "--by", "bob").exit_code == 0


def test_other_targets_are_compared_by_rows_that_somebody_has_asked_for(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = call(house, monkeypatch, "diff", "--target", "power_bi")
    assert missing.exit_code == 1
    assert "--rows" in missing.output
    rows = tmp_path / "rows.json"
    rows.write_text(
        json.dumps({"users": [{"displayName": "x", "principalType": "User", "groupUserAccessRight": "Admin"}]})
    )
    result = call(house, monkeypatch, "diff", "--target", "power_bi", "--rows", str(rows), "--json")
    told = json.loads(result.output)
    assert (result.exit_code, told["extra_privileges"]) == (1, 1)
    rows.write_text("[1]")
    assert (
        "no answers by question"
        in call(house, monkeypatch, "diff", "--target", "snowflake", "--rows", str(rows)).output
    )


def test_a_signature_binds_to_the_policy_that_was_shown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = json.loads(call(house, monkeypatch, "matrix", "--json").output)
    assert (shown["status"], shown["open_roles"]) == ("DRAFT", ["finance", "operations", "data_owner"])
    short = shown["policy_sha256"][:12]

    def sign(role: str, name: str = "Eva Jansen", policy: str = short) -> Result:
        return call(house, monkeypatch, "matrix", "--sign", role, "--name", name, "--policy", policy)

    assert "is not the one that is there" in sign("finance", policy="0" * 12).output
    assert "is not the one that is there" in sign("finance", policy=short[:4]).output
    assert "no sign-off role" in sign("ghost").output
    assert "needs the name" in sign("finance", name="").output
    assert sign("finance").exit_code == 0
    assert "signed for finance already" in sign("finance").output
    assert sign("operations", "Jan Smit").exit_code == 0
    assert "SIGNED" in sign("data_owner", "Ann Bos").output
    assert b"Jan Smit" in (house.settings.access_root / "matrix.html").read_bytes()


def test_what_is_critical_fails_the_one_check_and_what_is_missing_the_other() -> None:
    extra = Drift("critical", "duckdb_files", "growth", "marts.x", "column y is granted, but not by the policy")
    lacking = Drift("warning", "duckdb_files", "growth", "marts.x", "column z is missing")
    quiet, noisy = ({"extra_privileges": [0, number]} for number in (0, 2))
    assert compiled_is_live([lacking], pa.table(quiet), "Mend.").passed
    assert not compiled_is_live([extra], pa.table(quiet), "Mend.").passed
    assert not compiled_is_live([], pa.table(noisy), "Mend.").passed
    assert every_privilege_is_there([extra], "Mend.").passed
    told = every_privilege_is_there([lacking], "Mend.")
    assert (told.passed, told.summary) == (False, "1 privileges of the policy are missing. Mend.")


def row(principal: str, role: str | None = "finance", at: datetime | None = None) -> dict[str, Any]:
    return {"principal": principal, "rbac_role": role or "Janitor", "role": role, "exported_at": at}


def test_an_unknown_role_fails_and_is_named_without_who_holds_it() -> None:
    assert every_role_is_known([row("u1")]).passed
    facts = every_role_is_known([row("u1"), row("u2", None), row("u3", None)])
    assert (facts.passed, list(facts.offenders), facts.failed) == (False, ["Janitor"], 2)


@pytest.mark.parametrize(
    ("today", "before", "passed"),
    [(["a", "b"], ["a"], True), (["a"], ["a", "b"], False), ([], [], True), ([], ["a"], False)],
)
def test_a_principal_that_vanished_is_counted(today: Sequence[str], before: Sequence[str], passed: bool) -> None:
    facts = no_principal_vanished([row(each) for each in today], [row(each) for each in before])
    assert facts.passed == passed
    assert list(facts.offenders) == []


def test_an_export_is_fresh_up_to_its_age_to_the_second() -> None:
    now, most = datetime(2026, 11, 27, 12, tzinfo=UTC), timedelta(hours=36)
    for age, passed in ((most, True), (most + timedelta(seconds=1), False)):
        assert export_is_fresh([row("u", at=now - age)], now, most, is_set=True).passed == passed
    assert not export_is_fresh([], now, most, is_set=True).passed
    assert "ANALYTICS_RBAC_SOURCE" in export_is_fresh([], now, most, is_set=False).summary
