"""Who asks: the two ways of knowing it, behind one question.

An identity provider's token counts when it verifies (`tokens`), a local session while it lasts and its user is there
with the password that it was made with. Nothing else says who somebody is: no header that a proxy or a client adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from starlette.requests import Request

from analytics_platform.portal.rights import Principal, Rights
from analytics_platform.portal.sessions import PortalState
from analytics_platform.portal.tokens import TokenRefusedError, TokenVerifier, bearer
from analytics_platform.portal.users import Users


class NobodyError(Exception):
    """It is not known who asks; `reason` is for the log, None where nothing was presented at all."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason or "nothing says who it is")
        self.reason = reason


@dataclass(frozen=True)
class Known:
    """Somebody who is known.

    Attributes:
        principal: as rights and records have them.
        shown: the name that they are greeted with.
        session: the token of a local login.
    """

    principal: Principal
    shown: str
    session: str | None = None


class Identities(Protocol):
    """A way of knowing who asks."""

    def of(self, request: Request, rights: Rights) -> Known:
        """Who asks.

        Raises:
            NobodyError: nobody is known.
        """


class ProvidersTokens:
    """Identity by a provider's token in one header."""

    def __init__(self, verifier: TokenVerifier, header: str, *, roles_from_groups: bool) -> None:
        self._verifier = verifier
        self._header = header.lower()
        self._roles_from_groups = roles_from_groups

    def of(self, request: Request, rights: Rights) -> Known:
        """See `Identities`."""
        given = [value for name, value in request.scope["headers"] if name.decode("latin-1").lower() == self._header]
        if not given:
            raise NobodyError(None)
        if len(given) > 1:
            raise NobodyError("the header with the token is there more than once")
        text = given[0].decode("latin-1").strip()
        try:
            claimed = self._verifier.verify(bearer(text) if self._header == "authorization" else text)
        except TokenRefusedError as error:
            raise NobodyError(str(error)) from error
        name = claimed.principal
        principal = rights.member(name, claimed.groups) if self._roles_from_groups else rights.principal(name)
        return Known(principal, name)


class LocalSessions:
    """Identity by the session cookie of a local login."""

    def __init__(self, users: Users, state: PortalState, cookie: str, clock: Callable[[], datetime]) -> None:
        self._users, self._state, self._cookie, self._clock = users, state, cookie, clock

    def of(self, request: Request, rights: Rights) -> Known:
        """See `Identities`."""
        token = request.cookies.get(self._cookie)
        if not token:
            raise NobodyError(None)
        session = self._state.session(token, self._clock())
        if session is None:
            raise NobodyError("the session is unknown or over")
        user = self._users.all().get(session.user)
        if user is None or user.changed_at != session.password_changed_at:
            raise NobodyError("the session's user is gone or has another password")
        return Known(rights.principal(user.principal), session.user, token)
