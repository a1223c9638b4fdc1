"""Who asks, and what a handler works with.

A real product knows its caller from a session or a token; here the proxy in front of the application is trusted to say
so in two headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.middleware import Caller, Scope


@dataclass(frozen=True)
class Services:
    """What the application is made of: database, tracker, and the currency of each tenant that it serves."""

    engine: Engine
    tracker: Tracker
    currencies: Mapping[str, str]

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose changes, and the events that were emitted with it, are committed together or not at all."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def _caller(
    request: Request,
    tenant: Annotated[str, Header(alias="X-Tenant")],
    user: Annotated[str | None, Header(alias="X-User", pattern="^[A-Za-z0-9_-]{1,64}$")] = None,
) -> Caller:
    """The caller, also for the middleware; 401 for a tenant that is not served."""
    if tenant not in _services(request).currencies:
        raise HTTPException(401, "X-Tenant: is not a tenant of this application")
    request.state.caller = Caller(tenant, caller_ref=user)
    return Caller(tenant, caller_ref=user)


def identify(scope: Scope) -> Caller | None:
    """Whose request it was, once it is answered; None where nobody was let in."""
    found: Caller | None = scope.get("state", {}).get("caller")
    return found


WithServices = Annotated[Services, Depends(_services)]
WithCaller = Annotated[Caller, Depends(_caller)]
