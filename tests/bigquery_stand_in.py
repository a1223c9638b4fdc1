"""BigQuery's emulator, for tests that want BigQuery: Google's client and dbt's real adapter talk to it over HTTP.

It runs in a process and an environment of its own: `make bigquery-emulator` makes it, BIGQUERY_EMULATOR names another
folder. Where there is none the test is skipped, or fails when REQUIRE_BIGQUERY_EMULATOR is 1. A pass here is a gate,
and no proof on BigQuery: docs/bigquery.md says what is unproven.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from served import free_ports, required_environment, served

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
    python = required_environment(environment / "bin" / "python", "REQUIRE_BIGQUERY_EMULATOR", "bigquery-emulator")
    port, grpc_port = free_ports(2)
    command = [python, SERVER, "--host", "127.0.0.1", "--project", PROJECT]
    command += ["--port", port, "--grpc-port", grpc_port, "--data-dir", folder / "data"]
    variables = {"HOME": str(environment / "home"), "PATH": os.environ["PATH"]}
    with served(command, port, folder / "emulator.log", seconds=_START_SECONDS, env=variables):
        yield Emulator(port)
