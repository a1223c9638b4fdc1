"""Faults are played on every room, so helpers of the rooms' own tests are at hand here."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lives import ROOMS, Lives, lives
from trials import Homes

sys.path.extend(str(Path(__file__).parents[1] / room) for room in ROOMS)


@pytest.fixture(scope="session")
def victims() -> Iterator[Lives]:
    """What runs stages in processes of their own."""
    with lives() as running:
        yield running


@pytest.fixture(scope="session")
def homes(victims: Lives, tmp_path_factory: pytest.TempPathFactory) -> Homes:
    """Homes before each stage, which tests share."""
    return Homes(victims, tmp_path_factory.mktemp("homes"))
