"""Keyed references: what stands in the lake in the place of a direct identifier.

`<kind>_k<version>_<32 hexadecimal digits>`: HMAC-SHA-256 (RFC 2104), cut to 128 bits, of the kind and the normalised
value under the tenant's key. The same value gives the same reference within a tenant and version, so it still counts
and joins; another tenant's is another one; without the key nobody can try out values.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from typing import Literal

from analytics_platform.identities.keys import KeyVersion, TenantKeys

Kind = Literal["account", "email", "id", "ip", "name", "phone", "text"]
"""What sort of identifier a value is; `account` is a bank's, `id` an identifier of a device or of another system."""

REFERENCE = re.compile(r"(account|email|id|ip|name|phone|text)_k[1-9][0-9]{0,3}_[0-9a-f]{32}")

_NOT_DIALLED = re.compile(r"[^0-9+]")
_NOT_PRINTED = re.compile(r"[^0-9A-Za-z]")


def reference(version: KeyVersion, kind: Kind, value: str) -> str:
    """The reference of a value under one version of a tenant's keys."""
    said = f"{kind}\0{normalised(kind, value)}".encode()
    return f"{kind}_k{version.number}_{hmac.digest(version.reference, said, 'sha256').hex()[:32]}"


def references(keys: TenantKeys, kind: Kind, value: str) -> tuple[str, ...]:
    """The references of a value under all versions: what a search for a person goes by."""
    return tuple(reference(version, kind, value) for version in keys.versions)


def normalised(kind: Kind, value: str) -> str:
    """The one spelling of an identifier: case, width, spaces and separators do not tell two people apart."""
    plain = unicodedata.normalize("NFKC", value).strip()
    if kind in ("email", "ip", "name"):
        return " ".join(plain.casefold().split())
    if kind == "phone":
        digits = _NOT_DIALLED.sub("", plain)
        return f"+{digits[2:]}" if digits.startswith("00") else digits
    if kind == "account":
        return _NOT_PRINTED.sub("", plain).upper()
    return plain
