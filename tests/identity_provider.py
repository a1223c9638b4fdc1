"""An identity provider: its keys, the tokens that it signs, and a local HTTP server that publishes the public ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from served import in_a_thread

ISSUER = "https://id.example.com/realms/rental"
AUDIENCE = "analytics-portal"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Provider(ThreadingHTTPServer):
    """Publishes `keys` at `address`; counts how often it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: dict[str, PrivateKey] = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.status = 200
        self.body: bytes | None = None
        self.asked = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/jwks.json"

    def jwks(self) -> bytes:
        if self.body is not None:
            return self.body
        return json.dumps({"keys": [public_jwk(key, name) for name, key in self.keys.items()]}).encode()

    def token(self, principal: str, key: str = "one", **claims: Any) -> str:
        return sign(claims_of(principal, **claims), self.keys[key], key)


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        body = self.server.jwks()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name for it
        del format, args


@contextmanager
def provider_server() -> Iterator[Provider]:
    server = Provider()
    with in_a_thread(server):
        yield server


def claims_of(principal: str, **claims: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": principal, "iat": now, "exp": now + 300}
    return {name: value for name, value in {**usual, **claims}.items() if value is not None}


def sign(claims: dict[str, Any], key: PrivateKey, key_id: str, algorithm: str | None = None) -> str:
    algorithm = algorithm or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
    return jwt.encode(claims, key, algorithm, headers={"kid": key_id})


def public_jwk(key: PrivateKey, key_id: str) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        told = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {**told, "kid": key_id, "use": "sig", "alg": "RS256"}
    return {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}
