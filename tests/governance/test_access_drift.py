"""What is granted against the policy: an extra privilege is critical, a missing one a warning; also at other places."""

from __future__ import annotations

import pytest
from access_examples import ACCOUNT, PROJECT, TABLES, TENANTS, example_policy
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.governance.access import bigquery, power_bi, snowflake
from analytics_platform.governance.access.drift import (
    Access,
    Drift,
    Privilege,
    Restriction,
    compare,
    extra,
    parse_access,
)
from analytics_platform.governance.access.live import (
    LiveRowsError,
    Rows,
    asked,
    bigquery_access,
    bigquery_questions,
    power_bi_access,
    snowflake_access,
    snowflake_questions,
)
from analytics_platform.governance.access.snowflake import mask_body, masked_columns, readers, row_body

POLICY = example_policy()
READ = Privilege("t", "finance", "marts.a", "select")
FILTER = Restriction("t", "finance", "marts.a", "filter")
PRIVILEGES = st.frozensets(
    st.builds(Privilege, st.just("t"), st.sampled_from("ab"), st.sampled_from(["m.x", "m.y"]), st.just("select"))
)


@given(PRIVILEGES, PRIVILEGES)
def test_every_difference_of_privileges_is_told_once(
    compiled: frozenset[Privilege], live: frozenset[Privilege]
) -> None:
    drifts = compare(Access(compiled), Access(live))
    assert extra(drifts) == len(live - compiled)
    assert len(drifts) - extra(drifts) == len(compiled - live)


def test_a_restriction_that_is_gone_or_changed_is_critical_where_somebody_can_read() -> None:
    compiled = Access(frozenset({READ}), {FILTER: "own"})
    for live in (Access(frozenset({READ})), Access(frozenset({READ}), {FILTER: "all"})):
        assert [each.severity for each in compare(compiled, live)] == ["critical"]
    assert compare(compiled, compiled) == []
    assert [each.severity for each in compare(compiled, Access())] == ["warning"]  # nobody can read it at all


def test_a_restriction_beyond_the_policy_is_a_warning() -> None:
    assert [each.severity for each in compare(Access(), Access(frozenset(), {FILTER: "own"}))] == ["warning"]


@given(PRIVILEGES)
def test_access_survives_its_json(privileges: frozenset[Privilege]) -> None:
    access = Access(privileges, {FILTER: "own"})
    assert parse_access(access.as_json()) == access


def snowflake_rows() -> dict[str, list[dict[str, object]]]:
    """What Snowflake would answer after the compiled DDL."""
    grants, attached, bodies = [], [], []
    for reader in readers(POLICY, TABLES, TENANTS):
        name = reader.table.dataset
        grants += [
            {"grantee": snowflake.role_name(each), "privilege": "SELECT", "dataset": name} for each in reader.audiences
        ]
        if reader.table.tenant_column:
            policy = snowflake.row_name(reader.table).upper()
            attached.append({"policy": policy, "kind": "ROW_ACCESS_POLICY", "dataset": name, "column_name": None})
            bodies.append({"policy": policy, "body": f"\n  {row_body(reader, ACCOUNT)}\n"})
        for column in masked_columns(POLICY, reader):
            policy = snowflake.mask_name(reader.table, column.name).upper()
            attached.append({"policy": policy, "kind": "MASKING_POLICY", "dataset": name, "column_name": column.name})
            bodies.append({"policy": policy, "body": mask_body(POLICY, reader, column.name, ACCOUNT)})
    return {"grants": grants, "attached": attached, "bodies": bodies}


def snowflake_drift(rows: Rows) -> list[Drift]:
    return compare(snowflake.expected(POLICY, TABLES, TENANTS, ACCOUNT), snowflake_access(rows))


def test_snowflake_as_compiled_does_not_drift() -> None:
    assert snowflake_drift(snowflake_rows()) == []


def test_a_grant_by_hand_in_snowflake_is_critical_and_one_that_was_lost_a_warning() -> None:
    rows = snowflake_rows()
    rows["grants"].append({"grantee": "INTERN", "privilege": "SELECT", "dataset": "marts.fct_invoices"})
    del rows["grants"][0]
    assert [(each.severity, each.audience) for each in snowflake_drift(rows)] == [
        ("critical", "INTERN"),
        ("warning", "ANALYTICS_FINANCE"),
    ]


@pytest.mark.parametrize("kind", ["ROW_ACCESS_POLICY", "MASKING_POLICY"])
def test_a_policy_that_create_or_replace_has_detached_from_snowflakes_table_is_critical(kind: str) -> None:
    rows = snowflake_rows()
    rows["attached"].remove(next(row for row in rows["attached"] if row["kind"] == kind))
    assert [each.severity for each in snowflake_drift(rows)] == ["critical"]


def test_a_body_that_was_changed_in_snowflake_is_critical() -> None:
    rows = snowflake_rows()
    rows["bodies"][0]["body"] = "true"
    assert [each.severity for each in snowflake_drift(rows)] == ["critical"]


def bigquery_rows() -> dict[str, list[dict[str, object]]]:
    """What BigQuery would answer after the compiled DDL."""
    expected = bigquery.expected(POLICY, TABLES, TENANTS, PROJECT)
    grants = [
        {"grantee": each.audience, "privilege": each.right, "schema_name": None, "object_name": each.object}
        for each in expected.privileges
        if each.right == bigquery.VIEWER
    ]
    grants += [
        {"grantee": who, "privilege": "roles/bigquery.dataOwner", "schema_name": None, "object_name": "marts"}
        for who in (f"serviceAccount:{PROJECT.writer}", "projectOwner:acme")
    ]
    policies = [
        {"dataset": reader.table.dataset, "policy": name, "filter_predicate": rows, "grantees": list(who)}
        for reader in readers(POLICY, TABLES, TENANTS)
        if reader.table.tenant_column
        for name, (who, rows) in bigquery.row_policies(reader, PROJECT).items()
    ]
    views = [{"view_name": place.object, "body": text} for place, text in expected.restrictions.items()]
    return {"grants": grants, "row_policies": policies, "views": views}


def bigquery_drift(rows: Rows) -> list[Drift]:
    return compare(bigquery.expected(POLICY, TABLES, TENANTS, PROJECT), bigquery_access(rows, PROJECT))


def test_bigquery_as_compiled_does_not_drift() -> None:
    assert bigquery_drift(bigquery_rows()) == []


def test_whoever_may_read_bigquerys_tables_themselves_is_critical() -> None:
    rows = bigquery_rows()
    reader = {
        "grantee": "projectReader:acme",
        "privilege": bigquery.VIEWER,
        "schema_name": None,
        "object_name": "marts",
    }
    assert [each.severity for each in bigquery_drift({**rows, "grants": [*rows["grants"], reader]})] == ["critical"]


def test_a_row_policy_that_is_wider_and_a_view_without_its_mask_are_critical() -> None:
    rows = bigquery_rows()
    own = next(row for row in rows["row_policies"] if str(row["policy"]).startswith("own_"))
    own["filter_predicate"] = "true"
    assert sorted(each.severity for each in bigquery_drift(rows)) == ["critical", "warning"]
    rows = bigquery_rows()
    view = next(row for row in rows["views"] if "if(false, contact" in str(row["body"]))
    view["body"] = str(view["body"]).replace("if(false, contact, null) as contact", "contact")
    assert [(each.severity, each.object) for each in bigquery_drift(rows)] == [("critical", view["view_name"])]


def workspace(*users: tuple[str, str, str]) -> Rows:
    names = ("displayName", "principalType", "groupUserAccessRight")
    return {"users": [dict(zip(names, user, strict=True)) for user in users]}


def test_whoever_is_more_than_a_viewer_of_the_workspace_or_in_it_as_a_person_is_critical() -> None:
    groups = [power_bi.group(each) for each in POLICY.audiences(TENANTS) if each.role != "auditor"]
    as_compiled = [(group, "Group", "Viewer") for group in groups]
    expected = power_bi.expected(POLICY, TABLES, TENANTS)
    assert compare(expected, power_bi_access(workspace(*as_compiled))) == []
    promoted = [(group, kind, "Member" if group.endswith("alpha") else right) for group, kind, right in as_compiled]
    assert sorted(each.severity for each in compare(expected, power_bi_access(workspace(*promoted)))) == [
        "critical",
        "warning",
    ]
    drifts = compare(expected, power_bi_access(workspace(*as_compiled, ("Eva Jansen", "User", "Admin"))))
    assert [(each.severity, each.audience) for each in drifts] == [("critical", "a person")]
    assert "Eva" not in str(drifts[0])


@pytest.mark.parametrize(
    ("rows", "told"), [({}, "no answer to 'bodies'"), ({"bodies": [{"policy": "p"}]}, "no 'body'")]
)
def test_rows_that_lack_something_are_refused_by_name(rows: Rows, told: str) -> None:
    with pytest.raises(LiveRowsError, match=told):
        snowflake_access(rows)


def test_questions_are_asked_by_name_over_a_connection() -> None:
    sent: list[str] = []

    def ask(sql: str) -> list[dict[str, object]]:
        sent.append(sql)
        return []

    questions = snowflake_questions("analytics")
    assert asked(questions, ask) == {"grants": [], "attached": [], "bodies": []}
    assert sent == list(questions.values())
    assert "object_name = 'marts'" in bigquery_questions("acme", "eu", ["audience_finance", "marts"])["grants"]
