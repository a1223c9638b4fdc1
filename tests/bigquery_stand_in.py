"""BigQuery's emulator, for tests that want BigQuery: Google's client and dbt's real adapter talk to it over HTTP.

It runs in a process and an environment of its own: `make bigquery-emulator` makes it, BIGQUERY_EMULATOR names another
folder. Where there is none the test is skipped, or fails when REQUIRE_BIGQUERY_EMULATOR is 1. A pass here is a gate,
and no proof on BigQuery: docs/bigquery.md says what is unproven.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "tests" / "warehouse" / "bigquery_emulator.py"
PROJECT = "analytics"
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    port: int

    def settings(self, **chosen: object) -> Mapping[str, object]:
        """Settings of a deployment whose warehouse it is; a prefix gives it datasets of its own."""
        return {
            "warehouse": "bigquery",
            "bigquery_project": PROJECT,
            "bigquery_api_endpoint": f"http://127.0.0.1:{self.port}",
            "bigquery_anonymous": True,
            **chosen,
        }


@contextmanager
def bigquery_emulator(folder: Path) -> Iterator[Emulator]:
    """An emulator of one's own, with its data in a folder; it is gone afterwards."""
    environment = Path(os.environ.get("BIGQUERY_EMULATOR", ROOT / ".venv-bigquery"))
    if not (environment / "bin" / "python").exists():
        message = f"no BigQuery emulator in {environment}: run `make bigquery-emulator`"
        if os.environ.get("REQUIRE_BIGQUERY_EMULATOR") == "1":
            pytest.fail(message)
        pytest.skip(message)
    ports = _free_ports(2)
    command = [environment / "bin" / "python", SERVER, "--host", "127.0.0.1", "--project", PROJECT]
    command += ["--port", str(ports[0]), "--grpc-port", str(ports[1]), "--data-dir", folder / "data"]
    variables = {"HOME": str(environment / "home"), "PATH": os.environ["PATH"]}
    with (folder / "emulator.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=variables)
        try:
            _wait_for(server, ports[0], folder / "emulator.log")
            yield Emulator(ports[0])
        finally:
            server.terminate()
            server.wait(timeout=10)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"the emulator did not answer in {_START_SECONDS:g} s:\n{log.read_text()}")
