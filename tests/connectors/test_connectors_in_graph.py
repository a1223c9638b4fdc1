"""Connectors in the graph: assets upstream of the landing, their checks, and when they run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from connector_house import HEADER, ROW, aged, invoices

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.connectors.loading import EXAMPLES
from analytics_platform.connectors.state import Account, StreamState, put_state, read_state
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.connectors import connector_assets, connectors_of, is_due
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.resources import build_resources, store_from
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from asset_checks.connectors import few_rows_are_refused, rows_are_accounted_for

BOOKS = keys.connector("books", "invoices")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deployment with a drop, a database and an API."""
    home = tmp_path_factory.mktemp("home")
    (home / "connectors").mkdir()
    (home / "connectors" / "books.yaml").write_text(yaml.safe_dump({**invoices(), "settle_seconds": 0}))
    for name in ("product_database", "zendesk"):
        (home / "connectors" / f"{name}.yaml").write_text((EXAMPLES / f"{name}.yaml").read_text())
    settings = Settings(home=home, environment="staging")
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return settings


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_each_stream_is_an_asset_before_the_landing(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    before = graph.get(keys.LANDING_EVENTS).parent_keys
    assert before == {
        BOOKS,
        keys.connector("product_database", "invoices"),
        keys.connector("product_database", "subscriptions"),
        keys.connector("zendesk", "tickets"),
    }
    assert keys.dashboard("finance") in dg.AssetSelection.assets(BOOKS).downstream().resolve(graph)


def test_each_stream_has_an_owner_kinds_freshness_a_job_and_checks(definitions: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs() if keys.layer(spec.key) == "connectors"}
    job = definitions.resolve_job_def("connect").asset_layer.executable_asset_keys
    checks = definitions.resolve_asset_graph().asset_check_keys
    teams = {"books": "finance", "product_database": "data_platform", "zendesk": "customer_success"}
    for key, spec in specs.items():
        assert spec.owners == [f"team:{teams[key.path[1]]}"]
        assert spec.group_name == f"connectors_{key.path[1]}"
        assert spec.kinds
        assert spec.description
        assert spec.freshness_policy
        assert spec.metadata["retention_class"] == "technical"
        assert {check.name for check in checks if check.asset_key == key} == {
            "rows_are_accounted_for",
            "few_rows_are_refused",
        }
    assert set(specs) == set(job)


def test_a_deployment_without_connectors_has_nothing_of_them(tmp_path: Path, catalog: Catalog) -> None:
    settings = Settings(home=tmp_path)
    assert connector_assets(settings, connectors_of(settings, catalog)) == []


@pytest.mark.parametrize(("hour", "due"), [(0, {1, 6, 24}), (6, {1, 6}), (7, {1})])
def test_a_connector_runs_at_the_hours_that_it_says(
    settings: Settings, catalog: Catalog, hour: int, due: set[int]
) -> None:
    connector = connectors_of(settings, catalog)["books"]
    often = {every: connector.model_copy(update={"every_hours": every}) for every in (1, 6, 24)}
    moment = datetime(2026, 6, 1, hour, 50, tzinfo=UTC)
    assert {every for every, each in often.items() if is_due(each, moment)} == due


def test_the_schedule_asks_for_each_connector_alone(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    schedule = next(each for each in definitions.schedules or () if each.name == "connector_pulls")
    context = dg.build_schedule_context(instance, scheduled_execution_time=datetime(2026, 6, 1, 7, 50, tzinfo=UTC))
    assert isinstance(schedule, dg.ScheduleDefinition)
    requests = schedule.evaluate_tick(context).run_requests or []
    chosen = [sorted({key.path[1] for key in request.asset_selection or ()}) for request in requests]
    assert chosen == [["books"], ["product_database"], ["zendesk"]]


def drop(settings: Settings, name: str, content: str) -> Path:
    path = settings.connector_files / "drops" / "books" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    aged(path)
    return path


def test_a_dropped_file_starts_its_connector_once_and_lands(
    settings: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    sensor = next(each for each in definitions.sensors or () if each.name == "connector_drops")
    assert isinstance(sensor, dg.SensorDefinition)

    def asked() -> list[str | None]:
        with dg.build_sensor_context(instance) as context:
            return [request.run_key for request in sensor.evaluate_tick(context).run_requests or []]

    assert asked() == []
    drop(settings, "june.csv", f"{HEADER}\n{ROW}\n{ROW.replace('2026-001', '2026-002').replace('1.234,56', '?')}\n")
    first = asked()
    assert len(first) == 1
    assert asked() == first  # the same files ask for the same run

    (asset,) = [
        each for each in connector_assets(settings, connectors_of(settings, load_catalog())) if BOOKS in each.keys
    ]
    resources = build_resources(settings)
    done = dg.materialize([asset], instance=instance, resources={"store": resources["store"]})
    assert done.success
    (event,) = done.get_asset_materialization_events()
    told = event.materialization.metadata
    assert [told[name].value for name in ("rows", "accepted", "dead_lettered")] == [2, 1, 1]
    assert told["reasons"].value == {"unmapped": 1}
    assert asked() == []

    store = store_from(settings)
    assert rows_are_accounted_for(store, "books", "invoices").passed
    assert not few_rows_are_refused(store, "books", "invoices").passed


def test_an_account_that_does_not_add_up_or_that_no_manifest_confirms_is_told(store: LocalStore) -> None:
    assert rows_are_accounted_for(store, "books", "invoices").passed  # it has not run yet
    for account, said in (
        (Account(rows=2, rules=1, accepted=1), "do not add up"),
        (Account(rows=1, rules=1, accepted=1), "accepted: the run says 1, its manifests 0"),
        (Account(rows=1, rules=1, skipped=1, manifests=["landing_manifests/x.json"]), "is not in the lake"),
    ):
        put_state(store, "books", "invoices", StreamState(last=account))
        facts = rows_are_accounted_for(store, "books", "invoices")
        assert not facts.passed
        assert said in " ".join(facts.offenders)


@pytest.mark.parametrize(("dead", "passed"), [(0, True), (5, True), (6, False)])
def test_a_twentieth_may_be_refused_and_no_more(store: LocalStore, dead: int, passed: bool) -> None:
    put_state(store, "books", "invoices", StreamState(last=Account(accepted=100 - dead, dead_lettered=dead)))
    assert few_rows_are_refused(store, "books", "invoices").passed is passed


def analytics(settings: Settings, *words: str, fails: bool = False) -> str:
    from analytics_platform.cli import main

    environment = {"ANALYTICS_HOME": str(settings.home), "ANALYTICS_ENVIRONMENT": "staging"}
    answer = CliRunner().invoke(main, ["connectors", *words], env=environment)
    assert (answer.exit_code != 0) is fails, answer.output
    return answer.output


def test_the_commands_list_try_and_run(settings: Settings) -> None:
    drop(settings, "july.csv", f"{HEADER}\n{ROW.replace('2026-001', '2026-101')}\n")
    shown = json.loads(analytics(settings, "check", "books", "--json"))["streams"]["invoices"]
    assert [(each["outcome"], each["properties"]["customer_ref"]) for each in shown] == [("accepted", "***")]
    ran = json.loads(analytics(settings, "run", "books", "--json"))["streams"]["invoices"]
    assert (ran["rows"], ran["accepted"], ran["files"]) == (1, 1, 1)
    listed = {each["connector"]: each for each in json.loads(analytics(settings, "list", "--json"))["connectors"]}
    assert listed["books"]["last"]["accepted"] == 1
    assert listed["zendesk"]["last"] is None
    assert "has not run yet" in analytics(settings, "list")
    assert "hubspot" in analytics(settings, "example")
    assert analytics(settings, "example", "hubspot").startswith("# Contacts of HubSpot")
    assert "there is no row" in analytics(settings, "check", "books")


def test_what_cannot_be_done_is_one_line_with_the_mend(settings: Settings) -> None:
    assert "known: books, product_database, zendesk" in analytics(settings, "run", "salesforce", fails=True)
    assert "it has invoices" in analytics(settings, "run", "books", "--stream", "bills", fails=True)
    assert "connector_secrets: has no zendesk_token; add it" in analytics(settings, "run", "zendesk", fails=True)
    assert read_state(store_from(settings), "zendesk", "tickets").last is None
