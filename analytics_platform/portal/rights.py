"""Who may see what, as it is now: the access policy and who holds which role, read anew when they change.

Files are looked at every second and read when they differ; an endpoint or a database is asked every half minute. While
one cannot be read, what was read last counts for five minutes more; then nobody may see anything until it can.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog

import analytics_platform.catalog as catalog_room
from analytics_platform.catalog import Audience, Catalog, load_catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.access.memberships import Export, reference
from analytics_platform.governance.access.policy import Policy, pages_policy
from analytics_platform.governance.access.power_bi import group
from analytics_platform.governance.access.rbac import NO_SOURCE, RbacSource, read_rbac

_log = structlog.get_logger("portal")

LOOK_SECONDS = 1.0
ASK_SECONDS = 30.0
STALE_SECONDS = 300.0

CATALOG_FOLDER = Path(catalog_room.__file__).parent
"""Where the declarations lie that the policy is made from."""


class RightsUnknownError(AnalyticsError):
    """The policy or the RBAC cannot be read, so nobody may see anything."""


@dataclass(frozen=True)
class Principal:
    """Somebody who asks, once it is known who.

    Attributes:
        id: the RBAC's id, or the keyed reference of an e-mail address; this goes on record.
        audiences: those that it belongs to.
    """

    id: str
    audiences: tuple[Audience, ...]


@dataclass(frozen=True)
class Rights:
    """The rule at one moment."""

    catalog: Catalog
    policy: Policy
    held: Mapping[str, tuple[Audience, ...]]
    key: bytes

    def principal(self, name: str) -> Principal:
        """A principal with what the product's RBAC says of it."""
        who = reference(name, self.key)
        return Principal(who, self.held.get(who, ()))

    def member(self, name: str, groups: Iterable[str]) -> Principal:
        """A principal with what its groups say, named as Power BI's are."""
        told = set(groups)
        audiences = (each for each in self.policy.audiences(self.catalog.tenants) if group(each) in told)
        return Principal(reference(name, self.key), tuple(audiences))


@dataclass(frozen=True)
class RightsPlaces:
    """Where the rule stands.

    Attributes:
        tenants_file: this deployment's tenants, beside the catalogue's.
        source: says where the RBAC is; asked each time, since the default appears with the file.
        key: of references to principals.
        extension: what it declares besides the catalogue.
    """

    tenants_file: Path | None
    source: Callable[[], RbacSource]
    key: bytes
    extension: Path | None = None


class CurrentRights:
    """The rule as it is now.

    Args:
        places: where it stands.
        clock: seconds that only go forward.
    """

    def __init__(self, places: RightsPlaces, clock: Callable[[], float] = time.monotonic) -> None:
        self._places, self._clock = places, clock
        self._lock = threading.Lock()
        self._rights: Rights | None = None
        self._stamp: object = None
        self._tried: object = None
        self._problem = ""
        self._looked_at = self._read_at = self._good_at = float("-inf")

    def now(self) -> Rights:
        """The rule.

        Raises:
            RightsUnknownError: it cannot be read, and was not for five minutes.
        """
        # Whoever comes while another one looks goes by what is known: a slow endpoint keeps one request waiting.
        if self._lock.acquire(blocking=self._rights is None):
            try:
                if self._clock() - self._looked_at > LOOK_SECONDS:
                    self._look()
            finally:
                self._lock.release()
        rights = self._rights
        if rights is None or self._clock() - self._good_at > STALE_SECONDS:
            raise RightsUnknownError(f"who may see what is not known: {self._problem}")
        return rights

    def _look(self) -> None:
        source = self._places.source()
        stamp = self._stamps(source)
        if stamp != self._tried or self._clock() - self._read_at > ASK_SECONDS:
            self._tried, self._read_at = stamp, self._clock()
            try:
                self._rights = self._read(source, keep_catalog=stamp == self._stamp)
                self._stamp, self._good_at = stamp, self._clock()
            except AnalyticsError as error:
                self._problem = str(error)
                _log.error("rights cannot be read", problem=type(error).__name__)
        self._looked_at = self._clock()

    def _read(self, source: RbacSource, *, keep_catalog: bool) -> Rights:
        known = self._rights if keep_catalog else None
        catalog = known.catalog if known else load_catalog(self._places.tenants_file, self._places.extension)
        policy = known.policy if known else pages_policy(catalog)
        return Rights(catalog, policy, _held(read_rbac(source), policy, catalog, self._places.key), self._places.key)

    def _stamps(self, source: RbacSource) -> object:
        """What differs when a file of the rule does."""
        folders = filter(None, (CATALOG_FOLDER, self._places.extension))
        files = [path for folder in folders for path in folder.rglob("*.yaml")]
        files += filter(None, (self._places.tenants_file, _file_of(source)))
        return tuple((str(path), _stamp(path)) for path in sorted(files))


def _held(export: Export, policy: Policy, catalog: Catalog, key: bytes) -> dict[str, tuple[Audience, ...]]:
    """The audiences of each principal; a tenant that nobody has registered is none."""
    if export.source == NO_SOURCE:
        return {}
    roles = defaultdict[str, list[tuple[str, list[str]]]](list)
    for member in export.members:
        role = policy.role_meant_by(member.role)
        if role is not None:
            tenants = [each for each in member.tenants if each in catalog.tenants]
            roles[reference(member.principal, key)].append((role, tenants))
    return {who: tuple(policy.audiences_of(held)) for who, held in roles.items()}


def _file_of(source: RbacSource) -> Path | None:
    if source.address is None:
        return None
    scheme, path = urlsplit(source.address).scheme, urlsplit(source.address).path
    return Path(source.address) if not scheme else Path(unquote(path)) if scheme == "file" else None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
