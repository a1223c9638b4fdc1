"""Access where the warehouse has users of its own: what the platform runs, what it leaves, and what it says of both."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from access_examples import ACCOUNT, PROJECT, ROLES, TABLES, TENANTS, example_policy, role
from played_snowflake import PlayedSnowflake

from analytics_platform.catalog import Audience
from analytics_platform.governance.access import bigquery
from analytics_platform.governance.access.dialects import BigQueryDialect, SnowflakeDialect
from analytics_platform.governance.access.drift import Drift, compare
from analytics_platform.governance.access.live import bigquery_row_policies
from analytics_platform.governance.access.policy import Policy, PolicyError
from analytics_platform.governance.access.snowflake import readers
from analytics_platform.governance.access.targets import BranchTarget, SharedTarget
from analytics_platform.warehouse import DuckDBWarehouse, QueryError, SharedWarehouse

POLICY = example_policy()
FINANCE, STRANGER = Audience("finance"), Audience("ghost")
INVOICES = "marts.fct_invoices"


@pytest.fixture
def snowflake(tmp_path: Path) -> PlayedSnowflake:
    """An account in which every table is built but `marts.fx_rates`."""
    path = tmp_path / "tables.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        for name in (INVOICES, "marts.fct_tickets"):
            columns = ", ".join(f"{each.name} {each.type}" for each in TABLES[name].columns)
            connection.execute(f"create table {name} ({columns})")
    return PlayedSnowflake(DuckDBWarehouse(path))


def target(snowflake: PlayedSnowflake, folder: Path, *, applies: bool = True) -> SharedTarget:
    return SharedTarget(snowflake, SnowflakeDialect(ACCOUNT), TABLES, folder / "applied.json", applies=applies)


def diff(its: SharedTarget, policy: Policy = POLICY) -> list[Drift]:
    return compare(its.expected(policy, TABLES, TENANTS), its.live(policy))


def test_the_stand_in_is_a_shared_warehouse_and_duckdbs_file_is_none(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    assert isinstance(snowflake, SharedWarehouse)
    assert not isinstance(DuckDBWarehouse(tmp_path / "x.duckdb"), SharedWarehouse)


def test_what_was_applied_is_what_is_live_and_to_apply_it_again_changes_nothing(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = target(snowflake, tmp_path)
    assert {each.severity for each in diff(its)} == {"warning"}
    first = its.apply(POLICY, TABLES, TENANTS)
    assert first.statements == len(snowflake.told) > 0
    assert diff(its) == []
    live = its.live(POLICY)
    assert its.apply(POLICY, TABLES, TENANTS) == first
    assert its.live(POLICY) == live
    assert its.changed(POLICY, TABLES, TENANTS) == []


def test_by_default_nothing_is_run_and_what_is_missing_is_told_with_the_mend(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = target(snowflake, tmp_path, applies=False)
    assert its.apply(POLICY, TABLES, TENANTS).statements == 0
    assert snowflake.told == []
    assert its.after_models(POLICY, TENANTS) == {}
    assert {each.severity for each in its.changed(POLICY, TABLES, TENANTS)} == {"warning"}
    assert "access compile" in its.next_step
    assert "ANALYTICS_ACCESS_GRANTS=apply" in its.next_step


def test_of_a_table_that_is_not_built_nothing_is_granted_and_of_a_missing_column_nothing_masked(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "tables.duckdb")) as connection:
        connection.execute(f"alter table {INVOICES} drop column contact")
        connection.execute("alter table marts.fct_tickets drop column tenant_id")
    its = target(snowflake, tmp_path)
    its.apply(POLICY, TABLES, TENANTS)
    told = "\n".join(snowflake.told)
    assert INVOICES in told
    assert "fx_rates" not in told
    assert "__contact" not in told
    assert "fct_tickets" not in told  # whose a row is cannot be told
    assert diff(its) == []


def test_a_table_made_anew_is_read_by_nobody_until_its_build_has_protected_it_again(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = target(snowflake, tmp_path)
    its.apply(POLICY, TABLES, TENANTS)
    snowflake.make_anew(INVOICES)
    assert {(each.severity, each.object) for each in diff(its)} == {("warning", INVOICES)}
    hooks = its.after_models(POLICY, TENANTS)
    assert set(hooks) == {INVOICES, "marts.fct_tickets"}  # what dbt builds
    kinds = ["grant" if each.startswith("grant") else "policy" for each in hooks[INVOICES]]
    assert kinds == sorted(kinds, reverse=True)
    with snowflake.reading():
        for statement in [*hooks[INVOICES], *hooks[INVOICES]]:
            snowflake.native(statement)
    assert diff(its) == []


def test_a_grant_by_hand_is_critical_and_its_mend_takes_it_away(snowflake: PlayedSnowflake, tmp_path: Path) -> None:
    its = target(snowflake, tmp_path)
    its.apply(POLICY, TABLES, TENANTS)
    snowflake.native("create role if not exists INTERN")
    snowflake.native(f"grant select on table analytics.{INVOICES} to role INTERN")
    found = its.changed(POLICY, TABLES, TENANTS)
    assert [(each.severity, each.audience) for each in found] == [("critical", "INTERN")]
    its.apply(POLICY, TABLES, TENANTS)
    assert len(diff(its)) == 1  # the platform takes nothing away by itself
    (mend,) = its.mend(found)
    snowflake.native(mend)
    assert diff(its) == []


def test_a_policy_that_became_narrower_is_no_grant_by_hand_and_what_is_too_much_now_is_told(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = target(snowflake, tmp_path)
    its.apply(POLICY, TABLES, TENANTS)
    narrower = example_policy(*ROLES[:1], *ROLES[2:])  # without the auditor
    assert its.changed(narrower, TABLES, TENANTS) == []
    its.apply(narrower, TABLES, TENANTS)
    assert {each.audience for each in diff(its, narrower)} == {"ANALYTICS_AUDITOR"}
    assert all(each.startswith("revoke select on table analytics.marts.") for each in its.mend(diff(its, narrower)))


def test_what_a_build_has_granted_of_a_wider_policy_is_no_grant_by_hand(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = target(snowflake, tmp_path)
    its.apply(POLICY, TABLES, TENANTS)
    wider = example_policy(*ROLES, role("board", "all", "none", INVOICES))
    snowflake.native("create role if not exists ANALYTICS_BOARD")
    for statement in its.after_models(wider, TENANTS)[INVOICES]:
        snowflake.native(statement)
    drifts = its.changed(wider, TABLES, TENANTS)
    assert [each for each in drifts if each.audience == "ANALYTICS_BOARD"] == []


def test_a_stranger_reads_what_everybody_may_and_nothing_else(snowflake: PlayedSnowflake, tmp_path: Path) -> None:
    its = target(snowflake, tmp_path)
    its.apply(POLICY, TABLES, TENANTS)
    assert its.readable(POLICY, [FINANCE]) == 1
    assert its.readable(POLICY, []) == its.readable(POLICY, [STRANGER]) == 0
    snowflake.native(f"grant select on table analytics.{INVOICES} to role PUBLIC")
    assert its.readable(POLICY, []) == 1


def test_a_branch_grants_nothing_and_asks_nothing(snowflake: PlayedSnowflake) -> None:
    its = BranchTarget(snowflake.dialect)
    assert its.apply(POLICY, TABLES, TENANTS).statements == 0
    assert its.changed(POLICY, TABLES, TENANTS) == []
    assert its.expected(POLICY, TABLES, TENANTS) == its.live(POLICY)
    assert snowflake.told == []


def test_the_stand_in_refuses_what_snowflake_refuses(snowflake: PlayedSnowflake, tmp_path: Path) -> None:
    target(snowflake, tmp_path).apply(POLICY, TABLES, TENANTS)
    rows = "analytics.access.rows_of_marts__fct_invoices"
    for wrong in (
        f"alter table analytics.{INVOICES} add row access policy {rows} on (tenant_id)",
        f"grant select on table analytics.{INVOICES} to role NOBODY",
        "grant select on table analytics.marts.gone to role ANALYTICS_FINANCE",
        "grant everything",
    ):
        with pytest.raises(QueryError):
            snowflake.native(wrong)


def test_row_policies_of_bigquery_are_read_page_by_page_with_whom_they_grant_rows_to() -> None:
    """Answers in the form of the API's documentation; nothing here was BigQuery."""
    path = "/projects/acme/datasets/marts/tables/fct_invoices/rowAccessPolicies"
    pages: Mapping[str, Mapping[str, Any]] = {
        path: {"rowAccessPolicies": [listed("writer", "true")], "nextPageToken": "a b"},
        f"{path}?pageToken=a%20b": {"rowAccessPolicies": [listed("own", "tenant_id = 'alpha'")]},
        f"{path}/writer:getIamPolicy": {"bindings": [{"role": "r", "members": [f"serviceAccount:{PROJECT.writer}"]}]},
        f"{path}/own:getIamPolicy": {},
    }

    def request(method: str, where: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        assert (method == "POST") == (body is not None) == where.endswith(":getIamPolicy")
        return pages[where]

    rows = bigquery_row_policies(request, "acme", [INVOICES])
    assert [(each["policy"], each["filter_predicate"], len(each["grantees"])) for each in rows] == [
        ("writer", "true", 1),
        ("own", "tenant_id = 'alpha'", 0),
    ]
    assert {each["dataset"] for each in rows} == {INVOICES}


def listed(name: str, rows: str) -> dict[str, Any]:
    return {"rowAccessPolicyReference": {"policyId": name}, "filterPredicate": rows}


def test_bigquery_as_compiled_does_not_drift_and_whoever_reads_tables_themselves_is_named_with_the_mend() -> None:
    """The answers are written in the form of the documentation: by SQL, and by the API for row policies."""
    wanted = bigquery.expected(POLICY, TABLES, TENANTS, PROJECT)
    grants = [
        {"grantee": each.audience, "privilege": each.right, "schema_name": None, "object_name": each.object}
        for each in wanted.privileges
        if each.right == bigquery.VIEWER
    ]
    policies = {
        reader.table.dataset: bigquery.row_policies(reader, PROJECT)
        for reader in readers(POLICY, TABLES, TENANTS)
        if reader.table.tenant_column
    }
    its = BigQueryDialect(PROJECT, "eu", partial(api, policies))
    views = [{"view_name": place.object, "body": text} for place, text in wanted.restrictions.items()]
    there = {name: table for name, table in TABLES.items() if not table.is_extract}
    played = Answers({"object_privileges": grants, "information_schema.views": views})
    assert compare(wanted, its.access(its.ask(played, POLICY, there))) == []
    grants.append(
        {"grantee": "user:x@y.z", "privilege": "roles/bigquery.dataOwner", "schema_name": None, "object_name": "marts"}
    )
    (drift,) = compare(wanted, its.access(its.ask(played, POLICY, there)))
    assert its.revocation(drift) == 'revoke `roles/bigquery.dataOwner` on schema `acme.marts` from "user:x@y.z"'


def api(policies: Mapping[str, Any], method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The two requests of row policies."""
    _, _, _, _, schema, _, name, _, *rest = path.split("/")
    of_table = policies[f"{schema}.{name}"]
    if not rest:
        return {"rowAccessPolicies": [listed(policy, rows) for policy, (_, rows) in of_table.items()]}
    who, _ = of_table[rest[0].removesuffix(":getIamPolicy")]
    return {"bindings": [{"members": list(who)}]}


class Answers(DuckDBWarehouse):
    """Says what was written down to a question that mentions a view of the information schema."""

    dialect = "bigquery"

    def __init__(self, rows: Mapping[str, list[dict[str, Any]]]) -> None:
        super().__init__(Path("nowhere"))
        self._rows = rows

    def native(self, sql: str) -> pa.Table:
        (rows,) = [rows for view, rows in self._rows.items() if view in sql]
        return pa.Table.from_pylist(rows)


def test_a_record_that_cannot_be_read_is_said_and_never_taken_for_none(
    snowflake: PlayedSnowflake, tmp_path: Path
) -> None:
    its = target(snowflake, tmp_path)
    (tmp_path / "applied.json").write_text("{")
    with pytest.raises(PolicyError, match=r"applied\.json cannot be read"):
        its.changed(POLICY, TABLES, TENANTS)
