"""BI tools in the real graph and on the command line: the project, its refresh, links, each with its checks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from power_bi_service import BEFORE, DONE, Reply, Service, history, served, settings_of

from analytics_platform.catalog import load_catalog
from analytics_platform.cli import main
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.bi import REFRESH_KEY, looker_choices, looker_key, refresh_model
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.power_bi_workspace import PatientWorkspace
from analytics_platform.defs.resources import store_from
from analytics_platform.reporting.power_bi.project import POINTER_KEY, ZIP_KEY, read_project, write_project
from analytics_platform.reporting.power_bi.refresh import PowerBiError
from analytics_platform.reporting.power_bi.review import RULES
from analytics_platform.settings import Settings
from asset_checks.bi import (
    fields_are_of_the_extracts,
    links_are_read_back,
    refresh_is_newer_than_extracts,
    viewers_see_only_their_rows,
)

pytestmark = pytest.mark.integration

DAY = "2026-11-20"
CATALOG = load_catalog()
BOARDS = list(CATALOG.dashboards.values())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return settings


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


def published(definitions: dg.Definitions, settings: Settings, *assets: dg.AssetKey) -> dg.ExecuteInProcessResult:
    """These assets as the publication of a day builds them, with their checks."""
    job = definitions.resolve_job_def("publish")
    with open_instance(settings.dagster_home) as instance:
        return job.execute_in_process(
            instance=instance, asset_selection=list(assets), partition_key=DAY, raise_on_error=False
        )


def checked(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def test_what_bi_tools_read_is_downstream_of_extracts_and_published_with_the_pages(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    below = dg.AssetSelection.assets(keys.extract("finance", "mrr")).downstream().resolve(graph)
    assert {keys.POWER_BI_PROJECT, keys.LOOKER_STUDIO} <= below
    published = definitions.resolve_job_def("publish").asset_layer.selected_asset_keys
    assert {keys.POWER_BI_PROJECT, keys.LOOKER_STUDIO, keys.dashboard("finance")} <= set(published)


def test_a_refresh_is_in_the_graph_only_where_one_is_configured(
    definitions: dg.Definitions, settings: Settings
) -> None:
    assert keys.POWER_BI_REFRESH not in definitions.resolve_asset_graph().get_all_asset_keys()
    configured = settings_of(Service(url="http://127.0.0.1:1"), home=settings.home)
    graph = build_definitions(configured).resolve_asset_graph()
    assert graph.get(keys.POWER_BI_REFRESH).parent_keys >= {keys.POWER_BI_PROJECT, keys.extract("finance", "mrr")}
    checks = {key.name for key in graph.asset_check_keys if key.asset_key == keys.POWER_BI_REFRESH}
    assert checks == {"refresh_is_newer_than_extracts"}


def test_the_project_is_published_and_passes_its_checks(definitions: dg.Definitions, settings: Settings) -> None:
    result = published(definitions, settings, keys.POWER_BI_PROJECT)
    assert result.success
    assert checked(result) == dict.fromkeys(RULES, True)
    store = store_from(settings)
    assert store.info(ZIP_KEY)
    assert store.info(POINTER_KEY)


def test_a_project_that_somebody_changed_fails_its_checks(definitions: dg.Definitions, settings: Settings) -> None:
    store = store_from(settings)
    files = read_project(store)
    role = "Analytics.SemanticModel/definition/roles/tenant_viewer@brabant-rental.tmdl"
    files[role] = files[role].replace(b'"brabant-rental"', b'"albion-stage"', 1)
    write_project(store, files)
    job = definitions.resolve_job_def("publish")
    names = [dg.AssetCheckKey(keys.POWER_BI_PROJECT, rule) for rule in RULES]
    selected = job.get_subset(asset_selection=set(), asset_check_selection=set(names))
    with open_instance(settings.dagster_home) as instance:
        result = selected.execute_in_process(instance=instance, raise_on_error=False)
    assert {name for name, passed in checked(result).items() if not passed} == {"roles_follow_the_policy"}


def test_links_and_checklists_are_published_and_pass_their_checks(
    definitions: dg.Definitions, settings: Settings
) -> None:
    result = published(definitions, settings, keys.LOOKER_STUDIO)
    assert checked(result) == {
        "links_are_read_back": True,
        "fields_are_of_the_extracts": True,
        "viewers_see_only_their_rows": True,
    }
    assert b"Recurring revenue" in store_from(settings).get(looker_key("finance", "html"))


def test_checks_of_links_see_a_link_a_field_or_credentials_that_are_wrong(settings: Settings) -> None:
    store, choices = store_from(settings), looker_choices(settings)
    told = {board.name: json.loads(store.get(looker_key(board.name, "json"))) for board in BOARDS}
    assert links_are_read_back(told, BOARDS, choices).passed
    for change in ("&ds.mrr.tableId=other", "&ds.mrr.accessToken=abc"):
        broken = {**told, "finance": {**told["finance"], "link": told["finance"]["link"] + change}}
        assert links_are_read_back(broken, BOARDS, choices).failed == 1
    assert links_are_read_back({}, BOARDS, choices).failed == len(BOARDS)
    fields = [field for field in told["finance"]["fields"] if field["name"] != "fx_minor"]
    fewer = fields_are_of_the_extracts({**told, "finance": {**told["finance"], "fields": fields}}, CATALOG)
    assert (fewer.passed, fewer.offenders) == (False, ["finance: mrr.fx_minor"])
    owned = looker_choices(settings.model_copy(update={"looker_credentials": "owner"}))
    assert viewers_see_only_their_rows(told, BOARDS, choices).passed
    assert viewers_see_only_their_rows(told, BOARDS, owned).failed
    assert viewers_see_only_their_rows({}, BOARDS, choices).failed == len(BOARDS)


def test_a_refresh_follows_publication_and_is_judged_by_its_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientWorkspace, "_sleep", lambda *_: None)
    store_from(settings).put("extracts/finance/mrr/day=2026-11-20/x.parquet", b"rows")
    with served(Service(histories=[BEFORE, DONE])) as service:
        configured = settings_of(service, home=settings.home)
        result = published(build_definitions(configured), configured, keys.POWER_BI_REFRESH)
    assert result.success
    assert json.loads(store_from(settings).get(REFRESH_KEY))["request_id"] == "ours"
    # The service's clock in this test is a fixed morning, before the extract was written.
    written = datetime.now(UTC) > datetime(2026, 11, 27, 5, tzinfo=UTC)
    assert checked(result) == {"refresh_is_newer_than_extracts": not written}


def test_a_refresh_that_fails_fails_its_run_and_names_no_secret(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientWorkspace, "_sleep", lambda *_: None)
    with served(Service(histories=[BEFORE, history(("ours", "Failed"), code="Oops")])) as service:
        configured = settings_of(service, home=settings.home)
        result = published(build_definitions(configured), configured, keys.POWER_BI_REFRESH)
        service.triggers, service.histories = [Reply(403)], [BEFORE]
        with pytest.raises(PowerBiError, match=r"answered 403"):
            refresh_model(configured)
    assert not result.success
    said = str([event for event in result.all_events if event.is_step_failure])
    assert "ended as Failed (Oops)" in said
    assert "s3cr&t" not in said


def test_a_refresh_is_late_when_an_extract_changed_after_it_began() -> None:
    now = datetime(2026, 11, 27, 6, tzinfo=UTC)
    assert refresh_is_newer_than_extracts(now, now - timedelta(seconds=1)).passed
    late = refresh_is_newer_than_extracts(now, now + timedelta(seconds=90))
    assert (late.passed, late.counts) == (False, {"seconds_behind": 90.0})
    assert not refresh_is_newer_than_extracts(None, now).passed
    assert not refresh_is_newer_than_extracts(now, None).passed


def call(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("ANALYTICS_HOME", str(settings.home))
    return CliRunner().invoke(main, ["bi", *arguments])


def test_a_project_is_built_into_a_folder_and_reviewed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    built = call(
        settings, monkeypatch, "build", str(folder), "--source", "https", "--location", "https://lake.acme.example/x"
    )
    assert built.exit_code == 0, built.output
    assert f"Open {folder / 'Analytics.pbip'} in Power BI Desktop" in built.output
    assert "ExtractLocation = https://lake.acme.example/x" in built.output
    good = call(settings, monkeypatch, "check", str(folder), "--source", "https", "--json")
    assert good.exit_code == 0, good.output
    assert {rule: each["problems"] for rule, each in json.loads(good.output).items()} == {rule: [] for rule in RULES}
    (folder / "Analytics.SemanticModel/definition/tables/Tenant.tmdl").unlink()
    bad = call(settings, monkeypatch, "check", str(folder), "--source", "https")
    assert bad.exit_code == 1
    assert "there is no column Tenant.Tenant" in bad.output
    again = call(
        settings,
        monkeypatch,
        "build",
        str(folder),
        "--source",
        "https",
        "--location",
        "https://lake.acme.example/x",
        "--json",
    )
    assert json.loads(again.output)["changed"] == 1
    missing = call(settings, monkeypatch, "check", str(folder), "--schemas", str(tmp_path))
    assert missing.exit_code == 1
    assert "give a checkout of https://github.com/microsoft/json-schemas" in missing.output


def test_links_are_shown_for_people_and_for_scripts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_LOOKER_REPORTS", '{"finance": "0B_U5RNpwhcE6"}')
    told = call(settings, monkeypatch, "links", "finance")
    assert "Finance (0B_U5RNpwhcE6)" in told.output
    assert "c.reportId=0B_U5RNpwhcE6" in told.output
    assert "SUM(mrr_reporting_minor) * 0.01" in told.output
    links = json.loads(call(settings, monkeypatch, "links", "--json").output)["links"]
    assert [each["dashboard"] for each in links] == list(CATALOG.dashboards)
    assert call(settings, monkeypatch, "links", "money").exit_code == 1
