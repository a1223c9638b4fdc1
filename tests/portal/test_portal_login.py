"""The local login: sessions, forms, guessing, and what of it goes on record."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from portal_lake import PASSWORD, Lake, Start

from analytics_platform.portal.attempts import (
    FAILURES_PER_ADDRESS,
    FAILURES_PER_USER,
    WINDOW_SECONDS,
    Attempts,
    TooManyAttemptsError,
)
from analytics_platform.portal.service import PortalRefusedError, refuse_open_door, users_of
from analytics_platform.portal.sessions import SAME_VISIT, PortalState, Session
from analytics_platform.portal.users import NewUser, UserError, Users, new_password
from analytics_platform.settings import Settings

KEY = "/dashboards/finance/executive.html"


def settings_of(lake: Lake, **changed: object) -> Settings:
    return Settings.model_validate({"home": lake.home, **changed})


def form_of(page: str) -> str:
    found = re.search(r'name="form" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


def sign_in(client: httpx.Client, user: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    form = form_of(client.get("/login").text)
    return client.post("/login", data={"form": form, "user": user, "password": password, **more})


def record(lake: Lake) -> list[dict[str, Any]]:
    folder = lake.home / "portal" / "audit"
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


@pytest.mark.integration
def test_whoever_signs_in_has_the_files_of_their_role_until_they_sign_out(local_home: Lake, start: Start) -> None:
    client = start(settings_of(local_home))
    turned = client.get(KEY)
    assert (turned.status_code, turned.headers["location"]) == (
        303,
        "/login?next=dashboards%2Ffinance%2Fexecutive.html",
    )
    assert client.get("/").headers["location"] == "/login"
    welcome = sign_in(client, "eva", next="dashboards/finance/executive.html")
    assert (welcome.status_code, welcome.headers["location"]) == (303, KEY)
    assert client.get(KEY).status_code == 200
    assert client.get("/dashboards/finance/admin.html").status_code == 404
    assert client.get("/login").headers["location"] == "/"
    cookie = client.cookies["portal_session"]
    left = client.post("/logout", data={"form": form_of(client.get("/").text)})
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    client.cookies.set("portal_session", cookie)
    assert client.get(KEY).status_code == 303, "the session itself is gone, not only its cookie"
    said = [(each["action"], each["outcome"], each["who"]) for each in record(local_home)[-6:]]
    assert said == [
        ("open", "refused", None),
        ("login", "granted", "usr_executive"),
        ("open", "served", "usr_executive"),
        ("open", "not_found", "usr_executive"),
        ("logout", "done", "usr_executive"),
        ("open", "refused", None),
    ]


@pytest.mark.integration
@pytest.mark.parametrize(("https", "prefix"), [(False, ""), (True, "__Host-")], ids=["http", "https"])
def test_cookies_are_for_this_site_and_no_script(local_home: Lake, start: Start, https: bool, prefix: str) -> None:
    url = "https://portal.example.com" if https else None
    client = start(settings_of(local_home, portal_url=url, portal_session_hours=2))
    shown = client.get("/login")
    secret = re.search(rf"{prefix}portal_form=([^;]+)", shown.headers["set-cookie"])
    assert secret is not None
    welcome = client.post(
        "/login",
        data={"form": form_of(shown.text), "user": "eva", "password": PASSWORD},
        headers={"Cookie": f"{prefix}portal_form={secret[1]}"},
    )
    session = next(each for each in welcome.headers.get_list("set-cookie") if "portal_session" in each)
    assert session.startswith(f"{prefix}portal_session=")
    flags = {each.strip().lower() for each in session.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=7200"} <= flags
    assert ("secure" in flags) == https
    assert not any(each.startswith("domain") for each in flags)


@pytest.mark.integration
def test_a_login_makes_a_new_session_and_ends_the_one_that_came_with_it(local_home: Lake, start: Start) -> None:
    client = start(settings_of(local_home))
    client.cookies.set("portal_session", "planted-by-somebody")
    sign_in(client, "eva")
    first = client.cookies.get("portal_session", domain="127.0.0.1") or list(client.cookies.jar)[-1].value
    assert first != "planted-by-somebody"
    other = httpx.Client(base_url=client.base_url)
    form = form_of(other.get("/login").text)
    again = other.post(
        "/login",
        data={"form": form, "user": "eva", "password": PASSWORD},
        headers={"Cookie": f"portal_form={other.cookies['portal_form']}; portal_session={first}"},
    )
    assert again.status_code == 303
    second = other.cookies["portal_session"]
    assert second != first
    assert httpx.get(f"{client.base_url}{KEY}", cookies={"portal_session": first}).status_code == 303
    assert httpx.get(f"{client.base_url}{KEY}", cookies={"portal_session": second}).status_code == 200
    other.close()


@pytest.mark.integration
def test_a_form_that_is_not_ours_does_nothing(local_home: Lake, start: Start) -> None:
    client = start(settings_of(local_home))
    shown = client.get("/login")
    good = {"form": form_of(shown.text), "user": "eva", "password": PASSWORD}
    stranger = httpx.Client(base_url=client.base_url)
    assert stranger.post("/login", data=good).status_code == 403, "no cookie beside it"
    assert client.post("/login", data={**good, "form": "0" * 64}).status_code == 403
    assert client.post("/login", data={key: good[key] for key in ("user", "password")}).status_code == 403
    assert client.post("/login", json=good).status_code == 403
    assert client.post("/login", data={**good, "user": "x" * 10_000}).status_code == 403
    assert client.get("/login", params=good).status_code == 200
    assert "portal_session" not in client.cookies
    sign_in(client, "eva")
    assert client.post("/logout", data={"form": "0" * 64}).status_code == 403
    assert client.post("/logout").status_code == 403
    assert client.get("/logout").status_code == 404
    assert client.get(KEY).status_code == 200, "still signed in"
    assert {"forged"} == {
        each["outcome"] for each in record(local_home) if each["status"] == 403 and each["action"] == "logout"
    }
    stranger.close()


@pytest.mark.integration
def test_where_a_login_leads_is_a_page_of_the_portal(local_home: Lake, start: Start) -> None:
    client = start(settings_of(local_home))
    for onward in (
        "https://evil.example.com/",
        "//evil.example.com/x.html",
        "/\\evil.example.com",
        "x",
        "javascript:alert(1)",
        "a\r\nb.html",
    ):
        welcome = sign_in(client, "eva", next=onward)
        assert welcome.headers["location"] == "/", onward
        client.cookies.clear()
        assert 'name="next" value=""' in client.get("/login", params={"next": onward}).text
        client.cookies.clear()


@pytest.mark.integration
def test_guessing_ends_with_a_clear_answer_for_users_that_are_there_and_not(local_home: Lake, start: Start) -> None:
    client = start(settings_of(local_home))
    pages = {}
    for name in ("tom", "nobody-of-that-name"):
        answers = [sign_in(client, name, f"guess number {number}") for number in range(FAILURES_PER_USER + 1)]
        assert [each.status_code for each in answers] == [403] * FAILURES_PER_USER + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= WINDOW_SECONDS + 1
        assert "Try again in 15 min" in answers[-1].text
        pages[name] = {re.sub(r"[0-9a-f]{64}", "", each.text) for each in answers}
    assert pages["tom"] == pages["nobody-of-that-name"]
    assert sign_in(client, "tom").status_code == 429, "the right password too"
    assert sign_in(client, "eva").status_code == 303, "another user is not locked out"
    said = [each for each in record(local_home) if each["action"] == "login"]
    assert {each["who"] for each in said if each["outcome"] in ("wrong", "limited")} > {None}
    text = json.dumps(said)
    assert "guess" not in text
    assert "nobody-of-that-name" not in text
    assert PASSWORD not in text


def test_guessing_is_bounded_by_address_and_forgotten_with_time() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for number in range(FAILURES_PER_ADDRESS):
        attempts.begin(f"user-{number}", "10.0.0.1")
    with pytest.raises(TooManyAttemptsError):
        attempts.begin("another", "10.0.0.1")
    attempts.begin("another", "10.0.0.2")
    now[0] += WINDOW_SECONDS
    attempts.begin("another", "10.0.0.1")


def test_logins_that_succeed_do_not_add_up() -> None:
    attempts = Attempts(lambda: 0.0)
    for _ in range(3 * FAILURES_PER_ADDRESS):
        attempts.begin("eva", "10.0.0.1")
        attempts.succeeded("eva", "10.0.0.1")
    attempts.begin("eva", "10.0.0.1")


@pytest.mark.integration
def test_another_password_and_a_removal_end_sessions(local_home: Lake, start: Start) -> None:
    users = users_of(settings_of(local_home))
    users.add(NewUser("ben", "usr_executive", PASSWORD))
    client = start(settings_of(local_home))
    sign_in(client, "ben")
    assert client.get(KEY).status_code == 200
    users.set_password("ben", "another good password")
    assert client.get(KEY).status_code == 303
    client.cookies.clear()
    assert sign_in(client, "ben").status_code == 403
    assert sign_in(client, "ben", "another good password").status_code == 303
    users.remove("ben")
    assert client.get(KEY).status_code == 303


def test_a_session_lasts_as_long_as_it_should_and_is_kept_as_a_hash(tmp_path: Path) -> None:
    state, now = PortalState(tmp_path / "state.sqlite"), datetime.now(UTC)
    session = Session("eva", now)
    token = state.begin_session(session, now, timedelta(hours=1))
    assert state.session(token, now + timedelta(minutes=59)) == session
    assert state.session(token, now + timedelta(minutes=61)) is None
    assert state.session(token[:-1], now) is None
    assert token.encode() not in (tmp_path / "state.sqlite").read_bytes()
    state.begin_session(session, now + timedelta(hours=2), timedelta(hours=1))
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        assert connection.execute("select count(*) from sessions").fetchone() == (1,)


def test_a_visit_is_over_once_somebody_was_away(tmp_path: Path) -> None:
    state, first = PortalState(tmp_path / "state.sqlite"), datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert state.visit("eva", first) is None
    assert state.visit("eva", first + timedelta(minutes=5)) is None
    later = first + timedelta(minutes=5) + SAME_VISIT + timedelta(seconds=1)
    assert state.visit("eva", later) == first + timedelta(minutes=5)
    assert state.visit("eva", later + timedelta(minutes=10)) == first + timedelta(minutes=5)
    assert state.visit("tom", later) is None


def test_users_are_kept_as_hashes_in_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    users = Users(tmp_path / "portal" / "users.json")
    assert users.all() == {}
    assert not users.exist
    users.add(NewUser("eva", "usr_executive", PASSWORD))
    path = tmp_path / "portal" / "users.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    assert "$argon2id$" in path.read_text()
    assert users.signed_in("eva", PASSWORD)
    assert users.signed_in("eva", f"{PASSWORD} ") is None
    assert users.signed_in("nobody", PASSWORD) is None
    for name, password, said in (("eva", PASSWORD, "exists"), ("a b", PASSWORD, "no name"), ("ben", "short", "12")):
        with pytest.raises(UserError, match=said):
            users.add(NewUser(name, "usr_x", password))
    with pytest.raises(UserError, match="no user ben"):
        users.remove("ben")
    assert len({new_password() for _ in range(100)}) == 100
    assert len(new_password()) == 20


def test_an_unknown_user_costs_as_much_as_a_wrong_password(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json")
    users.add(NewUser("eva", "usr_executive", PASSWORD))
    users.signed_in("nobody", "a wrong password")  # makes the hash that stands for nobody's

    def cost(name: str) -> float:
        costs = []
        for _ in range(3):
            started = time.process_time()
            users.signed_in(name, "a wrong password")
            costs.append(time.process_time() - started)
        return min(costs)

    assert 0.5 < cost("nobody") / cost("eva") < 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_a_local_login_may_listen_on_this_machine(tmp_path: Path, host: str) -> None:
    refuse_open_door(Settings(home=tmp_path), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "portal.example.com"])
def test_a_local_login_listens_elsewhere_only_behind_https(tmp_path: Path, host: str) -> None:
    for url in (None, "http://portal.example.com"):
        with pytest.raises(PortalRefusedError, match="ANALYTICS_PORTAL_URL"):
            refuse_open_door(Settings(home=tmp_path, portal_url=url), host)
    refuse_open_door(Settings(home=tmp_path, portal_url="https://portal.example.com"), host)
    refuse_open_door(Settings(home=tmp_path, portal_login="oidc"), host)
