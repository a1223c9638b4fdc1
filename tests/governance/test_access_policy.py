"""The policy, resolved: patterns, classes, roles of the product, audiences; denied unless granted."""

from __future__ import annotations

import string

import pytest
from access_examples import EXTRACT, INVOICES, RATES, ROLES, TABLES, TENANTS, example_policy, role
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics_platform.catalog import PII_CLASSES, Audience, Catalog
from analytics_platform.catalog.cross_references import find_problems
from analytics_platform.catalog.governance import pattern_covers
from analytics_platform.governance.access.pages import opened_as, page_keys
from analytics_platform.governance.access.policy import policy_of
from analytics_platform.governance.access.tables import Column, DbtTable, Table, is_shown, tables_of

POLICY = example_policy()
NAMES = st.lists(st.text("abz_1", min_size=1, max_size=4), min_size=1, max_size=4).map(".".join)


def test_what_no_pattern_covers_is_in_no_role() -> None:
    assert "marts.fct_tickets" not in POLICY.by_role["finance"].by_dataset
    assert "dashboard.finance" not in POLICY.by_role["auditor"].by_dataset


def test_columns_above_the_roles_class_and_those_of_no_class_are_masked() -> None:
    assert POLICY.by_role["finance"].by_dataset["marts.fct_invoices"].masked == ("unclassed",)
    assert POLICY.by_role["auditor"].by_dataset["marts.fct_invoices"].masked == ("customer_ref", "contact", "unclassed")


def test_a_role_for_own_tenants_is_denied_a_table_whose_rows_cannot_be_told_apart() -> None:
    viewer = POLICY.by_role["viewer"].by_dataset
    assert RATES.dataset not in viewer
    assert viewer[INVOICES.dataset].tenant_column == "tenant_id"
    assert POLICY.by_role["auditor"].by_dataset[INVOICES.dataset].tenant_column is None


def test_places_with_personal_bytes_are_for_those_who_may_see_everything(catalog: Catalog) -> None:
    policy = policy_of(catalog, {})
    assert policy.by_role["admin"].by_dataset["landing"].kind == "place"
    everything = role("other", "all", "personal", "*")
    limited = policy_of(catalog.model_copy(update={"access_roles": {"other": everything}}), {})
    assert "landing" not in limited.by_role["other"].by_dataset
    assert "run_records" in limited.by_role["other"].by_dataset


@given(st.sampled_from(PII_CLASSES), st.sampled_from([None, *PII_CLASSES]))
def test_a_class_is_shown_up_to_the_roles_and_no_class_never(most: str, pii: str | None) -> None:
    order = {name: place for place, name in enumerate(("none", "pseudonymous", "personal", "sensitive"))}
    assert is_shown(pii, most) == (pii is not None and order[pii] <= order[most])  # type: ignore[arg-type]


@given(NAMES, NAMES)
def test_a_pattern_covers_its_own_beginning_and_nothing_else(pattern: str, name: str) -> None:
    assert pattern_covers(pattern, name) == (pattern == name)
    assert pattern_covers(f"{pattern}*", name) == (name[: len(pattern)] == pattern)
    assert pattern_covers("*", name)


@given(st.text(string.printable, min_size=1))
def test_a_name_of_the_product_means_a_role_letter_for_letter_or_none(name: str) -> None:
    expected = {"finance": "finance", "auditor": "auditor", "Customer": "viewer", "Guest": "viewer"}
    assert POLICY.role_meant_by(name) == expected.get(name)


@pytest.mark.parametrize(
    ("name", "meant"), [("Guest", "viewer"), ("guest", None), ("viewer", None), ("finance ", None)]
)
def test_configured_names_take_the_place_of_the_roles_own(name: str, meant: str | None) -> None:
    assert POLICY.role_meant_by(name) == meant


@given(st.lists(st.tuples(st.sampled_from(["finance", "viewer", "ghost", ""]), st.lists(st.sampled_from(TENANTS)))))
def test_a_principal_is_in_the_audiences_of_its_roles_and_tenants_alone(held: list[tuple[str, list[str]]]) -> None:
    expected = {"finance" for name, _ in held if name == "finance"}
    expected |= {f"viewer@{tenant}" for name, tenants in held if name == "viewer" for tenant in tenants}
    assert {each.name for each in POLICY.audiences_of(held)} == expected


def test_a_role_of_the_product_that_means_two_of_ours_does_not_load(catalog: Catalog) -> None:
    first, second = list(catalog.access_roles.values())[:2]
    roles = {**catalog.access_roles, second.name: second.model_copy(update={"rbac_names": (first.name,)})}
    problems = find_problems(catalog.model_copy(update={"access_roles": roles}))
    assert [str(problem) for problem in problems if "rbac_names" in str(problem)]
    assert not [problem for problem in find_problems(catalog) if "rbac_names" in str(problem)]


def test_an_empty_name_of_the_product_is_refused() -> None:
    with pytest.raises(ValidationError):
        role("viewer", "own", "none", "*", rbac_names=(" ",))


def test_the_hash_is_of_what_the_policy_says_and_tenants_are_not_in_it() -> None:
    assert example_policy().sha256 == POLICY.sha256
    narrower = example_policy(*ROLES[:2])
    assert narrower.sha256 != POLICY.sha256
    assert {each.name for each in POLICY.audiences(["x"])} == {"finance", "auditor", "viewer@x"}


def test_pages_are_opened_by_their_audience_and_by_nobody_else() -> None:
    finance, alpha = Audience("finance"), Audience("viewer", "alpha")
    assert opened_as(POLICY, [alpha], "dashboards/finance/viewer@alpha.html")
    assert opened_as(POLICY, [finance], "dashboards/finance/finance.html")
    assert opened_as(POLICY, [finance], "reports/weekly/week=2026-11-23/all.pdf")
    assert opened_as(POLICY, [alpha], "reports/weekly/week=2026-11-23/alpha.pdf")
    for denied in (
        "dashboards/finance/viewer@b-c.html",
        "dashboards/finance/finance.html",
        "dashboards/finance/viewer@alpha.html/../viewer@b-c.html",
        "reports/weekly/week=2026-11-23/b-c.pdf",
        "reports/expectations.html",
        "evidence/0000000001.json",
    ):
        assert not opened_as(POLICY, [alpha], denied), denied
    assert not opened_as(POLICY, [finance], "reports/weekly/week=2026-11-23/alpha.pdf"), "staff's is the one over all"
    assert not opened_as(POLICY, [], "dashboards/finance/finance.html")
    assert opened_as(POLICY, [alpha, finance], "dashboards/finance/finance.html") == finance
    assert page_keys(POLICY, Audience("viewer", "*")) == []
    assert page_keys(POLICY, Audience("nobody")) == []
    assert page_keys(POLICY, Audience("auditor")) == []


def classes(table: Table) -> dict[str, str | None]:
    return {column.name: column.pii for column in table.columns}


def test_classes_come_from_the_plan_the_registry_and_dbt_and_the_most_protected_counts(catalog: Catalog) -> None:
    dbt = {
        "marts.fct_invoices": DbtTable(
            ("p", "fct_invoices"),
            {"customer_ref": ("none", None), "total_minor": ("none", "bigint"), "new": (None, None)},
        ),
        "staging.stg_crm__nps_submitted": DbtTable(("p",), {"comment": ("none", None), "score": ("personal", None)}),
    }
    tables = tables_of(catalog, dbt)
    assert classes(tables["marts.fct_invoices"]) == {
        "customer_ref": "pseudonymous",  # listed as PII: dbt's `none` does not count
        "total_minor": "none",
        "new": None,
    }
    staged = classes(tables["staging.stg_crm__nps_submitted"])
    assert (staged["comment"], staged["score"], staged["message_id"]) == ("sensitive", "personal", "none")
    raw = classes(tables["raw.billing"])
    assert (raw["properties"], raw["event"]) == ("sensitive", "none")
    assert tables["raw.billing"].dbt_path is None


def test_an_extract_is_cut_to_its_declared_columns_and_says_what_it_reads(catalog: Catalog) -> None:
    tables = tables_of(catalog, {})
    mrr, headlines = tables["extracts.finance.mrr"], tables["extracts.executive_overview.kpi_headlines"]
    assert mrr.reads == ("kpi.kpi_mrr",)
    assert "cast(mrr_minor as bigint) as mrr_minor" in mrr.source
    assert "?" not in headlines.source
    assert len(headlines.reads) > 5
    assert headlines.place == ("extracts", "executive_overview__kpi_headlines")
    assert EXTRACT.is_extract
    assert not Table("marts.x", (Column("a", "none"),), None, "marts.x", ("marts.x",)).is_extract
    assert set(TABLES) >= {EXTRACT.dataset}
