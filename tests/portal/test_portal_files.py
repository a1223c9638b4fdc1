"""Who gets which file: every file of a lake for every audience, against a second opinion that shares no code."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from identity_provider import Provider
from portal_lake import MONDAY, Lake, Start, audiences_of, plant, principal_of, provided, write_rbac

from analytics_platform.catalog import Audience, Catalog
from analytics_platform.governance.access.pages import opened_as
from analytics_platform.governance.access.policy import pages_policy
from analytics_platform.lake.store import LocalStore
from analytics_platform.portal.shelf import servable

ROLES: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "analytics_platform/catalog/access_roles.yaml").read_text()
)


def opens(role: str, tenant: str | None, key: str) -> bool:
    """A second opinion: a key taken apart by hand, and the roles' file as YAML."""

    def granted(dataset: str) -> bool:
        patterns = ROLES[role]["datasets"]
        return any(p == dataset or (p.endswith("*") and dataset.startswith(p[:-1])) for p in patterns)

    me = role if tenant is None else f"{role}@{tenant}"
    match key.split("/"):
        case ["dashboards", name, file]:
            return file == f"{me}.html" and granted(f"dashboard.{name}")
        case ["reports", "weekly", _, file]:
            return file.split(".")[0] == (tenant or "all") and granted("report.weekly")
        case ["reports", "expectations.html"]:
            return tenant is None and granted("report.expectations")
        case ["reports", "tracking_plan.html"]:
            return tenant is None and granted("report.tracking_plan")
        case ["reviews", _, file]:
            return tenant is None and file.startswith("review.") and granted("governance.data_quality_review")
        case ["processing", _]:
            return tenant is None and granted("governance.processing_records")
    return False


def auth(provider: Provider, principal: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {provider.token(principal, **claims)}"}


@pytest.mark.integration
def test_every_audience_gets_its_files_and_the_same_no_for_all_others(
    by_token: httpx.Client, portal_lake: Lake, provider: Provider, catalog: Catalog
) -> None:
    refused: set[bytes] = set()
    served = 0
    for audience in audiences_of(catalog):
        headers = auth(provider, principal_of(audience))
        for key in (*portal_lake.keys, "reports/tracking_plan.html", "reports/nothing.html"):
            answer = by_token.get(f"/{key}", headers=headers)
            is_there = key == "reports/tracking_plan.html" or key in portal_lake.keys
            wanted = opens(audience.role, audience.tenant, key) and is_there
            assert answer.status_code == (200 if wanted else 404), (audience.name, key)
            if not wanted:
                refused.add(answer.content)
            elif key in portal_lake.keys:
                assert answer.content == portal_lake.store.get(key)
            served += wanted
    assert len(refused) == 1, "an answer tells what is there from what is not"
    assert served > 80


def test_the_rule_says_the_same_for_roles_and_keys_that_no_lake_has(catalog: Catalog) -> None:
    policy = pages_policy(catalog)
    keys = [
        f"dashboards/{name}/{who}.html"
        for name in (*catalog.dashboards, "secret")
        for who in ("finance", "tenant_viewer@x", "*", "tenant_viewer@*")
    ]
    for audience in [*audiences_of(catalog), Audience("nobody"), Audience("tenant_viewer", "*")]:
        for key in keys:
            wanted = audience.role in ROLES and audience.tenant != "*" and opens(audience.role, audience.tenant, key)
            assert (opened_as(policy, [audience], key) is not None) == (wanted and "secret" not in key), (audience, key)


_PARTS = st.sampled_from(
    ["..", ".", "/", "%2e", "dashboards", "finance.html", "*", "\0", "\\", "week=", "@", ".pdf", "é"]
)


@given(st.text(max_size=40) | st.lists(_PARTS, max_size=8).map("".join))
def test_no_path_leads_out_of_the_pages(path: str) -> None:
    key = servable(path)
    if key is not None:
        parts = key.split("/")
        assert key == path
        assert key.isascii()
        assert not {"", ".", ".."} & set(parts)
        assert all(part[0].isalnum() for part in parts)
        assert not any(character in key for character in "%\\\0*?#:~ ")


@pytest.mark.integration
@pytest.mark.parametrize(
    "path",
    [
        "/dashboards/finance/../finance/executive.html",
        "/dashboards/finance/%2e%2e/finance/executive.html",
        "/dashboards/finance/..%2ffinance/executive.html",
        "/dashboards/finance/%252e%252e/finance/executive.html",
        "//dashboards/finance/executive.html",
        "/dashboards//finance/executive.html",
        "/dashboards/finance/executive.html%00",
        "/dashboards/finance/executive.html/",
        "/dashboards\\finance\\executive.html",
        "/dashboards/finance/EXECUTIVE.html",
        "/../rbac.json",
        "/..%2frbac.json",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/dashboards/finance/",
        "/dashboards",
    ],
)
def test_a_path_that_is_not_the_key_itself_is_nothing(by_token: httpx.Client, provider: Provider, path: str) -> None:
    url = by_token.base_url  # a client of its own: httpx takes dots out of paths
    connection = http.client.HTTPConnection(url.host, url.port)
    connection.request("GET", path, headers=auth(provider, "usr_executive"))
    answer = connection.getresponse()
    assert answer.status == 404
    assert b"executive" not in answer.read()
    connection.close()


@pytest.mark.integration
def test_what_headers_a_file_has(by_token: httpx.Client, provider: Provider) -> None:
    headers = auth(provider, "usr_executive")
    page = by_token.get("/dashboards/finance/executive.html", headers=headers)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy, "the page's own policy says which scripts are its"
    assert "default-src" not in policy
    assert page.headers["cache-control"] == "private, no-cache"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "content-disposition" not in page.headers
    assert "strict-transport-security" not in page.headers
    assert "server" not in page.headers
    for form, media_type in (("pdf", "application/pdf"), ("json", "application/json")):
        file = by_token.get(f"/reports/weekly/week={MONDAY}/all.{form}", headers=headers)
        assert file.headers["content-type"] == media_type
        assert file.headers["content-disposition"] == f'attachment; filename="reports-weekly-week-{MONDAY}-all.{form}"'
        assert file.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.integration
def test_an_unchanged_file_is_not_sent_again_and_a_changed_one_is(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Start
) -> None:
    lake = plant(tmp_path, catalog)
    client = start(provided(tmp_path, provider, portal_url="https://portal.example.com"))
    key, headers = "dashboards/finance/executive.html", auth(provider, "usr_executive")
    first = client.get(f"/{key}", headers=headers)
    assert first.headers["etag"] == f'"{hashlib.sha256(first.content).hexdigest()[:32]}"'
    assert first.headers["strict-transport-security"].startswith("max-age=31536000")
    again = client.get(f"/{key}", headers={**headers, "If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head(f"/{key}", headers=headers)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    lake.store.put(key, b"<!doctype html><p>new")
    assert client.get(f"/{key}", headers={**headers, "If-None-Match": first.headers["etag"]}).status_code == 200
    stranger = client.get(f"/{key}", headers={**auth(provider, "usr_growth"), "If-None-Match": "*"})
    assert stranger.status_code == 404, "a condition is no way around the check"


@pytest.mark.integration
def test_a_role_that_is_taken_away_is_gone_with_the_next_look(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Start
) -> None:
    plant(tmp_path, catalog)
    client = start(provided(tmp_path, provider))
    headers = auth(provider, "usr_executive")
    key = "/dashboards/finance/executive.html"
    assert client.get(key, headers=headers).status_code == 200
    write_rbac(tmp_path, [{"principal": "usr_executive", "role": "growth", "tenants": []}])
    assert until(lambda: client.get(key, headers=headers).status_code, 404)
    assert client.get("/dashboards/growth/growth.html", headers=headers).status_code == 404, "not in this small lake"
    assert client.get("/dashboards/executive_overview/growth.html", headers=headers).status_code == 200


@pytest.mark.integration
def test_somebody_of_several_audiences_has_the_files_of_each(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Start
) -> None:
    plant(tmp_path, catalog)
    one, two, *_ = catalog.tenants
    role = catalog.access_roles["tenant_viewer"].meant_by[0]
    members = [
        {"principal": "usr_x", "role": role, "tenants": [one, two, "unregistered", "*"]},
        {"principal": "usr_x", "role": "finance", "tenants": []},
    ]
    write_rbac(tmp_path, members)
    client = start(provided(tmp_path, provider))
    headers = auth(provider, "usr_x")
    for who, status in ((f"tenant_viewer@{one}", 200), (f"tenant_viewer@{two}", 200), ("finance", 200), ("admin", 404)):
        assert client.get(f"/dashboards/finance/{who}.html", headers=headers).status_code == status
    page = client.get("/", headers=headers).text
    assert page.count("/dashboards/finance/") == 3
    assert catalog.tenants[one].name in page
    assert "as Finance" in page


@pytest.mark.integration
def test_who_holds_no_role_sees_that_and_nothing_else(by_token: httpx.Client, provider: Provider) -> None:
    page = by_token.get("/", headers=auth(provider, "usr_stranger"))
    assert page.status_code == 200
    assert "hold no role" in page.text
    assert "/dashboards/" not in page.text


@pytest.mark.integration
def test_the_start_page_names_what_may_be_opened_and_nothing_else(
    by_token: httpx.Client, portal_lake: Lake, provider: Provider, catalog: Catalog
) -> None:
    for audience in audiences_of(catalog):
        page = by_token.get("/", headers=auth(provider, principal_of(audience))).text
        linked = {link for link in re.findall(r'href="/([^"?]*)"', page) if link}
        wanted = {
            key
            for key in (*portal_lake.keys, "reports/tracking_plan.html")
            if opens(audience.role, audience.tenant, key)
        }
        assert linked == wanted, audience.name


@pytest.mark.integration
def test_groups_say_the_roles_where_the_settings_say_so(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Start
) -> None:
    plant(tmp_path, catalog)
    tenant = next(iter(catalog.tenants))
    client = start(provided(tmp_path, provider, portal_oidc_groups_claim="groups"))
    groups = [f"analytics.tenant_viewer.{tenant}", "analytics.finance.x", "analytics.admin@x", "admin", 7]
    headers = auth(provider, "usr_admin", groups=groups)
    assert client.get(f"/dashboards/finance/tenant_viewer@{tenant}.html", headers=headers).status_code == 200
    assert client.get("/dashboards/finance/admin.html", headers=headers).status_code == 404, "the RBAC is not asked"
    for told in ("analytics.admin", {"analytics.admin": True}, None):
        headers = auth(provider, "usr_admin", groups=told)
        assert client.get("/dashboards/finance/admin.html", headers=headers).status_code == 404


@pytest.mark.integration
def test_it_is_closed_while_nobody_can_say_who_may_see_what(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Start
) -> None:
    plant(tmp_path, catalog)
    (tmp_path / "rbac.json").write_text("{broken")
    client = start(provided(tmp_path, provider))
    answer = client.get("/dashboards/finance/admin.html", headers=auth(provider, "usr_admin"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    last = json.loads((next((tmp_path / "portal" / "audit").iterdir())).read_text().splitlines()[-1])
    assert (last["outcome"], last["status"], last["who"]) == ("unavailable", 503, None)


@pytest.mark.integration
def test_a_store_that_fails_is_an_answer_that_says_so_and_is_on_record(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Start
) -> None:
    lake = plant(tmp_path, catalog)
    key = "dashboards/finance/admin.html"
    lake.store.delete(key)
    (lake.store.root / key).mkdir()  # reading it is an error that no store names
    client = start(provided(tmp_path, provider))
    answer = client.get(f"/{key}", headers=auth(provider, "usr_admin"))
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert str(tmp_path) not in answer.text
    assert '"unavailable"' in next((tmp_path / "portal" / "audit").iterdir()).read_text()


def until(ask: Any, wanted: object, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ask() == wanted:
            return True
        time.sleep(0.05)
    return False


def test_the_lake_has_what_the_second_opinion_speaks_of(portal_lake: Lake) -> None:
    assert isinstance(portal_lake.store, LocalStore)
    assert {key.split("/")[0] for key in portal_lake.keys} >= {"dashboards", "reports", "reviews", "processing", "raw"}
