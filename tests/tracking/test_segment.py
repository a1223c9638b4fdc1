"""The Segment workspace as code, against a server that speaks the Public API: what differs is made, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result
from segment_api import TOKEN, SegmentServer, reset_in, segment_server
from tracking.plan_messages import sample

from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.tracking.plan import plan_schemas
from analytics_platform.tracking.segment import api as public_api
from analytics_platform.tracking.segment.api import ATTEMPTS, BASE_URLS, PublicApi, SegmentApiError
from analytics_platform.tracking.segment.changes import RULES_A_CALL, differences, make, steps
from analytics_platform.tracking.segment.desired import (
    Desired,
    UnknownWebhookKeyError,
    WebhookSecret,
    desired_workspace,
    rule,
)
from analytics_platform.tracking.segment.workspace import AmbiguousWorkspaceError, read_workspace

URL = "https://events.example.com/v1/webhook"
WEBHOOK = {"write_key": "demo-noord-rigging-server", "secret": "shared-secret-0123"}


@pytest.fixture
def server() -> Iterator[SegmentServer]:
    with segment_server() as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def api(server: SegmentServer, waits: list[float]) -> Iterator[PublicApi]:
    with PublicApi(server.address, TOKEN, pause=waits.append) as opened:
        yield opened


@pytest.fixture
def desired(catalog: Catalog) -> Desired:
    return desired_workspace(catalog, URL, [WebhookSecret(**WEBHOOK)])


@pytest.fixture(autouse=True)
def configured(server: SegmentServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_SEGMENT_TOKEN", TOKEN)
    monkeypatch.setenv("ANALYTICS_SEGMENT_API_URL", server.address)
    monkeypatch.setenv("ANALYTICS_SEGMENT_WEBHOOK_URL", URL)
    monkeypatch.setenv("ANALYTICS_COLLECTOR_WEBHOOKS", json.dumps([WEBHOOK]))


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["segment", *arguments], input=answer)


def bring_up(api: PublicApi, desired: Desired) -> list[str]:
    actual = read_workspace(api, desired)
    return [outcome.state for outcome in make(steps(desired, actual), api, actual)]


def test_a_plan_of_an_empty_workspace_names_everything_and_writes_nothing(server: SegmentServer) -> None:
    result = run("plan")

    assert result.exit_code == 0, result.output
    assert "+ create tracking plan Analytics platform" in result.output
    assert "+ create rule lead.created" in result.output
    assert "+ create source noord-rigging-marketing-browser" in result.output
    assert "+ create destination noord-rigging-product-server" in result.output
    assert server.writes == []


def test_apply_makes_the_workspace_and_a_second_one_has_nothing_to_do(server: SegmentServer, catalog: Catalog) -> None:
    first = run("apply", "--yes", "--json")
    written = len(server.writes)
    second = run("apply", "--yes")

    assert json.loads(first.output)["ok"], first.output
    assert {rule["key"] for rule in server.rules["tp_0"]} == set(catalog.events)
    assert {source["slug"] for source in server.sources} >= {
        "noord-rigging-product-browser",
        "albion-stage-product-server",
    }
    assert server.connected["tp_0"] == [source["id"] for source in server.sources]
    assert [each["settings"] for each in server.destinations] == [{"sharedSecret": WEBHOOK["secret"]}]
    assert server.subscriptions[0]["settings"]["url"] == URL
    assert second.output == "Nothing to do\n"
    assert len(server.writes) == written
    assert run("plan").output == "The workspace is as the catalogue says\n"


def test_scanners_and_imports_have_no_source(desired: Desired) -> None:
    assert not [source.slug for source in desired.sources if source.slug.endswith(("scanner", "import"))]


def test_drift_is_shown_by_path_and_only_what_drifted_is_sent(server: SegmentServer) -> None:
    run("apply", "--yes")
    drifted = next(rule for rule in server.rules["tp_0"] if rule["key"] == "lead.created")
    drifted["jsonSchema"]["properties"]["properties"]["properties"]["lead_id"]["pattern"] = ".*"
    server.sources[0]["enabled"] = False
    server.requests.clear()

    shown = run("plan").output
    run("apply", "--yes")

    assert "~ update rule lead.created" in shown
    assert 'properties.properties.properties.lead_id.pattern: ".*" -> "^[A-Za-z0-9_-]{1,64}$"' in shown
    assert "enabled: false -> true" in shown
    sent = {method + path: body for method, path, body in server.writes}
    assert set(sent) == {"PATCH/tracking-plans/tp_0/rules", f"PATCH/sources/{server.sources[0]['id']}"}
    assert [rule["key"] for rule in sent["PATCH/tracking-plans/tp_0/rules"]["rules"]] == ["lead.created"]


def test_a_rule_that_is_not_in_the_catalogue_goes(server: SegmentServer, catalog: Catalog) -> None:
    run("apply", "--yes")
    server.rules["tp_0"].append({**server.rules["tp_0"][0], "key": "order.placed"})

    assert "- delete rule order.placed" in run("plan").output
    run("apply", "--yes")
    assert {rule["key"] for rule in server.rules["tp_0"]} == set(catalog.events)


def test_other_sources_and_destinations_are_left_alone(server: SegmentServer) -> None:
    other = {"id": "src_other", "slug": "billing-site", "enabled": False}
    server.sources.append(dict(other))

    run("apply", "--yes")

    assert server.sources[0] == other
    assert "src_other" not in server.connected["tp_0"]


def test_a_partial_failure_says_what_failed_and_the_next_run_goes_on(server: SegmentServer) -> None:
    server.fail("POST /destinations", 422)
    server.fail("PATCH /tracking-plans/tp_0/rules", 422)

    first = run("apply", "--yes")
    sources = len(server.sources)
    second = run("apply", "--yes", "--json")

    assert first.exit_code == 1
    assert "failed: create rule lead.created" in first.output
    assert (
        "failed: create destination noord-rigging-product-server\n    POST /destinations: 422: as it was told"
        in first.output
    )
    assert "left: create subscription noord-rigging-product-server" in first.output
    kinds = [change["kind"] for outcome in json.loads(second.output)["outcomes"] for change in outcome["changes"]]
    assert set(kinds) == {"rule", "destination", "subscription"}
    assert second.exit_code == 0
    assert len(server.sources) == sources


def test_a_source_that_cannot_be_made_leaves_what_needs_it(server: SegmentServer) -> None:
    server.fail("POST /sources", 422)

    result = run("apply", "--yes", "--json")

    states = [outcome["state"] for outcome in json.loads(result.output)["outcomes"]]
    assert (states.count("failed"), states.count("left")) == (1, 1)
    assert result.exit_code == 1


def test_apply_asks_and_a_no_writes_nothing(server: SegmentServer) -> None:
    result = run("apply", answer="n\n")

    assert result.exit_code == 1
    assert "Make these changes?" in result.output
    assert server.writes == []


def test_a_webhook_that_is_no_longer_in_the_settings_is_switched_off(
    server: SegmentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("apply", "--yes")
    monkeypatch.setenv("ANALYTICS_COLLECTOR_WEBHOOKS", "[]")

    run("apply", "--yes")

    assert [each["enabled"] for each in server.destinations] == [False]
    assert run("plan").output == "The workspace is as the catalogue says\n"


def test_a_rotated_secret_is_sent_and_never_shown(server: SegmentServer, monkeypatch: pytest.MonkeyPatch) -> None:
    run("apply", "--yes")
    monkeypatch.setenv("ANALYTICS_COLLECTOR_WEBHOOKS", json.dumps([{**WEBHOOK, "secret": "another-secret-4567"}]))

    shown = run("plan").output + run("apply", "--yes", "--json").output

    assert "sharedSecret: differs" in shown
    assert server.destinations[0]["settings"] == {"sharedSecret": "another-secret-4567"}
    assert "4567" not in shown
    assert TOKEN not in shown


def test_an_unknown_token_is_told_with_the_mend_and_never_repeated(
    server: SegmentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_SEGMENT_TOKEN", "sgp_wrong-token")

    result = run("plan")

    assert result.exit_code == 1
    assert "401: Unauthorized; make a Public API token" in result.output
    assert "sgp_wrong-token" not in result.output
    assert len(server.requests) == 1


@pytest.mark.parametrize("missing", ["ANALYTICS_SEGMENT_TOKEN", "ANALYTICS_SEGMENT_WEBHOOK_URL"])
def test_a_missing_setting_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(missing)

    assert missing.removeprefix("ANALYTICS_").lower() in run("plan").output


def test_every_page_is_read(server: SegmentServer, api: PublicApi) -> None:
    server.sources = [{"id": f"src_{number}", "slug": f"s-{number}"} for number in range(23)]

    assert [source["slug"] for source in api.pages("/sources", "sources")] == [f"s-{number}" for number in range(23)]
    assert len(server.requests) == 4


def test_too_many_requests_waits_as_long_as_segment_says(
    server: SegmentServer, api: PublicApi, waits: list[float]
) -> None:
    server.fail("GET /sources", 429, Retry_After="7")
    server.fail("GET /sources", 429, X_RateLimit_Reset=reset_in(30))
    server.fail("GET /sources", 429, Retry_After="99999")

    assert api.pages("/sources", "sources") == []
    assert waits[0] == 7
    assert 25 < waits[1] <= 30
    assert waits[2] == public_api.LONGEST_WAIT_SECONDS


def test_a_create_is_made_again_after_429_but_not_after_a_server_error(
    server: SegmentServer, api: PublicApi, waits: list[float]
) -> None:
    body = {"name": "p", "type": "LIVE"}
    server.fail("POST /tracking-plans", 429)
    api.post("/tracking-plans", body)
    server.fail("POST /tracking-plans", 502)

    with pytest.raises(SegmentApiError, match="502"):
        api.post("/tracking-plans", body)
    assert len(server.plans) == 1


def test_a_read_is_given_up_after_some_server_errors(server: SegmentServer, api: PublicApi, waits: list[float]) -> None:
    for _ in range(ATTEMPTS):
        server.fail("GET /sources", 503)

    with pytest.raises(SegmentApiError, match="503"):
        api.pages("/sources", "sources")
    assert waits == [1, 2, 4, 8]


def test_a_server_that_is_not_there_is_told(waits: list[float]) -> None:
    with (
        PublicApi("http://127.0.0.1:1", TOKEN, pause=waits.append) as api,
        pytest.raises(SegmentApiError, match="no answer"),
    ):
        api.get("/sources")
    assert len(waits) == ATTEMPTS - 1


def test_more_rules_than_a_call_takes_go_in_several(server: SegmentServer, api: PublicApi, catalog: Catalog) -> None:
    first = rule(catalog.events["lead.created"])
    many = {f"thing.done_{number}": {**first, "key": f"thing.done_{number}"} for number in range(2 * RULES_A_CALL + 1)}
    bring_up(api, Desired(many, (), None))
    fewer = {name: many[name] for name in list(many)[1:]}
    states = bring_up(api, Desired(fewer, (), None))

    assert set(states) == {"made"}
    assert {rule["key"] for rule in server.rules["tp_0"]} == set(fewer)


def test_two_plans_of_our_name_are_refused(server: SegmentServer, api: PublicApi, desired: Desired) -> None:
    server.plans = [{"id": f"tp_{number}", "name": "Analytics platform", "type": "LIVE"} for number in range(2)]

    with pytest.raises(AmbiguousWorkspaceError, match="tp_0, tp_1"):
        read_workspace(api, desired)


def test_a_webhook_of_a_key_that_no_source_has_is_refused(catalog: Catalog) -> None:
    with pytest.raises(UnknownWebhookKeyError, match=r"collector_webhooks\.0\.write_key"):
        desired_workspace(catalog, URL, [WebhookSecret("demo-noord-rigging-scanner", "s")])


def test_rules_judge_a_message_as_the_gate_judges_its_properties(catalog: Catalog) -> None:
    schemas = plan_schemas(catalog)
    for name, event in catalog.events.items():
        message_schema = jsonschema_rs.Draft7Validator(rule(event)["jsonSchema"], validate_formats=True)
        properties = sample(event)
        for spoilt in (properties, {**properties, "unheard_of": 1}, {**properties, "tenant_id": None}):
            gate = jsonschema_rs.Draft7Validator(schemas[name], validate_formats=True).is_valid(spoilt)
            assert message_schema.is_valid({"event": name, "properties": spoilt, "context": {"ip": "::1"}}) == gate


@pytest.mark.parametrize(
    ("there", "wanted", "lines"),
    [
        ({"a": 1}, {"a": 1}, ()),
        ({"a": 1}, {"a": True}, ("a: 1 -> true",)),
        ({"a": {"b": 1}}, {"a": {}}, ("a: absent -> {}", "a.b: 1 -> absent")),
        ({"a": None}, {}, ("value: absent -> {}", "a: null -> absent")),
    ],
)
def test_differences_tell_every_path(there: Any, wanted: Any, lines: tuple[str, ...]) -> None:
    assert differences(there, wanted) == lines


def test_both_regions_are_reached_over_tls() -> None:
    assert all(url.startswith("https://") for url in BASE_URLS.values())
