"""The portal: whether anybody can sign in, and whether passwords are safe on their way."""

from __future__ import annotations

from collections.abc import Iterator

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, told_by, warn
from analytics_platform.portal.door import PortalRefusedError, refuse_open_door
from analytics_platform.portal.tokens import KeySet, KeysUnknownError
from analytics_platform.portal.users import UserError, users_of
from analytics_platform.settings import Settings

_ADD = "analytics portal users add NAME --principal ID"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Users of the local login, or the provider's keys."""
    settings = deployment.settings
    if settings.portal_login == "oidc":
        yield from _provider(settings)
        return
    try:
        refuse_open_door(settings, settings.portal_host)
    except PortalRefusedError as error:
        yield told_by("portal", error, mend="set portal_host to 127.0.0.1")
    try:
        users = users_of(settings).all()
    except UserError as error:
        yield told_by("portal", error, mend=_ADD)
        return
    if users:
        yield ok("portal", f"{len(users)} users of the local login")
    elif deployment.serves_people:
        yield warn("portal", "nobody can sign in: there is no user yet", _ADD)
    else:
        yield skipped("portal", f"no user yet; {_ADD}")


def _provider(settings: Settings) -> Iterator[Finding]:
    address = settings.portal_oidc_jwks
    if address is None:
        return  # `settings` says what is missing
    try:
        keys = KeySet(address).read()
    except KeysUnknownError as error:
        found = f"the provider's keys at {address} cannot be read ({error}): nobody can sign in"
        yield fail("portal", found, "look at portal_oidc_jwks, the network policy and the proxy")
        return
    yield ok("portal", f"{len(keys)} keys of the provider")
    if address.startswith("http://"):
        yield warn(
            "portal", f"{address} is not encrypted: who sits between could sign anybody in", "use its https:// address"
        )
