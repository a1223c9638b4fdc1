"""Grants by hand in DuckDB are found, taken away and stay on record; applying the policy leaves no drift."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from access_truth import Truth, fill

from analytics_platform.catalog import Audience, Catalog, load_catalog
from analytics_platform.defs.access import access_desk
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.defs.resources import store_from
from analytics_platform.governance.access.audience_files import AudienceFiles
from analytics_platform.governance.access.desk import AccessDesk
from analytics_platform.governance.access.policy import Policy
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse

NOW = datetime(2026, 11, 27, 5, tzinfo=UTC)
TABLES = ("kpi.kpi_mrr", "marts.fct_invoices", "marts.fct_touches")
SEEN = {
    "growth": ("marts.fct_touches",),
    "auditor": ("marts.fct_invoices",),
    "executive": ("kpi.kpi_mrr",),
    "tenant_viewer": ("extracts.finance.mrr",),
}


@cache
def whole_catalog() -> Catalog:
    return load_catalog()


@cache
def manifest() -> Mapping[str, Any]:
    return load_manifest(Settings())


def small_catalog(**changed: dict[str, object]) -> Catalog:
    """Four roles that see little, and two tenants."""
    catalog = whole_catalog()
    roles = {
        name: catalog.access_roles[name].model_copy(update={"datasets": datasets, **changed.get(name, {})})
        for name, datasets in SEEN.items()
    }
    tenants = {name: catalog.tenants[name] for name in ("albion-stage", "brabant-rental")}
    return catalog.model_copy(update={"access_roles": roles, "tenants": tenants})


@dataclass(frozen=True)
class Home:
    """A home to which the policy was applied."""

    settings: Settings

    def desk(self, catalog: Catalog | None = None) -> AccessDesk:
        return access_desk(self.settings, catalog or small_catalog(), manifest())

    @property
    def files(self) -> AudienceFiles:
        return AudienceFiles(self.settings.access_root, DuckDBWarehouse(self.settings.warehouse_path))

    @property
    def evidence(self) -> list[tuple[str, str, str]]:
        entries = EvidenceChain(store_from(self.settings)).entries()
        return [(each.kind, each.subject, each.by) for each in entries]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    fill(settings.warehouse_path, Truth(), TABLES)
    Home(settings).desk().apply(by="ann", now=NOW)
    return settings.home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    """That home, for a test to tamper with."""
    shutil.copytree(template, tmp_path / "home")
    return Home(Settings(home=tmp_path / "home"))


def tampered(home: Home, where: str, sql: str) -> None:
    role, _, tenant = where.partition("@")
    path = home.settings.warehouse_path if where == "views" else home.files.path(Audience(role, tenant or None))
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


TAMPERING = {
    "a view without its filter": (
        "views",
        'create or replace view "audience_tenant_viewer@albion-stage".extracts__finance__mrr as from kpi.kpi_mrr',
    ),
    "a view that nobody declared": (
        "views",
        'create view "audience_growth".secrets as select * from marts.fct_invoices',
    ),
    "a table among the views": ("views", 'create table "audience_growth".copied as select * from marts.fct_invoices'),
    "views of a new audience": (
        "views",
        'create schema "audience_intern"; create view "audience_intern".x as select 1',
    ),
    "rows of another tenant": (
        "tenant_viewer@albion-stage",
        "update extracts.finance__mrr set tenant_id = 'brabant-rental'",
    ),
    "a mask that is filled": ("auditor", "update marts.fct_invoices set customer_ref = 'c'"),
    "a column more": ("growth", "alter table marts.fct_touches add column more varchar"),
    "a table more": ("growth", "create table marts.fct_invoices as select 1 as amount"),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_a_privilege_by_hand_is_critical_and_stays_on_record_when_it_is_taken_away(home: Home, name: str) -> None:
    tampered(home, *TAMPERING[name])
    desk = home.desk()
    assert desk.diff()[0].severity == "critical"
    applied = desk.apply(by="ann", now=NOW)
    assert applied.found[0].severity == "critical"
    assert applied.left == ()
    looks = desk.drift_today(date(2026, 11, 27))["extra_privileges"].to_pylist()
    assert looks[:2] == [0, 0]
    assert looks[2] > 0
    assert looks[3] == 0


def test_a_policy_without_a_filter_or_a_mask_shows_as_drift_once_it_is_applied(home: Home) -> None:
    desk = home.desk()
    for role, dataset in (("tenant_viewer", "extracts.finance.mrr"), ("auditor", "marts.fct_invoices")):
        grant = desk.policy.by_role[role].by_dataset[dataset]
        open_one = replace(grant, tenant_column=None, columns=(*grant.columns, *grant.masked), masked=())
        roles = [replace(each, grants=(open_one,)) if each.name == role else each for each in desk.policy.roles]
        home.files.apply(Policy(tuple(roles)), desk.tables, desk.tenants)
        drifts = desk.diff()
        assert {each.severity for each in drifts} == {"critical"}
        assert {each.target for each in drifts} == {"duckdb_files", "duckdb_views"}
        assert {each.audience.partition("@")[0] for each in drifts} == {role}


def test_what_is_applied_does_not_drift_also_after_the_warehouse_was_purged(home: Home) -> None:
    assert home.desk().diff() == []
    DuckDBWarehouse(home.settings.warehouse_path).purge()
    assert home.desk().diff() == []


def test_a_table_is_made_anew_under_its_views_and_they_go_on(home: Home) -> None:
    """As dbt does it: beside the old one, which is renamed away and dropped."""
    with duckdb.connect(str(home.settings.warehouse_path)) as connection:
        connection.execute("create table kpi.fresh as from kpi.kpi_mrr")
        connection.execute("alter table kpi.kpi_mrr rename to old")
        connection.execute("alter table kpi.fresh rename to kpi_mrr")
        connection.execute("drop table kpi.old")
        view = '"audience_executive".kpi__kpi_mrr'
        assert connection.execute(f"select count(*) from {view}").fetchall() == [(2,)]
    assert home.desk().diff() == []


def test_a_file_that_nobody_should_have_is_critical_and_one_that_is_gone_a_warning(home: Home) -> None:
    executive = home.files.path(Audience("executive"))
    shutil.copy(executive, executive.with_name("intern.duckdb"))
    assert {(each.severity, each.audience) for each in home.desk().diff()} == {("critical", "intern")}
    executive.with_name("intern.duckdb").unlink()
    executive.unlink()
    assert {(each.severity, each.audience) for each in home.desk().diff()} == {("warning", "executive")}


def test_applying_removes_files_of_audiences_that_are_gone(home: Home) -> None:
    catalog = small_catalog()
    without = catalog.model_copy(update={"tenants": {"albion-stage": catalog.tenants["albion-stage"]}})
    gone = home.files.path(Audience("tenant_viewer", "brabant-rental"))
    assert gone.exists()
    applied = home.desk(without).apply(by="ann", now=NOW)
    assert (applied.found, applied.left) == ((), ())
    assert not gone.exists()


def test_a_policy_that_became_narrower_is_no_drift_but_what_it_takes_is_gone(home: Home) -> None:
    desk = home.desk(small_catalog(growth={"max_pii": "none"}))
    assert "critical" in {each.severity for each in desk.diff()}
    applied = desk.apply(by="ann", now=NOW)
    assert (applied.found, applied.left) == ((), ())
    with home.files.opened_for([Audience("growth")]) as connection:
        counted = connection.execute("select count(*), count(lead_id) from growth.marts.fct_touches").fetchall()
    assert counted == [(2, 0)]
    assert home.evidence[-1] == ("access_policy_applied", desk.policy.sha256, "ann")


def test_the_policy_is_on_record_once_as_long_as_it_stays_the_same(home: Home) -> None:
    home.desk().apply(by="bob", now=NOW)
    assert home.evidence == [("access_policy_applied", home.desk().policy.sha256, "ann")]


def test_without_word_of_what_was_applied_everything_that_is_live_is_beyond_the_policy(home: Home) -> None:
    (home.settings.access_root / "applied.json").unlink()
    applied = home.desk().apply(by="ann", now=NOW)
    assert {each.severity for each in applied.found} == {"critical"}
    assert applied.left == ()
