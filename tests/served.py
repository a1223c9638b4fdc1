"""Servers of other programs, in a process of their own for as long as a test needs them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

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


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"{log.stem} did not answer in {seconds:g} s:\n{log.read_text()}")
