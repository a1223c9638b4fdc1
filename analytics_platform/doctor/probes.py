"""The probes, in the order in which they are told; each is imported when it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding

Look = Callable[[Deployment], Iterator[Finding]]


@dataclass(frozen=True)
class Probe:
    """A subject to look at.

    Attributes:
        name: how `--only` calls it.
        about: what it looks at.
        look: gives its findings; taken from a module of this package, when it is first called.
    """

    name: str
    about: str
    look: Look


def _of(module: str) -> Look:
    def look(deployment: Deployment) -> Iterator[Finding]:
        found: Look = import_module(f"{__package__}.{module}").look
        return found(deployment)

    return look


SETTINGS = Probe("settings", "what is chosen, and whether it goes together", _of("choices"))

PROBES = (
    SETTINGS,
    Probe("versions", "Python and the packages that the choices need", _of("versions")),
    Probe("clock", "this machine's clock and its time zone data", _of("clock")),
    Probe("disk", "the home folder and what its disks have left", _of("disk")),
    Probe("catalogue", "declarations, tenants, their write keys", _of("declared")),
    Probe("manifest", "dbt's manifest against the project", _of("manifest")),
    Probe("keys", "secrets of references and seals", _of("identity_keys")),
    Probe("store", "the lake's store, tried through its port", _of("store")),
    Probe("warehouse", "the warehouse, tried through its port", _of("warehouse")),
    Probe("tenants", "who should have sent something and has not", _of("quiet")),
    Probe("dagster", "Dagster's instance, queue and daemons", _of("dagster_instance")),
    Probe("graph", "whether the asset graph loads", _of("graph")),
    Probe("spool", "the collector's spool", _of("spool")),
    Probe("connectors", "their files, packages and secrets", _of("connectors")),
    Probe("slack", "Slack's token, its scopes, the channels", _of("slack")),
    Probe("rbac", "who holds which role, and how old that is", _of("rbac")),
    Probe("portal", "who can sign in", _of("portal")),
    Probe("backups", "whether there is a recent backup", _of("backups")),
    Probe("bi", "Power BI and Looker Studio", _of("bi")),
    Probe("production", "what people rely on and this machine alone has", _of("production")),
)
