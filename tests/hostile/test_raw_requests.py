"""Requests that no library would send, byte for byte to the collector and the portal: bounds, and no two readings."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import time
from collections.abc import Iterator

import pytest

from analytics_platform import http_service
from analytics_platform.intake.collector.service import RunningCollector
from analytics_platform.lake.store import LocalStore
from analytics_platform.portal.service import RunningPortal, portal_from
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

KEY = "Authorization: Basic " + base64.b64encode(b"demo-brabant-rental-server:").decode()
STRANGER = "Authorization: Basic " + base64.b64encode(b"nobodys-key:").decode()
BODY = json.dumps({"batch": [{"type": "page", "messageId": "m-1"}]}).encode()
WIDE = BODY.decode().encode("utf-16")
CHUNKS = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n"
ONE_CHUNK = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
LAST = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
TAKEN, REFUSED, HUNG_UP = [200, 200], [400, 200], [400]
"""Each of the first two with the answer to `LAST`; after the third the connection is closed."""

Address = tuple[str, int]


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    home = tmp_path_factory.mktemp("collector")
    settings = Settings.model_validate({"home": home, "collector_min_free_bytes": 0})
    running = RunningCollector(settings, LocalStore(settings.lake_root))
    yield _address(running.url)
    running.stop()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    settings = Settings.model_validate({"home": tmp_path_factory.mktemp("portal")})
    store = LocalStore(settings.lake_root)
    store.put("dashboards/index.html", b"<!doctype html><title>t</title>")
    running = RunningPortal(portal_from(settings, store))
    yield _address(running.url)
    running.stop()


def request(
    *headers: str, body: bytes = BODY, length: str | None = "own", target: str = "/v1/batch", method: str = "POST"
) -> bytes:
    """A request as it is written; `length` is its `Content-Length`, by default the true one, None for none."""
    lines = [f"{method} {target} HTTP/1.1", "Host: a", KEY, *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == 'own' else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*headers: str, body: bytes) -> bytes:
    return request("Transfer-Encoding: chunked", *headers, body=body, length=None)


def answered(address: Address, sent: bytes, *later: bytes, last: bytes = LAST) -> bytes:
    """All that comes back until the server closes the connection."""
    with socket.create_connection(address, timeout=20) as connection:
        received = b""
        try:
            for part in (sent, *later, last):
                connection.sendall(part)
                time.sleep(0.05 if later else 0)
        except OSError:  # it has hung up on us; what it said before is there to be read
            pass
        try:
            while part := connection.recv(65_536):
                received += part
        except ConnectionResetError:
            pass
        return received


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


LENGTHS = {
    "as it is": (request(), TAKEN),
    "in chunks": (chunked(body=CHUNKS + b"\r\n"), TAKEN),
    "in one chunk with an extension": (chunked(body=ONE_CHUNK.replace(b"\r\n", b";a=b\r\n", 1) + b"\r\n"), TAKEN),
    "a length and chunks": (request("Transfer-Encoding: chunked", body=CHUNKS + b"\r\n"), HUNG_UP),
    "two lengths": (request("Content-Length: 5"), HUNG_UP),
    "twice the same length": (request(f"Content-Length: {len(BODY)}"), HUNG_UP),
    "a list of lengths": (request(length=f"{len(BODY)}, {len(BODY)}"), HUNG_UP),
    "a length with a sign": (request(length=f"+{len(BODY)}"), HUNG_UP),
    "a negative length": (request(length="-1"), HUNG_UP),
    "a length in hex": (request(length="0x10"), HUNG_UP),
    "a length beyond 64 bits": (request(length="99999999999999999999999"), HUNG_UP),
    "chunks, but not last": (request("Transfer-Encoding: chunked, identity", body=CHUNKS, length=None), HUNG_UP),
    "chunks behind a vertical tab": (request("Transfer-Encoding:\x0bchunked", body=CHUNKS, length=None), HUNG_UP),
    "chunks behind a space": (request("Transfer-Encoding : chunked", body=CHUNKS, length=None), HUNG_UP),
    "a chunk of negative size": (chunked(body=b"-1\r\na\r\n0\r\n\r\n"), HUNG_UP),
    "a chunk beyond 64 bits": (chunked(body=b"fffffffffffffffff\r\na\r\n0\r\n\r\n"), HUNG_UP),
    "line feeds alone": (request().replace(b"\r\n", b"\n"), HUNG_UP),
    "a folded header": (request("X: a\r\n b"), HUNG_UP),
    "a NUL in a header": (request("X: a\x00b"), HUNG_UP),
    "another method": (request(method="BREW"), HUNG_UP),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100, HUNG_UP),
    "the next version": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HUNG_UP),
    "three at once": (request() * 3, [200, 200, 200, 200]),
    "another one after the last": (request("Connection: close") + request(), [200]),
    "a path of another host": (request(target="http://evil.test/v1/batch"), TAKEN),
    "a path that goes up": (request(target="/x/../v1/batch"), [404, 200]),
    "an encoded NUL": (request(target="/v1/batch%00"), [404, 200]),
    "a path in no encoding": (request(target="/v1/b\xe4tch"), HUNG_UP),
    "another encoding than it says": (request("Content-Encoding: gzip"), REFUSED),
    "two encodings": (request("Content-Encoding: gzip, gzip", body=gzip.compress(gzip.compress(BODY))), REFUSED),
    "another charset": (request("Content-Type: application/json; charset=utf-16", body=WIDE), REFUSED),
    "a header in no encoding": (request("X-Request-Id: \xff", "Origin: http://\xe9"), TAKEN),
}  # fmt: skip


@pytest.mark.parametrize("name", LENGTHS)
def test_a_request_is_read_in_one_way_or_not_at_all(collector: Address, name: str) -> None:
    sent, expected = LENGTHS[name]
    assert statuses(answered(collector, sent)) == expected


def test_fields_after_a_body_are_no_headers(collector: Address) -> None:
    """A proxy in front checks headers and lets trailers pass."""
    sent = chunked(body=ONE_CHUNK + STRANGER.encode() + b"\r\nContent-Encoding: gzip\r\n\r\n")
    assert statuses(answered(collector, sent)) == TAKEN


@pytest.mark.parametrize("to", ["h2c", "websocket", "TLS/1.0"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_body_is_never_the_next_request_whatever_it_asks_to_upgrade_to(
    collector: Address, to: str, at_once: bool
) -> None:
    head = request("Connection: Upgrade", f"Upgrade: {to}", body=b"", length=str(len(SMUGGLED)))
    received = answered(collector, head + SMUGGLED) if at_once else answered(collector, head, SMUGGLED)
    assert statuses(received) == HUNG_UP
    assert b"analytics_" not in received  # of the metrics


@pytest.mark.parametrize("at_once", [True, False])
def test_a_request_without_a_body_may_ask_to_upgrade_and_is_the_last_that_is_answered(
    collector: Address, at_once: bool
) -> None:
    """Whether the next comes with it or later: the parser would lose it, or not, and nobody would be told."""
    asks = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    received = answered(collector, asks + LAST, last=b"") if at_once else answered(collector, asks, b"")
    assert statuses(received) == [200]
    assert b"connection: close" in received.lower()


@pytest.mark.parametrize("endless", [b"X: " + b"a" * 1_000 + b"\r\n", b"a" * 1_000, b"X: a\r\n" * 100])
def test_a_head_without_end_is_cut_off_early(collector: Address, endless: bytes) -> None:
    begun = b"POST /" if endless[:1] == b"a" else b"POST /v1/batch HTTP/1.1\r\n"
    sent = 0
    with socket.create_connection(collector, timeout=20) as connection:
        connection.sendall(begun)
        with pytest.raises(OSError):  # noqa: PT012 - whichever of them is too much
            while sent < 50_000_000:
                connection.sendall(endless * 20)
                sent += len(endless) * 20
    assert sent < 20_000_000, "what the kernels of both sides hold"


@pytest.mark.parametrize(
    "begun", [b"", b"POST /v1/ba", b"GET /\r\n", b"\r\n" * 9, request()[:-1].partition(b"{")[0][:-3]]
)
def test_a_head_that_does_not_end_in_time_ends_its_connection(
    collector: Address, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(http_service, "_HEAD_SECONDS", 0.2)
    assert answered(collector, begun, last=b"") == b""


def test_a_body_may_take_longer_than_a_head_and_a_connection_may_rest(
    collector: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_service, "_HEAD_SECONDS", 0.2)
    with socket.create_connection(collector, timeout=20) as connection:
        for _ in range(2):
            connection.sendall(
                request(body=b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: %d\r\n\r\n" % len(BODY))
            )
            time.sleep(0.4)
            connection.sendall(BODY)
            assert b" 200 OK" in connection.recv(65_536)
            time.sleep(0.4)


def test_who_connects_beyond_the_last_place_is_told_to_come_again_and_the_others_are_answered(
    collector: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_service, "_CONNECTIONS", 3)
    connections = [socket.create_connection(collector, timeout=20) for _ in range(3)]
    try:
        for connection in connections:
            connection.sendall(request())
            assert b" 200 OK" in connection.recv(65_536)
        turned_away = answered(collector, b"", last=b"")
        assert statuses(turned_away) == [503]
        assert b"Retry-After: 1" in turned_away
        connections[0].sendall(request())
        assert b" 200 OK" in connections[0].recv(65_536)
    finally:
        for connection in connections:
            connection.close()
    patience = time.monotonic() + 20
    while statuses(answered(collector, LAST, last=b"")) != [200] and time.monotonic() < patience:
        time.sleep(0.05)
    assert statuses(answered(collector, request("Connection: close"), last=b"")) == [200]


@pytest.mark.parametrize("host", ["evil.test", "evil.test@a", "a\tb", ""])
@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//evil.test/x.html",
        "/dashboards/index.html",
        "/login?next=//evil.test/a.html",
        "/login?next=https:%2F%2Fevil.test%2Fa.html",
        "/login?next=%0d%0aLocation:%20//evil.test%0d%0a",
        "/login?next=\\evil.test\\a.html",
        "/..%2f..%2fidentity_keys.json",
        "/dashboards%2f..%2f..%2fidentity_keys.json",
        "/dashboards/%00.html",
        "/%ff.html",
        "/dashboards/index.html?lang=%ff&lang=en&a[]=" + "x" * 3_000,
        "http://evil.test/dashboards/index.html",
        "/logout",
    ],
)  # fmt: skip
def test_the_portal_sends_nobody_elsewhere_and_opens_nothing(portal: Address, target: str, host: str) -> None:
    cookies = "Cookie: portal_session=\x7f=; portal_session=../x; portal_form=%s; lang=<script>" % ("y" * 43)
    sent = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{cookies}\r\nX-Forwarded-Host: evil.test\r\n\r\n".encode(
        "latin-1"
    )
    head, _, body = answered(portal, sent.replace(b"\x7f", b"x")).partition(b"\r\n\r\n")
    assert statuses(head)[0] in (200, 303, 400, 404)
    told = [line for line in head.split(b"\r\n") if line.lower().startswith(b"location:")]
    assert all(re.fullmatch(rb"(?i)location: /(login[?\w=%./-]*)?", line) for line in told), told
    assert b"evil.test" not in head.replace(b"%2F%2Fevil.test", b"")
    assert b"<script" not in body.partition(b"HTTP/1.1")[0]


def _address(url: str) -> Address:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)
