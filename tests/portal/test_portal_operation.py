"""The portal as a process and as commands: start, health, stop, users, the record, and who else knows its files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from identity_provider import Provider
from portal_lake import PASSWORD, Lake, plant, provided

from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.defs import retention
from analytics_platform.demo.rbac import write_export
from analytics_platform.governance.access.rbac import RbacSource
from analytics_platform.portal import audit as audit_room
from analytics_platform.portal.audit import Action, AuditError, AuditLog, Entry, Outcome
from analytics_platform.portal.rights import ASK_SECONDS, STALE_SECONDS, CurrentRights, RightsPlaces, RightsUnknownError
from analytics_platform.portal.sessions import AGEING
from analytics_platform.settings import Settings

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@contextmanager
def process(home: Path, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A portal as a process of its own, and the address that it announces."""
    environment = {**os.environ, "ANALYTICS_HOME": str(home), "PYTHONUNBUFFERED": "1", **variables}
    command = [sys.executable, "-m", "analytics_platform.cli", "portal", "--port", "0", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout is not None
        announced = re.fullmatch(r"Portal: (http://127\.0\.0\.1:\d+)\n", served.stdout.readline())
        assert announced is not None
        try:
            yield served, announced[1]
        finally:
            if served.poll() is None:
                served.kill()


def called(home: Path, *arguments: str, stdin: str | None = None) -> Any:
    result = CliRunner(env={"ANALYTICS_HOME": str(home)}).invoke(main, ["portal", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.output) if "--json" in arguments else result.output


@pytest.mark.integration
def test_it_starts_says_how_it_is_and_stops_when_it_is_told(tmp_path: Path, catalog: Catalog) -> None:
    plant(tmp_path, catalog)
    called(tmp_path, "users", "add", "eva", "--principal", "usr_executive", "--password-stdin", stdin=PASSWORD)
    with process(tmp_path) as (served, url):
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
        with httpx.Client(base_url=url) as client:
            shown = client.get("/login").text
            form = re.search(r'name="form" value="(\w+)"', shown)
            assert form is not None
            client.post("/login", data={"form": form[1], "user": "eva", "password": PASSWORD})
            assert client.get("/dashboards/finance/executive.html").status_code == 200
            assert client.get("/dashboards/finance/growth.html?secret=canary-in-a-query").status_code == 404
        told = httpx.get(f"{url}/metrics").text
        assert 'analytics_portal_outcomes_total{action="open",outcome="served"} 1.0' in told
        assert 'analytics_portal_requests_total{route="file",status="404"} 1.0' in told
        assert "finance" not in told
        served.send_signal(signal.SIGTERM)
        assert served.wait(timeout=30) == 0
        assert served.stderr is not None
        logs = served.stderr.read()
    lines = [json.loads(line) for line in logs.splitlines()]
    assert {"portal started", "request", "portal stopped"} <= {line["event"] for line in lines}
    for secret in (PASSWORD, "canary", "usr_executive", "dashboards/"):
        assert secret not in logs
    told = called(tmp_path, "audit", "--json")["entries"]
    assert [each["outcome"] for each in told] == ["granted", "served", "not_found"]
    assert {each["address"] for each in told} == {"127.0.0.1"}
    assert {each["request_id"] for each in told} <= {line.get("request_id") for line in lines}
    assert PASSWORD not in json.dumps(told)
    assert "canary" not in json.dumps(told)


@pytest.mark.integration
def test_it_does_not_start_with_an_open_door_or_on_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        for asked, said in (
            (["--host", "0.0.0.0"], "ANALYTICS_PORTAL_URL"),
            (["--port", str(other.getsockname()[1])], "choose another --host or --port"),
        ):
            command = [sys.executable, "-m", "analytics_platform.cli", "portal", *asked]
            environment = {**os.environ, "ANALYTICS_HOME": str(tmp_path)}
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
            assert ended.returncode == 1
            assert said in ended.stderr


def test_users_are_added_shown_and_removed_by_command(tmp_path: Path) -> None:
    added = called(tmp_path, "users", "add", "eva", "--principal", "usr_executive", "--json")
    assert len(added["password"]) == 20
    again = called(tmp_path, "users", "password", "eva")
    assert "shown this once" in again
    assert added["password"] not in again
    (only,) = called(tmp_path, "users", "list", "--json")["users"]
    assert (only["user"], only["principal"]) == ("eva", "usr_executive")
    assert "password_hash" not in only
    called(tmp_path, "users", "remove", "eva")
    assert "analytics portal users add" in called(tmp_path, "users", "list")
    result = CliRunner(env={"ANALYTICS_HOME": str(tmp_path)}).invoke(main, ["portal", "users", "remove", "eva"])
    assert result.exit_code == 1
    assert "users list" in result.output


def test_the_demos_people_get_passwords_once(tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics_platform.cli.portal import demo_users

    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    assert "users add" in demo_users()[0]
    write_export(tmp_path / "rbac.json", catalog, NOW)
    first = demo_users()
    names = [line.split()[0] for line in first[1:]]
    assert names == ["admin", "executive", "finance", next(iter(catalog.tenants))]
    passwords = {line.split()[1] for line in first[1:]}
    assert len(passwords) == 4
    kept = (tmp_path / "portal" / "users.json").read_text()
    assert not any(password in kept for password in passwords)
    again = "\n".join(demo_users())
    assert "analytics portal users password admin" in again
    assert not any(password in again for password in passwords)
    held = {each["principal"] for each in json.loads((tmp_path / "rbac.json").read_text())["members"]}
    assert {user["principal"] for user in json.loads(kept)["users"].values()} <= held


def test_the_record_has_a_file_per_day_and_finds_by_user_key_and_day(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    one = Entry(Action.OPEN, Outcome.SERVED, 200, "usr_1", "finance", "dashboards/finance/finance.html")
    log.write(one, NOW - timedelta(days=1))
    log.write(Entry(Action.LOGIN, Outcome.WRONG, 403), NOW)
    log.write(Entry(Action.OPEN, Outcome.NOT_FOUND, 404, "usr_2", None, "reviews/x.html"), NOW)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["audit-2026-03-01.jsonl", "audit-2026-03-02.jsonl"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(list(log.read())) == 3
    assert [each["who"] for each in log.read(user="usr_1")] == ["usr_1"]
    assert [each["key"] for each in log.read(key="reviews/")] == ["reviews/x.html"]
    assert len(list(log.read(since=NOW.date()))) == 2
    (tmp_path / "audit-2026-03-02.jsonl").unlink()  # retention has taken it while the file is open
    log.write(one, NOW)
    assert len(list(log.read(since=NOW.date()))) == 1
    log.close()
    (tmp_path / "audit-2026-03-02.jsonl").write_bytes(b"{cut")
    with pytest.raises(AuditError, match="no JSON"):
        list(log.read())


def test_what_is_added_leaves_what_was_there(tmp_path: Path) -> None:
    for number in range(3):
        log = AuditLog(tmp_path)  # as after a restart
        log.write(Entry(Action.LOGOUT, Outcome.DONE, 303, f"usr_{number}"), NOW)
        log.close()
    assert [each["who"] for each in AuditLog(tmp_path).read()] == ["usr_0", "usr_1", "usr_2"]


@pytest.mark.integration
def test_what_cannot_be_put_on_record_is_not_served(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Any
) -> None:
    plant(tmp_path, catalog)
    (tmp_path / "portal").mkdir()
    (tmp_path / "portal" / "audit").write_text("a file where the folder should be")
    client = start(provided(tmp_path, provider))
    headers = {"Authorization": f"Bearer {provider.token('usr_admin')}"}
    answer = client.get("/dashboards/finance/admin.html", headers=headers)
    assert answer.status_code == 503
    assert b"dashboards/finance" not in answer.content


def test_retention_knows_the_portals_files(tmp_path: Path, catalog: Catalog) -> None:
    settings = Settings(home=tmp_path)
    assert retention.PORTAL_AGEING == AGEING
    assert retention.PORTAL_AUDIT_FILES == audit_room.FILES
    (place,) = retention.home_places(settings)["portal_audit"]
    AuditLog(place.folder).write(Entry(Action.LOGIN, Outcome.WRONG, 403), NOW)
    assert len(list(place.folder.rglob(place.pattern))) == 1
    assert {"portal_audit", "portal_state", "portal_users"} <= catalog.datasets.keys()


def test_rights_that_cannot_be_read_anew_count_for_a_while(local_home: Lake) -> None:
    now = [1000.0]
    source = [RbacSource(str(local_home.home / "rbac.json"))]
    rights = CurrentRights(RightsPlaces(None, lambda: source[0], b"key"), lambda: now[0])
    assert rights.now().principal("usr_admin").audiences
    source[0] = RbacSource("http://127.0.0.1:1/closed")
    now[0] += ASK_SECONDS + 1
    assert rights.now().principal("usr_admin").audiences
    now[0] += STALE_SECONDS
    with pytest.raises(RightsUnknownError, match="endpoint"):
        rights.now()
    source[0] = RbacSource(str(local_home.home / "rbac.json"))
    now[0] += ASK_SECONDS + 1
    assert rights.now().principal("usr_admin").audiences


def test_without_a_source_nobody_may_see_anything() -> None:
    rights = CurrentRights(RightsPlaces(None, lambda: RbacSource(None), b"key")).now()
    assert rights.principal("usr_admin").audiences == ()
    assert rights.held == {}


def test_an_address_goes_on_record_as_a_reference() -> None:
    rights = CurrentRights(RightsPlaces(None, lambda: RbacSource(None), b"key")).now()
    assert rights.principal("Eva@Example.com").id == rights.principal("eva@example.com ").id
    assert "example" not in rights.principal("eva@example.com").id
