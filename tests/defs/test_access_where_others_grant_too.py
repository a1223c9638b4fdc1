"""The desk and its checks over a warehouse with users of its own, played by DuckDB (`played_snowflake`)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from access_truth import Truth, fill
from played_snowflake import PlayedSnowflake

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs.access import access_desk
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.defs.resources import store_from
from analytics_platform.governance.access.desk import AccessDesk
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.access import compiled_is_live, every_privilege_is_there, unknown_principal_sees_nothing

NOW, TODAY = datetime(2026, 11, 27, 5, tzinfo=UTC), date(2026, 11, 27)
SEEN = {"growth": ("marts.fct_touches",), "auditor": ("marts.fct_invoices",)}


def small_catalog() -> Catalog:
    catalog = load_catalog()
    roles = {name: catalog.access_roles[name].model_copy(update={"datasets": of}) for name, of in SEEN.items()}
    tenants = {name: catalog.tenants[name] for name in ("albion-stage", "brabant-rental")}
    return catalog.model_copy(update={"access_roles": roles, "tenants": tenants})


@pytest.fixture
def snowflake(tmp_path: Path) -> PlayedSnowflake:
    path = tmp_path / "played.duckdb"
    fill(path, Truth(), ("marts.fct_invoices", "marts.fct_touches"))
    return PlayedSnowflake(DuckDBWarehouse(path))


def desk(snowflake: PlayedSnowflake, home: Path, grants: str) -> AccessDesk:
    settings = Settings(home=home, access_grants=grants)  # type: ignore[arg-type]
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return access_desk(settings, small_catalog(), load_manifest(settings), warehouse=snowflake)


def test_where_somebody_else_grants_the_platform_looks_and_warns_with_the_mend(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = desk(snowflake, tmp_path, "by_hand")
    applied = its.apply(by="ann", now=NOW)
    assert (applied.carried.statements, applied.left, snowflake.told) == (0, (), [])
    assert {each.severity for each in applied.found} == {"warning"}
    assert its.drift_today(TODAY)["missing_privileges"].to_pylist() == [len(applied.found)]
    assert list(EvidenceChain(store_from(Settings(home=tmp_path))).entries()) == []
    lacking = every_privilege_is_there(its.changed_since_applied(), its.target.next_step)
    assert not lacking.passed
    assert "analytics access compile" in lacking.summary
    assert compiled_is_live(its.diff(), its.drift_today(TODAY), its.target.next_step).passed
    assert unknown_principal_sees_nothing(its).passed


def test_where_the_platform_grants_it_does_so_once_and_a_grant_by_hand_fails_the_check_with_its_mend(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = desk(snowflake, tmp_path, "apply")
    assert its.apply(by="ann", now=NOW).carried.statements == len(snowflake.told) > 0
    assert its.diff() == []
    its.apply(by="ann", now=NOW)
    evidence = [each.kind for each in EvidenceChain(store_from(Settings(home=tmp_path))).entries()]
    assert evidence == ["access_policy_applied"]
    assert unknown_principal_sees_nothing(its).passed
    snowflake.native("grant select on table analytics.marts.fct_invoices to role PUBLIC")
    found = its.apply(by="ann", now=NOW).found
    assert [each.severity for each in found] == ["critical"]
    facts = compiled_is_live(its.diff(), its.drift_today(TODAY), its.target.next_step)
    assert not facts.passed
    assert "analytics access diff" in facts.summary
    assert not unknown_principal_sees_nothing(its).passed
    assert its.target.mend(its.diff()) == ["revoke select on table analytics.marts.fct_invoices from role PUBLIC"]


def test_models_are_protected_by_their_builds_only_where_the_platform_grants(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    assert desk(snowflake, tmp_path, "by_hand").after_models() == {}
    assert set(desk(snowflake, tmp_path, "apply").after_models()) == {"marts.fct_invoices", "marts.fct_touches"}


def test_a_branchs_environment_is_neither_asked_nor_granted_anything(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    branch = Settings(home=tmp_path, access_grants="apply").model_copy(update={"warehouse_schema_prefix": "pr_7_"})
    its = access_desk(branch, small_catalog(), load_manifest(branch), warehouse=snowflake)
    applied = its.apply(by="ann", now=NOW)
    assert (applied.found, applied.left, applied.carried.statements, snowflake.told) == ((), (), 0, [])
    assert its.after_models() == {}
    assert unknown_principal_sees_nothing(its).passed
