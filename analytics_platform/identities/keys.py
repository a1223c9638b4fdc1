"""The secrets of each tenant: one file outside the lake, so that whoever copies the lake learns nobody's name.

A tenant has versions of a secret, of which the newest makes new references and seals, while the older ones still find
and open what they made; and one `fingerprint` secret, which never changes, since hashes made by it (of payloads, of the
erased) are compared over years. The embedded default makes a tenant's keys when they are first needed; a deployment
with several collectors gives all of them the same file. A process that runs for long looks at the file once a second,
so a rotation needs no restart.
"""

from __future__ import annotations

import fcntl
import hmac
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from analytics_platform.durability import sync_folder
from analytics_platform.errors import AnalyticsError

_LOG = logging.getLogger(__name__)

_SECRET_BYTES = 32
_CHECK_SECONDS = 1.0
_TENANTS_REMEMBERED = 2_000
_Secret = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class IdentityKeysError(AnalyticsError):
    """The file of keys cannot be used; the text names the file, the field and the mend, never a secret."""


class NoKeysOfTenantError(IdentityKeysError):
    """The file holds none of a tenant, and whoever asked may not make any."""


class _Version(BaseModel):
    """One secret of a tenant, and since when it is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: _Secret
    made_at: datetime


class _Tenant(BaseModel):
    """A tenant's secrets; `versions[0]` is version 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: _Secret
    versions: tuple[_Version, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: dict[str, _Tenant] = {}


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """The keys that are derived from one version of a tenant's secret.

    Attributes:
        number: from 1.
        made_at: since when it is used, in UTC.
        reference: for HMAC.
        sealing: for AES-SIV, 64 bytes.
    """

    number: int
    made_at: datetime
    reference: bytes
    sealing: bytes

    def __hash__(self) -> int:
        """By what no other version has, since it is asked for with every message."""
        return hash(self.reference)


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """A tenant's keys, the newest version last."""

    tenant: str
    fingerprint_key: bytes
    versions: tuple[KeyVersion, ...]

    def __hash__(self) -> int:
        """By what no other tenant has, since it is asked for with every message."""
        return hash(self.fingerprint_key)

    @property
    def newest(self) -> KeyVersion:
        """The version that makes new references and seals."""
        return self.versions[-1]

    def fingerprint(self, said: str) -> str:
        """A keyed hash of 32 hexadecimal digits that outlives every rotation."""
        return hmac.digest(self.fingerprint_key, said.encode(), "sha256").hex()[:32]


class IdentityKeys:
    """The keys of all tenants in a file.

    Args:
        file: where they stand; made, readable by its owner alone, with the first tenant that needs keys.
        makes_missing: whether a tenant without keys gets some; else that is an error.
        clock: seconds that only go forward; for tests.
    """

    def __init__(self, file: Path, *, makes_missing: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._makes_missing = makes_missing
        self._clock = clock
        self._known: dict[str, TenantKeys] = {}
        self._signature: tuple[int, int, int] | None = None
        self._check_at = 0.0

    def of(self, tenant: str) -> TenantKeys:
        """A tenant's keys.

        Raises:
            IdentityKeysError: the file cannot be read or written, or has none for the tenant and may not be given any.
        """
        if tenant not in self._known:
            self._remember(_read(self._file))
        elif self._clock() >= self._check_at:
            self._look_again()
        if tenant not in self._known:
            if not self._makes_missing:
                raise NoKeysOfTenantError(
                    f"{self._file}: has no keys of tenant {tenant!r}; add them with `analytics identities rotate`"
                )
            self._remember(self._changed(tenant, is_rotation=False))
        return self._known[tenant]

    def rotate(self, tenant: str) -> TenantKeys:
        """Give a tenant a new version (or its first); the older ones still find and open what they made."""
        self._remember(self._changed(tenant, is_rotation=True))
        return self._known[tenant]

    def _remember(self, found: _File) -> None:
        """Know what the file says; tenants that it has lost are still known to this process."""
        self._known |= {name: _tenant_keys(name, tenant) for name, tenant in found.tenants.items()}
        self._signature = _signed(self._file)
        self._check_at = self._clock() + _CHECK_SECONDS

    def _look_again(self) -> None:
        """Read the file if it was replaced; one that is lost or broken changes nothing for who has read it before."""
        self._check_at = self._clock() + _CHECK_SECONDS
        signature = _signed(self._file)
        if signature in (None, self._signature):
            return
        try:
            self._remember(_read(self._file))
        except IdentityKeysError as error:
            self._signature = signature
            _LOG.error("identity keys stay as they were: %s", error)

    def _changed(self, tenant: str, *, is_rotation: bool) -> _File:
        with _locked(self._file):
            found = _read(self._file)
            lost = ", ".join(sorted(set(self._known) - set(found.tenants)))
            if lost:  # or the next thing to be lost is what they sealed
                raise IdentityKeysError(f"{self._file}: the keys of {lost} are gone; put back the file from its backup")
            known = found.tenants.get(tenant)
            if known is not None and not is_rotation:  # another process was first
                return found
            version = _Version(secret=secrets.token_hex(_SECRET_BYTES), made_at=datetime.now(UTC))
            fingerprint = known.fingerprint if known else secrets.token_hex(_SECRET_BYTES)
            changed = _Tenant(fingerprint=fingerprint, versions=(*(known.versions if known else ()), version))
            file = _File(tenants={**found.tenants, tenant: changed})
            _write(self._file, file)
            return file


@lru_cache(maxsize=_TENANTS_REMEMBERED)
def _tenant_keys(name: str, tenant: _Tenant) -> TenantKeys:
    """Derived once, though the file is read again with every tenant that is new."""
    versions = tuple(
        KeyVersion(
            number,
            each.made_at,
            _hkdf(bytes.fromhex(each.secret), f"{name} reference", 32),
            _hkdf(bytes.fromhex(each.secret), f"{name} sealing", 64),
        )
        for number, each in enumerate(tenant.versions, 1)
    )
    return TenantKeys(name, _hkdf(bytes.fromhex(tenant.fingerprint), f"{name} fingerprint", 32), versions)


def _hkdf(secret: bytes, purpose: str, length: int) -> bytes:
    """RFC 5869, so that no two purposes and no two tenants share a key."""
    return HKDF(SHA256(), length, salt=None, info=f"analytics {purpose}".encode()).derive(secret)


def _read(file: Path) -> _File:
    try:
        return _File.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise IdentityKeysError(f"{file}: cannot be read ({error.strerror}); mend its permissions") from error
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors())
        raise IdentityKeysError(f"{file}: {where}; put back the file from its backup") from error


def _write(file: Path, content: _File) -> None:
    """Replace the file in one step; what it says may never be lost, so it reaches the disk first."""
    data = content.model_dump_json(indent=1).encode()
    # One name, since the lock lets one process write: what a killed one left is overwritten, not kept beside the file.
    draft = file.with_name(f".{file.name}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
        sync_folder(file.parent)  # before anything is sealed with what it says
    except OSError as error:
        raise IdentityKeysError(f"{file}: cannot be written ({error.strerror}); mend its folder") from error


def _signed(file: Path) -> tuple[int, int, int] | None:
    """What changes when the file is replaced; None when it is gone."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_name(f".{file.name}.lock").open("wb")
    except OSError as error:
        raise IdentityKeysError(
            f"{file}: a tenant needs keys and the folder cannot be written ({error.strerror}); "
            "give the file the tenant's keys where it is kept, or mend the folder"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
