"""What Snowflake, BigQuery and a Power BI workspace really grant, from rows that they answer with.

Belongs here: the questions to ask, and what the answers mean. Stays out: connecting. Rows come in under the names of
the questions, from the warehouse that is configured (`targets`), or from a file in which somebody has put the answers
(`analytics access diff --rows`).
None of it was run against the real products: the questions follow their documentation, the answers in the tests are
written by hand in its form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.access import bigquery, power_bi, snowflake
from analytics_platform.governance.access.drift import Access, Privilege, Restriction

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Answers by the name of their question; names of columns in lower case."""

Ask = Callable[[str], Sequence[Mapping[str, Any]]]
"""A connection: SQL in, rows out, names of columns in lower case."""

Request = Callable[[str, str, Mapping[str, Any] | None], Mapping[str, Any]]
"""A request of BigQuery's API: method, path below /bigquery/v2 and body in, the answer's JSON out."""

WORKSPACE = "workspace"
PERSON = "a person"
"""Stands for whoever is in a workspace as himself and not by a group; who it is, nobody reads here."""


class LiveRowsError(AnalyticsError):
    """The rows of what is granted lack a question or a column; the text names it."""


def snowflake_questions(database: str) -> dict[str, str]:
    """What to ask Snowflake; account usage is up to two hours late, and sees every role."""
    usage, name = "snowflake.account_usage", database.upper()
    named = "lower(ref_schema_name || '.' || ref_entity_name)"
    return {
        "grants": (
            f"select grantee_name as grantee, privilege, lower(table_schema || '.' || name) as dataset "
            f"from {usage}.grants_to_roles where deleted_on is null and granted_on in ('TABLE', 'VIEW') "
            f"and privilege <> 'OWNERSHIP' and table_catalog = '{name}'"
        ),
        "attached": (
            f"select policy_name as policy, policy_kind as kind, {named} as dataset, "
            f"lower(ref_column_name) as column_name from {usage}.policy_references where ref_database_name = '{name}'"
        ),
        "bodies": (
            f"select policy_name as policy, policy_body as body from {usage}.row_access_policies "
            f"where deleted is null and policy_catalog = '{name}' union all "
            f"select policy_name, policy_body from {usage}.masking_policies "
            f"where deleted is null and policy_catalog = '{name}'"
        ),
    }


def bigquery_questions(project: str, region: str, datasets: Sequence[str]) -> dict[str, str]:
    """What to ask BigQuery by SQL; `row_policies` come from `rowAccessPolicies.list` and `.getIamPolicy` of its API."""
    catalog = f"`{project}`.`region-{region}`.information_schema"
    return {
        "grants": " union all ".join(
            f"select grantee, privilege_type as privilege, object_schema as schema_name, object_name "
            f"from {catalog}.object_privileges where object_name = '{name}'"
            for name in datasets
        ),
        "views": (
            f"select table_schema || '.' || table_name as view_name, view_definition as body from {catalog}.views "
            f"where starts_with(table_schema, '{bigquery.view_dataset('')}')"
        ),
    }


def asked(questions: Mapping[str, str], ask: Ask) -> Rows:
    """The answers to all questions."""
    return {name: ask(sql) for name, sql in questions.items()}


def bigquery_row_policies(request: Request, project: str, tables: Iterable[str]) -> list[dict[str, Any]]:
    """Each row access policy of the tables with those that it grants rows to; no SQL tells either.

    Args:
        request: sends one request.
        project: the project.
        tables: `dataset.table` each; they have to be there.
    """
    found = []
    for dataset in tables:
        schema, _, name = dataset.partition(".")
        path = f"/projects/{project}/datasets/{schema}/tables/{name}/rowAccessPolicies"
        for listed in _listed(request, path):
            policy = listed["rowAccessPolicyReference"]["policyId"]
            said = request("POST", f"{path}/{policy}:getIamPolicy", {})
            who = [member for binding in said.get("bindings", ()) for member in binding["members"]]
            rows = listed["filterPredicate"]
            found.append({"dataset": dataset, "policy": policy, "filter_predicate": rows, "grantees": who})
    return found


def _listed(request: Request, path: str) -> Iterator[Mapping[str, Any]]:
    """All pages of a list of row access policies."""
    token = ""
    while True:
        answer = request("GET", f"{path}?pageToken={quote(token)}" if token else path, None)
        yield from answer.get("rowAccessPolicies", ())
        token = answer.get("nextPageToken", "")
        if not token:
            return


def snowflake_access(rows: Rows) -> Access:
    """What Snowflake grants and hides."""
    bodies = {_value(row, "bodies", "policy"): _value(row, "bodies", "body") for row in _answer(rows, "bodies")}
    privileges = {
        Privilege(snowflake.TARGET, *(_value(row, "grants", name) for name in ("grantee", "dataset", "privilege")))
        for row in _answer(rows, "grants")
    }
    restrictions: dict[Restriction, str] = {}
    for row in _answer(rows, "attached"):
        dataset, column = _value(row, "attached", "dataset"), row.get("column_name")
        is_mask = _value(row, "attached", "kind") == "MASKING_POLICY"
        place = snowflake.mask_restriction(dataset, str(column)) if is_mask else snowflake.row_restriction(dataset)
        restrictions[place] = snowflake.flat(bodies.get(_value(row, "attached", "policy"), ""))
    return Access(frozenset(privileges), restrictions)


def bigquery_access(rows: Rows, project: bigquery.Project) -> Access:
    """What BigQuery grants and hides; whoever writes and the project's owners may do what they do."""
    writer = f"serviceAccount:{project.writer}"
    privileges = {
        Privilege(
            bigquery.TARGET,
            _value(row, "grants", "grantee"),
            _value(row, "grants", "object_name"),
            _value(row, "grants", "privilege"),
        )
        for row in _answer(rows, "grants")
        if _value(row, "grants", "grantee") != writer
        and not _value(row, "grants", "grantee").startswith("projectOwner:")
    }
    for row in _answer(rows, "row_policies"):
        right = f"rows where {snowflake.flat(_value(row, 'row_policies', 'filter_predicate'))}"
        dataset = _value(row, "row_policies", "dataset")
        privileges |= {Privilege(bigquery.TARGET, who, dataset, right) for who in row.get("grantees", ())}
    restrictions = {
        bigquery.view_restriction(_value(row, "views", "view_name")): snowflake.flat(_value(row, "views", "body"))
        for row in _answer(rows, "views")
    }
    return Access(frozenset(privileges), restrictions)


def power_bi_access(rows: Rows) -> Access:
    """Who is in the workspace, and as what: from `GET /groups/{id}/users` of Power BI's API."""
    return Access(
        frozenset(
            Privilege(power_bi.TARGET, _member(row), WORKSPACE, _value(row, "users", "groupUserAccessRight"))
            for row in _answer(rows, "users")
        )
    )


def _member(row: Mapping[str, Any]) -> str:
    return _value(row, "users", "displayName") if row.get("principalType") == "Group" else PERSON


def _answer(rows: Rows, question: str) -> Sequence[Mapping[str, Any]]:
    if question not in rows:
        raise LiveRowsError(
            f"there is no answer to {question!r}; ask what `analytics access compile` wrote to questions/"
        )
    return rows[question]


def _value(row: Mapping[str, Any], question: str, column: str) -> str:
    if column not in row:
        raise LiveRowsError(f"a row of {question!r} has no {column!r}; it has {', '.join(row)}")
    return str(row[column])
