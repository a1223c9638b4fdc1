"""HTTP around the portal: the start page, every file behind one check, the local login, health and metrics.

A file is answered with 404 when it is not there and when it is not for whoever asks: the same bytes, and in neither
case is the store asked for a page that somebody may not open. What is answered goes on record first; what cannot be
put on record is not answered.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from urllib.parse import quote
from zoneinfo import ZoneInfo

import structlog
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics_platform.documents import Language
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.access.pages import opened_as
from analytics_platform.portal.attempts import TooManyAttemptsError
from analytics_platform.portal.audit import Action, AuditError, AuditLog, Entry, Outcome
from analytics_platform.portal.html import DOWNLOAD_POLICY, HEADERS, HTTPS_ONLY, PAGE_POLICY, own_policy, render
from analytics_platform.portal.identity import Identities, Known, NobodyError
from analytics_platform.portal.login import Cookies, ForgedError, Login, proof, read_form
from analytics_platform.portal.metrics import MEDIA_TYPE, Metrics
from analytics_platform.portal.rights import CurrentRights, Rights
from analytics_platform.portal.sessions import PortalState
from analytics_platform.portal.shelf import MEDIA_TYPES, Shelf, form_of, servable
from analytics_platform.portal.start import Reader, StartPages
from analytics_platform.portal.words import COOKIE, WORDS, language_of

_log = structlog.get_logger("portal")

_NO_STORE = "no-store"
_ASK_AGAIN = "private, no-cache"
_LANGUAGE_SECONDS = 365 * 24 * 3600

_Handler = Callable[[Request], Response | Awaitable[Response]]


@dataclass(frozen=True)
class Portal:
    """What the application works on.

    Attributes:
        rights: who may see what, now.
        shelf: the pages.
        starts: makes start pages.
        identities: knows who asks.
        login: the local login; None where an identity provider is in front.
        state: visits.
        audit: the record.
        metrics: the counters.
        language: of whoever asks for none.
        https: whether readers come over https.
        zone: the reporting time zone.
        clock: the time, with its zone.
    """

    rights: CurrentRights
    shelf: Shelf
    starts: StartPages
    identities: Identities
    login: Login | None
    state: PortalState
    audit: AuditLog
    metrics: Metrics
    language: Language
    https: bool
    zone: ZoneInfo
    clock: Callable[[], datetime]

    def problem(self) -> str | None:
        """Why nothing can be served now; None when it can."""
        try:
            self.rights.now()
            self.shelf.is_there()
        except (AnalyticsError, OSError) as error:
            return str(error)
        return None


def create_app(portal: Portal) -> ASGIApp:
    """The ASGI application of a portal."""
    app = FastAPI(
        title="Analytics portal",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    pages = _Pages(portal)
    _add(app, "/healthz", lambda _: _plain(b'{"status":"ok"}'))
    _add(app, "/readyz", pages.ready)
    _add(app, "/metrics", lambda _: Response(portal.metrics.text(), media_type=MEDIA_TYPE))
    if portal.login is not None:
        doors = _Doors(portal, portal.login)
        _add(app, "/login", doors.show)
        _add(app, "/login", doors.sign_in, "POST")
        _add(app, "/logout", doors.sign_out, "POST")
    _add(app, "/", pages.start)
    _add(app, "/{path:path}", pages.open, "GET", "HEAD")
    app.add_exception_handler(AnalyticsError, pages.unavailable)
    app.add_exception_handler(Exception, pages.failed)
    app.add_exception_handler(405, pages.not_found)
    app.add_exception_handler(404, pages.not_found)
    return _EveryAnswer(app, portal)


def _add(app: FastAPI, path: str, handler: _Handler, *methods: str) -> None:
    app.router.add_route(path, handler, methods=list(methods or ("GET",)), include_in_schema=False)


class _EveryAnswer:
    """Adds what goes with every answer, counts it and logs it; logs name no reader and no file."""

    def __init__(self, app: ASGIApp, portal: Portal) -> None:
        self._app, self._portal = app, portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500
        scope.setdefault("state", {})["request_id"] = request_id = uuid.uuid4().hex

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                extra = {**HEADERS, **({"Strict-Transport-Security": HTTPS_ONLY} if self._portal.https else {})}
                message["headers"] += [(name.lower().encode(), value.encode()) for name, value in extra.items()]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            seconds, route = perf_counter() - started, _route(scope["path"])
            self._portal.metrics.requests.labels(route, str(status)).inc()
            self._portal.metrics.seconds.observe(seconds)
            _log.info("request", request_id=request_id, route=route, status=status, ms=round(seconds * 1000, 1))


class _Desk:
    """What all handlers share: whoever asks, the record, and answers in the reader's language."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def _language(self, request: Request) -> Language:
        chosen = request.query_params.get("lang") or request.cookies.get(COOKIE)
        return language_of(chosen, request.headers.get("accept-language"), self._portal.language)

    def _page(self, request: Request, template: str, status: int = 200, **context: object) -> Response:
        language = self._language(request)
        headers = {"Content-Security-Policy": own_policy(), "Cache-Control": _NO_STORE}
        body = render(template, language, **context)
        response = Response(body, status, headers, media_type="text/html; charset=utf-8")
        if request.query_params.get("lang"):
            Cookies(self._portal.https).put(response, COOKIE, language, _LANGUAGE_SECONDS)
        return response

    def _notice(self, request: Request, kind: str, status: int) -> Response:
        words = WORDS[self._language(request)]
        return self._page(request, "notice.html.j2", status, title=words[kind], lede=words[f"{kind}_lede"])

    def _record(self, request: Request, entry: Entry) -> None:
        """Put it on record, and count it.

        Raises:
            AuditError: it cannot be written.
        """
        address = request.client.host if request.client else None
        whole = replace(entry, address=address, request_id=request.state.request_id)
        self._portal.audit.write(whole, self._portal.clock())
        self._portal.metrics.outcomes.labels(entry.action.value, entry.outcome.value).inc()


class _Pages(_Desk):
    """The start page and the files."""

    def start(self, request: Request) -> Response:
        """What whoever asks may open."""
        portal = self._portal
        rights = portal.rights.now()
        try:
            known = portal.identities.of(request, rights)
        except NobodyError as error:
            return self._turned_away(request, Entry(Action.ENTER, Outcome.REFUSED, 0, reason=error.reason), None)
        now = portal.clock().astimezone(portal.zone)
        since = portal.state.visit(known.principal.id, now)
        page = portal.starts.page(rights, Reader(known.principal, self._language(request), since, now))
        form = proof(known.session) if known.session else None
        return self._page(request, "start.html.j2", page=page, who=known.shown, form=form)

    def open(self, request: Request) -> Response:
        """A file, for whoever may open it."""
        key = servable(request.scope["path"][1:])
        asked = Entry(Action.OPEN, Outcome.NOT_FOUND, 404, key=key)
        try:
            rights = self._portal.rights.now()
            try:
                known = self._portal.identities.of(request, rights)
            except NobodyError as error:
                refused = replace(asked, outcome=Outcome.REFUSED, reason=error.reason)
                return self._turned_away(request, refused, key)
            return self._opened(request, rights, known, asked)
        except AuditError:
            raise
        except Exception as error:
            status = 503 if isinstance(error, AnalyticsError) else 500
            self._record(request, replace(asked, outcome=Outcome.UNAVAILABLE, status=status))
            raise

    def ready(self, request: Request) -> Response:
        """Whether anything can be served."""
        del request
        problem = self._portal.problem()
        if problem is not None:
            _log.error("not ready", problem=problem)
            return _plain(b'{"status":"unavailable"}', 503)
        return _plain(b'{"status":"ready"}')

    async def not_found(self, request: Request, error: Exception) -> Response:
        """What no route takes."""
        del error
        return self._notice(request, "not_found", 404)

    async def unavailable(self, request: Request, error: Exception) -> Response:
        """What nobody can decide: closed, not open."""
        _log.error("unavailable", problem=str(error))
        response = self._notice(request, "unavailable", 503)
        response.headers["Retry-After"] = "60"
        return response

    async def failed(self, request: Request, error: Exception) -> Response:
        """A fault of the program or the store."""
        _log.error("request failed", error=type(error).__name__)
        return self._notice(request, "unavailable", 500)

    def _opened(self, request: Request, rights: Rights, known: Known, asked: Entry) -> Response:
        key = asked.key
        told = replace(asked, who=known.principal.id)
        audience = opened_as(rights.policy, known.principal.audiences, key) if key else None
        body = self._portal.shelf.read(key, rights.catalog) if key and audience else None
        if key is None or audience is None or body is None:
            self._record(request, told)
            return self._notice(request, "not_found", 404)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        is_known = _has(request.headers.get("if-none-match", ""), etag)
        outcome, status = (Outcome.NOT_MODIFIED, 304) if is_known else (Outcome.SERVED, 200)
        self._record(request, replace(told, audience=audience.name, outcome=outcome, status=status))
        return _file(key, b"" if is_known else body, etag, status)

    def _turned_away(self, request: Request, entry: Entry, key: str | None) -> Response:
        """To the login, or the provider's word that it is needed; on record where anything was asked or presented."""
        local = self._portal.login is not None
        status = 303 if local else 401
        if entry.action is Action.OPEN or entry.reason is not None:
            self._record(request, replace(entry, status=status))
        if local:
            return _to(f"/login?next={quote(key, safe='')}" if key else "/login")
        response = self._notice(request, "refused", status)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response


class _Doors(_Desk):
    """The local login."""

    def __init__(self, portal: Portal, login: Login) -> None:
        super().__init__(portal)
        self._login = login

    def show(self, request: Request) -> Response:
        """The form; whoever is signed in already goes on."""
        try:
            self._portal.identities.of(request, self._portal.rights.now())
        except NobodyError:
            return self._form(request, request.query_params.get("next", ""))
        return _to(_onward(request.query_params.get("next", "")))

    async def sign_in(self, request: Request) -> Response:
        """A filled form."""
        form = await read_form(request)
        return await run_in_threadpool(self._signed_in, request, form)

    async def sign_out(self, request: Request) -> Response:
        """The way out."""
        form = await read_form(request)
        return await run_in_threadpool(self._signed_out, request, form)

    def _signed_in(self, request: Request, form: dict[str, str]) -> Response:
        onward, now = form.get("next", ""), self._portal.clock()
        address = request.client.host if request.client else ""
        rights = self._portal.rights.now()
        try:
            found = self._login.sign_in(form, request, now, address)
        except ForgedError:
            self._record(request, Entry(Action.LOGIN, Outcome.FORGED, 403))
            return self._form(request, onward, 403, "forged")
        except TooManyAttemptsError as error:
            self._record(request, Entry(Action.LOGIN, Outcome.LIMITED, 429, self._named(rights, form)))
            response = self._form(request, onward, 429, "limited", minutes=-(-error.seconds // 60))
            response.headers["Retry-After"] = str(error.seconds)
            return response
        if found is None:
            self._record(request, Entry(Action.LOGIN, Outcome.WRONG, 403, self._named(rights, form)))
            return self._form(request, onward, 403, "wrong")
        user, token = found
        self._record(request, Entry(Action.LOGIN, Outcome.GRANTED, 303, rights.principal(user.principal).id))
        response = _to(_onward(onward))
        self._login.keep_session(response, token)
        return response

    def _signed_out(self, request: Request, form: dict[str, str]) -> Response:
        try:
            known = self._portal.identities.of(request, self._portal.rights.now())
        except NobodyError:
            return _to("/login")
        assert known.session is not None
        try:
            self._login.sign_out(form, known.session)
        except ForgedError:
            self._record(request, Entry(Action.LOGOUT, Outcome.FORGED, 403, known.principal.id))
            return self._notice(request, "not_found", 403)
        self._record(request, Entry(Action.LOGOUT, Outcome.DONE, 303, known.principal.id))
        response = _to("/login")
        self._login.cookies.drop(response, self._login.cookies.session)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def _named(self, rights: Rights, form: dict[str, str]) -> str | None:
        """Whose login failed, where that is a user: what else was typed may be a password in the wrong field."""
        user = self._login.users.all().get(form.get("user", ""))
        return rights.principal(user.principal).id if user else None

    def _form(
        self, request: Request, onward: str, status: int = 200, problem: str | None = None, *, minutes: int = 0
    ) -> Response:
        secret = self._login.new_form(request.cookies.get(self._login.cookies.form))
        said = WORDS[self._language(request)][problem].replace("{minutes}", str(minutes)) if problem else None
        onward = onward if servable(onward) else ""
        response = self._page(request, "login.html.j2", status, form=proof(secret), next=onward, problem=said)
        self._login.keep_form(response, secret)
        return response


def _file(key: str, body: bytes, etag: str, status: int) -> Response:
    form = form_of(key)
    headers = {
        "ETag": etag,
        "Cache-Control": _ASK_AGAIN,
        "Content-Security-Policy": PAGE_POLICY if form == "html" else DOWNLOAD_POLICY,
    }
    if form in ("pdf", "json"):
        name = key.replace("/", "-").replace("=", "-")
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(body, status, headers, media_type=MEDIA_TYPES[form])


def _has(if_none_match: str, etag: str) -> bool:
    given = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return etag in given or "*" in given


def _onward(path: str) -> str:
    """Where somebody goes after the login: a page of the portal, never another address."""
    key = servable(path)
    return f"/{key}" if key else "/"


def _to(path: str) -> Response:
    return Response(status_code=303, headers={"Location": path, "Cache-Control": _NO_STORE})


def _plain(body: bytes, status: int = 200) -> Response:
    return Response(body, status, {"Cache-Control": _NO_STORE}, media_type="application/json")


def _route(path: str) -> str:
    """A request's kind, for logs and metrics: a handful, whatever readers ask for."""
    return path if path in ("/", "/login", "/logout", "/healthz", "/readyz", "/metrics") else "file"
