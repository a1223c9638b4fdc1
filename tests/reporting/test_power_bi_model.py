"""The semantic model and the project: the headline's rule in DAX, dimensions apart by tenant, the same bytes."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from analytics_platform.catalog import Catalog, Extract, ExtractColumn
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting.power_bi.folder import ForeignFolderError, read_folder, write_folder
from analytics_platform.reporting.power_bi.measures import kpi_measures
from analytics_platform.reporting.power_bi.model import Fact, model_of
from analytics_platform.reporting.power_bi.project import (
    PREFIX,
    ZIP_KEY,
    project_files,
    read_project,
    unzipped,
    write_project,
    zipped,
)
from analytics_platform.reporting.power_bi.semantic_model import semantic_model_files
from analytics_platform.reporting.power_bi.sources import Source
from analytics_platform.reporting.power_bi.tmdl import parse
from reporting.power_bi_projects import MODEL, catalog, files, model, roles


def dax_of(name: str) -> dict[str, str]:
    return {each.name: each.expression for each in kpi_measures(model(), catalog().kpis[name])}


def test_a_stock_is_read_on_the_last_day_of_the_period_that_has_rows() -> None:
    measures = dax_of("mrr")
    assert measures["Monthly recurring revenue (numerator)"] == (
        "VAR _LastDay = CALCULATE(MAX('finance__mrr'[day]), REMOVEFILTERS('finance__mrr'), VALUES('Date'[Date]))\n"
        "RETURN CALCULATE(SUM('finance__mrr'[mrr_reporting_minor]), 'Date'[Date] = _LastDay)"
    )
    assert "COALESCE([Monthly recurring revenue (numerator)] * 0.01, 0)" in measures["Monthly recurring revenue"]


def test_a_ratio_sums_both_sides_over_the_rows_that_it_is_about_before_it_divides() -> None:
    measures = dax_of("invoice_collection_rate")
    table = "'finance__invoice_collection_rate'"
    assert f'KEEPFILTERS({table}[basis] = "due")' in measures["Invoice collection rate (numerator)"]
    assert f"SUM({table}[net_invoiced_reporting_minor])" in measures["Invoice collection rate (denominator)"]
    assert measures["Invoice collection rate"] == (
        "DIVIDE([Invoice collection rate (numerator)] + 0, [Invoice collection rate (denominator)]) * 100"
    )
    assert measures["Invoice collection rate (target)"] == "95"


def test_a_flow_is_summed_over_the_period_and_columns_may_be_subtracted() -> None:
    assert dax_of("equipment_utilisation")["Equipment utilisation (numerator)"] == (
        "SUM('operations__equipment_utilisation'[on_rent_items])"
    )
    promoters = dax_of("nps")["Net promoter score (numerator)"]
    assert "SUM('customer_health__nps'[promoters]) - SUM('customer_health__nps'[detractors])" in promoters


def test_a_sum_is_zero_on_days_without_rows_unless_there_never_was_one() -> None:
    assert dax_of("qualified_leads")["Qualified leads"].endswith(
        "IF(ISEMPTY(CALCULATETABLE('growth__qualified_leads', REMOVEFILTERS('Date'))), BLANK(), "
        "COALESCE([Qualified leads (numerator)], 0))"
    )


def test_a_median_is_taken_over_the_rows_of_the_fact() -> None:
    measures = dax_of("ticket_resolution")
    assert measures["Ticket resolution time (median)"] == "MEDIAN('customer_health__tickets'[final_resolution_minutes])"
    assert measures["Ticket resolution time"] == "[Ticket resolution time (median)]"
    assert "DIVIDE(_Value - _Before, ABS(_Before))" in measures["Ticket resolution time (change)"]


def test_a_cohort_counts_once_it_has_had_time_to_mature() -> None:
    numerator = dax_of("channel_conversion")["Conversion rate per channel (numerator)"]
    assert "REMOVEFILTERS('growth__channel_conversion')) - 90" in numerator
    assert "KEEPFILTERS('growth__channel_conversion'[day] <= _LastMature)" in numerator


def test_columns_of_a_stock_are_not_added_up_over_days_and_those_of_a_flow_are() -> None:
    tables = semantic_model_files(model(), {})

    def summed(table: str) -> set[str]:
        columns = parse(tables[f"tables/{table}.tmdl"])[0].of("column")
        return {each.name for each in columns if each.text("summarizeBy") == "sum"}

    assert summed("finance__mrr") == summed("finance__receivables") == summed("growth__lead_cohorts") == set()
    assert summed("operations__on_time_departures") == {
        "planned", "departed", "on_time", "cancelled", "never_departed",
    }  # fmt: skip


def test_dimensions_are_shared_by_meaning_and_keep_tenants_apart() -> None:
    shared = {each.name: {fact.name for fact in each.facts} for each in model().dimensions}
    assert shared["Warehouse"] >= {"operations__equipment_utilisation", "operations__on_time_departures"}
    assert "operations__equipment_utilisation" not in shared["Category"]
    text = files()[f"{MODEL}tables/operations__on_time_departures.tmdl"].decode()
    assert 'Table.AddColumn(Typed, "warehouse_id_key", each [tenant_id] & "|" & ([warehouse_id] ?? "")' in text


def test_the_total_of_all_tenants_is_no_tenant() -> None:
    assert '[tenant_id] <> "all")' in files()[f"{MODEL}tables/Tenant.tmdl"].decode()


def with_columns(extracts: dict[str, str]) -> Catalog:
    """The catalogue with a column more in some extracts, of the class named."""
    found = catalog()

    def widened(extract: Extract, pii: str) -> Extract:
        column = ExtractColumn.model_validate(
            {"name": "customer_ref", "type": "string", "pii": pii, "description": "Customer."}
        )
        return extract.model_copy(update={"columns": (*extract.columns, column), "pii_policy": "pseudonymous"})

    boards = {
        name: board.model_copy(
            update={
                "extracts": tuple(
                    widened(each, extracts[each.name]) if each.name in extracts else each for each in board.extracts
                )
            }
        )
        for name, board in found.dashboards.items()
    }
    kpis = {
        name: kpi.model_copy(update={"drill_downs": (*kpi.drill_downs, "customer_ref")})
        for name, kpi in found.kpis.items()
    }
    return found.model_copy(update={"dashboards": boards, "kpis": kpis})


def test_a_personal_column_is_never_shared_nor_on_a_page() -> None:
    personal = model_of(with_columns({"mrr": "pseudonymous", "invoice_collection_rate": "pseudonymous"}), Source())
    assert "customer_ref" not in {each.column for each in personal.dimensions}
    assert "customer_ref" not in personal.drill_downs(personal.catalog.kpis["mrr"])
    open_ = model_of(with_columns({"mrr": "none", "invoice_collection_rate": "none"}), Source())
    assert "customer_ref" in {each.column for each in open_.dimensions}


def test_a_warehouse_has_views_of_what_is_cut_from_a_table_and_no_others() -> None:
    bigquery = files("bigquery")
    views = bigquery["extract_views.sql"].decode()
    assert "create or replace view extracts.finance__mrr as\nselect day, tenant_id, currency" in views
    assert "from kpi.kpi_mrr;" in views
    assert f"{MODEL}tables/executive_overview__kpi_headlines.tmdl" not in bigquery
    assert "extract_views.sql" not in files()
    assert "executive_overview__kpi_headlines" not in "".join(roles(model("bigquery")).values())


def test_a_location_stands_in_the_parameter_and_cannot_leave_it() -> None:
    here = model_of(catalog(), Source("folder", r'D:\lake\"x" #(cr)'))
    text = project_files(here, {})[f"{MODEL}expressions.tmdl"].decode()
    assert 'expression ExtractLocation = "D:\\lake\\""x"" #(#)(cr)" meta [IsParameterQuery=true' in text


def test_the_same_catalogue_gives_the_same_bytes() -> None:
    first, second = project_files(model(), roles(model())), project_files(model(), roles(model()))
    assert first == second
    assert zipped(first) == zipped(dict(reversed(second.items())))
    assert unzipped(zipped(first)) == first


def test_ids_are_unique_within_the_project() -> None:
    lines = [line for body in files().values() for line in body.decode().splitlines() if "lineageTag:" in line]
    assert len(lines) == len({line.strip() for line in lines}) > 100


def test_the_lake_gets_the_project_once_and_loses_what_is_gone(tmp_path: Path) -> None:
    store, project = LocalStore(tmp_path), files()
    assert write_project(store, project) == len(project) + 1
    assert write_project(store, project) == 0
    assert read_project(store) == project
    fewer = {name: body for name, body in project.items() if "growth" not in name}
    assert write_project(store, fewer) == len(project) - len(fewer) + 1
    assert {info.key for info in store.list(PREFIX)} == {f"{PREFIX}{name}" for name in fewer} | {ZIP_KEY}


def test_the_pointer_is_put_after_all_that_it_points_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, order = LocalStore(tmp_path), []
    monkeypatch.setattr(store, "put", lambda key, data: order.append(key))
    write_project(store, files())
    assert order[-2:] == [ZIP_KEY, f"{PREFIX}Analytics.pbip"]


def test_a_folder_gets_the_project_keeps_desktops_own_files_and_is_not_taken_from_others(tmp_path: Path) -> None:
    folder, project = tmp_path / "project", files()
    assert write_folder(folder, project) == len(project)
    local = folder / "Analytics.SemanticModel/.pbi/cache.abf"
    local.parent.mkdir()
    local.write_bytes(b"cache")
    gone = f"{MODEL}tables/Tenant.tmdl"
    assert write_folder(folder, {name: body for name, body in project.items() if name != gone}) == 1
    assert not (folder / gone).exists()
    assert local.exists()
    assert read_folder(folder).keys() == project.keys() - {gone}
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.docx").write_bytes(b"years of work")
    with pytest.raises(ForeignFolderError, match=r"is not empty and holds no Analytics\.pbip"):
        write_folder(other, project)


def test_no_visual_lies_on_another() -> None:
    pages: dict[str, list[tuple[float, float, float, float]]] = {}
    for name, body in files().items():
        if name.endswith("/visual.json"):
            at = json.loads(body)["position"]
            box = (at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"])
            pages.setdefault(name.split("/pages/")[1].split("/")[0], []).append(box)
    for boxes in pages.values():
        assert not [
            (one, other)
            for one, other in combinations(boxes, 2)
            if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
        ]


def test_facts_are_named_as_the_access_policy_names_them() -> None:
    from analytics_platform.governance.access.tables import place_of

    assert all(fact.name == place_of(fact.dataset)[1] for fact in model().facts)
    assert isinstance(model().facts[0], Fact)
