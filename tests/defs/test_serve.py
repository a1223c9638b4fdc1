"""Serving: real processes, one code server, and nothing left behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request

import psutil
import pytest
from defs_house import new_house

from analytics_platform.defs.serve import Ports, PortTakenError, serve
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

MEMORY_BUDGET = 1_500_000_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_taken_port_is_told_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTakenError, match="--port"):
            serve(Settings(home=tmp_path), port=other.getsockname()[1])


@pytest.mark.parametrize("service", ["collector", "portal"])
@pytest.mark.parametrize("asked", [True, False], ids=["by option", "by setting"])
def test_a_port_that_somebody_chose_is_never_changed(tmp_path: Path, asked: bool, service: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        chosen = {} if asked else {f"{service}_port": taken}
        ports = Ports(**{service: taken}) if asked else None
        with pytest.raises(PortTakenError, match=f"--{service}-port"):
            serve(Settings(home=tmp_path, **chosen), port=free_port(), ports=ports)


@contextmanager
def ended(program: subprocess.Popen[str]) -> Iterator[None]:
    """Tell a program to end where the block fails: leaving it waits for its end, and a failure would be silence."""
    try:
        yield
    except BaseException:
        program.send_signal(signal.SIGTERM)
        raise


def test_it_serves_within_its_memory_and_leaves_no_process_behind(tmp_path: Path) -> None:
    new_house(tmp_path)
    port = free_port()
    environment = {**os.environ, "ANALYTICS_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "analytics_platform.cli", "up", "--port", str(port)]
    command += ["--collector-port", "0", "--portal-port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as served, ended(served):
        assert served.stdout is not None
        lines = iter(served.stdout.readline, "")
        portal = next((line.split()[1] for line in lines if line.startswith("Portal")), None)
        assert portal is not None, "ended before it served"
        assert next(lines).startswith("Lineage")
        collector = next(line.split()[1] for line in lines if line.startswith("Collector"))
        by_hand = next(lines)
        if shutil.which("curl"):
            sent = subprocess.run(by_hand, shell=True, capture_output=True, check=True)
            assert sent.stdout == b'{"success":true}'
        for service in (collector, portal):
            with urllib.request.urlopen(f"{service}/readyz") as ready:
                assert ready.status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info") as answer:
            assert answer.status == 200
        for refused in (
            Request(f"http://127.0.0.1:{port}/graphql?query=mutation%20%7BfreeConcurrencySlots%7D"),
            Request(f"http://127.0.0.1:{port}/server_info", headers={"Host": "elsewhere.example"}),
        ):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(refused)
        family = [psutil.Process(served.pid), *psutil.Process(served.pid).children(recursive=True)]
        assert sum("api" in process.cmdline() for process in family) == 1
        assert sum(process.memory_info().rss for process in family) < MEMORY_BUDGET
        served.send_signal(signal.SIGTERM)
        assert served.wait(timeout=60) == 0
    # A zombie has ended and waits for its foster parent; in a bare container nobody collects it.
    alive = [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert alive == []
