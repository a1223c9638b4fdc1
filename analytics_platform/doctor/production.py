"""Production: parts that this machine alone has, and what people were promised and nobody has set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, ok, skipped, warn
from analytics_platform.settings import Settings

_HERE = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Want:
    """What production wants.

    Attributes:
        what: it.
        is_missing: whether it is not there.
        found: what follows.
        mend: what to set.
    """

    what: str
    is_missing: Callable[[Settings], bool]
    found: str
    mend: str


WANTS = (
    Want(
        "lake",
        lambda s: s.lake_url is None,
        "it is a folder of this machine: one disk holds every event, and a second collector needs it too",
        "set lake_url to a bucket (docs/object-stores.md)",
    ),
    Want(
        "warehouse",
        lambda s: s.warehouse == "duckdb",
        "it is one file: one process writes at a time, and one disk holds it",
        "set warehouse, unless that is enough: it can be built from the lake again",
    ),
    Want(
        "Dagster",
        lambda s: s.dagster_postgres_host is None,
        "its records are in SQLite of this machine: no second machine can run anything",
        "set dagster_postgres_host (docs/dagster-in-production.md)",
    ),
    Want(
        "portal",
        lambda s: s.portal_login == "local",
        "people sign in with passwords that the portal keeps",
        "set portal_login to oidc (docs/portal.md)",
    ),
    Want(
        "portal",
        lambda s: not (s.portal_url or "").startswith("https://"),
        "nothing says that https ends in front of it",
        "set portal_url to its https:// address",
    ),
    Want(
        "alerts",
        lambda s: s.slack_token is None,
        "nobody is told of incidents: slack_token is not set",
        "set slack_token (docs/alerting.md)",
    ),
    Want(
        "alerts",
        lambda s: urlsplit(s.dagster_url).hostname in _HERE,
        "their links lead to 127.0.0.1 of whoever reads them",
        "set dagster_url to the address of Dagster's UI",
    ),
    Want(
        "alerts",
        lambda s: s.runbook_url is None,
        "they name the path of a runbook and not a page",
        "set runbook_url to the folder docs/runbooks as its readers reach it",
    ),
    Want(
        "references",
        lambda s: s.rbac_reference_key is None,
        "each home makes a key of its own: another machine knows a principal by another reference",
        "set rbac_reference_key, the same for all processes",
    ),
    Want(
        "backups",
        lambda s: s.lake_url is None and s.backups_folder.is_relative_to(s.home),
        "there are none, or they are in the home folder, on the disk whose loss they are for",
        "set backup_target to a bucket or to a folder on another disk",
    ),
    Want(
        "records",
        lambda s: None in (s.organisation_name, s.organisation_contact, s.organisation_privacy_contact),
        "records of processing do not name who runs the platform (GDPR article 30)",
        "set organisation_name, organisation_contact and organisation_privacy_contact",
    ),
)


def look(deployment: Deployment) -> Iterator[Finding]:
    """What is missing, where the environment is production."""
    settings = deployment.settings
    if settings.environment != "production":
        yield skipped("production", f"environment is {settings.environment}")
        return
    missing = [want for want in WANTS if want.is_missing(settings)]
    for want in missing:
        yield warn(want.what, want.found, want.mend)
    if not missing:
        yield ok("production", f"all {len(WANTS)} of what it wants")
