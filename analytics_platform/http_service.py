"""How this platform's HTTP services listen, serve and stop: one way for the collector and the portal.

A leaf that all rooms may import. What a service does before it listens and after it has stopped is its own. How many
connections there may be and what a request's head may cost is bounded here, for both; what its body may, each service
says itself.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from analytics_platform.errors import AnalyticsError

_BACKLOG = 2048
_GRACE_SECONDS = 20
_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 seconds that load balancers keep an idle connection, so that none is closed under a request."""
_HEAD_SECONDS = 20.0
_HEAD_BYTES = 64 * 1024
_CONNECTIONS = 4_000
"""At most: with all their heads begun and none at its end they hold 256 MB."""
_OWN_FILES = 128
"""Open files beside connections that a service needs at any time: its spool, the store, the warehouse."""
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_BODY_FOLLOWS = (b"content-length", b"transfer-encoding")


class AddressInUseError(AnalyticsError):
    """The address that a service should listen on cannot be had."""


class UpgradeRefusedError(Exception):
    """A request with a body asks for another protocol."""


class Protocol(HttpToolsProtocol):
    """Uvicorn's protocol with what it leaves open: connections without number, a head that never ends or misleads.

    Who connects while there are as many as there may be is told to come again: uvicorn's own `limit_concurrency` would
    turn away the requests of everybody who is connected. A head has so many bytes and so much time; without either
    bound a sender of one byte a minute keeps a connection for good, and one of endless headers fills the memory. Fields
    after a chunked body are no headers: a proxy in front has not looked at them. What follows a request to upgrade is
    not read by the parser as what it is: a body it would take for the next request of whoever shares the proxy's
    connection, and a request it may lose. So a request to upgrade is the last of its connection, and is refused if it
    has a body.
    """

    _in_head = False
    _head_size = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection has so much time for its first head, if there is a place for it."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > _places():
            self.transport.write(_FULL)
            self.transport.close()
        else:
            self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._relax()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and see that a head comes to its end."""
        super().data_received(data)
        if not self._in_head and self.cycle is not None and not self.cycle.response_complete:
            return
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > _HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The head of a request may have {_HEAD_BYTES} bytes.")
        if self._late is None:
            self._hurry()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head_size = True, 0

    def on_headers_complete(self) -> None:
        """A head has ended.

        Raises:
            UpgradeRefusedError: a body follows that the parser would not read; uvicorn answers 400 and hangs up.
        """
        upgrades = self.parser.should_upgrade()
        if upgrades and any(name in _BODY_FOLLOWS for name, _ in self.headers):
            raise UpgradeRefusedError
        self._in_head = False
        self._relax()
        super().on_headers_complete()
        if upgrades:
            self.cycle.keep_alive = False
        self.headers = []  # what comes after the body goes nowhere

    def _hurry(self) -> None:
        self._late = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _relax(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Server(uvicorn.Server):
    """Uvicorn's server without its signal handling, which would end the process before a service has tidied up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve_until_told`."""
        yield


def server_config(app: object) -> uvicorn.Config:
    """How a service runs an application."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def serve_until_told(app: object, listener: socket.socket, on_listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests that are under way are answered first.

    Args:
        app: an ASGI application.
        listener: where it listens.
        on_listening: told the URL once requests are taken.
    """
    server = Server(server_config(app))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, listener, on_listening))


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 takes a free one.

    Raises:
        AddressInUseError: the address cannot be had.
    """
    _allow_files()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        detail = f"{host}:{port} cannot be listened on ({error.strerror or error})"
        raise AddressInUseError(f"{detail}; end what listens there, or choose another --host or --port") from error


def url_of(listener: socket.socket) -> str:
    """The address of a socket as a browser writes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_files() -> None:
    """Let this process open as many files as all connections and its own need, as far as the system lets it."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OWN_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _places() -> int:
    """How many connections there may be: so many that none takes a file from what keeps events."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _CONNECTIONS if allowed == resource.RLIM_INFINITY else min(_CONNECTIONS, allowed - _OWN_FILES)


async def _serve(server: Server, listener: socket.socket, on_listening: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        loop.add_signal_handler(each, setattr, server, "should_exit", True)
    on_listening(url_of(listener))
    await server.serve([listener])
