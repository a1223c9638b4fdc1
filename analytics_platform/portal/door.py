"""What the portal refuses to start with, by its settings alone: nothing of it needs the web."""

from __future__ import annotations

from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings, is_loopback


class PortalRefusedError(AnalyticsError):
    """The portal does not start as it is set up; the text names the setting and the mend."""


def refuse_open_door(settings: Settings, host: str) -> None:
    """Refuse a local login where others could read the passwords on their way.

    Raises:
        PortalRefusedError: it listens beyond this machine, and nothing says that https ends in front.
    """
    https = (settings.portal_url or "").startswith("https://")
    if settings.portal_login == "local" and not https and not is_loopback(host):
        raise PortalRefusedError(
            f"portal_host: {host} can be reached from other machines, and a local login would send passwords in clear; "
            "listen on 127.0.0.1, or set ANALYTICS_PORTAL_URL to the https:// address of the proxy in front, "
            "or use ANALYTICS_PORTAL_LOGIN=oidc"
        )
