"""Homes that take a minute to build: made once for all processes of a test session, and copied for each who asks.

Belongs here: the one folder that processes share, and who of them fills it. Stays out: what a home is filled with.
A master is never worked on: nobody but its maker writes there, and only until it is made.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def copied(factory: pytest.TempPathFactory, name: str, to: Path, make: Callable[[Path], object]) -> Path:
    """Copy a master into a folder that is not there yet; files keep their times, which builds go by.

    Args:
        factory: pytest's own; below its base lies what the session's processes share.
        name: of the master, the same for the same content.
        to: the copy.
        make: fills the folder that it is given; called by the first who asks, while the others wait.
    """
    shutil.copytree(_master(factory, name, make), to)
    return to


def _master(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared"
    shared.mkdir(exist_ok=True)
    master, is_made = shared / name, shared / f"{name}.is_made"
    with FileLock(shared / f"{name}.lock"):
        if not is_made.exists():
            shutil.rmtree(master, ignore_errors=True)  # of a maker that failed
            master.mkdir()
            make(master)
            is_made.touch()
    return master
