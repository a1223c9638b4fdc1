"""A whole deployment with faults at hand: bucket behind a proxy, collector, runs one after the other, PostgreSQL.

Where the system lets us (root), the home lies on a small file system of its own, which can be filled.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from postgres import PostgresServer
from weather import StoreProxy, store_proxy

from analytics_platform.intake.collector.process import announced_url, collector_command
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.s3 import S3Store
from analytics_platform.settings import PREFIX

BUCKET, REGION = "long-run", "eu-west-1"
AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
HOME_BYTES = 900_000_000
HISTORY_DAYS = 2


@dataclass
class Deployment:
    """The parts that run, and what befell them."""

    folder: Path
    home: Path
    proxy: StoreProxy
    store_url: str
    port: int
    postgres: PostgresServer | None
    can_fill: bool
    environment: dict[str, str] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)
    collector: subprocess.Popen[bytes] | None = None
    run: subprocess.Popen[bytes] | None = None
    killed_runs: set[int] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The collector's address; it stays the same over its lives."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> S3Store:
        """The lake, past the weather."""
        options = S3Options(self.store_url, REGION, path_style=True)
        return S3Store(BUCKET, "lake", options, ObjectCache(self.folder / "cache", 1 << 28))

    def start_collector(self) -> None:
        """Start it, and wait until it takes events; again, where it finds no store or no room."""
        while not self.stopping.is_set():
            log = self.folder / "collector.log"
            with log.open("wb") as output:
                self.collector = subprocess.Popen(
                    collector_command("127.0.0.1", self.port), env=self.environment, stdout=output, stderr=output
                )
            while self.collector.poll() is None:
                if announced_url(log):
                    return
                time.sleep(0.1)
            time.sleep(0.5)

    def kill_collector(self) -> None:
        """As the system would."""
        assert self.collector is not None
        self.collector.kill()
        self.collector.wait()

    def stop_collector(self) -> int:
        """As an operator would; its exit code."""
        assert self.collector is not None
        self.collector.terminate()
        return self.collector.wait(180)

    def build(self) -> subprocess.Popen[bytes]:
        """Begin `analytics run` up to the running day."""
        return self._begun(self.folder, self.environment)

    def build_alone(self, home: Path) -> subprocess.Popen[bytes]:
        """Begin the same for another home, which has its lake and its records in itself."""
        elsewhere = (f"{PREFIX}LAKE_", f"{PREFIX}DAGSTER_")
        kept = {name: value for name, value in self.environment.items() if not name.startswith(elsewhere)}
        return self._begun(home, {**kept, f"{PREFIX}HOME": str(home)})

    def _begun(self, answers: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        today = datetime.now(UTC).date().isoformat()
        command = [sys.executable, "-m", "analytics_platform.cli", "run", "--to", today, "--json"]
        with (answers / "run.json").open("wb") as output, (self.folder / "run.log").open("ab") as errors:
            self.run = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
        return self.run

    def keep_building(self) -> None:
        """One run after the other, as a schedule would."""
        while not self.stopping.is_set():
            run = self.build()
            code = run.wait()
            self.runs["killed" if run.pid in self.killed_runs else "ok" if code == 0 else "failed"] += 1
            self.stopping.wait(1)

    def kill_run(self) -> bool:
        """Kill the run that is at work; whether one was."""
        run = self.run
        if run is None or run.poll() is not None:
            return False
        self.killed_runs.add(run.pid)
        run.send_signal(signal.SIGKILL)
        return True


@contextmanager
def deployed(folder: Path, seed: int, postgres: PostgresServer | None) -> Iterator[Deployment]:
    """A deployment that lives until the block ends, with its processes."""
    with ExitStack() as stack:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        proxy = stack.enter_context(store_proxy(host, port, seed))
        can_fill = stack.enter_context(_small_disk(folder / "home"))
        made = Deployment(folder, folder / "home", proxy, f"http://{host}:{port}", _free_port(), postgres, can_fill)
        made.environment = _environment(made)
        os.environ.update(AWS)
        boto3.client("s3", endpoint_url=made.store_url).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        stack.callback(_end, made)
        yield made


def _environment(made: Deployment) -> dict[str, str]:
    chosen: dict[str, object] = {
        "home": made.home,
        "history_start": datetime.now(UTC).date() - timedelta(days=HISTORY_DAYS),
        "lake_url": f"s3://{BUCKET}/lake",
        "lake_s3_endpoint": made.proxy.url,
        "lake_s3_region": REGION,
        "lake_s3_path_style": "true",
        "collector_segment_seconds": 2,
        "collector_min_free_bytes": 2_000_000,
        "lock_timeout_seconds": 120,
        **(made.postgres.database("long_run") if made.postgres else {}),
    }
    ours = {f"{PREFIX}{name.upper()}": str(value) for name, value in chosen.items()}
    return {**os.environ, **AWS, **ours, "PYTHONUNBUFFERED": "1"}


@contextmanager
def _small_disk(home: Path) -> Iterator[bool]:
    """A file system of the home's own, where the system lets us mount one; whether it did."""
    home.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={HOME_BYTES}", "tmpfs", str(home)]
    is_mounted = os.getuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(home)], check=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _end(made: Deployment) -> None:
    """No process of the deployment outlives it."""
    made.stopping.set()
    for process in (made.collector, made.run):
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
