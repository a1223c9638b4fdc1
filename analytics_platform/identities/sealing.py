"""Encryption of what only few may read again: AES-SIV (RFC 5297), deterministic and authenticated.

Deterministic, because objects of the lake are named by their bytes: the same import gives the same objects. What that
gives away is that two sealed texts are the same, which their references say anyway. The tenant is authenticated with
it, so nothing sealed for one opens as another's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from analytics_platform.errors import AnalyticsError
from analytics_platform.identities.keys import IdentityKeys, TenantKeys
from analytics_platform.lake.dead_letters import ZSTD, lines_of

_SEALED_IN_JSON = re.compile(rb'"(k[1-9][0-9]{0,3}\.[A-Za-z0-9_-]{22,}={0,2})"')
_CIPHERS_REMEMBERED = 2_000
_SEALED = re.compile(r"k([1-9][0-9]{0,3})\.([A-Za-z0-9_-]+={0,2})")


class UnsealedError(AnalyticsError):
    """What is sealed cannot be opened: it was changed, or its key is gone."""


@lru_cache(maxsize=_CIPHERS_REMEMBERED)
def _cipher(key: bytes) -> AESSIV:
    """To set a cipher up costs more than to seal a value."""
    return AESSIV(key)


def seal(keys: TenantKeys, plain: bytes) -> str:
    """Encrypt under the tenant's newest key: ``k<version>.<base64url>``."""
    version = keys.newest
    sealed = _cipher(version.sealing).encrypt(plain, [keys.tenant.encode()])
    return f"k{version.number}.{base64.urlsafe_b64encode(sealed).decode('ascii')}"


def unseal(keys: TenantKeys, sealed: str) -> bytes:
    """Decrypt what `seal` gave.

    Raises:
        UnsealedError: it was changed, is another tenant's, or was sealed by a key that is gone.
    """
    match = _SEALED.fullmatch(sealed)
    if match is None:
        raise UnsealedError(f"a sealed value of tenant {keys.tenant} is damaged; restore its object from a backup")
    number = int(match[1])
    if number > len(keys.versions):
        raise UnsealedError(
            f"a value of tenant {keys.tenant} is sealed by key version {number}, which the file of keys does not have; "
            "put back the newest copy of that file"
        )
    try:
        data = base64.urlsafe_b64decode(match[2])
        return _cipher(keys.versions[number - 1].sealing).decrypt(data, [keys.tenant.encode()])
    except (InvalidTag, binascii.Error) as error:
        raise UnsealedError(
            f"a sealed value of tenant {keys.tenant} does not open: it was changed, or sealed by another deployment"
        ) from error


def opened(keys: TenantKeys, data: bytes) -> Iterator[bytes]:
    """Bytes, and what every sealed text of a JSON in them says, inflated: all that a search has to look at.

    Raises:
        UnsealedError: something sealed does not open.
    """
    yield data
    for match in _SEALED_IN_JSON.finditer(data):
        plain = unseal(keys, match[1].decode())
        yield b"\n".join(lines_of(plain)) if plain.startswith(ZSTD) else plain


class TenantSeals:
    """Seals and opens for whichever tenant, as `lake.dead_letters.Seals` asks."""

    def __init__(self, keys: IdentityKeys) -> None:
        self._keys = keys

    def seal(self, tenant: str, plain: bytes) -> str:
        """See `seal`."""
        return seal(self._keys.of(tenant), plain)

    def unseal(self, tenant: str, sealed: str) -> bytes:
        """See `unseal`."""
        return unseal(self._keys.of(tenant), sealed)
