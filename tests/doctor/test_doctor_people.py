"""What people rely on: Slack, the RBAC, the portal, BI tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from examined import deployment, the_one, told
from identity_provider import Provider, provider_server
from slack_api import TOKEN, Fault, SlackServer, slack_server

from analytics_platform.doctor import bi, portal, rbac, slack
from analytics_platform.doctor.findings import Finding
from analytics_platform.portal.users import NewUser, users_of
from analytics_platform.settings import Settings


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with slack_server() as server:
        yield server


def look_at_slack(server: SlackServer, home: Path, **choices: Any) -> list[Finding]:
    chosen = {"slack_token": TOKEN, "slack_api_url": server.address, **choices}
    return list(slack.look(deployment(home, **chosen)))


def test_a_bot_with_all_scopes_in_all_channels_passes(workspace: SlackServer, tmp_path: Path) -> None:
    found = look_at_slack(workspace, tmp_path, executives_channel="#executives")
    assert told(found) == []
    assert [each.looked_at for each in found] == ["Slack", "clock", "scopes", "channels"]
    assert "the bot is in 7 of 7" in found[-1].found


def test_without_a_token_nobody_asks_slack(tmp_path: Path) -> None:
    assert [each.outcome for each in slack.look(deployment(tmp_path))] == ["skipped"]


def test_a_token_that_is_not_taken_is_told_without_it(workspace: SlackServer, tmp_path: Path) -> None:
    found = the_one(look_at_slack(workspace, tmp_path, slack_token="xoxb-old"))
    assert found.found == "it does not take the token (invalid_auth)"
    assert "xoxb" not in str(found)


def test_slack_that_does_not_answer_or_is_no_slack_is_told(workspace: SlackServer, tmp_path: Path) -> None:
    gone = the_one(look_at_slack(workspace, tmp_path, slack_api_url="http://127.0.0.1:9/api/"))
    assert "does not answer" in gone.found
    workspace.fail("auth.test", Fault("page"))
    assert "it does not take the token" in the_one(look_at_slack(workspace, tmp_path)).found


def test_scopes_that_are_missing_say_what_follows(workspace: SlackServer, tmp_path: Path) -> None:
    workspace.scopes = "chat:write,channels:read"
    warned = the_one(look_at_slack(workspace, tmp_path))
    assert "files:write (reports come without pictures)" in warned.found
    assert "channels:history" in warned.found
    workspace.scopes = "files:write,channels:read,channels:history"
    assert "no message can be posted" in the_one(look_at_slack(workspace, tmp_path)).found


def test_channels_that_are_missing_or_without_the_bot_are_told(workspace: SlackServer, tmp_path: Path) -> None:
    workspace.without_bot = {"data-finance"}
    found = told(look_at_slack(workspace, tmp_path, executives_channel="#board"))
    assert found == [
        "fail channels: #board (executives_channel) is not there, or private and the bot is not in it",
        "fail channels: the bot is not in #data-finance (owners.yaml: finance)",
    ]


def test_private_channels_are_asked_for_only_where_the_bot_may(workspace: SlackServer, tmp_path: Path) -> None:
    workspace.fail("conversations.list", Fault("error", error="missing_scope"))
    assert told(look_at_slack(workspace, tmp_path)) == []
    workspace.missing_scopes = {"conversations.list"}
    assert "cannot be listed" in the_one(look_at_slack(workspace, tmp_path)).found


def test_slacks_clock_is_held_against_ours(workspace: SlackServer, tmp_path: Path) -> None:
    workspace.date = format_datetime(datetime.now(UTC) - timedelta(minutes=20), usegmt=True)
    found = the_one(look_at_slack(workspace, tmp_path))
    assert (found.looked_at, found.outcome, "ahead of Slack's clock" in found.found) == ("clock", "fail", True)


def export(home: Path, hours_old: float, *members: dict[str, Any]) -> None:
    at = datetime.now(UTC) - timedelta(hours=hours_old)
    (home / "rbac.json").write_text(json.dumps({"exported_at": at.isoformat(), "members": members}))


def test_roles_that_are_fresh_pass_and_stale_or_empty_ones_are_told(tmp_path: Path) -> None:
    member = {"principal": "u1", "role": "finance", "tenants": []}
    export(tmp_path, 1, member, {**member, "role": "admin"})
    (fresh,) = rbac.look(deployment(tmp_path))
    assert (fresh.outcome, "1 principals, 1.0 hours old" in fresh.found) == ("ok", True)
    export(tmp_path, 40, member)
    assert the_one(rbac.look(deployment(tmp_path))).outcome == "warn"
    export(tmp_path, 1)
    assert "names nobody" in the_one(rbac.look(deployment(tmp_path))).found


def test_without_a_source_production_lets_nobody_in(tmp_path: Path) -> None:
    assert [each.outcome for each in rbac.look(deployment(tmp_path))] == ["skipped"]
    assert the_one(rbac.look(deployment(tmp_path, environment="production"))).outcome == "fail"
    groups = deployment(tmp_path, environment="production", portal_oidc_groups_claim="groups")
    assert [each.outcome for each in rbac.look(groups)] == ["ok"]


def test_a_source_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    found = the_one(rbac.look(deployment(tmp_path, rbac_source=str(tmp_path / "nowhere.json"))))
    assert "cannot be read" in found.found
    assert "ANALYTICS_RBAC_SOURCE" in (found.mend or "")
    unreachable = the_one(rbac.look(deployment(tmp_path, rbac_source="http://127.0.0.1:9/roles")))
    assert "no answer" in unreachable.found


def test_a_local_login_needs_somebody(tmp_path: Path) -> None:
    assert [each.outcome for each in portal.look(deployment(tmp_path))] == ["skipped"]
    assert the_one(portal.look(deployment(tmp_path, environment="staging"))).outcome == "warn"
    users_of(Settings(home=tmp_path)).add(NewUser("ana", "u1", "a long password"))
    assert told(portal.look(deployment(tmp_path)), "ok") == ["ok portal: 1 users of the local login"]
    (tmp_path / "portal" / "users.json").write_text("{")
    assert "cannot be read" in the_one(portal.look(deployment(tmp_path))).found


def test_passwords_in_clear_over_the_network_fail(tmp_path: Path) -> None:
    users_of(Settings(home=tmp_path)).add(NewUser("ana", "u1", "a long password"))
    assert "in clear" in the_one(portal.look(deployment(tmp_path, portal_host="0.0.0.0"))).found


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with provider_server() as server:
        yield server


def look_at_provider(home: Path, jwks: str) -> list[Finding]:
    names = {"portal_oidc_issuer": "https://id", "portal_oidc_audience": "a", "portal_oidc_jwks": jwks}
    return list(portal.look(deployment(home, portal_login="oidc", **names)))


def test_the_providers_keys_have_to_be_there(provider: Provider, tmp_path: Path) -> None:
    found = look_at_provider(tmp_path, provider.address)
    assert told(found, "ok") == ["ok portal: 1 keys of the provider"]
    assert "is not encrypted" in the_one(found).found
    provider.status = 404
    assert "answered 404" in the_one(look_at_provider(tmp_path, provider.address)).found
    provider.status = 200
    (tmp_path / "jwks.json").write_bytes(provider.jwks())
    assert told(look_at_provider(tmp_path, str(tmp_path / "jwks.json"))) == []
    assert "cannot be read" in the_one(look_at_provider(tmp_path, str(tmp_path / "nowhere.json"))).found


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"power_bi_source": "https"}, "warn Power BI: power_bi_source is https, and the project gets an example"),
        ({"power_bi_source": "snowflake", "power_bi_location": "x"}, "fail Power BI: power_bi_source is snowflake"),
        ({"looker_reports": {"fiance": "abc"}}, "fail Looker Studio: looker_reports names fiance"),
        ({"looker_reports": {"finance": "abc"}}, "warn Looker Studio: no template for "),
        ({"looker_reports": {"finance": "abc"}, "looker_source": "gcs"}, "fail Looker Studio: looker_source is gcs"),
        ({"looker_reports": {"finance": "abc"}}, "warn Looker Studio: looker_source is bigquery"),
        (
            {"looker_reports": {"finance": "a"}, "looker_credentials": "owner"},
            "fail Looker Studio: owner's credentials",
        ),
    ],
)
def test_bi_tools_that_are_set_in_part_are_told(tmp_path: Path, choices: dict[str, Any], says: str) -> None:
    assert any(each.startswith(says) for each in told(bi.look(deployment(tmp_path, **choices))))


def test_bi_tools_that_are_set_whole_pass_and_without_any_nobody_looks(tmp_path: Path) -> None:
    whole = deployment(tmp_path, power_bi_source="https", power_bi_location="https://extracts.example.com")
    assert [each.outcome for each in bi.look(whole)] == ["ok"]
    assert [each.outcome for each in bi.look(deployment(tmp_path))] == ["skipped"]
