"""The decision table: severity, delivery and channel of each class of failure and tier, and what is one incident."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from alert_examples import DAY, Desk, failed_run, finding, wrong

from analytics_platform.alerting.findings import Failure, Severity
from analytics_platform.alerting.routing import NobodyToTellError, Router, delivery_of
from analytics_platform.catalog import Catalog

TIERS = {"gold": "kpi.kpi_mrr", "silver": "raw.crm", "bronze": "raw.product", "none": "landing"}

# What the tier promises: gold critical, silver warning, bronze info; without a tier, a warning.
SEVERITY: dict[tuple[str, str], dict[str, Severity]] = {
    ("run_failed", ""): {"gold": "critical", "silver": "warning", "bronze": "info", "none": "warning"},
    ("sla_breached", ""): {"gold": "critical", "silver": "warning", "bronze": "info", "none": "warning"},
    ("dead_letters", ""): {"gold": "critical", "silver": "warning", "bronze": "info", "none": "warning"},
    ("check_failed", "blocking"): {"gold": "critical", "silver": "warning", "bronze": "warning", "none": "warning"},
    ("check_failed", "passing"): {"gold": "warning", "silver": "warning", "bronze": "info", "none": "warning"},
    ("kpi_limit", "declared info"): {"gold": "info", "silver": "info", "bronze": "info", "none": "info"},
    ("kpi_limit", "declared critical"): dict.fromkeys(TIERS, "critical"),
    ("kpi_limit", ""): {"gold": "critical", "silver": "warning", "bronze": "info", "none": "warning"},
    ("anomaly", "declared warning"): dict.fromkeys(TIERS, "warning"),
    ("anomaly", ""): {"gold": "critical", "silver": "warning", "bronze": "info", "none": "warning"},
    ("retention", ""): dict.fromkeys(TIERS, "critical"),
    ("access", ""): dict.fromkeys(TIERS, "critical"),
}
DELIVERY = {"critical": ["parent"], "warning": [], "info": []}


def of_case(failure: str, how: str, tier: str) -> dict[str, Any]:
    severity = how.removeprefix("declared ") if how.startswith("declared") else None
    return {
        "failure": Failure(failure),
        "dataset": TIERS[tier],
        "blocking": how == "blocking",
        "severity": severity,
    }


@pytest.mark.parametrize(("case", "tier"), [*product(SEVERITY, TIERS)], ids=str)
def test_severity_and_delivery_follow_from_class_and_tier(
    desk: Desk, catalog: Catalog, case: tuple[str, str], tier: str
) -> None:
    found = finding(**of_case(*case, tier))
    route = Router(catalog).route(found)
    assert route.severity == SEVERITY[case][tier]
    assert route.owner == catalog.datasets[TIERS[tier]].owner
    assert route.channel == catalog.owners[route.owner].slack_channel
    desk.see(wrong(found))
    assert desk.said() == DELIVERY[route.severity]
    assert len(desk.incidents) == 1


def test_the_table_has_every_class_of_failure() -> None:
    assert {failure for failure, _ in SEVERITY} == {failure.value for failure in Failure}


def test_only_what_is_critical_is_told_at_once() -> None:
    assert [delivery_of(each) for each in ("critical", "warning", "info")] == ["now", "digest", "digest"]


def test_a_rule_may_name_an_owner_of_its_own(catalog: Catalog) -> None:
    assert Router(catalog).route(finding(owner="growth")).channel == "#data-growth"


@pytest.mark.parametrize("unknown", [{"dataset": "marts.unheard_of"}, {"owner": "nobody"}])
def test_what_nobody_is_declared_for_goes_to_the_platform_team(catalog: Catalog, unknown: dict[str, str]) -> None:
    assert Router(catalog).route(finding(**unknown)).owner == "data_platform"


def test_without_a_platform_team_nothing_is_routed(catalog: Catalog) -> None:
    owners = {name: owner for name, owner in catalog.owners.items() if name != "data_platform"}
    with pytest.raises(NobodyToTellError, match="declare it"):
        Router(catalog.model_copy(update={"owners": owners}))


@pytest.mark.parametrize(
    ("dataset", "dashboards"),
    [
        ("kpi.kpi_mrr", ("executive_overview", "finance")),
        ("marts.fct_ticket_resolutions", ("customer_health", "executive_overview")),
        ("extracts.growth.qualified_leads", ("growth",)),
        ("dashboard.operations", ("operations",)),
        ("raw.billing", ()),
    ],
)
def test_dashboards_are_those_that_show_the_dataset(
    catalog: Catalog, dataset: str, dashboards: tuple[str, ...]
) -> None:
    assert Router(catalog).route(finding(dataset=dataset)).dashboards == dashboards


CHECK, OTHER, RUN = finding(), finding(check="another_check"), failed_run()

# What is seen, in batches; and how many incidents it is.
ONE_OR_SEVERAL = {
    "a blocking check and its run": ([[CHECK, RUN]], 1),
    "its run first in the batch": ([[RUN, CHECK]], 1),
    "its run in a batch before": ([[RUN], [CHECK]], 1),
    "its run in a batch after": ([[CHECK], [RUN]], 1),
    "two blocking checks and their run": ([[CHECK, OTHER, RUN]], 2),
    "the run, then the two checks": ([[RUN], [CHECK], [OTHER]], 2),
    "the two checks, then the run": ([[OTHER], [CHECK], [RUN]], 2),
    "a check that does not block": ([[finding(blocking=False), RUN]], 2),
    "another run": ([[CHECK, failed_run(run_id="run-2")]], 2),
    "runs that nobody knows": ([[finding(run_id=None), failed_run(run_id=None)]], 2),
    "another asset": ([[CHECK, failed_run(asset="kpi/growth/kpi_leads")]], 2),
    "another day": ([[CHECK, failed_run(day=DAY.replace(day=1))]], 2),
    "another tenant": ([[CHECK, failed_run(tenant="other")]], 2),
    "the same twice": ([[CHECK, CHECK], [CHECK]], 1),
    "a later run of both": (
        [[CHECK], [finding(run_id="run-2")], [failed_run(run_id="run-2")]],
        1,
    ),
    "each tenant": ([[CHECK, finding(tenant="other")]], 2),
    "each day": ([[CHECK, finding(day=DAY.replace(day=1))]], 2),
    "each class": ([[CHECK, finding(failure=Failure.ANOMALY)]], 2),
}


@pytest.mark.parametrize("case", ONE_OR_SEVERAL)
def test_there_is_one_incident_per_check_tenant_and_partition(desk: Desk, case: str) -> None:
    batches, incidents = ONE_OR_SEVERAL[case]
    for batch in batches:
        desk.see(wrong(*batch))
    assert len(desk.incidents) == incidents
    assert desk.said().count("parent") == len([each for each in desk.incidents if each.severity == "critical"])
