"""The local login: a form, a session, a way out; each with a proof that the form is ours.

A form carries what only the page that we have shown can know: a digest of the cookie beside it. A login makes a new
session each time and ends the one that came with it, so that nobody can plant one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from analytics_platform.portal.attempts import Attempts
from analytics_platform.portal.sessions import PortalState, Session
from analytics_platform.portal.users import User, Users

_MOST_BYTES = 8 * 1024
_FORM_SECONDS = 60 * 60


class ForgedError(Exception):
    """A form did not come from a page of ours, or from one that is too old."""


@dataclass(frozen=True)
class Cookies:
    """Names and flags of the portal's cookies; with https their names bind them to this host alone."""

    https: bool

    @property
    def session(self) -> str:
        """The cookie of a session."""
        return "__Host-portal_session" if self.https else "portal_session"

    @property
    def form(self) -> str:
        """The cookie of a login form that has been shown."""
        return "__Host-portal_form" if self.https else "portal_form"

    def put(self, response: Response, name: str, value: str, seconds: int) -> None:
        """Have the browser keep a cookie that no script and no other site can use."""
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self.https, httponly=True, samesite="strict")

    def drop(self, response: Response, name: str) -> None:
        """Have the browser forget a cookie."""
        response.delete_cookie(name, path="/", secure=self.https, httponly=True, samesite="strict")


class Login:
    """Logins and logouts of one home."""

    def __init__(
        self, users: Users, state: PortalState, attempts: Attempts, cookies: Cookies, lasts: timedelta
    ) -> None:
        self.users, self.cookies = users, cookies
        self._state, self._attempts, self._lasts = state, attempts, lasts

    def new_form(self, response_cookie: str | None) -> str:
        """The secret of a form: the one that the browser has, else a new one."""
        return response_cookie if response_cookie and len(response_cookie) == 43 else secrets.token_urlsafe(32)

    def keep_form(self, response: Response, secret: str) -> None:
        """Give the browser the cookie beside a form."""
        self.cookies.put(response, self.cookies.form, secret, _FORM_SECONDS)

    def sign_in(
        self, form: Mapping[str, str], request: Request, now: datetime, address: str
    ) -> tuple[User, str] | None:
        """The user and a new session's token; None where name or password is wrong.

        Raises:
            ForgedError: the form is not ours.
            TooManyAttemptsError: too many have failed.
        """
        refuse_forged(form, request.cookies.get(self.cookies.form))
        name = form.get("user", "")[:120]
        self._attempts.begin(name, address)
        user = self.users.signed_in(name, form.get("password", ""))
        if user is None:
            return None
        self._attempts.succeeded(name, address)
        if former := request.cookies.get(self.cookies.session):
            self._state.end_session(former)
        return user, self._state.begin_session(Session(name, user.changed_at), now, self._lasts)

    def keep_session(self, response: Response, token: str) -> None:
        """Give the browser the cookie of its session, and take that of the form."""
        self.cookies.put(response, self.cookies.session, token, int(self._lasts.total_seconds()))
        self.cookies.drop(response, self.cookies.form)

    def sign_out(self, form: Mapping[str, str], session: str) -> None:
        """End a session.

        Raises:
            ForgedError: the form is not ours.
        """
        refuse_forged(form, session)
        self._state.end_session(session)


def proof(secret: str) -> str:
    """What a form carries to show that it stands beside this cookie."""
    return hashlib.sha256(b"form:" + secret.encode()).hexdigest()


def refuse_forged(form: Mapping[str, str], secret: str | None) -> None:
    """Raise `ForgedError` unless the form carries the proof of the cookie."""
    if not secret or not hmac.compare_digest(form.get("form", "").encode(), proof(secret).encode()):
        raise ForgedError


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a small form; nothing of one that is large or of another kind."""
    from urllib.parse import parse_qsl

    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            return {}
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict"))
    except ValueError:
        return {}
