"""The command of an alert is one that a backfill takes, for every asset of the graph that can fail."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from analytics_platform.alerting.findings import Failure, Finding, Observation
from analytics_platform.alerting.incidents import Damping, LifeCycle
from analytics_platform.alerting.judges import failure_of
from analytics_platform.alerting.repair import command_for
from analytics_platform.alerting.routing import Router
from analytics_platform.catalog import Catalog
from analytics_platform.cli import pipeline
from analytics_platform.definitions import build_definitions
from analytics_platform.defs.backfill import Plan
from analytics_platform.defs.begun_backfills import Asked
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.policies import dataset_name
from analytics_platform.settings import Settings

TODAY = datetime.now(UTC).date()
DAY = TODAY - timedelta(days=2)


def commands(catalog: Catalog, graph: dg.AssetGraph) -> dict[str, str | None]:
    """What is to repair a failed run and a failed check, by asset."""
    life = LifeCycle(Router(catalog), Damping())
    found: dict[str, str | None] = {}
    for key in sorted(graph.get_all_asset_keys()):
        if not graph.get(key).is_executable:
            continue
        asset = key.to_user_string()
        tenant = "brabant-rental" if key.path[0] == "raw" else None
        for failure in {Failure.RUN_FAILED, failure_of(asset)}:
            finding = Finding(
                failure=failure,
                asset=asset,
                dataset=dataset_name(key),
                check=None if failure is Failure.RUN_FAILED else "rows_are_unique",
                day=DAY if graph.get(key).partitions_def else None,
                tenant=tenant,
                since=datetime.now(UTC),
            )
            (event,) = life.observe([], Observation((finding,)), datetime.now(UTC))
            found[f"{failure} {asset}"] = command_for(event.incident, catalog.tenants)
    return found


def test_every_command_is_taken(tmp_path: Path, catalog: Catalog) -> None:
    settings = Settings(home=tmp_path, history_start=DAY - timedelta(days=7), backup_target=str(tmp_path / "backups"))
    definitions = build_definitions(settings)
    told = commands(catalog, definitions.resolve_asset_graph())
    assert {name.split()[-1].split("/")[0] for name, command in told.items() if command is None} == {
        "governance",
        "report",
    }
    with open_instance(settings) as instance:
        plan = Plan(settings, definitions, instance)
        for command in filter(None, told.values()):
            _, verb, *words = shlex.split(command)
            given = pipeline.backfill.make_context(verb, words).params
            asked = Asked(given["assets"], given["first"], given["last"], given["tenants"], given["reason"])
            assert plan.understood(asked).assets, command


def test_the_day_stands_in_the_command(catalog: Catalog, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, history_start=date(2026, 1, 1))
    told = commands(catalog, build_definitions(settings).resolve_asset_graph())
    assert f"--from {DAY} --to {DAY}" in str(told["run_failed kpi/revenue/kpi_mrr"])
