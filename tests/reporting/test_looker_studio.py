"""Looker Studio: links that say what the settings say and nothing secret, checklists, and whose rows a viewer sees."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import load_catalog
from analytics_platform.documents import render_html
from analytics_platform.reporting.looker_studio import (
    PARAMETERS,
    LinkError,
    LookerChoices,
    binding_problems,
    checklist,
    data_sources,
    looker_document,
    looker_facts,
    parse_link,
    report_link,
)

CATALOG = load_catalog()
FINANCE = CATALOG.dashboards["finance"]
BIGQUERY = LookerChoices(project="acme-data", reports={"finance": "0B_U5RNpwhcE6SF85TENURnc4UjA"})
FILES = LookerChoices("gcs", "acme-lake/analytics/extracts")
OWNED = replace(BIGQUERY, credentials="owner", viewers_table="acme-data.access.viewers")


def test_a_link_opens_a_copy_of_the_template_over_the_views_of_the_extracts() -> None:
    url = report_link(FINANCE, BIGQUERY)
    assert url.startswith(
        "https://lookerstudio.google.com/reporting/create?c.reportId=0B_U5RNpwhcE6SF85TENURnc4UjA&c.mode=view&"
    )
    link = parse_link(url)
    assert (link.report_id, link.report_name) == ("0B_U5RNpwhcE6SF85TENURnc4UjA", "Finance")
    assert link.sources["mrr"] == {
        "connector": "bigQuery",
        "billingProjectId": "acme-data",
        "type": "TABLE",
        "projectId": "acme-data",
        "datasetId": "extracts",
        "tableId": "finance__mrr",
        "datasourceName": "Finance: mrr",
        "refreshFields": "false",
    }


def test_without_a_template_the_link_makes_a_blank_report_to_edit() -> None:
    link = report_link(CATALOG.dashboards["growth"], BIGQUERY)
    assert parse_link(link).report_id is None
    assert "c.mode=edit" in link


def test_files_in_a_bucket_are_named_by_the_address_that_stays() -> None:
    source = parse_link(report_link(FINANCE, FILES)).sources["mrr"]
    assert source["connector"] == "googleCloudStorage"
    assert (source["pathType"], source["path"]) == ("FILE", "acme-lake/analytics/extracts/finance/mrr/mrr.csv")


@pytest.mark.parametrize("choices", [BIGQUERY, FILES, OWNED], ids=["bigquery", "gcs", "owner"])
@pytest.mark.parametrize("name", CATALOG.dashboards)
def test_every_link_is_read_back_as_it_was_made(name: str, choices: LookerChoices) -> None:
    board = CATALOG.dashboards[name]
    link = parse_link(report_link(board, choices))
    assert link.sources == data_sources(board, choices)
    assert {key for source in link.sources.values() for key in source} <= PARAMETERS


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_no_name_can_add_a_parameter_to_a_link(title: str, location: str, project: str) -> None:
    board = FINANCE.model_copy(update={"title": title})
    choices = LookerChoices(location=location, project=project)
    link = parse_link(report_link(board, choices))
    assert link.report_name == title
    assert link.sources == data_sources(board, choices)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://evil.example/reporting/create?c.mode=edit", "leads to evil.example"),
        (report_link(FINANCE, BIGQUERY) + "#x", "leads to"),
        (report_link(FINANCE, BIGQUERY) + "&ds.mrr.accessToken=abc", "ds.mrr.accessToken"),
        (report_link(FINANCE, BIGQUERY) + "&c.explain=true", "c.explain"),
    ],
)
def test_a_link_that_leads_elsewhere_or_says_more_is_refused(url: str, said: str) -> None:
    with pytest.raises(LinkError, match=said):
        parse_link(url)


def test_owners_credentials_pass_by_row_policies_so_rows_are_picked_by_viewer_or_refused() -> None:
    link = parse_link(report_link(FINANCE, OWNED))
    assert link.sources["mrr"]["type"] == "CUSTOM_QUERY"
    assert link.sources["mrr"]["sql"].endswith(
        "where rows_of_all.tenant_id in (select tenant_id from `acme-data.access.viewers` "
        "where lower(email) = lower(@DS_USER_EMAIL))"
    )
    assert binding_problems(FINANCE, link, OWNED) == []
    for choices in (replace(OWNED, viewers_table=None), replace(FILES, credentials="owner")):
        problems = binding_problems(FINANCE, parse_link(report_link(FINANCE, choices)), choices)
        assert len(problems) == len(FINANCE.extracts)
        assert "uses its owner's credentials and picks no rows by viewer" in problems[0]
    assert binding_problems(FINANCE, parse_link(report_link(FINANCE, FILES)), FILES) == []


def test_columns_of_persons_are_in_no_source_that_picks_rows_by_viewer() -> None:
    (mrr, *others) = FINANCE.extracts
    person = mrr.columns[0].model_copy(update={"name": "customer_ref", "pii": "pseudonymous"})
    board = FINANCE.model_copy(
        update={"extracts": (mrr.model_copy(update={"columns": (*mrr.columns, person)}), *others)}
    )
    assert "customer_ref" not in data_sources(board, OWNED)["mrr"]["sql"]
    entry = next(each for each in checklist(CATALOG, board) if each.name == "customer_ref")
    assert entry.description.endswith("Pseudonymous: not where rows are picked by viewer.")


def formulas(name: str) -> dict[str, str | None]:
    return {each.name: each.formula for each in checklist(CATALOG, CATALOG.dashboards[name]) if each.formula}


def test_a_checklist_has_every_column_and_a_formula_per_kpi() -> None:
    entries = checklist(CATALOG, FINANCE)
    columns = [(extract.name, column.name) for extract in FINANCE.extracts for column in extract.columns]
    assert [(each.source, each.name) for each in entries if each.formula is None] == columns
    assert formulas("finance") == {
        "Monthly recurring revenue": "SUM(mrr_reporting_minor) * 0.01",
        "Invoice collection rate": 'SUM(CASE WHEN basis = "due" THEN collected_reporting_minor END) / '
        'SUM(CASE WHEN basis = "due" THEN net_invoiced_reporting_minor END)',
    }
    assert formulas("operations")["Equipment utilisation"] == "SUM(on_rent_items) / SUM(fleet_items)"
    assert formulas("customer_health")["Net promoter score"] == (
        "(SUM(promoters) - SUM(detractors)) / (SUM(promoters) + SUM(passives) + SUM(detractors)) * 100"
    )
    assert formulas("customer_health")["Ticket resolution time"] == "MEDIAN(final_resolution_minutes)"


def test_what_may_not_be_added_up_over_days_has_no_aggregation() -> None:
    by_name = {(each.source, each.name): each.aggregation for each in checklist(CATALOG, FINANCE)}
    assert by_name["mrr", "mrr_reporting_minor"] == "None"
    assert by_name["receivables", "open_invoices"] == by_name["customer_cohorts", "customers"] == "None"
    operations = {each.name: each.aggregation for each in checklist(CATALOG, CATALOG.dashboards["operations"])}
    assert (operations["planned"], operations["warehouse_id"]) == ("Sum", "None")


def test_a_cohort_counts_once_it_has_had_time_to_mature_and_the_field_says_so() -> None:
    entries = {each.name: each for each in checklist(CATALOG, CATALOG.dashboards["growth"])}
    conversion = entries["Conversion rate per channel"]
    chosen = 'model = "first_touch" AND DATETIME_DIFF(TODAY(), day, DAY) > 90'
    assert conversion.formula == (
        f"SUM(CASE WHEN {chosen} THEN converted END) / SUM(CASE WHEN {chosen} THEN created END)"
    )
    assert conversion.description.endswith("Days that are not more than 90 days ago are left out.")
    assert "left out" not in entries["Qualified leads"].description


def test_the_document_says_whose_rows_are_seen_and_links_are_text() -> None:
    page = render_html(looker_document(CATALOG, FINANCE, BIGQUERY, date(2026, 11, 26))).decode()
    assert "row policies say which rows each viewer sees" in page
    assert "SUM(mrr_reporting_minor)" in page
    warned = render_html(looker_document(CATALOG, FINANCE, replace(OWNED, viewers_table=None), date(2026, 11, 26)))
    assert b"uses its owner" in warned
    facts = looker_facts(CATALOG, FINANCE, BIGQUERY)
    assert urlsplit(facts["link"]).netloc == "lookerstudio.google.com"
