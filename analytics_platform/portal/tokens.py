"""Tokens of an identity provider: verified against its public keys, or no identity at all.

A token is a signed JWT in one header. Its signature, algorithm, issuer, audience and times have to be right; a header
that only claims a name is never looked at. Keys are cached for a bounded time; a token that names a key which nobody
has seen makes them be read anew, at most every few seconds, so that rotation works and strangers cause no traffic.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson

from analytics_platform.errors import AnalyticsError

FRESH_SECONDS = 300.0
"""How long keys are used without a look at what the provider has now."""

STALE_SECONDS = 3600.0
"""How long keys are used while the provider does not answer; a key that it has withdrawn counts no longer than this."""

_AGAIN_SECONDS = 10.0
_LEEWAY_SECONDS = 30
_MOST_BYTES = 256 * 1024
_MOST_KEYS = 64
_LONGEST_TOKEN = 16 * 1024
_LONGEST_PRINCIPAL = 320
_TIMEOUT_SECONDS = 5.0


class TokenRefusedError(AnalyticsError):
    """A token proves nothing; the text is for logs and holds no part of it."""


class KeysUnknownError(AnalyticsError):
    """The provider's keys cannot be read, so that nobody can be known."""


@dataclass(frozen=True)
class Issuer:
    """Whose tokens count.

    Attributes:
        issuer: `iss` of a token.
        audience: `aud` of a token, or one of them.
        jwks: address or file of the public keys.
        algorithms: how tokens may be signed; all are asymmetric.
        principal_claim: which claim is the principal.
        groups_claim: which claim holds the groups, where they say the roles.
    """

    issuer: str
    audience: str
    jwks: str
    algorithms: Sequence[str]
    principal_claim: str = "sub"
    groups_claim: str | None = None


@dataclass(frozen=True)
class Claimed:
    """What a verified token says."""

    principal: str
    groups: tuple[str, ...]


class KeySet:
    """The provider's public keys by their id.

    Args:
        address: URL or path of the JWKS.
        clock: seconds that only go forward.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address, self._clock = address, clock
        self._lock = threading.Lock()
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._read_at = self._tried_at = float("-inf")

    def find(self, key_id: str | None) -> jwt.PyJWK:
        """The key that a token names.

        Raises:
            TokenRefusedError: the provider has no such key.
            KeysUnknownError: its keys cannot be read, and the last ones are too old.
        """
        with self._lock:
            age = self._clock() - self._read_at
            if (age > FRESH_SECONDS or key_id not in self._keys) and self._clock() - self._tried_at > _AGAIN_SECONDS:
                self._read_anew()
            if self._clock() - self._read_at > STALE_SECONDS:
                raise KeysUnknownError(
                    f"portal_oidc_jwks: the keys at {self._address} cannot be read; see that they can be reached"
                )
            key = self._keys.get(key_id)
        if key is None:
            raise TokenRefusedError("it names a key that the provider does not have")
        return key

    def read(self) -> Mapping[str | None, jwt.PyJWK]:
        """The keys that the provider has now, by their id.

        Raises:
            KeysUnknownError: they cannot be read; the text says why.
        """
        return _parsed(self._read())

    def _read_anew(self) -> None:
        self._tried_at = self._clock()
        try:
            self._keys = self.read()
        except KeysUnknownError:
            return  # the last ones are good until they are stale; `find` says so
        self._read_at = self._clock()

    def _read(self) -> bytes:
        import httpx

        if not self._address.startswith(("http://", "https://")):
            try:
                return Path(self._address).read_bytes()
            except OSError as error:
                raise KeysUnknownError(str(error)) from error
        try:
            with httpx.stream("GET", self._address, timeout=_TIMEOUT_SECONDS, follow_redirects=False) as answer:
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise KeysUnknownError(f"more than {_MOST_BYTES:,} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise KeysUnknownError(type(error).__name__) from error
        if answer.status_code != 200:
            raise KeysUnknownError(f"answered {answer.status_code}")
        return body


class TokenVerifier:
    """Who a token says that somebody is, once everything about it is right."""

    def __init__(self, issuer: Issuer, keys: KeySet | None = None) -> None:
        self._issuer = issuer
        self._keys = keys or KeySet(issuer.jwks)

    def verify(self, token: str) -> Claimed:
        """The principal of a token.

        Raises:
            TokenRefusedError: it is no token of this issuer, for this audience, now.
            KeysUnknownError: nobody can tell.
        """
        claims = self._claims(token)
        principal = claims.get(self._issuer.principal_claim)
        if not isinstance(principal, str) or not 0 < len(principal) <= _LONGEST_PRINCIPAL:
            raise TokenRefusedError(f"it has no {self._issuer.principal_claim} that could name a principal")
        if self._issuer.principal_claim == "email" and claims.get("email_verified") is not True:
            raise TokenRefusedError("its e-mail address is not verified by the provider")
        return Claimed(principal, self._groups(claims))

    def _claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > _LONGEST_TOKEN:
            raise TokenRefusedError("it is too long")
        try:
            key = self._keys.find(jwt.get_unverified_header(token).get("kid"))
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(self._issuer.algorithms),
                issuer=self._issuer.issuer,
                audience=self._issuer.audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise TokenRefusedError(type(error).__name__) from error
        return claims

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        told = claims.get(self._issuer.groups_claim) if self._issuer.groups_claim else None
        if not isinstance(told, list):
            return ()
        return tuple(each for each in told if isinstance(each, str))


def bearer(header: str) -> str:
    """The token of an `Authorization` header.

    Raises:
        TokenRefusedError: it holds something else.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefusedError("the header holds no bearer token")
    return token.strip()


def _parsed(data: bytes) -> dict[str | None, jwt.PyJWK]:
    """Keys for signatures by id; keys that this library does not know are left out, as are shared secrets."""
    try:
        told = orjson.loads(data)["keys"]
        described = [each for each in told if each.get("kty") != "oct" and each.get("use", "sig") == "sig"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeysUnknownError("it is no JWKS") from error
    found: dict[str | None, jwt.PyJWK] = {}
    for each in described[:_MOST_KEYS]:
        try:
            key = jwt.PyJWK(each)
        except jwt.PyJWTError:
            continue
        found[key.key_id] = key
    if not found:
        raise KeysUnknownError("it holds no key that could be used")
    return found
