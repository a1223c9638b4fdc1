"""What live traffic talks to: a collector in a process of its own, and the example application in a thread of ours."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.collector.process import announced_url, collector_command
from analytics_platform.settings import PREFIX, Settings, child_environment

_HOST = "127.0.0.1"
_START_SECONDS = 60
_STOP_SECONDS = 60
_POLL_SECONDS = 0.05
_TAIL_LINES = 15


class ServerFailedError(AnalyticsError):
    """The collector or the application did not start, or did not end well."""


@contextmanager
def collecting(settings: Settings, log: Path) -> Iterator[str]:
    """Run a collector on a free port and give its address; when the block has ended, all it took is in the lake.

    Raises:
        ServerFailedError: it did not start, or ended with an error; the text ends with what it wrote last.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = child_environment({f"{PREFIX}HOME": str(settings.home)})
    with log.open("wb") as output:
        process = subprocess.Popen(
            collector_command(_HOST, 0), env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield _announced(process, log)
    finally:
        code = _ended(process)
    if code != 0:
        raise ServerFailedError(f"the collector ended with code {code}; {log} ends with:\n{_tail(log)}")


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Run an application on a free port and give its address; it has shut down when the block has ended."""
    listener = socket.create_server((_HOST, 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
    thread = threading.Thread(target=server.run, args=([listener],), name="application")
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServerFailedError("the example application did not start; its error stands above")
            time.sleep(_POLL_SECONDS)
        yield f"http://{_HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _announced(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while (url := announced_url(log)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerFailedError(f"the collector did not start; {log} ends with:\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)
    return url


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Ask the process to ship what it has and end; end it when it does not (what it holds stays in its spool)."""
    process.terminate()
    try:
        return process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
