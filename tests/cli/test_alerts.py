"""`analytics alerts`: what an engineer on call and a script see."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from slack_api import TOKEN, slack_server

from analytics_platform.alerting.desk import AlertDesk
from analytics_platform.alerting.findings import Failure, Finding, Observation
from analytics_platform.alerting.messages import Places
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog
from analytics_platform.cli import main


@pytest.fixture(autouse=True)
def incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog: Catalog) -> str:
    """The id of an incident in a home of its own, with neither token nor proxy."""
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    now = datetime.now(UTC)
    late = Finding(
        failure=Failure.SLA_BREACHED,
        asset="loaded/billing",
        dataset="raw.billing",
        tenant="delta-events",
        day=date(2026, 11, 24),
        since=now,
    )
    places = Places("http://127.0.0.1:3000", None, "Europe/Amsterdam")
    desk = AlertDesk(catalog, SqliteStore(tmp_path / "alerts.sqlite"), places)
    (change,) = desk.observe("promises", Observation((late,)), now)
    return change.incident.id


def alerts(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["alerts", *arguments])


def answer(*arguments: str) -> dict[str, Any]:
    done = alerts(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_open_incidents_are_listed_with_what_waits(incident: str) -> None:
    (listed,) = answer("list")["incidents"]
    assert (listed["id"], listed["severity"], listed["owner"]) == (incident, "critical", "finance")
    assert answer("list", "--owner", "growth")["incidents"] == []
    assert f"{incident}  critical" in alerts("list").output
    assert "1 messages wait" in alerts("list").output


def test_without_a_token_the_message_stays_readable(incident: str) -> None:
    assert "no Slack token" in alerts("send").output
    shown = alerts("show", incident).output
    assert (
        f"analytics backfill --asset loaded/billing --from 2026-11-24 --to 2026-11-24 --reason incident-{incident}"
        in shown
    )
    assert "parent to #data-finance: waiting" in shown
    assert answer("show", incident)["messages"][0]["state"] == "waiting"


def test_with_a_token_it_is_sent(incident: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with slack_server() as slack:
        monkeypatch.setenv("ANALYTICS_SLACK_TOKEN", TOKEN)
        monkeypatch.setenv("ANALYTICS_SLACK_API_URL", slack.address)
        assert answer("send")["sent"] == 1
        assert len(slack.posted("#data-finance")) == 1
    assert answer("show", incident)["messages"][0]["state"] == "sent"


def test_what_cannot_be_sent_fails_the_command_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with slack_server() as slack:
        monkeypatch.setenv("ANALYTICS_SLACK_TOKEN", "xoxb-a-secret")
        monkeypatch.setenv("ANALYTICS_SLACK_API_URL", slack.address)
        done = alerts("send")
    assert done.exit_code == 1
    assert "invalid_auth" in done.output
    assert "xoxb-a-secret" not in done.output


def test_a_mute_shows_in_the_list(incident: str) -> None:
    answer("mute", incident, "--for", "12h", "--reason", "known", "--by", "on-call")
    assert answer("list")["incidents"][0]["muted_until"] is not None
    assert "muted until" in alerts("list").output


def test_an_unknown_incident_is_one_line_with_the_mend() -> None:
    done = alerts("show", "nothing")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "analytics alerts list" in done.output


def test_a_digest_and_a_heartbeat_can_be_asked_for() -> None:
    assert "Nothing to say" in alerts("digest").output
    assert alerts("heartbeat", "--check", "26h").exit_code == 1
    assert "Alerting is alive" in alerts("heartbeat").output
    assert alerts("heartbeat", "--check", "26h").exit_code == 0


def test_a_note_is_kept_shown_and_never_sent(incident: str) -> None:
    told = answer("note", incident, "--cause", "The source was off", "--next-step", "A second line", "--by", "on-call")
    assert told["note"]["cause"] == "The source was off"
    answer("note", incident, "--next-step", "Ask for the contract", "--by", "on-call")
    shown = alerts("show", incident).output
    assert "Cause: The source was off" in shown
    assert "Next step: Ask for the contract (on-call" in shown
    assert not any("The source was off" in each["text"] for each in answer("show", incident)["messages"])


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "--cause"), (["--cause", "x" * 501], "--cause: 501 characters"), (["--cause", " "], "--cause")],
)
def test_a_note_that_says_nothing_or_too_much_is_refused(incident: str, options: list[str], said: str) -> None:
    done = alerts("note", incident, *options, "--by", "on-call")
    assert done.exit_code == 1
    assert said in done.output


def test_what_fails_in_an_incident_is_listed_one_by_one(incident: str) -> None:
    (failing,) = answer("show", incident)["incident"]["failing"]
    assert (failing["asset"], failing["tenant"], failing["day"]) == ("loaded/billing", "delta-events", "2026-11-24")
