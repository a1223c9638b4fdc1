"""The deployment's own register of write keys: one YAML file of hashes, edited by `analytics keys` and by hand.

A key is registered by the SHA-256 of its text; the text itself is shown once, when the key is made, and kept nowhere.
A name stands for one producer and survives a rotation, so that several keys may have it: its events say the same
`source` before and after. An entry for a key of the catalogue (the same hash) bounds that key's validity.

Belongs here: reading and changing the file. Stays out: looking a key up while events come in (`write_keys`).
"""

from __future__ import annotations

import io
import os
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import BeforeValidator, Field
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from analytics_platform.catalog import Catalog, CatalogError, Problem, hash_write_key
from analytics_platform.catalog.declared import Declared, wrong
from analytics_platform.catalog.errors import wrong_in
from analytics_platform.catalog.tenants import Sha256
from analytics_platform.catalog.validation import validate
from analytics_platform.catalog.values import Name, TenantId
from analytics_platform.catalog.yaml_file import read_yaml
from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.outcomes import KeyKind, Site

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock of a machine that receives may lie behind that of the one where a key was made."""

State = Literal["active", "expiring", "pending", "expired", "revoked"]

_HEADER = """\
# Write keys of this deployment, by the SHA-256 of each; the keys themselves stand nowhere.
# Edit with `analytics keys create|rotate|revoke`; collectors read changes within a second.
"""
_ALPHABET = string.ascii_letters + string.digits
_RANDOM_CHARACTERS = 32
_LOCK_SECONDS = 30.0


class UnknownKeyOwnerError(AnalyticsError):
    """The tenant that a key should belong to is not registered."""


class KeyNameTakenError(AnalyticsError):
    """A valid key of the tenant has the name already."""


class NoSuchKeyError(AnalyticsError):
    """No valid key has the name, so there is nothing to rotate or revoke."""


class KeysLockedError(AnalyticsError):
    """Another process has been editing the register for too long."""


def _as_moment(value: object) -> datetime:
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError as error:
            raise wrong(f"{value!r} is not a time ({error})", "write RFC 3339, such as 2026-01-31T09:30:00Z") from error
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    raise wrong(f"{value!r} is not a time with an offset", "write RFC 3339, such as 2026-01-31T09:30:00Z")


Moment = Annotated[datetime, BeforeValidator(_as_moment)]


class RegisteredKey(Declared):
    """A write key: whose it is, what it may be used for, and when it is valid."""

    tenant: TenantId
    name: Name
    sha256: Sha256
    kind: KeyKind
    site: Site
    created_at: Moment | None = None
    expires_at: Moment | None = None
    revoked_at: Moment | None = None
    events_per_second: Annotated[int, Field(ge=1)] | None = None

    @property
    def fingerprint(self) -> str:
        """What tells keys of the same name apart without saying anything of their text."""
        return self.sha256[:8]

    def state(self, at: datetime) -> State:
        """What the key is at a moment: only `active` and `expiring` keys are valid.

        A revoked key is never valid again, whatever a clock says.
        """
        if self.revoked_at is not None:
            return "revoked"
        if self.created_at is not None and at < self.created_at - CLOCK_TOLERANCE:
            return "pending"
        if self.expires_at is None:
            return "active"
        return "expiring" if at < self.expires_at else "expired"

    def is_valid(self, at: datetime) -> bool:
        """Whether events that come with the key at that moment are taken in."""
        return self.state(at) in ("active", "expiring")


class KeyRegistry:
    """The keys of the catalogue's tenants and of one register file; every change is one atomic step.

    Args:
        catalog: the tenants and their keys.
        file: the register; a file that is not there holds no keys.
    """

    def __init__(self, catalog: Catalog, file: Path) -> None:
        self._catalog = catalog
        self._file = file

    def all_keys(self) -> list[RegisteredKey]:
        """All keys, those of the catalogue first, each as the file bounds it.

        Raises:
            CatalogError: the file cannot be read, or does not agree with the catalogue.
        """
        return list(effective_keys(self._catalog, self._file).values())

    def create(
        self,
        tenant: str,
        name: str,
        kind: str,
        site: str,
        *,
        now: datetime,
        events_per_second: int | None = None,
    ) -> tuple[RegisteredKey, str]:
        """Register a new key; return it with its plain text, which is kept nowhere.

        Raises:
            UnknownKeyOwnerError: the tenant is not registered.
            KeyNameTakenError: a valid key of the tenant has the name.
        """
        self._refuse_unknown(tenant)
        with self._edited() as entries:
            if valid := self._valid(tenant, name, now):
                raise KeyNameTakenError(
                    f"name: {name!r} is the name of a valid key of {tenant} ({valid[0].fingerprint}); choose another, "
                    f"or replace that key: analytics keys rotate {tenant} {name}"
                )
            return self._added(
                entries, now, tenant=tenant, name=name, kind=kind, site=site, events_per_second=events_per_second
            )

    def rotate(
        self, tenant: str, name: str, *, overlap: timedelta, now: datetime
    ) -> tuple[RegisteredKey, str, list[RegisteredKey]]:
        """Register a new key of the same name, and let the former ones expire after `overlap`.

        Returns:
            The new key, its plain text, and the former keys with the moment at which each expires.

        Raises:
            UnknownKeyOwnerError: the tenant is not registered.
            NoSuchKeyError: no valid key has the name.
        """
        self._refuse_unknown(tenant)
        with self._edited() as entries:
            former = self._valid_or_refuse(tenant, name, now, "rotate")
            end = now + overlap
            bounded = [key for key in former if key.expires_at is None or key.expires_at > end]
            for key in bounded:
                _write(entries, key, {"expires_at": end})
            last = former[-1]
            same = {"kind": last.kind, "site": last.site, "events_per_second": last.events_per_second}
            added, plain = self._added(entries, now, tenant=tenant, name=name, **same)
        return added, plain, [key.model_copy(update={"expires_at": end}) if key in bounded else key for key in former]

    def revoke(self, tenant: str, name: str, *, now: datetime, fingerprint: str | None = None) -> list[RegisteredKey]:
        """Make keys invalid at once: all valid ones of the name, or the one with the fingerprint.

        Raises:
            UnknownKeyOwnerError: the tenant is not registered.
            NoSuchKeyError: no valid key has the name and the fingerprint.
        """
        self._refuse_unknown(tenant)
        with self._edited() as entries:
            valid = self._valid_or_refuse(tenant, name, now, "revoke")
            chosen = [key for key in valid if fingerprint is None or key.fingerprint == fingerprint]
            if not chosen:
                known = ", ".join(key.fingerprint for key in valid)
                raise NoSuchKeyError(f"fingerprint: {fingerprint!r} is no valid key of {tenant} {name}; write {known}")
            for key in chosen:
                _write(entries, key, {"revoked_at": now})
        return [key.model_copy(update={"revoked_at": now}) for key in chosen]

    def _refuse_unknown(self, tenant: str) -> None:
        if tenant not in self._catalog.tenants:
            known = ", ".join(sorted(self._catalog.tenants))
            raise UnknownKeyOwnerError(f"tenant: {tenant!r} is not registered; known tenants: {known}")

    def _valid(self, tenant: str, name: str, now: datetime) -> list[RegisteredKey]:
        return [
            key for key in self.all_keys() if (key.tenant, key.name) == (tenant, name) and key.state(now) in _NOT_OVER
        ]

    def _valid_or_refuse(self, tenant: str, name: str, now: datetime, verb: str) -> list[RegisteredKey]:
        valid = self._valid(tenant, name, now)
        if not valid:
            names = sorted({key.name for key in self.all_keys() if key.tenant == tenant and key.is_valid(now)})
            known = f"valid keys of {tenant}: {', '.join(names)}" if names else f"{tenant} has no valid key"
            raise NoSuchKeyError(f"name: {tenant} has no valid key {name!r} to {verb}; {known}")
        return valid

    def _added(self, entries: CommentedSeq, now: datetime, **chosen: str | int | None) -> tuple[RegisteredKey, str]:
        plain = new_plain_key()
        named = {name: value for name, value in chosen.items() if value is not None}
        entry = {**named, "sha256": hash_write_key(plain), "created_at": _written(now)}
        key = validate(RegisteredKey, entry, str(self._file), f"[{chosen['name']}]")
        entries.append(entry)
        return key, plain

    @contextmanager
    def _edited(self) -> Iterator[CommentedSeq]:
        """The file's entries, comments and all; what was changed in them is written when the block ends well."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{self._file}.lock", timeout=_LOCK_SECONDS):
                self.all_keys()  # a file that does not agree with the catalogue is told before it is changed
                yaml = _yaml()
                text = self._file.read_text(encoding="utf-8") if self._file.exists() else _HEADER
                entries = _entries(yaml, text)
                yield entries
                _replace(self._file, yaml, entries, text)
        except Timeout as error:
            raise KeysLockedError(
                f"{self._file}: another process has been editing it for {_LOCK_SECONDS:.0f} s; try again"
            ) from error


_NOT_OVER: tuple[State, ...] = ("active", "expiring", "pending")


def new_plain_key() -> str:
    """The text of a new key: 190 bits of chance behind a prefix by which scanners for secrets know it."""
    return "wk_" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def effective_keys(catalog: Catalog, file: Path | None) -> dict[str, RegisteredKey]:
    """All keys by hash: the catalogue's, each replaced by its entry in the file if it has one, then the file's own.

    Raises:
        CatalogError: the file cannot be read, or does not agree with the catalogue.
    """
    found = {
        key.sha256: RegisteredKey(
            tenant=tenant.tenant_id, name=key.name, sha256=key.sha256, kind=key.kind, site=key.site
        )
        for tenant in catalog.tenants.values()
        for key in tenant.write_keys
    }
    seen: set[str] = set()
    for key in registered_keys(file):
        _refuse_disagreeing(key, catalog, found.get(key.sha256), seen, str(file))
        seen.add(key.sha256)
        found[key.sha256] = key
    return found


def registered_keys(file: Path | None) -> list[RegisteredKey]:
    """The entries of the register file, in order; none where there is no file.

    Raises:
        CatalogError: the file cannot be read, with every entry that is wrong.
    """
    if file is None or not file.exists():
        return []
    shown = str(file)
    declared = read_yaml(file, shown)
    if declared is None:
        return []
    if not isinstance(declared, list):
        raise wrong_in(shown, "", "is not a list of keys", "write a list: - {tenant: …, name: …, sha256: …, …}")
    keys: list[RegisteredKey] = []
    problems: list[Problem] = []
    for index, body in enumerate(declared):
        try:
            keys.append(validate(RegisteredKey, body, shown, f"[{index}]"))
        except CatalogError as error:
            problems += error.problems
    if problems:
        raise CatalogError(problems)
    return keys


def _refuse_disagreeing(
    key: RegisteredKey, catalog: Catalog, declared: RegisteredKey | None, seen: set[str], file: str
) -> None:
    at = f"[{key.tenant} {key.name}]"
    if key.tenant not in catalog.tenants:
        known = ", ".join(sorted(catalog.tenants))
        raise wrong_in(file, f"{at}.tenant", f"{key.tenant!r} is not a registered tenant", f"write one of {known}")
    if key.sha256 in seen:
        raise wrong_in(file, f"{at}.sha256", "is the key of another entry too", "keep one of the two")
    if declared is not None and (declared.tenant, declared.name) != (key.tenant, key.name):
        other = f"{declared.tenant} ({declared.name})"
        raise wrong_in(file, f"{at}.sha256", f"is the key of {other}", "issue a key of its own")


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=2, offset=0)
    return yaml


def _entries(yaml: YAML, text: str) -> CommentedSeq:
    found = yaml.load(text)
    return CommentedSeq() if found is None else found


def _write(entries: CommentedSeq, key: RegisteredKey, changes: Mapping[str, datetime]) -> None:
    """Change the entry of a key; a key of the catalogue gets one."""
    entry: Any = next((entry for entry in entries if entry["sha256"] == key.sha256), None)
    if entry is None:
        entry = {name: getattr(key, name) for name in ("tenant", "name", "sha256", "kind", "site")}
        entries.append(entry)
    entry |= {name: _written(moment) for name, moment in changes.items()}


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _replace(file: Path, yaml: YAML, entries: CommentedSeq, before: str) -> None:
    """Put the entries in the file's place in one durable step."""
    text = io.StringIO()
    yaml.dump(entries, text)
    # A file without entries is comments alone, which the parser does not keep.
    head = "" if _has_entries(before) else before
    upload = file.with_name(f"{file.name}.new")
    with upload.open("w", encoding="utf-8") as written:
        written.write(head + text.getvalue())
        written.flush()
        os.fsync(written.fileno())
    upload.replace(file)


def _has_entries(text: str) -> bool:
    """Whether a register's text holds anything but comments."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())
