"""Measuring one step in a process of its own, so that its CPU time and its peak memory are its own."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One step: CPU seconds (user and system, all threads), wall seconds, peak resident memory in MB."""

    cpu: float
    wall: float
    peak_mb: float


def measured(step: Callable[[Path], None], folder: Path) -> Measured:
    """Run a step over a folder in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (step, folder))


def _timed(step: Callable[[Path], None], folder: Path) -> Measured:
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    step(folder)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(cpu, wall, after.ru_maxrss / 1024)
