"""How this platform's HTTP services listen, serve and stop: one way for the collector and the portal.

A leaf that all rooms may import. What a service does before it listens and after it has stopped is its own.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from analytics_platform.errors import AnalyticsError

_BACKLOG = 2048
_GRACE_SECONDS = 20
_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 seconds that load balancers keep an idle connection, so that none is closed under a request."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class AddressInUseError(AnalyticsError):
    """The address that a service should listen on cannot be had."""


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
        http="httptools",
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


async def _serve(server: Server, listener: socket.socket, on_listening: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        loop.add_signal_handler(each, setattr, server, "should_exit", True)
    on_listening(url_of(listener))
    await server.serve([listener])
