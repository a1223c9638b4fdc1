"""200 tenants and three years on one page: what every number still says, and how many bytes that takes."""

import pytest

from analytics_platform.catalog import Audience, load_catalog
from analytics_platform.reporting.dimensions import MOST_VALUES, OTHERS
from analytics_platform.reporting.page import PageContent, render_page
from analytics_platform.reporting.payload import Pages
from analytics_platform.reporting.shown import figure
from asset_checks.published import MOST_BYTES
from reporting.kpi_tables import catalog_with, renamed
from reporting.large_pages import large_page_rows

BRABANT = load_catalog().tenants["brabant-rental"]
TENANTS = [renamed(BRABANT, f"t{number:03}", f"Tenant number {number}") for number in range(200)]


@pytest.mark.parametrize("dashboard", ["executive_overview", "finance"])
def test_200_tenants_and_three_years_stay_within_the_size_budget(dashboard: str) -> None:
    catalog = catalog_with(TENANTS)
    pages = Pages(catalog, large_page_rows(catalog, dashboard, TENANTS, 1095))
    page = render_page(catalog, PageContent(pages.payload(Audience("admin")), []))
    assert 1_000_000 < len(page) < MOST_BYTES

    payload = pages.payload(Audience("admin"))
    projects = payload["dimensions"]["project_id"]
    assert len(payload["dimensions"]["tenant_id"]["values"]) == 200
    assert (len(projects["values"]), projects["values"][projects["others"]]) == (MOST_VALUES + 1, OTHERS)
    mrr = next(kpi for kpi in payload["kpis"] if kpi["name"] == "mrr")
    by_project = [figure(payload, mrr, "13w", {"project_id": value}) or 0 for value in projects["values"]]
    assert sum(by_project) == pytest.approx(figure(payload, mrr, "13w"))
