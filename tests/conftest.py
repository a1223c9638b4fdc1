"""Fixtures that the tests of several rooms share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.lake.store import LocalStore

BROWSER_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=40, help="how often a test that kills a process does so")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--rounds"))
