"""A running portal in front of a small lake, by token and by login."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from argon2 import PasswordHasher
from identity_provider import Provider, provider_server
from portal_lake import PASSWORD, Lake, Start, plant, provided

from analytics_platform.catalog import Catalog
from analytics_platform.lake.store import LocalStore
from analytics_platform.portal.service import RunningPortal, portal_from
from analytics_platform.portal.users import NewUser, Users
from analytics_platform.settings import Settings


@pytest.fixture(scope="session")
def portal_lake(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Lake:
    """Read only."""
    return plant(tmp_path_factory.mktemp("portal"), catalog)


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with provider_server() as server:
        yield server


@pytest.fixture
def start() -> Iterator[Start]:
    """Start portals over HTTP; each is answered for by a client that follows no redirect."""
    running: list[tuple[RunningPortal, httpx.Client]] = []

    def make(settings: Settings) -> httpx.Client:
        portal = RunningPortal(portal_from(settings, LocalStore(settings.lake_root)))
        client = httpx.Client(base_url=portal.url, timeout=30)
        running.append((portal, client))
        return client

    yield make
    for portal, client in running:
        client.close()
        portal.stop()


@pytest.fixture(scope="session")
def by_token(portal_lake: Lake, provider: Provider) -> Iterator[httpx.Client]:
    """A portal behind an identity provider."""
    settings = provided(portal_lake.home, provider)
    portal = RunningPortal(portal_from(settings, LocalStore(settings.lake_root)))
    with httpx.Client(base_url=portal.url, timeout=30) as client:
        yield client
    portal.stop()


@pytest.fixture(scope="session")
def local_home(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Lake:
    """A lake whose home has users: one of staff, one of a tenant, one without a role."""
    lake = plant(tmp_path_factory.mktemp("portal"), catalog)
    tenant = next(iter(catalog.tenants))
    people = {"ada": "usr_admin", "eva": "usr_executive", "tom": f"usr_tenant_viewer_{tenant}", "nemo": "usr_unknown"}
    users = Users(lake.home / "portal" / "users.json", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    users.add(*(NewUser(name, who, PASSWORD) for name, who in people.items()))
    return lake
