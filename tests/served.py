"""Servers for as long as a test needs them: other programs in a process of their own, what tests define in a thread."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socketserver import BaseServer

import pytest


def required_environment(python: Path, variable: str, make: str) -> Path:
    """The Python of a stand-in; skips, or fails where the variable says that nothing may be skipped."""
    if not python.exists():
        message = f"no {python}: run `make {make}`"
        if os.environ.get(variable) == "1":
            pytest.fail(message)
        pytest.skip(message)
    return python


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    with ExitStack() as taken:
        sockets = [taken.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in sockets]


@contextmanager
def served(
    command: Sequence[object], port: int, log: Path, *, seconds: float, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the end of the block, which begins once it takes connections."""
    arguments = [str(each) for each in command]
    with log.open("w") as output:
        server = subprocess.Popen(arguments, stdout=output, stderr=output, cwd=log.parent, env=env)
        try:
            _wait_for(server, port, log, seconds)
            yield
        finally:
            server.terminate()
            server.wait(timeout=10)


@contextmanager
def in_a_thread(server: BaseServer) -> Iterator[None]:
    """Let a server answer until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def taking_connections(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> Iterator[int]:
    """The port on which each connection is served, in a thread; who is connected at the end of the block is cut off."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
    assert not thread.is_alive()


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"{log.stem} did not answer in {seconds:g} s:\n{log.read_text()}")
