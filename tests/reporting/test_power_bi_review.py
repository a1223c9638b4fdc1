"""A sound project passes every rule; a project that is broken in one way fails the rule that is about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from analytics_platform.reporting.power_bi.report import page_name
from analytics_platform.reporting.power_bi.review import RULES, Granted, Rule, review
from analytics_platform.reporting.power_bi.schemas import ADDRESS, SchemaMissingError, schema_problems
from analytics_platform.reporting.power_bi.sources import SourceKind
from reporting.power_bi_projects import (
    MODEL,
    PAGES,
    Files,
    catalog,
    files,
    moved,
    removed,
    replaced,
    visuals,
    wanted,
)

REPORT = "Analytics.Report/definition/report.json"
PBIR = "Analytics.Report/definition.pbir"
MRR = f"{MODEL}tables/finance__mrr.tmdl"
KPIS = f"{MODEL}tables/KPIs.tmdl"
JOINS = f"{MODEL}relationships.tmdl"
CARD = visuals(files(), "card")[0]
FINANCE = page_name(catalog().dashboards["finance"])
VIEWER = f"{MODEL}roles/tenant_viewer@brabant-rental.tmdl"
FINANCE_ROLE = f"{MODEL}roles/finance.tmdl"


def empty_page(project: Files) -> None:
    for name in [each for each in project if each.startswith(f"{PAGES}{FINANCE}/visuals/")]:
        del project[name]


def page_more(project: Files) -> None:
    page = json.loads(project[f"{PAGES}{FINANCE}/page.json"]) | {"name": "orphan"}
    project[f"{PAGES}orphan/page.json"] = json.dumps(page).encode()


BROKEN: list[tuple[Rule, str, Callable[[Files], None]]] = [
    ("files_are_as_published", "visual.json", replaced(CARD, '"queryRef"', '"query"')),
    ("files_are_as_published", "2.4.0", replaced(CARD, "visualContainer/2.4.0", "visualContainer/9.9.9")),
    ("files_are_as_published", "field/Measures", replaced(CARD, '"Measure": {', '"Measures": {')),
    ("files_are_as_published", "queryRef", replaced(CARD, '"queryRef": "KPIs.', '"queryRef": "KPI.')),
    ("files_are_as_published", "no model ../Other", replaced(PBIR, "../Analytics", "../Other")),
    ("files_are_as_published", "definition.pbism is missing", removed("Analytics.SemanticModel/definition.pbism")),
    ("files_are_as_published", "no report Other", replaced("Analytics.pbip", "Analytics.Report", "Other.Report")),
    ("files_are_as_published", "is no object", replaced(MRR, "table finance__mrr", "tables finance__mrr")),
    ("files_are_as_published", "table Date is listed", removed(f"{MODEL}tables/Date.tmdl")),
    ("files_are_as_published", "no file of a project", moved(CARD, f"{PAGES}notes.json")),
    ("fields_are_in_the_model", "no measure", replaced(KPIS, "measure 'Monthly recurring revenue' =", "measure MRR =")),
    ("fields_are_in_the_model", "no column Warehouse", removed(f"{MODEL}tables/Warehouse.tmdl")),
    ("fields_are_in_the_model", "no column Day", replaced(REPORT, '"Property": "Date"', '"Property": "Day"')),
    ("columns_are_of_the_extracts", "fx_minor", replaced(MRR, "column fx_minor", "column fx_cents")),
    ("columns_are_of_the_extracts", "mrr_minor is string", replaced(MRR, "dataType: int64", "dataType: string")),
    ("columns_are_of_the_extracts", "reads other", replaced(MRR, "sourceColumn: mrr_minor", "sourceColumn: other")),
    ("relationships_join", "no column finance__mrr.days", replaced(JOINS, "finance__mrr.day", "finance__mrr.days")),
    ("relationships_join", "joins string to dateTime", replaced(JOINS, "finance__mrr.day", "finance__mrr.currency")),
    ("relationships_join", "names no column", replaced(JOINS, "fromColumn: finance__mrr.day", "fromColumn: day")),
    ("relationships_join", "joined twice", replaced(JOINS, "Tenant.Tenant", "Date.Date")),
    ("roles_follow_the_policy", "finance of the policy is missing", removed(FINANCE_ROLE)),
    ("roles_follow_the_policy", "filtered by nothing", replaced(FINANCE_ROLE, " = FALSE()", "")),
    ("roles_follow_the_policy", "filtered by", replaced(VIEWER, '"brabant-rental"', '"albion-stage"')),
    ("roles_follow_the_policy", "filtered by", replaced(VIEWER, '[Tenant] = "b', '[Tenant] <> "b')),
    ("roles_follow_the_policy", "no table", replaced(VIEWER, "tablePermission Tenant", "tablePermission Tenants")),
    (
        "roles_follow_the_policy",
        "currency is hidden",
        replaced(VIEWER, "\ttablePermission finance__mrr = 'finance__mrr'[tenant_id] = \"brabant-rental\"\n",
                 "\ttablePermission finance__mrr = 'finance__mrr'[tenant_id] = \"brabant-rental\"\n\n"
                 "\t\tcolumnPermission currency\n\t\t\tmetadataPermission: none\n"),
    ),
    ("measures_name_what_exists", "no column finance__mrr[mrr]", replaced(KPIS, "[mrr_reporting_minor]", "[mrr]")),
    ("measures_name_what_exists", "no table mrr", replaced(KPIS, "SUM('finance__mrr'", "SUM('mrr'")),
    ("measures_name_what_exists", "[Revenue]", replaced(KPIS, "[Monthly recurring revenue (numerator)]", "[Revenue]")),
    ("measures_name_what_exists", "KPI mrr has no measure", replaced(KPIS, "'Monthly recurring revenue' ", "x ")),
    ("measures_name_what_exists", "no token", replaced(KPIS, "SUM('finance__mrr'", "SUM('finance__mrr")),
    ("pages_mirror_the_dashboards", "in the order or in a folder", removed(f"{PAGES}{FINANCE}/page.json")),
    ("pages_mirror_the_dashboards", "mirrors no dashboard", page_more),
    ("pages_mirror_the_dashboards", "its page is empty", empty_page),
    ("pages_mirror_the_dashboards", "titled", replaced(f"{PAGES}{FINANCE}/page.json", '"Finance"', '"Money"')),
    ("pages_mirror_the_dashboards", "the visual is called", moved(CARD, CARD.replace("/visuals/", "/visuals/a"))),
    ("pages_mirror_the_dashboards", "over the edge", replaced(CARD, '"width": ', '"width": 99')),
]  # fmt: skip


@pytest.mark.parametrize("kind", get_args(SourceKind))
def test_a_generated_project_passes_every_rule(kind: str) -> None:
    found = review(files(kind), wanted(kind))
    assert {rule: each.problems for rule, each in found.items()} == dict.fromkeys(RULES, ())
    assert all(each.checked for each in found.values())


@pytest.mark.parametrize(("rule", "said", "change"), BROKEN, ids=[f"{n}-{each[0]}" for n, each in enumerate(BROKEN)])
def test_a_project_that_is_broken_fails_the_rule_about_it(
    rule: Rule, said: str, change: Callable[[Files], None]
) -> None:
    project = files()
    change(project)
    problems = review(project, wanted())[rule].problems
    assert any(said in each for each in problems), problems[:5]


def test_every_rule_has_a_project_that_fails_it() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_a_column_that_its_table_has_not_fails_and_so_does_a_table_that_nobody_describes() -> None:
    told = wanted()
    columns = {**told.columns, "kpi.kpi_mrr": frozenset({"day"})}
    del columns["kpi.kpi_nps"]
    problems = review(files(), replace(told, columns=columns))["columns_are_of_the_extracts"].problems
    assert "finance__mrr.tenant_id: kpi.kpi_mrr has no such column" in problems
    assert "customer_health__nps: neither dbt nor the registry describes kpi.kpi_nps" in problems


def test_a_mask_that_the_policy_gained_fails_until_roles_hide_the_column() -> None:
    told = wanted()
    roles = {**told.roles, "executive": {**told.roles["executive"]}}
    roles["executive"]["extracts.finance.mrr"] = Granted(None, frozenset({"project_id"}))
    problems = review(files(), replace(told, roles=roles))["roles_follow_the_policy"].problems
    assert problems == ("role executive: finance__mrr.project_id is hidden or masked by the policy, not both",)


def test_microsofts_schemas_judge_the_files_where_somebody_has_them(tmp_path: Path) -> None:
    project = {name: body for name, body in files().items() if name.endswith("/page.json")}
    with pytest.raises(SchemaMissingError, match=r"page/2\.0\.0.*give a checkout"):
        schema_problems(project, tmp_path)
    for name, of in {
        "page": {"properties": {"width": {"$ref": "../../size/1.0.0/schema.json"}}},
        "size": {"type": "number"},
    }.items():
        path = (
            tmp_path / "fabric/item/report/definition" / name / ("2.0.0" if name == "page" else "1.0.0") / "schema.json"
        )
        path.parent.mkdir(parents=True)
        address = f"{ADDRESS}{path.relative_to(tmp_path).as_posix()}"
        path.write_text(json.dumps({"$id": address, "$schema": "http://json-schema.org/draft-07/schema#", **of}))
    assert schema_problems(project, tmp_path) == []
    name = next(iter(project))
    broken = {name: project[name].replace(b'"width": 1280', b'"width": "wide"')}
    assert schema_problems(broken, tmp_path) == [f'{name}: width: "wide" is not of type "number"']
