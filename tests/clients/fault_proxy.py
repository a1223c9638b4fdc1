"""A proxy that plays faults: what a client meets between itself and the collector, request by request, from a script.

It runs in a thread of its own on 127.0.0.1 and stops with its context. What it saw is kept, so that a test can say
which messages a client was told are safe.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
import httpx
from served import taking_connections

PREFLIGHT = b"OPTIONS"
_HOP_BY_HOP = {b"host", b"connection", b"transfer-encoding", b"content-length", b"keep-alive"}


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    Args:
        status: answer with this status and pass nothing on; None passes the request on.
        retry_after: seconds for the answer's `Retry-After`.
        delay: seconds before anything happens.
        cut_before: close the connection without passing the request on.
        cut_after: pass the request on, then close the connection without an answer.
    """

    status: int | None = None
    retry_after: int | None = None
    delay: float = 0.0
    cut_before: bool = False
    cut_after: bool = False


PASS = Fault()


@dataclass(frozen=True)
class Seen:
    """One request, what was played, and the status that the client got; None when it got no answer."""

    method: str
    path: str
    fault: Fault
    message_ids: tuple[str, ...]
    answered: int | None
    passed_on: bool


@dataclass
class FaultProxy:
    """The running proxy; requests beyond the script pass through."""

    upstream: str
    script: list[Fault]
    seen: list[Seen] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where clients are pointed at."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> set[str]:
        """Ids of the messages that the client was told are safe."""
        return {found for each in self.seen if each.answered == 200 for found in each.message_ids}

    @property
    def passed_on(self) -> list[str]:
        """Ids of the messages that reached the collector, as often as they did."""
        return [found for each in self.seen if each.passed_on for found in each.message_ids]

    def next_fault(self) -> Fault:
        """The fault of the next request."""
        return self.script.pop(0) if self.script else PASS


@contextmanager
def fault_proxy(upstream: str, script: Sequence[Fault]) -> Iterator[FaultProxy]:
    """Run a proxy before `upstream` (`http://host:port`) that plays `script`."""
    proxy = FaultProxy(upstream, list(script))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with httpx.AsyncClient(base_url=upstream, timeout=30, verify=False) as client:
            await _Connection(proxy, client, reader, writer).serve()

    with taking_connections(serve) as proxy.port:
        yield proxy


@dataclass
class _Request:
    head: h11.Request
    body: bytes

    @property
    def is_preflight(self) -> bool:
        return bool(self.head.method == PREFLIGHT)


class _Connection:
    """One client connection, request after request until either side closes."""

    def __init__(
        self,
        proxy: FaultProxy,
        client: httpx.AsyncClient,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        try:
            while (request := await self._next()) is not None and await self._handle(request):
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    break
                self._http.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            pass  # the client went away; what it was not told, it was not told
        finally:
            self._writer.close()

    async def _next(self) -> _Request | None:
        head, body = None, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return _Request(head, bytes(body))
            else:
                return None

    async def _handle(self, request: _Request) -> bool:
        """Play the next fault; whether the connection goes on. A preflight is never at fault: it carries nothing."""
        fault = PASS if request.is_preflight else self._proxy.next_fault()
        await asyncio.sleep(fault.delay)
        if fault.cut_before:
            return self._note(request, fault, answered=None, passed_on=False)
        if fault.status is not None:
            headers = [] if fault.retry_after is None else [("Retry-After", str(fault.retry_after))]
            headers += [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "Retry-After")]
            await self._answer(fault.status, headers, b'{"code":"played","message":"played by the test"}')
            return self._note(request, fault, answered=fault.status, passed_on=False)
        reply = await self._pass_on(request)
        if fault.cut_after:
            return self._note(request, fault, answered=None, passed_on=True)
        await self._answer(reply.status_code, _end_to_end(reply.headers.raw), reply.content)
        return self._note(request, fault, answered=reply.status_code, passed_on=True)

    async def _pass_on(self, request: _Request) -> httpx.Response:
        return await self._client.request(
            request.head.method.decode(),
            request.head.target.decode(),
            headers=_end_to_end(request.head.headers.raw_items()),
            content=request.body,
        )

    async def _answer(self, status: int, headers: Sequence[tuple[Any, Any]], body: bytes) -> None:
        head = h11.Response(status_code=status, headers=[*headers, ("Content-Length", str(len(body)))])
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()

    def _note(self, request: _Request, fault: Fault, *, answered: int | None, passed_on: bool) -> bool:
        method, path = request.head.method.decode(), request.head.target.decode()
        ids = () if request.is_preflight else message_ids(request)
        self._proxy.seen.append(Seen(method, path, fault, ids, answered, passed_on))
        return answered is not None


def message_ids(request: _Request) -> tuple[str, ...]:
    """The ids in a request's body, batch or single."""
    encoding = dict(request.head.headers).get(b"content-encoding", b"")
    body = gzip.decompress(request.body) if encoding == b"gzip" else request.body
    said = json.loads(body)
    return tuple(message["messageId"] for message in said.get("batch", [said]))


def _end_to_end(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
