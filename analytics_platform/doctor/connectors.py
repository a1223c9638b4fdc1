"""Connectors: whether their files can be used, and whether what those refer to is there. No source is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from analytics_platform.catalog import CatalogError
from analytics_platform.connectors.declared import ApiConnector, DatabaseConnector
from analytics_platform.connectors.loading import AnyConnector, load_connectors, resolved
from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, problems_of, skipped, told_by
from analytics_platform.settings import Settings, SettingsError

_EXTRA = "analytics-platform[connectors]"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Files, the packages that they need, secrets."""
    settings, folder = deployment.settings, deployment.settings.connectors_folder
    try:
        known = load_connectors(folder, deployment.catalog)
    except CatalogError as error:
        yield from problems_of(error, folder)
        return
    if not known:
        yield skipped("connectors", f"no file in {folder}")
        return
    pulling = sorted(name for name, each in known.items() if isinstance(each, DatabaseConnector | ApiConnector))
    if pulling and find_spec("dlt") is None:
        yield fail("packages", f"{', '.join(pulling)} pull through dlt, which is not installed", f"install {_EXTRA}")
    without_secret = list(_without_secret(settings, known.values()))
    yield from without_secret
    if not without_secret:
        yield ok("connectors", f"{len(known)}: {', '.join(sorted(known))}")


def _without_secret(settings: Settings, known: Iterable[AnyConnector]) -> Iterator[Finding]:
    from analytics_platform.defs.connectors import secrets_of

    secret = secrets_of(settings)
    for connector in known:
        try:
            if isinstance(connector, DatabaseConnector):
                secret(connector.credentials)
            elif isinstance(connector, ApiConnector):
                resolved(connector.config, secret)
        except SettingsError as error:
            yield told_by(connector.name, error, mend="set it")
