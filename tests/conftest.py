"""Fixtures that the tests of several rooms share."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser, sync_playwright

from analytics_platform.catalog import Catalog, Stream, load_catalog
from analytics_platform.lake.store import LocalStore

SLOWEST_FIRST = (
    "test_runs",
    "test_restore_drill",
    "test_bigquery_models",
    "test_whole_graph_on_snowflake",
    "test_retention_in_graph",
    "test_hostile_home",
    "test_snowflake_parity",
    "test_erasure_in_graph",
    "test_end_to_end",
    "test_erasure_desk",
    "test_sla_attainment",
    "test_imported_scenario",
    "test_on_call_path",
    "test_held_back",
    "test_revenue_scenario",
    "test_portability",
    "test_daemon_on_postgres",
    "test_serve",
    "test_running_day",
    "test_browser",
)
"""Modules of half a minute and more. One process runs all of a module; begun late, it would keep others waiting.

Modules that begin with a copy of the same home (`prepared`) stand apart, or one would wait while the other makes it.
"""

BROWSER_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


# Dagster and dbt make objects by the million, and after each 700 of them Python looks for cycles among the young ones:
# a tenth of a run's time.
gc.set_threshold(50_000, 20, 20)

# A machine that is busy makes an example slow, and nothing wrong.
hypothesis.settings.register_profile("unhurried", deadline=None)
# What decides whether a change lands says the same of it each time; elsewhere each run looks somewhere new.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


def with_streams(catalog: Catalog, **streams: Stream) -> Catalog:
    """A catalogue with other streams; a model's own copy would keep what the first has cached of its events."""
    declared = {name: getattr(catalog, name) for name in Catalog.model_fields}
    return Catalog.model_validate({**declared, "streams": {**catalog.streams, **streams}})


@pytest.fixture(scope="session")
def without_scans(catalog: Catalog) -> Catalog:
    """The catalogue before it knew scans."""
    inventory = catalog.streams["inventory"]
    events = tuple(event for event in inventory.events if not event.name.startswith("scan."))
    return with_streams(catalog, inventory=inventory.model_copy(update={"events": events}))


@pytest.fixture(scope="session")
def with_escalations(catalog: Catalog) -> Catalog:
    """The catalogue with an event that it does not know: `ticket.escalated`, like `ticket.reopened`."""
    support = catalog.streams["support"]
    reopened = next(event for event in support.events if event.name == "ticket.reopened")
    events = (*support.events, reopened.model_copy(update={"name": "ticket.escalated"}))
    return with_streams(catalog, support=support.model_copy(update={"events": events}))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; without one, tests that ask for it are skipped unless REQUIRE_BROWSER is 1."""
    program = required_program("REQUIRE_BROWSER", "chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js; without it, tests that ask for it are skipped unless REQUIRE_NODE is 1."""
    return required_program("REQUIRE_NODE", "node", "nodejs")


def required_program(variable: str, *names: str) -> str:
    """The path of the first of some programs; skips, or fails where the variable says that nothing may be skipped."""
    program = next((path for name in names if (path := shutil.which(name))), None)
    if program is None:
        message = f"none of these is installed: {', '.join(names)}"
        if os.environ.get(variable) == "1":
            pytest.fail(message)
        pytest.skip(message)
    return program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest modules first and all others in their order."""
    rank = {name: place for place, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are numbered, not spelled out: packed ones hold the clock, and each worker must collect the same names."""
    return argname if isinstance(val, bytes) else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=40, help="how often a test that kills a process does so")
    parser.addoption("--fault-seed", type=int, default=1, help="what tests that play faults draw them by")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--rounds"))


@pytest.fixture
def fault_seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--fault-seed"))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C ends this process and those that it starts; who began the tests in the background has left it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many rounds of faults were played."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "rounds":
                terminalreporter.write_line(f"rounds {value}: {report.nodeid}")
