"""A desk on an empty store, and a server that speaks Slack's API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from alert_examples import START, Desk
from slack_api import SlackServer, slack_server

from analytics_platform.catalog import Catalog


@pytest.fixture
def desk(catalog: Catalog, tmp_path: Path) -> Desk:
    return Desk(catalog, tmp_path)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    # Repeating calls is tested, waiting for real is not.
    monkeypatch.setattr("slack_sdk.http_retry.handler.time.sleep", lambda _: None)
    with slack_server() as server:
        server.clock = START.timestamp()
        yield server
