"""Fixtures of the producers' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from recording_server import RecordingServer, recording_server


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with recording_server() as running:
        yield running
