"""A proxy before an object store, and the weather on the way: slow, flapping, gone.

It passes bytes on and knows of HTTP only where a request begins, so that what a fault meets is one request. Which fault
meets which request follows from the seed, as long as requests come one after the other.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from served import taking_connections

Fault = Literal["500", "503", "never_arrives", "answer_lost", "answer_torn", "slow"]

_REQUEST = re.compile(rb"(?:GET|PUT|HEAD|POST|DELETE) /")
_CHUNK = 65_536


@dataclass(frozen=True)
class Weather:
    """What requests meet.

    Attributes:
        shares: how often each fault strikes, of 1; at most one strikes a request.
        is_down: nothing answers at all.
        delay_seconds: how long `slow` takes.
    """

    shares: Mapping[Fault, float] = field(default_factory=dict)
    is_down: bool = False
    delay_seconds: float = 0.2


CALM = Weather()
DOWN = Weather(is_down=True)
FOUL = Weather(
    {"500": 0.03, "503": 0.03, "never_arrives": 0.03, "answer_lost": 0.03, "answer_torn": 0.03, "slow": 0.05}
)


class StoreProxy:
    """The running proxy; `weather` may change at any time."""

    def __init__(self, host: str, port: int, seed: object) -> None:
        self._upstream = host, port
        self._dice = random.Random(str(seed))
        self._played: Counter[str] = Counter()
        self._at_work: set[asyncio.Future[None]] = set()
        self.weather = CALM
        self.port = 0

    @property
    def url(self) -> str:
        """Where clients of the store are pointed at."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def played(self) -> Mapping[str, int]:
        """How often each fault struck."""
        return self._played

    def next_fault(self) -> Fault | None:
        """What meets the next request."""
        left = self._dice.random()
        for fault, share in self.weather.shares.items():
            left -= share
            if left < 0:
                self._played[fault] += 1
                return fault
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        if self.weather.is_down:
            self._played["down"] += 1
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        way = _Way(self, up_writer, writer)
        both = [asyncio.ensure_future(each) for each in (way.pass_on(reader), way.pass_back(up_reader))]
        self._at_work.update(both)  # a loop itself keeps its tasks by weak references alone
        # Whoever ends first ends the connection: no request of ours is answered after its sender has gone.
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        self._at_work.difference_update(both)
        for each_way in (writer, up_writer):
            each_way.close()


class _Way:
    """Both directions of a connection, and the fault of the request that is under way."""

    def __init__(self, proxy: StoreProxy, up: asyncio.StreamWriter, down: asyncio.StreamWriter) -> None:
        self._proxy, self._up, self._down = proxy, up, down
        self._fault: Fault | None = None

    async def pass_on(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            if _REQUEST.match(data):
                self._fault = self._proxy.next_fault()
                if self._fault == "slow":
                    await asyncio.sleep(self._proxy.weather.delay_seconds)
                if self._fault in ("500", "503"):
                    self._down.write(
                        f"HTTP/1.1 {self._fault} Played\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
                    )
                    await self._down.drain()
                if self._fault in ("500", "503", "never_arrives"):
                    break
            self._up.write(data)
            await self._up.drain()

    async def pass_back(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            is_interim = data.startswith(b"HTTP/1.1 100")
            if not is_interim and self._fault in ("answer_lost", "answer_torn"):
                if self._fault == "answer_torn":
                    self._down.write(data[: len(data) // 2])
                break
            self._down.write(data)
            await self._down.drain()


@contextmanager
def store_proxy(host: str, port: int, seed: object) -> Iterator[StoreProxy]:
    """Run a proxy before a store, in a thread of its own."""
    proxy = StoreProxy(host, port, seed)
    with taking_connections(proxy.serve) as proxy.port:
        yield proxy
