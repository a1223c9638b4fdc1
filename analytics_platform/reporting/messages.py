"""The words of a page that are not the catalogue's: a mapping per language, so that a language is added, not built in.

What a KPI is called and means comes from the catalogue; the browser writes numbers and dates in the reader's locale.
"""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "all_tenants": "All tenants",
    "amounts_in": "Amounts in {currency}",
    "as_of": "Data as of {date}",
    "as_of_late": "As of {date}: the days since are not published yet",
    "before": "period before",
    "below_target": "short of target",
    "better": "better",
    "change": "Change",
    "cohorts": "Leads created {first} to {last}: each cohort has had {days} days to convert",
    "definition": "Definition of {title}",
    "drill_chart": "{title} by {dimension}, bar chart; the table below it has the same figures",
    "drill_table": "{title} by {dimension}, {first} to {last}",
    "drill_top": "{shown} of {total} with the largest share",
    "incomplete": "{present} of {days} days published",
    "matrix": "Tenants side by side",
    "no_comparison": "no earlier period to compare with",
    "no_data": "No data in this period",
    "none_shown": "no data",
    "not_named": "not assigned",
    "on_target": "on target",
    "others": "{count} others",
    "period": "Period",
    "period_12m": "12 months",
    "period_13w": "13 weeks",
    "period_30d": "30 days",
    "points": "pts",
    "previous": "Before",
    "share": "Share",
    "share_ratio": "Share of base",
    "show_table": "Figures as tables",
    "skip": "Skip to the figures",
    "snapshot_period": "at the close of {last}",
    "target": "target",
    "target_value": "Target {target}",
    "tenant": "Tenant",
    "this_period": "this period",
    "trend_chart": "{title}, {first} to {last}, chart; the tables below it have the same figures",
    "trend_table": "{title} over time, {first} to {last}",
    "flow_period": "{first} to {last}",
    "unchanged": "unchanged",
    "value": "Value",
    "versus": "vs {previous} before",
    "worse": "worse",
}

DIMENSIONS: Mapping[str, str] = {
    "campaign": "campaign",
    "category": "category",
    "channel": "channel",
    "currency": "currency",
    "customer_ref": "customer",
    "priority": "priority",
    "project_id": "project",
    "tenant_id": "tenant",
    "touchpoint": "touchpoint",
    "warehouse_id": "warehouse",
}


def dimension_name(column: str) -> str:
    """What readers call a drill-down column."""
    return DIMENSIONS.get(column, column.replace("_", " "))
