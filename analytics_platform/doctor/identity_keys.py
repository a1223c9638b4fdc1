"""The secrets of references and seals: whether they are there, who can read them, and what a lost disk takes.

Whoever loses them can open no seal and recognise nobody again; whoever copies them learns names.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, told_by, warn
from analytics_platform.identities.keys import IdentityKeys, IdentityKeysError, NoKeysOfTenantError
from analytics_platform.settings import Settings

_ROTATE = "analytics identities rotate --tenant {} --by NAME, on a trusted machine; then give all processes the file"


def look(deployment: Deployment) -> Iterator[Finding]:
    """The file of keys."""
    settings = deployment.settings
    file = settings.identity_keys_file
    yield from _place(settings, file)
    if not file.exists():
        if deployment.serves_people:
            mend = _ROTATE.format("TENANT")
            yield fail("identity keys", f"{file} is not there: each process would make its own", mend)
        else:
            yield ok("identity keys", f"{file} is made with the first event of a tenant")
        return
    yield from _readers(file)
    yield from _tenants(deployment, file)
    if deployment.serves_people and file.resolve().is_relative_to(settings.home):
        found = f"{file} is on the same disk as what it seals; nobody can tell whether there is a copy"
        yield warn(
            "identity keys", found, "keep a copy in a vault, and set identity_keys_file to where the vault mounts it"
        )


def _place(settings: Settings, file: Path) -> Iterator[Finding]:
    for name, folder in (("the lake", settings.lake_root), ("backup_target", settings.backups_folder)):
        if file.resolve().is_relative_to(folder.resolve()):
            found = f"{file} lies in {name}: whoever copies that learns names"
            yield fail("identity keys", found, "move it, and set identity_keys_file")


def _readers(file: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o007:
        yield fail("identity keys", f"{file} can be read by everybody ({mode:04o})", f"chmod 600 {file}")
    elif mode & 0o070:
        # A Secret that Kubernetes mounts is its group's.
        yield warn(
            "identity keys", f"{file} can be read by its group ({mode:04o})", f"chmod 600 {file}, if it is a file"
        )


def _tenants(deployment: Deployment, file: Path) -> Iterator[Finding]:
    keys = IdentityKeys(file, makes_missing=False)
    missing, versions = [], 0
    for tenant in sorted(deployment.catalog.tenants):
        try:
            versions += len(keys.of(tenant).versions)
        except NoKeysOfTenantError:
            missing.append(tenant)
        except IdentityKeysError as error:
            yield told_by("identity keys", error, mend="put back the file from its backup")
            return
    if missing and deployment.serves_people:
        yield fail("identity keys", f"none of {', '.join(missing)}", _ROTATE.format(missing[0]))
        return
    rest = f", {len(missing)} tenants get theirs with their first event" if missing else ", of all tenants"
    yield ok("identity keys", f"{versions} versions{rest}")
