"""Dagster's web server behind a guard: `python -m analytics_platform.defs.web_server`, called as `dagster-webserver`.

Dagster knows no users, asks no request where it comes from, and runs a mutation that stands in the query string of a
GET. So a page on any site could start, end and delete runs in the name of whoever has the lineage open: by the address
of a picture where it listens on this machine, by a link where a proxy signs its readers in with a cookie. The guard
refuses what a browser sends on behalf of another site, and mutations by address.

Belongs here: that guard, and how it is put around the server. Who may come in at all is the proxy's question.
"""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlsplit

from dagster_webserver import app, cli
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from analytics_platform.settings import is_loopback

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OWN_SITE = ("same-origin", "none")
_GRAPHQL = "/graphql"
_POLICY_VIOLATION = 1008


class SameOriginOnly:
    """Refuses what a browser sends on behalf of another site.

    A browser says where a request comes from (`Sec-Fetch-Site`, older ones `Origin`) and a page cannot change that.
    Programs send neither, and are let through: they hold no reader's cookies. See Fetch Metadata Request Headers, W3C,
    and for the order of the questions Go's `http.CrossOriginProtection`.

    Args:
        app: what is guarded.
        loopback_only: whether only this machine's own names are taken for a host: against a site that lets its own
            name point at 127.0.0.1 (DNS rebinding), which is same-origin to a browser.
    """

    def __init__(self, app: ASGIApp, *, loopback_only: bool) -> None:
        self._app, self._loopback_only = app, loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request or socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope, Headers(scope=scope))
        if problem is None:
            await self._app(scope, receive, _unframed(send))
        elif scope["type"] == "websocket":
            await WebSocketClose(_POLICY_VIOLATION, problem)(scope, receive, send)
        else:
            await PlainTextResponse(problem, 403)(scope, receive, send)

    def _problem(self, scope: Scope, headers: Headers) -> str | None:
        """Why a request is refused; None when it is not."""
        host = headers.get("host", "")
        if self._loopback_only and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return "Host: is no name of this machine; open the lineage as http://127.0.0.1 or http://localhost"
        is_socket = scope["type"] == "websocket"
        is_graphql = scope["path"].endswith(_GRAPHQL)
        is_page = not is_socket and scope["method"] in _SAFE_METHODS and not is_graphql
        if not is_page and not _own(headers, host):
            return "this request comes from another site; open the lineage itself"
        if is_graphql and not is_socket and scope["method"] == "GET" and b"query=" in scope["query_string"]:
            return "query: send it in the body of a POST"
        return None


def main() -> None:
    """Serve, as `dagster-webserver` does; `--loopback-only` takes no name but this machine's own for a host."""
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    ours.add_argument("--loopback-only", action="store_true")
    asked, theirs = ours.parse_known_args()
    made = app.create_app_from_workspace_process_context

    def guarded(*arguments: Any, **options: Any) -> Starlette:
        found = made(*arguments, **options)
        found.add_middleware(SameOriginOnly, loopback_only=asked.loopback_only)
        return found

    # Dagster's command makes the application itself and takes no middleware for it.
    cli.create_app_from_workspace_process_context = guarded  # type: ignore[attr-defined]
    cli.cli(args=theirs, auto_envvar_prefix="DAGSTER_WEBSERVER")


def _own(headers: Headers, host: str) -> bool:
    """Whether a request is the server's own pages' or no browser's."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN_SITE
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _unframed(send: Send) -> Send:
    """What is sent, with a header that lets no other site put the lineage into a frame and have it clicked."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Frame-Options"] = "DENY"
        await send(message)

    return sent


if __name__ == "__main__":
    main()
