"""The unmodified clients against the running collector, through faults: what a client was told is safe is landed, once.

Each client is a process (or a page) of its own and knows the collector by its host alone. A proxy between them plays a
script of refusals, cut connections and slow answers; the collector itself is stopped cleanly at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from clients.fault_proxy import Fault, FaultProxy, fault_proxy
from playwright.sync_api import Browser

from analytics_platform.demo.live.servers import collecting
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

CLIENTS = Path(__file__).parents[1] / "clients"
TENANT = "brabant-rental"
SERVER_KEY, BROWSER_KEY = f"demo-{TENANT}-server", f"demo-{TENANT}-browser"
COUNT = 12

REFUSED = [Fault(status=429, retry_after=1), Fault(status=503, retry_after=1)]
CUT = [Fault(cut_before=True), Fault(cut_after=True)]
SLOW = [Fault(delay=1.0)]
SCRIPTS = {"refused": REFUSED, "cut": CUT, "slow": SLOW}


@dataclass
class Collector:
    """A running collector and its deployment."""

    home: Path
    url: str
    running: ExitStack

    def stop(self) -> None:
        """End it as an operator would; it ships what it holds before it goes."""
        self.running.close()

    def landed(self) -> Counter[str]:
        """Message ids in raw, as often as they stand there."""
        store = LocalStore(self.home / "lake")
        partitions = sorted(landed_partitions(store))
        assert partitions != []
        table = IdentitiesTable(store, IdentityKeys(self.home / "identity_keys.json"))
        build_partitions(store, streams=["product"], partitions=partitions, identifiers=table.take)
        rows = scan(store, "product", partitions[0][0], partitions[-1][0]).read_all()
        return Counter(rows["message_id"].to_pylist())


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    home = tmp_path / "home"
    with ExitStack() as running:
        url = running.enter_context(collecting(Settings(home=home), tmp_path / "collector.log"))
        yield Collector(home, url, running)


def answer(*command: str, cwd: Path | None = None) -> dict[str, list[str]]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return said


def assert_exactly_once(collector: Collector, proxy: FaultProxy, said: dict[str, list[str]]) -> None:
    collector.stop()
    landed = collector.landed()
    assert said["errors"] == []
    assert set(said["sent"]) == proxy.accepted, [(each.answered, each.fault) for each in proxy.seen]
    assert landed == Counter(said["sent"])


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("client", ["segment", "rudder"])
def test_python_clients_lose_nothing(collector: Collector, client: str, script: str) -> None:
    with fault_proxy(collector.url, SCRIPTS[script]) as proxy:
        said = answer(sys.executable, str(CLIENTS / "send_python.py"), proxy.url, SERVER_KEY, str(COUNT), client)
    assert_exactly_once(collector, proxy, said)


@pytest.fixture(scope="module")
def packages(node: str) -> Path:
    """The folder of the clients' own npm packages."""
    del node
    folder = CLIENTS / "node_modules"
    if not folder.exists():
        message = "the clients of npm are not installed: make node"
        if os.environ.get("REQUIRE_NODE") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_node_client_loses_nothing(collector: Collector, node: str, packages: Path, script: str) -> None:
    with fault_proxy(collector.url, SCRIPTS[script]) as proxy:
        said = answer(node, "send_node.mjs", proxy.url, SERVER_KEY, str(COUNT), cwd=packages.parent)
    assert_exactly_once(collector, proxy, said)


@pytest.fixture(scope="module")
def pages(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page with the browser's client is served: an origin of its own, as a customer's site is."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(packages / "@segment" / "analytics-next" / "dist" / "umd", folder, dirs_exist_ok=True)
    (folder / "index.js").rename(folder / "analytics-next.js")
    shutil.copy(CLIENTS / "browser.html", folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/browser.html"
    server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.browser
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("strategy", ["standard", "batching"])
def test_the_browser_client_loses_nothing(
    collector: Collector, browser: Browser, pages: str, strategy: str, script: str
) -> None:
    page = browser.new_page()
    with fault_proxy(collector.url, SCRIPTS[script]) as proxy:
        page.goto(f"{pages}?url={proxy.url}&key={BROWSER_KEY}&count={COUNT}&strategy={strategy}")
        page.wait_for_function("window.sent || window.failed", timeout=60_000)
        assert page.evaluate("window.failed") is None
        said = {"sent": page.evaluate("window.sent"), "errors": []}
        wait_until_accepted(page, proxy, set(said["sent"]))
        page.close()
    assert_exactly_once(collector, proxy, said)


def wait_until_accepted(page: object, proxy: FaultProxy, wanted: set[str]) -> None:
    """The client's queue empties in its own time; the proxy sees when."""
    for _ in range(300):
        if proxy.accepted >= wanted:
            return
        page.wait_for_timeout(100)  # type: ignore[attr-defined]
    raise AssertionError(f"{len(wanted - proxy.accepted)} messages were never accepted: {proxy.seen}")
