"""Serving on one machine: portal, collector, a code server, Dagster's web server and its daemon, until told to stop.

Both web server and daemon would load the code themselves if they were let, two more processes of 300 MB; one code
server on a socket serves both. Belongs here: starting, watching and stopping those processes. Stays out: what
they serve, and how a deployment on Kubernetes runs them.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import click
import yaml

from analytics_platform.catalog import load_catalog
from analytics_platform.defs.instance import CODE_LOCATION, process_environment, write_instance_config
from analytics_platform.defs.manifest import load_manifest
from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.collector.example import example_curl
from analytics_platform.intake.collector.process import announced_url, collector_command
from analytics_platform.settings import PREFIX, Settings, child_environment, is_loopback

LOCATION_NAME = "analytics_platform"
"""As in workspace.yaml: the switches of schedules and sensors hang on it."""

_START_SECONDS = 120
_STOP_SECONDS = 20
_POLL_SECONDS = 0.2


class PortTakenError(AnalyticsError):
    """Another program listens where the web server or the collector should."""


class ServiceStoppedError(AnalyticsError):
    """One of the processes ended or never became ready; the text ends with what it wrote last."""


@dataclass
class Service:
    """A child process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def refuse_stopped(self) -> None:
        """Raise when the process has ended, with the end of its log."""
        code = self.process.poll()
        if code is not None:
            raise ServiceStoppedError(f"the {self.name} ended with code {code}; {self.log} ends with:\n{self._tail()}")

    def stop(self) -> None:
        """Ask the process to end, and end it when it does not in time."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@dataclass(frozen=True)
class Ports:
    """Where the services listen that are no part of Dagster.

    Attributes:
        collector: the collector's port, 0 for a free one; by default the setting's, and where nobody has set it and
            another program has it, a free one.
        portal: the portal's, likewise.
    """

    collector: int | None = None
    portal: int | None = None


def serve(settings: Settings, *, host: str = "127.0.0.1", port: int = 3000, ports: Ports | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop every process.

    Args:
        settings: the deployment.
        host: address of the web server.
        port: its port.
        ports: where collector and portal listen.

    Raises:
        PortTakenError: a port is in use.
        ServiceStoppedError: a process did not start, or ended by itself.
        ManifestMissingError: the graph cannot load.
    """
    _refuse_taken_port(host, port, "--port")
    collector_port, portal_port = _chosen_ports(settings, ports or Ports())
    load_manifest(settings)
    write_instance_config(settings)
    with _stop_on_signals() as stopped, TemporaryDirectory(prefix="analytics-") as folder:
        code_socket = Path(folder) / "code.sock"
        workspace = _write_workspace(Path(folder), code_socket)
        with _services(settings) as start:
            collector = start("collector", collector_command(settings.collector_host, collector_port))
            portal = start("portal", _portal(settings.portal_host, portal_port))
            services = [collector, portal, start("code server", _code_server(code_socket))]
            _wait_until(lambda: announced_url(collector.log) is not None, services, stopped, "collector")
            _wait_until(lambda: _portals_url(portal.log) is not None, services, stopped, "portal")
            _wait_until(lambda: _answers(code_socket), services, stopped, "code server")
            services.append(start("web server", _webserver(workspace, host, port)))
            services.append(start("daemon", _daemon(workspace)))
            url = f"http://{host}:{port}"
            _wait_until(lambda: _is_up(url), services, stopped, "web server")
            if not stopped():
                click.echo(f"Portal      {settings.portal_url or _portals_url(portal.log)}")
                click.echo(f"Lineage     {url}/asset-groups\nRuns        {url}/runs")
                click.echo(_collector_lines(settings, announced_url(collector.log)))
                click.echo("Stop with Ctrl-C")
            _watch(services, stopped)
            click.echo("Stopping; it may take half a minute")


def _collector_lines(settings: Settings, url: str | None) -> str:
    """Where events go, and a first one to paste."""
    assert url is not None
    return f"Collector   {url}\n  {example_curl(url, load_catalog(settings.tenants_file, settings.extension_catalog))}"


def _watch(services: Sequence[Service], stopped: Callable[[], bool]) -> None:
    while not stopped():
        for service in services:
            service.refuse_stopped()
        time.sleep(_POLL_SECONDS)


def _wait_until(ready: Callable[[], bool], services: Sequence[Service], stopped: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not stopped() and not ready():
        for service in services:
            service.refuse_stopped()
        if time.monotonic() > deadline:
            raise ServiceStoppedError(f"the {name} was not ready after {_START_SECONDS} s; see {services[-1].log}")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _services(settings: Settings) -> Iterator[Callable[[str, Sequence[str]], Service]]:
    """Start processes that are stopped at the end, the last one first."""
    logs = settings.dagster_home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    environment = _environment(settings)
    started: list[Service] = []

    def start(name: str, command: Sequence[str]) -> Service:
        log = logs / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as output:
            # A group of its own, so that Ctrl-C reaches the children through us and in our order.
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        started.append(Service(name, process, log))
        return started[-1]

    try:
        yield start
    finally:
        for service in reversed(started):
            service.stop()


@contextmanager
def _stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and SIGINT into a flag, and put the former handlers back."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(settings: Settings) -> Mapping[str, str]:
    """Ours, with the settings that children would otherwise resolve against another folder."""
    return child_environment({**process_environment(settings), f"{PREFIX}HOME": str(settings.home)})


def _write_workspace(folder: Path, code_socket: Path) -> Path:
    path = folder / "workspace.yaml"
    server = {"socket": str(code_socket), "location_name": LOCATION_NAME}
    path.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    return path


def _code_server(code_socket: Path) -> list[str]:
    arguments = ["--module-name", CODE_LOCATION, "--location-name", LOCATION_NAME, "--log-level", "warning"]
    return [sys.executable, "-m", "dagster", "api", "grpc", "--socket", str(code_socket), *arguments]


def _webserver(workspace: Path, host: str, port: int) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "analytics_platform.defs.web_server",
        "-w",
        str(workspace),
        "-h",
        host,
        "-p",
        str(port),
    ]
    return [*command, "--loopback-only"] if is_loopback(host) else command


def _daemon(workspace: Path) -> list[str]:
    return [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]


def _portal(host: str, port: int) -> list[str]:
    return [sys.executable, "-m", "analytics_platform.cli", "portal", "--host", host, "--port", str(port)]


def _portals_url(log: Path) -> str | None:
    """The address that the portal has written into its output; None as long as it serves nothing."""
    found = re.search(r"^Portal: (http\S+)", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return found[1] if found else None


def _answers(code_socket: Path) -> bool:
    from dagster._grpc.client import DagsterGrpcClient

    client = DagsterGrpcClient(socket=str(code_socket))
    return code_socket.exists() and client.health_check_query() == "SERVING"  # type: ignore[no-untyped-call]


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=2) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _chosen_ports(settings: Settings, ports: Ports) -> tuple[int, int]:
    """The ports of collector and portal."""
    collector = _Wanted("collector", settings.collector_host, settings.collector_port, ports.collector)
    portal = _Wanted("portal", settings.portal_host, settings.portal_port, ports.portal)
    return collector.port(settings), portal.port(settings)


@dataclass(frozen=True)
class _Wanted:
    """Where a service should listen: by its setting, or as it was asked for."""

    name: str
    host: str
    by_setting: int
    asked: int | None

    def port(self, settings: Settings) -> int:
        """The port that was asked for or set; the default only as long as it is free: nobody relies on it."""
        port = self.by_setting if self.asked is None else self.asked
        if self.asked is None and f"{self.name}_port" not in settings.model_fields_set:
            return 0 if _why_taken(self.host, port) else port
        _refuse_taken_port(self.host, port, f"--{self.name}-port")
        return port


def _refuse_taken_port(host: str, port: int, option: str) -> None:
    if problem := _why_taken(host, port):
        raise PortTakenError(
            f"cannot listen on {host}:{port} ({problem}); choose another with {option}, or stop the program that has it"
        )


def _why_taken(host: str, port: int) -> str | None:
    """What the system says to a program that wants to listen there; None when it may."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
