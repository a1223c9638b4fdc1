"""The portal as a service: its parts put together from the settings, and what it refuses to start with.

A local login sends passwords, so it listens on this machine alone unless the settings say that https ends in front. An
identity provider has to be named whole: a portal that could not verify a token would be open or of no use.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from analytics_platform.alerting.incidents import Incident
from analytics_platform.defs.resources import alert_store_from, rbac_key, rbac_source
from analytics_platform.http_service import Server, listen, serve_until_told, server_config, url_of
from analytics_platform.lake.store import ObjectStore
from analytics_platform.portal.app import Portal, create_app
from analytics_platform.portal.attempts import Attempts
from analytics_platform.portal.audit import AuditLog
from analytics_platform.portal.door import PortalRefusedError, refuse_open_door
from analytics_platform.portal.identity import Identities, LocalSessions, ProvidersTokens
from analytics_platform.portal.login import Cookies, Login
from analytics_platform.portal.metrics import Metrics
from analytics_platform.portal.rights import CurrentRights, RightsPlaces
from analytics_platform.portal.sessions import PortalState
from analytics_platform.portal.shelf import Shelf
from analytics_platform.portal.start import StartPages, today_in
from analytics_platform.portal.tokens import Issuer, TokenVerifier
from analytics_platform.portal.users import users_of
from analytics_platform.settings import Settings

_log = structlog.get_logger("portal")


def audit_of(settings: Settings) -> AuditLog:
    """The audit log."""
    return AuditLog(settings.portal_root / "audit")


def portal_from(settings: Settings, store: ObjectStore, *, clock: Callable[[], datetime] | None = None) -> Portal:
    """A portal of a deployment.

    Raises:
        PortalRefusedError: its settings do not say who may come in.
    """
    now = clock or partial(datetime.now, UTC)
    zone = ZoneInfo(settings.reporting_time_zone)
    https = (settings.portal_url or "").startswith("https://")
    state = PortalState(settings.portal_state_path)
    shelf = Shelf(store, lambda: today_in(zone, now()))
    login = _login(settings, state, https) if settings.portal_login == "local" else None
    identities: Identities = (
        LocalSessions(login.users, state, login.cookies.session, now) if login else _provider(settings)
    )
    places = RightsPlaces(
        settings.tenants_file, partial(rbac_source, settings), rbac_key(settings), settings.extension_catalog
    )
    return Portal(
        rights=CurrentRights(places),
        shelf=shelf,
        starts=StartPages(store, shelf, partial(open_incidents, settings), zone),
        identities=identities,
        login=login,
        state=state,
        audit=audit_of(settings),
        metrics=Metrics(),
        language=settings.report_language,
        https=https,
        zone=zone,
        clock=now,
    )


def serve_portal(
    settings: Settings, store: ObjectStore, host: str, port: int, *, on_listening: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: the deployment's choices.
        store: the lake.
        host: address to listen on.
        port: 0 takes a free one.
        on_listening: told the URL once requests are taken.

    Raises:
        PortalRefusedError: the settings do not go together.
        AddressInUseError: the address cannot be had.
    """
    refuse_open_door(settings, host)
    portal = portal_from(settings, store)
    with listen(host, port) as listener:
        _log.info("portal started", url=url_of(listener), login=settings.portal_login)
        try:
            serve_until_told(create_app(portal), listener, on_listening)
        finally:
            portal.audit.close()
    _log.info("portal stopped")


class RunningPortal:
    """A portal in a thread of this process, for programs that bring their own main loop.

    Args:
        portal: the portal.
        host: address.
        port: 0 takes a free one.
    """

    def __init__(self, portal: Portal, host: str = "127.0.0.1", port: int = 0) -> None:
        self._portal = portal
        self._listener = listen(host, port)
        self.url = url_of(self._listener)
        self._server = Server(server_config(create_app(portal)))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name="portal")
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, then end."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self._portal.audit.close()


def open_incidents(settings: Settings) -> Sequence[Incident]:
    """Incidents that are not over; nothing where there was never one."""
    if not settings.alerts_path.exists():
        return ()
    with alert_store_from(settings).transaction() as session:
        return [each for each in session.incidents(datetime.now(UTC)) if each.recovered_at is None]


def _login(settings: Settings, state: PortalState, https: bool) -> Login:
    lasts = timedelta(hours=settings.portal_session_hours)
    return Login(users_of(settings), state, Attempts(time.monotonic), Cookies(https), lasts)


def _provider(settings: Settings) -> ProvidersTokens:
    named = {
        name: getattr(settings, name) for name in ("portal_oidc_issuer", "portal_oidc_audience", "portal_oidc_jwks")
    }
    if missing := [name for name, value in named.items() if value is None]:
        raise PortalRefusedError(
            f"{', '.join(missing)}: not set, so no token could be verified; set them as docs/portal.md says"
        )
    issuer = Issuer(
        named["portal_oidc_issuer"],
        named["portal_oidc_audience"],
        named["portal_oidc_jwks"],
        settings.portal_oidc_algorithms,
        settings.portal_oidc_principal_claim,
        settings.portal_oidc_groups_claim,
    )
    roles_from_groups = settings.portal_oidc_groups_claim is not None
    return ProvidersTokens(TokenVerifier(issuer), settings.portal_oidc_header, roles_from_groups=roles_from_groups)
