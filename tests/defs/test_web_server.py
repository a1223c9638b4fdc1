"""What the guard around Dagster's web server lets through: requests as browsers and programs send them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from analytics_platform.defs.web_server import SameOriginOnly

HOST = "127.0.0.1:3000"
MUTATION = "/graphql?query=mutation{launchRun}"


async def _greet(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


def guarded(*, loopback_only: bool = True) -> SameOriginOnly:
    answer = Route("/{path:path}", lambda _: PlainTextResponse("served"), methods=["GET", "POST"])
    return SameOriginOnly(Starlette(routes=[WebSocketRoute("/graphql", _greet), answer]), loopback_only=loopback_only)


def answer(method: str, path: str, headers: Mapping[str, str], **options: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(guarded(**options))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/asset-groups", {}),
        ("GET", "/asset-groups", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
        ("POST", "/graphql", {}),
        ("POST", "/graphql", {"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HOST}"}),
        ("POST", "/graphql", {"Origin": f"http://{HOST}"}),
        ("GET", "/graphql", {"Sec-Fetch-Site": "none", "Accept": "text/html"}),
        ("GET", "/server_info", {"Host": "localhost:3000"}),
        ("GET", "/server_info", {"Host": "[::1]:3000"}),
    ],
)
def test_own_pages_programs_and_links_to_pages_are_served(method: str, path: str, headers: dict[str, str]) -> None:
    found = answer(method, path, headers)
    assert (found.status_code, found.text) == (200, "served")
    assert found.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("method", "path", "headers", "told"),
    [
        ("GET", MUTATION, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "another site"),
        ("GET", MUTATION, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, "another site"),
        ("GET", MUTATION, {"Sec-Fetch-Site": "none"}, "POST"),
        ("GET", MUTATION, {}, "POST"),
        ("GET", f"/prefix{MUTATION}", {"Sec-Fetch-Site": "none"}, "POST"),
        ("POST", MUTATION, {"Sec-Fetch-Site": "cross-site"}, "another site"),
        ("POST", MUTATION, {"Sec-Fetch-Site": "same-site"}, "another site"),
        ("POST", MUTATION, {"Origin": "https://elsewhere.example"}, "another site"),
        ("POST", MUTATION, {"Origin": "null"}, "another site"),
        ("POST", "/report_asset_materialization/kpi/mrr", {"Sec-Fetch-Site": "cross-site"}, "another site"),
        ("GET", "/asset-groups", {"Host": "elsewhere.example"}, "Host"),
        ("GET", "/asset-groups", {"Host": "127.0.0.1.elsewhere.example:3000"}, "Host"),
        ("GET", "/asset-groups", {"Host": ""}, "Host"),
    ],
)
def test_what_other_sites_make_a_browser_send_is_refused(
    method: str, path: str, headers: dict[str, str], told: str
) -> None:
    found = answer(method, path, headers)
    assert found.status_code == 403
    assert told in found.text


def test_behind_a_proxy_any_host_is_its_own() -> None:
    assert answer("GET", "/asset-groups", {"Host": "lineage.example.com"}, loopback_only=False).status_code == 200


@pytest.mark.parametrize(
    ("headers", "first"),
    [
        ({"Host": HOST, "Origin": f"http://{HOST}"}, "websocket.accept"),
        ({"Host": HOST, "Sec-Fetch-Site": "cross-site"}, "websocket.close"),
        ({"Host": HOST, "Origin": "https://elsewhere.example"}, "websocket.close"),
        ({"Host": "elsewhere.example", "Origin": "https://elsewhere.example"}, "websocket.close"),
    ],
)
def test_no_other_site_listens_in(headers: dict[str, str], first: str) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/graphql", "query_string": b"", "headers": raw, "subprotocols": []}
    asyncio.run(guarded()(scope, receive, send))
    assert sent[0]["type"] == first
