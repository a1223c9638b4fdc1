"""A refresh is triggered once and waited for to its end, whatever the service answers on the way."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import pytest
from power_bi_service import (
    BEFORE,
    DATASET,
    DONE,
    RUNNING,
    SECRET,
    TOKEN,
    WORKSPACE,
    Reply,
    Service,
    history,
    served,
    settings_of,
)

from analytics_platform.defs.power_bi_workspace import workspace_from
from analytics_platform.reporting.power_bi.refresh import (
    Patience,
    PowerBiError,
    RefreshDeadlineError,
    Refreshed,
    RefreshFailedError,
    asked_to_wait,
    entries,
    ours,
    request_id,
)
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

QUICK = Patience(deadline=3.0, answer=0.3, first=0.01, longest=0.05)
WRONG_SECRET = b'{"error_description": "the secret s3cr&t+with=all%of it is wrong"}'
UNDER_WAY = b'{"error": {"code": "RefreshInProgress", "message": "Jansen"}}'


def refreshed(service: Service, patience: Patience = QUICK) -> Refreshed:
    with (
        served(service),
        workspace_from(settings_of(service), patience).process_config_and_initialize_cm() as workspace,
    ):
        done = workspace.refresh(DATASET)
        assert isinstance(done, Refreshed)
        return done


def failed(service: Service, patience: Patience = QUICK) -> str:
    with pytest.raises(PowerBiError) as caught:
        refreshed(service, patience)
    text = str(caught.value)
    assert SECRET not in text
    assert TOKEN not in text
    return text


def test_a_refresh_is_triggered_once_and_waited_for(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    service = Service(histories=[BEFORE, BEFORE, RUNNING, RUNNING, DONE])
    assert refreshed(service) == Refreshed("ours", "2026-11-27T05:00:00Z", "2026-11-27T05:03:00Z")
    path = f"/v1.0/myorg/groups/{WORKSPACE}/datasets/{DATASET}/refreshes"
    assert [(each.method, each.path) for each in service.asked][1:3] == [
        ("GET", path),
        ("POST", path),
    ] or service.count("POST", path) == 1
    assert service.count("POST", path) == 1
    assert service.count("GET", path) == 5
    form = next(each.form for each in service.asked if "oauth2" in each.path)
    assert form["client_secret"] == [SECRET]
    assert form["resource"] == ["https://analysis.windows.net/powerbi/api"]
    said = "".join([caplog.text, *capfd.readouterr()])
    assert TOKEN not in said
    assert SECRET not in said


def test_another_refresh_that_ends_meanwhile_is_not_taken_for_ours() -> None:
    other = history(("schedule", "Failed"), ("ours", "Unknown"), ("old", "Completed"))
    service = Service(histories=[BEFORE, other, other, history(("schedule", "Failed"), ("ours", "Completed"))])
    assert refreshed(service).request_id == "ours"


def test_an_id_that_the_service_does_not_tell_is_found_as_what_is_new() -> None:
    service = Service(
        triggers=[Reply(202, b"")], histories=[BEFORE, BEFORE, history(("new", "Completed"), ("old", "Failed"))]
    )
    assert refreshed(service).request_id == "new"


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Disabled"])
def test_a_refresh_that_ends_badly_says_its_code_and_no_data(status: str) -> None:
    service = Service(histories=[BEFORE, history(("ours", status), code="ModelRefresh_ShortMessage_ProcessingError")])
    with pytest.raises(RefreshFailedError, match=f"ended as {status}") as caught, served(service):
        refresh_model_quickly(service)
    assert "ProcessingError" in str(caught.value)
    assert "Jansen" not in str(caught.value)


def refresh_model_quickly(service: Service) -> Refreshed:
    with workspace_from(settings_of(service), QUICK).process_config_and_initialize_cm() as workspace:
        done: Refreshed = workspace.refresh(DATASET)
    return done


def test_too_many_requests_are_waited_out_as_long_as_the_service_asks() -> None:
    limited = Reply(429, b"{}", {"Retry-After": "1"})
    service = Service(triggers=[limited, Reply(202, b"", {"RequestId": "ours"})], histories=[BEFORE, DONE])
    started = time.monotonic()
    assert refreshed(service).request_id == "ours"
    assert time.monotonic() - started >= 1.0
    assert service.count("POST", "refreshes") == 2


def test_a_wait_beyond_the_deadline_is_told_at_once() -> None:
    service = Service(triggers=[Reply(429, b"{}", {"Retry-After": "3600"})], histories=[BEFORE])
    started = time.monotonic()
    assert "answered 429, and the next question would come 3600 s later" in failed(service)
    assert time.monotonic() - started < QUICK.deadline


def test_errors_of_the_service_and_late_answers_are_asked_again() -> None:
    service = Service(histories=[BEFORE, Reply(503), Reply(delay=0.6), Reply(500), RUNNING, DONE])
    assert refreshed(service).request_id == "ours"
    assert service.count("POST", "refreshes") == 1


def test_a_trigger_without_an_answer_is_not_repeated_but_looked_for() -> None:
    service = Service(triggers=[Reply(202, b"", delay=0.6)], histories=[BEFORE, BEFORE, RUNNING, DONE])
    assert refreshed(service).request_id == "ours"
    assert service.count("POST", "refreshes") == 1


def test_a_refresh_that_never_ends_meets_the_deadline() -> None:
    service = Service(histories=[BEFORE, RUNNING])
    with pytest.raises(RefreshDeadlineError, match=r"has not ended.*ANALYTICS_POWER_BI_REFRESH_MINUTES"):
        refreshed(service, Patience(deadline=0.3, answer=0.3, first=0.01, longest=0.05))


def test_a_token_that_has_expired_is_made_anew_once() -> None:
    service = Service(histories=[Reply(401), BEFORE, DONE])
    assert refreshed(service).request_id == "ours"
    assert service.count("POST", "oauth2") == 2
    assert "service principals" in failed(Service(histories=[Reply(401)]))


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (Service(tokens=[Reply(401, WRONG_SECRET)], histories=[BEFORE]), "gave no token (HTTP 401)"),
        (Service(tokens=[Reply(200, b"<html>")], histories=[BEFORE]), "answered without a token"),
        (Service(tokens=[Reply(delay=0.6)], histories=[BEFORE]), "did not answer (ReadTimeout)"),
        (Service(histories=[Reply(200, b"{not json")]), "no JSON with a list of refreshes"),
        (Service(histories=[Reply(200, b'{"value": [1]}')]), "no JSON with a list of refreshes"),
        (Service(histories=[BEFORE, Reply(200, b"[]")]), "no JSON with a list of refreshes"),
        (Service(triggers=[Reply(404, b"{}")], histories=[BEFORE]), "404; look at ANALYTICS_POWER_BI_WORKSPACE_ID"),
        (Service(triggers=[Reply(403, b"nothing")], histories=[BEFORE]), "role Member in the workspace"),
        (
            Service(triggers=[Reply(400, UNDER_WAY)], histories=[BEFORE]),
            "answered 400 (RefreshInProgress); another refresh may be running",
        ),
        (Service(triggers=[Reply(302, b"", {"Location": "http://127.0.0.1:1/"})], histories=[BEFORE]), "answered 302"),
    ],
)  # fmt: skip
def test_what_no_retry_mends_is_one_clear_error(service: Service, said: str) -> None:
    text = failed(service)
    assert said in text
    assert "Jansen" not in text


def test_a_start_that_is_no_202_is_no_start() -> None:
    from dagster import Failure

    with pytest.raises(Failure, match="failed to start"):
        refreshed(Service(triggers=[Reply(200)], histories=[BEFORE]))


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    now = datetime(2026, 11, 27, 5, 0, tzinfo=UTC)
    assert asked_to_wait({"retry-after": "7"}, now) == 7
    assert asked_to_wait({"Retry-After": "Fri, 27 Nov 2026 05:00:30 GMT"}, now) == 30
    assert asked_to_wait({"Retry-After": "Fri, 27 Nov 2026 04:00:00 GMT"}, now) == 0
    assert asked_to_wait({"Retry-After": "soon"}, now) is None
    assert asked_to_wait({}, now) is None


def test_the_id_of_a_refresh_is_told_by_any_of_three_headers() -> None:
    assert request_id({"Location": "https://api/v1.0/myorg/groups/g/datasets/d/refreshes/abc"}) == "abc"
    assert request_id({"X-MS-Request-Id": "abc"}) == "abc"
    assert request_id({"RequestId": "abc"}) == "abc"
    assert request_id({}) is None


def test_of_new_entries_the_oldest_is_ours_where_no_id_is_told() -> None:
    told = entries(history(("c", "Unknown"), ("b", "Completed"), ("a", "Failed")).body)
    assert (ours(told, {"a"}, None) or {})["requestId"] == "b"
    assert (ours(told, {"a"}, "c") or {})["requestId"] == "c"
    assert ours(told, {"a", "b", "c"}, None) is None


def test_the_settings_of_a_refresh_are_whole_or_absent() -> None:
    assert not Settings().refreshes_power_bi
    with pytest.raises(ValueError, match="needs power_bi_dataset_id, power_bi_tenant_id"):
        Settings.model_validate({"power_bi_workspace_id": WORKSPACE})
    service = Service(histories=[BEFORE, DONE])
    with served(service):
        settings = settings_of(service)
        assert settings.refreshes_power_bi
        assert SECRET not in repr(settings)
